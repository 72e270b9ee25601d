"""One broker's book: cash, holdings, and the orders that may still trade."""

from collections.abc import Callable, Collection, Mapping
from itertools import repeat
from operator import attrgetter, mul, truediv
from typing import Any

from msgspec.structs import replace

from alphapanda.core.equity import EquityTracker
from alphapanda.core.holding import Days, Holding
from alphapanda.core.margins import Margins
from alphapanda.events import (
    Balance,
    Book,
    Figures,
    Fill,
    Instrument,
    Money,
    Order,
    PositionEffect,
    Valued,
)

Price = Callable[[Holding], Money]
ZERO = Money(0)
QUANTITY = attrgetter("quantity")
PARTS = 10_000
"""Most prices are whole ten-thousandths of a rupee, and integers are added quicker than decimals."""
LARGE = 1e9
"""Above it, in rupees, a float cannot tell ten-thousandths."""


class Worth:
    """What some holdings cost, and what they are worth: net, and long and short together."""

    __slots__ = ("cost", "gross", "gross_parts", "net", "net_parts")

    def __init__(self) -> None:
        self.cost = self.net = self.gross = ZERO
        self.net_parts = self.gross_parts = 0

    def add(self, other: "Worth") -> None:
        self.cost += other.cost
        self.net += other.net
        self.gross += other.gross
        self.net_parts += other.net_parts
        self.gross_parts += other.gross_parts

    def figures(self, realized: Money, charges: Money) -> Figures:
        net = self.net + Money(self.net_parts) / PARTS
        return Figures(
            realized_pnl=realized,
            unrealized_pnl=net - self.cost,
            charges=charges,
            gross_exposure=self.gross + Money(self.gross_parts) / PARTS,
            net_exposure=net,
        )


