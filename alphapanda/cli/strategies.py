"""`alphapanda strategies`: list, pause, resume, new. What `new` writes is decided in `scaffold.py`."""

import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapanda.cli.completion import strategies
from alphapanda.cli.context import Context, context_of, say_mode
from alphapanda.cli.daemon import ask_daemon, who
from alphapanda.cli.options import Json, reason_of
from alphapanda.cli.output import print_json, print_table, put, say
from alphapanda.errors import Fatal, NotRunning

if TYPE_CHECKING:
    from alphapanda.config import Loaded
    from alphapanda.config.settings import StrategySettings

NAMED = 3

Row = dict[str, Any]
Id = Annotated[str, typer.Argument(metavar="ID", help="The strategy's id.", autocompletion=strategies)]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the journal.")]

app = typer.Typer(
    help="The strategies: list, pause, resume, write a new one.",
    epilog="Example: alphapanda strategies list",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
def list_(ctx: typer.Context, json: Json = False) -> None:
    """Every strategy, what it trades and how it stands.

    Of a daemon that runs, its word; else what the configuration and the store say: stopped, disabled, paused
    or quarantined (it raised, and waits for `resume`).

    Example: alphapanda strategies list
    """
    loaded = context_of(ctx).load()
    found = _found(loaded)
    if json:
        print_json(found)
        return
    say_mode(Path(loaded.settings.storage.path))
    print_table(
        f"{len(found)} {'strategy' if len(found) == 1 else 'strategies'}",
        ["strategy", "class", "instruments", "brokers", "state", "signals", "errors", "why"],
        [
            (
                row["strategy_id"],
                row["class"],
                _some(row["instruments"]),
                ", ".join(row["brokers"]),
                row["state"],
                row["signals"],
                row["errors"],
                row["reason"],
            )
            for row in found
        ],
        numbers=("signals", "errors"),
        whole=("strategy", "state"),
        spare=("brokers", "class", "instruments"),
        below="why",
    )


@app.command()
def pause(ctx: typer.Context, strategy_id: Id, reason: Reason = "", json: Json = False) -> None:
    """Stop a strategy's entries; it still manages its exits.

    What it would open is refused; it goes on seeing prices and closing what it holds. Kept across restarts.
    Works with the daemon stopped.

    Example: alphapanda strategies pause momentum_1 --reason "results today"
    """
    from alphapanda.core.hosted import PAUSED

    _change(ctx, strategy_id, reason, to=PAUSED, json=json)


@app.command()
def resume(ctx: typer.Context, strategy_id: Id, reason: Reason = "", json: Json = False) -> None:
    """Let a paused or quarantined strategy trade again.

    One that was quarantined starts anew, with empty windows. Works with the daemon stopped.

    Example: alphapanda strategies resume momentum_1
    """
    from alphapanda.core.hosted import RUNNING

    _change(ctx, strategy_id, reason, to=RUNNING, json=json)


@app.command()
def new(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Its module: lower-case letters, digits and _, such as dip.")],
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="The folder that holds config.toml; else that of the configuration."),
    ] = None,
) -> None:
    """Write a strategy to start from, its test and its stanza.

    The stanza stands at the end of config.toml.

    Example: alphapanda strategies new my_idea
    """
    from alphapanda.cli.scaffold import mistake_in, write_strategy

    if problem := mistake_in(name):
        raise typer.BadParameter(problem, param_hint="NAME")
    context = context_of(ctx)
    if folder and context.config:
        raise typer.BadParameter("--config names one already; give one of the two", param_hint="--folder")
    within = Context(config=folder / "config.toml", env=context.env) if folder else context
    loaded = within.load()
    written = write_strategy(name, loaded)
    say(f"Wrote {written.strategy} ({written.class_name})")
    say(f"Wrote {written.test}")
    say(f"Added {written.id} to {written.config}" + ("" if written.enabled else ", not enabled: see there"))
    say("\nNext:")
    if loaded.folder != Path.cwd():
        put(f"  cd {quote(str(loaded.folder))}")
    install = [] if find_spec("pytest") else ["pip install pytest"]
    test = f"pytest tests/{written.test.name}"
    for step in (f"{context.command} config check", f"{context.command} demo", *install, test):
        put(f"  {step}")


