"""PortfolioManager: exact cash and positions, and the exposure of what may still trade.

Position = sum of fills, first in first out. Realised profit is gross; charges stand beside it. Each trade id
is applied once (the engine drops repeats). After each change risk gets a snapshot; after each fill the
journal gets a `Booked`, so trade, order, position and cash are written together or not at all.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from math import inf

from msgspec.structs import replace

from alphapanda.core.money import exact, to_paisa
from alphapanda.events import (
    Balance,
    Book,
    Booked,
    Fill,
    Marked,
    Money,
    Order,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderUpdated,
    Position,
    PositionEffect,
    Snapshot,
    TickBatch,
)

Output = Booked | Snapshot
ZERO = Money(0)


class Holding:
    """The open lots of one strategy in one instrument at one broker, oldest first."""

    def __init__(self, fill: Fill) -> None:
        self.broker = fill.broker
        self.strategy_id = fill.strategy_id
        self.instrument = fill.instrument
        self.product = fill.product
        self.lots: deque[tuple[int, Money]] = deque()
        self.quantity = 0
        self.realized = ZERO
        self.last_fill = fill.price

    def book(self, fill: Fill) -> Money:
        """Add a fill; the gross profit it realised."""
        left, realized = fill.signed_quantity, ZERO
        while left and self.lots and (self.lots[0][0] > 0) != (left > 0):
            quantity, price = self.lots[0]
            closed = min(abs(quantity), abs(left)) * (1 if quantity > 0 else -1)
            realized += (fill.price - price) * closed
            left += closed
            if closed == quantity:
                self.lots.popleft()
            else:
                self.lots[0] = (quantity - closed, price)
        if left:
            self.lots.append((left, fill.price))
        self.quantity += fill.signed_quantity
        self.realized += realized
        self.last_fill = fill.price
        return realized

    def cost(self) -> Money:
        """Signed quantity x price over the open lots."""
        return sum((quantity * price for quantity, price in self.lots), ZERO)

    def position(self, last_price: Money) -> Position:
        cost = self.cost()
        return Position(
            broker=self.broker,
            strategy_id=self.strategy_id,
            instrument=self.instrument,
            product=self.product,
            quantity=self.quantity,
            average_price=cost / self.quantity if self.quantity else ZERO,
            last_price=last_price,
            realized_pnl=self.realized,
            unrealized_pnl=self.quantity * last_price - cost,
        )


class Account:
    """One broker's book. Its `Balance` and the orders that may still trade are what risk lives on."""

    def __init__(self, broker: str, starting_cash: Money) -> None:
        self.balance = Balance(broker=broker, starting_cash=starting_cash, cash=starting_cash)
        self.holdings: dict[tuple[str, int, str], Holding] = {}
        self.orders: dict[str, Order] = {}
        self.accounted = 0

    def book(self, fill: Fill) -> Holding:
        key = (fill.strategy_id, fill.instrument.instrument_token, fill.product)
        holding = self.holdings.get(key)
        if holding is None:
            holding = self.holdings[key] = Holding(fill)
        realized = holding.book(fill)
        balance = self.balance
        self.balance = replace(
            balance,
            cash=balance.cash - fill.signed_quantity * fill.price - fill.charges,
            realized_pnl=balance.realized_pnl + realized,
            charges=balance.charges + fill.charges,
        )
        return holding

    def follow(self, order: Order) -> bool:
        """Keep an order while it may trade; True when the exposure has changed."""
        self.accounted = max(self.accounted, order.sequence)
        if order.status.ended:
            return self.orders.pop(order.order_id, None) is not None
        before = self.orders.get(order.order_id)
        self.orders[order.order_id] = order
        return before is None or before.filled_quantity != order.filled_quantity

    def snapshot(self) -> Book:
        return Book(self.accounted, self._free_cash(), self._positions(), dict(self.orders))

    def _free_cash(self) -> Money:
        """Cash less open entries, less short positions twice: their proceeds and as much again."""
        entries = sum(
            (o.pending_value for o in self.orders.values() if o.position_effect is PositionEffect.OPEN), ZERO
        )
        short = sum((holding.cost() for holding in self.holdings.values() if holding.quantity < 0), ZERO)
        return self.balance.cash - entries + 2 * short

    def _positions(self) -> dict[tuple[str, int], int]:
        held: dict[tuple[str, int], int] = {}
        for (strategy_id, token, _), holding in self.holdings.items():
            if holding.quantity:
                held[strategy_id, token] = held.get((strategy_id, token), 0) + holding.quantity
        return held


