"""The regular session: weekdays, 09:15 up to but not at 15:30, IST."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.calendar import in_regular_session
from alphapanda.times import IST, to_ns

MONDAY = datetime(2024, 6, 3, tzinfo=IST)


def at(clock, day=MONDAY):
    moment = time.fromisoformat(clock)
    return to_ns(day.replace(hour=moment.hour, minute=moment.minute, second=moment.second)) + (
        moment.microsecond * 1000
    )


@pytest.mark.parametrize(
    ("time_ns", "is_open"),
    [
        (at("09:15:00") - 1, False),
        (at("09:15:00"), True),
        (at("09:15:00") + 1, True),
        (at("12:00:00"), True),
        (at("15:29:59.999"), True),
        (at("15:30:00") - 1, True),
        (at("15:30:00"), False),
        (at("00:00:00"), False),
        (at("23:59:59"), False),
    ],
)
def test_a_weekday_is_open_from_nine_fifteen_up_to_but_not_at_half_past_three(time_ns, is_open):
    assert in_regular_session(time_ns) is is_open


def test_monday_to_friday_are_open_and_the_weekend_is_not():
    noons = [at("12:00:00", MONDAY + timedelta(days=day)) for day in range(7)]
    assert [in_regular_session(noon) for noon in noons] == [True] * 5 + [False] * 2


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)), st.integers(0, 999))
def test_the_answer_is_that_of_datetime_at_any_moment(moment, nanoseconds):
    local = moment.astimezone(IST)
    expected = local.weekday() < 5 and time(9, 15) <= local.time() < time(15, 30)
    assert in_regular_session(to_ns(moment) + nanoseconds) is expected
