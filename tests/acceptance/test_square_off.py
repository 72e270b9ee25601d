"""Random ends of intraday days: every MIS position is flat before its broker's time, and nothing sells twice.

The cores and the simulated market are the real ones, walked by the backtest's loop; the kill switch comes and
goes between rows. Prices come every second from 15:17 on, with order books that are thinner than the orders.
"""

from datetime import datetime

from builders import INFY, TCS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from alphapanda.backtest.loop import Backtest
from alphapanda.core.charges import flat
from alphapanda.core.margins import FULL
from alphapanda.core.market import RMS, MarketSimulator, SimulatedAccount, SquaringMarket, with_fee
from alphapanda.core.rules import RULES
from alphapanda.core.square_off import Intraday
from alphapanda.core.strategy import Strategy
from alphapanda.events import (
    SQUARE_OFF,
    Approved,
    Booked,
    Depth,
    DepthLevel,
    Halt,
    MarketTick,
    Money,
    OrderAdopted,
    PositionEffect,
    Refused,
    Resume,
    TickBatch,
)
from alphapanda.pipeline import Plan, build_cores
from alphapanda.times import IST, to_ist, to_ns

DAY = datetime(2024, 1, 31, tzinfo=IST)
SECOND = 1_000_000_000
FIRST, DENSE, SQUARED, RMS_FROM, LAST = 15 * 3600, 15 * 3600 + 1020, 54600, 55200, 55440
"""Seconds of the day: 15:00, 15:17, 15:10, 15:20 and 15:24, when the thinnest book has given it all."""
TOKENS = (INFY.instrument_token, TCS.instrument_token)
CASH = Money(1_000_000)

wishes = st.sampled_from([*["buy", "sell", "close", "bid", "ask"] * 3, "raise", *[None] * 9])
moves = st.lists(st.tuples(st.integers(1, 45), st.integers(0, 1), wishes, wishes), min_size=25, max_size=60)
switches = st.lists(st.integers(FIRST, LAST), max_size=3)


class Hours:
    def broker_square_off_ns(self, time_ns, instrument):
        return at(RMS_FROM)

    def closes_ns(self, time_ns, instrument):
        return at(RMS_FROM + 600)


class Wishful(Strategy):
    """Asks for whatever it is told to, at every row whose second it has a wish for."""

    wishes: dict[int, str]

    def on_market_data(self, tick):
        match self.wishes.get(to_ns(tick.timestamp)):
            case "buy":
                return [self.buy(tick, 7)]
            case "sell":
                return [self.sell(tick, 9)]
            case "close":
                whole = PositionEffect.CLOSE
                return [self.sell(tick, 99, whole), self.buy(tick, 99, whole)]
            case "bid":
                return [self.buy(tick, 5, price=90)]
            case "ask":
                return [self.sell(tick, 5, PositionEffect.CLOSE, price=110)]
            case "raise":
                raise ValueError("broken")
        return []


def at(second):
    return to_ns(DAY) + second * SECOND


def wishful(strategy_id, wanted):
    strategy = Wishful(strategy_id, TOKENS, ["paper"])
    strategy.wishes = wanted
    strategy.fresh = lambda: wishful(strategy_id, wanted)
    return strategy


def row_of(number, second, which, size):
    """One price of one instrument, and `size` units on each side of its book; 0 is no book."""
    book = Depth((DepthLevel(99.9, size, 1),), (DepthLevel(100.1, size, 1),)) if size else None
    price = MarketTick(
        instrument_token=TOKENS[which],
        timestamp=to_ist(at(second)),
        last_price=100.0 + which,
        depth=None if which else book,
    )
    return TickBatch(time_ns=at(second), ticks=(price,), row=number)


def day_of(drawn, size):
    """(rows, wishes of two strategies): as drawn, then both instruments at every second."""
    rows, second, wanted = [], FIRST, ({}, {})
    for gap, which, *two in drawn:
        second += gap
        if second >= DENSE:
            break
        rows.append(row_of(len(rows) + 1, second, which, size))
        for mine, wish in zip(wanted, two, strict=True):
            if wish is not None:
                mine[at(second)] = wish
    for dense in range(DENSE, LAST):
        rows += [row_of(len(rows) + number, dense, which, size) for number, which in ((1, 0), (2, 1))]
        for mine in wanted:
            if dense % 30 == 0:
                mine[at(dense)] = "close"  # to the end they also try to get out by themselves
    return rows, wanted


