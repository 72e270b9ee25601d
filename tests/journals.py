"""A journal's file as tests see it, through connections of their own."""

import sqlite3
from contextlib import closing
from pathlib import Path

from alphapanda.store import journal, schema


def store_path(folder: Path) -> Path:
    """Where a daemon with the settings of the tests has it."""
    return folder / "var" / "alphapanda.db"


def read(path: Path) -> list[object]:
    """The events in the file, in their order; also while a store has it open."""
    with closing(sqlite3.connect(path)) as connection:
        return [event for _, event in journal.read(connection)]


def write(path: Path, *events: object) -> None:
    """What an earlier daemon left: the file, made where there is none, with these events at its end."""
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        schema.prepare(connection, "")
        journal.Journal(connection).append([(number, event) for number, event in enumerate(events)])


def busy(path: Path) -> closing[sqlite3.Connection]:
    """A connection of another program, which holds the file for writing until it is closed."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return closing(other)
