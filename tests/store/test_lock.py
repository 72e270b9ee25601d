"""One daemon a store: the lock lives exactly as long as its process."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from alphapanda.errors import CannotStart, Fatal
from alphapanda.store import lock

DEADLINE_S = 20.0

HOLDER = """
import sys, time
from pathlib import Path
from alphapanda.store import lock

with lock.hold(Path(sys.argv[1]), as_daemon=sys.argv[2] == "daemon"):
    print("taken", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alphapanda.db"


@contextmanager
def taken_by_a_child(path, who="daemon"):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), who], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout.readline() == "taken\n"
            yield child
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()


@contextmanager
def locked(path, kind):
    """The bare lock, and nothing said in its file."""
    descriptor = os.open(lock.lock_path(path), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind)
        yield descriptor
    finally:
        os.close(descriptor)


def hold(path, **how):
    with lock.hold(path, **how):
        pass


def said(path):
    return lock.lock_path(path).read_text()


def test_nobody_holds_what_was_never_taken(path):
    assert lock.holder(path) is None


def test_the_lock_is_a_file_beside_the_store_that_others_cannot_read(path):
    with lock.hold(path):
        assert lock.lock_path(path) == path.with_name("alphapanda.db.lock")
        assert lock.lock_path(path).stat().st_mode & 0o777 == 0o600
        assert not path.exists()


def test_another_process_is_refused_and_told_the_pid(path):
    with taken_by_a_child(path) as child:
        assert lock.holder(path) == child.pid
        with pytest.raises(CannotStart, match=rf"in use by the daemon with pid {child.pid}; stop it first"):
            hold(path)
        assert lock.holder(path) == child.pid


def test_the_lock_ends_with_its_process_however_that_ended(path):
    with taken_by_a_child(path):
        pass
    assert lock.lock_path(path).exists()
    assert lock.holder(path) is None
    with lock.hold(path):
        assert lock.holder(path) == os.getpid()
    assert lock.holder(path) is None


def test_a_lock_file_with_anything_in_it_is_harmless(path):
    lock.lock_path(path).write_text("4194304 and a long story")
    with lock.hold(path):
        assert lock.holder(path) == os.getpid()


def test_a_daemon_says_who_it_is_as_long_as_it_has_the_lock(path):
    with lock.hold(path):
        assert said(path) == str(os.getpid())
    assert said(path) == ""
    with suppress(KeyError), lock.hold(path):
        raise KeyError
    assert said(path) == ""
    assert lock.holder(path) is None


def test_a_command_says_nothing_and_is_never_taken_for_a_daemon(path):
    lock.lock_path(path).write_text("4194304")  # left by a daemon that was killed
    with taken_by_a_child(path, "command"):
        assert said(path) == ""
        with pytest.raises(Fatal, match="locked by a process that does not say who it is; try again"):
            lock.holder(path)
        with pytest.raises(CannotStart, match="is in use by another command; stop it first"):
            hold(path)
    assert lock.holder(path) is None


@pytest.mark.parametrize("ask", [lock.holder, hold], ids=["holder", "hold"])
def test_a_holder_that_says_nothing_is_waited_for_but_not_for_ever(path, ask):
    with lock.hold(path, as_daemon=False):
        begun = time.monotonic()
        with pytest.raises(Fatal):
            ask(path)
        assert lock.PATIENCE_S <= time.monotonic() - begun < DEADLINE_S


