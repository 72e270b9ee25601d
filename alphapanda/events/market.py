"""What is traded, and its prices. Ticks carry float rupees, which is what strategies compute with."""

from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from msgspec import Struct
from msgspec.structs import force_setattr

from alphapanda.times import IST

Money = Decimal
"""Rupees, exact. Never a float; rounded only where a rule says so (charges, and what people are shown)."""


class Instrument(Struct, frozen=True, omit_defaults=True):
    """What is traded. `tick_size` in rupees; quantities are in units (lots x `lot_size`).

    `instrument_type` (EQ, FUT, CE, PE; INDEX is quoted, not traded), `name` (the underlying) and `expiry` are
    what the day's instrument list says; empty where there is none. Circuit limits are in rupees, None where
    they are not known. `listed_on` is the day of that list, None for what is in none. `derivatives`: whether
    there are futures on this share; None where no list tells.
    """

    instrument_token: int
    exchange: str
    tradingsymbol: str
    tick_size: Money = Money("0.05")
    lot_size: int = 1
    instrument_type: str = ""
    name: str = ""
    expiry: date | None = None
    lower_circuit_limit: Money | None = None
    upper_circuit_limit: Money | None = None
    listed_on: date | None = None
    derivatives: bool | None = None

    @property
    def key(self) -> str:
        return f"{self.exchange}:{self.tradingsymbol}"


class DepthLevel(Struct, frozen=True, gc=False):
    """One price of the order book, in rupees: how many units wait there, and in how many orders."""

    price: float
    quantity: int
    orders: int


class Depth(Struct, frozen=True, gc=False):
    """The order book as Kite shows it: five levels on each side, best first."""

    buy: tuple[DepthLevel, ...]
    sell: tuple[DepthLevel, ...]


class OrderBook(Protocol):
    """What a tick tells of its depth: `Depth` itself, or what reads it out of the wire's bytes when asked.

    Thousands of ticks come in a second and few are looked into. Both kinds are equal when their levels are.
    """

    @property
    def buy(self) -> tuple[DepthLevel, ...]: ...

    @property
    def sell(self) -> tuple[DepthLevel, ...]: ...


class MarketTick(Struct, frozen=True, kw_only=True, gc=False):
    """One price of one instrument, in rupees. `timestamp` is aware; a naive one is taken as IST.

    `bar` is True when the tick is one bar of a file, seen at its end: then `open` is the price at which an
    order made on the bar before trades. Otherwise open, high, low and close are the day's, 0.0 when unknown.
    """

    instrument_token: int
    timestamp: datetime
    last_price: float
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: int = 0
    bar: bool = False
    depth: OrderBook | None = None

    def __post_init__(self) -> None:
        if self.timestamp.tzinfo is None:
            force_setattr(self, "timestamp", self.timestamp.replace(tzinfo=IST))


class TickBatch(Struct, frozen=True, kw_only=True, gc=False):
    """The ticks of one frame, or the one row of a turn: what queues carry.

    `time_ns` is the clock that every core sees. `row` counts the accepted rows of a finite feed from 1; 0 is
    a live feed. `received_ns` (monotonic) is for latency only. `listed` names instruments that are new,
    `lost` those of which, after these ticks, the feed has none of its connection; None where it has none to
    lose.
    """

    time_ns: int
    ticks: tuple[MarketTick, ...]
    row: int = 0
    received_ns: int = 0
    listed: tuple[Instrument, ...] = ()
    lost: tuple[int, ...] | None = None


class Timer(Struct, frozen=True):
    """Time passed. Runs between turns, at most once a second of the cores' clock."""

    time_ns: int
