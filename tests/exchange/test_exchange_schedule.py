"""What is to happen at which time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.exchange.schedule import Schedule


def run_all(schedule, until_ns):
    while schedule.run(until_ns):
        pass


@given(st.lists(st.integers(0, 20), max_size=40))
@settings(max_examples=100, deadline=None)
def test_things_happen_in_order_and_those_of_one_moment_as_they_were_set(times):
    schedule, happened = Schedule(), []
    for number, time in enumerate(times):
        schedule.at(time, lambda now, number=number: happened.append((now, number)))
    assert schedule.next_ns == min(times, default=None)
    run_all(schedule, 20)
    assert happened == sorted(zip(times, range(len(times)), strict=True))
    assert schedule.next_ns is None


def test_what_is_not_due_waits():
    schedule, happened = Schedule(), []
    schedule.at(10, happened.append)
    run_all(schedule, 9)
    assert (happened, schedule.next_ns) == ([], 10)


def test_what_happens_may_set_the_next_thing():
    schedule, happened = Schedule(), []

    def again(now):
        happened.append(now)
        schedule.at(now + 5, again)

    schedule.at(0, again)
    run_all(schedule, 12)
    assert happened == [0, 5, 10]
    assert schedule.next_ns == 15
