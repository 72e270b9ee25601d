"""Pauses between tries, and how often a silent instrument is asked for."""

from hypothesis import given
from hypothesis import strategies as st

from alphapanda.venues.zerodha.patience import USUAL, Askings, BackOff


def test_pauses_double_from_a_tenth_of_a_second_to_thirty_and_vary():
    for _ in range(20):
        back_off = BackOff(USUAL)
        for number in range(14):
            longest = min(30.0, 0.1 * 2**number)
            assert longest / 2 <= back_off.pause(None) <= longest
    assert len({BackOff(USUAL).pause(None) for _ in range(20)}) > 1


def test_after_a_connection_that_had_ticks_the_next_try_is_soon():
    back_off = BackOff(USUAL)
    for _ in range(50):
        assert back_off.pause(0.0) <= USUAL.hurried_s
    assert back_off.pause(0.0) > 0.1, "but not at once for ever"


def test_a_connection_that_lived_is_forgiven_what_was_before_it():
    back_off = BackOff(USUAL)
    for _ in range(20):
        back_off.pause(None)
    assert back_off.pause(USUAL.settled_s) <= 0.1


def test_one_refusal_after_many_quick_losses_does_not_make_a_long_pause():
    back_off = BackOff(USUAL)
    for _ in range(50):
        back_off.pause(0.0)
    assert back_off.pause(None) <= 0.1
    assert back_off.pause(None) <= 0.2


@given(st.lists(st.tuples(st.sets(st.integers(1, 6)), st.floats(0.1, 20.0)), max_size=60))
def test_a_silent_instrument_is_asked_for_at_once_and_then_ever_later(rounds):
    askings, now_s = Askings(USUAL), 0.0
    last = {}
    for silent, passed_s in rounds:
        now_s += passed_s
        due = askings.due(silent, now_s, 500)
        assert set(due) <= silent
        for token in list(last):
            if token not in silent:
                del last[token]  # it ticks: all is forgotten
        for token in silent:
            asked_s, wait_s = last.get(token, (-1.0, 0.0))
            assert (token in due) == (now_s >= asked_s + wait_s)
            if token in due:
                last[token] = (now_s, min(USUAL.asked_s, max(USUAL.tick_s, 2 * wait_s)))


def test_only_so_many_at_a_time_and_nobody_is_passed_over():
    askings, silent = Askings(USUAL), set(range(1_200))
    asked = [askings.due(silent, 1.0 + number, 500) for number in range(4)]
    assert [len(each) for each in asked] == [500, 500, 200, 0]
    assert set().union(*asked) == silent
