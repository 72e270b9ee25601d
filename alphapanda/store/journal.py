"""The journal's own format: one row an event, JSON, chained by hash. Runs in the writer's thread."""

import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from alphapanda.errors import CannotStart
from alphapanda.fail_points import FailPoint, reach
from alphapanda.store.projections import PROJECTION, At

KINDS: dict[type, str] = {kind: kind.__name__ for kind in PROJECTION}
TYPES: dict[str, type] = {name: kind for kind, name in KINDS.items()}
GENESIS = bytes(16)

Record = tuple[int, Any]
"""(wall-clock nanoseconds, event)"""

_encode = msgspec.json.Encoder().encode
_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    name: msgspec.json.Decoder(kind) for name, kind in TYPES.items()
}


def chain(previous: bytes, at_ns: int, kind: str, body: bytes) -> bytes:
    return blake2b(b"%b%d %b %b" % (previous, at_ns, kind.encode(), body), digest_size=16).digest()


class Journal:
    """Appends to one connection and remembers the end of the chain."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        row = connection.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        self._seq, self._last = (0, GENESIS) if row is None else (int(row[0]), bytes(row[1]))

    @property
    def end(self) -> tuple[int, bytes]:
        """Number and hash of the last row that is durable."""
        return self._seq, self._last

    def append(self, records: Sequence[Record]) -> None:
        """All records and their projections in one durable transaction, or none of them."""
        connection, last = self._connection, self._last
        reach(FailPoint.BEFORE_COMMIT)
        connection.execute("BEGIN IMMEDIATE")
        try:
            for at_ns, event in records:
                last = self._append(at_ns, event, last)
            reach(FailPoint.INSIDE_COMMIT)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._seq, self._last = self._seq + len(records), last
        reach(FailPoint.AFTER_COMMIT)

    def _append(self, at_ns: int, event: object, last: bytes) -> bytes:
        kind, body = KINDS[type(event)], _encode(event)
        _decoders[kind].decode(body)  # what could not be read back would stop every later start
        digest = chain(last, at_ns, kind, body)
        row = self._connection.execute(
            "INSERT INTO journal (at_ns, kind, body, hash) VALUES (?, ?, ?, ?)",
            (at_ns, kind, body.decode(), digest),
        )
        for sql, values in PROJECTION[type(event)](event, At(row.lastrowid or 0, at_ns)):
            self._connection.execute(sql, values)
        return digest


def event_of(kind: str, body: str) -> Any:
    """One row's event, unchecked against its neighbours."""
    return _decoders[kind].decode(body.encode())


def read(connection: sqlite3.Connection) -> Iterator[Record]:
    """Every event, oldest first. A row that does not follow from the one before stops the start."""
    last = GENESIS
    rows = connection.execute("SELECT seq, at_ns, kind, body, hash FROM journal ORDER BY seq")
    for expected, (seq, at_ns, kind, body, digest) in enumerate(rows, 1):
        raw = body.encode()
        last = chain(last, at_ns, kind, raw)
        if seq != expected or last != bytes(digest):
            raise CannotStart(f"journal row {seq} does not follow from the row before: restore a backup")
        decoder = _decoders.get(kind)
        if decoder is None:
            raise CannotStart(
                f"journal row {seq} is a {kind}, which this version does not know: upgrade alphapanda"
            )
        yield at_ns, decoder.decode(raw)


def rebuild(connection: sqlite3.Connection, projections: Sequence[str]) -> None:
    """Empty the projections and write them anew from the journal, in one transaction."""
    events = list(enumerate(read(connection), 1))
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in projections:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names from schema.py
        for seq, (at_ns, event) in events:
            for sql, values in PROJECTION[type(event)](event, At(seq, at_ns)):
                connection.execute(sql, values)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
