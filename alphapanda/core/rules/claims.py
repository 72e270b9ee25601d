"""What positions and orders on their way claim at one broker, added up once for each change of either."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import compress
from operator import is_not
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


class Resting:
    """The orders of a book that may still trade, by instrument, and the value of those that would still open
    a position, by strategy and token. Kept from book to book: only orders that differ are looked into.
    """

    def __init__(self) -> None:
        self._orders: OrdersById = {}
        self._by_token: defaultdict[int, dict[str, Order]] = defaultdict(dict)
        self._values: dict[tuple[str, int], Money] = {}

    def take(self, orders: OrdersById) -> None:
        """`orders` are kept until the next call: they must not change."""
        if orders is self._orders:
            return
        before, self._orders = self._orders, orders
        differs = map(is_not, orders.values(), map(before.get, orders))
        added = 0
        for new in compress(orders.values(), differs):
            old, token = before.get(new.order_id), new.instrument.instrument_token
            if old is None:
                added += 1
            else:
                self._count(old, -1)
                if old.instrument.instrument_token != token:
                    del self._by_token[old.instrument.instrument_token][old.order_id]
            self._count(new, 1)
            self._by_token[token][new.order_id] = new
        if len(before) + added != len(orders):
            for order_id in before.keys() - orders.keys():
                self._count(before[order_id], -1)
                del self._by_token[before[order_id].instrument.instrument_token][order_id]

    def of(self, token: int) -> Collection[Order]:
        return self._by_token[token].values() if token in self._by_token else ()

    def value(self, strategy: str = "", token: int = 0) -> Money:
        """At their reference prices."""
        known = self._values.get((strategy, token))
        if known is None:
            known = sum([value_of(order, strategy, token) for order in self._orders.values()], ZERO)
            self._values[strategy, token] = known
        return known

    def _count(self, order: Order, sign: int) -> None:
        for (strategy, token), value in self._values.items():
            self._values[strategy, token] = value + sign * value_of(order, strategy, token)


def value_of(order: Order, strategy: str, token: int) -> Money:
    """What it would still open a position of, of this strategy and instrument; "" and 0 are all."""
    mine = (
        order.position_effect is OPEN
        and strategy in ("", order.strategy_id)
        and token in (0, order.instrument.instrument_token)
    )
    return order.pending_value if mine else ZERO


class Holdings:
    """What is held, and what it cost, as it is asked for. A book hands on both as they are until a fill."""

    def __init__(
        self, positions: Mapping[tuple[str, int], int], costs: Mapping[tuple[str, int], Money]
    ) -> None:
        self.positions = positions
        self.costs = costs
        self._by_token: dict[int, list[tuple[str, int]]] | None = None
        self._by_strategy: dict[str, tuple[Sequence[int], Collection[int]]] = {}
        self._costs: dict[tuple[str, int], Money] = {}

    def owners(self, token: int) -> Sequence[tuple[str, int]]:
        """Who holds it, and how much: (strategy_id, signed quantity)."""
        found = self._by_token
        if found is None:
            found = self._by_token = {}
            for (owner, of), held in self.positions.items():
                found.setdefault(of, []).append((owner, held))
        return found.get(token, ())

    def of(self, strategy: str) -> tuple[Sequence[int], Collection[int]]:
        """Instrument tokens, and the signed quantity of each."""
        found = self._by_strategy.get(strategy)
        if found is None:
            held = self.positions
            mine = {key: q for key, q in held.items() if key[0] == strategy} if strategy else held
            found = self._by_strategy[strategy] = [token for _, token in mine], mine.values()
        return found

    def cost(self, strategy: str = "", token: int = 0) -> Money:
        """Signed: what was paid for it."""
        known = self._costs.get((strategy, token))
        if known is None:
            paid: Iterable[Money] = self.costs.values()
            if strategy or token:
                items = self.costs.items()
                paid = [cost for (owner, of), cost in items if strategy in ("", owner) and token in (0, of)]
            known = self._costs[strategy, token] = sum(paid, ZERO)
        return known


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


class Kept:
    """What is worked out of one broker's books, each after the one before: most of it stays as it was."""

    def __init__(self, reserve: Reserve | None = None) -> None:
        self.worths = Worths(reserve)
        self.resting = Resting()
        self.holdings = Holdings({}, {})

    def take(self, book: Book) -> None:
        self.resting.take(book.orders)
        if book.positions is not self.holdings.positions or book.costs is not self.holdings.costs:
            self.holdings = Holdings(book.positions, book.costs)


class Claims:
    """`in_flight` are the approvals that `book` does not include yet; later ones are added. What is asked is
    worked out once for each book, and goes along with what is added. `strategy` "" and `token` 0 are all.

    `margins` says what an entry claims of the cash. `kept` is that of the books before. `outside` is what is
    not ours, by token: it counts for the whole account, and for no strategy.
    """

    __slots__ = ("_free", "_in_flight", "_known", "_orders", "book", "holdings", "kept", "margins", "outside")

    def __init__(
        self,
        book: Book,
        in_flight: OrdersById,
        margins: Margins = FULL,
        kept: Kept | None = None,
        outside: Mapping[int, Outside] = NOT_OURS,
    ) -> None:
        self.book = book
        self.outside = outside
        self.margins = margins
        self.kept = kept or Kept()
        self.kept.take(book)
        self.holdings = self.kept.holdings
        self._in_flight = list(in_flight.values())
        self._orders: dict[int, list[Order]] = {}
        self._known: dict[tuple[str, int], tuple[Money, int]] = {}
        self._free: tuple[Money | None, int] = None, 0
        """With each how many of those in flight it has taken in."""

    def add(self, order: Order) -> None:
        """An approval more is on its way. What was added up before takes it in when it is next asked."""
        self._in_flight.append(order)
        if (known := self._orders.get(order.instrument.instrument_token)) is not None:
            known.append(order)

    @property
    def pending(self) -> list[Order]:
        """Everything that may still trade: open and UNKNOWN orders, and approvals on their way."""
        return [*self.book.orders.values(), *self._in_flight]

    def orders(self, token: int) -> Sequence[Order]:
        """What may still trade of an instrument."""
        found = self._orders.get(token)
        if found is None:
            coming = [order for order in self._in_flight if order.instrument.instrument_token == token]
            found = self._orders[token] = [*self.kept.resting.of(token), *coming]
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
        for owner, quantity in self.holdings.owners(token):
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
        known, taken = self._known.get(key, (None, 0))
        if known is None:
            known = self.kept.resting.value(strategy, token)
        elif taken == len(self._in_flight):
            return known
        for order in self._in_flight[taken:]:
            known += value_of(order, strategy, token)
        self._known[key] = known, len(self._in_flight)
        return known

    def free_cash(self) -> Money:
        """Cash that no position, open entry or entry on its way has claimed, nor its slippage and charges."""
        free, taken = self._free
        if free is None:
            free = self.book.free_cash - self.kept.worths.of(self.book.orders.values())
        elif taken == len(self._in_flight):
            return free
        for order in self._in_flight[taken:]:
            if order.position_effect is OPEN:
                free -= self.claim(order) + self.kept.worths.of((order,))
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
        return self.kept.worths.of_new(order)