class Account:
    """One broker's book. Its `Balance` and the orders that may still trade are what risk lives on."""

    def __init__(self, broker: str, cash: Money, margins: Margins, tracker: EquityTracker) -> None:
        self.balance = Balance(broker=broker, starting_cash=cash, cash=cash)
        self.holdings: dict[tuple[str, int, str], Holding] = {}
        self.orders: dict[str, Order] = {}
        self.accounted = 0
        self.days = Days()
        self.tracker = tracker
        self._margins = margins
        self._held: dict[str, dict[tuple[str, int, str], Holding]] = {}
        """What of `holdings` is not flat, by strategy; a strategy that holds nothing is left out."""
        self._paid: dict[str, Money] = {}
        """strategy_id -> the sum of `_costs`"""
        self._positions: dict[tuple[str, int], int] = {}
        self._costs: dict[tuple[str, int], Money] = {}
        self._instruments: dict[int, Instrument] = {}
        """These three are replaced, never changed: a snapshot keeps what it was given."""
        self._claimed = ZERO
        self._made: dict[str, tuple[Money, Money]] = {}
        """strategy_id -> (realised, charges) since the opening"""
        self._unsettled = ZERO
        self._book: Book | None = None

    def book(self, fill: Fill) -> Holding:
        key = (fill.strategy_id, fill.instrument.instrument_token, fill.product)
        holding = self.holdings.get(key)
        if holding is None:
            holding = self.holdings[key] = Holding(fill, self._margins)
        cost, claim = holding.cost, holding.claim
        closed = holding.book(fill, self.days)
        self._hold(key, holding, fill.signed_quantity, holding.cost - cost)
        self._claimed += holding.claim - claim
        balance = self.balance
        self.balance = replace(
            balance,
            cash=balance.cash - fill.signed_quantity * fill.price - fill.charges,
            realized_pnl=balance.realized_pnl + closed.realized,
            charges=balance.charges + fill.charges,
        )
        realized, charges = self._made.get(fill.strategy_id, (ZERO, ZERO))
        self._made[fill.strategy_id] = realized + closed.realized, charges + fill.charges
        self._unsettled += closed.unsettled
        self._book = None
        return holding

    def _hold(self, key: tuple[str, int, str], holding: Holding, quantity: int, cost: Money) -> None:
        owner = key[:2]
        self._positions, self._costs = dict(self._positions), dict(self._costs)
        _add(self._positions, owner, quantity, 0)
        _add(self._costs, owner, cost, ZERO)
        _add(self._paid, key[0], cost, ZERO)
        if holding.quantity:
            self._held.setdefault(key[0], {})[key] = holding
            if key[1] not in self._instruments:
                self._instruments = self._instruments | {key[1]: holding.instrument}
        elif self._held.get(key[0], {}).pop(key, None) is not None:
            if not self._held[key[0]]:
                del self._held[key[0]]
            self._instruments = {held.instrument.instrument_token: held.instrument for held in self.held()}

    def follow(self, order: Order) -> bool:
        """Keep an order while it may trade; True when the exposure has changed."""
        self.accounted = max(self.accounted, order.sequence)
        before = self.orders.get(order.order_id)
        if order.status.ended:
            self.orders.pop(order.order_id, None)
            changed = before is not None
        else:
            self.orders[order.order_id] = order
            changed = before is None or before.filled_quantity != order.filled_quantity
        if before != order:
            self._book = None
        return changed

    def roll(self, day: int) -> None:
        """A new day: what is flat leaves, and what was sold yesterday is settled."""
        self.days = Days(day, self.days.current)
        self.holdings = {key: holding for key, holding in self.holdings.items() if holding.quantity}
        self._unsettled = ZERO
        self._book = None

    def held(self) -> Collection[Holding]:
        return [holding for mine in self._held.values() for holding in mine.values()]

    def snapshot(self) -> Book:
        """The same book until something in it changes."""
        performance, book = self.tracker.performance, self._book
        if book is None:
            book = self._book = self._anew()
        elif book.accounted != self.accounted or book.performance is not performance:
            book = self._book = replace(book, accounted=self.accounted, performance=performance)
        return book

    def _anew(self) -> Book:
        return Book(
            accounted=self.accounted,
            free_cash=self.balance.cash - self._entries() - self._claimed - self._unsettled,
            positions=self._positions,
            orders=dict(self.orders),
            costs=self._costs,
            instruments=self._instruments,
            performance=self.tracker.performance,
            starting_cash=self.balance.starting_cash,
        )

    def _entries(self) -> Money:
        """What open entries claim. With margins in full a short position claims its proceeds and as much
        again: `Holding.claim`.
        """
        return sum(
            (
                self._margins(
                    o.instrument, o.product, o.transaction_type, o.pending_quantity, o.reference_price
                )
                for o in self.orders.values()
                if o.position_effect is PositionEffect.OPEN
            ),
            ZERO,
        )

    def valued(
        self, time_ns: int, last: Mapping[int, float], price: Price, also: str | None = None
    ) -> Valued:
        """A point of the equity curve, with the strategies that hold something and the strategy `also`.

        `last` has prices by token; `price` is asked where it has none.
        """
        worth: dict[str, Worth] = {} if also is None else {also: Worth()}
        for strategy_id, mine in self._held.items():
            worth[strategy_id] = _worth(mine, last, price)
        for strategy_id, cost in self._paid.items():
            worth[strategy_id].cost = cost
        return self._point(time_ns, worth)

    def _point(self, time_ns: int, worth: Mapping[str, Worth]) -> Valued:
        balance, whole = self.balance, Worth()
        strategies = {}
        for strategy_id, mine in worth.items():
            strategies[strategy_id] = mine.figures(*self._made.get(strategy_id, (ZERO, ZERO)))
            whole.add(mine)
        figures = whole.figures(balance.realized_pnl, balance.charges)
        point = Valued(
            broker=balance.broker,
            time_ns=time_ns,
            cash=balance.cash,
            equity=balance.cash + figures.net_exposure,
            figures=figures,
            strategies=strategies,
        )
        self.tracker.on_valued(point)
        return point


def _worth(held: Mapping[tuple[str, int, str], Holding], last: Mapping[int, float], price: Price) -> Worth:
    """Of a strategy's holdings. Mostly every price is known and in whole parts: then no decimal is made."""
    worth = Worth()
    seen = list(map(last.get, [token for _, token, _ in held], repeat(0.0)))
    if min(seen) > 0 and max(seen) < LARGE:
        parts = list(map(round, map(mul, seen, repeat(PARTS))))
        if list(map(truediv, parts, repeat(PARTS))) == seen:
            values = list(map(mul, parts, map(QUANTITY, held.values())))
            worth.net_parts, worth.gross_parts = sum(values), sum(map(abs, values))
            return worth
    for holding in held.values():
        value = holding.quantity * price(holding)
        worth.net += value
        worth.gross += abs(value)
    return worth


def _add(amounts: dict[Any, Any], key: Any, amount: Any, nothing: Any) -> None:
    """What comes to nothing is left out."""
    total = amounts.pop(key, nothing) + amount
    if total:
        amounts[key] = total
