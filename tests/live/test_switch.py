"""The kill switch of a running line: the flag first, the file before the answer, one way back."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest
from builders import TEN_NS, order, signal
from loguru import logger
from sessions import laid, plan, rows, until

from alphapanda.events import Approved, Halt, OrderClosed, OrderStatus, Resume
from alphapanda.live.switch import KillSwitch
from alphapanda.pipeline import Stage
from alphapanda.store import Store, StoreFailed, journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alphapanda.db"


@pytest.fixture
def logged():
    lines = []
    sink = logger.add(lines.append, format="{message}")
    yield lines
    logger.remove(sink)


@asynccontextmanager
async def switched(path):
    """A switch that is joined to its journal, as it is while a daemon runs."""
    async with starting(path) as (one, switch, store):
        await switch.restore(store, store.recovered.halt)
        yield one, switch


@asynccontextmanager
async def starting(path):
    """One that nobody has joined yet: the store is open, but the switch does not know."""
    async with Store(path) as store, laid(plan(rules=()), store=store) as one:
        yield one, KillSwitch(one.gate, one.line, kill_file(path)), store


def kill_file(path):
    return path.with_name("KILL")


def words(path):
    """What the journal says of the kill switch."""
    return [
        (type(event), event.reason, event.by) for event in read(path) if isinstance(event, (Halt, Resume))
    ]


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
                assert kill_file(path).read_text() == "news\n"

    with pytest.raises(ExceptionGroup) as caught:
        run(main)
    assert caught.group_contains(StoreFailed)


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


def test_a_kill_before_the_store_is_open_sets_the_gate_and_writes_the_kill_file(path):
    async def main():
        async with starting(path) as (one, switch, store):
            said = await switch.on("news", "uid 7")
            assert (said["on"], said["reason"], said["by"]) == (True, "news", "uid 7")
            assert one.gate.killed
            assert one.said == []
            assert kill_file(path).read_text() == "news\n"
            assert (await switch.on("more", "uid 8"))["reason"] == "news"
            assert kill_file(path).read_text() == "news\n"
            assert (await switch.off("over", "uid 7", one.turns([])))["on"] is True
            assert kill_file(path).exists()
            before = one.gate.since_ns
            await switch.restore(store, None)
            assert words(path) == [(Halt, "news", "uid 7")]
            (halt,) = read(path)
            assert halt.time_ns == before
            assert one.gate.killed
            await one.line.quiet.wait()
            assert one.cores.risk.halted
            assert (await switch.off("over", "uid 7", one.turns([])))["on"] is False
            assert not kill_file(path).exists()

    run(main)
    assert words(path) == [(Halt, "news", "uid 7"), (Resume, "over", "uid 7")]


def test_a_kill_before_the_store_is_open_adds_nothing_to_a_journal_that_ends_halted(path):
    async def main():
        async with starting(path) as (_, switch, store):
            await switch.on("more news", "uid 8")
            await switch.restore(store, Halt("news", "uid 7", TEN_NS))
            assert switch.state()["reason"] == "news"

    run(main)
    assert read(path) == []


def test_a_kill_file_found_at_the_start_is_obeyed_and_journaled(path):
    kill_file(path).write_text("the  desk\nis on fire\n")

    async def main():
        async with starting(path) as (one, switch, store):
            assert not one.gate.killed
            await switch.restore(store, None)
            assert one.gate.killed
            assert words(path) == [(Halt, "the desk is on fire", "kill file")]
            await switch.obey_file()

    run(main)
    assert words(path) == [(Halt, "the desk is on fire", "kill file")]


def test_the_folder_of_the_kill_file_is_made(path, tmp_path):
    async def main():
        async with laid(plan(rules=())) as one:
            switch = KillSwitch(one.gate, one.line, tmp_path / "var" / "run" / "KILL")
            await switch.on("news", "uid 7")
            assert (tmp_path / "var" / "run" / "KILL").read_text() == "news\n"

    run(main)


def test_a_kill_file_that_cannot_be_written_is_logged_and_the_failure_of_the_store_is_said(path, logged):
    kill_file(path).mkdir()

    async def main():
        async with starting(path) as (one, switch, store):
            switch._store = store  # joined, without the kill file that is in the way being obeyed
            with closing(sqlite3.connect(path)) as other:
                other.execute("DROP TABLE kill_switch")
            try:
                await switch.on("news", "uid 7")
            finally:
                assert one.gate.killed

    with pytest.raises(ExceptionGroup) as caught:
        run(main)
    assert caught.group_contains(StoreFailed)
    assert not caught.group_contains(OSError)
    (line,) = (line for line in logged if "cannot be written" in line)
    assert str(kill_file(path)) in line


def test_a_kill_before_the_store_is_open_holds_without_its_file(path, logged):
    kill_file(path).mkdir()

    async def main():
        async with starting(path) as (_, switch, store):
            assert (await switch.on("news", "uid 7"))["on"]
            assert [line for line in logged if "cannot be written" in line]
            await switch.restore(store, None)

    run(main)
    assert words(path) == [(Halt, "news", "uid 7")]


def test_off_is_refused_while_the_kill_file_cannot_be_removed(path):
    """The next start would be killed, although the operator was told that trading is on."""

    async def main():
        async with switched(path) as (one, switch):
            await switch.on("news", "uid 7")
            kill_file(path).mkdir()
            with pytest.raises(ValueError, match=f"kill file {kill_file(path)} cannot be removed: "):
                await switch.off("over", "uid 7", one.turns([]))
            assert one.gate.killed
            assert words(path) == [(Halt, "news", "uid 7")]
            await switch.on("still", "uid 8")
            assert words(path) == [(Halt, "news", "uid 7")]
            kill_file(path).rmdir()
            assert (await switch.off("over", "uid 7", one.turns([])))["on"] is False
            assert one.gate.is_open

    run(main)
    assert words(path)[-1] == (Resume, "over", "uid 7")


DIRTY = {
    " news \n\tof\r\nthe  day ": "news of the day",
    "half \udc80 a character": "half ? a character",
    "x" * 500: "x" * 200,
    "पांडा": "पांडा",
}


@pytest.mark.parametrize("reason", DIRTY, ids=["lines", "surrogate", "long", "marathi"])
@pytest.mark.parametrize("door", ["on", "before the store", "file", "signal"])
def test_a_reason_is_one_line_that_every_file_and_journal_can_hold(path, reason, door):
    async def main():
        async with starting(path) as (one, switch, store):
            if door == "before the store":
                await switch.on(reason, "uid 7")
                assert kill_file(path).read_text() == f"{DIRTY[reason]}\n"
            await switch.restore(store, None)
            if door == "on":
                await switch.on(reason, "uid 7")
            elif door in ("file", "signal"):
                kill_file(path).write_bytes(reason.encode(errors="replace"))
                await (switch.obey_file() if door == "file" else switch.on_signal())
            assert one.gate.reason == DIRTY[reason]
            await switch.off(reason, "uid 7", one.turns([]))
            assert one.gate.reason == DIRTY[reason]

    run(main)
    assert [reason for _, reason, _ in words(path)] == [DIRTY[reason]] * 2


def test_a_signal_needs_no_reason(path):
    async def main():
        async with switched(path) as (_, switch):
            await switch.on_signal()

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
