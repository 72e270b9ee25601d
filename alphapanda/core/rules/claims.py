"""What positions and orders on their way claim at one broker, sorted once for each change of either."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from alphapanda.core.margins import FULL, Margins
from alphapanda.events import Book, ExternalPosition, Money, Order, PositionEffect, TransactionType

ZERO = Money(0)
MANY = 4096
OPEN = PositionEffect.OPEN
BUY, SELL = TransactionType.BUY, TransactionType.SELL
Reserve = Callable[[Order], Money]
"""order -> rupees that it may cost beside its value: slippage and charges."""


class Outside(NamedTuple):
    """What of an instrument the account holds, or may come to hold, that is not ours: units on either side,
    and the broker's last price.
    """

    longest: int = 0
    shortest: int = 0
    last_price: Money = ZERO

    @property
    def units(self) -> int:
        return max(self.longest, self.shortest)


NOT_OURS: Mapping[int, Outside] = {}


def outside_of(positions: Iterable[ExternalPosition]) -> Mapping[int, Outside]:
    """By token; products of one instrument together."""
    found: dict[int, Outside] = {}
    for each in positions:
        known = found.get(each.instrument_token, Outside())
        longest, shortest = known.longest + each.longest, known.shortest + each.shortest
        found[each.instrument_token] = Outside(longest, shortest, each.last_price or known.last_price)
    return found


OrdersById = Mapping[str, Order]


class Entries:
    """The value of orders that would still open a position, of one strategy and instrument or of all.

    Kept from book to book: only orders that differ from the last time are looked into.
    """

    def __init__(self, strategy: str = "", token: int = 0) -> None:
        self._strategy = strategy
        self._token = token
        self._orders: OrdersById = {}
        self._total = ZERO

    def value(self, orders: OrdersById) -> Money:
        """At their reference prices. `orders` are kept until the next call: they must not change."""
        before, self._orders = self._orders, orders
        known = map(before.get, orders)
        changed = [(new, old) for new, old in zip(orders.values(), known, strict=True) if new is not old]
        total, added = self._total, 0
        for new, old in changed:
            total += self.of(new)
            if old is None:
                added += 1
            else:
                total -= self.of(old)
        if len(before) + added != len(orders):
            for order_id in before.keys() - orders.keys():
                total -= self.of(before[order_id])
        self._total = total
        return total

    def of(self, order: Order) -> Money:
        mine = (
            order.position_effect is OPEN
            and self._strategy in ("", order.strategy_id)
            and self._token in (0, order.instrument.instrument_token)
        )
        return order.pending_value if mine else ZERO


class Worths:
    """What is set aside for the costs of orders that may still trade.

    Each is worked out once and kept from book to book: few orders change between two verdicts.
    """

    def __init__(self, reserve: Reserve | None = None) -> None:
        self._reserve = reserve
        self._known: dict[str, Money] = {}

    def of_new(self, order: Order) -> Money:
        """Not kept: the order may be refused, and its number given to another."""
        return ZERO if self._reserve is None else self._reserve(order)

    def of(self, orders: Collection[Order]) -> Money:
        """Of those that open a position; what is filled has had its costs."""
        if self._reserve is None:
            return ZERO
        if len(self._known) > MANY:
            self._known.clear()
        return sum([self._left(o, self._reserve) for o in orders if o.position_effect is OPEN], ZERO)

    def _left(self, order: Order, reserve: Reserve) -> Money:
        known = self._known.get(order.order_id)
        if known is None:
            known = reserve(replace(order, filled_quantity=0, filled_value=ZERO))
            self._known[order.order_id] = known
        return known * order.pending_quantity / order.quantity if order.filled_quantity else known


class Claims:
    """`in_flight` are the approvals that `book` does not include yet; later ones are added. What is asked is
    worked out once for each book, and goes along with what is added. `strategy` "" and `token` 0 are all.

    `margins` says what an entry claims of the cash, `worths` what is set aside for its costs, `entries` what
    open entries are worth, by strategy and token; both are kept from book to book. `outside` is what is not
    ours, by token: it counts for the whole account, and for no strategy.
    """

    __slots__ = (
        "_costs",
        "_entries",
        "_free",
        "_held",
        "_holdings",
        "_in_flight",
        "_known",
        "_orders",
        "_worths",
        "book",
        "margins",
        "outside",
    )

    def __init__(
        self,
        book: Book,
        in_flight: OrdersById,
        margins: Margins = FULL,
        worths: Worths | None = None,
        entries: dict[tuple[str, int], Entries] | None = None,
        outside: Mapping[int, Outside] = NOT_OURS,
    ) -> None:
        self.book = book
        self.outside = outside
        self.margins = margins
        self._worths = worths or Worths()
        self._entries = {} if entries is None else entries
        self._in_flight = list(in_flight.values())
        self._orders: dict[int, list[Order]] | None = None
        self._held: dict[int, list[tuple[str, int]]] | None = None
        self._holdings: dict[str, tuple[Sequence[int], Collection[int]]] = {}
        self._known: dict[tuple[str, int], tuple[Money, int]] = {}
        self._costs: dict[tuple[str, int], Money] = {}
        self._free: tuple[Money | None, int] = None, 0
        """With each how many of those in flight it has taken in."""

    def add(self, order: Order) -> None:
        """An approval more is on its way. What was added up before takes it in when it is next asked."""
        self._in_flight.append(order)
        if self._orders is not None:
            self._orders.setdefault(order.instrument.instrument_token, []).append(order)

    @property
    def pending(self) -> list[Order]:
        """Everything that may still trade: open and UNKNOWN orders, and approvals on their way."""
        return [*self.book.orders.values(), *self._in_flight]

    def orders(self, token: int) -> Sequence[Order]:
        """What may still trade of an instrument."""
        found = self._orders
        if found is None:
            found = self._orders = {}
            for order in self.pending:
                found.setdefault(order.instrument.instrument_token, []).append(order)
        return found.get(token, ())

    def held(self, token: int) -> Sequence[tuple[str, int]]:
        """Who holds it, and how much: (strategy_id, signed quantity)."""
        found = self._held
        if found is None:
            found = self._held = {}
            for (owner, of), held in self.book.positions.items():
                found.setdefault(of, []).append((owner, held))
        return found.get(token, ())

    def holdings(self, strategy: str) -> tuple[Sequence[int], Collection[int]]:
        """Instrument tokens, and the signed quantity of each."""
        found = self._holdings.get(strategy)
        if found is None:
            held = self.book.positions
            mine = {key: q for key, q in held.items() if key[0] == strategy} if strategy else held
            found = self._holdings[strategy] = [token for _, token in mine], mine.values()
        return found

    def at_most_open(self) -> int:
        """No fewer than the instruments that are open: for a question that is mostly answered by it."""
        return len(self.book.positions) + len(self.book.orders) + len(self._in_flight) + len(self.outside)

    def open_instruments(self, strategy: str = "") -> set[int]:
        """Tokens with a position or an order on its way."""
        held = {token for owner, token in self.book.positions if strategy in ("", owner)}
        if not strategy:
            held.update(self.outside)
        return held | {o.instrument.instrument_token for o in self.pending if strategy in ("", o.strategy_id)}

    def worst(self, token: int, sign: int, strategy: str = "", more: Mapping[str, int] | None = None) -> int:
        """The largest position on one side if every pending order of that side fills, and `more` as well.

        What other strategies hold on the other side is not set against it: exits are never held back by a
        limit on exposure, so what offsets this order may be gone first.
        """
        side = BUY if sign > 0 else SELL
        reach = dict(more) if more else {}
        for owner, quantity in self.held(token):
            reach[owner] = reach.get(owner, 0) + sign * quantity
        for order in self.orders(token):
            if order.transaction_type is side:
                reach[order.strategy_id] = reach.get(order.strategy_id, 0) + order.pending_quantity
        if strategy:
            return sign * max(0, reach.get(strategy, 0))
        total = sum([quantity for quantity in reach.values() if quantity > 0])
        if (beside := self.outside.get(token)) is not None:
            total += beside.longest if sign > 0 else beside.shortest
        return sign * total

    def entries_value(self, strategy: str = "", token: int = 0) -> Money:
        """Value of what would still open a position."""
        key = strategy, token
        entries = self._entries.get(key)
        if entries is None:
            entries = self._entries[key] = Entries(strategy, token)
        known, taken = self._known.get(key, (None, 0))
        if known is None:
            known = entries.value(self.book.orders)
        elif taken == len(self._in_flight):
            return known
        for order in self._in_flight[taken:]:
            known += entries.of(order)
        self._known[key] = known, len(self._in_flight)
        return known

    def cost(self, strategy: str = "", token: int = 0) -> Money:
        """Signed: what was paid for what is held."""
        known = self._costs.get((strategy, token))
        if known is None:
            costs = self.book.costs
            mine = (
                [
                    cost
                    for (owner, held), cost in costs.items()
                    if strategy in ("", owner) and token in (0, held)
                ]
                if strategy or token
                else costs.values()
            )
            known = self._costs[strategy, token] = sum(mine, ZERO)
        return known

    def free_cash(self) -> Money:
        """Cash that no position, open entry or entry on its way has claimed, nor its slippage and charges."""
        free, taken = self._free
        if free is None:
            free = self.book.free_cash - self._worths.of(self.book.orders.values())
        elif taken == len(self._in_flight):
            return free
        for order in self._in_flight[taken:]:
            if order.position_effect is OPEN:
                free -= self.claim(order) + self._worths.of((order,))
        self._free = free, len(self._in_flight)
        return free

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
