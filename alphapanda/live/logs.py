"""The log: one line an event, to the journal, a terminal, a pipe or a file, without secrets.

Modules say what they are about: `log = logger.bind(channel="trading")`; channels are trading, market_data,
database, performance, monitoring, api, audit and error. Tracebacks have no values of variables, and known
secrets are struck out of everything. Other libraries' logs and Python's warnings come this way as well.
"""

import atexit
import logging
import os
import re
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from loguru import logger

from alphapanda.config import Logging
from alphapanda.config.redaction import redact
from alphapanda.errors import CannotStart
from alphapanda.live.log_writer import LogFile, LogWriter, stderr_is_journal, stderr_is_terminal, to_stderr
from alphapanda.times import IST

LAST_LINES_S = 2.0
"""How long the end of the process waits for its last lines to be written."""
UNBOUND = "monitoring"

PRIORITIES = {
    "TRACE": 7,
    "DEBUG": 7,
    "INFO": 6,
    "SUCCESS": 5,
    "WARNING": 4,
    "ERROR": 3,
    "CRITICAL": 2,
}
"""sd-daemon(3): a line that begins with <3> is an error."""
COLOURS = {"TRACE": 2, "DEBUG": 2, "SUCCESS": 32, "WARNING": 33, "ERROR": 31, "CRITICAL": 31}

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal would obey, from a reason or a file; lines and tabs stay."""

Record = dict[str, Any]
Shape = Callable[[Record], str]

_writers: list[LogWriter] = []


def start_logging(settings: Logging, write: Callable[[str], None] | None = None, mode: str = "") -> None:
    """`write` puts a line on the console, above a progress bar, say; None is stderr. Each line has `mode`.

    What was started before is replaced. Raises CannotStart when the log file cannot be written.
    """
    stop_logging()
    logger.configure(handlers=[], extra={"channel": UNBOUND, "mode": mode})
    json = settings.json_format
    if settings.console_enabled:
        in_journal = stderr_is_journal(os.environ.get("JOURNAL_STREAM"))
        coloured = stderr_is_terminal() and not os.environ.get("NO_COLOR")
        shape = _console(json, in_journal=in_journal, coloured=coloured)
        _add(shape, write or to_stderr, settings.level, mode)
    if settings.file_enabled:
        _add(_json if json else _plain, _file(settings).write, settings.level, mode)
    logging.root.addHandler(_FromOthers())
    logging.captureWarnings(True)
    atexit.register(stop_logging)


def flush(within_s: float = LAST_LINES_S) -> None:
    """Wait until the lines so far are written, but not longer."""
    for writer in _writers:
        writer.flush(within_s)


def stop_logging() -> None:
    """The last lines are written, if anybody takes them in time."""
    atexit.unregister(stop_logging)
    logger.remove()
    while _writers:
        _writers.pop().close(LAST_LINES_S)
    logging.captureWarnings(False)
    for handler in list(logging.root.handlers):
        if isinstance(handler, _FromOthers):
            logging.root.removeHandler(handler)


def lost() -> int:
    """Lines that nobody took."""
    return sum(writer.lost for writer in _writers)


def _add(shape: Shape, write: Callable[[str], None], level: str, mode: str) -> None:
    writer = LogWriter(write, lambda missing: shape(_about_missing(missing, mode)))
    _writers.append(writer)
    logger.add(
        lambda message: writer.put(shape(dict(message.record))),
        level=level,
        format=lambda _record: "{message}",
        colorize=False,
        backtrace=False,
        diagnose=False,
        catch=False,  # loguru would print the record to stderr, unredacted
    )


def _file(settings: Logging) -> LogFile:
    try:
        return LogFile(Path(settings.logs_dir))
    except OSError as error:
        raise CannotStart(
            f"logging.logs_dir: {settings.logs_dir} cannot be written: {error.strerror}; correct it"
            " or set logging.file_enabled to false"
        ) from error


def _console(json: bool, *, in_journal: bool, coloured: bool) -> Shape:
    if in_journal:
        return lambda record: _for_journal(record, _json(record) if json else _line(record, ""))
    if json:
        return _json
    return _coloured if coloured else _plain


def _for_journal(record: Record, text: str) -> str:
    """The journal makes an entry of each line; without a prefix of its own it would be of no priority."""
    prefix = f"<{PRIORITIES.get(record['level'].name, 6)}>"
    return "".join(f"{prefix}{line}\n" for line in text.split("\n") if line)


def _plain(record: Record) -> str:
    return _line(record, f"{_time(record)} ")


def _coloured(record: Record) -> str:
    return _line(record, f"{_time(record)} ", COLOURS.get(record["level"].name))


def _line(record: Record, time: str, colour: int | None = None) -> str:
    level = f"{record['level'].name:<7}"
    if colour is not None:
        level = f"\x1b[{colour}m{level}\x1b[0m"
    text = redact("\n".join(filter(None, (record["message"], _exception(record)))))
    mode = _mode(record)
    said = f"{mode} {text}" if mode else text
    return f"{time}{level} {_channel(record):<12} {_CONTROL.sub(_visible, said)}\n"


def _visible(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"


def _json(record: Record) -> str:
    """Redacted before it is JSON, so that the document stays one whatever the secret is."""
    fields = {
        "time": _time(record, "T"),
        "level": record["level"].name,
        "channel": _channel(record),
        "message": redact(record["message"]),
    }
    if mode := _mode(record):
        fields["mode"] = mode
    if exception := _exception(record):
        fields["exception"] = redact(exception)
    return msgspec.json.encode({name: _encodable(text) for name, text in fields.items()}).decode() + "\n"


def _encodable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _time(record: Record, between: str = " ") -> str:
    moment: datetime = record["time"]
    return moment.astimezone(IST).isoformat(between, "milliseconds")


def _channel(record: Record) -> str:
    return str(record["extra"].get("channel", UNBOUND))


def _mode(record: Record) -> str:
    return str(record["extra"].get("mode", ""))


def _exception(record: Record) -> str:
    if not record["exception"]:
        return ""
    kind, error, where = record["exception"]
    return "".join(traceback.format_exception(kind, error, where)).rstrip("\n")


def _about_missing(missing: int, mode: str) -> Record:
    return {
        "time": datetime.now(IST),
        "level": logger.level("WARNING"),
        "message": f"{missing} lines of this log are missing here: nobody took them in time",
        "extra": {"mode": mode},
        "exception": None,
    }


class _FromOthers(logging.Handler):
    """What libraries say through Python's own logging, and its warnings, in our lines."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname if record.levelname in PRIORITIES else "WARNING"
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # their format does not fit their values
            message = str(record.msg)
        logger.opt(exception=record.exc_info).log(level, "{}: {}", record.name, message.strip())
