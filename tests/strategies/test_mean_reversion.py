"""Mean reversion: its z-score against plain statistics, its entries, exits and stop against its own words."""

from random import Random
from statistics import fmean, pstdev

import pytest
from builders import BUY, CLOSE, INFY, OPEN, SELL, tick
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import ValidationError

from strategies.mean_reversion import MeanReversionStrategy, Window

TOKEN = INFY.instrument_token
ENTRY, EXIT, STOP = 1.1093, 0.3217, 1.5391  # no price of these tests is exactly as far as that
LEVEL = [100.0, 101.0] * 3
"""Its average is 100.5 and its deviation 0.5."""


def reverting(**params):
    defaults = {"window": 6, "entry_z": ENTRY, "exit_z": EXIT}
    return MeanReversionStrategy("reverting_1", [TOKEN], ["paper"], defaults | params)


def said(strategy, prices):
    """What each price is answered with: None, or (side, effect)."""
    answers = []
    for price in prices:
        signals = strategy.on_market_data(tick(price))
        answers += [(one.transaction_type, one.position_effect) for one in signals] or [None]
    return answers


def plain_z(prices):
    deviation = pstdev(prices)
    return (prices[-1] - fmean(prices)) / deviation if deviation else 0.0


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 4_000_000).map(lambda paise: paise / 100), max_size=120),
    st.integers(2, 30),
)
def test_the_z_score_is_that_of_plain_statistics(prices, length):
    window = Window(length)
    for count, price in enumerate(prices, 1):
        z = window.z_of(price)
        if count < length:
            assert z is None
        else:
            assert z == pytest.approx(plain_z(prices[count - length : count]), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("length", [50, 10_000])
def test_the_z_score_is_as_exact_after_a_long_walk_far_from_where_it_began(length):
    chance, price, prices = Random(length), 50.0, []
    for _ in range(40_000):
        price = max(0.05, price + chance.choice([-0.05, 0.05, 0.10]))
        prices.append(round(price * 100) / 100)
    # A last stretch as quiet as it gets: one step in 10,000 rupees, where sums of float squares lose it.
    prices += [10_000.0 + 0.05 * (step % 7 == 0) for step in range(length + 5)]
    window = Window(length)
    for price in prices:
        z = window.z_of(price)
    assert z == pytest.approx(plain_z(prices[-length:]), rel=1e-6)


def test_nothing_is_said_before_the_window_is_full():
    assert said(reverting(), [100, 101, 100, 101, 50]) == [None] * 5
    assert said(reverting(), [100, 101, 100, 101, 100, 50])[-1] == (BUY, OPEN)


def test_a_dip_is_bought_once_and_sold_when_it_is_usual_again():
    strategy = reverting()
    assert said(strategy, [*LEVEL, 98, 97.9]) == [None] * 6 + [(BUY, OPEN), None]
    assert strategy.view(TOKEN) == 1
    assert said(strategy, [99.4, 99.5]) == [(SELL, CLOSE), None]
    assert strategy.view(TOKEN) == 0


def test_a_rise_is_sold_short_only_when_that_is_allowed():
    assert said(reverting(), [*LEVEL, 103])[-1] is None
    strategy = reverting(allow_short=True)
    assert said(strategy, [*LEVEL, 103, 103.1])[-2:] == [(SELL, OPEN), None]
    assert said(strategy, [101.5]) == [(BUY, CLOSE)]


def test_a_stop_leaves_and_waits_for_a_return_before_it_enters_again():
    strategy = reverting(window=8, stop_z=1.8)
    assert said(strategy, [*LEVEL, 100, 101, 99.5]) == [None] * 8 + [(BUY, OPEN)]
    assert said(strategy, [90, 89, 88]) == [(SELL, CLOSE), None, None]
    assert plain_z([100, 101, 100, 101, 99.5, 90, 89, 88]) < -ENTRY  # an entry, had it not been stopped
    assert said(strategy, [97, 86]) == [None, (BUY, OPEN)]


def test_a_return_that_is_jumped_over_is_a_return():
    """With exit_z 0 no price need ever be exactly usual."""
    strategy = reverting(exit_z=0, stop_z=STOP)
    said(strategy, LEVEL)
    strategy.on_start({TOKEN: 1}, [])
    assert said(strategy, [50, 49]) == [(SELL, CLOSE), None]
    assert said(strategy, [120, *LEVEL, 99.9])[-1] == (BUY, OPEN)


def test_what_is_beyond_the_stop_already_is_not_entered():
    assert said(reverting(stop_z=STOP), [*LEVEL, 50])[-1] is None


def test_prices_that_do_not_move_are_usual():
    assert said(reverting(), [100.0] * 20) == [None] * 20
    holding = reverting()
    holding.on_start({TOKEN: 1}, [])
    assert said(holding, [100.0] * 6)[-1] == (SELL, CLOSE)


def test_the_reason_has_the_figure():
    strategy = reverting()
    said(strategy, LEVEL)
    (made,) = strategy.on_market_data(tick(98))
    assert made.reason.startswith("-2.0")


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"window": 2}, "window"),
        ({"window": 10_001}, "window"),
        ({"entry_z": 0}, "entry_z"),
        ({"exit_z": -0.1}, "exit_z"),
        ({"exit_z": 1.2}, "exit_z 1.2 must be less than entry_z"),
        ({"entry_z": 2.24}, r"under 2\.24"),
        ({"stop_z": 2.24}, r"under 2\.24"),
        ({"stop_z": 1.0}, r"stop_z 1\.0 must be more than entry_z"),
        ({"stop_z": 0}, "stop_z"),
        ({"quantity": 0}, "quantity"),
        ({"entry_z": float("nan")}, "entry_z"),
        ({"z": 1}, "`z`"),
    ],
)
def test_a_bad_parameter_is_named(params, problem):
    with pytest.raises(ValidationError, match=problem):
        reverting(**params)


def test_a_window_reaches_the_z_that_it_is_said_to_reach_and_no_further():
    assert plain_z([100] * 5 + [50]) == pytest.approx(-(5**0.5))
    assert said(reverting(window=6, entry_z=2.236), [100] * 5 + [50])[-1] == (BUY, OPEN)


def reference(prices, window, allow_short, stop):
    """The first lines of the class, again: entries, exits and stops of orders that all fill."""
    view, stopped, answers = 0, 0, []
    for count in range(1, len(prices) + 1):
        answer = None
        if count >= window:
            z = plain_z(prices[count - window : count])
            against = -z * view
            if view and against <= EXIT:
                answer, view = ("SELL" if view > 0 else "BUY"), 0
            elif view and stop and against >= stop:
                answer, view, stopped = ("SELL" if view > 0 else "BUY"), 0, view
            elif not view and stopped:
                stopped = 0 if -z * stopped <= EXIT else stopped
            elif not view and ENTRY <= abs(z) < (stop or 100) and (z < 0 or allow_short):
                view = 1 if z < 0 else -1
                answer = "BUY" if view > 0 else "SELL"
        answers.append(answer)
    return answers


walks = st.lists(st.sampled_from([90.0, 95.0, 97.5, 99.0, 100.0, 101.0, 103.0, 110.05]), max_size=80)


@settings(deadline=None)
@given(walks, st.integers(5, 9), st.booleans(), st.sampled_from([None, STOP]))
def test_the_answers_are_those_of_the_reference(prices, window, allow_short, stop):
    strategy = reverting(window=window, allow_short=allow_short, stop_z=stop)
    answers = [answer and answer[0].value for answer in said(strategy, prices)]
    assert answers == reference(prices, window, allow_short, stop)
