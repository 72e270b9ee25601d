"""run: the daemon in the foreground."""

import faulthandler
import gc
import os
import sys
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from alphapanda.cli.context import context_of
from alphapanda.cli.output import warn
from alphapanda.cli.progress import Bar, progress_bar
from alphapanda.cli.rehearsal import (
    Rehearsal,
    RehearsalUrl,
    checked,
    exchange,
    instead_of_paper,
    mode_of,
    overrides,
    quick,
)

if TYPE_CHECKING:
    from alphapanda.config import Loaded
    from alphapanda.config.settings import Feed

COLLECTING = gc.get_threshold()
WHILE_STARTING = 100_000
"""So many new objects between two collections while a start makes what stays as long as the process: looking
at the orders and fills of a long journal again and again costs as much as decoding them.
"""

Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data", help="Price files (CSV, gzip CSV, Parquet): a file, a folder or a quoted glob. May repeat."
    ),
]
Columns = Annotated[
    str | None,
    typer.Option("--columns", help="Column names of files without a header row, such as timestamp,ltp."),
]
SkipBadRows = Annotated[
    bool,
    typer.Option("--skip-bad-rows", help="Count rows that cannot be read and go on, instead of stopping."),
]
NoCalendar = Annotated[
    bool, typer.Option("--no-calendar", help="Every row may trade, also outside market hours.")
]


def data_overrides(data: list[str] | None, columns: str | None, skip_bad_rows: bool) -> dict[str, Any]:
    """The command line's words for the data, as configuration keys. Paths are the current folder's."""
    overrides: dict[str, Any] = {}
    for option, words in (("--data", data), ("--columns", [columns] if columns is not None else None)):
        if words is not None and not all(word.strip() for word in words):
            raise typer.BadParameter("is empty", param_hint=option)
    if data:
        overrides["feed.replay.paths"] = [os.path.abspath(path) for path in data]  # noqa: PTH100 - may be a glob
    if columns:
        overrides["feed.replay.columns"] = [name.strip() for name in columns.split(",")]
    if skip_bad_rows:
        overrides["feed.replay.skip_bad_rows"] = True
    return overrides


def speed_of(text: str) -> float | None:
    """`max` is None: as fast as the line allows."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise typer.BadParameter(f"{text!r} is neither a number above 0 nor max", param_hint="--speed")
    return speed


def pace_of(feed: "Feed", wanted: float | str | None = None) -> float | None:
    """Times the market's clock, None: as fast as it goes. What is wanted, else what the source's key says."""
    if wanted is None:
        wanted = (feed.simulated if feed.source == "simulated" else feed.replay).speed
    return None if wanted == "max" else float(wanted)


def run(
    ctx: typer.Context,
    feed: Annotated[
        str | None, typer.Option("--feed", help="simulated, replay or zerodha; --data alone means replay.")
    ] = None,
    data: Data = None,
    speed: Annotated[
        str | None,
        typer.Option(
            "--speed", help="Times the market's clock, such as 60, or max; else feed.<source>.speed."
        ),
    ] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop when the data ends.")] = False,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the first row; needs an empty store.")
    ] = False,
    no_calendar: NoCalendar = False,
    columns: Columns = None,
    skip_bad_rows: SkipBadRows = False,
    rehearsal: Rehearsal = False,
    rehearsal_url: RehearsalUrl = None,
) -> None:
    """Run the daemon in the foreground until it is stopped.

    By Ctrl-C, SIGTERM or `alphapanda stop`. With --rehearsal the orders and prices are those of an exchange
    on this machine, which walks its day at --speed.

    Example: alphapanda run --feed replay --data prices/ --speed 60 --until-end
    """
    if rehearsal and rehearsal_url is not None:
        raise typer.BadParameter("go not together: give one", param_hint="--rehearsal and --rehearsal-url")
    if (rehearsal or rehearsal_url is not None) and (feed or data):
        raise typer.BadParameter(
            "has the prices of its exchange; leave --feed and --data", param_hint="--rehearsal"
        )
    changes = data_overrides(data, columns, skip_bad_rows)
    if feed or data:
        changes["feed.source"] = feed or "replay"
    wanted = None if speed is None else speed_of(speed) or "max"
    with ExitStack() as ends:
        if rehearsal:
            words = [] if speed is None else ["--speed", speed]
            changes |= overrides(*ends.enter_context(exchange(words, warn)))
        elif rehearsal_url is not None:
            changes |= overrides(checked(rehearsal_url))
        revise = instead_of_paper if rehearsal or rehearsal_url is not None else None
        loaded = context_of(ctx).load(changes, revise, credentials=True)
        if revise is not None and (quicker := quick(loaded)):
            loaded = context_of(ctx).load(changes | quicker, revise, credentials=True)
        code = _run(loaded, Walking(wanted, until_end, from_start, not no_calendar))
    sys.exit(code)


class Walking(NamedTuple):
    """What the options say of the walk."""

    speed: float | str | None
    until_end: bool
    from_start: bool
    calendar: bool


def _run(loaded: "Loaded", walking: Walking) -> int:
    import anyio

    from alphapanda.live.daemon import Daemon
    from alphapanda.live.endings import leave
    from alphapanda.live.logs import start_logging
    from alphapanda.live.options import Options
    from alphapanda.live.printed import printed

    source = loaded.settings.feed.source
    gc.set_threshold(WHILE_STARTING)
    faulthandler.enable(2)  # what a watchdog ends by SIGABRT says where each thread was, and no values
    shown = nullcontext(Bar()) if source == "zerodha" else progress_bar(source)  # a live feed has no end
    with shown as bar:
        start_logging(loaded.settings.logging, bar.write, mode_of(loaded))
        options = Options(
            speed=pace_of(loaded.settings.feed, walking.speed),
            until_end=walking.until_end,
            from_start=walking.from_start,
            calendar=walking.calendar,
            watch=bar.show,
            ready=_keep_what_is_there,
        )
        with printed():
            try:
                return anyio.run(Daemon(loaded, options).run)
            except KeyboardInterrupt:  # the loop has ended without its tasks: threads would wait for ever
                leave("interrupted in the loop")


def _keep_what_is_there() -> None:
    """Modules, strategies and instruments stay as long as the process: no collection looks at them again. One
    of everything would stop the line for as long as 100 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTING)
