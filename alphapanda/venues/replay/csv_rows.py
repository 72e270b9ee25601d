"""One CSV file, plain or gzip: its header when opened, its accepted rows when walked."""

import csv
from _csv import Reader
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from alphapanda.errors import DataError
from alphapanda.events import Instrument
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay.accepted import accepted
from alphapanda.venues.replay.columns import find_columns, is_header
from alphapanda.venues.replay.files import open_text, reading
from alphapanda.venues.replay.naming import learn_tokens
from alphapanda.venues.replay.parsing import row_parser, why_bad
from alphapanda.venues.replay.rules import Counts, Row
from alphapanda.venues.replay.times import time_reader


class CsvFile:
    """`columns` names the columns of a headerless file; one whose first row is a header uses its own."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.size = path.stat().st_size
        self._raw: BinaryIO | None = None
        self._consumed = 0
        with self._reader() as reader:
            first = _first_row(reader)
            if first is None:
                raise DataError(f"{path}: the file is empty: remove it, or fetch it again")
            if any("\0" in cell for cell in first):
                raise DataError(
                    f"{path}: line {reader.line_num}: NUL bytes: not a CSV file, or not saved as UTF-8"
                )
            self._has_header = is_header(first) or not columns
            names = first if self._has_header else columns
            where = f"{path}: line {reader.line_num}" if self._has_header else f"{path}: --columns"
            self.layout = find_columns(names, where)
        self.rewind()

    @contextmanager
    def _reader(self) -> Iterator[Reader]:
        reader: Reader | None = None
        with (
            reading(self.path, lambda: reader.line_num if reader else 0),
            open_text(self.path) as (raw, text),
        ):
            self._raw = raw
            reader = csv.reader(text, skipinitialspace=True)
            try:
                yield reader
            finally:
                self._raw = None
                if not raw.closed:  # it is when a walk that was given up is collected as garbage
                    self._consumed = raw.tell()

    @property
    def consumed(self) -> int:
        """Bytes of the file as it lies on the disk."""
        return self._consumed if self._raw is None else self._raw.tell()

    def rewind(self) -> None:
        self._consumed = 0

    def learn(self, book: InstrumentBook) -> None:
        with self._reader() as reader:
            self._skip_header(reader)
            try:
                learn_tokens(reader, self.layout, book)
            except DataError as error:
                raise DataError(f"{self.path}: line {reader.line_num}: {error}") from None
        self.rewind()

    def rows(
        self, book: InstrumentBook, counts: Counts, only: Instrument | None, *, skip_bad_rows: bool
    ) -> Iterator[Row]:
        read_time = time_reader()
        parse = row_parser(self.layout, read_time, book, counts, only)
        reason = partial(why_bad, layout=self.layout, read_time=read_time, book=book)
        with self._reader() as reader:
            self._skip_header(reader)
            yield from accepted(
                reader, parse, partial(self._place, reader), reason, counts if skip_bad_rows else None
            )

    def _skip_header(self, reader: Reader) -> None:
        if self._has_header:
            _first_row(reader)

    def _place(self, reader: Reader, cells: Sequence[str]) -> str:
        # A quoted field may span lines: an editor shows where it began. One left open ends with the file.
        breaks = sum(cell.count("\n") for cell in cells) - cells[-1].endswith("\n")
        return f"{self.path}: line {reader.line_num - breaks}"


def _first_row(reader: Reader) -> list[str] | None:
    """Blank lines before the header are nobody's business."""
    return next((cells for cells in reader if any(map(str.strip, cells))), None)
