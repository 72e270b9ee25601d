"""Rows of a book, read without holding up what else there is to do.

A book of a busy day has thousands of rows and is asked for several times a second, and nearly all of them are
as they were: a row that came before, byte for byte, is the same row again.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec
from anyio.lowlevel import checkpoint

Row = TypeVar("Row")

MOST_AT_ONCE = 256
"""New rows, which cost some microseconds each; then others have their turn."""


class Page(Generic[Row]):
    """One book's. `odd` is what its decoder may raise. What a book has no more is forgotten."""

    def __init__(self, kind: type[Row], odd: tuple[type[Exception], ...]) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._odd = odd
        self._known: dict[bytes, Row] = {}

    async def read(self, raws: Sequence[msgspec.Raw]) -> tuple[tuple[Row, ...], int]:
        """The rows, and how many make no sense: one of those does not hide the others."""
        rows: list[Row] = []
        found: dict[bytes, Row] = {}
        new = unreadable = 0
        for raw in raws:
            text = bytes(raw)
            row = self._known.get(text)
            if row is None:
                new += 1
                if new % MOST_AT_ONCE == 0:
                    await checkpoint()
                try:
                    row = self._decoder.decode(text)
                except self._odd:
                    unreadable += 1
                    continue
            found[text] = row
            rows.append(row)
        self._known = found
        return tuple(rows), unreadable
