"""orders, trades, positions, portfolio, signals: what the store knows, with the daemon running or not."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import typer

from alphapanda.cli.context import store_of
from alphapanda.cli.output import DAY, clock, counted, print_json, print_table, rupees

Row = dict[str, Any]
OFFSET = "+05:30"
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
Broker = Annotated[str | None, typer.Option("--broker", help="Only this broker.")]
Strategy = Annotated[str | None, typer.Option("--strategy", help="Only this strategy id.")]
Day = Annotated[datetime | None, typer.Option("--date", help="Only this day (IST).", **DAY)]
Limit = Annotated[int | None, typer.Option("--limit", min=0, help="Only the newest so many rows.")]


class Column(NamedTuple):
    """One column of a table for people: where its value is, and how it is shown."""

    header: str
    key: str
    show: Callable[[Any], str] = str
    whole: bool = False
    number: bool = False


def _quantity(header: str, key: str) -> Column:
    return Column(header, key, str, number=True)


def _money(header: str, key: str) -> Column:
    return Column(header, key, rupees, number=True)


ORDERS = (
    Column("order", "order_id", whole=True),
    Column(f"created {OFFSET}", "created_at", clock, whole=True),
    Column("broker", "broker"),
    Column("strategy", "strategy_id"),
    Column("symbol", "tradingsymbol"),
    Column("side", "transaction_type"),
    _quantity("qty", "quantity"),
    _quantity("filled", "filled_quantity"),
    _money("average", "average_price"),
    Column("status", "status"),
)
TRADES = (
    Column("trade", "trade_id", whole=True),
    Column(f"traded {OFFSET}", "traded_at", clock, whole=True),
    Column("broker", "broker"),
    Column("strategy", "strategy_id"),
    Column("symbol", "tradingsymbol"),
    Column("side", "transaction_type"),
    _quantity("qty", "quantity"),
    _money("price", "price"),
    _money("charges", "charges"),
)
POSITIONS = (
    Column("broker", "broker"),
    Column("strategy", "strategy_id"),
    Column("symbol", "tradingsymbol"),
    _quantity("qty", "quantity"),
    _money("average", "average_price"),
    _money("last", "last_price"),
    _money("realised", "realized_pnl"),
    _money("unrealised", "unrealized_pnl"),
)
PORTFOLIO = (
    Column("broker", "broker"),
    _money("starting cash", "starting_cash"),
    _money("cash", "cash"),
    _money("equity", "equity"),
    _money("realised", "realized_pnl"),
    _money("unrealised", "unrealized_pnl"),
    _money("charges", "charges"),
)
SIGNALS = (
    Column("signal", "signal_id", whole=True),
    Column(f"at {OFFSET}", "at", clock, whole=True),
    Column("strategy", "strategy_id"),
    Column("symbol", "tradingsymbol"),
    Column("side", "transaction_type"),
    _quantity("qty", "quantity"),
    Column("verdict", "verdict"),
    Column("why", "why"),
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
    """Positions by broker and strategy; flat ones stay in the list.

    Example: alphapanda positions --broker paper
    """
    found = _read(ctx, "positions", None, broker=broker, strategy=strategy, limit=limit)
    held = sum(1 for row in found if row["quantity"])
    _show(counted(held, "open position"), POSITIONS, found, json)


def portfolio(ctx: typer.Context, broker: Broker = None, json: Json = False) -> None:
    """Cash, equity, profit and charges of each broker; equity = starting cash + profits - charges.

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
        _show("Portfolio", PORTFOLIO, [{"broker": name, **row} for name, row in found.items()], json)


def signals(
    ctx: typer.Context,
    broker: Broker = None,
    strategy: Strategy = None,
    date: Day = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Signals and the verdict on each: approved, refused by which rule and why, dropped.

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
    print_table(
        title,
        [column.header for column in columns],
        [[column.show(row[column.key]) for column in columns] for row in rows],
        numbers=[column.header for column in columns if column.number],
        whole=[column.header for column in columns if column.whole],
    )
