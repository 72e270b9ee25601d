"""The store of a running daemon: what `commit` promises, and what is in the file when it returns."""

import asyncio
import os
import shutil
import sqlite3
import time

import pytest
from builders import TEN_NS
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import busy, read
from sessions import CASH, run, until
from writing import halt, writing

from alphapanda.errors import CannotStart
from alphapanda.events import AccountOpened, Halt, Money, RowTaken, Snapshot, Timer
from alphapanda.store import Store, lock, schema
from alphapanda.store import store as store_module

DEADLINE_S = 20.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alphapanda.db"


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
            await until(lambda: read(path))
            assert read(path) == [halt()]

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


def test_a_closed_store_can_be_opened_again(path):
    async def main():
        for _ in range(3):
            async with Store(path) as store:
                assert store.recovered.empty

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


def test_tags_begin_alike_in_one_store_and_no_two_starts_count_alike(tmp_path):
    async def seed(path):
        async with Store(path) as store:
            return store.tag_seed

    one, other = tmp_path / "one.db", tmp_path / "other.db"
    first = run(seed, one)
    second, another = run(seed, one), run(seed, other)
    assert second != first
    ours = first[: store_module.OF_STORE]
    assert second.startswith(ours)
    assert not another.startswith(ours)
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
