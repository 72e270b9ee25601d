"""The price data of a replay or a backtest: files in, one accepted row after the other out, with the counts.

Walk `batches()` once for a run; a second walk starts over. Both shells use it, so nothing here waits.
"""

from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from alphapanda.errors import DataError
from alphapanda.events import Instrument, TickBatch
from alphapanda.venues.instruments import DEFAULT_EXCHANGE, InstrumentBook
from alphapanda.venues.replay.csv_rows import CsvFile
from alphapanda.venues.replay.files import HEAD, find_files, head_digest, is_parquet, reading
from alphapanda.venues.replay.merge import merged
from alphapanda.venues.replay.naming import symbol_of_file
from alphapanda.venues.replay.parquet_rows import ParquetFile
from alphapanda.venues.replay.rules import Counts, Row

DataFile: TypeAlias = CsvFile | ParquetFile
_DROPPED_LIMIT = 0.01


class DataSet:
    """Opening reads headers only, and once through files that tell the token of each symbol."""

    def __init__(
        self,
        paths: Sequence[str | Path],
        book: InstrumentBook,
        *,
        columns: Sequence[str] = (),
        skip_bad_rows: bool = False,
    ) -> None:
        self.files = find_files(paths)
        self.file_counts = {path: Counts() for path in self.files}
        self._book = book
        self._columns = tuple(columns)
        self._skip_bad_rows = skip_bad_rows
        self._opened = [_open(path, self._columns) for path in self.files]
        for file in self._opened:
            if file.layout.symbol is not None and file.layout.token is not None:
                file.learn(book)

    @property
    def counts(self) -> Counts:
        """Of all files together, as they stand now."""
        total = Counts()
        for counts in self.file_counts.values():
            total.add(counts)
        return total

    @cached_property
    def identity(self) -> str:
        """The same after a move or, where the first 64 KiB stay as they were, after rows were appended."""
        return self._digest([HEAD] * len(self.files))

    def continues(self, identity: str) -> bool:
        """Is this the data of `identity`, whatever rows were appended since, even to a file below 64 KiB?"""
        digest, _, lengths = identity.partition(":")
        heads = [HEAD] * len(self.files)
        for entry in filter(None, lengths.split(",")):
            index, _, length = entry.partition("=")
            if int(index) >= len(heads):
                return False
            heads[int(index)] = int(length)
        return self._digest(heads).partition(":")[0] == digest

    def _digest(self, heads: Sequence[int]) -> str:
        whole = sha256(repr(self._columns).encode())
        short = []
        for index, (path, head) in enumerate(zip(self.files, heads, strict=True)):
            digest, length = head_digest(path, head)
            whole.update(f"{path.name}\0{digest}\0".encode(errors="surrogateescape"))
            if length < HEAD:
                short.append(f"{index}={length}")
        return ":".join([whole.hexdigest(), ",".join(short)] if short else [whole.hexdigest()])

    def batches(self) -> Generator[TickBatch]:
        met: dict[int, Instrument] = {}
        for row, (time_ns, tick) in enumerate(self._rows(), 1):
            if tick.instrument_token in met:
                yield TickBatch(time_ns=time_ns, ticks=(tick,), row=row)
            else:
                listed = self._listed(tick.instrument_token)
                met[tick.instrument_token] = listed
                yield TickBatch(time_ns=time_ns, ticks=(tick,), row=row, listed=(listed,))

    def _listed(self, token: int) -> Instrument:
        found = self._book.by_token(token)
        if found is None:
            raise DataError(f"instrument token {token} is not in the book")
        return found

    def _rows(self) -> Iterator[Row]:
        streams = []
        for file in self._opened:
            counts = self.file_counts[file.path]
            counts.reset()
            file.rewind()
            only = None if file.layout.instrument else self._only(file.path)
            streams.append(file.rows(self._book, counts, only, skip_bad_rows=self._skip_bad_rows))
        return streams[0] if len(streams) == 1 else merged(streams)

    def _only(self, path: Path) -> Instrument:
        return self._book.resolve(DEFAULT_EXCHANGE, symbol_of_file(path))

    def fraction_read(self) -> float:
        total = sum(file.size for file in self._opened)
        return min(1.0, sum(file.consumed for file in self._opened) / total) if total else 1.0

    def warnings(self) -> list[str]:
        return [text for path, counts in self.file_counts.items() for text in _warnings(path, counts)]


def _open(path: Path, columns: Sequence[str]) -> DataFile:
    with reading(path):
        file = ParquetFile(path) if is_parquet(path) else CsvFile(path, columns)
    if not file.layout.instrument:
        symbol_of_file(path)
    return file


def _warnings(path: Path, counts: Counts) -> Iterator[str]:
    if counts.rows_read == 0:
        yield f"{path}: no rows"
    elif counts.dropped > _DROPPED_LIMIT * counts.rows_read:
        yield (
            f"{path}: {counts.dropped} of {counts.rows_read} rows dropped: "
            f"{counts.older} older than an earlier row, {counts.before_2000} before the year 2000"
        )
    if counts.bad:
        yield f"{path}: {counts.bad} of {counts.rows_read} rows bad and skipped"
    if counts.odd_bars:
        yield f"{path}: {counts.odd_bars} of {counts.taken} bars break low <= open, close <= high; kept"
