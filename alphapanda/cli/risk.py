"""`alphapanda risk`: show, set, reset and history of limits; `live/limits.py` decides what a change means."""

import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapanda.cli.asking import ask
from alphapanda.cli.completion import brokers, limit_names, limits, strategies
from alphapanda.cli.context import context_of, say_mode, store_of
from alphapanda.cli.daemon import ask_daemon, who
from alphapanda.cli.options import Json, needed_reason
from alphapanda.cli.output import clock, counted, print_json, print_table, rupees, say, warn
from alphapanda.errors import NotRunning

if TYPE_CHECKING:
    from alphapanda.config import Loaded


Row = dict[str, Any]


def _named_at_all(value: str | None) -> str | None:
    """An empty variable of a script must not change what holds everywhere."""
    if value is not None and not value.strip():
        raise typer.BadParameter("names nothing; name one, or leave the option out")
    return value


Key = Annotated[
    str, typer.Argument(metavar="KEY", help="A key of [risk]: max_order_value.", autocompletion=limits)
]
Broker = Annotated[
    str | None,
    typer.Option("--broker", help="Only at this broker.", autocompletion=brokers, callback=_named_at_all),
]
Strategy = Annotated[
    str | None,
    typer.Option(
        "--strategy", help="Only of this strategy id.", autocompletion=strategies, callback=_named_at_all
    ),
]
Instrument = Annotated[
    str | None,
    typer.Option(
        "--instrument", metavar="EXCHANGE:SYMBOL", help="Only in this instrument.", callback=_named_at_all
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would do now; change nothing.")]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask when it loosens; needed where there is no terminal.")
]

app = typer.Typer(
    help="Limits: look at them, change them while it runs.",
    epilog="Example: alphapanda risk show",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def show(ctx: typer.Context, broker: Broker = None, strategy: Strategy = None, json: Json = False) -> None:
    """Every limit: in use, cap, and where it comes from.

    That is the default, a file, or run time: set by whom, when and why. What is judged order by order has
    nothing in use. A limit that is full refuses entries; what reduces a position passes. Works with the
    daemon stopped.

    Example: alphapanda risk show --strategy momentum_1
    """
    loaded = context_of(ctx).load()
    try:
        found = ask_daemon(loaded, "risk_show")["limits"]
    except NotRunning:
        found = _at_rest(loaded)
    _look_for(loaded, found, broker, strategy)
    rows = [
        row
        for row in found
        if broker in (None, row["broker"]) and strategy in (None, row["scope"]["strategy"] or strategy)
    ]
    if json:
        print_json([_numbers(row) for row in rows])
    else:
        say_mode(Path(loaded.settings.storage.path))
        _print(rows)


@app.command("set")
def set_(
    ctx: typer.Context,
    key: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="The new limit; 0 is off.")],
    reason: Reason,
    broker: Broker = None,
    strategy: Strategy = None,
    instrument: Instrument = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Change a limit at once. It holds until `reset`, over restarts and over what the file says.

    Every order after the answer obeys it. Below what is in use it lets through only what reduces that. With a
    scope it is one more limit beside the general one: the tightest wins. Works with the daemon stopped.

    Example: alphapanda risk set max_order_value 50000 --strategy momentum_1 --reason "results today"
    """
    words = {"key": key, "value": value, "broker": broker, "strategy": strategy, "instrument": instrument}
    _change(ctx, "risk_set", words, reason, dry_run=dry_run, yes=yes, json=json)


@app.command()
def reset(
    ctx: typer.Context,
    key: Key,
    reason: Reason,
    broker: Broker = None,
    strategy: Strategy = None,
    instrument: Instrument = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Give a limit back to the configuration.

    The scope is that of the value which was set. Works with the daemon stopped.

    Example: alphapanda risk reset max_order_value --reason "results are out"
    """
    words = {"key": key, "broker": broker, "strategy": strategy, "instrument": instrument}
    _change(ctx, "risk_reset", words, reason, dry_run=dry_run, yes=yes, json=json)


