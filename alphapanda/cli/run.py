"""run: the daemon in the foreground."""

import os
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapanda.cli.context import context_of
from alphapanda.cli.progress import progress_bar

if TYPE_CHECKING:
    from alphapanda.config.settings import Feed

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
) -> None:
    """Run the daemon in the foreground until it is stopped.

    By Ctrl-C, SIGTERM or `alphapanda stop`.

    Example: alphapanda run --feed replay --data prices/ --speed 60 --until-end
    """
    import anyio

    from alphapanda.live.daemon import Daemon
    from alphapanda.live.logs import start_logging
    from alphapanda.live.options import Options

    overrides = data_overrides(data, columns, skip_bad_rows)
    if feed or data:
        overrides["feed.source"] = feed or "replay"
    wanted = None if speed is None else speed_of(speed) or "max"
    loaded = context_of(ctx).load(overrides)
    with progress_bar(loaded.settings.feed.source) as bar:
        start_logging(loaded.settings.logging, bar.write)
        options = Options(
            speed=pace_of(loaded.settings.feed, wanted),
            until_end=until_end,
            from_start=from_start,
            calendar=not no_calendar,
            watch=bar.show,
        )
        with redirect_stdout(sys.stderr):  # what a strategy prints
            code = anyio.run(Daemon(loaded, options).run)
    sys.exit(code)
