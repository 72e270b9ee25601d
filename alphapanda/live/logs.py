"""The daemon's log: one line an event to stderr, no variable values in tracebacks."""

import sys
from collections.abc import Callable

from loguru import logger

FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS} {level: <7} {message}"


def _to_stderr(line: str) -> None:
    sys.stderr.write(line)


def log_to_terminal(level: str, write: Callable[[str], None] = _to_stderr) -> None:
    """Send every message of at least `level` to `write`."""
    logger.remove()
    logger.add(write, level=level, format=FORMAT, colorize=False, diagnose=False, backtrace=False)
