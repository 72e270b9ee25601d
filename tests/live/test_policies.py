"""Budgets of tasks, and the whole tree of them: what random failures can and cannot make the daemon do."""

import random
from bisect import bisect_left
from collections import defaultdict

import pytest
from builders import CLOSE, SELL, order
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.live.escalation import Escalation
from alphapanda.live.gate import Gate
from alphapanda.live.policies import CORE, POLICIES, Beyond, Budget, Supervision, Tree
from alphapanda.live.supervisor import Failed, GivenUp, Started

ENTRY, EXIT = order(), order(SELL, position_effect=CLOSE)
TRACES = 100_000
BURST, BURST_S = 5, 600.0
"""StartLimitBurst and StartLimitIntervalSec of the unit."""
LONGEST = 16
"""Failures in a trace."""


def most_within(times: list[float], within_s: float) -> int:
    """The most of `times`, which rise, in any half-open window of `within_s`."""
    return max(
        (at - bisect_left(times, time - within_s + 1e-9) + 1 for at, time in enumerate(times)), default=0
    )


# one budget


def test_a_restart_is_counted_for_as_long_as_the_window_is_and_no_longer():
    budget = Budget(Supervision(restarts=2, within_s=60, pause_s=1))
    assert budget.failed(100) == 1
    assert budget.failed(110) == 2
    assert budget.failed(160) is Beyond.EXIT
    assert budget.failed(161) == 2  # of the first, at 101, nothing is left
    assert budget.lately == 2


def test_without_restarts_the_first_failure_is_the_last():
    assert Budget(Supervision(restarts=0, within_s=60)).failed(1) is Beyond.EXIT


def test_what_may_fail_for_ever_is_never_given_up_and_pauses_ever_longer():
    budget = Budget(Supervision(restarts=None, within_s=600, longest_pause_s=60, beyond=Beyond.NEVER))
    now_s, pauses = 0.0, []
    for _ in range(1000):
        pause = budget.failed(now_s)
        pauses.append(pause)
        now_s += pause
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert set(pauses[12:]) <= {51.2, 60.0}
    assert budget.lately < 20


def test_what_the_operator_looked_at_begins_with_its_whole_budget():
    budget = Budget(Supervision(restarts=1, within_s=60, beyond=Beyond.HOLD))
    budget.failed(1)
    assert budget.failed(2) is Beyond.HOLD
    budget.forgive()
    assert budget.failed(3) == 0.1


@given(st.integers(1, 40), st.floats(0, 1))
def test_a_pause_doubles_up_to_its_cap_less_at_most_half_of_it(times, jitter):
    budget = Budget(Supervision(restarts=None, within_s=600, pause_s=0.1, longest_pause_s=0.5))
    for _ in range(times):
        pause = budget.failed(0.0, jitter)
    longest = min(0.5, 0.1 * 2 ** (times - 1))
    assert longest / 2 <= pause <= longest
    assert pause == pytest.approx(longest * (1 + jitter) / 2)


@given(
    st.integers(0, 6),
    st.integers(1, 100),
    st.integers(0, 40),
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from([0.0, 0.5, 1.0])), max_size=60),
)
def test_a_budget_never_lets_more_restarts_into_a_window_than_it_has(restarts, within_s, pause_s, ran):
    """Each of `ran`: how long it ran until it failed, and the jitter of the pause after it."""
    budget = Budget(Supervision(restarts, within_s, pause_s, longest_pause_s=40))
    now_s, again = 0.0, []
    for lasted_s, jitter in ran:
        now_s += lasted_s
        pause = budget.failed(now_s, jitter)
        if isinstance(pause, Beyond):
            break
        now_s += pause
        again.append(now_s)
    assert most_within(again, within_s) <= restarts


# the tree


class House:
    """A process: its tasks fail as they are told, and what follows is done with its real parts. Of the line
    there is only that cores which failed are gone until they are built anew.
    """

    def __init__(self, store: dict[str, str], now_s: float) -> None:
        self.store = store
        """What is durable: the kill switch."""
        self.tree, self.gate = Tree(POLICIES), Gate()
        self.escalation = Escalation(self.gate, POLICIES, self.halt)
        self.again: dict[str, float] = {}
        """Tasks that pause, and until when."""
        self.stay: dict[str, Beyond] = {}
        self.starts: dict[str, list[float]] = defaultdict(list)
        self.ended = False
        if "halt" in store:
            self.gate.kill(store["halt"], "supervisor", 0)
        for name in POLICIES:
            if name != CORE:
                self.start(name, now_s)
        self.build(now_s)

    def halt(self, why: str, _by: str) -> None:
        self.gate.kill(why, "supervisor", 0)
        self.store["halt"] = why

    def build(self, now_s: float) -> None:
        self.starts[CORE].append(now_s)
        self.gate.ready = True

    def start(self, name: str, now_s: float) -> None:
        self.starts[name].append(now_s)
        self.escalation.told(Started(name))
        if POLICIES[name].says_up:
            self.escalation.up(name)

    def until(self, now_s: float) -> None:
        """Pauses that are over."""
        for name, at_s in sorted(self.again.items(), key=lambda each: each[1]):
            if at_s <= now_s:
                del self.again[name]
                self.build(at_s) if name == CORE else self.start(name, at_s)

    def fail(self, name: str, now_s: float, jitter: float) -> None:
        if name in self.again or name in self.stay:
            return  # it does not run
        pause = self.tree.failed(name, now_s, jitter)
        if name == CORE:
            self.gate.ready = False
        if isinstance(pause, Beyond):
            self.escalation.told(GivenUp(name, "often", pause))
            assert pause is not Beyond.HALT or self.gate.killed, "it gave up and nothing was halted"
            self.ended = pause is Beyond.EXIT
            self.stay[name] = pause
        else:
            self.again[name] = now_s + pause
            if name != CORE:
                self.escalation.told(Failed(name, "once"))

    def by_hand(self, name: str, now_s: float) -> None:
        """`stages restart` of what gave up."""
        if self.stay.pop(name, None) is not None:
            self.tree.budgets[name].forgive()
            self.start(name, now_s)

    def rearm(self) -> None:
        """`kill-switch off`, whether what gave up is there again or not."""
        if self.store.pop("halt", None) is not None:
            self.gate.rearm("looked at", "operator", 0)


