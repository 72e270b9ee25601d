"""What a verdict costs: RiskManager asked alone, with the default rules and with every rule on.

20 instruments are held, each has an open order. Before each verdict every price moves, and every signal is
approved, so every rule is asked. Snapshots come as the cases say: one before each verdict is what a strategy
meets that trades at every tick, and the worst there is, since nothing worked out of the book can be used
again; one in ten leaves up to ten approvals on their way. Only `RiskManager.on(signal)` is timed.
"""

import gc
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import perf_counter_ns

from msgspec.structs import replace

from alphapanda.core.risk import RiskManager
from alphapanda.core.rules import (
    RULES,
    AllowedInstruments,
    AllowedProducts,
    DailyLoss,
    Drawdown,
    FreezeQuantity,
    FrozenPrice,
    LossesInARow,
    MaximumGrossExposure,
    MaximumPositionValue,
    OrdersPerDay,
    PriceJump,
    RefusedInARow,
    RepeatedOrders,
    Rule,
    SelfMatch,
    WeeklyLoss,
    WideSpread,
)
from alphapanda.events import (
    Approved,
    Book,
    Depth,
    DepthLevel,
    Instrument,
    MarketTick,
    Money,
    Order,
    OrderStatus,
    OrderType,
    Performance,
    PositionEffect,
    Snapshot,
    TickBatch,
    TradingSignal,
    TransactionType,
)
from alphapanda.times import IST, SECOND_NS, to_ns

HELD = 20
OPENS = datetime(2026, 4, 1, 9, 15, tzinfo=IST)
INSTRUMENTS = {token: Instrument(token, "NSE", f"S{token}") for token in range(1, HELD + 1)}
STRATEGIES = ("one", "two", "three")
HUGE = Money(10**12)
CASES = {"a new book before each": 1, "a new book before each tenth": 10}
"""Name -> verdicts for each snapshot."""

EXTRA: tuple[Rule, ...] = (
    FreezeQuantity(freeze_quantity=True, slice_orders=True),
    MaximumPositionValue(HUGE),
    MaximumGrossExposure(HUGE),
    DailyLoss(HUGE),
    WeeklyLoss(HUGE),
    Drawdown(Money(99)),
    LossesInARow(1000),
    WideSpread(Money(50)),
    PriceJump(Money(50)),
    FrozenPrice(Money(10**6)),
    RepeatedOrders(10**6),
    RefusedInARow(10**6),
    SelfMatch(prevent_self_match=True),
    AllowedInstruments(("NSE:*",)),
    AllowedProducts(("MIS",)),
    OrdersPerDay(10**9),
)
"""What is off by default, too wide to refuse anything; and no end to the orders of the day."""


def risk(verdicts: int) -> None:
    without = [kind for kind in RULES if kind is not OrdersPerDay]
    default = tuple(rule for kind in without if not (rule := kind()).is_off)
    every = tuple(rule for kind in RULES if (rule := _widest(kind)) is not None)
    print(f"{'a verdict, in µs':44} {'rules':>6} {'p50':>8} {'p99':>8} {'max':>8}")
    for name, rules in (("default rules", default), ("every rule on", every)):
        for case, per_book in CASES.items():
            costs = sorted(costs_of(rules, verdicts, per_book))
            middle, high = costs[len(costs) // 2], costs[len(costs) * 99 // 100]
            what = f"{name}, {case}"
            print(f"{what:44} {len(rules):>6} {middle:>8.1f} {high:>8.1f} {costs[-1]:>8.1f}")


def _widest(kind: type[Rule]) -> Rule:
    return next((rule for rule in EXTRA if type(rule) is kind), kind())


def costs_of(rules: Sequence[Rule], verdicts: int, per_book: int = 1) -> list[float]:
    chance = random.Random(7)
    manager = RiskManager(rules, {"paper": "MIS"}, tag_seed="BENCH", instruments=INSTRUMENTS.values())
    resting = {order.order_id: order for order in map(_open_order, INSTRUMENTS)}
    costs = []
    gc.freeze()
    for number in range(verdicts):
        time_ns = to_ns(OPENS) + number * SECOND_NS
        manager.on(_frame(time_ns, chance))
        if number % per_book == 0:
            manager.on(Snapshot({"paper": _book(number, resting)}))
        signal = _signal(number, time_ns, chance)
        started = perf_counter_ns()
        answers = manager.on(signal)
        costs.append((perf_counter_ns() - started) / 1000)
        if not isinstance(answers[0], Approved):
            raise SystemExit(f"bench: {answers[0]}")
    return costs


def _frame(time_ns: int, chance: random.Random) -> TickBatch:
    moment = OPENS + timedelta(microseconds=(time_ns - to_ns(OPENS)) // 1000)
    ticks = []
    for token in INSTRUMENTS:
        price = round(1000 + 10 * token + chance.randrange(40) * 0.05, 2)
        depth = Depth((DepthLevel(price - 0.05, 10, 1),), (DepthLevel(price + 0.05, 10, 1),))
        ticks.append(
            MarketTick(instrument_token=token, timestamp=moment, last_price=price, volume=1, depth=depth)
        )
    return TickBatch(time_ns=time_ns, ticks=tuple(ticks))


def _book(accounted: int, resting: dict[str, Order]) -> Book:
    held = {(STRATEGIES[token % 3], token): 10 * (-1) ** token for token in INSTRUMENTS}
    performance = Performance(booked=Money("-100.25"), top=Money(50), losses_in_a_row=2)
    return Book(
        accounted=accounted,
        free_cash=Money(10**9),
        positions=held,
        orders=dict(resting),
        costs={key: quantity * Money("1000.05") for key, quantity in held.items()},
        instruments=INSTRUMENTS,
        performance=dict.fromkeys(("", *STRATEGIES), performance),
        starting_cash=Money(10**9),
    )


def _open_order(token: int) -> Order:
    return replace(
        Order(
            order_id=f"R{token}",
            tag=f"R{token}",
            sequence=0,
            signal_id=f"R{token}",
            strategy_id=STRATEGIES[token % 3],
            broker="paper",
            instrument=INSTRUMENTS[token],
            transaction_type=TransactionType.SELL,
            quantity=10,
            position_effect=PositionEffect.OPEN,
            order_type=OrderType.LIMIT,
            product="MIS",
            reference_price=Money(2000),
            created_ns=0,
            updated_ns=0,
            price=Money(2000),
        ),
        status=OrderStatus.OPEN,
    )


def _signal(number: int, time_ns: int, chance: random.Random) -> TradingSignal:
    token = 1 + number % HELD
    return TradingSignal(
        strategy_id=STRATEGIES[number % 3],
        instrument_token=token,
        transaction_type=TransactionType.BUY,
        quantity=1 + chance.randrange(100),
        last_price=1000.0 + 10 * token,
        signal_id=f"S{number:06d}",
        brokers=("paper",),
        time_ns=time_ns,
    )
