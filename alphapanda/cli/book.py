"""orders, trades, positions, portfolio, signals: what the store knows, with the daemon running or not."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import typer

from alphapanda.cli.completion import brokers, strategies
from alphapanda.cli.context import context_of, say_mode, store_of
from alphapanda.cli.options import DAY, Json
from alphapanda.cli.output import clock, counted, print_json, print_table, profit, rupees

Row = dict[str, Any]
OFFSET = "+05:30"
MOST_ROWS = 10**9
MOST_DAYS = 10_000
Broker = Annotated[str | None, typer.Option("--broker", help="Only this broker.", autocompletion=brokers)]
Strategy = Annotated[
    str | None, typer.Option("--strategy", help="Only this strategy id.", autocompletion=strategies)
]
Day = Annotated[datetime | None, typer.Option("--date", help="Only this day (IST).", **DAY)]
Limit = Annotated[
    int | None, typer.Option("--limit", min=0, max=MOST_ROWS, help="Only the newest so many rows.")
]


class Column(NamedTuple):
    """One column of a table for people: where its value is, and how it is shown."""

    header: str
    key: str
    show: Callable[[Any], str] = str
    kind: Literal["text", "whole", "number", "profit", "time", "below"] = "text"
    spare: int = 0
    """On a terminal too narrow for all, the columns with a number here go first: 1, then 2, and so on."""


def _quantity(header: str, key: str, spare: int = 0) -> Column:
    return Column(header, key, _plain, "number", spare)


def _money(header: str, key: str, spare: int = 0) -> Column:
    return Column(header, key, rupees, "number", spare)


def _plain(number: int) -> str:
    return f"{number:,}" if abs(number) < 1000 else rupees(number)[:-3].replace("₹", "")


ORDERS = (
    Column("order", "order_id", kind="whole"),
    Column("time", "created_at", clock, "time"),
    Column("broker", "broker", spare=1),
    Column("strategy", "strategy_id", spare=4),
    Column("symbol", "tradingsymbol", kind="whole"),
    Column("side", "transaction_type", kind="whole"),
    _quantity("qty", "quantity"),
    _quantity("filled", "filled_quantity", spare=2),
    _money("average", "average_price", spare=3),
    Column("status", "status", kind="whole"),
)
TRADES = (
    Column("trade", "trade_id", kind="whole"),
    Column("time", "traded_at", clock, "time"),
    Column("broker", "broker", spare=1),
    Column("strategy", "strategy_id", spare=3),
    Column("symbol", "tradingsymbol", kind="whole"),
    Column("side", "transaction_type", kind="whole"),
    _quantity("qty", "quantity"),
    _money("price", "price"),
    _money("charges", "charges", spare=2),
)
POSITIONS = (
    Column("broker", "broker", spare=1),
    Column("strategy", "strategy_id", spare=4),
    Column("symbol", "tradingsymbol", kind="whole"),
    _quantity("qty", "quantity"),
    _money("average", "average_price", spare=3),
    _money("last", "last_price", spare=2),
    Column("realised", "realized_pnl", profit, "profit"),
    Column("unrealised", "unrealized_pnl", profit, "profit"),
)
SIGNALS = (
    Column("signal", "signal_id", kind="whole"),
    Column("time", "at", clock, "time"),
    Column("broker", "broker", spare=1),
    Column("strategy", "strategy_id", spare=2),
    Column("symbol", "tradingsymbol", kind="whole"),
    Column("side", "transaction_type", kind="whole"),
    _quantity("qty", "quantity"),
    Column("verdict", "verdict", kind="whole"),
    Column("why", "why", kind="below"),
)
PORTFOLIO: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("starting cash", "starting_cash", rupees),
    ("cash", "cash", rupees),
    ("equity", "equity", rupees),
    ("realised", "realized_pnl", profit),
    ("unrealised", "unrealized_pnl", profit),
    ("charges", "charges", rupees),
    ("net today", "day_net_pnl", profit),
    ("gross exposure", "gross_exposure", rupees),
    ("net exposure", "net_exposure", rupees),
    ("drawdown", "drawdown", rupees),
    ("drawdown %", "drawdown_percent", "{:.2f}".format),
)
STRATEGIES = (
    Column("broker", "broker", spare=1),
    Column("strategy", "strategy_id"),
    Column("realised", "realized_pnl", profit, "profit"),
    Column("unrealised", "unrealized_pnl", profit, "profit"),
    _money("charges", "charges", spare=3),
    Column("net", "net_pnl", profit, "profit"),
    Column("today", "day_net_pnl", profit, "profit"),
    _money("exposure", "gross_exposure", spare=2),
)
DAYS = (
    Column("date", "date", kind="whole"),
    _money("start", "start_equity", spare=2),
    _money("end", "end_equity"),
    Column("net", "net_pnl", profit, "profit"),
    _money("charges", "charges"),
    _quantity("trades", "trades"),
    _money("turnover", "turnover", spare=1),
    _money("drawdown", "max_drawdown"),
)


def orders(
    ctx: typer.Context,
    broker: Broker = None,
    strategy: Strategy = None,
    date: Day = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Orders, oldest first, with their state.

    Example: alphapanda orders --strategy momentum_1 --limit 20
    """
    found = _read(ctx, "orders", date, broker=broker, strategy=strategy, limit=limit)
    _show(counted(len(found), "order"), ORDERS, found, json)


