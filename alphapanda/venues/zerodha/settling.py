"""The operator's word on what differs: external from now on, or a strategy's; and on orders that were found.

Nothing is sent. What is decided goes the way of everything else that is learnt: the journal, and the line.
"""

from collections.abc import Callable

from alphapanda.core.comparison import OPERATOR, Key, compare, names_of
from alphapanda.events import (
    ExternalSeen,
    Instrument,
    Money,
    Order,
    OrderAccepted,
    OrderAdopted,
    OrderFound,
    OrderStatus,
    OrderType,
    PositionEffect,
    Report,
    TransactionType,
)
from alphapanda.venues.zerodha.broker import FOUND
from alphapanda.venues.zerodha.comparing import Comparer, Look
from alphapanda.venues.zerodha.holds import Holds
from alphapanda.venues.zerodha.reconciliation import Reconciliation


class Settling:
    """Orders that were found and wait for the operator's word hold their symbols from the start. `product` is
    that of every order of ours. ValueError is what the operator asked for in vain.
    """

    def __init__(
        self,
        comparer: Comparer,
        reconciliation: Reconciliation,
        holds: Holds,
        *,
        product: str,
        now_ns: Callable[[], int],
        publish: Callable[[OrderFound | OrderAccepted], None],
    ) -> None:
        self.comparer = comparer
        self._external = reconciliation.external
        self._holds = holds
        self._broker = reconciliation.broker
        self._product = product
        self._now_ns = now_ns
        self._publish = publish
        self._found = dict(reconciliation.known.found)
        for each in self._found.values():
            self._hold(each)

    # orders that were found

    def on_found(self, order: Order, was: str) -> None:
        """`order`, one of ours that had ended as `was`, is at the broker after all."""
        instrument = order.instrument
        found = self._found[order.order_id] = OrderFound(
            broker=self._broker,
            order_id=order.order_id,
            broker_order_id=order.broker_order_id or "",
            exchange=instrument.exchange,
            tradingsymbol=instrument.tradingsymbol,
            was=was,
            time_ns=self._now_ns(),
        )
        self._publish(found)
        self._hold(found)

    def _hold(self, found: OrderFound) -> None:
        why = (
            f"order {found.order_id} was {found.was}, and Zerodha has it as {found.broker_order_id}; "
            f"`alphapanda reconcile adopt {found.order_id}` lets its symbol trade again"
        )
        self._holds.hold(FOUND, f"{found.exchange}:{found.tradingsymbol}", why)

    def accept(self, order_id: str, by: str, reason: str) -> str:
        """The symbol (EXCHANGE:SYMBOL) that is not held for this order any more."""
        found = self._found.get(order_id)
        if found is None:
            waiting = ", ".join(self._found) or "none"
            raise ValueError(f"no order {order_id!r} was found after its end; those that were: {waiting}")
        del self._found[order_id]
        self._publish(
            OrderAccepted(
                broker=self._broker, order_id=order_id, by=by, reason=reason, time_ns=self._now_ns()
            )
        )
        symbol = f"{found.exchange}:{found.tradingsymbol}"
        self._holds.release(FOUND, symbol)
        for other in self._found.values():
            if (other.exchange, other.tradingsymbol) == (found.exchange, found.tradingsymbol):
                self._hold(other)
        return symbol

    # positions

    def ignored(self, look: Look, symbol: str, product: str | None, by: str, reason: str) -> ExternalSeen:
        """What of the position neither our book nor an earlier word explains is external."""
        key = self._key(look, symbol, product, what="differs")
        (difference,) = [
            each
            for each in compare(self.comparer.ours(), look.theirs, self._external.units)
            if (each.exchange, each.tradingsymbol, each.product) == key
        ]
        (seen,) = self._external.found([difference], OPERATOR, self._now_ns(), by=by, reason=reason)
        return seen

    def adopted(
        self,
        look: Look,
        instrument: Instrument,
        strategy_id: str,
        *,
        product: str | None,
        price: Money | None,
        by: str,
        reason: str,
    ) -> list[ExternalSeen | OrderAdopted | Report]:
        """All that the broker has of the position beyond our book is the strategy's from now on."""
        key = self._key(look, instrument.key, product, what="is not ours")
        if key[2] != self._product:
            raise ValueError(
                f"{instrument.key} is held as {key[2]}, and orders here are {self._product}: an exit would "
                "open a second position beside it; `reconcile ignore` takes what differs for external"
            )
        quantity = look.theirs.get(key, 0) - self.comparer.ours().get(key, 0)
        worth = look.worths.get(key)
        at = price or (worth.average_price or worth.last_price if worth is not None else None)
        if not at:
            raise ValueError(f"{self._broker} names no price of {instrument.key}: say --price")
        now_ns = self._now_ns()
        order = Order(
            order_id=self._external.name_at(now_ns),
            tag="",
            sequence=0,
            signal_id="",
            strategy_id=strategy_id,
            broker=self._broker,
            instrument=instrument,
            transaction_type=TransactionType.BUY if quantity > 0 else TransactionType.SELL,
            quantity=abs(quantity),
            position_effect=self._effect(key, strategy_id, quantity),
            order_type=OrderType.MARKET,
            product=self._product,
            reference_price=at,
            created_ns=now_ns,
            updated_ns=now_ns,
            status=OrderStatus.OPEN,
            by=by,
            reason=reason,
        )
        self.comparer.touched(order)
        return self._external.give(order, at)

    def _effect(self, key: Key, strategy_id: str, quantity: int) -> PositionEffect:
        held = self._external.held_of(key, strategy_id)
        reduces = held * quantity < 0 and abs(quantity) <= abs(held)
        return PositionEffect.CLOSE if reduces else PositionEffect.OPEN

    def _key(self, look: Look, symbol: str, product: str | None, *, what: str) -> Key:
        """The one position of this symbol that is spoken of. It must hold still."""
        ours, external = self.comparer.ours(), self._external.units
        there = {*look.theirs, *ours, *external}
        of = [key for key in sorted(there) if symbol in names_of(key) and product in (None, key[2])]
        if what == "differs":
            meant = [key for key in of if look.theirs.get(key, 0) != ours.get(key, 0) + external.get(key, 0)]
        else:
            meant = [key for key in of if look.theirs.get(key, 0) != ours.get(key, 0)]
        told = self._external.held()
        if any(key in look.touched or ours.get(key, 0) != told.get(key, 0) for key in of):
            raise ValueError(f"{symbol} trades just now: ask again in a moment")
        if not meant:
            figures = ", ".join(
                f"{look.theirs.get(key, 0)} as {key[2]} there, {ours.get(key, 0)} in our book, "
                f"{external.get(key, 0)} not ours"
                for key in of
            )
            raise ValueError(f"nothing of {symbol} {what}: {figures or 'there is no position in it'}")
        if len(meant) > 1:
            products = ", ".join(key[2] for key in meant)
            raise ValueError(f"{symbol} {what} in several products: say --product, one of {products}")
        return meant[0]
