"""The shape of the table of sessions: markets, their hours by date, holidays, special days. All times IST."""

from collections.abc import Iterator
from datetime import date, time
from enum import StrEnum
from typing import TypeVar

from msgspec import Struct, field


class Phase(StrEnum):
    PRE_OPEN = "pre_open"
    CONTINUOUS = "continuous"
    CLOSING_AUCTION = "closing_auction"
    POST_CLOSE = "post_close"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class Market(StrEnum):
    """What has hours of its own."""

    SHARES = "shares"
    """Shares and funds that no derivatives are traded on."""
    DERIVATIVE_SHARES = "derivative_shares"
    FUTURES = "futures"
    OPTIONS = "options"
    CURRENCY = "currency"
    COMMODITY = "commodity"
    FARM_COMMODITY = "farm_commodity"

    @property
    def group(self) -> str:
        return GROUPS[self]

    @property
    def exchanges(self) -> tuple[str, ...]:
        return EXCHANGES[self]


GROUPS = {
    Market.SHARES: "equity",
    Market.DERIVATIVE_SHARES: "equity",
    Market.FUTURES: "equity",
    Market.OPTIONS: "equity",
    Market.CURRENCY: "currency",
    Market.COMMODITY: "commodity",
    Market.FARM_COMMODITY: "commodity",
}
"""Which markets have their holidays together."""

EXCHANGES = {
    Market.SHARES: ("NSE", "BSE"),
    Market.DERIVATIVE_SHARES: ("NSE", "BSE"),
    Market.FUTURES: ("NFO", "BFO"),
    Market.OPTIONS: ("NFO", "BFO"),
    Market.CURRENCY: ("CDS", "BCD"),
    Market.COMMODITY: ("MCX", "NCO"),
    Market.FARM_COMMODITY: ("MCX", "NCO"),
}


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a day, from `opens` up to but not at `closes`. `orders` False: none are taken in it."""

    phase: Phase
    opens: time
    closes: time
    orders: bool = True
    what: str = ""


class Hours(Struct, frozen=True, forbid_unknown_fields=True):
    """A regular day of `markets`, from `effective_from` until the next row of the market."""

    markets: tuple[Market, ...]
    effective_from: date
    source: str
    steps: tuple[Step, ...]


class Holiday(Struct, frozen=True, forbid_unknown_fields=True):
    day: date
    name: str


class Holidays(Struct, frozen=True, forbid_unknown_fields=True):
    """Days on which the groups of `closed` do not trade. For those of `unclear` nobody has told us."""

    source: str
    days: tuple[Holiday, ...]
    closed: tuple[str, ...] = ("equity", "currency")
    unclear: tuple[str, ...] = ("commodity",)


class Continuous(Struct, frozen=True, forbid_unknown_fields=True):
    opens: time
    closes: time


class Special(Struct, frozen=True, forbid_unknown_fields=True):
    """A day on which equity trades though its weekday or the holidays say no; other groups are unclear.

    `regular` has the usual hours, `sessions` has its own; with neither its hours are not known.
    """

    day: date
    name: str
    source: str
    regular: bool = False
    sessions: tuple[Continuous, ...] = ()


class ExpiryHours(Struct, frozen=True, forbid_unknown_fields=True):
    """From then on a contract on an index stops at `closes` on the day it expires."""

    effective_from: date
    closes: time
    source: str


class SquareOffTime(Struct, frozen=True, forbid_unknown_fields=True):
    """When the broker begins to close MIS positions: `at` on a regular day, else so long before the close."""

    markets: tuple[Market, ...]
    effective_from: date
    minutes_before_close: int
    source: str
    at: time | None = None


Row = TypeVar("Row", Hours, ExpiryHours, SquareOffTime)


class CalendarTable(Struct, frozen=True, forbid_unknown_fields=True):
    """calendar.toml. Rows of a market are in the order of their dates."""

    valid_from: date
    valid_until: date
    farm: tuple[str, ...]
    """Commodities that stop in the afternoon."""
    hours: tuple[Hours, ...]
    index_expiry: tuple[ExpiryHours, ...]
    square_off: tuple[SquareOffTime, ...]
    holidays: tuple[Holidays, ...]
    special: tuple[Special, ...]

    def hours_of(self, market: Market, day: date) -> Hours | None:
        return _latest((row for row in self.hours if market in row.markets), day)

    def expiry_hours(self, day: date) -> ExpiryHours | None:
        return _latest(iter(self.index_expiry), day)

    def square_off_of(self, market: Market, day: date) -> SquareOffTime | None:
        return _latest((row for row in self.square_off if market in row.markets), day)


def _latest(rows: Iterator[Row], day: date) -> Row | None:
    return max(
        (row for row in rows if row.effective_from <= day), key=lambda row: row.effective_from, default=None
    )


class AddedSession(Struct, frozen=True):
    """A continuous session that the configuration knows of."""

    day: date
    opens: time
    closes: time
    exchanges: tuple[str, ...]


class Added(Struct, frozen=True, kw_only=True):
    """What the configuration knows beyond the table."""

    holidays: frozenset[date] = frozenset()
    sessions: tuple[AddedSession, ...] = ()
    valid_until: date | None = None
    no_derivatives: frozenset[str] = frozenset()
    """Shares, as EXCHANGE:SYMBOL, that trade until the later close."""
    phases: frozenset[Phase] = field(default_factory=lambda: frozenset((Phase.CONTINUOUS,)))
    """In which of them orders may go out."""