def look(house: House) -> None:
    """Is it in the state that its tasks allow?"""
    entry, out = house.gate.lets(ENTRY), house.gate.lets(EXIT)
    down = house.again.keys() | house.stay.keys()
    if house.ended or CORE in down:
        assert not entry, "an entry left without cores, or at the end"
        assert not out, "an exit left without cores, or at the end"
        return
    assert not (entry and any(POLICIES[name].holds for name in down)), f"an entry left without {down}"
    if "halt" in house.store:
        assert not entry, "an entry left while the kill switch was on"
        assert house.gate.killed, "the kill switch is not on"
    else:
        assert out, "an exit was kept back without need"
    for name, beyond in house.stay.items():
        assert beyond is POLICIES[name].beyond
    if not down and "halt" not in house.store:
        assert entry, "all runs and no entry may leave"


NAMES = tuple(str(name) for name in POLICIES)
TELEMETRY = [name for name, policy in POLICIES.items() if policy.beyond is Beyond.NEVER]


def traced(chance: random.Random) -> tuple[dict[str, list[float]], list[float], int]:
    """One random trace: starts by task, starts of the process, and how often the operator started a task.

    Failures come in bursts of one task or of all, with gaps from none to longer than any window. systemd
    starts a process that left anew, as often as its limit allows.
    """
    store: dict[str, str] = {}
    now_s, by_hand = 0.0, 0
    processes, starts = [now_s], defaultdict(list)
    house = House(store, now_s)
    scale = chance.choice((0.01, 1.0, 20.0, 120.0))
    some = NAMES if chance.random() < 0.5 else (chance.choice(NAMES),)
    for _ in range(chance.randrange(1, LONGEST)):
        now_s += chance.random() * scale
        house.until(now_s)
        if chance.random() < 0.05:
            house.rearm()
        elif house.stay and chance.random() < 0.1:
            by_hand += 1
            house.by_hand(next(iter(house.stay)), now_s)
        else:
            house.fail(chance.choice(some), now_s, chance.random())
        look(house)
        if house.ended:
            for name, times in house.starts.items():
                starts[name] += times
            lately = [at_s for at_s in processes if at_s > now_s - BURST_S]
            if len(lately) >= BURST:
                return starts, processes, by_hand
            processes.append(now_s)
            house = House(store, now_s)
            look(house)
    for name, times in house.starts.items():
        starts[name] += times
    return starts, processes, by_hand


def test_no_random_failures_take_the_tree_above_its_budgets_or_leave_it_unsafe():
    """Over the levels the budgets multiply: a task starts once with each process and again within its budget,
    and so at most BURST times (1 + restarts) in its window.
    """
    chance, ended, stopped, halted = random.Random(7), 0, 0, 0
    for _ in range(TRACES):
        starts, processes, by_hand = traced(chance)
        ended += len(processes) > 1
        stopped += len(processes) == BURST
        for name, times in starts.items():
            policy = POLICIES[name]
            if policy.restarts is None or len(times) <= len(processes):
                continue
            limit = len(processes) * (1 + policy.restarts) + by_hand * (1 + policy.restarts)
            within = most_within(sorted(times), policy.within_s)
            assert within <= min(limit, BURST * (1 + policy.restarts) * (1 + by_hand)), (name, times)
        assert most_within(processes, BURST_S) <= BURST
        halted += bool(by_hand)
    assert ended > TRACES / 100  # of a sweep in which nothing happened nothing is learnt
    assert stopped > TRACES / 1000
    assert halted > TRACES / 1000


def test_within_a_process_each_task_keeps_to_its_own_budget_whatever_the_others_do():
    """Also over a line that begins anew: it renews no budget."""
    chance = random.Random(8)
    for _ in range(2_000):
        house, now_s = House({}, 0.0), 0.0
        while not house.ended and now_s < 2_000:
            now_s += chance.random() * chance.choice((0.1, 30.0))
            house.until(now_s)
            house.fail(chance.choice(NAMES), now_s, chance.random())
        for name, times in house.starts.items():
            policy = POLICIES[name]
            if policy.restarts is not None:
                assert most_within(times[1:], policy.within_s) <= policy.restarts


@pytest.mark.parametrize("name", TELEMETRY)
def test_telemetry_that_fails_for_ever_never_keeps_an_order_back(name):
    house, now_s = House({}, 0.0), 0.0
    for _ in range(500):
        now_s += 61.0
        house.until(now_s)
        house.fail(name, now_s, 1.0)
        assert house.gate.lets(ENTRY)
    assert not house.ended


def test_the_intensities_are_those_of_the_design():
    assert {
        str(name): (policy.restarts, policy.within_s, policy.beyond) for name, policy in POLICIES.items()
    } == {
        "control": (5, 60, Beyond.EXIT),
        "store": (0, 60, Beyond.EXIT),
        "feed": (10, 600, Beyond.HOLD),
        "core": (1, 300, Beyond.EXIT),
        "zerodha": (3, 60, Beyond.HALT),
        "token": (None, 600, Beyond.NEVER),
        "pulse": (None, 600, Beyond.NEVER),
        "health": (None, 600, Beyond.NEVER),
        "redis": (None, 600, Beyond.NEVER),
    }
