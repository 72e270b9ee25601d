"""`alphapanda` and `python -m alphapanda`."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """Before anything has begun there is nothing to drain: stopped on request."""
    sys.stderr.flush()
    os._exit(0)


def main() -> NoReturn:
    """Signals are heard before the imports, which take a while."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    from alphapanda.cli.app import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
