"""What each journaled event does to the tables: statements, written in the journal's transaction."""

from collections.abc import Callable
from typing import Any

from alphapanda.core.hosted import PAUSED, QUARANTINED, RUNNING
from alphapanda.events import (
    AccountOpened,
    Approved,
    Balance,
    Booked,
    Halt,
    Marked,
    Order,
    OrderClosed,
    OrderOpened,
    OrderUpdated,
    Refused,
    Resume,
    RowTaken,
    StrategyFailed,
    StrategyPaused,
    StrategyResumed,
)
from alphapanda.rows import balance_row, order_row, position_row, signal_row, text, trade_row

Statement = tuple[str, tuple[Any, ...]]
POSITION_KEY = ("broker", "strategy_id", "exchange", "tradingsymbol", "product")


def _upsert(table: str, row: dict[str, Any], key: tuple[str, ...]) -> Statement:
    columns = ", ".join(row)
    places = ", ".join("?" * len(row))
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name not in key)
    sql = f"INSERT INTO {table} ({columns}) VALUES ({places}) "  # noqa: S608 - names from rows.py
    sql += f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
    return sql, tuple(row.values())


def _insert(table: str, row: dict[str, Any]) -> Statement:
    sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608 - as above
    return sql, tuple(row.values())


def _order(order: Order) -> Statement:
    return _upsert("orders", order_row(order), ("order_id",))


def _balance(balance: Balance) -> Statement:
    return _upsert("balances", balance_row(balance), ("broker",))


def _entry(
    broker: str, at_ns: int, reason: str, amount: str | None, trade_id: str | None = None
) -> Statement:
    row = {"broker": broker, "at_ns": at_ns, "reason": reason, "trade_id": trade_id, "amount": amount}
    return _insert("ledger", row)


def _booked(event: Booked, _at_ns: int) -> list[Statement]:
    fill, position = event.fill, event.position
    paid = -fill.signed_quantity * fill.price
    return [
        _order(event.order),
        _insert("trades", trade_row(fill)),
        _upsert("positions", position_row(position), POSITION_KEY),
        _balance(event.balance),
        _entry(fill.broker, fill.traded_ns, "trade", text(paid), fill.trade_id),
        _entry(fill.broker, fill.traded_ns, "charges", text(-fill.charges), fill.trade_id),
    ]


def _opened(event: AccountOpened, at_ns: int) -> list[Statement]:
    balance = Balance(broker=event.broker, starting_cash=event.starting_cash, cash=event.starting_cash)
    return [_balance(balance), _entry(event.broker, at_ns, "opening", text(event.starting_cash))]


def _switch(*, is_on: bool, reason: str, by: str, time_ns: int) -> list[Statement]:
    row = {"id": 1, "is_on": int(is_on), "reason": reason, "by_whom": by, "since_ns": time_ns}
    return [_upsert("kill_switch", row, ("id",))]


def _stands(strategy_id: str, state: str, reason: str, time_ns: int) -> list[Statement]:
    row = {"strategy_id": strategy_id, "state": state, "reason": reason, "since_ns": time_ns}
    sql, values = _upsert("strategies", row, ("strategy_id",))
    if state == PAUSED:  # one that is quarantined stays so
        sql += f" WHERE strategies.state <> '{QUARANTINED}'"
    return [(sql, values)]


def _by(event: StrategyPaused | StrategyResumed) -> str:
    return f"{event.reason} (by {event.by})" if event.reason else f"by {event.by}"


def _marked(event: Marked, _at_ns: int) -> list[Statement]:
    """Last prices of what is held, for a daemon that is asked while it is stopped."""
    return [_upsert("positions", position_row(position), POSITION_KEY) for position in event.positions]


def _taken(event: RowTaken, _at_ns: int) -> list[Statement]:
    row = {"feed": event.feed, "taken": event.row, "time_ns": event.time_ns}
    return [_upsert("progress", row, ("feed",))]


PROJECTION: dict[type, Callable[[Any, int], list[Statement]]] = {
    AccountOpened: _opened,
    Approved: lambda event, _: [_upsert("signals", signal_row(event), ("signal_id", "broker"))],
    Refused: lambda event, _: [_upsert("signals", signal_row(event), ("signal_id", "broker"))],
    OrderOpened: lambda event, _: [_order(event.order)],
    OrderUpdated: lambda event, _: [_order(event.order)],
    OrderClosed: lambda event, _: [_order(event.order)],
    Booked: _booked,
    Marked: _marked,
    RowTaken: _taken,
    Halt: lambda e, _: _switch(is_on=True, reason=e.reason, by=e.by, time_ns=e.time_ns),
    Resume: lambda e, _: _switch(is_on=False, reason=e.reason, by=e.by, time_ns=e.time_ns),
    StrategyPaused: lambda e, _: _stands(e.strategy_id, PAUSED, _by(e), e.time_ns),
    StrategyResumed: lambda e, _: _stands(e.strategy_id, RUNNING, _by(e), e.time_ns),
    StrategyFailed: lambda e, at_ns: _stands(e.strategy_id, QUARANTINED, e.error, at_ns),
}
"""Every event the journal keeps, and its statements. What is not here is not journaled."""
