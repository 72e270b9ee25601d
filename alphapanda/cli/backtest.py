"""backtest: strategies over price files, with the same cores as the daemon."""

import sys
from contextlib import redirect_stdout
from datetime import datetime
from typing import Annotated, Any

import typer

from alphapanda.cli.completion import strategies
from alphapanda.cli.context import context_of
from alphapanda.cli.options import DAY
from alphapanda.cli.output import clock, print_json, print_table, rupees
from alphapanda.cli.progress import progress_bar
from alphapanda.cli.run import Columns, Data, NoCalendar, SkipBadRows, data_overrides
from alphapanda.errors import CannotStart, DataError

Strategies = Annotated[
    list[str] | None,
    typer.Option("--strategy", help="Only this strategy id. May repeat.", autocompletion=strategies),
]


def backtest(
    ctx: typer.Context,
    data: Data = None,
    strategy: Strategies = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", help="First day (IST).", **DAY),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", help="Last day (IST).", **DAY),
    ] = None,
    no_calendar: NoCalendar = False,
    columns: Columns = None,
    skip_bad_rows: SkipBadRows = False,
    json: Annotated[bool, typer.Option("--json", help="Summary, trades and orders as one document.")] = False,
) -> None:
    """Run the strategies over price files and sum it up.

    The store is not touched.

    Example: alphapanda backtest --data prices/ --strategy momentum_1
    """
    from loguru import logger

    from alphapanda.backtest import run_backtest
    from alphapanda.live.logs import start_logging
    from alphapanda.venues.instruments import InstrumentBook
    from alphapanda.venues.replay import DataSet

    if first and last and first > last:
        raise typer.BadParameter("--from is after --to", param_hint="--from")
    loaded = context_of(ctx).load(data_overrides(data, columns, skip_bad_rows))
    replay = loaded.settings.feed.replay
    if not replay.paths:
        raise typer.BadParameter("name at least one price file", param_hint="--data")
    book = InstrumentBook()
    try:
        dataset = DataSet(replay.paths, book, columns=replay.columns, skip_bad_rows=replay.skip_bad_rows)
    except DataError as error:
        raise CannotStart(str(error)) from error
    with progress_bar("backtest") as bar:
        start_logging(loaded.settings.logging, bar.write)
        with redirect_stdout(sys.stderr):  # what a strategy prints
            result = run_backtest(
                loaded,
                dataset,
                book,
                calendar=not no_calendar,
                only=tuple(strategy or ()),
                first=first.date() if first else None,
                last=last.date() if last else None,
                progress=bar.show,
            )
        for remark in result.remarks():
            logger.bind(channel="market_data").warning("{}", remark)
    if json:
        print_json(result.document())
    else:
        _print(result.document())


MONEY = (
    "starting_cash",
    "equity",
    "gross_profit",
    "charges",
    "net_profit",
    "realized_pnl",
    "unrealized_pnl",
    "max_drawdown",
)


def _print(document: dict[str, Any]) -> None:
    shown = {name: _figure(name, value) for name, value in document["summary"].items()}
    print_table("Backtest", ["figure", "value"], list(shown.items()), numbers=("value",))


def _figure(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name in MONEY:
        return rupees(value)
    if name in ("from", "to"):
        return clock(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
