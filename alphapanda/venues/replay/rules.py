"""Which rows of a file are taken: the contract's row rules, one file and one instrument at a time.

Older than the newest accepted row of its instrument: dropped. Equal in time, prices and volume to one already
taken: one row. Before the year 2000: dropped, by the parser, before it looks at prices. All are counted.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from msgspec import Struct

from alphapanda.events import MarketTick

Row: TypeAlias = tuple[int, MarketTick]
"""An accepted row: its time in nanoseconds and its tick."""

Figures: TypeAlias = tuple[Any, ...]
"""(price, volume) of a tick, (open, high, low, close, volume) of a bar: the prices float, the volume int."""

Taker: TypeAlias = Callable[[int, datetime, Figures], Row | None]
"""Takes a row's time in nanoseconds, its time and its figures; None when the row is not taken."""


class Counts(Struct):
    """What became of the rows of a file, or of all files. Each row is in exactly one of the first five."""

    taken: int = 0
    duplicates: int = 0
    older: int = 0
    before_2000: int = 0
    bad: int = 0
    odd_bars: int = 0

    @property
    def dropped(self) -> int:
        return self.older + self.before_2000

    @property
    def rows_read(self) -> int:
        return self.taken + self.duplicates + self.dropped + self.bad

    def add(self, other: "Counts") -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def reset(self) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, 0)


def taker(token: int, counts: Counts) -> Taker:
    """The rules for one instrument of one file."""
    newest = -1
    latest: Figures = ()
    seen: set[Figures] | None = None

    def take(time_ns: int, moment: datetime, figures: Figures) -> Row | None:
        nonlocal newest, latest, seen
        if time_ns > newest:
            newest, latest, seen = time_ns, figures, None
        elif time_ns < newest:
            counts.older += 1
            return None
        else:
            # Most times have one row, so the set is made when a second one comes.
            if seen is None:
                seen = {latest}
            if figures in seen:
                counts.duplicates += 1
                return None
            seen.add(figures)
        counts.taken += 1
        if len(figures) == 2:
            price, volume = figures
            return time_ns, MarketTick(
                instrument_token=token, timestamp=moment, last_price=price, volume=volume
            )
        return time_ns, _bar(token, moment, figures, counts)

    return take


def _bar(token: int, moment: datetime, figures: Figures, counts: Counts) -> MarketTick:
    first, high, low, last, volume = figures
    if not (low <= first <= high and low <= last <= high):
        counts.odd_bars += 1
    return MarketTick(
        instrument_token=token,
        timestamp=moment,
        last_price=last,
        open=first,
        high=high,
        low=low,
        close=last,
        volume=volume,
        bar=True,
    )
