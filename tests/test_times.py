"""Times: one moment, two ways to say it, exact to the microsecond; days begin at midnight in India."""

from datetime import UTC, datetime, time, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from alphapanda.times import (
    IST,
    date_of,
    day_of,
    midnight_after,
    number_of,
    start_of,
    to_ist,
    to_ns,
    week_of,
)

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))


@given(moments, offsets)
def test_nanoseconds_are_exact_in_every_zone(moment, zone):
    aware = moment.replace(tzinfo=zone)
    exact = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert to_ns(aware) == exact


@given(moments)
def test_a_time_without_a_zone_is_ist(moment):
    assert to_ns(moment) == to_ns(moment.replace(tzinfo=IST))


@given(st.integers(-(10**18), 7 * 10**18))
def test_there_and_back_keeps_the_microsecond(time_ns):
    moment = to_ist(time_ns)
    assert moment.tzinfo is IST
    assert to_ns(moment) == time_ns // 1000 * 1000


@given(st.integers(-(10**18), 7 * 10**18))
def test_a_day_is_that_of_the_calendar_on_the_wall_in_india(time_ns):
    day = day_of(time_ns)
    assert date_of(day) == to_ist(time_ns).date()
    assert number_of(date_of(day)) == day
    assert to_ist(start_of(day)) == datetime.combine(date_of(day), time.min, IST)
    assert start_of(day) <= time_ns < midnight_after(time_ns) == start_of(day + 1)


@given(st.integers(-10_000, 80_000))
def test_a_week_is_that_of_iso(day):
    same = date_of(day).isocalendar()[:2] == date_of(day + 1).isocalendar()[:2]
    assert week_of(day + 1) - week_of(day) == (0 if same else 1)
