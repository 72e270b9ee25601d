"""The store of a running daemon: what `commit` promises, and what happens when it cannot be kept."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import asynccontextmanager, closing

import pytest
from builders import TEN_NS, order
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import CASH, until

from alphapanda.errors import CannotStart, Fatal
from alphapanda.events import AccountOpened, Halt, Money, OrderOpened, RowTaken, Snapshot, Timer
from alphapanda.store import Store, StoreFailed, journal, lock, schema
from alphapanda.store import store as store_module

DEADLINE_S = 20.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alphapanda.db"


def run(main, *args):
    return asyncio.run(main(*args), debug=True)


@asynccontextmanager
async def writing(path):
    """An open store whose writer runs."""
    async with Store(path) as store:
        writer = asyncio.create_task(store.run())
        try:
            yield store
        finally:
            writer.cancel()
            await asyncio.wait([writer])


@asynccontextmanager
async def doomed(path):
    """An open store with its writer, which the test expects to fail."""
    async with Store(path) as store:
        writer = asyncio.create_task(store.run())
        yield store, writer
        assert writer.done()


def read(path):
    """The events in the file, through a connection of our own."""
    with closing(sqlite3.connect(path)) as connection:
        return [event for _, event in journal.read(connection)]


def halt(number=1):
    return Halt(f"reason {number}", "uid 0", TEN_NS + number)


def busy(path):
    """A connection of another program that holds the file for writing."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return closing(other)


def test_what_was_tapped_is_in_the_file_when_commit_returns(path):
    async def main():
        async with writing(path) as store:
            for number in range(5):
                store.tap(halt(number))
                await store.commit()
                assert read(path) == [halt(one) for one in range(number + 1)]

    run(main)


def test_commit_waits_for_a_write_that_is_under_way(path):
    """The event has left the list of what is pending, but it is not durable yet."""

    async def main():
        async with writing(path) as store:
            with busy(path):
                store.tap(halt())
                await until(lambda: store._writing)
                assert not store._pending
                waiting = asyncio.create_task(store.commit())
                await asyncio.sleep(0.05)
                assert not waiting.done()
                assert read(path) == []
            await waiting
            assert read(path) == [halt()]

    run(main)


def test_commit_of_nothing_returns_at_once_and_writes_nothing(path):
    async def main():
        async with writing(path) as store:
            await store.commit()
            assert store.commits == 0

    run(main)


def test_what_nobody_waits_for_is_written_soon(path):
    async def main():
        async with writing(path) as store:
            store.tap(halt())
            await until(lambda: read(path) == [halt()])

    run(main)


def test_many_events_share_one_transaction(path):
    async def main():
        async with writing(path) as store:
            for number in range(100):
                store.tap(halt(number))
            await store.commit()
            assert store.commits == 1
            assert read(path) == [halt(number) for number in range(100)]

    run(main)


def test_many_waiters_share_a_transaction(path):
    async def main():
        async with writing(path) as store:

            async def one(number):
                store.tap(halt(number))
                await store.commit()
                assert halt(number) in read(path)

            await asyncio.gather(*map(one, range(50)))
            assert store.commits == 1

    run(main)


def test_a_waiter_that_gives_up_disturbs_nobody(path):
    async def main():
        async with writing(path) as store:
            with busy(path):
                store.tap(halt())
                first, second = (asyncio.create_task(store.commit()) for _ in range(2))
                await until(lambda: store._writing)
                first.cancel()
                await asyncio.wait([first])
                assert first.cancelled()
            await second
            store.tap(halt(2))
            await store.commit()
            assert read(path) == [halt(), halt(2)]

    run(main)


def test_what_is_no_part_of_the_journal_is_not_kept(path):
    async def main():
        async with writing(path) as store:
            store.tap(Timer(TEN_NS))
            store.tap(Snapshot({}))
            await store.commit()
        assert read(path) == []

    run(main)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("tap"), st.integers(0, 99)),
        st.tuples(st.sampled_from(["mark", "commit", "wait", "yield"]), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=25)
@given(steps)
def test_the_file_holds_what_happened_in_its_order_each_mark_where_its_row_ended(tmp_path_factory, steps):
    """A mark says: what was tapped before it is in the journal before it, and what belongs to the next row is
    not: after a crash that row is walked again, and is told what happened at it."""
    path = tmp_path_factory.mktemp("store") / "alphapanda.db"
    tapped, before = [], {}

    async def main():
        async with writing(path) as store:
            for row, (step, number) in enumerate(steps, 1):
                match step:
                    case "tap":
                        tapped.append(halt(number))
                        store.tap(tapped[-1])
                    case "mark":
                        store.mark("a feed", row, TEN_NS)
                        before[row] = len(tapped)
                    case "commit":
                        await store.commit()
                    case "wait":
                        await asyncio.sleep(0.012)
                    case _:
                        await asyncio.sleep(0)
            await store.commit()

    run(main)
    found = read(path)
    assert [event for event in found if isinstance(event, Halt)] == tapped
    seen = 0
    for event in found:
        if isinstance(event, RowTaken):
            assert before[event.row] == seen
        else:
            seen += 1
    if before:
        assert [event.row for event in found if isinstance(event, RowTaken)][-1] == max(before)


