"""Ticks as they came off the wire: whole numbers, and everything KiteTicker tells of them on access.

A field that ends in `_units` is a price in units (`layout.divisor_of` a rupee), one in `_s` seconds since
1970 (UTC). The properties have the names that KiteTicker gives its keys; prices are float rupees, the same
floats as KiteTicker's, and times are aware IST where KiteTicker's are naive and those of the machine. Nothing
that a property works out is kept: who reads one twice keeps it.
"""

from datetime import datetime
from struct import Struct as Layout
from typing import ClassVar, Literal

from msgspec import Struct

from alphapanda.events import Depth, DepthLevel
from alphapanda.kite.layout import DIVISORS, INDICES, LEVELS
from alphapanda.times import IST

Mode = Literal["ltp", "quote", "full"]

_LEVEL = Layout(">IIH2x")


class Tick(Struct, frozen=True, gc=False):
    """What every packet tells. `mode` is the form it came in, not what was asked for."""

    mode: ClassVar[Mode]

    instrument_token: int
    last_units: int

    @property
    def tradable(self) -> bool:
        """False of an index."""
        return self.instrument_token & 0xFF != INDICES

    @property
    def divisor(self) -> int:
        return DIVISORS[self.instrument_token & 0xFF]

    @property
    def last_price(self) -> float:
        return self.last_units / DIVISORS[self.instrument_token & 0xFF]


class LtpTick(Tick, frozen=True, gc=False):
    """The last price alone, of a share, a contract or an index."""

    mode: ClassVar[Mode] = "ltp"


class _Day:
    """What a quote tells of the day, in whichever order its form has the fields."""

    __slots__ = ()

    instrument_token: int
    last_price: float
    open_units: int
    high_units: int
    low_units: int
    close_units: int

    @property
    def open(self) -> float:
        return self.open_units / DIVISORS[self.instrument_token & 0xFF]

    @property
    def high(self) -> float:
        return self.high_units / DIVISORS[self.instrument_token & 0xFF]

    @property
    def low(self) -> float:
        return self.low_units / DIVISORS[self.instrument_token & 0xFF]

    @property
    def close(self) -> float:
        return self.close_units / DIVISORS[self.instrument_token & 0xFF]

    @property
    def change(self) -> float:
        """Per cent from the close of the day before; 0 where there is none."""
        return _change(self.last_price, self.close)


class QuoteTick(_Day, Tick, frozen=True, gc=False):
    """The day of what can be traded, without its depth. `close_units` is the day before's close."""

    mode: ClassVar[Mode] = "quote"

    last_traded_quantity: int
    average_units: int
    volume_traded: int
    total_buy_quantity: int
    total_sell_quantity: int
    open_units: int
    high_units: int
    low_units: int
    close_units: int

    @property
    def average_traded_price(self) -> float:
        return self.average_units / DIVISORS[self.instrument_token & 0xFF]


class FullTick(QuoteTick, frozen=True, gc=False):
    """The quote, open interest, times and the depth, which is kept as its 120 bytes."""

    mode: ClassVar[Mode] = "full"

    last_trade_s: int
    oi: int
    oi_day_high: int
    oi_day_low: int
    time_s: int
    levels: bytes

    @property
    def last_trade_time(self) -> datetime:
        """1970, as KiteTicker has it, where nothing was traded today: the wire then says 0."""
        return _moment(self.last_trade_s)

    @property
    def exchange_timestamp(self) -> datetime:
        return _moment(self.time_s)

    @property
    def depth(self) -> Depth:
        return depth_of(self.instrument_token, self.levels)


class BriefTick(Tick, frozen=True, gc=False):
    """What the line takes of a full packet; the rest of its 184 bytes is not read."""

    mode: ClassVar[Mode] = "full"

    volume_traded: int
    open_units: int
    high_units: int
    low_units: int
    close_units: int
    time_s: int
    levels: bytes


class IndexQuoteTick(_Day, Tick, frozen=True, gc=False):
    """An index's day. `change_units` is signed; KiteTicker does not read it."""

    mode: ClassVar[Mode] = "quote"

    high_units: int
    low_units: int
    open_units: int
    close_units: int
    change_units: int

    @property
    def price_change(self) -> float:
        """The change that the wire names, in points of the index."""
        return self.change_units / DIVISORS[self.instrument_token & 0xFF]


class IndexFullTick(IndexQuoteTick, frozen=True, gc=False):
    """The quote of an index and its time."""

    mode: ClassVar[Mode] = "full"

    time_s: int

    @property
    def exchange_timestamp(self) -> datetime:
        return _moment(self.time_s)


def depth_of(token: int, levels: bytes) -> Depth:
    """Five levels a side as the wire has them in 120 bytes; one where nobody waits is all zeros."""
    divisor = DIVISORS[token & 0xFF]
    read = tuple(
        [
            DepthLevel(price / divisor, quantity, orders)
            for quantity, price, orders in _LEVEL.iter_unpack(levels)
        ]
    )
    return Depth(read[:LEVELS], read[LEVELS:])


def _change(last: float, close: float) -> float:
    """In KiteTicker's order of steps, so that not even the last digit differs."""
    return (last - close) * 100 / close if close else 0


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, IST)
