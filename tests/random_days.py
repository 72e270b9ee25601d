"""Days of chance with real cores: what no sequence of signals, fills, unknowns and crashes may break.

Risk, execution, portfolio and the simulated market are joined by hand, so that every message may be late and
every answer may be missing. What a limit forbids is worked out here from nothing but fills and orders.
"""

import random
from collections import Counter
from decimal import Decimal

from alphapanda.core.charges import flat
from alphapanda.core.equity import EquityTracker
from alphapanda.core.execution import TradingEngine
from alphapanda.core.market import MarketSimulator
from alphapanda.core.portfolio import PortfolioManager
from alphapanda.core.risk import RiskManager
from alphapanda.core.rules import (
    AvailableCash,
    DailyLoss,
    DuplicateSignal,
    MaximumGrossExposure,
    MaximumOpenPositions,
    MaximumOrderQuantity,
    MaximumOrderValue,
    MaximumPositionQuantity,
    MaximumPositionValue,
    OrdersPerSecond,
    Rule,
    SelfMatch,
)
from alphapanda.events import (
    Approved,
    Booked,
    CancelOrder,
    DayRolled,
    Fill,
    Instrument,
    MarketTick,
    Money,
    Order,
    OrderClosed,
    OrderFilled,
    OrderStatus,
    OrderType,
    PlaceOrder,
    PositionEffect,
    Refused,
    Report,
    ReportKind,
    Scope,
    Snapshot,
    TickBatch,
    TradingSignal,
    TransactionType,
    Valued,
)
from alphapanda.store.recovery import RefusalsFold
from alphapanda.times import to_ist

BUY, SELL = TransactionType.BUY, TransactionType.SELL
OPEN, CLOSE = PositionEffect.OPEN, PositionEffect.CLOSE
SECOND = 1_000_000_000
MONDAY_NS = 1_717_389_000 * SECOND  # 3 June 2024, 10:00 IST
CASH = Money(5_000)
STRATEGIES = ("one", "two")
INSTRUMENTS = {token: Instrument(token, "NSE", f"S{token}") for token in (1, 2, 3)}
SLIPPAGE, COMMISSION = Money("0.05"), Money("0.1")
STEPS = 70


class Exceeded(AssertionError):  # noqa: N818 - names the fact
    """A limit was passed."""


def require(holds: bool, sentence: str) -> None:
    if not holds:
        raise Exceeded(sentence)


class Caps:
    """The limits of one day, narrow enough to be met."""

    def __init__(self, chance: random.Random) -> None:
        self.order = chance.choice([15, 28])
        self.order_value = Money(chance.choice([2000, 3000]))
        self.position = chance.choice([25, 45, 200])
        self.own_position = {name: chance.choice([20, 35, 200]) for name in STRATEGIES}
        self.position_value = Money(chance.choice([3000, 5000, 50000]))
        self.gross = Money(chance.choice([4000, 8000, 50000]))
        self.open = chance.choice([1, 2, 3])
        self.rate = chance.choice([2, 3])
        self.exits = chance.choice([0, 1])
        self.loss = Money(chance.choice([20, 100, 1000]))

    def rules(self) -> tuple[Rule, ...]:
        own = (MaximumPositionQuantity(cap, scope=Scope(strategy=s)) for s, cap in self.own_position.items())
        return (
            MaximumOrderQuantity(self.order),
            MaximumOrderValue(self.order_value),
            MaximumPositionQuantity(self.position),
            *own,
            MaximumPositionValue(self.position_value),
            MaximumOpenPositions(self.open),
            MaximumGrossExposure(self.gross),
            AvailableCash(),
            DailyLoss(self.loss),
            OrdersPerSecond(self.rate, self.exits),
            DuplicateSignal(Money("0.5")),
            SelfMatch(prevent_self_match=True),
        )


