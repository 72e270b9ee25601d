"""kill-switch: halt trading at once, with the daemon running, stuck or stopped; and the only way back."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alphapanda.cli.context import context_of, say_mode
from alphapanda.cli.daemon import READ_S, missed, who
from alphapanda.cli.kill_state import Row, held, resting, stored
from alphapanda.cli.options import Json, needed_reason
from alphapanda.cli.output import cleaned, counted, print_json, say, warn
from alphapanda.errors import CannotStart, Fatal

if TYPE_CHECKING:
    from alphapanda.config import Loaded, Settings

ASK_S = 1.0
SWEEP_S = 600.0
"""The daemon answers sooner: it names what is left after n/10 s and 5 s."""
NOT_DONE = 1

app = typer.Typer(
    help="Halt trading at once, allow it again, show which it is.",
    epilog="Example: alphapanda kill-switch status",
    no_args_is_help=True,
)


@app.command("on")
def on(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the journal.")] = "operator",
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Close every position too, once resting orders are cancelled.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be cancelled and closed.")
    ] = False,
    json: Json = False,
) -> None:
    """Stop new orders at once and cancel resting ones. Positions stay. Holds until `off`.

    Waits until nothing rests any more, or says what is left: exit code 1. What `close` and `close-all` have
    ordered goes on; `alphapanda cancel-all` ends that too. With --flatten positions are closed by orders that
    can only reduce them, and watched until all are flat. Exit code 1 also when no daemon was reached, but
    others run: with another --config or --env.

    Example: alphapanda kill-switch on --reason "prices look wrong"
    Example: alphapanda kill-switch on --flatten --dry-run
    """
    loaded = context_of(ctx).load()
    reason = needed_reason(reason)
    if dry_run:
        _show(loaded.settings, flatten=flatten, json=json)
    else:
        _switch_on(loaded, reason, flatten=flatten, json=json)


@app.command("off")
def off(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the journal.")],
    json: Json = False,
) -> None:
    """Allow trading again. Strategies start with empty windows.

    Example: alphapanda kill-switch off --reason "feed is back"
    """
    _switch_off(context_of(ctx).load(), needed_reason(reason), json=json)


@app.command("status")
def status(ctx: typer.Context, json: Json = False) -> None:
    """Is it on, since when, why, and what it could not cancel.

    Example: alphapanda kill-switch status
    """
    from alphapanda.cli.status import stopped
    from alphapanda.live.control import Unreachable, ask

    loaded = context_of(ctx).load()
    settings = loaded.settings
    store, socket = Path(settings.storage.path), Path(settings.control.socket)
    try:
        found = ask(socket, {"command": "status"}, READ_S)["result"]
        where = f"daemon pid {found['pid']}"
    except Unreachable:
        found, where = stopped(store, settings), "no daemon"
        missed(loaded)
    _print(found["kill_switch"], store, where, json=json)


def _switch_on(loaded: "Loaded", reason: str, *, flatten: bool, json: bool) -> None:
    """The daemon's answer means that nothing new leaves any more; it is shown before the sweep is awaited."""
    from alphapanda.live.control import Unreachable, ask

    settings = loaded.settings
    store, socket = Path(settings.storage.path), Path(settings.control.socket)
    request = {"command": "kill_switch_on", "reason": reason, "by": who(), "flatten": flatten}
    try:
        reply = ask(socket, request, ASK_S)
    except Unreachable:
        _on_without_answer(loaded, reason, flatten=flatten, json=json)
        return
    if not reply.get("ok"):
        if (pid := _holder(store)) is not None:
            _of_stuck_daemon(pid, settings, reason, flatten=flatten)
            _print_left(_left_by_stuck_daemon(store))
        raise Fatal(reply.get("error"))
    switch = reply["result"]["kill_switch"]
    if not json:
        _print(switch, store, "daemon answered", json=False)
    swept = _swept(socket) if "leftovers" in switch else switch
    if json:
        _print(swept or switch, store, "daemon answered", json=True)
    if swept is None:
        raise Fatal(
            "the kill switch is on; what became of resting orders the daemon did not say, see its log"
        )
    if swept["leftovers"]:
        if not json:
            _print_left(swept["leftovers"], "; the daemon goes on trying")
        raise typer.Exit(NOT_DONE)


