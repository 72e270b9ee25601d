"""What an order or a position claims of the cash: the whole of its value, or a declared share of it.

The declared shares are an estimate for the paper broker and for our own limit on cash. They are not SPAN:
nothing is netted, and a hedge claims as much as its legs.

A position claims for each of its open lots at the price the lot was made at. What is free is then
    cash + sum over lots of signed quantity x price - claims of lots - claims of entries that may still trade.
"""

from collections.abc import Callable, Iterable

from msgspec import Struct

from alphapanda.core.contracts import strike_of
from alphapanda.core.money import percent_of
from alphapanda.core.segments import Segment, Trade, segment_of, trade_of
from alphapanda.events import Instrument, Money, TransactionType

Margins = Callable[[Instrument, str, TransactionType, int, Money], Money]
"""(instrument, product, side, quantity, price) -> rupees claimed, 0 or more.

A long position's side is BUY, a short one's SELL.
"""

OUT_OF_REACH = Money(10**15)
"""Claimed by a sold option whose strike cannot be read: more than any account has, so nobody sells it."""


def _full(instrument: Instrument, product: str, side: TransactionType, quantity: int, price: Money) -> Money:  # noqa: ARG001 - the shape of Margins
    return price * quantity


FULL: Margins = _full
"""Price x quantity, whatever is traded."""


class Claim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the table; nothing named is all. `percent` is of the value, for a sold option of strike x
    quantity, to which the premium is added.
    """

    percent: Money
    source: str
    segments: tuple[Segment, ...] = ()
    trade: Trade | None = None
    side: TransactionType | None = None

    def fits(self, segment: Segment, trade: Trade, side: TransactionType) -> bool:
        return (
            (not self.segments or segment in self.segments)
            and self.trade in (None, trade)
            and self.side in (None, side)
        )


class Declared:
    """Margins by a table of claims: the first that fits counts, and where none does the whole value."""

    def __init__(self, claims: Iterable[Claim]) -> None:
        self._claims = tuple(claims)

    def __call__(
        self, instrument: Instrument, product: str, side: TransactionType, quantity: int, price: Money
    ) -> Money:
        value, segment, trade = price * quantity, segment_of(instrument), trade_of(product)
        claim = next((one for one in self._claims if one.fits(segment, trade, side)), None)
        if claim is None:
            return value
        if segment.option and side is TransactionType.SELL:
            strike = strike_of(instrument.tradingsymbol)
            return OUT_OF_REACH if strike is None else percent_of(claim.percent, strike * quantity) + value
        return percent_of(claim.percent, value)
