"""The watchman: what it sees of a loop that is stuck, of clocks that jump, of descriptors that run out."""

import inspect
import time

import anyio
import pytest
from builders import CLOSE, OPEN, order, signal
from hypothesis import given
from hypothesis import strategies as st
from running import eventually

from alphapanda.core.execution import TradingEngine
from alphapanda.events import Approved, OrderStatus
from alphapanda.live import watchman
from alphapanda.live.census import Descriptors
from alphapanda.live.gate import Gate
from alphapanda.live.health import Alarms
from alphapanda.live.line import Line
from alphapanda.live.stages import Execution
from alphapanda.live.switch import KillSwitch
from alphapanda.live.watchman import (
    LONG_S,
    LOOK_S,
    SPARE,
    STACK_S,
    STEADY_S,
    STUCK_S,
    Clocks,
    Now,
    Stall,
    Watchman,
    places,
)
from alphapanda.times import SECOND_NS

ENTRY, EXIT = order(position_effect=OPEN), order(position_effect=CLOSE)


class Desk:
    """A watchman at a gate that is open; its clocks say what a test lets them say."""

    def __init__(self, folder, *, live=True):
        self.gate, self.alarms, self.live = Gate(), Alarms(), live
        self.gate.ready = True
        self.file = folder / "KILL"
        self.switch = KillSwitch(self.gate, Line(lambda _: None), self.file)
        self.at = Now(0, 0, 0)
        self.watchman = Watchman(
            self.gate, self.switch, self.alarms, lambda: self.live, clocks=lambda: self.at
        )

    def pass_by(self, seconds, *, set_by=0.0, slept=0.0):
        """So long later it looks again; the wall clock has been set, or the machine slept, meanwhile."""
        passed, jumped, away = (round(each * SECOND_NS) for each in (seconds, set_by, slept))
        before = self.at
        self.at = Now(
            before.monotonic_ns + passed,
            before.wall_ns + passed + jumped + away,
            before.boot_ns + passed + away,
        )
        self.watchman.look()


# the loop


def stuck(desk, until, deadline_s=30.0):
    """Runs a loop and blocks it until `until()`, as a strategy does that does not come back."""

    async def run():
        with desk.watchman.beating():
            await anyio.sleep(LOOK_S)
            end_s = time.monotonic() + deadline_s
            while not until():
                assert time.monotonic() < end_s, "nothing happened"
            held, beats = dict(desk.gate.entries), desk.watchman.lag.count

            def runs():
                return desk.watchman.lag.count > beats + 1 and not desk.gate.entries

            await anyio.to_thread.run_sync(eventually, runs)
            return held

    return anyio.run(run)


def test_M41_entries_are_held_while_the_loop_is_stuck_and_go_on_by_themselves(tmp_path):  # noqa: N802 - the fault's name
    desk = Desk(tmp_path)
    held = stuck(desk, lambda: not desk.gate.lets(ENTRY))
    assert "has been stuck for" in held["loop"]
    assert desk.gate.lets(ENTRY)
    assert desk.watchman.stalls == 1
    said = desk.watchman.summary()
    assert said["max"] > STUCK_S * 1e6
    assert said["count"] > 1


@pytest.mark.parametrize(("late_s", "looks_again"), [(1.0, False), (LONG_S + 1, True)])
def test_a_loop_and_a_thread_that_slept_together_are_noticed_at_the_first_beat(tmp_path, late_s, looks_again):
    """SIGSTOP stops both: nobody could look meanwhile. After long the books come before the next order."""
    desk, woken = Desk(tmp_path), []
    desk.watchman.woke = lambda: woken.append(late_s)
    desk.watchman._beat(100.0, late_s)
    assert f"stuck for {late_s:.2f} s" in desk.gate.closed(ENTRY).why
    assert desk.gate.lets(EXIT)
    assert bool(woken) is looks_again
    desk.watchman._beat(100.0 + LOOK_S, 0.0)
    assert desk.gate.lets(ENTRY)
    assert desk.watchman.stalls == 1


def test_an_exit_leaves_also_then(tmp_path):
    desk = Desk(tmp_path)
    held = stuck(desk, lambda: "loop" in desk.gate.entries and desk.gate.lets(EXIT))
    assert list(held) == ["loop"]


def test_a_finite_feed_is_not_held_for_its_clock_waits_with_it(tmp_path):
    desk = Desk(tmp_path, live=False)
    began_s = time.monotonic()
    assert stuck(desk, lambda: time.monotonic() - began_s > 2 * STUCK_S + 4 * LOOK_S) == {}
    assert desk.watchman.stalls == 1


