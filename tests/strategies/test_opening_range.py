"""Opening range: which ticks make the range, what breaks it, and how the day ends."""

from datetime import UTC, datetime, timedelta
from itertools import groupby

import pytest
from builders import BUY, CLOSE, INFY, OPEN, SELL, fill, order, tick
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import ValidationError

from alphapanda.events import OrderStatus
from alphapanda.times import IST
from strategies.opening_range import OpeningRangeStrategy

TOKEN = INFY.instrument_token
RANGE = [("09:15", 100), ("09:20", 102), ("09:29", 99)]


def opening(**params):
    defaults = {"buffer_percent": 0.0}
    return OpeningRangeStrategy("opening_1", [TOKEN], ["paper"], defaults | params)


def at(clock, day=3):
    hour, minute, *second = map(int, clock.split(":"))
    return datetime(2024, 6, day, hour, minute, *second, tzinfo=IST)


def said(strategy, shown, day=3):
    """What each (clock, price) is answered with: None, or (side, effect)."""
    answers = []
    for clock, price in shown:
        signals = strategy.on_market_data(tick(price, timestamp=at(clock, day)))
        answers += [(one.transaction_type, one.position_effect) for one in signals] or [None]
    return answers


def test_a_break_above_the_range_is_bought_and_the_end_of_the_day_sells_it():
    shown = [*RANGE, ("09:30", 102), ("09:31", 102.05), ("12:00", 105), ("15:09:59", 104), ("15:10", 104)]
    assert said(opening(), shown) == [None] * 4 + [(BUY, OPEN), None, None, (SELL, CLOSE)]


def test_only_the_first_minutes_from_0915_on_make_the_range():
    early = [("09:07", 150), ("09:14:59", 150), *RANGE]
    assert said(opening(), [*early, ("09:30", 101), ("09:31", 102.05)])[-1] == (BUY, OPEN)
    assert said(opening(minutes=5), [("09:15", 100), ("09:20", 101)])[-1] == (BUY, OPEN)


def test_the_clock_is_that_of_the_ticks_in_any_zone():
    strategy = opening()
    for clock, price in [*RANGE, ("09:31", 103)]:
        signals = strategy.on_market_data(tick(price, timestamp=at(clock).astimezone(UTC)))
    assert len(signals) == 1


def test_the_buffer_is_on_top_of_the_range():
    shown = [*RANGE, ("09:31", 103.02), ("09:32", 103.03)]
    assert said(opening(buffer_percent=1.0), shown)[-2:] == [None, (BUY, OPEN)]


@pytest.mark.parametrize(("percent", "holds", "stops"), [(0.0, 99.01, 99.0), (1.0, 100.99, 100.98)])
def test_the_stop_is_the_low_of_the_range_or_a_percentage_under_its_high(percent, holds, stops):
    shown = [*RANGE, ("09:31", 103), ("09:32", holds), ("09:33", stops), ("09:34", 103)]
    answers = said(opening(stop_percent=percent), shown)
    assert answers[3:] == [(BUY, OPEN), None, (SELL, CLOSE), None]


def test_shorts_are_the_mirror_of_it_when_they_are_allowed():
    shown = [*RANGE, ("09:31", 98.95), ("09:32", 101.95), ("09:33", 102)]
    assert said(opening(), shown)[3:] == [None] * 3
    assert said(opening(allow_short=True), shown)[3:] == [(SELL, OPEN), None, (BUY, CLOSE)]
    percent = opening(allow_short=True, stop_percent=1.0)
    assert said(percent, [*RANGE, ("09:31", 98.95), ("09:32", 99.98), ("09:33", 99.99)])[3:] == [
        (SELL, OPEN),
        None,
        (BUY, CLOSE),
    ]


def test_a_day_has_so_many_trades_and_no_more():
    moves = [("10:00", 103), ("10:01", 98), ("10:02", 103), ("10:03", 98), ("10:04", 103)]
    once = [(BUY, OPEN), (SELL, CLOSE)]
    assert said(opening(), RANGE + moves)[3:] == [*once, None, None, None]
    assert said(opening(max_trades=2), RANGE + moves)[3:] == [*once, *once, None]


def test_a_new_day_has_a_new_range_and_new_trades():
    strategy = opening()
    assert said(strategy, [*RANGE, ("09:31", 103), ("09:32", 90)])[3:] == [(BUY, OPEN), (SELL, CLOSE)]
    assert said(strategy, [("09:15", 89), ("09:29", 90), ("09:30", 91)], day=4)[-1] == (BUY, OPEN)


def test_a_tick_of_an_earlier_day_is_ignored():
    strategy = opening()
    said(strategy, RANGE, day=4)
    assert said(strategy, [("09:20", 500), ("15:15", 500)], day=3) == [None, None]
    assert said(strategy, [("09:31", 103)], day=4) == [(BUY, OPEN)]


