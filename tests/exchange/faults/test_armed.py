from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.exchange.faults.armed import Armed
from alphapanda.exchange.faults.fault import Fault, When
from alphapanda.times import DAY_NS, SECOND_NS, start_of

DAY = start_of(20_558)
NOON = DAY + 12 * 3600 * SECOND_NS


def armed(when=None, *, on="orders", number=1, seed=1, added_ns=NOON):
    return Armed(Fault(do="down", on=on, number=number, when=when or When()), seed, added_ns)


def fired(fault, calls, *, now_ns=NOON):
    """Which of so many matching calls it strikes, counted from 1."""
    return [call for call in range(1, calls + 1) if strikes(fault, now_ns)]


def strikes(fault, now_ns):
    if not fault.due(now_ns):
        return False
    fault.strike()
    fault.happened()
    return True


@pytest.mark.parametrize(
    ("when", "struck"),
    [
        (When(), [1, 2, 3, 4, 5, 6, 7]),
        (When(times=2), [1, 2]),
        (When(nth=(3,)), [3]),
        (When(nth=(1, 5)), [1, 5]),
        (When(nth=(1, 5, 6), times=2), [1, 5]),
        (When(every=3), [3, 6]),
        (When(every=3, times=1), [3]),
        (When(p=1.0), [1, 2, 3, 4, 5, 6, 7]),
        (When(p=1.0, times=3), [1, 2, 3]),
    ],
)
def test_a_fault_strikes_the_calls_that_it_counts(when, struck):
    fault = armed(when)
    assert fired(fault, 7) == struck
    assert (fault.matched, fault.fired) == (7, len(struck))


@given(st.floats(0.05, 0.95), st.integers(0, 1000), st.integers(1, 50))
def test_chance_is_the_same_for_the_same_seed_and_number(p, seed, number):
    one, same = (armed(When(p=p), seed=seed, number=number) for _ in range(2))
    assert fired(one, 60) == fired(same, 60)


def test_each_fault_has_a_chance_of_its_own():
    struck = {tuple(fired(armed(When(p=0.5), number=number), 40)) for number in range(20)}
    assert len(struck) == 20


def test_a_probability_is_about_so_often():
    assert 150 < len(fired(armed(When(p=0.1)), 2000)) < 250


@given(st.integers(1, 30), st.integers(1, 10), st.integers(1, 60))
def test_it_never_fires_more_often_than_it_may(every, times, calls):
    fault = armed(When(every=every, times=times))
    assert len(fired(fault, calls)) == min(times, calls // every)
    assert fault.spent == (calls // every >= times)


def test_what_lapses_is_not_counted_and_may_strike_another_call():
    fault = armed(When(times=1))
    assert fault.due(NOON)
    fault.strike()
    assert not fault.due(NOON)
    fault.lapse()
    assert strikes(fault, NOON)
    assert (fault.matched, fault.fired, fault.spent) == (3, 1, True)


def test_calls_outside_the_window_are_not_counted():
    fault = armed(When(at=time(12, 30), until=time(12, 31), nth=(2,)))
    half_past = NOON + 30 * 60 * SECOND_NS
    assert not strikes(fault, half_past - 1)
    assert not strikes(fault, half_past)
    assert strikes(fault, half_past + 1)
    assert not strikes(fault, half_past + 60 * SECOND_NS)
    assert (fault.matched, fault.fired) == (2, 1)


def test_a_window_counts_from_when_the_script_came_in():
    fault = armed(When(after_s=5.0, for_s=1.5))
    assert fault.opens_ns == NOON + 5 * SECOND_NS
    assert fault.closes_ns == NOON + 6 * SECOND_NS + SECOND_NS // 2
    assert armed(When(for_s=2.0)).closes_ns == NOON + 2 * SECOND_NS


def test_from_a_time_that_is_past_means_from_now_on():
    assert armed(When(at=time(9))).due(NOON)


def test_what_happens_by_the_clock_at_a_time_that_is_past_happens_tomorrow():
    assert armed(When(at=time(9)), on="").opens_ns == DAY + DAY_NS + 9 * 3600 * SECOND_NS
    assert armed(When(at=time(12)), on="").opens_ns == NOON


def test_a_row_says_what_was_counted_and_whether_it_can_come_again():
    fault = armed(When(nth=(2,)))
    assert fault.row(NOON)["over"] is False
    fired(fault, 3)
    row = fault.row(NOON)
    assert (row["fault"], row["do"], row["on"], row["nth"]) == (1, "down", "orders", [2])
    assert (row["matched"], row["count"], row["over"]) == (3, 1, True)
    assert row["from"] == "2026-04-15T12:00:00+05:30"
    assert row["until"] is None
    assert armed(When(until=time(12))).row(NOON)["over"] is True