def trades(
    ctx: typer.Context,
    broker: Broker = None,
    strategy: Strategy = None,
    date: Day = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Fills, oldest first, with their charges.

    Example: alphapanda trades --date 2016-08-16
    """
    found = _read(ctx, "trades", date, broker=broker, strategy=strategy, limit=limit)
    _show(counted(len(found), "trade"), TRADES, found, json)


def positions(
    ctx: typer.Context,
    broker: Broker = None,
    strategy: Strategy = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Positions by broker and strategy, flat ones too.

    Example: alphapanda positions --broker paper
    """
    found = _read(ctx, "positions", None, broker=broker, strategy=strategy, limit=limit)
    held = sum(1 for row in found if row["quantity"])
    _show(counted(held, "open position"), POSITIONS, found, json)


def portfolio(
    ctx: typer.Context,
    broker: Broker = None,
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", help="Of the strategies only this id.", autocompletion=strategies),
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=MOST_DAYS, help="What each of the newest days brought.")
    ] = None,
    date: Annotated[
        datetime | None,
        typer.Option("--date", help="What this day (IST) brought; with --days: those up to it.", **DAY),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=0, max=MOST_ROWS, help="With --days or --date: only so many days."),
    ] = None,
    json: Json = False,
) -> None:
    """Cash, equity, profit and charges of each broker.

    Equity = starting cash + realised + unrealised profit - charges. Below it stand exposure, the fall from
    the highest equity, and each strategy.

    Example: alphapanda portfolio --days 5
    """
    from alphapanda.config.checks import BROKERS
    from alphapanda.store import curve

    daily = days is not None or date is not None
    if limit is not None and not daily:
        raise typer.BadParameter("it counts days; say --days or --date with it", param_hint="--limit")
    settings = context_of(ctx).load().settings
    store = Path(settings.storage.path)
    say_mode(store)
    read = _daily(store, days, date, limit) if daily else curve.portfolio(store)
    traded = [name for row in read.values() for name in row["strategies"]]
    _check_name("--broker", broker, [*BROKERS, *read])
    _check_name("--strategy", strategy, [*(entry.id for entry in settings.strategies), *traded])
    found = {name: _for_people(_only(strategy, row)) for name, row in read.items() if broker in (None, name)}
    if json:
        print_json(found)
    elif daily:
        _print_days(found, strategy)
    else:
        _print_portfolio(found, strategy)


def _daily(store: Path, days: int | None, date: datetime | None, limit: int | None) -> dict[str, Row]:
    """A date without `days` is that day alone."""
    from alphapanda.store import curve

    count = min(1 if days is None else days, MOST_DAYS if limit is None else limit)
    read = curve.daily(store, count, date.date()) if date else curve.daily(store, count)
    if date is None or days is not None:
        return read

    def of_that_day(rows: list[Row]) -> list[Row]:
        return [row for row in rows if row["date"] == date.date().isoformat()]

    return {
        broker: {
            "days": of_that_day(curves["days"]),
            "strategies": {name: of_that_day(rows) for name, rows in curves["strategies"].items()},
        }
        for broker, curves in read.items()
    }


