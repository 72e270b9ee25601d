"""The kill switch of a running line: the flag first, the file before the answer, one way back."""

import asyncio
import os
import signal
import threading

import pytest
from builders import TEN_NS, order
from builders import signal as wanted
from journals import busy, read
from sessions import laid, plan, rows, run, until
from switching import kill_file, starting, switched, words

from alphapanda.events import Approved, Halt, OrderClosed, OrderStatus, Resume
from alphapanda.live.gate import Gate
from alphapanda.live.switch import KillSwitch
from alphapanda.pipeline import Stage
from alphapanda.store import Store


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alphapanda.db"


def test_it_is_in_the_file_when_it_answers_and_what_rests_is_cancelled(path):
    async def main():
        async with switched(path) as (one, switch):
            one.line.inboxes[Stage.EXECUTION].put_bounded(Approved(order(), wanted()))
            await one.line.quiet.wait()
            said = await switch.on("news", "uid 7")
            assert (said["on"], said["reason"], said["by"]) == (True, "news", "uid 7")
            assert said["since"].endswith("+05:30")
            (halt,) = (event for event in read(path) if isinstance(event, Halt))
            assert (halt.reason, halt.by) == ("news", "uid 7")
            await one.line.quiet.wait()
            (closed,) = (event for event in one.said if isinstance(event, OrderClosed))
            assert closed.order.status is OrderStatus.CANCELLED

    run(main)


def test_the_flag_does_not_wait_for_the_file(path):
    async def main():
        async with switched(path) as (one, switch):
            with busy(path):
                answer = asyncio.create_task(switch.on("news", "uid 7"))
                await until(lambda: one.gate.killed)
                assert not answer.done()
                again = asyncio.create_task(switch.on("again", "uid 8"))
                await asyncio.sleep(0.05)
                assert not again.done()
            for one_answer in (answer, again):
                assert (await one_answer)["reason"] == "news"
            assert [event.reason for event in read(path)] == ["news"]

    run(main)


def test_off_is_the_way_back_and_removes_the_kill_file(path):
    async def main():
        async with switched(path) as (one, switch):
            turns = one.turns(rows([(0, 100.0)] * 3))
            await turns.run()
            kill_file(path).touch()
            await switch.obey_file()
            assert one.gate.killed
            said = await switch.off("checked", "uid 7", turns)
            assert (said["on"], said["reason"]) == (False, "checked")
            assert one.gate.is_open
            assert not kill_file(path).exists()
            halt, resume = (event for event in read(path) if isinstance(event, (Halt, Resume)))
            assert halt.by == "kill file"
            assert resume.reason == "checked"

    run(main)


def test_off_of_what_is_not_on_changes_nothing(path):
    async def main():
        async with switched(path) as (one, switch):
            assert (await switch.off("checked", "uid 7", one.turns([])))["on"] is False
        assert read(path) == []

    run(main)


@pytest.mark.parametrize("moment", ["before its turn", "before its commit"])
def test_a_kill_while_it_is_being_switched_off_wins(path, moment):
    """Otherwise the second operator is told that trading is off, and it is on a moment later."""

    async def main():
        async with switched(path) as (one, switch):
            turns = one.turns([])
            await switch.on("news", "uid 7")
            if moment == "before its turn":
                await turns.lock.acquire()
                off = asyncio.create_task(switch.off("over", "uid 7", turns))
                await asyncio.sleep(0)
                on = asyncio.create_task(switch.on("more news", "uid 8"))
                await asyncio.sleep(0)
                turns.lock.release()
            else:
                with busy(path):
                    off = asyncio.create_task(switch.off("over", "uid 7", turns))
                    await until(lambda: any(isinstance(event, Resume) for event in one.said))
                    on = asyncio.create_task(switch.on("more news", "uid 8"))
                    await asyncio.sleep(0)
            assert (await off)["on"]
            assert (await on)["on"]
            await one.line.quiet.wait()
            assert one.gate.killed
            assert one.gate.reason == "more news"
            assert one.cores.risk.halted
        assert isinstance(read(path)[-1], Halt)

    run(main)