class RandomDay:
    """One run from a seed. `refused` counts what each rule held back, `approved` what passed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.caps = Caps(self.chance)
        self.now_ns = MONDAY_NS
        self.prices = {token: 100.0 + 10 * token for token in INSTRUMENTS}
        self.orders: dict[str, Order] = {}
        self.fills: list[Fill] = []
        self.rolls: list[tuple[int, DayRolled]] = []
        self.tracker = EquityTracker()
        self.refused: Counter[str] = Counter()
        self.refusals = RefusalsFold()
        self.approved = self.crashes = self.signals = self.trades = self.sequence = 0
        self.times: list[tuple[int, PositionEffect, str]] = []
        self.dark: set[str] = set()
        """Orders of which nothing is heard: the broker may have them, or not."""
        self.day_start: dict[int, Money] = {}
        self.stopped_on = -1
        """The day on which an entry was refused for its loss."""
        self.make_cores()
        self.tick()

    def make_cores(self) -> None:
        """As a start does: from what is written, which is all but the approvals on their way."""
        self.waiting: list[Approved] = []
        self.news: list[object] = []
        past = list(self.orders.values())
        self.engine = TradingEngine(past, (("paper", fill.trade_id) for fill in self.fills))
        self.portfolio = PortfolioManager(
            {"paper": CASH},
            fills=self.fills,
            orders=past,
            rolls=self.rolls,
            trackers={"paper": self.tracker},
            marks={token: Money(repr(price)) for token, price in self.prices.items()},
        )
        self.risk = RiskManager(
            self.caps.rules(),
            {"paper": "MIS"},
            tag_seed="days",
            instruments=INSTRUMENTS.values(),
            past=past,
            sequence=self.sequence,
            books=self.portfolio.books(),
            reserve=reserve,
            known=self.refusals.known(),
        )
        self.snapshot: Snapshot | None = None
        resting = [o for o in past if not o.status.ended and o.order_id not in self.dark]
        self.market = MarketSimulator(SLIPPAGE, flat(COMMISSION), orders=resting, fills=self.fills)

    def run(self) -> None:
        steps = (
            (self.tick, 6),
            (self.signal, 10),
            (self.approval_arrives, 9),
            (self.portfolio_hears, 9),
            (self.snapshot_arrives, 7),
            (self.fill_in_part, 3),
            (self.cancel, 2),
            (self.light, 3),
            (self.crash, 1),
        )
        names, weights = zip(*steps, strict=True)
        for _ in range(STEPS):
            self.chance.choices(names, weights)[0]()
            self.check()

    # What happens

    def tick(self) -> None:
        self.now_ns += self.chance.choice([1, 2, 5, 10, 20, 70, 70 * 60, 24 * 36000]) * SECOND // 10
        day = (self.now_ns + 19_800 * SECOND) // (86_400 * SECOND)
        if day not in self.day_start:  # it begins where the day before ended
            self.day_start[day] = self.valued
        ticks = []
        for token, price in self.prices.items():
            self.prices[token] = max(20.0, round(price * self.chance.gauss(1, 0.01) * 20) / 20)
            moment = to_ist(self.now_ns)
            ticks.append(MarketTick(instrument_token=token, timestamp=moment, last_price=self.prices[token]))
        batch = TickBatch(time_ns=self.now_ns, ticks=tuple(ticks))
        reports = self.market.on_ticks(batch)
        for report in reports:
            self.report(report)
        self.risk.on_ticks(batch)
        self.portfolio_hears(len(self.news))
        self.journal(self.portfolio.on_ticks(batch))
        if self.snapshot is not None:
            self.snapshot_arrives()

    def signal(self) -> None:
        self.signals += 1
        chance, token = self.chance, self.chance.choice(list(INSTRUMENTS))
        kind, side = chance.choice(["MARKET", "MARKET", "LIMIT"]), chance.choice([BUY, SELL])
        price = Money(repr(round(self.prices[token] * chance.choice([0.99, 1.0, 1.01]), 2)))
        signal = TradingSignal(
            strategy_id=chance.choice(STRATEGIES),
            instrument_token=token,
            transaction_type=side,
            quantity=chance.choice([5, 5, chance.randint(1, 30)]),
            position_effect=chance.choice([OPEN, OPEN, CLOSE]),
            order_type=OrderType(kind),
            price=price if kind == "LIMIT" else None,
            last_price=self.prices[token],
            signal_id=f"S{self.signals:06d}",
            brokers=("paper",),
            time_ns=self.now_ns,
        )
        for answer in self.risk.on(signal):
            if isinstance(answer, Refused):
                self.refused[answer.rule] += 1
                self.refusals.on_refused(answer)
                if answer.rule == DailyLoss.code:
                    self.stopped_on = max(self.day_start)
            elif isinstance(answer, Approved):
                self.approved += 1
                self.sequence = answer.order.sequence
                self.times.append((self.now_ns, signal.position_effect, answer.order.order_id))
                self.check_approval(answer.order)
                self.waiting.append(answer)

    def approval_arrives(self) -> None:
        if not self.waiting:
            return
        for output in self.engine.on(self.waiting.pop(0)):
            if not isinstance(output, PlaceOrder):
                self.heard(output)
                continue
            order = output.order
            fate = self.chance.random()
            if fate < 0.1:
                self.tell(order, ReportKind.REJECTED, reason="no margin")
            elif fate < 0.25:
                self.dark.add(order.order_id)
                self.tell(order, ReportKind.NO_ANSWER)
            else:
                for report in self.market.on(output):
                    self.report(report)

    def fill_in_part(self) -> None:
        """A dark order trades, or one that rests does so in part: its rest is then cancelled."""
        open_ = [order for order in self.engine.open_orders() if order.order_id in self.dark]
        if open_:
            order = self.chance.choice(open_)
            self.trade(order, self.chance.randint(1, order.pending_quantity))

    def trade(self, order: Order, quantity: int) -> None:
        self.trades += 1
        price = Money(repr(self.prices[order.instrument.instrument_token]))
        self.tell(
            order,
            ReportKind.FILL,
            trade_id=f"D{self.trades}",
            quantity=quantity,
            price=price,
            charges=flat(COMMISSION)(order, price, quantity, self.now_ns),
        )

    def cancel(self) -> None:
        resting = [o for o in self.engine.open_orders() if o.order_id not in self.dark]
        if resting:
            for report in self.market.on(CancelOrder(self.chance.choice(resting))):
                self.report(report)

    def light(self) -> None:
        """What became of an order in the dark comes out."""
        open_ = [order for order in self.engine.open_orders() if order.order_id in self.dark]
        if not open_:
            return
        order = self.chance.choice(open_)
        ends = [ReportKind.CANCELLED]
        if order.status is OrderStatus.UNKNOWN:
            ends += [ReportKind.ABSENT, ReportKind.REJECTED, ReportKind.ACCEPTED]
        self.tell(order, self.chance.choice(ends))

    def tell(self, order: Order, kind: ReportKind, **fields: object) -> None:
        self.report(Report(order_id=order.order_id, kind=kind, time_ns=self.now_ns, **fields))

    def report(self, report: Report) -> None:
        for output in self.engine.on(report):
            self.heard(output)

    def heard(self, output: object) -> None:
        """Written at once, told to portfolio whenever it may be."""
        order = output.order
        self.orders[order.order_id] = order
        if isinstance(output, OrderFilled):
            self.fills.append(output.fill)
        self.news.append(output)

    def portfolio_hears(self, count: int = 0) -> None:
        for _ in range(min(count or self.chance.randint(1, 4), len(self.news))):
            event = self.news.pop(0)
            if isinstance(event, OrderClosed):
                self.tracker.on_closed(event.order)
            self.journal(self.portfolio.on(event))

    def journal(self, outputs: list[object]) -> None:
        for output in outputs:
            match output:
                case Booked():
                    self.tracker.on_booked(output)
                case Valued():
                    self.tracker.on_valued(output)
                case DayRolled():
                    self.tracker.on_rolled(output)
                    self.rolls.append((len(self.fills), output))
                case Snapshot():
                    self.snapshot = output

    def snapshot_arrives(self) -> None:
        if self.snapshot is not None:
            self.risk.on(self.snapshot)
            self.snapshot = None

    def crash(self) -> None:
        """What portfolio has not heard is in the journal all the same: it is folded at the start."""
        self.crashes += 1
        never = {approved.order.order_id for approved in self.waiting}
        never |= {o.order_id for o in self.orders.values() if o.status is OrderStatus.NOT_FOUND}
        self.times = [entry for entry in self.times if entry[2] not in never]
        self.portfolio_hears(len(self.news))
        self.make_cores()
        self.risk.on_ticks(self.batch_of_now())
        self.portfolio.warm_up(self.batch_of_now())

    def batch_of_now(self) -> TickBatch:
        moment = to_ist(self.now_ns)
        ticks = (
            MarketTick(instrument_token=token, timestamp=moment, last_price=price)
            for token, price in self.prices.items()
        )
        return TickBatch(time_ns=self.now_ns, ticks=tuple(ticks))

    # What is judged, from fills and orders alone

    @property
    def held(self) -> Counter[tuple[str, int]]:
        held: Counter[tuple[str, int]] = Counter()
        for fill in self.fills:
            held[fill.strategy_id, fill.instrument.instrument_token] += fill.signed_quantity
        return held

    def pending(self) -> list[Order]:
        return [*self.engine.open_orders(), *(approved.order for approved in self.waiting)]

    @property
    def valued(self) -> Money:
        """Net of charges since the account was opened, at the last prices."""
        cash = sum((-fill.signed_quantity * fill.price - fill.charges for fill in self.fills), Money(0))
        value = (quantity * Decimal(repr(self.prices[token])) for (_, token), quantity in self.held.items())
        return cash + sum(value, Money(0))

    def worst(self, token: int, side: TransactionType, strategy: str = "") -> int:
        reach: Counter[str] = Counter()
        for (owner, of), quantity in self.held.items():
            if of == token:
                reach[owner] += side.sign * quantity
        for order in self.pending():
            if order.instrument.instrument_token == token and order.transaction_type is side:
                reach[order.strategy_id] += order.pending_quantity
        return max(0, reach[strategy]) if strategy else sum(max(0, units) for units in reach.values())

    def check(self) -> None:
        """What holds at every moment, whoever acts."""
        for token in INSTRUMENTS:
            for side in (BUY, SELL):
                worst = self.worst(token, side)
                require(worst <= self.caps.position, f"position of {token} may reach {worst}")
                for name, cap in self.caps.own_position.items():
                    own = self.worst(token, side, name)
                    require(own <= cap, f"position of {name} in {token} may reach {own}, over {cap}")
        held = {token for (_, token), quantity in self.held.items() if quantity}
        entries = {o.instrument.instrument_token for o in self.pending() if o.position_effect is OPEN}
        require(len(held | entries) <= self.caps.open, f"{held | entries} are open, over {self.caps.open}")

    def check_approval(self, order: Order) -> None:
        """What an approval may not pass at the moment it is given; it is not yet among what waits."""
        last_second = [effect for at, effect, _ in self.times if self.now_ns - at < SECOND]
        require(len(last_second) <= self.caps.rate, f"{len(last_second)} orders in a second")
        self.check_crossing(order)
        if order.position_effect is CLOSE:
            owned = self.held[order.strategy_id, order.instrument.instrument_token]
            require(abs(owned + order.signed_pending) <= abs(owned), f"{order.order_id} turns a position")
            return
        require(len(last_second) <= self.caps.rate - self.caps.exits, "an entry took what is kept for exits")
        require(order.quantity <= self.caps.order, f"an order of {order.quantity}")
        require(order.pending_value <= self.caps.order_value, f"an order of {order.pending_value}")
        token, side = order.instrument.instrument_token, order.transaction_type
        reach = self.worst(token, side) + order.quantity
        own = self.held[order.strategy_id, token] * side.sign
        if own >= 0:
            value = reach * order.reference_price
            require(value <= self.caps.position_value, f"a position of {value}")
        price = {token: Decimal(repr(price)) for token, price in self.prices.items()}
        entries = [o.pending_value for o in [*self.pending(), order] if o.position_effect is OPEN]
        gross = sum((abs(units) * price[token] for (_, token), units in self.held.items()), sum(entries))
        require(gross <= self.caps.gross, f"a gross exposure of {gross}")
        self.check_money(order)

    def check_crossing(self, order: Order) -> None:
        last = Decimal(repr(self.prices[order.instrument.instrument_token]))
        for other in self.pending():
            if other.instrument != order.instrument or other.transaction_type is order.transaction_type:
                continue
            sign = order.transaction_type.sign
            mine, its = (last if one.price is None else one.price for one in (order, other))
            require(sign * mine < sign * its, f"{order.order_id} meets {other.order_id}")

    def check_money(self, order: Order) -> None:
        cash = CASH + sum(
            (-fill.signed_quantity * fill.price - fill.charges for fill in self.fills), Money(0)
        )
        claimed = [
            o.pending_value + reserve(o) for o in [*self.pending(), order] if o.position_effect is OPEN
        ]
        require(cash - sum(claimed) >= -2 * self.owed(), f"{sum(claimed)} claimed of {cash}")
        require(max(self.day_start) != self.stopped_on, "an entry on a day that was over")
        if self.news or self.snapshot is not None:
            return  # a fill that risk has not heard of yet has no result for it
        lost = self.day_start[max(self.day_start)] - self.valued
        require(lost <= self.caps.loss, f"an entry on a day that has lost {lost}")

    def owed(self) -> Money:
        """What is sold short, at no less than it was sold for."""
        short: Counter[tuple[str, int]] = Counter()
        for key, units in self.held.items():
            short[key] = max(0, -units)
        highest = {
            key: max(
                (
                    fill.price
                    for fill in self.fills
                    if (fill.strategy_id, fill.instrument.instrument_token) == key
                ),
                default=Money(0),
            )
            for key in short
        }
        return sum((units * highest[key] for key, units in short.items()), Money(0))


def reserve(order: Order) -> Money:
    """Slippage and charges, as the plan works them out."""
    price = order.reference_price
    if order.price is None and order.transaction_type is BUY:
        price += price * SLIPPAGE / 100
    beside = (price - order.reference_price) * order.pending_quantity
    return beside + flat(COMMISSION)(order, price, order.pending_quantity, order.created_ns)
