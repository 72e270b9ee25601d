"""What SQLite's errors mean to the operator: the words, and what to do."""

import sqlite3

WHAT_TO_DO = {
    sqlite3.SQLITE_BUSY: "another program holds it for writing: end that program",
    sqlite3.SQLITE_LOCKED: "another program holds it for writing: end that program",
    sqlite3.SQLITE_READONLY: "its file may not be written: run this as the daemon's user",
    sqlite3.SQLITE_IOERR: "look at its disk",
    sqlite3.SQLITE_CORRUPT: "restore a backup, the file is left as it is",
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_CANTOPEN: "check storage.path",
    sqlite3.SQLITE_NOTADB: "restore a backup, the file is left as it is",
}
"""By primary result code. https://www.sqlite.org/rescode.html"""


def in_words(error: Exception) -> str:
    """One line: what was said, and what to do where that is known."""
    what_to_do = WHAT_TO_DO.get(_code(error) & 0xFF)
    return f"{error}; {what_to_do}" if what_to_do else str(error)


def no_room(error: sqlite3.Error) -> bool:
    """The disk is full: the transaction is undone, and what is written next takes its place."""
    return _code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


def _code(error: Exception) -> int:
    """The extended result code; 0 where the error is not SQLite's."""
    return getattr(error, "sqlite_errorcode", 0)
