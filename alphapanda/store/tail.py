"""The end of the journal, noted beside the store: a file that lost its tail still looks whole to SQLite.

After every commit the number and the hash of the last row are written here, and not synced: after a loss of
power this may be behind the journal, never before it. A journal that is shorter than this says, or another,
has lost what was committed: a log (`-wal`) that somebody removed, or an older copy of the store.
"""

import os
import sqlite3
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from alphapanda.errors import CannotStart

CHECK_BYTES = 8


def tail_path(store: Path) -> Path:
    return store.with_name(store.name + ".tail")


class Tail:
    """Open from `check` to `close`; used by the one thread that writes the store."""

    def __init__(self, store: Path) -> None:
        self.path = tail_path(store)
        self._store = store
        self._descriptor: int | None = None

    def check(self, connection: sqlite3.Connection) -> None:
        """Raises CannotStart where the journal has not the row that was its last. OSError where the file
        cannot be made.
        """
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        noted = _read(os.pread(self._descriptor, 200, 0))
        if noted is None:
            return
        seq, digest = noted
        row = connection.execute("SELECT hash FROM journal WHERE seq = ?", (seq,)).fetchone()
        if seq and (row is None or bytes(row[0]) != digest):
            (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
            raise CannotStart(
                f"store {self._store} has lost the end of its journal: row {seq} was written, "
                + (f"it ends at row {last}" if last < seq else "another is in its place")
                + "; bring back the newest store with its -wal file, or remove"
                + f" {self.path} to go on without"
            )

    def note(self, seq: int, digest: bytes) -> None:
        """Row `seq` is durable. What cannot be noted is not missed."""
        if self._descriptor is not None:
            words = b"%d %b" % (seq, digest.hex().encode())
            with suppress(OSError):
                os.pwrite(self._descriptor, b"%b %b\n" % (words, _sum(words)), 0)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _read(line: bytes) -> tuple[int, bytes] | None:
    """(number, hash); None for a file that is new, or whose writing was cut by a loss of power."""
    words, _, check = line.partition(b"\n")[0].rpartition(b" ")
    if check != _sum(words):
        return None
    seq, digest = words.split()
    return int(seq), bytes.fromhex(digest.decode())


def _sum(words: bytes) -> bytes:
    return blake2b(words, digest_size=CHECK_BYTES).hexdigest().encode()
