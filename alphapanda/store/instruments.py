"""The broker's instrument lists: the last one and that of the day before, beside the journal.

A list is written in pieces, so that no order waits long for its commit, and counts once it is whole: a reader
sees all of it or nothing. Those of an exchange on this machine and those of the broker are kept apart.
"""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from anyio import to_thread

from alphapanda.errors import Transient
from alphapanda.events import Dump, Instrument, KnownDump, ListedRow, Money
from alphapanda.rows import Row
from alphapanda.store.offline import reading
from alphapanda.store.store import Store

PIECE = 4_000
"""Rows a transaction."""
KEYS = 500
"""Symbols a question."""
COLUMNS = (
    "exchange",
    "tradingsymbol",
    "instrument_token",
    "exchange_token",
    "name",
    "expiry",
    "strike",
    "tick_size",
    "lot_size",
    "instrument_type",
    "segment",
    "derivatives",
)
_INSERT = (
    f"INSERT INTO instruments (dump, {', '.join(COLUMNS)})"  # noqa: S608 - our names
    f" VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"
)
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM instruments"  # noqa: S608 - our names


class Found(NamedTuple):
    """What a search finds: the list it was done in, how many fit in all, and the first of them as rows."""

    dump: KnownDump | None
    total: int
    rows: list[Row]


async def keep(store: Store, dump: Dump, *, rehearsal: bool) -> KnownDump:
    """Write it down; of older ones that of the day before stays. The same list again is not written twice.

    Raises Transient when the store cannot take it; what was kept before is kept still.
    """
    try:
        async with store.listing:
            known = await store.work(partial(_again, dump=dump, rehearsal=rehearsal))
            if known is None:
                known = await _write(store, dump, rehearsal=rehearsal)
            await _clear(store)
    except sqlite3.Error as error:
        raise Transient(
            f"the instrument list of {dump.day} cannot be kept: {error}; the one before stays"
        ) from error
    return known


async def _write(store: Store, dump: Dump, *, rehearsal: bool) -> KnownDump:
    known, rows = await to_thread.run_sync(partial(_prepared, dump, rehearsal=rehearsal))
    number = await store.work(partial(_begin, known=known))
    for start in range(0, len(rows), PIECE):
        await store.work(partial(_add, number=number, rows=rows[start : start + PIECE]))
    await store.work(partial(_finish, number=number, known=known))
    return known


def _prepared(dump: Dump, *, rehearsal: bool) -> tuple[KnownDump, list[ListedRow]]:
    """The rows in the order of their table, which is quickest."""
    rows = sorted(dump.rows, key=lambda row: (row.exchange, row.tradingsymbol))
    segments = dict(Counter(row.segment for row in rows))
    at = time.time_ns()
    return KnownDump(dump.day, rehearsal, len(rows), dump.size, dump.sha256, at, segments), rows


def _again(connection: sqlite3.Connection, *, dump: Dump, rehearsal: bool) -> KnownDump | None:
    """The list as it is kept already."""
    known = _last(connection, rehearsal)
    if known is None or (known[1].day, known[1].sha256) != (dump.day, dump.sha256):
        return None
    at = time.time_ns()
    connection.execute("UPDATE instrument_dumps SET synced_ns = ? WHERE dump = ?", (at, known[0]))
    return known[1]


def _begin(connection: sqlite3.Connection, *, known: KnownDump) -> int:
    values = (
        *(known.day.isoformat(), known.rehearsal, known.rows, known.size, known.sha256, known.synced_ns),
        json.dumps(known.segments),
    )
    row = connection.execute(
        "INSERT INTO instrument_dumps (day, rehearsal, rows, size, sha256, synced_ns, segments, whole)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
        values,
    )
    return row.lastrowid or 0


def _add(connection: sqlite3.Connection, *, number: int, rows: Sequence[ListedRow]) -> None:
    connection.executemany(_INSERT, ((number, *_values(row)) for row in rows))


def _values(row: ListedRow) -> tuple[Any, ...]:
    expiry = None if row.expiry is None else row.expiry.isoformat()
    return (
        *(row.exchange, row.tradingsymbol, row.instrument_token, row.exchange_token, row.name, expiry),
        *(format(row.strike, "f"), format(row.tick_size, "f"), row.lot_size, row.instrument_type),
        *(row.segment, row.derivatives),
    )


def _finish(connection: sqlite3.Connection, *, number: int, known: KnownDump) -> None:
    """From here on it is the last one, and all but it and the newest of another day are no more."""
    connection.execute("UPDATE instrument_dumps SET whole = 1 WHERE dump = ?", (number,))
    before = connection.execute(
        "SELECT max(dump) FROM instrument_dumps WHERE rehearsal = ? AND whole = 1 AND day != ?",
        (known.rehearsal, known.day.isoformat()),
    ).fetchone()[0]
    connection.execute(
        "UPDATE instrument_dumps SET whole = 0 WHERE rehearsal = ? AND dump NOT IN (?, ?)",
        (known.rehearsal, number, before or number),
    )


async def _clear(store: Store) -> None:
    """Take away what is not whole, a piece at a time."""
    while await store.work(_drop):
        pass


