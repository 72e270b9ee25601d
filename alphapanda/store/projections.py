"""What each journaled event does to the tables: statements, written in the journal's transaction."""

from collections.abc import Callable
from typing import Any, NamedTuple

from alphapanda.core.hosted import PAUSED, QUARANTINED, RUNNING
from alphapanda.events import (
    AccountOpened,
    Approved,
    Balance,
    Booked,
    ChargesCompared,
    Compared,
    DayRolled,
    ExternalOrder,
    ExternalSeen,
    Halt,
    LimitChanged,
    Marked,
    Money,
    Order,
    OrderAccepted,
    OrderClosed,
    OrderFound,
    OrderOpened,
    OrderUpdated,
    Refused,
    Resume,
    RowTaken,
    StrategyFailed,
    StrategyPaused,
    StrategyQuarantined,
    StrategyResumed,
    Valued,
)
from alphapanda.rows import (
    balance_row,
    charges_row,
    comparison_row,
    equity_rows,
    external_order_row,
    external_row,
    found_row,
    order_row,
    position_row,
    signal_row,
    text,
    trade_row,
)

Statement = tuple[str, tuple[Any, ...]]


class At(NamedTuple):
    """Which row of the journal it is, and the wall clock when it was written."""

    seq: int
    ns: int


EQUITY_KEY = ("broker", "strategy_id", "at_ns")
CHARGES_KEY = ("broker", "broker_order_id")
EXTERNAL_ORDER_KEY = ("broker", "broker_order_id")
FOUND_KEY = ("broker", "order_id")
EXTERNAL_KEY = ("broker", "exchange", "tradingsymbol", "product")
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


def _entry(broker: str, at: At, reason: str, amount: Money, trade_id: str | None = None) -> Statement:
    """A movement of cash: when, why, and the row of the journal that says so."""
    row = {"broker": broker, "at_ns": at.ns, "reason": reason, "trade_id": trade_id, "amount": text(amount)}
    return _insert("ledger", row | {"source_seq": at.seq})


def _booked(event: Booked, at: At) -> list[Statement]:
    fill, position = event.fill, event.position
    paid = -fill.signed_quantity * fill.price
    traded = At(at.seq, fill.traded_ns)
    return [
        _order(event.order),
        _insert("trades", trade_row(fill)),
        _upsert("positions", position_row(position), POSITION_KEY),
        _balance(event.balance),
        _entry(fill.broker, traded, "trade", paid, fill.trade_id),
        _entry(fill.broker, traded, "charges", -fill.charges, fill.trade_id),
    ]


def _opened(event: AccountOpened, at: At) -> list[Statement]:
    balance = Balance(broker=event.broker, starting_cash=event.starting_cash, cash=event.starting_cash)
    statements = [_balance(balance), _entry(event.broker, at, "opening", event.starting_cash)]
    if event.account:
        statements.append(("UPDATE balances SET account = ? WHERE broker = ?", (event.account, event.broker)))
    return statements


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


def _signal(event: Approved | Refused, _at: At) -> list[Statement]:
    """One row a signal and broker, with the quantity of all parts. A refusal has the last word."""
    sql, values = _upsert("signals", signal_row(event), ("signal_id", "broker"))
    if isinstance(event, Approved) and event.part > 1:
        sql = sql.replace("quantity = excluded.quantity", "quantity = signals.quantity + excluded.quantity")
    return [(sql, values)]


def _valued(event: Valued, _at: At) -> list[Statement]:
    return [_upsert("equity", row, EQUITY_KEY) for row in equity_rows(event)]


def _rolled(_event: DayRolled, _at: At) -> list[Statement]:
    """Flat positions stay for their day."""
    return [("DELETE FROM positions WHERE quantity = 0", ())]


def _marked(event: Marked, _at: At) -> list[Statement]:
    """Last prices of what is held, for a daemon that is asked while it is stopped."""
    return [_upsert("positions", position_row(position), POSITION_KEY) for position in event.positions]


def _limit(event: LimitChanged, _at: At) -> list[Statement]:
    """What holds now, and the line of the audit."""
    scope = event.scope
    place = {
        "key": event.key,
        "broker": scope.broker,
        "strategy": scope.strategy,
        "instrument": scope.instrument,
    }
    audit = {"at_ns": event.time_ns, "by_whom": event.by, "old": event.old, "new": event.value}
    written = _insert("limit_changes", place | audit | {"reason": event.reason})
    if event.value is None:
        where = " AND ".join(f"{name} = ?" for name in place)
        return [(f"DELETE FROM limits WHERE {where}", tuple(place.values())), written]  # noqa: S608 - as above
    return [_upsert("limits", place | {"value": event.value}, tuple(place)), written]


def _external(event: ExternalSeen, _at: At) -> list[Statement]:
    """What is flat again has no row."""
    row = external_row(event)
    if event.quantity:
        return [_upsert("external_positions", row, EXTERNAL_KEY)]
    where = " AND ".join(f"{name} = ?" for name in EXTERNAL_KEY)
    values = tuple(row[name] for name in EXTERNAL_KEY)
    return [(f"DELETE FROM external_positions WHERE {where}", values)]  # noqa: S608 - as above


def _accepted(event: OrderAccepted, _at: At) -> list[Statement]:
    sql = "DELETE FROM found_orders WHERE broker = ? AND order_id = ?"
    return [(sql, (event.broker, event.order_id))]


def _taken(event: RowTaken, _at: At) -> list[Statement]:
    row = {"feed": event.feed, "taken": event.row, "time_ns": event.time_ns}
    return [_upsert("progress", row, ("feed",))]


PROJECTION: dict[type, Callable[[Any, At], list[Statement]]] = {
    AccountOpened: _opened,
    Approved: _signal,
    Refused: _signal,
    OrderOpened: lambda event, _: [_order(event.order)],
    OrderUpdated: lambda event, _: [_order(event.order)],
    OrderClosed: lambda event, _: [_order(event.order)],
    Booked: _booked,
    Valued: _valued,
    DayRolled: _rolled,
    Marked: _marked,
    RowTaken: _taken,
    Compared: lambda event, _: [_insert("comparisons", comparison_row(event))],
    ChargesCompared: lambda event, _: [_upsert("charge_differences", charges_row(event), CHARGES_KEY)],
    ExternalSeen: _external,
    ExternalOrder: lambda event, _: [
        _upsert("external_orders", external_order_row(event), EXTERNAL_ORDER_KEY)
    ],
    OrderFound: lambda event, _: [_upsert("found_orders", found_row(event), FOUND_KEY)],
    OrderAccepted: _accepted,
    Halt: lambda e, _: _switch(is_on=True, reason=e.reason, by=e.by, time_ns=e.time_ns),
    Resume: lambda e, _: _switch(is_on=False, reason=e.reason, by=e.by, time_ns=e.time_ns),
    LimitChanged: _limit,
    StrategyPaused: lambda e, _: _stands(e.strategy_id, PAUSED, _by(e), e.time_ns),
    StrategyResumed: lambda e, _: _stands(e.strategy_id, RUNNING, _by(e), e.time_ns),
    StrategyFailed: lambda e, at: _stands(e.strategy_id, QUARANTINED, e.error, at.ns),
    StrategyQuarantined: lambda e, at: _stands(e.strategy_id, QUARANTINED, f"{e.rule}: {e.why}", at.ns),
}
"""Every event the journal keeps, and its statements. What is not here is not journaled."""
