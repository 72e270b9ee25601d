"""What the money is bound by: positions that are open, orders that may still trade, and what is left.

A position claims the declared share of its value (`core.margins`), lot by lot at cost; it is no SPAN, and
nothing is hedged. Orders of one instrument and product claim what the worse of two futures would add, that
all its buys trade or that all its sells do: an order that only reduces a position claims nothing.
What is left of the money is
    cash + sum over lots of signed quantity x price - claims of lots - claims of orders.
Delivery is different in one thing: shares sold are no debt. The money of settled shares is free at once,
that of T1 shares the next day, and each purchase is paid in full even where it buys back.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alphapanda.core.margins import Margins
from alphapanda.core.money import to_paisa
from alphapanda.core.segments import segment_of
from alphapanda.events import CNC, MIS, Money, TransactionType
from alphapanda.exchange.account.positions import Position
from alphapanda.exchange.listing import Listed

ZERO = Money(0)
NRML, MTF = "NRML", "MTF"
EQUITY, COMMODITY = "equity", "commodity"
SEGMENTS = (EQUITY, COMMODITY)
OF_SHARES, OF_CONTRACTS = frozenset({CNC, MIS, MTF}), frozenset({NRML, MIS})
"""Products in which each may be traded."""
DELIVERED = frozenset({CNC, MTF})
"""Products whose shares are sold only when they are there."""
COMMODITY_EXCHANGES = frozenset({"MCX", "NCO"})


def purse_of(listed: Listed) -> str:
    """Which of Kite's two segments of funds pays for it."""
    return COMMODITY if listed.instrument.exchange in COMMODITY_EXCHANGES else EQUITY


def products_of(listed: Listed) -> frozenset[str]:
    return OF_CONTRACTS if segment_of(listed.instrument).derivative else OF_SHARES


class Wish(NamedTuple):
    """What an order may still trade, signed, and at which price it is reckoned."""

    listed: Listed
    product: str
    quantity: int
    price: Money


class Claimed:
    """Claims by a table of margins."""

    def __init__(self, margins: Margins) -> None:
        self._margins = margins

    def of(self, listed: Listed, product: str, quantity: int, price: Money) -> Money:
        """What a position of a signed quantity claims. Delivered shares that are sold claim nothing."""
        if product == CNC and quantity < 0:
            return ZERO
        side = TransactionType.BUY if quantity > 0 else TransactionType.SELL
        return self._margins(listed.instrument, product, side, abs(quantity) * listed.multiplier, price)

    def of_orders(self, position: Position | None, wishes: Iterable[Wish]) -> Money:
        """What the open orders of one instrument and product claim beside what its position does."""
        held = 0 if position is None else position.quantity
        claimed = ZERO if position is None else position.claimed
        both = tuple(wishes)
        buys = [wish for wish in both if wish.quantity > 0]
        sells = [wish for wish in both if wish.quantity < 0]
        if both and both[0].product == CNC:
            return self._sum(buys)
        return max(self._added(held, claimed, buys), self._added(held, claimed, sells))

    def _added(self, held: int, claimed: Money, wishes: Sequence[Wish]) -> Money:
        """What these orders of one side add when all of them trade, first come first served."""
        opens, closing = [], 0
        for wish in wishes:
            if held and (held > 0) != (wish.quantity > 0):
                units = min(abs(wish.quantity), abs(held) - closing)
                closing += units
                left = wish._replace(quantity=wish.quantity + (units if held > 0 else -units))
            else:
                left = wish
            if left.quantity:
                opens.append(left)
        freed = claimed if opens and closing else ZERO
        return max(ZERO, self._sum(opens) - freed)

    def _sum(self, wishes: Iterable[Wish]) -> Money:
        return sum((self.of(*wish) for wish in wishes), ZERO)


def bound(position: Position) -> Money:
    """What a position's lots leave of the money they were traded for, less what they claim; see above."""
    if position.product == CNC and position.quantity < 0:
        return ZERO
    return position.cost - position.claimed


def insufficient(required: Money, available: Money) -> str:
    """Kite's words on a rejected order."""
    return (
        f"Insufficient funds. Required margin is {to_paisa(required)} but available margin is "
        f"{to_paisa(available)}. Check the orderbook for open orders."
    )
