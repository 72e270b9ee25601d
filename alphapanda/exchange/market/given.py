"""What a catalogue gives: courses, and the instruments that follow them."""

from hashlib import blake2s

from msgspec import Struct

from alphapanda.events import Money
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.market.day import Manner
from alphapanda.exchange.market.following import Following
from alphapanda.kite.layout import SEGMENTS
from alphapanda.venues.simulated.listing import tick_of

__all__ = ["CourseGiven", "Given", "rupees", "segment_token", "tick_of"]


class CourseGiven(Struct, frozen=True, kw_only=True):
    """`close` is yesterday's in ticks of `unit` wire units; `volatility` a day's usual move in basis points.

    `hours_of` is the key of the instrument whose hours it keeps.
    """

    name: str
    close: int
    unit: int
    volatility: int
    hours_of: str


class Given(Struct, frozen=True, kw_only=True):
    """`unit` is the instrument's price tick in wire units."""

    listed: Listed
    course: str
    following: Following
    manner: Manner
    unit: int


def rupees(units: int, divisor: int = 100) -> Money:
    return Money(units).scaleb({100: -2, 10_000: -4, 10_000_000: -7}[divisor])


def segment_token(key: str, segment: str) -> int:
    """An instrument token that the name alone decides, with its segment as its lowest byte."""
    digest = blake2s(key.encode(), digest_size=3).digest()
    return max(1, int.from_bytes(digest, "big")) << 8 | SEGMENTS[segment]
