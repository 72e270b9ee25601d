"""The log's thread: whoever writes a line never waits, and what nobody took is counted."""

import os
import threading
import warnings

import pytest
from running import FINISH_S, eventually

from alphapanda.live.log_writer import LogFile, LogWriter, stderr_is_journal


class Door:
    """A console that may be stuck or broken. `said` is what came through."""

    def __init__(self):
        self.said, self.free, self.problem = [], threading.Event(), None
        self.free.set()

    def write(self, text):
        assert self.free.wait(FINISH_S)
        if self.problem is not None:
            raise self.problem
        self.said += text.splitlines()


@pytest.fixture
def door():
    made = Door()
    yield made
    made.free.set()


@pytest.fixture
def writer(door):
    made = LogWriter(door.write, "{} lost\n".format, capacity=5)
    yield made
    door.free.set()
    made.close(FINISH_S)


def stuck(door, writer):
    """The thread holds one line that it cannot write."""
    door.free.clear()
    writer.put("held\n")
    eventually(lambda: not writer._lines)


def test_lines_are_written_in_the_order_they_came(door, writer):
    for number in range(100):
        writer.put(f"{number}\n")
        assert writer.flush(FINISH_S)
    assert door.said == [str(number) for number in range(100)]


def test_many_threads_lose_no_line(door):
    writer = LogWriter(door.write, str)
    threads = [
        threading.Thread(target=lambda n=n: [writer.put(f"{n} {i}\n") for i in range(200)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.close(FINISH_S)
    assert len(door.said) == 800
    for n in range(4):
        assert [line for line in door.said if line.startswith(f"{n} ")] == [f"{n} {i}" for i in range(200)]


def test_a_console_that_nobody_reads_costs_the_oldest_lines_and_says_so_when_it_flows_again(door, writer):
    stuck(door, writer)
    for number in range(12):
        writer.put(f"{number}\n")  # returns: this is the test
    assert writer.lost == 7
    assert not writer.flush(0.01)
    door.free.set()
    assert writer.flush(FINISH_S)
    assert door.said == ["held", "7 lost", *map(str, range(7, 12))]
    writer.put("later\n")
    assert writer.close(FINISH_S)
    assert door.said[-1] == "later"


@pytest.mark.parametrize(
    "problem", [BrokenPipeError(), OSError(9, "bad file"), OSError(28, "no space"), ValueError("closed")]
)
def test_a_console_that_fails_is_tried_again_with_the_next_line(door, writer, problem):
    door.problem = problem
    for number in range(3):
        writer.put(f"{number}\n")
        assert writer.flush(FINISH_S)
    assert writer.lost == 3
    door.problem = None
    writer.put("back\n")
    assert writer.flush(FINISH_S)
    assert door.said == ["3 lost", "back"]


def test_closing_does_not_wait_for_a_console_that_is_stuck(door, writer):
    stuck(door, writer)
    assert not writer.close(0.01)


def test_nothing_is_written_after_closing(door, writer):
    writer.put("one\n")
    assert writer.close(FINISH_S)
    writer.put("two\n")
    assert not writer.flush(0.01)
    assert door.said == ["one"]


def test_a_child_made_by_fork_has_its_own_queue_even_when_the_parent_was_stuck(door, writer):
    stuck(door, writer)
    writer.put("of the parent\n")
    mine, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of a fork beside threads
        child = os.fork()
    if child == 0:
        try:
            writer._write = lambda text: os.write(theirs, text.encode())
            writer.put("of the child\n")
            os._exit(0 if writer.flush(FINISH_S) else 1)
        finally:
            os._exit(2)
    os.close(theirs)
    with os.fdopen(mine) as said:
        assert said.read() == "of the child\n"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_full_file_makes_room_and_only_so_many_are_kept(tmp_path):
    file = LogFile(tmp_path / "logs", size=10, kept=2)
    for number in range(5):
        file.write(f"line {number} \ud800\n")
    names = {path.name: path.read_text() for path in (tmp_path / "logs").iterdir()}
    assert names == {"alphapanda.log.1": "line 4 \\ud800\n", "alphapanda.log.2": "line 3 \\ud800\n"}


def test_a_file_that_was_moved_away_is_begun_again(tmp_path):
    file = LogFile(tmp_path)
    file.write("one\n")
    (tmp_path / "alphapanda.log").rename(tmp_path / "elsewhere")
    file.write("two\n")
    assert (tmp_path / "alphapanda.log").read_text() == "two\n"


def test_stderr_is_the_journal_only_when_it_is_the_very_one_systemd_named():
    stderr = os.fstat(2)
    assert stderr_is_journal(f"{stderr.st_dev}:{stderr.st_ino}")
    for other in (None, "", "1:2", f"{stderr.st_dev}:{stderr.st_ino + 1}", "x"):
        assert not stderr_is_journal(other)