@pytest.mark.parametrize("order", ["off", "off on off", "off off", "off on off on", "off on off on off"])
def test_whatever_overlaps_the_gate_and_the_journal_agree(path, order):
    """The first off waits in its commit when the others come."""

    async def main():
        async with switched(path) as (one, switch):
            turns = one.turns([])
            await switch.on("news", "uid 7")
            asked = []
            with busy(path):
                for number, word in enumerate(order.split()):
                    asking = (
                        switch.on(f"{number}", "on")
                        if word == "on"
                        else switch.off(f"{number}", "off", turns)
                    )
                    asked.append(asyncio.create_task(asking))
                    if number == 0:
                        await until(lambda: any(isinstance(event, Resume) for event in one.said))
                    for _ in range(5):
                        await asyncio.sleep(0)
                assert one.gate.killed
                assert not any(task.done() for task in asked)
            answers = await asyncio.gather(*asked)
            await one.line.quiet.wait()
            assert one.gate.killed is one.cores.risk.halted is (order.split()[-1] == "on")
            assert answers[-1] == switch.state()
            assert (one.gate.reason, one.gate.by) == (str(number), word)
            again = switch.off("again", "uid 7", turns)
            assert (await again)["on"] is False
            return (Resume, "again", "uid 7") if word == "on" else (Resume, str(number), "off")

    assert run(main) == words(path)[-1]


def test_an_off_that_meets_a_kill_and_another_off_leaves_the_last_word_to_the_last(path):
    """A waits in its commit; a kill; B. The journal must not end with A's resume behind the kill's halt."""

    async def main():
        async with switched(path) as (one, switch):
            turns = one.turns([])
            await switch.on("news", "uid 7")
            with busy(path):
                first = asyncio.create_task(switch.off("A", "uid 7", turns))
                await until(lambda: any(isinstance(event, Resume) for event in one.said))
                kill = asyncio.create_task(switch.on("more news", "uid 8"))
                await until(lambda: one.gate.reason == "more news")
                second = asyncio.create_task(switch.off("B", "uid 9", turns))
            assert (await kill)["reason"] == "more news"
            await first
            assert (await second)["on"] is False
            assert one.gate.is_open

    run(main)
    assert words(path) == [
        (Halt, "news", "uid 7"),
        (Resume, "A", "uid 7"),
        (Halt, "more news", "uid 8"),
        (Resume, "B", "uid 9"),
    ]


def test_a_signal_needs_no_reason(path):
    async def main():
        async with switched(path) as (one, switch):
            switch.on_signal()
            assert one.gate.killed
            await until(lambda: words(path))

    run(main)
    assert words(path) == [(Halt, "SIGUSR1", "signal")]


def test_a_journal_that_ends_halted_is_restored(path):
    async def main():
        async with starting(path) as (one, switch, store):
            await switch.restore(store, None)
            assert one.gate.is_open
            await switch.restore(store, Halt("news", "uid 7", TEN_NS))
            assert not one.gate.is_open
            assert switch.state() == {
                "on": True,
                "reason": "news",
                "by": "uid 7",
                "since": "2024-06-03T10:00:00+05:30",
                "leftovers": [],
            }

    run(main)
    assert read(path) == []


def test_each_off_of_the_operator_that_took_effect_is_counted_for_redis(path):
    async def main():
        async with switched(path) as (one, switch):
            turns = one.turns([])
            assert (switch.rearmed, switch.killed) == (0, False)
            await switch.off("nothing was on", "uid 7", turns)
            assert switch.rearmed == 0
            for number in (1, 2):
                await switch.on("news", "uid 7")
                assert (switch.rearmed, switch.killed) == (number - 1, True)
                await switch.off("checked", "uid 7", turns)
                assert (switch.rearmed, switch.killed) == (number, False)

    run(main)


@pytest.mark.parametrize("caller", ["thread", "signal"])
def test_a_flag_from_elsewhere_is_set_at_once_and_written_down_when_the_loop_comes_round(path, caller):
    async def main():
        async with switched(path) as (one, switch):
            if caller == "thread":
                thread = threading.Thread(target=switch.flag, args=("stuck", "watchman"))
                thread.start()
                thread.join()  # and this loop stands still
            else:
                before = signal.signal(signal.SIGUSR1, switch.on_signal)
                try:
                    kill_file(path).write_text("stuck\n--flatten\n")
                    os.kill(os.getpid(), signal.SIGUSR1)
                    assert one.gate.killed, "within the same step of the loop"
                finally:
                    signal.signal(signal.SIGUSR1, before)
                assert switch.flatten
            assert one.gate.killed
            assert words(path) == []
            assert not one.gate.lets(order())
            await until(lambda: words(path))

    run(main)
    ((kind, reason, by),) = words(path)
    assert (kind, reason, by) == (Halt, "stuck", "watchman" if caller == "thread" else "signal")


class Interrupted(Gate):
    """A signal comes in the very moment in which it opens."""

    def rearm(self, *args):
        super().rearm(*args)
        self.strike()


