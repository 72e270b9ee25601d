"""The store without its daemon: short reads for the command, and the kill switch of a stopped daemon."""

import os
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

from alphapanda.core.portfolio import Standing
from alphapanda.errors import CannotStart, Fatal
from alphapanda.events import (
    Approved,
    Balance,
    Halt,
    Instrument,
    LimitChanged,
    Money,
    Position,
    Refused,
    Resume,
    Scope,
    StrategyPaused,
    StrategyResumed,
)
from alphapanda.rows import Row, asked_row, verdict_row
from alphapanda.store import journal, lock, schema, tail
from alphapanda.store.recovery import Recovered, fold
from alphapanda.store.sqlite_errors import in_words
from alphapanda.times import number_of, start_of

ORDERED = {
    "orders": "rowid",
    "trades": "rowid",
    "positions": "broker, strategy_id, exchange, tradingsymbol, product",
    "signals": "rowid",
}
DATED = {"orders": "created_ns", "trades": "traded_ns", "signals": "at_ns"}


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A short read-only look; a store that does not exist yet, or has no tables, reads as empty."""
    try:
        with closing(_opened(path)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise Fatal(
            f"store {path} cannot be read: {error}; if it is damaged, stop the daemon and restore a backup,"
            " or set another storage.path"
        ) from error


def _opened(path: Path) -> sqlite3.Connection:
    if path.exists() and path.stat().st_size:
        connection = sqlite3.connect(f"file:{_quoted(path)}?{_mode(path)}", uri=True, timeout=2)
        try:
            schema.check_version(connection, str(path))
            if not schema.is_empty(connection):
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
    empty = sqlite3.connect(":memory:")
    schema.prepare(empty, str(path))
    return empty


def _mode(path: Path) -> str:
    """Where the reader may not write, SQLite can still read a store that was closed in good order."""
    closed = not path.with_name(path.name + "-wal").exists()
    return "immutable=1" if closed and not os.access(path.parent, os.W_OK) else "mode=ro"


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def rows(
    path: Path,
    table: str,
    *,
    broker: str | None = None,
    strategy: str | None = None,
    day: date | None = None,
    limit: int | None = None,
) -> list[Row]:
    """The rows of a projection, oldest first; with `limit`, the newest so many."""
    wheres, values = ["1"], []
    for column, wanted in (("broker", broker), ("strategy_id", strategy)):
        if wanted is not None:
            wheres.append(f"{column} = ?")
            values.append(wanted)
    if day is not None and table in DATED:
        start, end = _day(day)
        wheres.append(f"{DATED[table]} BETWEEN {start} AND {end}")
    order = ORDERED[table]
    newest = f"{order.replace(',', ' DESC,')} DESC"
    sql = f"SELECT * FROM {table} WHERE {' AND '.join(wheres)} ORDER BY {newest}"  # noqa: S608 - our names
    if limit is not None:
        sql += f" LIMIT {limit}"
    with reading(path) as connection:
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute(sql, values)]
    return found[::-1]


def accounts(path: Path) -> dict[str, str]:
    """Whose account each broker's book is of; empty for the house's own."""
    with reading(path) as connection:
        rows = connection.execute("SELECT broker, account FROM balances ORDER BY broker").fetchall()
    return dict(rows)


def _day(day: date) -> tuple[int, int]:
    """Its first and its last nanosecond."""
    number = number_of(day)
    return start_of(number), start_of(number + 1) - 1


class Told(NamedTuple):
    """What became of a signal: as it was asked; and by broker the verdict, the orders and their trades."""

    signal: Row
    verdicts: list[tuple[Row, list[Row], list[Row]]]


def told_of(path: Path, signal_id: str) -> Told | None:
    """From the journal, which has the whole signal; None when it has no such signal."""
    said: dict[str, list[Approved | Refused]] = {}
    with reading(path) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(
            "SELECT kind, body FROM journal"
            " WHERE kind IN ('Approved', 'Refused') AND instr(body, ?) ORDER BY seq",
            (f'"signal_id":"{signal_id}"',),
        )
        for row in found:
            event: Approved | Refused = journal.event_of(row["kind"], row["body"])
            if event.signal.signal_id == signal_id:
                broker = event.order.broker if isinstance(event, Approved) else event.broker
                said.setdefault(broker, []).append(event)
        verdicts = [_told(connection, events) for events in said.values()]
    for event, *_ in said.values():
        instrument = event.order.instrument if isinstance(event, Approved) else event.instrument
        return Told(asked_row(event.signal, instrument), verdicts)
    return None


def _told(
    connection: sqlite3.Connection, events: list[Approved | Refused]
) -> tuple[Row, list[Row], list[Row]]:
    """The last word of one broker; the orders are of all parts that were approved and became one."""
    orders: list[Row] = []
    trades: list[Row] = []
    approved = [event for event in events if isinstance(event, Approved)]
    for event in approved:
        wanted = (event.order.order_id,)
        orders += map(dict, connection.execute("SELECT * FROM orders WHERE order_id = ?", wanted))
        found = connection.execute("SELECT * FROM trades WHERE order_id = ? ORDER BY rowid", wanted)
        trades += map(dict, found)
    verdict = verdict_row(events[-1])
    if isinstance(events[-1], Approved):
        verdict["quantity"] = sum(event.order.quantity for event in approved)
    return verdict, orders, trades


def standings(path: Path) -> list[Standing]:
    """Every broker's figures, from what the last commit says."""
    with reading(path) as connection:
        return standings_in(connection)


