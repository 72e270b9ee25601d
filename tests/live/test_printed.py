"""What a strategy prints: whole lines of the log, whoever prints, however it is cut, and without secrets."""

# ruff: noqa: T201 - they print

import gc
import io
import sys
import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from alphapanda.config import Logging
from alphapanda.config.redaction import STRUCK, Redactor
from alphapanda.live import logs, printed
from alphapanda.live.logs import start_logging, stop_logging
from alphapanda.live.printed import LONGEST, Lines

CANARY = "CaNaRy7f3a"


@pytest.fixture
def secret(monkeypatch):
    """What the process knows to be one."""
    redactor = Redactor()
    redactor.learn([CANARY])
    for module in (logs, printed):
        monkeypatch.setattr(module, "redact", redactor)
    return CANARY


@pytest.fixture
def said(logged):
    """What was printed, as the log has it."""
    return lambda: [line.removeprefix("printed: ").removesuffix("\n") for line in logged]


def test_a_print_is_one_line_however_many_pieces_it_is_written_in(said):
    with printed.printed():
        print("trading", 700, {"a": 1}, sep=" ")
        print("one\n\ntwo\r\n  three ", end="", flush=True)
        assert said() == ["trading 700 {'a': 1}", "one", "two"]
    assert said()[3:] == ["  three"]
    assert "printed" not in str(sys.stdout)


def test_the_line_says_that_it_was_printed_and_is_of_the_trading_channel():
    found = []
    sink = logger.add(lambda message: found.append(message.record))
    try:
        with printed.printed():
            print("{not} a {format}")
    finally:
        logger.remove(sink)
    ((record,)) = found
    assert record["message"] == "printed: {not} a {format}"
    assert (record["extra"]["channel"], record["level"].name) == ("trading", "INFO")


@given(st.lists(st.text(max_size=20)), st.data())
def test_no_character_is_lost_wherever_its_bytes_are_cut(texts, data):
    found = []
    lines = Lines()
    lines._log = found.append
    octets = "\n".join(texts).encode(errors="replace")
    while octets:
        size = data.draw(st.integers(1, len(octets)))
        assert lines.write(octets[:size]) == size
        octets = octets[size:]
    lines.end()
    whole = "\n".join(texts).encode(errors="replace").decode().split("\n")
    assert found == [line.rstrip() for line in whole if line.rstrip()]


def test_threads_do_not_write_into_each_others_lines(said):
    def prints(name):
        begun.wait()
        for number in range(200):
            print(name, number, name)

    begun = threading.Barrier(4)
    threads = [threading.Thread(target=prints, args=(name,)) for name in "abcd"]
    with printed.printed():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name in "abcd":
        mine = [line for line in said() if line[0] == name]
        assert mine == [f"{name} {number} {name}" for number in range(200)]


def test_what_a_thread_left_unfinished_is_said_at_the_end(said):
    with printed.printed():
        thread = threading.Thread(target=lambda: print("not yet", end=""))
        thread.start()
        thread.join()
        assert said() == []
    assert said() == ["not yet"]


def test_a_line_that_never_ends_is_said_in_parts_and_holds_no_more_memory_than_two(said):
    stream = Lines()
    for _ in range(50):
        stream.write(b"x" * 1000)
        assert len(stream._unfinished[threading.get_ident()][1]) <= 2 * LONGEST
    stream.write(b"\n" + b"y" * (LONGEST + 1) + b"\n")
    assert "".join(said()) == "x" * 50_000 + "y" * (LONGEST + 1)
    assert {len(line) for line in said()[:-3]} == {LONGEST}


@pytest.mark.parametrize("before", [LONGEST - 3, 2 * LONGEST - 3, 2 * LONGEST - len(CANARY), 3 * LONGEST - 3])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_secret_on_the_edge_of_two_parts_is_struck_out(said, secret, before, at_once):
    stream, text = Lines(), "x" * before + secret + "y" * LONGEST + "\n"
    for piece in [text] if at_once else text:
        stream.write(piece.encode())
    found = "".join(said())
    assert found == text.rstrip().replace(secret, STRUCK)
    assert not any(line.endswith(secret[:3]) for line in said())


def test_bytes_surrogates_and_what_is_asked_of_a_stream(said):
    with printed.printed():
        sys.stdout.buffer.write("₹\nह".encode())
        sys.stdout.buffer.write(b"\xff\n")
        sys.stdout.write("half \udc80 of one\n")
        sys.stdout.writelines(["a", "b\n"])
        sys.stdout.reconfigure(line_buffering=True)
        assert (sys.stdout.encoding, sys.stdout.isatty(), sys.stdout.writable()) == ("utf-8", False, True)
        with pytest.raises(io.UnsupportedOperation):
            sys.stdout.fileno()
    assert said() == ["₹", "ह\\xff", "half \\udc80 of one", "ab"]


def test_who_closes_it_does_not_close_it_for_the_others(said):
    with printed.printed():
        with sys.stdout:
            print("mine")
        print("others")
    assert said() == ["mine", "others"]


def test_what_is_kept_of_it_may_be_written_to_after_the_end(said):
    with printed.printed():
        kept = sys.stdout
    print("late", file=kept)
    assert said() == ["late"]


class Dies:
    """A cycle, so that a collection ends it: anywhere, in the middle of a line of the log too."""

    def __init__(self):
        self.me = self

    def __del__(self):
        print("a destructor")


def test_a_destructor_that_prints_while_a_line_is_on_its_way_is_heard_after_it():
    """There its print would be a line of the log within another, which the log refuses."""
    found = []

    def write(message):
        gc.collect()
        found.append(str(message))

    sink = logger.add(write, format="{message}", catch=False)
    try:
        with printed.printed():
            Dies()
            print("one")
            print("two")
    finally:
        logger.remove(sink)
    assert found == ["printed: one\n", "printed: a destructor\n", "printed: two\n"]


def test_a_destructor_that_prints_while_its_thread_has_the_queue_of_the_log_does_not_hang():
    written = []
    start_logging(Logging(), written.append)
    try:
        (writer,) = logs._writers
        with printed.printed():
            Dies()
            with writer._changed:
                gc.collect()
    finally:
        stop_logging()
    assert "printed: a destructor\n" in "".join(written)


def test_nobody_who_prints_waits_for_a_console_that_nobody_reads():
    stuck = SimpleNamespace(free=threading.Event(), began=threading.Event(), written=[])

    def write(text):
        stuck.began.set()
        stuck.free.wait()
        stuck.written.append(text)

    start_logging(Logging(), write)
    try:
        with printed.printed():
            print("first")
            assert stuck.began.wait(60)
            for number in range(2 * 10_000):
                print(number)
            lost = logs.lost()
    finally:
        stuck.free.set()
        stop_logging()
    assert lost >= 10_000
    assert "printed: 19999\n" in "".join(stuck.written)
