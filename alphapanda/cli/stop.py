"""stop: ask the daemon to drain and leave, and wait until it has."""

import os
import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from alphapanda.cli.context import context_of
from alphapanda.cli.output import say
from alphapanda.errors import Fatal, NotRunning

ASK_S = 1.0
POLL_S = 0.05


def stop(
    ctx: typer.Context,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="How long to wait, in seconds.")] = 30.0,
) -> None:
    """Stop the daemon and wait for the drain. Positions and resting orders stay as they are.

    Example: alphapanda stop
    """
    from alphapanda.live.control import Unreachable, ask
    from alphapanda.store import lock

    settings = context_of(ctx).load().settings
    store, socket = Path(settings.storage.path), Path(settings.control.socket)
    try:
        pid = ask(socket, {"command": "stop"}, ASK_S)["result"]["pid"]
    except (Unreachable, KeyError):
        pid = lock.holder(store)
        if pid is None:
            raise NotRunning(f"no daemon runs on {store}") from None
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while _runs(pid) and not _let_go(store, pid):
        if time.monotonic() > deadline:
            raise Fatal(f"the daemon with pid {pid} is still stopping after {timeout:g} s; see its log")
        time.sleep(POLL_S)
    say(f"stopped (pid {pid})")


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _let_go(store: Path, pid: int) -> bool:
    """The lock is given up after the last commit; a member of the control group may not look at it."""
    from alphapanda.store import lock

    try:
        return lock.holder(store) != pid
    except Fatal:
        return False
