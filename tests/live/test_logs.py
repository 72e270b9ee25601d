"""The log as it comes out of a process: for people, for the journal, for programs; stuck, closed, full."""

import json
import logging
import os
import pty
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from loguru import logger
from running import FINISH_S, environment, eventually

from alphapanda.config import Logging
from alphapanda.config.redaction import STRUCK, Redactor
from alphapanda.errors import CannotStart
from alphapanda.live import logs
from alphapanda.live.logs import lost, start_logging, stop_logging

CANARY = "CaNaRy7f3a"
TIME = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{3}\+05:30"
CHANNELS = ("trading", "market_data", "database", "performance", "monitoring", "api", "audit", "error")


class Console:
    """`start` starts the log, `text` is what it wrote until now."""

    def __init__(self):
        self.written = []

    def start(self, **settings):
        start_logging(Logging(**settings), self.written.append)

    def text(self):
        stop_logging()
        return "".join(self.written)


@pytest.fixture
def console(monkeypatch):
    redactor = Redactor()
    redactor.learn([CANARY])
    monkeypatch.setattr(logs, "redact", redactor)
    yield Console()
    stop_logging()


def test_a_line_has_time_with_offset_level_channel_and_message(console):
    console.start()
    logger.bind(channel="trading").info("bought {} at {}", 3, 100.05)
    logger.warning("unbound")
    first, second = console.text().splitlines()
    assert re.fullmatch(rf"{TIME} INFO    trading      bought 3 at 100\.05", first)
    assert re.fullmatch(rf"{TIME} WARNING monitoring   unbound", second)


def test_every_line_has_the_mode_whoever_says_it(console):
    for settings in ({}, {"json_format": True}):
        start_logging(Logging(**settings), console.written.append, "REHEARSAL")
        logger.bind(channel="trading").info("ours")
        logging.getLogger("asyncio").warning("another's")
    *plain, ours, others = console.text().splitlines()
    assert [" REHEARSAL " in line for line in plain] == [True, True]
    assert [json.loads(line)["mode"] for line in (ours, others)] == ["REHEARSAL", "REHEARSAL"]


def test_what_is_paper_is_not_said_in_every_line(console):
    console.start(json_format=True)
    logger.info("x")
    assert "mode" not in json.loads(console.text())


@pytest.mark.parametrize("level", ["INFO", "ERROR", "CRITICAL"])
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_record_keeps_its_channel_whatever_its_level(console, channel, level):
    console.start(json_format=True)
    logger.bind(channel=channel).log(level, "x")
    found = json.loads(console.text())
    assert (found["channel"], found["level"]) == (channel, level)


def test_json_is_one_object_a_line_with_the_exception_as_text(console):
    console.start(json_format=True)
    try:
        int("two\nlines")
    except ValueError:
        logger.exception('a "quoted" {} \ud800', "word")
    (line,) = console.text().splitlines()
    found = json.loads(line)
    assert set(found) == {"time", "level", "channel", "message", "exception"}
    assert re.fullmatch(TIME, found["time"])
    assert found["message"] == 'a "quoted" word \\ud800'
    assert found["exception"].startswith("Traceback")
    assert found["exception"].endswith("invalid literal for int() with base 10: 'two\\nlines'")


@pytest.mark.parametrize("json_format", [False, True])
def test_a_secret_is_not_in_a_message_nor_in_a_traceback(console, json_format):
    console.start(json_format=json_format)

    def fails():
        held = f"in a variable {CANARY}"
        raise ValueError(held)

    try:
        fails()
    except ValueError as error:
        logger.exception("the token is {}: {!r}", CANARY, error)
    text = console.text()
    assert CANARY not in text
    assert text.count(STRUCK) >= 3
    assert "in fails" in text


def test_what_a_terminal_would_obey_is_shown_and_not_obeyed(console):
    console.start()
    logger.info("a reason: {}", "\x1b[31mred\x1b]0;title\x07\rover\x00\x9b1m\tstays\nstays")
    assert console.text().endswith(
        r"a reason: \x1b[31mred\x1b]0;title\x07\x0dover\x00\x9b1m" + "\tstays\nstays\n"
    )


def test_other_libraries_and_warnings_speak_through_the_same_log(console):
    console.start()
    logging.getLogger("redis").warning("cannot reach %s", CANARY)
    logging.getLogger("quiet").info("not shown")
    (ours,) = [each for each in logging.root.handlers if type(each).__module__ == logs.__name__]
    ours.handle(logging.makeLogRecord({"name": "redis", "levelname": "X", "msg": "bad %s %s", "args": (1,)}))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(f"old {CANARY}", stacklevel=1)
    text = console.text()
    assert re.search(rf"WARNING monitoring   redis: cannot reach {re.escape(STRUCK)}\n", text)
    assert f"old {STRUCK}" in text
    assert "WARNING monitoring   redis: bad %s %s\n" in text
    assert "not shown" not in text
    assert CANARY not in text


def test_the_level_is_the_least_that_is_shown(console):
    console.start(level="WARNING")
    logger.info("quiet")
    logger.warning("loud")
    assert "loud" in console.text()
    assert "quiet" not in console.text()


def test_starting_again_does_not_double_the_lines(console):
    console.start()
    console.start()
    logger.info("once")
    assert console.text().count("once") == 1


