"""Moments in order: counted, and asked whether there are fewer than so many. Orders that left for nowhere."""

from builders import BUY, order
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alphapanda.core.rules.approvals import Approvals, Times

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


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 4))
def test_an_order_in_slices_repeats_until_all_of_them_left_for_nowhere(quantities, gone):
    whole = replace(order(BUY, sum(quantities)), signal_id="S1", created_ns=7)
    other = replace(order(BUY, quantities[0]), signal_id="S0", created_ns=7)
    approvals = Approvals()
    approvals.add(other)
    approvals.add(whole, len(quantities))
    for quantity in quantities[:gone]:
        approvals.remove(replace(whole, quantity=quantity))
    left = len(quantities[gone:])
    assert approvals.between(0, 9) == 1 + left
    assert approvals.like(whole).between(0, 9) == 1 + (left > 0)
    repeated = left > 0 or whole.quantity == other.quantity
    assert approvals.nearest_like(whole, 9) == (7 if repeated else None)
    assert approvals.nearest_like(other, 9) == 7
