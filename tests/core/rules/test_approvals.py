"""Moments in order: counted, and asked whether there are fewer than so many."""

from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.rules.approvals import Times

MOMENTS = st.lists(st.integers(0, 30), max_size=12)


def times_of(moments):
    times = Times()
    for moment in moments:
        times.add(moment)
    return times


@given(MOMENTS, st.integers(-1, 31), st.integers(-1, 31))
def test_what_lies_between_two_moments_is_counted(moments, start, end):
    assert times_of(moments).between(start, end) == sum(start < moment < end for moment in moments)


@given(MOMENTS, st.integers(-2, 14), st.integers(-1, 31))
def test_there_are_fewer_than_so_many_just_when_counting_says_so(moments, count, start):
    assert times_of(moments).fewer(count, start) is (sum(start < moment for moment in moments) < count)


@given(MOMENTS, st.integers(-1, 31))
def test_the_nearest_is_as_near_as_any(moments, moment):
    nearest = times_of(moments).nearest(moment)
    away = [abs(each - moment) for each in moments]
    assert (None if nearest is None else abs(nearest - moment)) == (min(away) if away else None)
