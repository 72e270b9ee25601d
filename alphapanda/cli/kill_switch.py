"""kill-switch: halt trading at once, with the daemon running, stuck or stopped; and the only way back."""

import os
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from alphapanda.cli.context import context_of, say_mode
from alphapanda.cli.daemon import missed, who
from alphapanda.cli.options import Json
from alphapanda.cli.output import cleaned, print_json, say, warn
from alphapanda.errors import CannotStart, Fatal

ASK_S = 1.0
LONGEST_REASON = 200
NOT_REACHED = 1

app = typer.Typer(
    help="Halt trading at once, allow it again, show which it is.",
    epilog="Example: alphapanda kill-switch status",
    no_args_is_help=True,
)


@app.command("on")
def on(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the journal.")] = "operator",
    json: Json = False,
) -> None:
    """Stop new orders at once and cancel resting ones. Positions stay. Holds until `off`.

    What `close` and `close-all` have ordered goes on; `alphapanda cancel-all` ends that too. Exit code 1 when
    no daemon was reached, but others run: with another --config or --env.

    Example: alphapanda kill-switch on --reason "prices look wrong"
    """
    _switch(ctx, reason, turn_on=True, json=json)


@app.command("off")
def off(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the journal.")],
    json: Json = False,
) -> None:
    """Allow trading again. Strategies start with empty windows.

    Example: alphapanda kill-switch off --reason "feed is back"
    """
    _switch(ctx, reason, turn_on=False, json=json)


@app.command("status")
def status(ctx: typer.Context, json: Json = False) -> None:
    """Is it on, since when, why.

    Example: alphapanda kill-switch status
    """
    from alphapanda.cli.status import stopped
    from alphapanda.live.control import Unreachable, ask

    loaded = context_of(ctx).load()
    settings = loaded.settings
    store, socket = Path(settings.storage.path), Path(settings.control.socket)
    try:
        found = ask(socket, {"command": "status"}, ASK_S)["result"]
        where = f"daemon pid {found['pid']}"
    except Unreachable:
        found, where = stopped(store, settings), "no daemon"
        missed(loaded)
    _print(found["kill_switch"], store, where, json)


def _switch(ctx: typer.Context, reason: str, *, turn_on: bool, json: bool) -> None:
    from alphapanda.live.control import Unreachable, ask
    from alphapanda.store import lock

    loaded = context_of(ctx).load()
    settings = loaded.settings
    store, kill_file = Path(settings.storage.path), Path(settings.control.kill_file)
    reason = " ".join(reason.encode(errors="replace").decode().split())[:LONGEST_REASON]
    if not reason:
        raise typer.BadParameter("say why, in a few words", param_hint="--reason")
    command = "kill_switch_on" if turn_on else "kill_switch_off"
    request = {"command": command, "reason": reason, "by": who()}
    try:
        reply = ask(Path(settings.control.socket), request, ASK_S if turn_on else 10 * ASK_S)
    except Unreachable:
        pid = lock.holder(store)
        if pid is None:
            pid = _of_stopped_daemon(store, kill_file, reason, turn_on)
        if pid is None:
            if settings.redis.enabled:
                _tell_redis(settings.redis.url, turn_on)
            _print(_stored(store), store, "no daemon runs", json)
            if missed(loaded) and turn_on:
                raise typer.Exit(NOT_REACHED) from None
        elif turn_on:
            _of_stuck_daemon(pid, kill_file, reason)
            said = {"on": True, "reason": reason, "by": who()}
            _print(said, store, f"kill file and SIGUSR1, daemon pid {pid}", json)
        else:
            raise Fatal(f"the daemon with pid {pid} does not answer; the kill switch stays on") from None
        return
    if not reply.get("ok"):
        if turn_on and (pid := lock.holder(store)) is not None:
            _of_stuck_daemon(pid, kill_file, reason)
        raise Fatal(reply.get("error"))
    _print(reply["result"]["kill_switch"], store, "daemon answered", json)


def _of_stopped_daemon(store: Path, kill_file: Path, reason: str, turn_on: bool) -> int | None:
    """Write the store, unless a daemon takes it just then: its process id."""
    from alphapanda.store import lock, offline

    # As a running daemon has it: a second `on` keeps the first reason, and an `off` that ends nothing is not
    # written down, for it would empty every window at the next start.
    if bool(offline.kill_switch(store)["is_on"]) is not turn_on or (kill_file.exists() and not turn_on):
        try:
            offline.switch(store, on=turn_on, reason=reason, by=who())
        except CannotStart:
            if pid := lock.holder(store):
                return pid
            raise
    if not turn_on:
        kill_file.unlink(missing_ok=True)
    return None


def _tell_redis(url: str, turn_on: bool) -> None:
    """The store is the truth; but a 0 that Redis still holds would halt the next start."""
    from alphapanda.live.metrics import KEY, mirror

    problem = mirror(url, enabled=not turn_on)
    if problem and turn_on:
        warn(f"Redis has not taken it ({problem}); the store has")
    elif problem:
        warn(
            f"Redis has not taken it ({problem}): a 0 in it halts the next start; "
            f"when it is back, run this again, or: redis-cli set {KEY} 1"
        )


def _of_stuck_daemon(pid: int, kill_file: Path, reason: str) -> None:
    """Two doors that need nothing of the daemon's loop but to come round once."""
    kill_file.parent.mkdir(parents=True, exist_ok=True)
    kill_file.write_text(f"{reason}\n", encoding="utf-8")
    os.kill(pid, signal.SIGUSR1)


def _stored(store: Path) -> dict[str, Any]:
    from alphapanda.store import offline
    from alphapanda.times import to_ist

    row = offline.kill_switch(store)
    return {
        "on": bool(row["is_on"]),
        "reason": row["reason"],
        "by": row["by_whom"],
        "since": to_ist(row["since_ns"]).isoformat() if row["since_ns"] else None,
    }


def _print(switch: dict[str, Any], store: Path, reached: str, json: bool) -> None:
    where = f"store {store}, {reached}"
    if json:
        print_json({"kill_switch": switch, "reached": where})
        return
    say_mode(store)
    state = f"ON: {switch['reason']} (by {switch['by']})" if switch["on"] else "off, trading is enabled"
    say(cleaned(f"kill switch {state} [{where}]"))
