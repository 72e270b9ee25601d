"""The file whose space is given back when the disk is full."""

import asyncio
import sqlite3
import time
from contextlib import closing

import pytest
from builders import TEN_NS

from alphapanda.errors import CannotStart
from alphapanda.events import Halt, Resume, RowTaken
from alphapanda.store import Reserve, Store, StoreFailed, journal
from alphapanda.store.reserve import MIB

DEADLINE_S = 20.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alphapanda.db"


def taken(reserve):
    """What it has of the disk."""
    return reserve.path.stat().st_blocks * 512


def test_a_reserve_takes_its_space_and_gives_it_back(path):
    reserve = Reserve(path, 2)
    for _ in range(2):
        reserve.make()
        assert (reserve.path.stat().st_size, taken(reserve)) == (2 * MIB, 2 * MIB)
    assert reserve.free()
    assert not reserve.path.exists()
    assert not reserve.free()


@pytest.mark.parametrize("mib", [1, 3])
def test_what_a_killed_daemon_left_is_taken_over_in_the_size_that_is_wanted_now(path, mib):
    Reserve(path, 2).make()
    reserve = Reserve(path, mib)
    reserve.make()
    assert (reserve.path.stat().st_size, taken(reserve)) == (mib * MIB, mib * MIB)


def test_no_reserve_is_wanted(path):
    Reserve(path, 1).make()
    Reserve(path, 0).make()
    assert list(path.parent.iterdir()) == []


def test_a_reserve_that_cannot_be_made_stops_the_start_in_one_line(tmp_path):
    reserve = Reserve(tmp_path / "missing" / "alphapanda.db", 1)
    with pytest.raises(CannotStart, match=r"1 MiB cannot be made: .*; check storage.path"):
        reserve.make()


def full(path, *events, on=False):
    """The events of a store that runs full while it writes these, and how it failed."""

    async def main():
        failures = []
        async with Store(path, reserve=Reserve(path, 1), failed=failures.append) as store:
            assert store._reserve.path.exists()
            writer = asyncio.create_task(store.run())
            if on:
                store.tap(Halt("first", "uid 0", TEN_NS))
                await store.commit()
            append, tried = store._journal.append, []

            def no_room_once(records):
                tried.append(records)
                if len(tried) == 1:
                    with closing(sqlite3.connect(":memory:")) as tiny:
                        tiny.execute("PRAGMA max_page_count = 1")
                        tiny.execute("CREATE TABLE full (a)")
                append(records)

            store._journal.append = no_room_once
            for event in events:
                store.tap(event)
            with pytest.raises(StoreFailed) as caught:
                await asyncio.wait_for(store.commit(), DEADLINE_S)
            await asyncio.wait([writer])
            assert failures == [writer.exception()]
            assert not store._reserve.path.exists()
        with closing(sqlite3.connect(path)) as connection:
            return [event for _, event in journal.read(connection)], caught.value

    return asyncio.run(main(), debug=True)


def test_on_a_full_disk_what_happened_is_written_with_the_word_that_trading_is_halted(path):
    began_ns = time.time_ns()
    row = RowTaken("a feed", 1, TEN_NS)
    (first, last), failure = full(path, row)
    assert first == row
    assert (last.reason, last.by) == ("database or disk is full; make room on its disk", "store")
    assert last.time_ns >= began_ns
    assert failure.halted
    assert failure.why == last.reason
    assert "commit failed, nothing more is sent and trading is halted: database or disk is full" in str(
        failure
    )


@pytest.mark.parametrize("on", [True, False])
def test_a_kill_switch_that_is_on_keeps_its_reason_on_a_full_disk(path, on):
    halt = Halt("first", "uid 0", TEN_NS)
    events, _ = full(path, *([] if on else [halt]), RowTaken("a feed", 1, TEN_NS), on=on)
    assert [event for event in events if isinstance(event, Halt)] == [halt]


def test_a_kill_switch_that_was_just_switched_off_is_on_again_on_a_full_disk(path):
    events, _ = full(path, Resume("now", "uid 0", TEN_NS), on=True)
    assert [type(event) for event in events] == [Halt, Resume, Halt]


def test_a_store_that_is_closed_in_good_order_leaves_no_reserve(path):
    async def main():
        async with Store(path, reserve=Reserve(path, 1)) as store:
            assert store._reserve.path.exists()

    asyncio.run(main(), debug=True)
    assert not Reserve(path, 1).path.exists()
