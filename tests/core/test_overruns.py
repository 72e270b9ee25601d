"""How long a strategy may think, and what happens to one that takes longer."""

import pytest
from builders import CLOSE, INFY, SELL, TEN_NS, batch, fill, order, signal, tick
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.hosted import QUARANTINED, RUNNING
from alphapanda.core.overruns import LONG_NS, LONGEST_NS, WITHIN_NS, Overruns
from alphapanda.core.runner import StrategyRunner
from alphapanda.core.strategy import Strategy
from alphapanda.events import (
    CancelResting,
    ClosePosition,
    OrderClosed,
    OrderFilled,
    OrderStatus,
    Refused,
    StrategyQuarantined,
    StrategyResumed,
    Timer,
    TradingSignal,
    Verdict,
)

MS = 1_000_000
TOKEN = INFY.instrument_token


class Hands:
    """A stopwatch that goes when it is told to; `kept_ns` is what the machine takes of the next calls."""

    def __init__(self):
        self.at_ns, self.kept_ns = 0, 0

    def now_ns(self):
        return self.at_ns

    begin = now_ns

    def own_ns(self, began_ns, ended_ns):
        return ended_ns - began_ns - self.kept_ns


class Thinker(Strategy):
    """Buys one on every tick, after so many milliseconds in the hook that is slow."""

    hands: Hands
    takes = 0
    where = "on_market_data"

    def think(self, hook):
        if hook == self.where:
            self.hands.at_ns += self.takes * MS

    def on_market_data(self, tick):
        self.think("on_market_data")
        return [self.buy(tick, 1)]

    def on_timer(self, _now):
        self.think("on_timer")
        return []

    def on_fill(self, _fill):
        self.think("on_fill")

    def on_order_update(self, _order):
        self.think("on_order_update")

    def on_refused(self, *_):
        self.think("on_refused")

    def on_start(self, *_):
        self.think("on_start")


def desk(*, live=True, **strategies):
    """A runner with a stopwatch, and the hands of that: name -> milliseconds a call takes."""
    hands = Hands()
    made = []
    for name, takes in strategies.items():
        strategy = Thinker(name, [TOKEN], ["paper"], {})
        strategy.hands, strategy.takes = hands, takes
        made.append(strategy)
    runner = StrategyRunner(made, instruments=[INFY])
    runner.company.overruns = Overruns(hands, live=live)
    return runner, hands


def out(outputs):
    return [each for each in outputs if isinstance(each, StrategyQuarantined)]


def who(outputs):
    return [each.strategy_id for each in outputs if isinstance(each, TradingSignal)]


def test_one_call_over_250_ms_takes_a_strategy_out_and_what_it_says_too_late_is_not_heard():
    runner, _ = desk(before=0, slow=251, after=249)
    outputs = runner.on(batch(tick()))
    assert out(outputs) == [
        StrategyQuarantined("slow", "overrun", "a call took 251 ms, the limit is 250 ms", TEN_NS)
    ]
    assert who(outputs) == ["before", "after"]
    assert (runner.hosted["slow"].state, runner.hosted["slow"].errors) == (QUARANTINED, 1)
    assert who(runner.on(batch(tick()))) == ["before", "after"]


def test_three_calls_over_50_ms_within_a_minute_take_a_strategy_out_of_a_live_feed():
    runner, hands = desk(slow=51, quick=50)
    for at in range(2):
        assert who(runner.on(batch(tick(), at=at))) == ["slow", "quick"]
    hands.at_ns += WITHIN_NS - 300 * MS
    outputs = runner.on(batch(tick()))
    (quarantined,) = out(outputs)
    assert quarantined.why == "3 calls over 50 ms within a minute, the last took 51 ms"
    assert who(outputs) == ["quick"]


def test_long_calls_that_are_further_apart_are_forgotten():
    runner, hands = desk(slow=60)
    for _ in range(10):
        assert who(runner.on(batch(tick()))) == ["slow"]
        hands.at_ns += WITHIN_NS // 2


