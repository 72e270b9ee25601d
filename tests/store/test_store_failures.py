"""A store that can be written no more: all who wait are told, nothing follows, the acknowledged stays."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from builders import TEN_NS, order
from journals import busy, read
from sessions import run, until
from writing import doomed, halt, writing

from alphapanda.errors import CannotStart, Fatal
from alphapanda.events import Halt, OrderOpened, RowTaken
from alphapanda.store import Store, StoreFailed, lock

DEADLINE_S = 20.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alphapanda.db"


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


def test_a_start_that_fails_can_be_tried_again_and_keeps_no_lock(path):
    path.write_text("no database" * 1000)

    async def main():
        for _ in range(2):
            with pytest.raises(CannotStart, match="not a database"), lock.hold(path):
                async with Store(path):
                    pass
        assert lock.holder(path) is None

    run(main)


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


def test_a_store_that_takes_no_write_is_refused_at_the_start(path):
    async def main():
        async with Store(path):
            pass

    run(main)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TRIGGER no BEFORE INSERT ON meta BEGIN SELECT raise(ABORT, 'no'); END")
    with pytest.raises(CannotStart, match="cannot be opened: no"):
        run(main)