def standings_in(connection: sqlite3.Connection) -> list[Standing]:
    balances = connection.execute(
        "SELECT broker, starting_cash, cash, realized_pnl, charges FROM balances ORDER BY broker"
    ).fetchall()
    held = connection.execute("SELECT broker, quantity, last_price FROM positions").fetchall()
    positions = [_valued(*row) for row in held]
    return [
        Standing(
            Balance(
                broker=broker,
                starting_cash=Money(starting),
                cash=Money(cash),
                realized_pnl=Money(realized),
                charges=Money(charges),
            ),
            positions,
        )
        for broker, starting, cash, realized, charges in balances
    ]


def _valued(broker: str, quantity: int, last_price: str) -> Position:
    """Only what a standing needs of a position."""
    return Position(
        broker=broker,
        strategy_id="",
        instrument=Instrument(0, "", ""),
        product="",
        quantity=quantity,
        average_price=Money(0),
        last_price=Money(last_price),
        realized_pnl=Money(0),
        unrealized_pnl=Money(0),
    )


def kill_switch(path: Path) -> Row:
    """{is_on, reason, by_whom, since_ns}; off when it was never touched."""
    with reading(path) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT is_on, reason, by_whom, since_ns FROM kill_switch").fetchone()
    return dict(row) if row else {"is_on": 0, "reason": "", "by_whom": "", "since_ns": 0}


def strategies(path: Path) -> dict[str, Row]:
    """strategy_id -> {state, reason, since_ns} of those that the operator or a failure ever stopped."""
    with reading(path) as connection:
        connection.row_factory = sqlite3.Row
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'strategies'").fetchone():
            return {}  # a store that no daemon of this version has opened yet
        return {row["strategy_id"]: dict(row) for row in connection.execute("SELECT * FROM strategies")}


def change_strategy(path: Path, event: StrategyPaused | StrategyResumed) -> None:
    """Pause or resume for a daemon that is not running. Raises CannotStart when one is."""
    _write(path, event)


def limit_changes(path: Path, limit: int | None = None) -> list[Row]:
    """The audit of limits, oldest first; with `limit`, the newest so many."""
    with reading(path) as connection:
        connection.row_factory = sqlite3.Row
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'limit_changes'").fetchone():
            return []  # as above
        newest = connection.execute(
            "SELECT at_ns, by_whom, key, broker, strategy, instrument, old, new, reason FROM limit_changes"
            " ORDER BY entry DESC LIMIT ?",
            (-1 if limit is None else limit,),
        )
        return [dict(row) for row in newest][::-1]


def limits(path: Path) -> tuple[LimitChanged, ...]:
    """The values set at run time that hold now, from the journal: the table has not who set them."""
    last: dict[tuple[str, Scope], LimitChanged] = {}
    with reading(path) as connection:
        for kind, body in connection.execute(
            "SELECT kind, body FROM journal WHERE kind = ? ORDER BY seq", (LimitChanged.__name__,)
        ):
            event: LimitChanged = journal.event_of(kind, body)
            last[event.key, event.scope] = event
    return tuple(event for event in last.values() if event.value is not None)


def recovered(path: Path) -> Recovered:
    """What a start would find."""
    with reading(path) as connection:
        return fold(event for _, event in journal.read(connection))


def change_limit(path: Path, event: LimitChanged, known: Collection[LimitChanged] | None = None) -> None:
    """Set or reset a limit for a daemon that is not running. Raises CannotStart when one is, and Fatal where
    the values that were set at run time are no more those that are `known`.
    """
    with lock.hold(path, as_daemon=False):
        if known is not None and set(known) != set(limits(path)):
            raise Fatal("limits were changed by another command meanwhile; look again: alphapanda risk show")
        _append(path, event)


def switch(path: Path, *, on: bool, reason: str, by: str, flatten: bool = False) -> None:
    """Flip the kill switch of a daemon that is not running. Raises CannotStart when one is."""
    now_ns = time.time_ns()
    _write(path, Halt(reason, by, now_ns, flatten) if on else Resume(reason, by, now_ns))


def _write(path: Path, event: object) -> None:
    with lock.hold(path, as_daemon=False):
        _append(path, event)


def _append(path: Path, event: object) -> None:
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            schema.prepare(connection, str(path))
            rows = journal.Journal(connection)
            rows.append([(time.time_ns(), event)])
            tail.note_stopped(path, connection, rows.end)
    except sqlite3.Error as error:
        raise CannotStart(f"store {path} cannot be written: {in_words(error)}") from error