def test_a_mark_is_written_with_the_next_commit_and_only_the_newest(path):
    async def main():
        async with writing(path) as store:
            for row in range(1, 51):
                store.mark("a feed", row, TEN_NS + row)
            store.tap(halt())
            await store.commit()
            assert read(path) == [RowTaken("a feed", 50, TEN_NS + 50), halt()]
            assert store.commits == 1

    run(main)


def test_commit_writes_a_mark_that_nothing_else_came_with(path):
    async def main():
        async with writing(path) as store:
            for row in (1, 2):
                store.mark("a feed", row, TEN_NS)
                await store.commit()
                assert read(path)[-1].row == row

    run(main)


def test_rows_without_events_are_marked_now_and_then_not_each(path):
    async def main():
        async with writing(path) as store:
            started, row = time.monotonic(), 0
            while store.commits < 2:
                row += 1
                store.mark("a feed", row, TEN_NS)
                await asyncio.sleep(0)
                assert time.monotonic() - started < DEADLINE_S
            assert time.monotonic() - started >= 0.9
            assert len(read(path)) == 2

    run(main)


def broken_by(path, wound, *, come=2):
    """Waiters of the commit that failed, those who came during it, and those who come after: all are told."""

    async def main():
        async with doomed(path) as (store, writer):
            await wound(store)
            store.tap(halt())
            store.tap(OrderOpened(order()))
            waiting = [asyncio.create_task(store.commit()) for _ in range(come)]
            await until(lambda: store._writing or writer.done())
            store.tap(halt(2))
            waiting += [asyncio.create_task(store.commit()) for _ in range(come)]
            await asyncio.wait([writer, *waiting], timeout=DEADLINE_S)
            told = [task.exception() for task in (writer, *waiting)]
            assert {type(error) for error in told} == {StoreFailed}
            for _ in range(2):
                store.tap(halt(3))
                with pytest.raises(StoreFailed):
                    await store.commit()
            return str(told[0])

    return run(main)


def in_its_thread(store, sql):
    return store._in_thread(lambda: store._database._conn.executescript(sql))


def test_a_table_that_is_gone_fails_the_store_for_ever(path):
    line = broken_by(path, lambda store: in_its_thread(store, "PRAGMA foreign_keys=OFF; DROP TABLE orders"))
    said = "commit failed, nothing more is sent and trading is halted: no such table: orders"
    assert line == f"store {path}: {said}"
    assert read(path) == []
    assert issubclass(StoreFailed, Fatal)


def test_a_full_disk_fails_the_store_for_ever(path):
    async def fill_up(store):
        await in_its_thread(store, "PRAGMA max_page_count = 1")  # SQLite takes the present size instead
        for _ in range(60):
            store.tap(Halt("x" * 100, "uid 0", TEN_NS))

    assert "full" in broken_by(path, fill_up)
    assert read(path) == []


def test_a_file_held_by_another_program_fails_the_store_for_ever(path):
    held = []

    async def hold(store):
        held.append(busy(path).__enter__())

    assert "locked" in broken_by(path, hold)
    held.pop().close()
    assert read(path) == []


def test_an_event_that_cannot_be_written_fails_the_store_for_ever(path):
    async def poison(store):
        store.tap(OrderOpened(order(quantity=1.5)))

    assert "Expected `int`" in broken_by(path, poison)
    assert read(path) == []


def test_what_was_committed_before_a_failure_is_there_at_the_next_start(path):
    async def first():
        async with doomed(path) as (store, writer):
            store.tap(halt())
            await store.commit()
            store.tap(OrderOpened(order(quantity=1.5)))
            with pytest.raises(StoreFailed):
                await store.commit()
            assert isinstance(writer.exception(), StoreFailed)

    async def second():
        async with writing(path) as store:
            assert store.recovered.halt == halt()
            store.tap(halt(2))
            await store.commit()

    run(first)
    run(second)
    assert read(path) == [halt(), halt(2)]


def test_nobody_waits_for_a_writer_that_was_stopped(path):
    async def main():
        async with Store(path) as store:
            writer = asyncio.create_task(store.run())
            await asyncio.sleep(0)
            store.tap(halt())
            waiting = asyncio.create_task(store.commit())
            await asyncio.sleep(0)
            writer.cancel()
            await asyncio.wait([writer, waiting], timeout=DEADLINE_S)
            assert isinstance(waiting.exception(), StoreFailed)
            with pytest.raises(StoreFailed, match="the writer was stopped"):
                await store.commit()

    run(main)


def test_a_write_under_way_is_whole_when_its_writer_is_stopped_and_the_store_closed(path):
    async def main():
        async with writing(path) as store:
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            store.tap(halt())
            store.tap(halt(2))
            await until(lambda: store._writing)
            other.close()

    run(main)
    assert read(path) == [halt(), halt(2)]