def test_files_have_every_line_with_its_channel(tmp_path, console):
    start_logging(Logging(console_enabled=False, file_enabled=True, logs_dir=str(tmp_path / "logs")), print)
    logger.bind(channel="audit").warning("kill switch on")
    stop_logging()
    assert re.fullmatch(
        rf"{TIME} WARNING audit        kill switch on\n", (tmp_path / "logs/alphapanda.log").read_text()
    )


def test_a_folder_that_cannot_be_written_stops_the_start_with_its_key(tmp_path, console):
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match=r"logging\.logs_dir: .*file.* cannot be written: .*; correct it"):
        start_logging(Logging(file_enabled=True, logs_dir=str(tmp_path / "file")), print)


def test_a_console_that_fails_is_counted_and_the_line_goes_on(console):
    def broken(_text):
        raise BrokenPipeError

    start_logging(Logging(), broken)
    logger.info("nobody hears this")
    eventually(lost)
    assert lost() == 1


SPEAKS = """
import sys
from loguru import logger
from alphapanda.config import Logging
from alphapanda.live.logs import start_logging
start_logging(Logging(json_format="json" in sys.argv))
log = logger.bind(channel="trading")
log.info("first")
log.debug("quiet")
log.warning("two\\n\\nlines")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("third")
"""


def spoken(*words, **streams):
    """stderr of a process that logs and ends; what is in a file is read from it."""
    env = environment({"PYTHONFAULTHANDLER": "1"} | streams.pop("env", {}))
    return subprocess.run(
        [sys.executable, "-c", streams.pop("script", SPEAKS), *words],
        env=env,
        timeout=FINISH_S,
        check=True,
        **streams,
    )


def in_journal(path, *words):
    """stderr is a file that systemd named, as it names its socket to the journal."""
    with Path(path).open("w+") as journal:
        stream = os.fstat(journal.fileno())
        spoken(
            *words,
            stderr=journal,
            env={"JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}", "INVOCATION_ID": "1"},
        )
        return Path(path).read_text().splitlines()


def test_in_the_journal_each_line_has_its_priority_and_no_time(tmp_path):
    lines = in_journal(tmp_path / "journal")
    assert lines[0] == "<6>INFO    trading      first"
    assert lines[1] == "<4>WARNING trading      two"
    assert lines[2] == "<4>lines"
    assert all(line.startswith("<3>") for line in lines[3:])
    assert lines[3] == "<3>ERROR   trading      third"
    assert lines[-1] == "<3>ZeroDivisionError: division by zero"


def test_json_in_the_journal_has_the_priority_before_it(tmp_path):
    lines = in_journal(tmp_path / "journal", "json")
    assert [line[:3] for line in lines] == ["<6>", "<4>", "<3>"]
    assert [json.loads(line[3:])["message"] for line in lines] == ["first", "two\n\nlines", "third"]


def test_a_variable_left_from_another_process_does_not_make_a_file_the_journal(tmp_path):
    done = spoken(capture_output=True, text=True, env={"JOURNAL_STREAM": "8:123456", "INVOCATION_ID": "1"})
    assert re.match(rf"{TIME} INFO    trading      first\n", done.stderr)
    assert done.stdout == ""


@pytest.mark.parametrize("no_color", ["", "1"])
def test_on_a_terminal_only_the_level_has_a_colour_and_none_with_no_color(no_color):
    ours, theirs = pty.openpty()
    try:
        spoken(stderr=theirs, env={"NO_COLOR": no_color})
        text = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    coloured = re.findall(r"\x1b\[\d+m(.*?)\x1b\[0m", text)
    assert coloured == ([] if no_color else ["WARNING", "ERROR  "])
    assert ("\x1b" in text) != bool(no_color)


STUCK = """
import os, sys, time
from loguru import logger
from alphapanda.config import Logging
from alphapanda.live.logs import start_logging
start_logging(Logging(), mode="REHEARSAL")
for number in range(30_000):
    logger.info("a line that is long enough to fill any pipe {}", number)
os.write(1, b"done\\n")
"""


def test_a_pipe_that_nobody_reads_holds_up_neither_the_program_nor_its_end():
    read, write = os.pipe()
    try:
        done = spoken(script=STUCK, stderr=write, stdout=subprocess.PIPE)
        assert done.stdout == b"done\n"
    finally:
        os.close(read)
        os.close(write)


def test_a_reader_that_comes_back_is_told_how_many_lines_are_missing():
    script = STUCK + "sys.stdin.readline(); logger.info('the last words')\n"
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=write
    )
    os.close(write)
    try:
        assert process.stdout.readline() == b"done\n"
        process.stdin.write(b"\n")
        process.stdin.flush()
        with os.fdopen(read) as lines:
            text = lines.read()
        assert process.wait(FINISH_S) == 0
    finally:
        process.kill()
        process.communicate()
    missing = [int(found) for found in re.findall(r"(\d+) lines of this log are missing here", text)]
    assert text.count("a line that is long") + sum(missing) == 30_000
    assert missing
    assert text.endswith("the last words\n")
    assert all(" REHEARSAL " in line for line in text.splitlines())


def test_a_closed_stderr_and_a_full_disk_are_not_the_programs_business():
    with Path("/dev/full").open("w") as full:
        assert spoken(stderr=full).returncode == 0
    read, write = os.pipe()
    os.close(read)
    assert spoken(stderr=write).returncode == 0
    os.close(write)
    assert spoken(script=f"import os; os.close(2)\n{SPEAKS}").returncode == 0


@pytest.fixture(autouse=True)
def _in_another_zone(monkeypatch):
    """The machine's zone does not matter."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
