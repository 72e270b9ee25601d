"""What Python itself prints when something is raised and nobody catches it, without secrets.

Tracebacks have no values of variables, but their last line is the text of the error, which may hold one.
"""

import os
import sys
import threading
import traceback
import warnings
from io import TextIOWrapper
from types import TracebackType
from typing import Any, TextIO


def install() -> None:
    """For the whole process. The imports wait until something is said: `alphapanda -h` is quick."""
    _hold_descriptors()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # ₹ in the C locale is a ?, not an error
    sys.excepthook = _exception
    threading.excepthook = _in_thread
    sys.unraisablehook = _unraisable
    warnings.showwarning = _warning


def _hold_descriptors() -> None:
    """Started with stderr closed, the next file opened (the store!) would get its number and the log."""
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def without_secrets(text: str) -> str:
    from alphapanda.config.redaction import learn_surroundings, redact

    learn_surroundings()  # an error may come before any configuration is loaded
    return redact(text)


def say_last(text: str) -> None:
    """To stderr, after the lines of the log that still wait to be written."""
    if logs := sys.modules.get("alphapanda.live.logs"):
        logs.flush()
    print(without_secrets(text), file=sys.stderr)  # noqa: T201 - the end of an error


def _exception(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    say_last("".join(traceback.format_exception(kind, error, where)).rstrip("\n"))


def _in_thread(args: Any) -> None:
    if args.exc_type is not SystemExit:
        name = args.thread.name if args.thread is not None else "?"
        trace = traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)
        say_last(f"Exception in thread {name}:\n{''.join(trace)}".rstrip("\n"))


def _unraisable(args: Any) -> None:
    """From a destructor: the object's own repr may be anything, and may raise."""
    where = getattr(args.object, "__qualname__", type(args.object).__qualname__)
    trace = traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)
    say_last(f"{args.err_msg or 'Exception ignored in'} {where}:\n{''.join(trace)}".rstrip("\n"))


def _warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - as warnings calls it
    line: str | None = None,
) -> None:
    say_last(warnings.formatwarning(message, category, filename, lineno, line).rstrip("\n"))
