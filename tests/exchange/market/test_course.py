"""Courses: a day's minutes lead from its open to its close and touch its extremes."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.exchange.market.course import Course
from alphapanda.exchange.market.following import OptionOn, Proportion


def course(close: int, volatility: int, seed: int, minutes: int) -> Course:
    return Course(
        "NAME", close, volatility, seed=seed, starts=100, minutes=lambda day: minutes if day % 7 else 0
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(20, 10**7),
    st.integers(10, 450),
    st.integers(0, 99),
    st.integers(8, 400),
    st.integers(80, 130),
)
def test_the_minutes_of_a_day_are_the_day(close, volatility, seed, minutes, number):
    walked = course(close, volatility, seed, minutes)
    day = walked.day(number)
    rows = [walked.minute(number, minute) for minute in range(minutes)]
    if number % 7:
        assert rows[0].open == day.open
        assert rows[-1].close == day.close == walked.close(number)
        assert max(row.high for row in rows) == day.high
        assert min(row.low for row in rows) == day.low
        assert all(
            row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high for row in rows
        )
        assert all(before.close == after.open for before, after in pairwise(rows))
    else:
        assert {day.open, day.high, day.low, day.close} == {walked.close(number - 1)}
    assert course(close, volatility, seed, minutes).minute(number, minutes - 1) == rows[-1]


def test_the_days_close_is_given_and_the_past_leads_to_it():
    walked = course(1000, 150, 1, 375)
    assert walked.close(99) == 1000
    closes = [walked.close(day) for day in range(99)]
    assert len(set(closes)) > 30
    assert all(abs(after - before) <= before * 0.05 for before, after in pairwise(closes))


@given(
    st.lists(st.integers(1, 10**7), min_size=2, max_size=2).map(sorted),
    st.integers(1, 500),
    st.integers(1, 500),
    st.booleans(),
    st.integers(0, 60),
)
def test_what_follows_never_turns_back(prices, above, below, put, left):
    lower, higher = prices
    option = OptionOn(strike=5_000_000, put=put, unit=above, tick=below, yearly=400_000, expires=100)
    assert Proportion(above, below).on(1)(lower) <= Proportion(above, below).on(1)(higher)
    values = [option.on(100 - left)(price) for price in prices]
    assert values == sorted(values, reverse=put)
    worth = max(0, (5_000_000 - lower * above) if put else (lower * above - 5_000_000))
    assert values[0] >= worth // below - 1
