"""The loop over the rows of one file: parse, and refuse or skip the bad ones.

CSV and Parquet share it. `place` and `reason` are asked only when a row is bad: the good ones cost nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from alphapanda.errors import DataError
from alphapanda.venues.replay.parsing import BAD, Parser
from alphapanda.venues.replay.rules import Counts, Row

Describe = Callable[[Sequence[Any]], str]


def accepted(
    rows: Iterable[Sequence[Any]], parse: Parser, place: Describe, reason: Describe, skipped: Counts | None
) -> Iterator[Row]:
    """With `skipped`, bad rows are counted there; without, the first one stops the run."""
    for cells in rows:
        try:
            row = parse(cells)
        except BAD:
            if _blank(cells):
                continue
            if skipped is None or _runs_on(cells):
                hint = _QUOTE if _runs_on(cells) else _SKIP
                raise DataError(f"{place(cells)}: {reason(cells)}{hint}") from None
            skipped.bad += 1
        except DataError as error:
            raise DataError(f"{place(cells)}: {error}") from None
        else:
            if row is not None:
                yield row


_QUOTE = " (a quotation mark is left open)"
_SKIP = "; correct the row, or go on without it with --skip-bad-rows"


def _blank(cells: Sequence[Any]) -> bool:
    return len(cells) < 2 and not any(map(str.strip, cells))


def _runs_on(cells: Sequence[Any]) -> bool:
    """A quote that is never closed swallows the lines after it: skipping it would lose them unseen."""
    return any(isinstance(cell, str) and "\n" in cell for cell in cells)