def test_who_comes_after_the_range_does_not_trade_that_day_and_still_ends_it():
    late = [("09:30", 100), ("10:00", 110), ("11:00", 90)]
    assert said(opening(allow_short=True), late) == [None] * 3
    strategy = opening()
    strategy.on_start({TOKEN: 1}, [])
    assert said(strategy, [*late, ("15:10", 90)]) == [None] * 3 + [(SELL, CLOSE)]


def test_nothing_is_entered_at_the_end_of_the_day():
    assert said(opening(), [*RANGE, ("15:10", 110), ("15:29", 120)])[-2:] == [None, None]


def test_a_bar_widens_the_range_by_all_that_it_reached():
    strategy = opening()
    bar = tick(100.0, timestamp=at("09:15"), bar=True, open=99.0, high=105.0, low=98.0, close=100.0)
    strategy.on_market_data(bar)
    assert said(strategy, [("09:31", 105), ("09:32", 105.05)]) == [None, (BUY, OPEN)]
    days = opening()  # of a tick they are the whole day's: not the range
    days.on_market_data(tick(100.0, timestamp=at("09:15"), high=105.0, low=98.0))
    assert said(days, [("09:31", 100.05)]) == [(BUY, OPEN)]


def test_a_refused_entry_is_no_trade():
    strategy = opening()
    said(strategy, RANGE)
    (made,) = strategy.on_market_data(tick(103, timestamp=at("09:31")))
    strategy.on_refused(made, "a_rule", "why")
    assert said(strategy, [("09:32", 103)]) == [(BUY, OPEN)]


def test_a_refused_exit_is_tried_again_and_gives_no_trade_back():
    strategy = opening()
    said(strategy, [*RANGE, ("09:31", 103)])
    strategy.on_fill(fill(BUY, 1))
    (made,) = strategy.on_market_data(tick(98, timestamp=at("09:32")))
    strategy.on_refused(made, "a_rule", "why")
    assert said(strategy, [("09:33", 98)]) == [(SELL, CLOSE)]
    strategy.on_fill(fill(SELL, 1))
    assert said(strategy, [("09:34", 103)]) == [None]


def test_an_entry_that_the_broker_rejects_is_a_trade():
    strategy = opening()
    said(strategy, [*RANGE, ("09:31", 103)])
    strategy.on_order_update(order(status=OrderStatus.REJECTED))
    assert strategy.view(TOKEN) == 0
    assert said(strategy, [("09:32", 103)]) == [None]


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"minutes": 0}, "minutes"),
        ({"buffer_percent": -1}, "buffer_percent"),
        ({"stop_percent": 100}, "stop_percent"),
        ({"max_trades": 0}, "max_trades"),
        ({"exit_at": "3 pm"}, "exit_at"),
        ({"exit_at": "24:00"}, "exit_at"),
        ({"exit_at": "15:10\n"}, "exit_at"),
        ({"exit_at": "09:30"}, "exit_at 09:30 must be after the range's end"),
        ({"minutes": 355}, "exit_at 15:10 must be after the range's end"),
        ({"exit_at": "15:30"}, "before 15:30"),
        ({"quantity": 0}, "quantity"),
        ({"buffer": 1}, "`buffer`"),
    ],
)
def test_a_bad_parameter_is_named(params, problem):
    with pytest.raises(ValidationError, match=problem):
        opening(**params)


def reference(shown, max_trades, allow_short):
    """The rule a day at a time, over all ticks of the day at once; every order fills."""
    view, answers = 0, []
    for _, group in groupby(shown, key=lambda one: one.timestamp.date()):
        day, trades = list(group), 0
        clocks = [one.timestamp.strftime("%H:%M") for one in day]
        first = [one.last_price for one, clock in zip(day, clocks, strict=True) if "09:15" <= clock < "09:30"]
        for one, clock in zip(day, clocks, strict=True):
            answer, price = None, one.last_price
            if clock < "09:30":
                pass
            elif clock >= "15:10" or (
                first and view and (price <= min(first), 0, price >= max(first))[1 - view]
            ):
                answer, view = (None, "SELL", "BUY")[view], 0
            elif first and not view and trades < max_trades:
                if price > max(first):
                    answer, view, trades = "BUY", 1, trades + 1
                elif allow_short and price < min(first):
                    answer, view, trades = "SELL", -1, trades + 1
            answers.append(answer)
    return answers


steps = st.sampled_from([30, 240, 600, 3600, 18 * 3600])
walks = st.lists(st.tuples(st.sampled_from([97.0, 98.0, 99.0, 100.0, 101.0, 102.0]), steps), max_size=80)


@settings(deadline=None)
@given(walks, st.integers(1, 3), st.booleans())
def test_the_answers_are_those_of_the_reference(walk, max_trades, allow_short):
    now, shown = at("09:10"), []
    for price, step in walk:
        now += timedelta(seconds=step)
        shown.append(tick(price, timestamp=now))
    strategy = opening(max_trades=max_trades, allow_short=allow_short)
    answers = []
    for one in shown:
        answers += [signal.transaction_type.value for signal in strategy.on_market_data(one)] or [None]
    assert answers == reference(shown, max_trades, allow_short)