def test_a_command_that_ends_in_time_is_in_nobodys_way(path, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE_S", DEADLINE_S)
    with ThreadPoolExecutor() as pool:
        with lock.hold(path, as_daemon=False):
            asked, started = pool.submit(lock.holder, path), pool.submit(hold, path, as_daemon=False)
        assert asked.result() is None
        assert started.result() is None


def test_a_daemon_that_is_starting_is_waited_for_until_it_says_who_it_is(path, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE_S", DEADLINE_S)
    with ThreadPoolExecutor() as pool, locked(path, fcntl.LOCK_EX) as descriptor:
        asked, started = pool.submit(lock.holder, path), pool.submit(hold, path)
        time.sleep(5 * lock.POLL_S)
        assert not asked.done()
        assert not started.done()
        os.write(descriptor, b"1234567")
        assert asked.result() == 1234567
        with pytest.raises(CannotStart, match="pid 1234567"):
            started.result()


def test_what_a_killed_daemon_left_is_not_read_while_the_next_one_starts(path, monkeypatch):
    """It has the lock a moment before it has emptied the file, and `stop` would signal who is not ours."""
    monkeypatch.setattr(lock, "PATIENCE_S", DEADLINE_S)
    looked = []

    def read(descriptor):
        looked.append(os.pread(descriptor, 32, 0))
        if len(looked) == 1:
            os.ftruncate(starting, 0)
        if len(looked) == 2:
            os.write(starting, b"1234567")
        return int(looked[-1] or b"0")

    lock.lock_path(path).write_text("4194304")
    monkeypatch.setattr(lock, "_daemon", read)
    with locked(path, fcntl.LOCK_EX) as starting:
        assert lock.holder(path) == 1234567
    assert looked == [b"4194304", b"", b"1234567", b"1234567"]


def test_a_daemon_is_refused_at_once_where_another_runs(path, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE_S", 600.0)
    with lock.hold(path):
        for as_daemon in (True, False):
            begun = time.monotonic()
            with pytest.raises(CannotStart, match=f"the daemon with pid {os.getpid()}; stop it first"):
                hold(path, as_daemon=as_daemon)
            assert time.monotonic() - begun < DEADLINE_S
        assert said(path) == str(os.getpid())


def test_two_who_look_never_see_each_other_as_a_daemon(path):
    lock.lock_path(path).write_text("4194304")
    with locked(path, fcntl.LOCK_SH):
        assert lock.holder(path) is None


def test_a_daemon_that_meets_one_who_looks_is_not_told_of_the_daemon_that_was_killed(path, monkeypatch):
    """Its pid is still in the file. A refusal would be exit code 3, and systemd would not try again."""
    monkeypatch.setattr(lock, "PATIENCE_S", DEADLINE_S)
    lock.lock_path(path).write_text("4194304")
    with ThreadPoolExecutor() as pool:
        with locked(path, fcntl.LOCK_SH):
            started = pool.submit(hold, path)
            time.sleep(5 * lock.POLL_S)
            assert not started.done()
        assert started.result() is None


def test_to_look_does_not_make_a_lock_file(path):
    assert lock.holder(path) is None
    assert list(path.parent.iterdir()) == []


def test_the_folder_of_the_store_is_made(tmp_path):
    path = tmp_path / "var" / "deep" / "alphapanda.db"
    with lock.hold(path):
        assert lock.holder(path) == os.getpid()
        assert list(path.parent.iterdir()) == [lock.lock_path(path)]


def test_a_child_does_not_inherit_the_lock(path):
    with lock.hold(path):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while lock.holder(path) is not None:  # until the child has become another program
            assert time.monotonic() < deadline
    finally:
        child.kill()
        child.wait()


def test_a_command_that_asks_who_holds_it_never_keeps_a_daemon_from_starting(path):
    """`status` and `stop` try the lock for a moment; a refusal then would end in exit code 3 for good."""
    stop, found, held = threading.Event(), set(), 0

    def ask():
        while not stop.is_set():
            found.add(lock.holder(path))

    with lock.hold(path):
        pass
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(200):
            with lock.hold(path):
                held += 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert held == 200
    assert found
    assert found <= {None, os.getpid()}


def test_a_folder_that_cannot_be_made_is_said_with_the_key_to_change(tmp_path):
    (tmp_path / "var").write_text("a file")
    with pytest.raises(CannotStart, match=r"cannot be written: .*; check storage.path"):
        hold(tmp_path / "var" / "alphapanda.db")