def test_a_replay_waits_for_a_strategy_that_takes_50_ms_but_not_250():
    runner, _ = desk(live=False, slow=240)
    for _ in range(10):
        assert who(runner.on(batch(tick()))) == ["slow"]
    runner, _ = desk(live=False, slow=260)
    assert out(runner.on(batch(tick())))


def test_what_the_machine_kept_is_not_the_strategys():
    runner, hands = desk(slow=400)
    hands.kept_ns = 360 * MS
    for _ in range(5):
        assert who(runner.on(batch(tick()))) == ["slow"]
    hands.kept_ns = 140 * MS
    assert out(runner.on(batch(tick())))


def test_a_backtest_has_no_limits():
    runner, _ = desk(slow=10_000)
    runner.company.overruns = None
    assert who(runner.on(batch(tick()))) == ["slow"]


OF = {"strategy_id": "slow"}
EVENTS = {
    "on_timer": Timer(TEN_NS),
    "on_fill": OrderFilled(order(quantity=1, status=OrderStatus.FILLED, filled_quantity=1, **OF), fill(**OF)),
    "on_order_update": OrderClosed(order(status=OrderStatus.CANCELLED, **OF)),
    "on_refused": Refused(
        signal=signal(**OF), broker="paper", verdict=Verdict.REFUSED, rule="a_rule", why="why", quantity=1
    ),
}


@pytest.mark.parametrize("hook", EVENTS)
def test_every_call_that_others_wait_for_is_timed(hook):
    runner, _ = desk(slow=251)
    runner.hosted["slow"].strategy.where = hook
    assert [each.rule for each in out(runner.on(EVENTS[hook]))] == ["overrun"]


def test_a_strategy_is_given_the_time_it_needs_to_begin():
    runner, _ = desk(slow=5_000)
    runner.hosted["slow"].strategy.where = "on_start"
    assert runner.start() == []
    assert runner.hosted["slow"].state == RUNNING


def test_its_open_entries_are_cancelled_once_and_its_positions_can_be_closed():
    runner, _ = desk(slow=251)
    resting = order(status=OrderStatus.OPEN, **OF)
    runner.hosted["slow"].follow(resting)
    outputs = runner.on(batch(tick()))
    (quarantined,) = outputs  # which comes back on the line
    assert runner.on(quarantined) == [CancelResting(resting, "slow is quarantined")]
    close = ClosePosition(
        broker="paper",
        strategy_id="slow",
        instrument_token=TOKEN,
        transaction_type=SELL,
        quantity=3,
        by="square-off",
        time_ns=TEN_NS,
        row=9,
    )
    (made,) = runner.on(close)
    assert (made.strategy_id, made.transaction_type, made.position_effect) == ("slow", SELL, CLOSE)


def test_resumed_it_begins_with_a_clean_sheet():
    runner, _ = desk(slow=60)
    runner.hosted["slow"].strategy.fresh = lambda: runner.hosted["slow"].strategy
    for _ in range(3):
        outputs = runner.on(batch(tick()))
    assert out(outputs)
    runner.on(StrategyResumed("slow", "operator", TEN_NS))
    for _ in range(2):
        assert who(runner.on(batch(tick()))) == ["slow"]


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40_000)), max_size=30), st.booleans())
def test_it_is_taken_out_by_the_first_call_that_breaks_a_limit_and_by_no_other(calls, live):
    hands = Hands()
    overruns, long = Overruns(hands, live=live), []
    for takes_ms, pause_ms in calls:
        began_ns, hands.at_ns = hands.at_ns, hands.at_ns + takes_ms * MS
        if live and takes_ms * MS > LONG_NS:
            long.append(hands.at_ns)
        often = len([at_ns for at_ns in long if at_ns >= hands.at_ns - WITHIN_NS]) >= 3
        wanted = takes_ms * MS > LONGEST_NS or (often and takes_ms * MS > LONG_NS)
        looked_at = takes_ms * MS > overruns.look_ns
        assert bool(looked_at and overruns.overran("it", began_ns, hands.at_ns)) is wanted
        if wanted:
            return
        hands.at_ns += pause_ms * MS
