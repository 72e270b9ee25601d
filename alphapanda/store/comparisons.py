"""What was found when our book was held against a broker's: the newest comparison, and the day's charges."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from alphapanda.core.comparison import NOTABLE
from alphapanda.events import Money
from alphapanda.rows import Row, text
from alphapanda.store.offline import reading
from alphapanda.times import date_of, day_of, start_of

ZERO = Money(0)


def newest(path: Path) -> dict[str, Row]:
    """By broker: `comparison` (None before the first), its `differences` and `frozen` symbols, `external`
    positions and `external_orders`, `found` orders that wait for the operator's word, and `charges`; of
    orders and charges those of the newest day that has any (None where there is none).
    """
    with reading(path) as connection:
        connection.row_factory = sqlite3.Row
        if not _has(connection, "comparisons"):
            return {}
        brokers = connection.execute(
            "SELECT broker FROM comparisons UNION SELECT broker FROM external_positions"
            " UNION SELECT broker FROM charge_differences ORDER BY broker"
        ).fetchall()
        return {broker: _of(connection, broker) for (broker,) in brokers}


def _of(connection: sqlite3.Connection, broker: str) -> Row:
    compared = connection.execute(
        "SELECT at_ns, occasion, compared, left_out, differences, frozen FROM comparisons WHERE broker = ?"
        " ORDER BY entry DESC LIMIT 1",
        (broker,),
    ).fetchone()
    found: Row = {} if compared is None else dict(compared)
    differences, frozen = json.loads(found.pop("differences", "[]")), json.loads(found.pop("frozen", "[]"))
    external = connection.execute(
        "SELECT exchange, tradingsymbol, product, quantity, changed_ns FROM external_positions"
        " WHERE broker = ? ORDER BY tradingsymbol, exchange, product",
        (broker,),
    )
    return {
        "comparison": found or None,
        "differences": [_with_missing(each) for each in differences],
        "frozen": frozen,
        "external": [dict(row) for row in external],
        "external_orders": _orders(connection, broker),
        "found": _found(connection, broker),
        "charges": _charges(connection, broker),
    }


def _with_missing(difference: dict[str, Any]) -> Row:
    return difference | {"missing": difference["theirs"] - difference["ours"] - difference["external"]}


def _orders(connection: sqlite3.Connection, broker: str) -> list[Row]:
    """Of the newest day: orders do not outlive theirs."""
    if not _has(connection, "external_orders"):
        return []
    (last_ns,) = connection.execute(
        "SELECT max(changed_ns) FROM external_orders WHERE broker = ?", (broker,)
    ).fetchone()
    if last_ns is None:
        return []
    rows = connection.execute(
        "SELECT broker_order_id, exchange, tradingsymbol, product, transaction_type, order_type, quantity,"
        " filled_quantity, price, average_price, status, reason, placed_by, changed_ns FROM external_orders"
        " WHERE broker = ? AND changed_ns >= ? ORDER BY rowid",
        (broker, start_of(day_of(last_ns))),
    )
    return [dict(row) for row in rows]


def _found(connection: sqlite3.Connection, broker: str) -> list[Row]:
    if not _has(connection, "found_orders"):
        return []
    rows = connection.execute(
        "SELECT order_id, broker_order_id, exchange, tradingsymbol, was, found_ns FROM found_orders"
        " WHERE broker = ? ORDER BY rowid",
        (broker,),
    )
    return [dict(row) for row in rows]


def _has(connection: sqlite3.Connection, table: str) -> bool:
    """False in a store that no daemon of this version has opened yet."""
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,))
    return found.fetchone() is not None


def _charges(connection: sqlite3.Connection, broker: str) -> Row | None:
    """`difference` is what all orders of the day together were charged too much; exact, as text."""
    (last_ns,) = connection.execute(
        "SELECT max(at_ns) FROM charge_differences WHERE broker = ?", (broker,)
    ).fetchone()
    if last_ns is None:
        return None
    day = day_of(last_ns)
    rows = connection.execute(
        "SELECT broker_order_id, exchange, tradingsymbol, ours, beside, theirs, difference, at_ns"
        " FROM charge_differences WHERE broker = ? AND at_ns >= ? ORDER BY rowid",
        (broker, start_of(day)),
    ).fetchall()
    return {
        "date": date_of(day).isoformat(),
        "orders": len(rows),
        "difference": text(sum((Money(row["difference"]) for row in rows), ZERO)),
        "notable": [dict(row) for row in rows if abs(Money(row["difference"])) > NOTABLE],
    }