class Day:
    """A day at work, and what is true of it at every event."""

    def __init__(self, wanted, intraday):
        strategies = [wishful(f"wishful_{number}", mine) for number, mine in enumerate(wanted, 1)]
        self.cores = build_cores(
            Plan(
                strategies=strategies,
                rules=tuple(rule() for rule in RULES),
                starting_cash={"paper": CASH},
                products={"paper": "MIS"},
                tag_seed="APTEST2345",
                instruments=(INFY, TCS),
                intraday=intraday,
            )
        )
        account, charges = SimulatedAccount(CASH, FULL), flat(Money("0.1"))
        squares = intraday.closes("paper")
        market = MarketSimulator(Money("0.05"), with_fee(charges) if squares else charges, account=account)
        self.market = SquaringMarket(market, account, intraday, "paper") if squares else market
        self.loop = Backtest(self.cores, {"paper": self.market}, self.tap)
        self.held, self.killed, self.second, self.said = {}, False, 0, []
        self.last_entry = (SQUARED - 300 if intraday.squares_off else RMS_FROM) - 1
        self.loop.start()

    def tap(self, event):
        self.said.append(event)
        if isinstance(event, Approved):
            assert not self.killed, "an order left under the kill switch"
            late = self.second > self.last_entry
            assert not late or event.order.position_effect is PositionEffect.CLOSE, "an entry came too late"
        if isinstance(event, Booked):
            fill, order = event.fill, event.order
            key = fill.strategy_id, fill.instrument.instrument_token
            before = self.held.get(key, 0)
            self.held[key] = after = before + fill.signed_quantity
            if order.position_effect is PositionEffect.CLOSE:
                assert 0 <= after * (1 if before > 0 else -1) < abs(before), "more was closed than was held"

    def tell(self, event):
        for core in (self.cores.strategy, self.cores.risk, self.cores.execution):
            self.loop._queue.extend(core.on(event))
        self.loop._drain()

    def walk(self, rows, flips):
        flips = sorted(flips)
        for row in rows:
            self.second = (row.time_ns - at(0)) // SECOND
            while flips and flips[0] <= self.second:
                flips.pop(0)
                self.killed = not self.killed
                self.tell((Halt if self.killed else Resume)("test", "uid 7", row.time_ns))
            self.loop.turn(row)
            yield row

    def open(self):
        return {key: quantity for key, quantity in self.held.items() if quantity}


def intraday(*brokers, ours=10):
    return Intraday(Hours(), brokers, minutes_before=ours, entries_stop_minutes=5)


QUICK = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],  # add Phase.shrink to look into a failure: it may take minutes
)


@QUICK
@given(drawn=moves, size=st.sampled_from([0, 2, 50]), rms=st.booleans())
def test_a_day_with_a_square_off_is_flat_before_the_brokers_time(drawn, size, rms):
    rows, wanted = day_of(drawn, size)
    day = Day(wanted, intraday(*(["paper"] if rms else [])))
    for row in day.walk(rows, ()):
        if row.time_ns >= at(RMS_FROM):
            break
    assert day.open() == {}
    assert day.market.resting() == []
    assert not [said for said in day.said if isinstance(said, OrderAdopted)], "the broker had to do it"


@QUICK
@given(drawn=moves, size=st.sampled_from([0, 2, 50]), flips=switches, ours=st.sampled_from([0, 10]))
def test_M32_a_broker_that_squares_off_is_never_fought(drawn, size, flips, ours):  # noqa: N802 - the fault's name
    rows, wanted = day_of(drawn, size)
    day = Day(wanted, intraday("paper", ours=ours))
    left = None
    for row in day.walk(rows, flips):
        if left is None and row.time_ns >= at(RMS_FROM):
            left = day.open()
    assert day.open() == {}
    assert day.market.resting() == []
    adopted = [said.order for said in day.said if isinstance(said, OrderAdopted)]
    assert {(one.strategy_id, one.instrument.instrument_token) for one in adopted} == set(left)
    assert len(adopted) == len(left)
    fills = [said for said in day.said if isinstance(said, Booked) and said.order.by == RMS]
    assert sum(said.fill.quantity for said in fills) == sum(abs(quantity) for quantity in left.values())
    extra = sum(
        said.fill.charges - flat(Money("0.1"))(said.order, said.fill.price, said.fill.quantity, 0)
        for said in fills
    )
    assert extra == 59 * len(adopted)


@QUICK
@given(drawn=moves, flips=switches)
def test_under_the_kill_switch_a_square_off_sends_nothing_and_afterwards_it_goes_on(drawn, flips):
    rows, wanted = day_of(drawn, 0)
    day = Day(wanted, intraday())
    for row in day.walk(rows, flips):
        if row.time_ns >= at(RMS_FROM):
            break
    if not day.killed and not [second for second in flips if second > RMS_FROM - 30]:
        assert day.open() == {}
    asked = [said.signal for said in day.said if isinstance(said, Approved | Refused)]
    assert all(signal.time_ns >= at(SQUARED) for signal in asked if signal.by == SQUARE_OFF)