def _found(loaded: "Loaded") -> list[Row]:
    """Configured ones in their order, then what runs although the configuration has lost it."""
    from alphapanda.store import offline

    settings = loaded.settings
    running: dict[str, Row] | None = None
    stored: dict[str, Row] = {}
    with suppress(NotRunning):
        running = ask_daemon(loaded, "status")["strategies"]
    try:
        stored = offline.strategies(Path(settings.storage.path))
    except (OSError, Fatal):
        if running is None:  # a member of the control group need not be able to read the store
            raise
    rows = [_row(entry, running, stored.get(entry.id)) for entry in settings.strategies]
    configured = {entry.id for entry in settings.strategies}
    others = [strategy_id for strategy_id in running or {} if strategy_id not in configured]
    return rows + [_row(None, running, stored.get(strategy_id), strategy_id) for strategy_id in others]


def _row(
    entry: "StrategySettings | None",
    running: dict[str, Row] | None,
    stored: Row | None,
    strategy_id: str = "",
) -> Row:
    from alphapanda.core.hosted import RUNNING
    from alphapanda.times import to_ist

    strategy_id = entry.id if entry else strategy_id
    live = (running or {}).get(strategy_id, {})
    state = live.get("state") or _state_at_rest(entry, stored, running)
    stands_down = stored if stored and state == stored["state"] != RUNNING else None
    return {
        "strategy_id": strategy_id,
        "class": entry.class_ if entry else None,
        "instruments": list(entry.instruments) if entry else [],
        "brokers": list(entry.brokers) if entry else [],
        "state": state,
        "signals": live.get("signals"),
        "errors": live.get("errors"),
        "reason": stands_down["reason"] if stands_down else None,
        "since": to_ist(stands_down["since_ns"]).isoformat() if stands_down else None,
    }


def _state_at_rest(
    entry: "StrategySettings | None", stored: Row | None, running: dict[str, Row] | None
) -> str:
    """Of a strategy that no daemon hosts now."""
    from alphapanda.core.hosted import RUNNING

    if entry is not None and not entry.enabled:
        return "disabled"
    if stored and stored["state"] != RUNNING:
        return str(stored["state"])
    return "stopped" if running is None else "not loaded"


def _some(instruments: list[str]) -> str:
    return ", ".join(instruments) if len(instruments) <= NAMED else f"{len(instruments)} instruments"


def _change(ctx: typer.Context, strategy_id: str, reason: str, *, to: str, json: bool) -> None:
    from alphapanda.core.hosted import PAUSED, QUARANTINED, RUNNING

    loaded = context_of(ctx).load()
    reason = reason_of(reason)
    command = "strategy_pause" if to == PAUSED else "strategy_resume"
    try:
        found = ask_daemon(loaded, command, strategy_id=strategy_id, reason=reason)
    except NotRunning:
        found = _change_stored(loaded, strategy_id, reason, to)
    if json:
        print_json(found)
    else:
        say(_sentence(found, to))
    if found["state"] == QUARANTINED and to == RUNNING:
        raise typer.Exit(1)


def _change_stored(loaded: "Loaded", strategy_id: str, reason: str, to: str) -> Row:
    """For a daemon that is not running: it finds it so when it starts."""
    from alphapanda.core.hosted import PAUSED, RUNNING
    from alphapanda.events import StrategyPaused, StrategyResumed
    from alphapanda.store import offline

    settings = loaded.settings
    store, known = Path(settings.storage.path), [entry.id for entry in settings.strategies]
    stored = offline.strategies(store)
    if strategy_id not in [*known, *stored]:
        raise Fatal(f"no strategy {strategy_id!r} is configured; there are: {', '.join(known) or 'none'}")
    was = stored.get(strategy_id, {"state": RUNNING})["state"]
    state = PAUSED if to == PAUSED and was == RUNNING else was if to == PAUSED else RUNNING
    if state != was:
        event = StrategyPaused if to == PAUSED else StrategyResumed
        offline.change_strategy(store, event(strategy_id, who(), time.time_ns(), reason))
    return {"strategy_id": strategy_id, "was": was, "state": state}


def _sentence(found: Row, to: str) -> str:
    from alphapanda.core.hosted import PAUSED, QUARANTINED

    name, was, state = found["strategy_id"], found["was"], found["state"]
    if state == QUARANTINED and to == PAUSED:
        return f"{name} is quarantined: it opens nothing; `alphapanda strategies resume {name}` ends it"
    if state == QUARANTINED:
        return f"{name} raised again and stays quarantined; see `alphapanda strategies list`"
    if state == was:
        return f"{name} is {state} already"
    if state == PAUSED:
        return f"{name} is paused: it opens nothing, and goes on closing what it holds"
    return f"{name} trades again" + (", made anew with empty windows" if was == QUARANTINED else "")
