"""The account at the simulated broker: cash and holdings from its own fills, and what an order may claim.

The figures are those that risk decides on, so an order that risk let through for its cash is not rejected
here for it, unless fills came in between.
"""

from collections import deque
from collections.abc import Iterable

from msgspec import Struct, field

from alphapanda.core.lots import Lot, closed_by
from alphapanda.core.margins import Margins
from alphapanda.events import CNC, Fill, Instrument, Money, Order, PositionEffect, TransactionType

ZERO = Money(0)


class Held(Struct):
    """The open lots of one strategy in one instrument and product, oldest first; quantities are signed."""

    instrument: Instrument
    product: str
    margins: Margins
    lots: deque[Lot] = field(default_factory=deque)
    quantity: int = 0
    bound: Money = ZERO
    """What the lots claim beyond what was paid for them: a sum that is kept, as lots may be thousands."""

    def add(self, quantity: int, price: Money) -> None:
        self.quantity += quantity
        left = quantity
        for lot, units in closed_by(quantity, self.lots):
            self.bound -= self._bound(lot)
            if units != lot.quantity:
                self.bound += self._bound(self.lots[0])
            left += units
        if left:
            self.lots.append(Lot(left, price))
            self.bound += self._bound(self.lots[-1])

    def _bound(self, lot: Lot) -> Money:
        side = TransactionType.BUY if lot.quantity > 0 else TransactionType.SELL
        claimed = self.margins(self.instrument, self.product, side, abs(lot.quantity), lot.price)
        return claimed - lot.quantity * lot.price


class SimulatedAccount:
    """`fills` are what recovery found, oldest first. `margins` says what an order or a position claims."""

    def __init__(self, starting_cash: Money, margins: Margins, fills: Iterable[Fill] = ()) -> None:
        self.cash = starting_cash
        self.held: dict[tuple[str, int, str], Held] = {}
        self._bound = ZERO
        self._margins = margins
        for fill in fills:
            self._book(fill.strategy_id, fill.instrument, fill.product, fill.signed_quantity, fill.price)
            self.cash -= fill.charges

    def book(self, order: Order, quantity: int, price: Money, charges: Money) -> None:
        """A fill of `order`."""
        signed = order.transaction_type.sign * quantity
        self._book(order.strategy_id, order.instrument, order.product, signed, price)
        self.cash -= charges

    def _book(
        self, strategy_id: str, instrument: Instrument, product: str, quantity: int, price: Money
    ) -> None:
        key = strategy_id, instrument.instrument_token, product
        held = self.held.get(key)
        if held is None:
            held = self.held[key] = Held(instrument, product, self._margins)
        bound = held.bound
        held.add(quantity, price)
        self._bound += held.bound - bound
        self.cash -= quantity * price

    def required(self, order: Order) -> Money:
        """What the open part of an entry claims. An order that only reduces a position claims nothing."""
        if order.position_effect is PositionEffect.CLOSE:
            return ZERO
        return self._margins(
            order.instrument,
            order.product,
            order.transaction_type,
            order.pending_quantity,
            order.reference_price,
        )

    def available(self, resting: Iterable[Order]) -> Money:
        """Cash, with what was paid for positions in it, less what they and the resting entries claim."""
        return self.cash - self._bound - sum((self.required(order) for order in resting), ZERO)

    def deliverable(self, token: int, resting: Iterable[Order]) -> int:
        """Shares that may be sold as delivery: holdings and the day's buys, less sales that rest."""
        owned = sum(
            held.quantity
            for (_, other, product), held in self.held.items()
            if other == token and product == CNC
        )
        selling = sum(
            order.pending_quantity
            for order in resting
            if order.instrument.instrument_token == token
            and order.product == CNC
            and order.transaction_type is TransactionType.SELL
        )
        return owned - selling
