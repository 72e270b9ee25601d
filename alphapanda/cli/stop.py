"""stop: ask the daemon to drain and leave, and wait until it has."""

import os
import signal
import time
from typing import Annotated

import typer

from alphapanda.cli.context import store_of
from alphapanda.cli.output import say
from alphapanda.errors import NotRunning

POLL_S = 0.05


def stop(
    ctx: typer.Context,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="How long to wait, in seconds.")] = 30.0,
) -> None:
    """Stop the daemon and wait for the drain. Positions and resting orders stay as they are.

    Example: alphapanda stop
    """
    from alphapanda.store import lock  # noqa: PLC0415

    store = store_of(ctx)
    pid = lock.holder(store)
    if pid is None:
        raise NotRunning(f"no daemon runs on {store}")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while lock.holder(store) == pid:
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"the daemon with pid {pid} is still stopping after {timeout:g} s; see its log"
            )
        time.sleep(POLL_S)
    say(f"stopped (pid {pid})")