def _swept(socket: Path) -> Row | None:
    """What is left once the daemon has swept; None when it does not say."""
    from alphapanda.live.control import Unreachable, ask

    try:
        reply = ask(socket, {"command": "kill_switch_swept"}, SWEEP_S)
    except Unreachable:
        return None
    return reply["result"]["kill_switch"] if reply.get("ok") else None


def _on_without_answer(loaded: "Loaded", reason: str, *, flatten: bool, json: bool) -> None:
    settings = loaded.settings
    store = Path(settings.storage.path)
    said: Row = {"on": True, "reason": reason, "by": who(), "since": None, "leftovers": []}
    problem = ""
    try:
        pid = _holder(store)
        if pid is None:
            pid = _on_of_stopped_daemon(settings, reason, flatten=flatten)
    except (CannotStart, Fatal) as error:
        # The file holds the next start, and one that runs unseen obeys it as well.
        _write_kill_file(settings, reason, flatten=flatten, because=str(error))
        pid, problem = None, str(error)
    if pid is not None:
        _of_stuck_daemon(pid, settings, reason, flatten=flatten)
        left = said["leftovers"] = _left_by_stuck_daemon(store)
        _print(said, store, f"kill file and SIGUSR1, daemon pid {pid}", json=json)
        if not json:
            _print_left(left)
        if left:
            raise typer.Exit(NOT_DONE)
        return
    if settings.redis.enabled:
        _tell_redis(settings.redis.url, turn_on=True)
    switch = said if problem else stored(settings)
    _print(switch, store, "kill file only" if problem else "no daemon runs", json=json)
    if problem:
        kill_file = settings.control.kill_file
        warn(f"{problem}; kill file {kill_file} was written instead: the next start is killed")
    if not json:
        _print_left(switch["leftovers"])
    if missed(loaded) or switch["leftovers"]:
        raise typer.Exit(NOT_DONE)


def _holder(store: Path) -> int | None:
    from alphapanda.store import lock

    return lock.holder(store)


def _on_of_stopped_daemon(settings: "Settings", reason: str, *, flatten: bool) -> int | None:
    """Write the store, unless a daemon takes it just then: its process id. Raises CannotStart and Fatal.

    As a running daemon has it, a second `on` keeps the first reason.
    """
    from alphapanda.store import offline

    store = Path(settings.storage.path)
    known = offline.kill_switch(store)
    if known["is_on"] and not flatten:
        return None
    if known["is_on"]:
        reason = known["reason"]
    try:
        offline.switch(store, on=True, reason=reason, by=who(), flatten=flatten)
    except CannotStart:
        if pid := _holder(store):
            return pid
        raise
    return None


def _switch_off(loaded: "Loaded", reason: str, *, json: bool) -> None:
    from alphapanda.live.control import Unreachable, ask

    settings = loaded.settings
    store = Path(settings.storage.path)
    request = {"command": "kill_switch_off", "reason": reason, "by": who()}
    try:
        reply = ask(Path(settings.control.socket), request, 10 * ASK_S)
    except Unreachable:
        pid = _holder(store)
        if pid is None:
            pid = _off_of_stopped_daemon(settings, reason)
        if pid is not None:
            raise Fatal(f"the daemon with pid {pid} does not answer; the kill switch stays on") from None
        if settings.redis.enabled:
            _tell_redis(settings.redis.url, turn_on=False)
        _print(stored(settings), store, "no daemon runs", json=json)
        missed(loaded)
        return
    if not reply.get("ok"):
        raise Fatal(reply.get("error"))
    _print(reply["result"]["kill_switch"], store, "daemon answered", json=json)