class PortfolioManager:
    """`starting_cash` by broker. `fills` and `orders` are what recovery found, oldest first."""

    def __init__(
        self,
        starting_cash: Mapping[str, Money],
        *,
        fills: Iterable[Fill] = (),
        orders: Iterable[Order] = (),
        marks: Mapping[int, Money] | None = None,
    ) -> None:
        self._accounts = {broker: Account(broker, cash) for broker, cash in starting_cash.items()}
        self._restored = dict(marks or {})
        self._last: dict[int, float] = {}
        self._now = 0
        for fill in fills:
            self._accounts[fill.broker].book(fill)
        for order in orders:
            self._accounts[order.broker].follow(order)

    def on(self, event: object) -> list[Output]:
        match event:
            case TickBatch():
                return self.on_ticks(event)
            case OrderFilled(order, fill):
                return self._on_filled(order, fill)
            case OrderOpened(order) | OrderUpdated(order) | OrderClosed(order):
                changed = self._accounts[order.broker].follow(order)
                return [Snapshot(self.books())] if changed else []
        raise TypeError(f"PortfolioManager does not take {type(event).__name__}")

    def on_ticks(self, batch: TickBatch) -> list[Output]:
        self._now = batch.time_ns
        for tick in batch.ticks:
            if 0 < tick.last_price < inf:
                self._last[tick.instrument_token] = tick.last_price
        return []

    def _on_filled(self, order: Order, fill: Fill) -> list[Output]:
        account = self._accounts[fill.broker]
        holding = account.book(fill)
        account.follow(order)
        position = holding.position(self._price(holding))
        return [Booked(order, fill, position, account.balance), Snapshot(self.books())]

    def _price(self, holding: Holding) -> Money:
        token = holding.instrument.instrument_token
        seen = self._last.get(token)
        if seen is not None:
            return exact(seen)
        return self._restored.get(token, holding.last_fill)

    def books(self) -> dict[str, Book]:
        return {broker: account.snapshot() for broker, account in self._accounts.items()}

    def positions(self) -> list[Position]:
        """Every holding, flat ones included, by broker, strategy and instrument."""
        return [
            holding.position(self._price(holding))
            for account in self._accounts.values()
            for holding in account.holdings.values()
        ]

    def balances(self) -> list[Balance]:
        return [account.balance for account in self._accounts.values()]

    def marks(self, *, flat: bool = False) -> Marked:
        """The last prices of what is held, for the journal; with `flat`, of what was held too."""
        return Marked(tuple(p for p in self.positions() if flat or p.quantity), self._now)


class Standing:
    """A broker's figures as people read them: to the paisa, and adding up.

    equity = starting_cash + realized_pnl + unrealized_pnl - charges, after rounding.
    """

    def __init__(self, balance: Balance, positions: Iterable[Position]) -> None:
        value = sum((p.quantity * p.last_price for p in positions if p.broker == balance.broker), ZERO)
        self.broker = balance.broker
        self.starting_cash = to_paisa(balance.starting_cash)
        self.cash = to_paisa(balance.cash)
        self.equity = to_paisa(balance.cash + value)
        self.realized_pnl = to_paisa(balance.realized_pnl)
        self.charges = to_paisa(balance.charges)
        self.unrealized_pnl = self.equity - self.starting_cash - self.realized_pnl + self.charges