def test_the_log_says_where_it_is_stuck_and_none_of_the_values(tmp_path, logged):
    desk = Desk(tmp_path)
    token = "canary-value"

    def said():
        return token and any("stuck for" in line for line in logged)

    stuck(desk, said)
    (line,) = [line for line in logged if "is stuck for" in line]
    assert "test_watchman.py" in line
    assert " stuck" in line
    assert token not in line


def test_the_kill_file_is_obeyed_while_the_loop_is_stuck(tmp_path):
    desk = Desk(tmp_path)
    written = tmp_path / "written"
    written.write_text("enough\n")

    def killed():
        if written.exists():
            written.rename(desk.file)
        return desk.gate.killed

    stuck(desk, killed)
    assert (desk.gate.reason, desk.gate.by) == ("enough", "kill file")
    assert not desk.gate.lets(EXIT)


def test_the_thread_ends_with_the_block(tmp_path):
    desk = Desk(tmp_path)
    stuck(desk, lambda: True)
    desk.file.write_text("late\n")
    assert not desk.gate.killed


@given(st.floats(0, 100), st.floats(0, 100))
def test_a_loop_is_stuck_where_its_beat_is_too_late(beat_s, passed_s):
    late = Stall().stuck_for(beat_s + passed_s, beat_s)
    assert (late is not None) == (beat_s + passed_s - beat_s - LOOK_S > STUCK_S)


def test_where_is_told_once_a_stall():
    stall = Stall()
    assert not stall.tells(10.0 + STACK_S, 10.0)
    told = [stall.tells(10.0 + STACK_S + at, 10.0) for at in (0.1, 0.2, 5.0)]
    assert told == [True, False, False]
    assert stall.tells(30.0 + STACK_S, 20.0)


def test_a_stack_that_has_gone_is_said_to_be_unknown():
    assert places(None) == "a place unknown"
    assert places(inspect.currentframe()).startswith("test_watchman.py:")


# the clocks


@pytest.mark.parametrize("set_by", [3600.0, -3600.0, 86_400.0, -86_400.0, 1.5, -1.5])
def test_M53_a_clock_that_is_set_holds_entries_until_it_has_been_steady_for_a_minute(tmp_path, set_by):  # noqa: N802 - the fault's name
    desk = Desk(tmp_path)
    desk.pass_by(1)
    assert desk.gate.lets(ENTRY)
    desk.pass_by(LOOK_S, set_by=set_by)
    assert "wall clock went" in desk.gate.entries["clock"]
    assert list(desk.alarms.ringing) == ["clock"]
    assert (desk.gate.lets(EXIT), desk.gate.killed) == (True, False)
    desk.pass_by(STEADY_S - 1)
    assert not desk.gate.lets(ENTRY)
    desk.pass_by(2)
    assert desk.gate.lets(ENTRY)
    assert not desk.alarms.ringing


@pytest.mark.parametrize("set_by", [0.0, 0.9, -0.9, 1.0])
def test_a_leap_second_and_what_keeps_the_clock_right_are_no_jump(tmp_path, set_by):
    desk = Desk(tmp_path)
    desk.pass_by(1)
    desk.pass_by(LOOK_S, set_by=set_by)
    assert desk.gate.lets(ENTRY)
    assert not desk.alarms.ringing


def test_a_machine_that_slept_says_so(tmp_path):
    desk = Desk(tmp_path)
    desk.pass_by(1)
    desk.pass_by(LOOK_S, slept=600)
    assert desk.gate.entries["clock"] == "the machine slept for 600.0 s"


def test_a_stop_of_the_process_is_no_jump_of_the_clock(tmp_path):
    desk = Desk(tmp_path)
    desk.pass_by(1)
    desk.pass_by(30)
    assert "clock" not in desk.gate.entries


def test_a_clock_that_jumps_again_is_waited_for_anew(tmp_path):
    desk = Desk(tmp_path)
    desk.pass_by(1)
    for _ in range(2):
        desk.pass_by(STEADY_S - 1, set_by=-3600)
    assert not desk.gate.lets(ENTRY)
    desk.pass_by(STEADY_S)
    assert desk.gate.lets(ENTRY)


def test_a_clock_that_is_set_while_nothing_is_traded_is_only_told(tmp_path):
    desk = Desk(tmp_path, live=False)
    desk.pass_by(1)
    desk.pass_by(LOOK_S, set_by=3600)
    assert (desk.gate.entries, list(desk.alarms.ringing)) == ({}, ["clock"])