def test_a_signal_that_comes_while_the_gate_opens_wins(path):
    async def main():
        async with (
            Store(path) as store,
            laid(plan(rules=()), store=store) as one,
            asyncio.TaskGroup() as tasks,
        ):
            gate = Interrupted()
            switch = KillSwitch(gate, one.line, kill_file(path))
            gate.strike = switch.on_signal
            keeper = tasks.create_task(switch.run())
            await switch.restore(store, None)
            await switch.on("news", "uid 7")
            assert (await switch.off("over", "uid 7", one.turns([])))["on"]
            await until(lambda: words(path)[-1][0] is Halt)
            assert gate.killed
            keeper.cancel()

    run(main)
    assert words(path)[-1] == (Halt, "SIGUSR1", "signal")


def test_a_kill_between_an_off_and_its_resume_leaves_no_resume_behind_it(path):
    """The off waits in its first commit, for the row that was taken last."""

    async def main():
        async with switched(path) as (one, switch):
            turns = one.turns([])
            await switch.on("news", "uid 7")
            one.line.route(Halt("to wait for", "uid 1", 1))
            with busy(path):
                off = asyncio.create_task(switch.off("over", "uid 7", turns))
                await until(turns.lock.locked)
                on = asyncio.create_task(switch.on("more news", "uid 8"))
                await until(lambda: one.gate.reason == "more news")
            assert (await off)["on"]
            assert (await on)["on"]

    run(main)
    assert all(kind is Halt for kind, *_ in words(path))


def test_flatten_is_kept_over_a_restart_and_ends_with_off(path):
    async def main():
        async with switched(path) as (_, switch):
            await switch.on("news", "uid 7")
            assert not switch.flatten
            assert (await switch.on("more", "uid 8", flatten=True))["reason"] == "news"
        async with switched(path) as (one, switch):
            assert one.gate.killed
            assert switch.flatten
            await switch.off("over", "uid 7", one.turns([]))
            assert not switch.flatten

    run(main)
    halts = [event for event in read(path) if isinstance(event, Halt)]
    assert [(halt.reason, halt.flatten) for halt in halts] == [("news", False), ("news", True)]


class Sweeping:
    """Somebody who sweeps."""

    def hear(self, verdict):
        raise AssertionError(verdict)


def test_who_asks_what_is_left_waits_for_the_sweep_of_this_kill(path):
    async def main():
        async with switched(path) as (_, switch):
            switch.join(Sweeping())
            assert not (await switch.swept())["on"]
            for flatten in (False, True):
                await switch.on("news", "uid 7", flatten=flatten)
                switch.say([], switch.kills - 1)
                waiting = asyncio.create_task(switch.swept())
                await asyncio.sleep(0.01)
                assert not waiting.done()
                switch.say([], switch.kills)
                assert (await waiting)["on"]

    run(main)


def test_who_asks_what_is_left_waits_for_a_start_but_not_for_ever(path, monkeypatch):
    monkeypatch.setattr("alphapanda.live.switch.STARTS_S", 0.05)

    async def main():
        async with switched(path) as (_, switch):
            await switch.on("news", "uid 7")
            with pytest.raises(
                ValueError, match="the daemon is not ready; what rests is cancelled once it is"
            ):
                await switch.swept()
            sweeping = Sweeping()
            switch.join(sweeping)
            waiting = asyncio.create_task(switch.swept())
            await asyncio.sleep(0)
            switch.leave(sweeping)  # a new life begins
            await asyncio.sleep(0)
            switch.join(Sweeping())
            switch.say([], switch.kills)
            assert (await waiting)["leftovers"] == []

    run(main)


def test_an_off_that_finds_the_line_busy_for_too_long_does_not_take_effect_later(path, monkeypatch):
    monkeypatch.setattr("alphapanda.live.switch.REARM_S", 0.05)

    async def main():
        async with switched(path) as (one, switch):
            turns = one.turns([])
            await switch.on("news", "uid 7")
            async with turns.lock:
                with pytest.raises(ValueError, match="the kill switch stays on; try again"):
                    await switch.off("over", "uid 7", turns)
            assert one.gate.killed

    run(main)
    assert words(path) == [(Halt, "news", "uid 7")]


def test_an_off_whose_commit_comes_too_late_is_taken_back(path, monkeypatch):
    """Who asked was told meanwhile that it stays on."""
    monkeypatch.setattr("alphapanda.live.switch.REARM_S", 0.05)

    async def main():
        async with switched(path) as (one, switch):
            turns = one.turns([])
            await switch.on("news", "uid 7", flatten=True)
            with busy(path):
                off = asyncio.create_task(switch.off("over", "uid 7", turns))
                await until(turns.lock.locked)
                await asyncio.sleep(0.1)
            with pytest.raises(ValueError, match="stays on"):
                await off
            assert one.gate.killed
            await until(lambda: words(path)[-1][0] is Halt)
            assert switch.flatten

    run(main)
    assert words(path) == [(Halt, "news", "uid 7"), (Resume, "over", "uid 7"), (Halt, "news", "uid 7")]
