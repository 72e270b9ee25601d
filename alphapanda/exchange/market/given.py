"""What a catalogue gives: courses, and the instruments that follow them."""

from datetime import date
from hashlib import blake2s

from msgspec import Struct

from alphapanda.events import Instrument
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.market.day import Manner
from alphapanda.exchange.market.following import Following
from alphapanda.exchange.market.quote import money
from alphapanda.kite.layout import DIVISORS, SEGMENTS


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


def contract(
    exchange: str,
    symbol: str,
    name: str,
    ends: date,
    *,
    kind: str = "FUT",
    close: int,
    tick: int,
    lot: int = 1,
    strike: int = 0,
    multiplier: int = 1,
) -> Listed:
    """A future, or an option where `kind` is CE or PE. Its close, tick and strike are in wire units."""
    segment = exchange.lower()
    token, divisor = segment_token(f"{exchange}:{symbol}", segment), DIVISORS[SEGMENTS[segment]]
    return Listed(
        Instrument(token, exchange, symbol, money(tick, divisor), lot, kind, name, ends),
        token >> 8,
        f"{exchange}-{'FUT' if kind == 'FUT' else 'OPT'}",
        money(close, divisor),
        strike=money(strike, divisor),
        multiplier=multiplier,
    )


def segment_token(key: str, segment: str) -> int:
    """An instrument token that the name alone decides, with its segment as its lowest byte."""
    digest = blake2s(key.encode(), digest_size=3).digest()
    return max(1, int.from_bytes(digest, "big")) << 8 | SEGMENTS[segment]