@app.command()
def history(
    ctx: typer.Context,
    limit: Annotated[int | None, typer.Option("--limit", min=0, help="The newest N.", metavar="N")] = None,
    json: Json = False,
) -> None:
    """Who changed which limit, when, from what to what, and why. Oldest first.

    Example: alphapanda risk history --limit 20
    """
    from alphapanda.rows import for_people
    from alphapanda.store import offline

    rows = [_renamed(for_people(row)) for row in offline.limit_changes(store_of(ctx), limit)]
    if json:
        print_json([row | {name: _number(row[name]) for name in ("old", "new")} for row in rows])
        return
    print_table(
        counted(len(rows), "change") + " of limits",
        ["time", "by", "limit", "scope", "old", "new", "why"],
        [
            (
                clock(row["at"]),
                row["by"],
                row["key"],
                _scope(row),
                row["old"] or "-",
                row["new"] or "reset",
                row["reason"],
            )
            for row in rows
        ],
        numbers=("old", "new"),
        whole=("time", "limit"),
        spare=("scope", "by"),
        below="why",
    )


def _change(
    ctx: typer.Context, command: str, words: Row, reason: str, *, dry_run: bool, yes: bool, json: bool
) -> None:
    loaded = context_of(ctx).load()
    reason = needed_reason(reason)
    _check(loaded, command, words)
    words = words | {"reason": reason}
    try:
        found = ask_daemon(loaded, "risk_dry_run", **words)
        runs = True
        if not dry_run:
            _make_sure(found, yes=yes)
            found = ask_daemon(loaded, command, **words, loosen=yes or found["looser"])
    except NotRunning:
        runs = False
        found = _change_stored(loaded, words, dry_run=dry_run, yes=yes)
    if json:
        print_json(found | _figures(found) | {"limits": [_numbers(row) for row in found["limits"]]})
    else:
        _say(found, dry_run=dry_run, runs=runs)


def _check(loaded: "Loaded", command: str, words: Row) -> None:
    """What is wrong with the command itself. What was set once may be reset whatever it is."""
    from alphapanda.live.limits import check

    known = limit_names()
    if command == "risk_set":
        if words["key"] not in known:
            raise typer.BadParameter(_unknown(words["key"], known), param_hint="KEY")
        try:
            check(loaded.settings, words)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    elif words["key"] not in known:
        from alphapanda.store import offline

        if words["key"] not in [change.key for change in offline.limits(Path(loaded.settings.storage.path))]:
            raise typer.BadParameter(_unknown(words["key"], known), param_hint="KEY")


def _look_for(loaded: "Loaded", rows: list[Row], broker: str | None, strategy: str | None) -> None:
    """A name that nothing has is misspelt. One that is gone may still have limits."""
    from alphapanda.config import scope_mistake
    from alphapanda.events import Scope

    asked = {"broker": broker, "strategy": strategy}
    for part, name in asked.items():
        if name is not None and all(row["scope"][part] != name for row in rows):
            mistake = scope_mistake(loaded.settings, Scope(**{part: name}))
            if mistake is not None:
                raise typer.BadParameter(mistake[1], param_hint=f"--{part}")


def _unknown(key: str, known: list[str]) -> str:
    near = get_close_matches(key, known, n=3)
    return f"there is no limit {key!r}; " + (
        f"did you mean {' or '.join(near)}?" if near else "`alphapanda risk show` lists them"
    )


def _change_stored(loaded: "Loaded", words: Row, *, dry_run: bool, yes: bool) -> Row:
    """For a daemon that is not running: it finds it so when it starts."""
    from alphapanda.errors import Fatal
    from alphapanda.live.limits import told, wanted
    from alphapanda.live.opening import at_rest
    from alphapanda.store import offline

    rest = at_rest(loaded)
    try:
        change = wanted(
            rest.risk.limits, loaded.settings, words, by=who(), reason=words["reason"], stale=rest.stale
        )
    except ValueError as error:
        raise Fatal(str(error)) from None
    found = told(loaded, rest.risk, change, dry_run=dry_run)
    if not dry_run and change.event is not None:
        _make_sure(found, yes=yes)
        known = (*rest.risk.limits.changes.values(), *rest.stale)
        offline.change_limit(Path(loaded.settings.storage.path), change.event, known)
    return found


def _at_rest(loaded: "Loaded") -> list[Row]:
    from alphapanda.live.limits import reset_words, shown
    from alphapanda.live.opening import at_rest

    rest = at_rest(loaded)
    for change in rest.stale:
        warn(
            f"{change.key} was set to {change.value} at run time, which this version does not take:"
            f" alphapanda {reset_words(change)}"
        )
    return shown(loaded, rest.risk)


