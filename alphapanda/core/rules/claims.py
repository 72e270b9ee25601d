"""What positions and orders on their way claim at one broker, sorted once for each change of either."""

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from alphapanda.core.margins import FULL, Margins
from alphapanda.events import Book, Money, Order, PositionEffect

ZERO = Money(0)
MANY = 256
Reserve = Callable[[Order], Money]
"""order -> rupees that it may cost beside its value: slippage and charges."""


class Worths:
    """What orders that may still trade are worth, and what is set aside for their costs.

    Each is worked out once and kept from book to book: few orders change between two verdicts.
    """

    def __init__(self, reserve: Reserve | None = None) -> None:
        self._reserve = reserve
        self._known: dict[str, Money] = {}
        self._values: dict[str, tuple[Order, Money]] = {}

    def value(self, orders: Sequence[Order]) -> Money:
        """What they would still open, at their reference prices. Most are as they were before."""
        known, total = self._values, ZERO
        if len(known) > 2 * len(orders) + MANY:
            known.clear()
        for order in orders:
            before = known.get(order.order_id)
            if before is None or before[0] is not order:
                value = order.pending_value if order.position_effect is PositionEffect.OPEN else ZERO
                before = known[order.order_id] = order, value
            total += before[1]
        return total

    def of_new(self, order: Order) -> Money:
        """Not kept: the order may be refused, and its number given to another."""
        return ZERO if self._reserve is None else self._reserve(order)

    def of(self, orders: Sequence[Order]) -> Money:
        """Of those that open a position; what is filled has had its costs."""
        if self._reserve is None:
            return ZERO
        kept, total = {}, ZERO
        for order in orders:
            if order.position_effect is PositionEffect.OPEN:
                known = self._known.get(order.order_id)
                if known is None:
                    known = self._reserve(replace(order, filled_quantity=0, filled_value=ZERO))
                kept[order.order_id] = known
                part = known * order.pending_quantity / order.quantity if order.filled_quantity else known
                total += part
        self._known = kept
        return total


class Claims:
    """`in_flight` are the approvals that `book` does not include yet. `strategy` "" and `token` 0 are all.

    `margins` says what an entry claims of the cash, `worths` what is set aside for its costs.
    """

    def __init__(
        self,
        book: Book,
        in_flight: Mapping[str, Order],
        margins: Margins = FULL,
        worths: Worths | None = None,
    ) -> None:
        self.book = book
        self.margins = margins
        self.pending = [*book.orders.values(), *in_flight.values()]
        """Everything that may still trade: open and UNKNOWN orders, and approvals on their way."""
        self._worths = worths or Worths()
        self._in_flight = in_flight
        self._orders: dict[int, list[Order]] = {}
        self._held: dict[int, list[tuple[str, int]]] = {}
        self._entries: dict[tuple[str, int], Money] = {}
        self._costs: dict[tuple[str, int], Money] = {}
        self._free: Money | None = None

    def orders(self, token: int) -> list[Order]:
        """What may still trade of an instrument. Looked for when it is asked: a verdict needs one or two."""
        found = self._orders.get(token)
        if found is None:
            found = [order for order in self.pending if order.instrument.instrument_token == token]
            self._orders[token] = found
        return found

    def held(self, token: int) -> list[tuple[str, int]]:
        """Who holds it, and how much: (strategy_id, signed quantity)."""
        found = self._held.get(token)
        if found is None:
            positions = self.book.positions.items()
            found = self._held[token] = [(owner, held) for (owner, of), held in positions if of == token]
        return found

    def at_most_open(self) -> int:
        """No fewer than the instruments that are open: for a question that is mostly answered by it."""
        return len(self.book.positions) + len(self.pending)

    def open_instruments(self, strategy: str = "") -> set[int]:
        """Tokens with a position or an order on its way."""
        held = {token for owner, token in self.book.positions if strategy in ("", owner)}
        return held | {o.instrument.instrument_token for o in self.pending if strategy in ("", o.strategy_id)}

    def worst(self, token: int, sign: int, strategy: str = "", more: Mapping[str, int] | None = None) -> int:
        """The largest position on one side if every pending order of that side fills, and `more` as well.

        What other strategies hold on the other side is not set against it: exits are never held back by a
        limit on exposure, so what offsets this order may be gone first.
        """
        reach = dict(more or {})
        for owner, quantity in self.held(token):
            reach[owner] = reach.get(owner, 0) + sign * quantity
        for order in self.orders(token):
            if order.transaction_type.sign == sign:
                reach[order.strategy_id] = reach.get(order.strategy_id, 0) + order.pending_quantity
        if strategy:
            return sign * max(0, reach.get(strategy, 0))
        return sign * sum(quantity for quantity in reach.values() if quantity > 0)

    def entries_value(self, strategy: str = "", token: int = 0) -> Money:
        """Value of what would still open a position."""
        known = self._entries.get((strategy, token))
        if known is None:
            orders = self.orders(token) if token else self.pending
            if strategy:
                orders = [order for order in orders if order.strategy_id == strategy]
            known = self._worths.value(orders)
            self._entries[strategy, token] = known
        return known

    def cost(self, strategy: str = "", token: int = 0) -> Money:
        """Signed: what was paid for what is held."""
        known = self._costs.get((strategy, token))
        if known is None:
            if not (strategy or token):
                known = self._costs[strategy, token] = sum(self.book.costs.values(), ZERO)
                return known
            known = ZERO
            for (owner, held), cost in self.book.costs.items():
                if strategy in ("", owner) and token in (0, held):
                    known += cost
            self._costs[strategy, token] = known
        return known

    def free_cash(self) -> Money:
        """Cash that no position, open entry or entry on its way has claimed, nor its slippage and charges."""
        if self._free is None:
            free = self.book.free_cash
            for order in self._in_flight.values():
                if order.position_effect is PositionEffect.OPEN:
                    free -= self.claim(order)
            self._free = free - self._worths.of(self.pending)
        return self._free

    def claim(self, order: Order) -> Money:
        return self.margins(
            order.instrument,
            order.product,
            order.transaction_type,
            order.pending_quantity,
            order.reference_price,
        )

    def reserved(self, order: Order) -> Money:
        """For an order that is still to be judged."""
        return self._worths.of_new(order)
