"""PortfolioManager: exact cash and positions, and the exposure of what may still trade.

Position = sum of fills, first in first out. Realised profit is gross; charges stand beside it. Each trade id
is applied once (the engine drops repeats). After each change risk gets a snapshot; after each fill the
journal gets a `Booked`, so trade, order, position and cash are written together or not at all.

The clock is that of the rows. A minute in which something was held ends with a `Valued`, at its last prices;
a new day begins with a `DayRolled`, without which nothing is forgotten: a restart goes through the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf

from alphapanda.core.account import Account
from alphapanda.core.equity import EquityTracker
from alphapanda.core.holding import NEVER, Holding
from alphapanda.core.margins import FULL, Margins
from alphapanda.core.money import exact, to_paisa
from alphapanda.core.square_off import SquareOff
from alphapanda.events import (
    Balance,
    Book,
    Booked,
    CancelResting,
    ClosePosition,
    DayRolled,
    Fill,
    Marked,
    Money,
    Order,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderUpdated,
    Position,
    Snapshot,
    TickBatch,
    Valued,
)
from alphapanda.times import MINUTE_NS, date_of, day_of

Output = Booked | Snapshot | Valued | DayRolled | Marked | CancelResting | ClosePosition
ZERO = Money(0)


class PortfolioManager:
    """`starting_cash` by broker. The rest is what recovery found, oldest first: `rolls` are (how many of
    `fills` came before it, day); `trackers` know the points of the curve, by broker.
    """

    def __init__(
        self,
        starting_cash: Mapping[str, Money],
        *,
        fills: Sequence[Fill] = (),
        orders: Iterable[Order] = (),
        marks: Mapping[int, Money] | None = None,
        rolls: Iterable[tuple[int, DayRolled]] = (),
        trackers: Mapping[str, EquityTracker] | None = None,
        margins: Margins = FULL,
        square_off: SquareOff | None = None,
    ) -> None:
        known = trackers or {}
        self._accounts = {
            broker: Account(broker, cash, margins, known.get(broker, EquityTracker()).copy())
            for broker, cash in starting_cash.items()
        }
        self._square_off = square_off
        self._restored = dict(marks or {})
        self._last: dict[int, float] = {}
        self._now = 0
        self._day = NEVER
        self._minute = max((known[broker].last_ns // MINUTE_NS for broker in known), default=NEVER)
        self._remember(fills, rolls)
        for order in orders:
            self._accounts[order.broker].follow(order)

    def _remember(self, fills: Sequence[Fill], rolls: Iterable[tuple[int, DayRolled]]) -> None:
        booked = 0
        for count, rolled in rolls:
            for fill in fills[booked:count]:
                self._accounts[fill.broker].book(fill)
            booked = count
            self._day = day_of(rolled.time_ns)
            for account in self._accounts.values():
                account.roll(self._day)
        for fill in fills[booked:]:
            self._accounts[fill.broker].book(fill)
        if fills and self._day == NEVER:  # a store of before days were written down
            self._day = day_of(fills[-1].traded_ns)

    def on(self, event: object) -> list[Output]:
        if self._square_off is not None and not isinstance(event, TickBatch):
            self._square_off.look_again()
        match event:
            case TickBatch():
                return self.on_ticks(event)
            case OrderFilled(order, fill):
                return self._on_filled(order, fill)
            case OrderOpened(order) | OrderUpdated(order):
                changed = self._accounts[order.broker].follow(order)
                return [Snapshot(self.books())] if changed else []
            case OrderClosed(order):
                account = self._accounts[order.broker]
                before = account.tracker.performance
                account.tracker.on_closed(order)
                changed = account.follow(order) or account.tracker.performance is not before
                return [Snapshot(self.books())] if changed else []
        raise TypeError(f"PortfolioManager does not take {type(event).__name__}")

    def on_ticks(self, batch: TickBatch) -> list[Output]:
        outputs: list[Output] = []
        rolls = False
        if batch.time_ns // MINUTE_NS != self._minute:
            rolls = day_of(batch.time_ns) != self._day
            outputs = self._minute_passes(batch.time_ns)
        self._now = batch.time_ns
        for tick in batch.ticks:
            if 0.0 < tick.last_price < inf:
                self._last[tick.instrument_token] = tick.last_price
        if rolls:
            outputs += self._opening_points(batch.time_ns)
        if outputs:
            outputs.append(Snapshot(self.books()))
        if self._square_off is not None and batch.time_ns >= self._square_off.wakes_ns:
            outputs += self._due(self._square_off, batch)
        return outputs

    def _due(self, square_off: SquareOff, batch: TickBatch) -> list[CancelResting | ClosePosition]:
        accounts = self._accounts.values()
        held = [holding for account in accounts for holding in account.held()]
        return square_off.due(batch, held, [order for a in accounts for order in a.orders.values()])

    def warm_up(self, batch: TickBatch) -> None:
        """A row that was taken before a restart: its prices count, what it led to is in the journal."""
        self._now = batch.time_ns
        self._minute = max(self._minute, batch.time_ns // MINUTE_NS)  # a fill may have come before its row
        for tick in batch.ticks:
            if 0.0 < tick.last_price < inf:
                self._last[tick.instrument_token] = tick.last_price

    def _minute_passes(self, time_ns: int) -> list[Output]:
        """The minute that ended is valued at its last prices; the day may be a new one."""
        outputs: list[Output] = []
        if self._now:
            held = [account for account in self._accounts.values() if account.held()]
            outputs += [account.valued(self._now, self._last, self._price) for account in held]
        self._minute, day = time_ns // MINUTE_NS, day_of(time_ns)
        if day != self._day:
            self._day = day
            outputs += self._roll(DayRolled(date_of(day).isoformat(), time_ns))
        return outputs

    def _roll(self, rolled: DayRolled) -> list[Output]:
        for account in self._accounts.values():
            account.roll(self._day)
            account.tracker.on_rolled(rolled)
        carried = Marked(tuple(p for p in self.positions() if p.quantity), rolled.time_ns)
        return [rolled, carried] if carried.positions else [rolled]

    def _opening_points(self, time_ns: int) -> list[Output]:
        return [account.valued(time_ns, self._last, self._price) for account in self._accounts.values()]

    def _on_filled(self, order: Order, fill: Fill) -> list[Output]:
        """A row's fills come before the row: the first of a new minute, or day, is told here."""
        outputs: list[Output] = []
        if fill.traded_ns // MINUTE_NS > self._minute:
            rolls = day_of(fill.traded_ns) != self._day
            outputs = self._minute_passes(fill.traded_ns)
            if rolls:
                outputs += self._opening_points(fill.traded_ns)
        account = self._accounts[fill.broker]
        holding = account.book(fill)
        account.follow(order)
        position = holding.position(self._price(holding), account.days)
        booked = Booked(order, fill, position, account.balance)
        account.tracker.on_booked(booked)
        point = account.valued(fill.traded_ns, self._last, self._price, fill.strategy_id)
        return [*outputs, booked, point, Snapshot(self.books())]

    def _price(self, holding: Holding) -> Money:
        token = holding.instrument.instrument_token
        seen = self._last.get(token)
        if seen is not None:
            return exact(seen)
        return self._restored.get(token, holding.last_fill)

    def books(self) -> dict[str, Book]:
        return {broker: account.snapshot() for broker, account in self._accounts.items()}

    def positions(self) -> list[Position]:
        """Every holding of the day, flat ones included, by broker, strategy and instrument."""
        return [
            holding.position(self._price(holding), account.days)
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
