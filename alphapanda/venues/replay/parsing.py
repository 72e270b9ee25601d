"""From the fields of one row to an accepted tick, for CSV texts and Parquet values alike.

One closure is made for each file, with its column indexes bound, because this is the path that every row of a
backtest takes. It only raises; `why_bad` then goes through the same row slowly for the reason.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from math import isfinite
from operator import itemgetter
from typing import Any, TypeAlias

from alphapanda.events import Instrument
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay.columns import Layout
from alphapanda.venues.replay.naming import instrument_of
from alphapanda.venues.replay.rules import Counts, Row, Taker, taker
from alphapanda.venues.replay.times import YEAR_2000_NS, YEAR_2200_NS, ZONE, TimeReader

Parser: TypeAlias = Callable[[Sequence[Any]], Row | None]
BAD = (ValueError, TypeError, IndexError, OverflowError)
"""What a parser raises of a bad row."""

HIGHEST = 1e9
"""Rupees. Beyond it a figure is a mistake, and sums over it would leave the digits that money is kept in."""


def row_parser(
    layout: Layout, read_time: TimeReader, book: InstrumentBook, counts: Counts, only: Instrument | None
) -> Parser:
    """`only` is the instrument of a file that has no column for it."""
    width, time_column, clock, volume_at = layout.width, layout.time, layout.clock, layout.volume
    price_at = layout.prices[-1]
    rest_of = _rest_of_bar(layout) if layout.is_bar else None
    always = None if only is None else taker(only.instrument_token, counts)
    taker_of = _takers(layout, book, counts)
    last: Any = None
    moment, time_ns = datetime.fromtimestamp(0, ZONE), 0

    def parse(cells: Sequence[Any]) -> Row | None:
        nonlocal last, moment, time_ns
        if len(cells) != width:
            raise ValueError
        when = cells[time_column] if clock is None else f"{cells[time_column]} {cells[clock]}"
        if when != last:
            moment, time_ns = read_time(when)
            last = when
        if not YEAR_2000_NS <= time_ns < YEAR_2200_NS:
            if time_ns >= YEAR_2200_NS:
                raise ValueError
            counts.before_2000 += 1
            return None
        price = float(cells[price_at])
        if not 0.0 < price < HIGHEST:
            raise ValueError
        try:
            volume = 0 if volume_at is None else int(cells[volume_at])
        except (ValueError, TypeError):
            volume = to_volume(None if volume_at is None else cells[volume_at])
        figures = (price, volume) if rest_of is None else (*rest_of(cells), price, volume)
        return (always or taker_of(cells))(time_ns, moment, figures)

    return parse


def _takers(layout: Layout, book: InstrumentBook, counts: Counts) -> Callable[[Sequence[Any]], Taker]:
    by_naming: dict[Any, Taker] = {}
    by_token: dict[int, Taker] = {}
    naming_of = itemgetter(*layout.instrument) if layout.instrument else None

    def taker_of(cells: Sequence[Any]) -> Taker:
        naming = naming_of(cells) if naming_of else ""
        found = by_naming.get(naming)
        if found is None:
            # Two spellings (INFY, NSE:INFY) are one instrument with one newest row.
            token = instrument_of(cells, layout, book).instrument_token
            found = by_naming[naming] = by_token.setdefault(token, taker(token, counts))
        return found

    return taker_of


def _rest_of_bar(layout: Layout) -> Callable[[Sequence[Any]], tuple[float, float, float]]:
    open_at, high_at, low_at, _ = layout.prices

    def read(cells: Sequence[Any]) -> tuple[float, float, float]:
        first, high, low = float(cells[open_at]), float(cells[high_at]), float(cells[low_at])
        if not (0.0 < first < HIGHEST and 0.0 < high < HIGHEST and 0.0 < low < HIGHEST):
            raise ValueError
        return first, high, low

    return read


def to_volume(value: Any) -> int:
    """A volume that `int` refuses: blank is 0, `123.0` is 123."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return 0
    return int(float(value))


def why_bad(cells: Sequence[Any], layout: Layout, read_time: TimeReader, book: InstrumentBook) -> str:
    """The reason why a parser raised."""
    if len(cells) != layout.width:
        return f"{len(cells)} fields where {layout.width} columns are named ({', '.join(layout.names)})"
    try:
        _check_time(cells, layout, read_time)
        for column in layout.prices:
            _check_price(layout.names[column], cells[column])
        if layout.volume is not None:
            _check_volume(cells[layout.volume])
        if layout.instrument:
            instrument_of(cells, layout, book)
    except (ValueError, OverflowError) as error:
        return str(error)
    return "the row cannot be read"


def _check_time(cells: Sequence[Any], layout: Layout, read_time: TimeReader) -> None:
    when = cells[layout.time]
    clock = "" if layout.clock is None else cells[layout.clock]
    if when is None or clock is None:
        raise ValueError("the time is blank")
    _, time_ns = read_time(when if layout.clock is None else f"{when} {clock}")
    if time_ns >= YEAR_2200_NS:
        raise ValueError(f"time {str(when)!r} is after the year 2199")


def _check_price(name: str, value: Any) -> None:
    if value is None or not str(value).strip():
        raise ValueError(f"{name} is blank")
    try:
        price = float(value)
    except (ValueError, TypeError):
        raise ValueError(f"{name} {str(value)!r} is not a number") from None
    if not isfinite(price) or price <= 0:
        raise ValueError(f"{name} {str(value)!r} is not a price above 0")
    if price >= HIGHEST:
        raise ValueError(f"{name} {str(value)!r} is not a price: nothing costs {HIGHEST:,.0f} rupees")


def _check_volume(value: Any) -> None:
    try:
        to_volume(value)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"volume {str(value)!r} is not a whole number") from None