@given(st.lists(st.tuples(st.floats(0.001, 100), st.floats(-1, 1)), max_size=30))
def test_time_that_passes_is_no_jump_however_it_drifts(steps):
    clocks, at = Clocks(), Now(0, 0, 0)
    clocks.jump(at)
    for passed_s, drift_s in steps:
        passed, drift = int(passed_s * SECOND_NS), int(drift_s * SECOND_NS)
        at = Now(at.monotonic_ns + passed, at.wall_ns + passed + drift, at.boot_ns + passed)
        assert clocks.jump(at) is None


# the descriptors


def test_M14_with_too_few_descriptors_left_trading_halts_once(tmp_path):  # noqa: N802 - the fault's name
    desk = Desk(tmp_path)
    desk.watchman.look_at_descriptors(Descriptors(40, 64, SPARE))
    assert not desk.gate.killed
    desk.watchman.look_at_descriptors(Descriptors(60, 64, SPARE - 1))
    assert (desk.gate.killed, desk.gate.by) == (True, "supervisor")
    assert f"only {SPARE - 1} of 64" in desk.gate.reason
    assert list(desk.alarms.ringing) == ["descriptors"]
    desk.watchman.look_at_descriptors(Descriptors(20, 64, 44))
    assert not desk.alarms.ringing
    assert desk.gate.killed, "only the operator starts trading again"


def test_it_looks_for_descriptors_by_itself(tmp_path, monkeypatch):
    desk = Desk(tmp_path)
    monkeypatch.setattr("alphapanda.live.watchman.descriptors", lambda: Descriptors(64, 64, 0))

    async def run():
        with desk.watchman.beating():
            await anyio.to_thread.run_sync(lambda: eventually(lambda: desk.gate.killed))

    anyio.run(run)
    assert "only 0 of 64" in desk.gate.reason


@pytest.mark.parametrize("fails", ["loop", "kill file", "clocks", "descriptors"])
def test_what_cannot_be_looked_at_is_said_once_and_counted_and_the_rest_goes_on(
    tmp_path, monkeypatch, logged, fails
):
    desk, broken = Desk(tmp_path), [True]
    owner, name = {
        "loop": (desk.watchman._stall, "stuck_for"),
        "kill file": (desk.switch, "flag_file"),
        "clocks": (desk.watchman, "_clocks"),
        "descriptors": (watchman, "descriptors"),
    }[fails]
    really = getattr(owner, name)

    def look(*words):
        if broken:
            raise RuntimeError("no such thing")
        return really(*words)

    monkeypatch.setattr(owner, name, look)
    monkeypatch.setattr(watchman, "PROBE_S", 0.0)

    async def run():
        with desk.watchman.beating():
            await anyio.to_thread.run_sync(lambda: eventually(lambda: desk.watchman.failed_looks > 2))
            (alarm,) = desk.alarms.summary().values()
            assert alarm["why"] == "cannot be looked at: RuntimeError: no such thing"
            assert desk.watchman.summary()["failed_looks"] > 2
            if fails != "kill file":  # the thread goes on, and sees the rest
                desk.file.write_text("enough\n")
                await anyio.to_thread.run_sync(lambda: eventually(lambda: desk.gate.killed))
            broken.clear()
            await anyio.to_thread.run_sync(lambda: eventually(lambda: not desk.alarms.ringing))

    anyio.run(run)
    said = [line for line in logged if "watchman: " in line]
    assert len(said) == 2  # that it began and that it ended, however often it happened
    assert f"{fails} cannot be looked at" in said[0].replace(":", "")


# what the thread closes while an order is on its way


class Closing(Gate):
    """Closed by a thread between the look at it and the step in which the order would leave."""

    def send(self, order, broker):
        self.hold_entries("loop", "the event loop has been stuck")
        return super().send(order, broker)


class Nowhere:
    name, matches = "paper", False

    def attach(self, report, lets):
        pass

    def place(self, order):
        raise AssertionError(f"{order.order_id} has left")


def test_an_order_that_the_gate_stops_in_the_last_moment_is_withheld_and_not_sent_for_ever():
    line, gate = Line(lambda _: None), Closing()
    gate.ready = True
    core = TradingEngine()

    async def main():
        execution = Execution(core, line, gate, {"paper": Nowhere()}, _committed)
        async with anyio.create_task_group() as group:
            group.start_soon(execution.run)
            await line.carry(Approved(ENTRY, signal()))
            await anyio.to_thread.run_sync(
                eventually, lambda: core.order(ENTRY.order_id).status is OrderStatus.WITHHELD
            )
            group.cancel_scope.cancel()

    anyio.run(main)
    assert core.order(ENTRY.order_id).reason == "the gate was closed in that moment"


async def _committed():
    pass
