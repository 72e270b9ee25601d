"""Ctrl-C that cannot get lost: a wait asks for it, instead of being struck by it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def remembered() -> Iterator[Callable[[], None]]:
    """Within, Ctrl-C only leaves its mark; what is given raises KeyboardInterrupt once one has come.

    A KeyboardInterrupt that strikes in a callback of Python's own, as imports have them, is printed and
    dropped (https://docs.python.org/3/library/weakref.html): the wait would go on. For the main thread alone.
    """
    came = False

    def mark(_number: int, _frame: object) -> None:
        nonlocal came
        came = True

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, mark)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
