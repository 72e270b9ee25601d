"""The account at the simulated broker: cash and holdings from its own fills, and what an order may claim.

The figures are those that risk decides on, so an order that risk let through for its cash is not rejected
here for it, unless fills came in between.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from alphapanda.core.margins import Margins
from alphapanda.events import Fill, Instrument, Money, Order, PositionEffect, TransactionType

DELIVERY = "CNC"
ZERO = Money(0)


class Lot(NamedTuple):
    quantity: int
    price: Money


class Held(NamedTuple):
    """The open lots of one strategy in one instrument and product, oldest first; quantities are signed."""

    instrument: Instrument
    product: str
    lots: deque[Lot]

    @property
    def quantity(self) -> int:
        return sum(lot.quantity for lot in self.lots)

    def add(self, quantity: int, price: Money) -> None:
        while quantity and self.lots and (self.lots[0].quantity > 0) != (quantity > 0):
            oldest = self.lots.popleft()
            left = oldest.quantity + quantity
            if left and (left > 0) == (oldest.quantity > 0):
                self.lots.appendleft(Lot(left, oldest.price))
                return
            quantity = left
        if quantity:
            self.lots.append(Lot(quantity, price))


class Account:
    """`fills` are what recovery found, oldest first. `margins` says what an order or a position claims."""

    def __init__(self, starting_cash: Money, margins: Margins, fills: Iterable[Fill] = ()) -> None:
        self.cash = starting_cash
        self.held: dict[tuple[str, int, str], Held] = {}
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
            held = self.held[key] = Held(instrument, product, deque())
        held.add(quantity, price)
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
        free = self.cash - sum((self.required(order) for order in resting), ZERO)
        for held in self.held.values():
            for quantity, price in held.lots:
                side = TransactionType.BUY if quantity > 0 else TransactionType.SELL
                claimed = self._margins(held.instrument, held.product, side, abs(quantity), price)
                free += quantity * price - claimed
        return free

    def deliverable(self, token: int, resting: Iterable[Order]) -> int:
        """Shares that may be sold as delivery: holdings and the day's buys, less sales that rest."""
        owned = sum(
            held.quantity
            for (_, other, product), held in self.held.items()
            if other == token and product == DELIVERY
        )
        selling = sum(
            order.pending_quantity
            for order in resting
            if order.instrument.instrument_token == token
            and order.product == DELIVERY
            and order.transaction_type is TransactionType.SELL
        )
        return owned - selling