def test_a_closed_store_can_be_opened_again(path):
    async def main():
        for _ in range(3):
            async with Store(path):
                pass

    run(main)


def test_the_store_leaves_the_lock_to_the_daemon(path):
    async def main():
        async with Store(path):
            assert lock.holder(path) is None
            assert not lock.lock_path(path).exists()
        with lock.hold(path):
            async with writing(path) as store:
                store.tap(halt())
                await store.commit()
                assert lock.holder(path) == os.getpid()
            assert lock.holder(path) == os.getpid()

    run(main)
    assert read(path) == [halt()]


def test_a_start_that_fails_can_be_tried_again_and_keeps_no_lock(path):
    path.write_text("no database" * 1000)

    async def main():
        for _ in range(2):
            with pytest.raises(CannotStart, match="not a database"), lock.hold(path):
                async with Store(path):
                    pass
        assert lock.holder(path) is None

    run(main)


def test_the_store_does_not_make_its_folder(tmp_path):
    """Who has the lock has made it; whoever opens a store without a daemon's lock makes nothing."""
    path = tmp_path / "var" / "alphapanda.db"

    async def main():
        with pytest.raises(CannotStart, match=r"cannot be opened: .*; check storage.path"):
            async with Store(path):
                pass
        assert not path.parent.exists()
        with lock.hold(path):
            async with Store(path):
                pass

    run(main)
    assert path.exists()


def test_tags_of_one_store_begin_alike_and_like_those_of_no_other(tmp_path):
    async def seed(path):
        async with Store(path) as store:
            return store.tag_seed

    one, other = tmp_path / "one.db", tmp_path / "other.db"
    first = run(seed, one)
    assert run(seed, one) == first
    assert run(seed, other) != first
    assert len(first) == 10
    assert first.isalnum()
    assert first.isascii()


def test_the_ledger_is_stronger_than_the_settings(path):
    async def opening(cash):
        async with writing(path) as store:
            said = store.open_accounts(cash)
            await store.commit()
            return said

    assert run(opening, {"paper": CASH}) == {"paper": CASH}
    wanted = {"paper": Money(5), "other": Money(7)}
    assert run(opening, wanted) == {"paper": CASH, "other": Money(7)}
    assert run(opening, wanted) == {"paper": CASH, "other": Money(7)}
    assert read(path) == [AccountOpened("paper", CASH), AccountOpened("other", Money(7))]


WRITER = """
import asyncio, sys
from pathlib import Path
from alphapanda.events import RowTaken
from alphapanda.store import Store

async def main():
    async with Store(Path(sys.argv[1])) as store:
        writer = asyncio.create_task(store.run())
        for number in range(1_000_000):
            store.tap(RowTaken("x" * 50, number, number))
            if number % 7 == 0:
                await store.commit()
                print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 20, 150])
def test_a_killed_daemon_leaves_a_prefix_with_all_that_was_acknowledged(path, acknowledged):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            said = [int(child.stdout.readline()) for _ in range(acknowledged)][-1]
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
    found = read(path)
    assert [event.row for event in found] == list(range(len(found)))
    assert len(found) > said
    assert isinstance(found[0], RowTaken)

    async def again():
        async with writing(path) as store:
            assert store.recovered.taken == {"x" * 50: len(found) - 1}
            store.tap(halt())
            await store.commit()

    run(again)
    assert read(path) == [*found, halt()]


def test_an_idle_store_copies_its_log_into_the_file(path, monkeypatch):
    monkeypatch.setattr(store_module, "IDLE_S", 0.01)
    monkeypatch.setattr(store_module, "WORTH_COPYING", 3)
    alone = path.with_name("alone.db")

    async def main():
        async with writing(path) as store:
            for number in range(3):
                store.tap(halt(number))
                await store.commit()
            await until(lambda: not store._not_copied)
            await store.work(lambda _: None)  # the copy is done
            shutil.copyfile(path, alone)
        assert read(alone) == [halt(number) for number in range(3)]

    run(main)


def test_work_that_can_wait_does_not_wait_for_a_lock(path):
    """An order would wait behind it, and then for the lock itself."""

    async def main():
        async with writing(path) as store:
            with busy(path), pytest.raises(sqlite3.OperationalError, match="locked"):
                await store.work(lambda connection: connection.execute("DELETE FROM instruments"))
            found = await store._in_thread(
                lambda: store._connection().execute("PRAGMA busy_timeout").fetchone()[0]
            )
            assert found == schema.BUSY_MS

    run(main)


def test_a_file_that_is_checked_for_long_says_that_it_gets_on(path, monkeypatch):
    monkeypatch.setattr(schema, "CHECKED_STEPS", 1)
    said = []

    async def main():
        async with Store(path, lambda: said.append(1)):
            assert len(said) > 10

    run(main)


def test_a_store_that_takes_no_write_is_refused_at_the_start(path):
    async def main():
        async with Store(path):
            pass

    run(main)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TRIGGER no BEFORE INSERT ON meta BEGIN SELECT raise(ABORT, 'no'); END")
    with pytest.raises(CannotStart, match="cannot be opened: no"):
        run(main)
