"""One Parquet file: its schema when opened, its accepted rows when walked.

pyarrow is imported here, inside functions, so that a run on CSV does not pay for it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from alphapanda.errors import DataError
from alphapanda.events import Instrument
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay.accepted import accepted
from alphapanda.venues.replay.columns import find_columns
from alphapanda.venues.replay.files import reading
from alphapanda.venues.replay.naming import learn_tokens
from alphapanda.venues.replay.parsing import row_parser, why_bad
from alphapanda.venues.replay.rules import Counts, Row
from alphapanda.venues.replay.times import ZONE, instant_reader, time_reader

_BATCH = 65_536


class ParquetFile:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self.consumed = 0
        with self._opened() as file:
            schema = file.schema_arrow
            names: list[str] = schema.names
            whole = find_columns(names, str(path))
            self._names = [names[column] for column in dict.fromkeys(whole.used)]
            self.layout = find_columns(self._names, str(path))
            self._typed_time = self.layout.clock is None and _is_instant(schema.types[whole.time])

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415 - see the top of the module

        with reading(self.path):
            try:
                with self.path.open("rb") as raw, parquet.ParquetFile(raw) as file:
                    yield file
            except ArrowException as error:
                raise DataError(self._broken(error)) from error
            except OSError as error:
                if error.errno is not None:
                    raise
                raise DataError(self._broken(error)) from error

    def _broken(self, error: Exception) -> str:
        if self.size == 0:
            return f"{self.path}: the file is empty: remove it, or fetch it again"
        said = str(error).partition("\n")[0]
        return f"{self.path}: not a readable Parquet file ({said}): write or download it again"

    def rewind(self) -> None:
        self.consumed = 0

    def learn(self, book: InstrumentBook) -> None:
        try:
            learn_tokens(self._values(), self.layout, book)
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from None
        self.rewind()

    def rows(
        self, book: InstrumentBook, counts: Counts, only: Instrument | None, *, skip_bad_rows: bool
    ) -> Iterator[Row]:
        read_time = instant_reader() if self._typed_time else time_reader()
        parse = row_parser(self.layout, read_time, book, counts, only)
        reason = partial(why_bad, layout=self.layout, read_time=read_time, book=book)
        # Every row ends in one count, so the row at hand is the next one.
        return accepted(
            self._values(),
            parse,
            lambda _: f"{self.path}: row {counts.rows_read + 1}",
            reason,
            counts if skip_bad_rows else None,
        )

    def _values(self) -> Iterator[Sequence[Any]]:
        with self._opened() as file:
            total = max(file.metadata.num_rows, 1)
            done = 0
            for batch in file.iter_batches(_BATCH, columns=self._names):
                # Asked by position of the name: a reader may return columns in the file's order.
                yield from zip(*(self._listed(name, batch.column(name)) for name in self._names), strict=True)
                done += batch.num_rows
                self.consumed = self.size * done // total

    def _listed(self, name: str, column: Any) -> list[Any]:
        layout, at = self.layout, self._names.index(name)
        if at not in {layout.time, layout.clock}:
            return list(column.to_pylist())
        return _microseconds(column) if self._typed_time else _texts(column)


def _is_instant(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415 - only Parquet needs it

    return bool(types.is_timestamp(kind) or types.is_date(kind))


def _microseconds(column: Any) -> list[int | None]:
    """Since 1970 in UTC; a time without a zone is IST."""
    import pyarrow as pa  # noqa: PLC0415 - only Parquet needs it

    aware = getattr(column.type, "tz", None) is not None
    exact = column.cast(pa.timestamp("us", tz=column.type.tz if aware else None), safe=False)
    shift = 0 if aware else int(ZONE.utcoffset(None).total_seconds()) * 1_000_000
    return [None if value is None else value - shift for value in exact.cast(pa.int64()).to_pylist()]


def _texts(column: Any) -> list[str | None]:
    """Dates and times of day as texts, so that a date column and a time column join like those of a CSV."""
    import pyarrow as pa  # noqa: PLC0415 - only Parquet needs it

    if _is_instant(column.type):
        column = column.cast(pa.date32(), safe=False)
    return [None if value is None else str(value) for value in column.to_pylist()]
