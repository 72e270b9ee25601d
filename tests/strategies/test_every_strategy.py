"""What holds of every strategy that comes with the house, whatever the prices and what its signals meet."""

from datetime import datetime, timedelta
from math import inf, isfinite, nan

import pytest
from builders import BUY, CLOSE, INFY, OPEN, TCS, fill, tick
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.runner import StrategyRunner
from alphapanda.events import Resume
from alphapanda.times import IST
from strategies.mean_reversion import MeanReversionStrategy
from strategies.momentum import MomentumStrategy
from strategies.opening_range import OpeningRangeStrategy

TOKEN = INFY.instrument_token
OPENING = datetime(2024, 6, 3, 9, 15, tzinfo=IST)
PRE_OPEN = OPENING - timedelta(minutes=10)
MAKERS = {
    "momentum": (MomentumStrategy, {"lookback_period": 1, "buy_threshold": 1.01, "sell_threshold": 0.99}),
    "mean reversion": (MeanReversionStrategy, {"window": 4, "entry_z": 1.2, "exit_z": 0.3}),
    "with a stop": (MeanReversionStrategy, {"window": 4, "entry_z": 0.8, "exit_z": 0.3, "stop_z": 1.4}),
    "opening range": (OpeningRangeStrategy, {"max_trades": 3, "stop_percent": 1.0}),
}
EVERY = pytest.mark.parametrize("which", MAKERS)
LOTS = 5

prices = st.sampled_from([95.0, 98.5, 99.0, 100.0, 101.0, 102.5, 110.0])
odd_prices = st.floats() | st.sampled_from([nan, inf, -inf, 0.0, -0.0, -1.0, 5e-324, 1.7e308])
seconds = st.sampled_from([1, 60, 300, 1200, 7200, 86_400 - 7200])


def walks(of=prices):
    """Prices, each with the seconds since the one before; days go by."""
    return st.lists(st.tuples(of, seconds), max_size=50)


def ticks(walk):
    now = PRE_OPEN
    for price, step in walk:
        now += timedelta(seconds=step)
        yield tick(price, timestamp=now)


def make(which, allow_short=True):
    kind, params = MAKERS[which]
    both = [TOKEN, TCS.instrument_token]
    return kind("s", both, ["paper"], params | {"quantity": LOTS, "allow_short": allow_short})


def outbox(strategy, shown):
    return [strategy.on_market_data(one) for one in shown]


@EVERY
@settings(deadline=None)
@given(walk=walks(prices | odd_prices), bars=st.booleans(), reach=odd_prices)
def test_it_never_raises_and_always_answers_with_a_list(which, walk, bars, reach):
    strategy = make(which)
    for one in ticks(walk):
        shown = tick(one.last_price, timestamp=one.timestamp, bar=bars, high=reach, low=reach)
        answer = strategy.on_market_data(shown)
        assert type(answer) is list
        assert len(answer) <= 1
        assert not answer or (isfinite(one.last_price) and one.last_price > 0)


@EVERY
@given(walk=walks())
def test_the_same_ticks_give_the_same_signals(which, walk):
    assert outbox(make(which), ticks(walk)) == outbox(make(which), ticks(walk))


@EVERY
@given(walk=walks())
def test_a_price_that_cannot_be_changes_nothing(which, walk):
    strategy, undisturbed = make(which), make(which)
    for one in ticks(walk):
        for odd in (nan, inf, 0.0, -5.0):
            assert strategy.on_market_data(tick(odd, timestamp=one.timestamp)) == []
        assert strategy.on_market_data(one) == undisturbed.on_market_data(one)


@EVERY
@settings(deadline=None)
@given(walk=walks(), refused=st.sets(st.integers(0, 20)), allow_short=st.booleans())
def test_it_opens_only_when_flat_closes_only_what_it_holds_and_never_exceeds_its_quantity(
    which, walk, refused, allow_short
):
    """Every signal fills with the next tick, or is refused at once."""
    strategy, position, resting, made = make(which, allow_short), 0, None, 0
    for one in ticks(walk):
        if resting:
            position += resting.transaction_type.sign * resting.quantity
            strategy.on_fill(fill(resting.transaction_type, resting.quantity))
        assert abs(position) <= LOTS
        assert strategy.view(TOKEN) == (position > 0) - (position < 0)
        resting = None
        for signal in strategy.on_market_data(one):
            side = signal.transaction_type
            assert signal.position_effect is (CLOSE if position else OPEN)
            assert not position or side.sign == -(position > 0) + (position < 0)
            assert position or allow_short or side is BUY
            made += 1
            if made in refused:
                strategy.on_refused(signal, "a_rule", "why")
                assert strategy.view(TOKEN) == (position > 0) - (position < 0)
            else:
                resting = signal


@EVERY
@given(walk=walks(), other=st.lists(prices, min_size=50, max_size=50))
def test_instruments_do_not_look_at_each_other(which, walk, other):
    alone, beside = make(which), make(which)
    for one, price in zip(ticks(walk), other, strict=False):
        beside.on_market_data(tick(price, TCS.instrument_token, timestamp=one.timestamp))
        assert alone.on_market_data(one) == beside.on_market_data(one)


@EVERY
def test_after_a_kill_switch_it_knows_what_it_holds_and_no_price_of_before(which):
    runner = StrategyRunner([make(which)], positions={"s": {TOKEN: LOTS}})
    outbox(runner.hosted["s"].strategy, ticks([(100.0, 300)] * 6))
    runner.on(Resume("test", "operator", 1))
    fresh = runner.hosted["s"].strategy
    assert fresh.view(TOKEN) == 1
    assert outbox(fresh, ticks([(50.0, 3600)])) == [[]]
    assert fresh.view(TOKEN) == 1
