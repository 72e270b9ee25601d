"""orders, trades, positions, portfolio, signals: what the store knows, with the daemon running or not."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import typer

from alphapanda.cli.completion import brokers, strategies
from alphapanda.cli.context import store_of
from alphapanda.cli.output import DAY, clock, counted, print_json, print_table, profit, rupees

Row = dict[str, Any]
OFFSET = "+05:30"
MOST_ROWS = 10**9
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
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


def portfolio(ctx: typer.Context, broker: Broker = None, json: Json = False) -> None:
    """Cash, equity, profit and charges of each broker.

    Equity = starting cash + realised + unrealised profit - charges.

    Example: alphapanda portfolio
    """
    from alphapanda.rows import for_people, standing_row
    from alphapanda.store import offline

    found = {
        standing.broker: for_people(standing_row(standing))
        for standing in offline.standings(store_of(ctx))
        if broker in (None, standing.broker)
    }
    if json:
        print_json(found)
    else:
        _print_portfolio(found)


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


def _print_portfolio(found: dict[str, Row]) -> None:
    """A line a figure, so that crores fit beside crores."""
    names = list(found)
    rows = [[label, *(show(found[name][key]) for name in names)] for label, key, show in PORTFOLIO]
    print_table("Portfolio", ["", *names], rows if found else [], profits=names)
