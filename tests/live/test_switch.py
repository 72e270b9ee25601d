"""The kill switch of a running line: the flag first, the file before the answer, one way back."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest
from builders import TEN_NS, order, signal
from sessions import laid, plan, rows, until

from alphapanda.events import Approved, Halt, OrderClosed, OrderStatus, Resume
from alphapanda.live.switch import KillSwitch
from alphapanda.pipeline import Stage
from alphapanda.store import Store, StoreFailed, journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alphapanda.db"


@asynccontextmanager
async def switched(path):
    async with Store(path) as store, laid(plan(rules=()), store=store) as one:
        yield one, KillSwitch(one.gate, one.line, store, path.with_name("KILL"))


def run(main):
    return asyncio.run(main(), debug=True)


def read(path):
    with closing(sqlite3.connect(path)) as connection:
        return [event for _, event in journal.read(connection)]


def busy(path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return closing(other)


def test_it_is_in_the_file_when_it_answers_and_what_rests_is_cancelled(path):
    async def main():
        async with switched(path) as (one, switch):
            one.line.inboxes[Stage.EXECUTION].put_bounded(Approved(order(), signal()))
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


def test_a_commit_that_fails_leaves_the_flag_and_a_kill_file(path):
    async def main():
        async with switched(path) as (one, switch):
            with closing(sqlite3.connect(path)) as other:
                other.execute("DROP TABLE kill_switch")
            try:
                await switch.on("news", "uid 7")
            finally:
                assert one.gate.killed
                assert path.with_name("KILL").read_text() == "news\n"

    with pytest.raises(ExceptionGroup) as caught:
        run(main)
    assert caught.group_contains(StoreFailed)


def test_off_is_the_way_back_and_removes_the_kill_file(path):
    async def main():
        async with switched(path) as (one, switch):
            turns = one.turns(rows([(0, 100.0)] * 3))
            await turns.run()
            path.with_name("KILL").touch()
            await switch.obey_file()
            assert one.gate.killed
            said = await switch.off("checked", "uid 7", turns)
            assert (said["on"], said["reason"]) == (False, "checked")
            assert one.gate.is_open
            assert not path.with_name("KILL").exists()
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


def test_a_journal_that_ends_halted_is_restored(path):
    async def main():
        async with switched(path) as (one, switch):
            switch.restore(None)
            assert one.gate.is_open
            switch.restore(Halt("news", "uid 7", TEN_NS))
            assert not one.gate.is_open
            assert switch.state() == {
                "on": True,
                "reason": "news",
                "by": "uid 7",
                "since": "2024-06-03T10:00:00+05:30",
            }

    run(main)
