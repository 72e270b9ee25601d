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
LONGEST = 200
"""Bytes of the file: one short line."""


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
        noted = _read(os.pread(self._descriptor, LONGEST, 0))
        if noted is not None and not _has(connection, noted):
            (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
            seq, _ = noted
            raise CannotStart(
                f"store {self._store} has lost the end of its journal: row {seq} was written, "
                + (f"it ends at row {last}" if last < seq else "another is in its place")
                + "; bring back the newest store with its -wal file, or remove"
                + f" {self.path} to go on without"
            )

    def note(self, seq: int, digest: bytes) -> None:
        """Row `seq` is durable. What cannot be noted is not missed."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.pwrite(self._descriptor, _line(seq, digest), 0)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def note_stopped(store: Path, connection: sqlite3.Connection, end: tuple[int, bytes]) -> None:
    """The same for a command that wrote to the store of a stopped daemon. Where the journal had lost its end
    before, the file stays as it is: the next start has to see that.
    """
    with suppress(OSError), tail_path(store).open("r+b", buffering=0) as file:
        noted = _read(file.read(LONGEST))
        if noted is not None and _has(connection, noted):
            file.seek(0)
            file.write(_line(*end))


def _has(connection: sqlite3.Connection, noted: tuple[int, bytes]) -> bool:
    seq, digest = noted
    row = connection.execute("SELECT hash FROM journal WHERE seq = ?", (seq,)).fetchone()
    return not seq or (row is not None and bytes(row[0]) == digest)


def _line(seq: int, digest: bytes) -> bytes:
    words = b"%d %b" % (seq, digest.hex().encode())
    return b"%b %b\n" % (words, _sum(words))


def _read(line: bytes) -> tuple[int, bytes] | None:
    """(number, hash); None for a file that is new, or whose writing was cut by a loss of power."""
    words, _, check = line.partition(b"\n")[0].rpartition(b" ")
    if check != _sum(words):
        return None
    seq, digest = words.split()
    return int(seq), bytes.fromhex(digest.decode())


def _sum(words: bytes) -> bytes:
    return blake2b(words, digest_size=CHECK_BYTES).hexdigest().encode()