def _make_sure(found: Row, *, yes: bool) -> None:
    """Before a limit is loosened."""
    if yes or not found["looser"]:
        return
    loosened = f"that loosens {_named(found)} from {_figure(found, 'old')} to {_figure(found, 'new')}"
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            f"{loosened}, and there is no terminal to ask on; say --yes", param_hint="--yes"
        )
    ask(f"{loosened[0].upper()}{loosened[1:]}. Do it?")


def _say(found: Row, *, dry_run: bool, runs: bool) -> None:
    name, old, new = _named(found), _figure(found, "old"), _figure(found, "new")
    if dry_run:
        say(f"{name} would be {new}; it is {old}. Nothing was changed.")
    elif not found["changed"]:
        say(f"{name} is {new} already")
    else:
        obeyed = "every order from now on obeys it" if runs else "no daemon runs; the next start obeys it"
        say(f"{name} is {new}, it was {old}; {obeyed}")
    would = "would refuse" if dry_run else "refuses"
    for row in found["limits"]:
        if row["used"] is not None and new != "off":
            say(f"At {row['broker']} {_figure(row, 'used')} of {_figure(row, 'cap')} is in use.")
    if dry_run and not found["refused"]:
        counts = any(row["used"] is not None for row in found["limits"])
        say("It would refuse nobody now." if counts else "Nothing adds up towards it: each order is asked.")
    for who_ in found["refused"]:
        say(f"It {would} entries of {who_['strategy_id']} at {who_['broker']} now; exits pass.")


def _print(rows: list[Row]) -> None:
    print_table(
        "Limits",
        ["limit", "scope", "broker", "used", "cap", "state", "from"],
        [
            (
                row["key"],
                _scope(row["scope"]),
                row["broker"],
                _figure(row, "used"),
                _figure(row, "cap"),
                "full" if row["blocked"] else None,
                _origin(row),
            )
            for row in rows
        ],
        numbers=("used", "cap"),
        whole=("limit", "state"),
        spare=("state", "broker", "scope"),
        below="from",
    )


def _origin(row: Row) -> str:
    if row["by"] is None:
        return str(row["from"])
    instead = f"the configuration says {_figure(row, 'configured')}"
    return f"run time: by {row['by']} at {clock(row['at'])}, {row['reason']}; {instead}"


def _named(found: Row) -> str:
    from alphapanda.events import Scope
    from alphapanda.live.limits import within

    return f"{found['key']}{within(Scope(**{part: name or '' for part, name in found['scope'].items()}))}"


def _scope(scope: Row) -> str:
    return ", ".join(filter(None, (scope["strategy"], scope["instrument"], scope["broker"]))) or "all"


def _figure(row: Row, name: str) -> str:
    """A value as people read it, by what the description of its key says it is in."""
    text, about = row[name], str(row["description"])
    if text in (None, ""):
        return {"used": "-", "cap": "off"}.get(name, "not set")
    if name != "used" and text in ("0", "false"):
        return "off"
    if "in rupees" in about:
        return rupees(float(text))
    if "in percent" in about:
        return f"{float(text):.2f} %" if name == "used" else f"{text} %"
    return f"{text} s" if "in seconds" in about else str(text)


def _numbers(row: Row) -> Row:
    return row | {name: _number(row[name]) for name in ("used", "cap", "configured")}


def _figures(found: Row) -> Row:
    return {name: _number(found[name]) for name in ("old", "new")}


def _number(text: str | None) -> float | int | bool | str | None:
    """As JSON has it; None where nothing is set."""
    if text in (None, ""):
        return None
    if text in ("true", "false"):
        return text == "true"
    digits = str(text).removeprefix("-")
    if digits.isdigit():
        return int(str(text))
    return float(str(text)) if digits.replace(".", "", 1).isdigit() else text


def _renamed(row: Row) -> Row:
    """The columns of the audit as everything else names them."""
    scope = {name: row[name] or None for name in ("broker", "strategy", "instrument")}
    return (
        {"at": row["at"], "by": row["by_whom"], "key": row["key"]}
        | scope
        | {name: row[name] for name in ("old", "new", "reason")}
    )
