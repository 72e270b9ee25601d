"""One daemon a store: the lock lives exactly as long as its process."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from alphapanda.errors import CannotStart
from alphapanda.store import lock

DEADLINE_S = 20.0

HOLDER = """
import sys, time
from pathlib import Path
from alphapanda.store import lock

lock.take(Path(sys.argv[1]))
print("taken", flush=True)
time.sleep(600)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alphapanda.db"


@contextmanager
def taken(path):
    descriptor = lock.take(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def taken_by_a_child(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout.readline() == "taken\n"
            yield child
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()


def test_nobody_holds_what_was_never_taken(path):
    assert lock.holder(path) is None


def test_the_lock_is_a_file_beside_the_store_that_others_cannot_read(path):
    with taken(path):
        assert lock.lock_path(path) == path.with_name("alphapanda.db.lock")
        assert lock.lock_path(path).stat().st_mode & 0o777 == 0o600
        assert not path.exists()


def test_another_process_is_refused_and_told_the_pid(path):
    with taken_by_a_child(path) as child:
        assert lock.holder(path) == child.pid
        with pytest.raises(CannotStart, match=rf"in use by the daemon with pid {child.pid}; stop it first"):
            lock.take(path)
        assert lock.holder(path) == child.pid


def test_the_lock_ends_with_its_process_however_that_ended(path):
    with taken_by_a_child(path):
        pass
    assert lock.lock_path(path).exists()
    assert lock.holder(path) is None
    with taken(path):
        assert lock.holder(path) == os.getpid()
    assert lock.holder(path) is None


def test_a_lock_file_with_anything_in_it_is_harmless(path):
    lock.lock_path(path).write_text("4194304 and a long story")
    with taken(path):
        assert lock.holder(path) == os.getpid()


def test_a_child_does_not_inherit_the_lock(path):
    with taken(path):
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
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            lock.holder(path)

    with taken(path):
        pass
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(200):
            with taken(path):
                pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_folder_that_cannot_be_made_is_said_with_the_key_to_change(tmp_path):
    (tmp_path / "var").write_text("a file")
    with pytest.raises(CannotStart, match=r"cannot be made: .*; check storage.path"):
        lock.take(tmp_path / "var" / "alphapanda.db")