def _drop(connection: sqlite3.Connection) -> bool:
    """False when there is nothing more to take away."""
    dump = connection.execute("SELECT min(dump) FROM instrument_dumps WHERE whole = 0").fetchone()[0]
    if dump is None:
        return False
    some = connection.execute(
        "DELETE FROM instruments WHERE dump = ?1 AND (exchange, tradingsymbol) IN ("
        "SELECT exchange, tradingsymbol FROM instruments WHERE dump = ?1 LIMIT ?2)",
        (dump, PIECE),
    )
    if not some.rowcount:
        connection.execute("DELETE FROM instrument_dumps WHERE dump = ?", (dump,))
    return True


def last(path: Path, *, rehearsal: bool | None = None, until: date | None = None) -> KnownDump | None:
    """The list that is kept; with `until`, the newest that is of no later day."""
    with reading(path) as connection:
        known = _last(connection, rehearsal, until)
    return None if known is None else known[1]


def listed_instruments(
    path: Path, day: date, keys: Iterable[str], *, rehearsal: bool = False
) -> list[Instrument]:
    """Those of `keys` (EXCHANGE:SYMBOL) that are on the newest list of no later day than `day`.

    Their `listed_on` says of which. What is on none is left out.
    """
    pairs = sorted({tuple(key.upper().split(":", 1)) for key in keys if ":" in key})
    found: list[Instrument] = []
    with reading(path) as connection:
        known = _last(connection, rehearsal, day)
        for start in range(0, len(pairs) if known is not None else 0, KEYS):
            some = pairs[start : start + KEYS]
            places = ", ".join(["(?, ?)"] * len(some))
            rows = connection.execute(
                f"{_SELECT} WHERE dump = ? AND (exchange, tradingsymbol) IN (VALUES {places})",
                (known[0] if known else 0, *(part for pair in some for part in pair)),
            )
            found += [_row(row).instrument(known[1].day) for row in rows if known is not None]
    return found


def tokens(path: Path, *, rehearsal: bool) -> dict[str, int]:
    """Key -> token of the last list; empty where there is none."""
    with reading(path) as connection:
        known = _last(connection, rehearsal)
        rows = connection.execute(
            "SELECT exchange || ':' || tradingsymbol, instrument_token FROM instruments WHERE dump = ?",
            (known[0] if known else 0,),
        )
        return dict(rows)


def search(
    path: Path,
    text: str,
    *,
    exchange: str | None = None,
    kind: str | None = None,
    expiry: date | None = None,
    limit: int = 20,
) -> Found:
    """Rows of the last list, the likeliest first: each word of `text` is in exchange, symbol or name."""
    wheres: list[str] = []
    values: list[Any] = []
    for word in text.split():
        wheres.append("exchange || ':' || tradingsymbol || ' ' || name LIKE ? ESCAPE '\\'")
        values.append(f"%{_literally(word)}%")
    for column, wanted in (("exchange", exchange), ("instrument_type", kind), ("expiry", expiry)):
        if wanted is not None:
            wheres.append(f"{column} = ?")
            values.append(str(wanted).upper())
    symbol = text.strip().upper().rpartition(":")[2]
    where = " AND ".join(["dump = ?", *wheres])
    count = f"SELECT count(*) FROM instruments WHERE {where}"  # noqa: S608 - our names
    with reading(path) as connection:
        known = _last(connection)
        if known is None:
            return Found(None, 0, [])
        asked = [known[0], *values]
        total = connection.execute(count, asked).fetchone()[0]
        rows = connection.execute(
            f"{_SELECT} WHERE {where} ORDER BY tradingsymbol != ?, name != ?,"
            " tradingsymbol NOT LIKE ? ESCAPE '\\', expiry IS NOT NULL, instrument_type != 'FUT', expiry,"
            " CAST(strike AS REAL), instrument_type, exchange DESC, tradingsymbol LIMIT ?",
            [*asked, symbol, symbol, f"{_literally(symbol)}%", limit],
        )
        found = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    return Found(known[1], total, found)


def _literally(word: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\%_" else letter for letter in word)


def _last(
    connection: sqlite3.Connection, rehearsal: bool | None = None, until: date | None = None
) -> tuple[int, KnownDump] | None:
    """Its number, and what is known of it. None too in a store that no daemon of this version has opened."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'instrument_dumps'").fetchone():
        return None
    row = connection.execute(
        "SELECT dump, day, rehearsal, rows, size, sha256, synced_ns, segments FROM instrument_dumps"
        " WHERE whole = 1 AND rehearsal = coalesce(?1, rehearsal) AND day <= coalesce(?2, day)"
        " ORDER BY dump DESC LIMIT 1",
        (rehearsal, None if until is None else until.isoformat()),
    ).fetchone()
    if row is None:
        return None
    number, day, of_rehearsal, rows, size, sha256, at, segments = row
    of_day, counts = date.fromisoformat(day), json.loads(segments)
    return number, KnownDump(of_day, bool(of_rehearsal), rows, size, sha256, at, counts)


def _row(values: Sequence[Any]) -> ListedRow:
    exchange, symbol, token, at_exchange, name, expiry, strike, tick, lot, kind, segment, derivatives = values
    return ListedRow(
        exchange=exchange,
        tradingsymbol=symbol,
        instrument_token=token,
        exchange_token=at_exchange,
        name=name,
        expiry=None if expiry is None else date.fromisoformat(expiry),
        strike=Money(strike),
        tick_size=Money(tick),
        lot_size=lot,
        instrument_type=kind,
        segment=segment,
        derivatives=None if derivatives is None else bool(derivatives),
    )
