"""Times: one moment, two ways to say it, exact to the microsecond."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from alphapanda.times import IST, to_ist, to_ns

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