def _off_of_stopped_daemon(settings: "Settings", reason: str) -> int | None:
    """As above. An `off` that ends nothing is not written down: it would empty every window at the start."""
    from alphapanda.store import offline

    store, kill_file = Path(settings.storage.path), Path(settings.control.kill_file)
    if offline.kill_switch(store)["is_on"] or kill_file.exists():
        try:
            offline.switch(store, on=False, reason=reason, by=who())
        except CannotStart:
            if pid := _holder(store):
                return pid
            raise
    kill_file.unlink(missing_ok=True)
    return None


def _tell_redis(url: str, *, turn_on: bool) -> None:
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


def _of_stuck_daemon(pid: int, settings: "Settings", reason: str, *, flatten: bool) -> None:
    """Two doors that need nothing of the daemon's loop. The signal goes out also where the disk is full."""
    try:
        _write_kill_file(settings, reason, flatten=flatten)
    except Fatal as error:
        warn(f"{error}; SIGUSR1 was sent all the same")
    try:
        os.kill(pid, signal.SIGUSR1)
    except ProcessLookupError:
        raise Fatal(f"the daemon with pid {pid} has just ended; run this again") from None
    except PermissionError as error:
        raise Fatal(f"the daemon with pid {pid} belongs to another user; run this as that user") from error


def _left_by_stuck_daemon(store: Path) -> list[Row]:
    """What may still trade, as the last commit has it. Looked for after the kill, which waits for nothing."""
    try:
        return resting(store, "the daemon does not answer; it cancels this as soon as it comes round")
    except (OSError, Fatal) as error:
        warn(f"{error}; what rests at the brokers is not known here")
        return []


def _write_kill_file(settings: "Settings", reason: str, *, flatten: bool, because: str = "") -> None:
    """Even an empty one is a kill. A full disk is given back what the daemon keeps for its last words.

    Raises Fatal where there is none in the end.
    """
    from alphapanda.live.kill_file import KillFile
    from alphapanda.store import Reserve

    path, storage = Path(settings.control.kill_file), settings.storage
    reserve = Reserve(Path(storage.path), storage.reserve_mib)
    try:
        KillFile(path, reserve.free).put(reason, flatten=flatten)
    except OSError as error:
        if os.access(path, os.F_OK):
            warn(f"kill file {path} kills, but without its reason: {error.strerror}")
            return
        also = f"{because}, and " if because else ""
        raise Fatal(f"{also}kill file {path} cannot be written: {error.strerror}") from error


def _show(settings: "Settings", *, flatten: bool, json: bool) -> None:
    """Nothing is changed, and nobody is asked: what the last commit says."""
    store = Path(settings.storage.path)
    cancels = resting(store, "it would be cancelled", paper=True)
    closes = held(store) if flatten else []
    if json:
        print_json({"cancel": cancels, "close": closes})
        return
    say_mode(store)
    say(f"would cancel {counted(len(cancels), 'order')} and close {counted(len(closes), 'position')}:")
    for row in (*cancels, *closes):
        say(cleaned(_line(row)))


def _line(row: Row) -> str:
    number = f" {row['order_id']} ({row['broker_order_id'] or 'no number'})" if row["order_id"] else ""
    what = f"{row['what']}{number} {row['quantity']:+d} {row['symbol']} of {row['strategy_id']}"
    return f"  {what} at {row['broker']}: {row['why']}"


def _print_left(left: list[Row], then: str = "") -> None:
    if left:
        warn(f"{counted(len(left), 'leftover')}: not ended by the kill switch{then}")
    for row in left:
        warn(cleaned(_line(row)))


def _print(switch: Row, store: Path, reached: str, *, json: bool) -> None:
    where = f"store {store}, {reached}"
    if json:
        print_json({"kill_switch": switch, "reached": where})
        return
    say_mode(store)
    state = f"ON: {switch['reason']} (by {switch['by']})" if switch["on"] else "off, trading is enabled"
    say(cleaned(f"kill switch {state} [{where}]"))
