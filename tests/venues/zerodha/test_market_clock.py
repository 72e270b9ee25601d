"""The market's clock: never back, never into another year, and between sightings the speed of time."""

from hypothesis import given
from hypothesis import strategies as st

from alphapanda.times import SECOND_NS
from alphapanda.venues.zerodha.clock import FAR_S, MarketClock

NINE = 1_776_224_700
"""2026-04-15 09:15:00 IST."""
steps = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(0, 90 * SECOND_NS)),
        st.tuples(st.just("saw"), st.integers(NINE - 300, NINE + 900)),
        st.tuples(st.just("saw"), st.sampled_from([0, -1, 0xFFFFFFFF, 1 << 40])),
    ),
    max_size=40,
)


class Hands:
    """A monotonic and a wall clock that go where they are told."""

    def __init__(self, wall_s=NINE):
        self.monotonic_ns = 5 * SECOND_NS
        self.wall_ns = wall_s * SECOND_NS

    def go(self, nanoseconds):
        self.monotonic_ns += nanoseconds
        self.wall_ns += nanoseconds

    def clock(self, *, kite):
        return MarketClock(lambda: self.monotonic_ns, (lambda: self.wall_ns) if kite else None)


@given(steps, st.booleans())
def test_it_never_goes_back_and_runs_at_least_at_the_speed_of_time(taken, kite):
    hands = Hands()
    clock = hands.clock(kite=kite)
    for what, how_much in taken:
        before, started = clock.now_ns(), clock.started
        if what == "pass":
            hands.go(how_much)
            assert clock.now_ns() == before + (how_much if started else 0)
        else:
            clock.saw(how_much)
            assert clock.now_ns() >= before


@given(st.lists(st.integers(NINE, NINE + FAR_S), min_size=1))
def test_it_is_never_behind_what_it_saw(seconds):
    hands = Hands()
    clock = hands.clock(kite=False)
    for second in seconds:
        clock.saw(second)
        assert clock.now_ns() >= second * SECOND_NS
    assert clock.now_ns() == max(seconds) * SECOND_NS


def test_against_an_exchange_on_this_machine_it_starts_at_the_first_timestamp():
    hands = Hands(wall_s=NINE + 86_400 * 200)
    clock = hands.clock(kite=False)
    hands.go(SECOND_NS)
    assert (clock.started, clock.now_ns(), clock.skew_s) == (False, 0, None)
    clock.saw(0)
    assert not clock.started, "0 is no time"
    clock.saw(NINE)
    hands.go(SECOND_NS // 2)
    assert clock.now_ns() == NINE * SECOND_NS + SECOND_NS // 2


def test_against_kite_it_starts_at_the_wall_clock_which_may_then_jump_as_it_likes():
    hands = Hands()
    clock = hands.clock(kite=True)
    hands.wall_ns -= 3_600 * SECOND_NS
    assert clock.now_ns() == NINE * SECOND_NS
    hands.wall_ns += 7_200 * SECOND_NS
    hands.monotonic_ns += SECOND_NS
    assert clock.now_ns() == (NINE + 1) * SECOND_NS


def test_one_time_far_ahead_is_not_believed_and_a_second_one_is():
    hands = Hands()
    clock = hands.clock(kite=True)
    clock.saw(0xFFFFFFFF)
    clock.saw(NINE + 1)
    clock.saw(0xFFFFFFFF)
    assert clock.now_ns() == (NINE + 1) * SECOND_NS, "they did not follow each other"
    clock.saw(NINE + 2)
    clock.saw(NINE + 3_600)
    clock.saw(NINE + 3_601)
    assert clock.now_ns() == (NINE + 3_600) * SECOND_NS, "what both have seen"
    clock.saw(NINE + 3_602)
    assert clock.now_ns() == (NINE + 3_602) * SECOND_NS


def test_a_time_that_is_sure_is_believed_at_once_and_still_never_goes_back():
    hands = Hands()
    clock = hands.clock(kite=False)
    clock.saw(NINE)
    clock.saw(NINE + 15 * 3_600, sure=True)
    assert clock.now_ns() == (NINE + 15 * 3_600) * SECOND_NS
    clock.saw(NINE + 3_600, sure=True)
    assert clock.now_ns() == (NINE + 15 * 3_600) * SECOND_NS


def test_a_time_of_another_year_is_not_believed_however_often_it_is_said():
    """One instrument or one row with a nonsensical time says it again and again."""
    hands = Hands()
    clock = hands.clock(kite=True)
    for _ in range(5):
        clock.saw(0xFFFFFFFF)
        clock.saw(NINE + 2 * 86_400)
    assert clock.now_ns() == NINE * SECOND_NS
    hands.wall_ns += 2 * 86_400 * SECOND_NS  # the machine slept: now both agree
    clock.saw(NINE + 2 * 86_400)
    clock.saw(NINE + 2 * 86_400 + 1)
    assert clock.now_ns() == (NINE + 2 * 86_400) * SECOND_NS


def test_the_skew_is_that_of_the_best_sighting_of_the_last_minute_or_two():
    hands = Hands()
    clock = hands.clock(kite=True)
    clock.saw(NINE - 2)
    clock.saw(NINE - 1)
    clock.saw(NINE - 600)
    assert clock.skew_s == -1.0
    hands.go(60 * SECOND_NS)
    clock.saw(NINE + 30)
    assert clock.skew_s == -1.0
    hands.go(60 * SECOND_NS)
    clock.saw(NINE + 90)
    assert clock.skew_s == -30.0
    hands.go(1_000 * SECOND_NS)
    clock.saw(NINE + 1_125)
    assert clock.skew_s == 5.0
    assert clock.now_ns() == (NINE + 1_125) * SECOND_NS
