"""stop: ask the daemon to drain and leave, and wait until it has."""

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alphapanda.cli import unit
from alphapanda.cli.context import context_of, say_mode
from alphapanda.cli.daemon import missed
from alphapanda.cli.output import say
from alphapanda.errors import Fatal, NotRunning

if TYPE_CHECKING:
    from alphapanda.config import Loaded

ASK_S = 1.0
POLL_S = 0.05


def stop(
    ctx: typer.Context,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="How long to wait, in seconds.")] = 30.0,
) -> None:
    """Stop the daemon and wait for the drain.

    Positions and resting orders stay as they are. A daemon of systemd is stopped by systemd.

    Example: alphapanda stop
    """
    loaded = context_of(ctx).load()
    say_mode(Path(loaded.settings.storage.path))
    if unit.runs(loaded) and unit.is_working():
        unit.tell("stop")
        say(f"stopped by systemd ({unit.UNIT})")
        return
    pid = stopped(loaded, timeout)
    say(f"stopped (pid {pid})")


def stopped(loaded: "Loaded", timeout: float) -> int:
    """The id of the daemon that has drained and left. Raises NotRunning when there was none."""
    from alphapanda.live.control import Unreachable, ask
    from alphapanda.store import lock

    store, socket = Path(loaded.settings.storage.path), Path(loaded.settings.control.socket)
    try:
        pid = int(ask(socket, {"command": "stop"}, ASK_S)["result"]["pid"])
    except (Unreachable, KeyError):
        found = lock.holder(store)
        if found is None:
            missed(loaded)
            raise NotRunning(f"no daemon runs on {store}; `alphapanda start` starts one") from None
        pid = found
        _terminate(pid)
    deadline = time.monotonic() + timeout
    while _runs(pid) and not _let_go(store, pid):
        if time.monotonic() > deadline:
            raise Fatal(
                f"the daemon with pid {pid} is still stopping after {timeout:g} s; its log says why;"
                f" `kill -9 {pid}` ends it at once, and the next start recovers"
            )
        time.sleep(POLL_S)
    return pid


def _terminate(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return  # it has just left
    except PermissionError as error:
        raise Fatal(f"the daemon with pid {pid} belongs to another user; stop it as that user") from error


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _let_go(store: Path, pid: int) -> bool:
    """The lock is given up after the last commit; a member of the control group may not look at it."""
    from alphapanda.store import lock

    try:
        return lock.holder(store) != pid
    except Fatal:
        return False
