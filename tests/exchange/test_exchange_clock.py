"""The exchange's own time."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from alphapanda.exchange.clock import MAX, Clock
from alphapanda.times import SECOND_NS

START = 1_776_000_000 * SECOND_NS
WALL = 5 * SECOND_NS


def running(speed=1.0):
    clock = Clock(START, speed=speed)
    assert clock.reaches(WALL) == START
    return clock


def test_it_starts_at_its_start_whenever_it_is_first_looked_at():
    assert Clock(START).reaches(987_654_321) == START


def test_it_runs_at_its_speed():
    clock = running(60.0)
    assert clock.reaches(WALL + SECOND_NS) == START + 60 * SECOND_NS
    assert clock.wall_of(START + 60 * SECOND_NS) == WALL + SECOND_NS
    assert clock.waits(0.5) == 30 * SECOND_NS


def test_nothing_happens_later_than_what_has_happened():
    clock = running()
    clock.moved(START + 10)
    clock.moved(START + 5)
    assert clock.now_ns == START + 10


def test_a_pause_holds_it_and_resume_goes_on_from_there():
    clock = running()
    clock.pause(WALL + SECOND_NS)
    assert clock.paused
    assert clock.reaches(WALL + 100 * SECOND_NS) == START + SECOND_NS
    assert clock.wall_of(START + 2 * SECOND_NS) is None
    assert clock.waits(1.0) == SECOND_NS
    clock.resume(WALL + 100 * SECOND_NS)
    assert clock.reaches(WALL + 101 * SECOND_NS) == START + 2 * SECOND_NS


def test_another_speed_counts_from_now():
    clock = running()
    clock.set_speed(10.0, WALL + SECOND_NS)
    assert clock.reaches(WALL + 2 * SECOND_NS) == START + 11 * SECOND_NS


def test_a_clock_that_slips_goes_on_from_what_has_happened():
    clock = running(60.0)
    clock.moved(START + 10 * SECOND_NS)
    assert clock.slip(WALL + SECOND_NS) == 50 * SECOND_NS
    assert clock.reaches(WALL + SECOND_NS) == START + 10 * SECOND_NS
    assert clock.reaches(WALL + 2 * SECOND_NS) == START + 70 * SECOND_NS


def test_a_moment_that_is_over_does_not_turn_the_wall_clock_back():
    clock = running()
    clock.slip(WALL + 5 * SECOND_NS)
    clock.pause(WALL + SECOND_NS)
    clock.resume(WALL + SECOND_NS)
    assert clock.reaches(WALL + 5 * SECOND_NS) == START


def test_at_the_highest_speed_it_stands_until_it_is_walked():
    clock = running(MAX)
    assert clock.at_max
    assert clock.reaches(WALL + SECOND_NS) == START
    clock.moved(START + 7)
    assert clock.reaches(WALL + SECOND_NS) == START + 7
    assert clock.wall_of(START + 9) is None


def test_a_step_of_a_running_clock_is_where_it_goes_on_from():
    clock = running()
    clock.moved(START + 100 * SECOND_NS)
    clock.set_speed(clock.speed, WALL + SECOND_NS)
    assert clock.reaches(WALL + 2 * SECOND_NS) == START + 101 * SECOND_NS


@given(st.floats(0.01, 10_000.0), st.integers(0, 10**12))
@settings(max_examples=100, deadline=None)
def test_the_wall_time_of_a_moment_is_when_it_is_reached(speed, later):
    clock = running(speed)
    wall = clock.wall_of(START + later)
    assert abs(clock.reaches(wall) - (START + later)) <= speed + 1 + later * 1e-12


class ItNeverRunsBack(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.clock, self.wall, self.seen = running(), WALL, START

    @rule(passed=st.integers(0, 10**10))
    def look(self, passed):
        self.wall += passed
        self.clock.moved(self.clock.reaches(self.wall))

    @rule(passed=st.integers(0, 10**10))
    def slip(self, passed):
        self.wall += passed
        assert self.clock.slip(self.wall) >= 0

    @rule(paused=st.booleans())
    def hold(self, paused):
        (self.clock.pause if paused else self.clock.resume)(self.wall)

    @rule(speed=st.sampled_from([MAX, 0.5, 1.0, 60.0]))
    def change(self, speed):
        self.clock.set_speed(speed, self.wall)

    @rule(step=st.integers(0, 10**10))
    def step(self, step):
        self.clock.moved(self.clock.now_ns + step)
        self.clock.set_speed(self.clock.speed, self.wall)

    @invariant()
    def forward(self):
        assert self.clock.now_ns >= self.seen
        self.seen = self.clock.now_ns
        assert self.clock.reaches(self.wall) >= self.seen


def test_it_never_runs_back_whatever_is_done_to_it():
    run_state_machine_as_test(ItNeverRunsBack, settings=settings(max_examples=50, stateful_step_count=30))
