"""orders, trades, positions, portfolio, signals: what the store knows, with the daemon running or not."""

from datetime import datetime
from typing import Annotated, Any

import typer

from alphapanda.cli.context import store_of
from alphapanda.cli.output import clock, print_json, print_table, rupees

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
Broker = Annotated[str | None, typer.Option("--broker", help="Only this broker.")]
Strategy = Annotated[str | None, typer.Option("--strategy", help="Only this strategy id.")]
Day = Annotated[
    datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Only this day (IST), YYYY-MM-DD.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=0, help="Only the newest so many rows.")]


def _read(ctx: typer.Context, table: str, **filters: Any) -> list[dict[str, Any]]:
    from alphapanda.rows import for_people  # noqa: PLC0415
    from alphapanda.store import offline  # noqa: PLC0415

    day = filters.pop("day", None)
    found = offline.rows(store_of(ctx), table, day=day.date() if day else None, **filters)
    return [for_people(row) for row in found]


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
    found = _read(ctx, "orders", broker=broker, strategy=strategy, day=date, limit=limit)
    if json:
        print_json(found)
        return
    print_table(
        f"{len(found)} orders",
        ["order", "created", "broker", "strategy", "symbol", "side", "qty", "filled", "average", "status"],
        [
            (
                row["order_id"],
                clock(row["created_at"]),
                row["broker"],
                row["strategy_id"],
                row["tradingsymbol"],
                row["transaction_type"],
                row["quantity"],
                row["filled_quantity"],
                rupees(row["average_price"]),
                row["status"],
            )
            for row in found
        ],
        numbers=("qty", "filled", "average"),
    )


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
    found = _read(ctx, "trades", broker=broker, strategy=strategy, day=date, limit=limit)
    if json:
        print_json(found)
        return
    print_table(
        f"{len(found)} trades",
        ["trade", "traded", "broker", "strategy", "symbol", "side", "qty", "price", "charges"],
        [
            (
                row["trade_id"],
                clock(row["traded_at"]),
                row["broker"],
                row["strategy_id"],
                row["tradingsymbol"],
                row["transaction_type"],
                row["quantity"],
                rupees(row["price"]),
                rupees(row["charges"]),
            )
            for row in found
        ],
        numbers=("qty", "price", "charges"),
    )


def positions(
    ctx: typer.Context,
    broker: Broker = None,
    strategy: Strategy = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Positions by broker and strategy; flat ones of the day stay in the list.

    Example: alphapanda positions --broker paper
    """
    found = _read(ctx, "positions", broker=broker, strategy=strategy, limit=limit)
    if json:
        print_json(found)
        return
    print_table(
        f"{sum(1 for row in found if row['quantity'])} open positions",
        ["broker", "strategy", "symbol", "qty", "average", "last", "realised", "unrealised"],
        [
            (
                row["broker"],
                row["strategy_id"],
                f"{row['exchange']}:{row['tradingsymbol']}",
                row["quantity"],
                rupees(row["average_price"]),
                rupees(row["last_price"]),
                rupees(row["realized_pnl"]),
                rupees(row["unrealized_pnl"]),
            )
            for row in found
        ],
        numbers=("qty", "average", "last", "realised", "unrealised"),
    )


def portfolio(ctx: typer.Context, broker: Broker = None, json: Json = False) -> None:
    """Cash, equity, profit and charges of each broker; equity = starting cash + profits - charges.

    Example: alphapanda portfolio
    """
    from alphapanda.rows import for_people, standing_row  # noqa: PLC0415
    from alphapanda.store import offline  # noqa: PLC0415

    found = {
        standing.broker: for_people(standing_row(standing))
        for standing in offline.standings(store_of(ctx))
        if broker in (None, standing.broker)
    }
    if json:
        print_json(found)
        return
    print_table(
        "Portfolio",
        ["broker", "starting cash", "cash", "equity", "realised", "unrealised", "charges"],
        [(name, *(rupees(amount) for amount in row.values())) for name, row in found.items()],
        numbers=("starting cash", "cash", "equity", "realised", "unrealised", "charges"),
    )


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
    found = _read(ctx, "signals", broker=broker, strategy=strategy, day=date, limit=limit)
    if json:
        print_json(found)
        return
    print_table(
        f"{len(found)} signals",
        ["signal", "at", "strategy", "symbol", "side", "qty", "verdict", "why"],
        [
            (
                row["signal_id"],
                clock(row["at"]),
                row["strategy_id"],
                row["tradingsymbol"],
                row["transaction_type"],
                row["quantity"],
                row["verdict"],
                f"{row['rule']}: {row['reason']}" if row["rule"] else row["reason"],
            )
            for row in found
        ],
        numbers=("qty",),
    )