def _check_name(option: str, name: str | None, known: Iterable[str]) -> None:
    names = list(dict.fromkeys(known))
    if name is not None and name not in names:
        kind = option.removeprefix("--")
        raise typer.BadParameter(
            f"{name!r} is not a {kind}; there are: {', '.join(names) or 'none'}", param_hint=option
        )


def _only(strategy: str | None, row: Row) -> Row:
    if strategy is None:
        return row
    return row | {"strategies": {name: each for name, each in row["strategies"].items() if name == strategy}}


def _for_people(row: Any) -> Any:
    """Rows within rows too."""
    from alphapanda.rows import for_people

    if isinstance(row, list):
        return [_for_people(each) for each in row]
    inner = {name: value for name, value in row.items() if isinstance(value, dict | list)}
    shown = for_people({name: value for name, value in row.items() if name not in inner})
    return shown | {name: _for_people(value) for name, value in inner.items()}


def signals(
    ctx: typer.Context,
    broker: Broker = None,
    strategy: Strategy = None,
    date: Day = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Signals and the verdict on each, with rule and reason.

    Example: alphapanda signals --limit 10
    """
    found = _read(ctx, "signals", date, broker=broker, strategy=strategy, limit=limit)
    if not json:
        for row in found:
            row["why"] = f"{row['rule']}: {row['reason']}" if row["rule"] else row["reason"]
    _show(counted(len(found), "signal"), SIGNALS, found, json)


def _read(ctx: typer.Context, table: str, day: datetime | None, **filters: Any) -> list[Row]:
    from alphapanda.rows import for_people
    from alphapanda.store import offline

    found = offline.rows(store_of(ctx), table, day=day.date() if day else None, **filters)
    return [for_people(row) for row in found]


def _show(title: str, columns: tuple[Column, ...], rows: list[Row], json: bool) -> None:
    if json:
        print_json(rows)
        return
    spare = sorted((column for column in columns if column.spare), key=lambda column: column.spare)
    below = [column.header for column in columns if column.kind == "below"]
    cells = [[column.show(row[column.key]) for column in columns] for row in rows]
    days = [_one_day(cells, index) for index, column in enumerate(columns) if column.kind == "time"]
    print_table(
        " · ".join([title, *filter(None, days)]),
        [column.header for column in columns],
        cells,
        numbers=[column.header for column in columns if column.kind == "number"],
        whole=[column.header for column in columns if column.kind in ("whole", "time")],
        spare=[column.header for column in spare],
        profits=[column.header for column in columns if column.kind == "profit"],
        below=below[0] if below else None,
    )


def _one_day(cells: list[list[str]], index: int) -> str:
    """What the title says of the times; their day, cut from the rows, when all are of one."""
    days = {row[index].partition(" ")[0] for row in cells}
    if len(days) != 1:
        return OFFSET if days else ""
    for row in cells:
        row[index] = row[index].partition(" ")[2]
    return f"{days.pop()} {OFFSET}"


def _print_portfolio(found: dict[str, Row], strategy: str | None) -> None:
    """A line a figure, so that crores fit beside crores. Of one strategy its own figures alone."""
    names = list(found)
    rows = [[label, *(show(found[name][key]) for name in names)] for label, key, show in PORTFOLIO]
    if strategy is None:
        print_table("Portfolio", ["", *names], rows if found else [], profits=names)
    mine = [
        {"broker": broker, "strategy_id": name} | row
        for broker, figures in found.items()
        for name, row in figures["strategies"].items()
    ]
    if mine or strategy is not None:
        _show("Strategies", STRATEGIES, mine, json=False)


def _print_days(found: dict[str, Row], strategy: str | None) -> None:
    of_strategy = tuple(column for column in DAYS if "equity" not in column.key)
    for broker, curves in found.items():
        if strategy is None:
            _show(f"{broker} · {counted(len(curves['days']), 'day')}", DAYS, curves["days"], json=False)
        for name, rows in curves["strategies"].items():
            if rows or strategy is not None:
                _show(f"{broker} · {name}", of_strategy, rows, json=False)
    if not found:
        print_table("Portfolio", [""], [])
