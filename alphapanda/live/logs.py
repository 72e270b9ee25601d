"""The log: one line an event to stderr, and to a file when asked; no variable values in tracebacks."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loguru import logger

from alphapanda.config import Logging

FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS} {level: <7} {message}"
FILE_SIZE = "20 MB"
FILES_KEPT = 10


def to_stderr(line: str) -> None:
    sys.stderr.write(line)


def start_logging(settings: Logging, write: Callable[[str], None] = to_stderr) -> None:
    """`write` is the console; loguru's own default, which prints variables in tracebacks, is removed."""
    logger.remove()
    shape: dict[str, Any] = {
        "level": settings.level,
        "format": FORMAT,
        "serialize": settings.json_format,
        "diagnose": False,
        "backtrace": False,
    }
    if settings.console_enabled:
        logger.add(write, colorize=False, **shape)
    if settings.file_enabled:
        path = Path(settings.logs_dir) / "alphapanda.log"
        logger.add(path, rotation=FILE_SIZE, retention=FILES_KEPT, **shape)
