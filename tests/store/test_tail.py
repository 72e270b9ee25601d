"""The end of the journal is noted beside the store: a store that lost its tail is noticed."""

import asyncio
import shutil
import sqlite3
from contextlib import closing

import pytest
from builders import TEN_NS

from alphapanda.errors import CannotStart
from alphapanda.events import Halt, RowTaken
from alphapanda.store import Store, journal, offline
from alphapanda.store.tail import tail_path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alphapanda.db"


def write(path, rows, *, leave_log=None):
    """Rows one more each in a commit of its own; a copy of file and log as they stand before the end."""

    async def main():
        async with Store(path) as store:
            writer = asyncio.create_task(store.run())
            for row in rows:
                store.tap(RowTaken("a feed", row, TEN_NS))
                await store.commit()
            if leave_log is not None:
                for name in (path.name, path.name + "-wal"):
                    shutil.copyfile(path.with_name(name), leave_log / name)
            writer.cancel()
            await asyncio.wait([writer])

    asyncio.run(main(), debug=True)


def read(path):
    with closing(sqlite3.connect(path)) as connection:
        return [event.row for _, event in journal.read(connection)]


def test_a_store_goes_on_where_it_ended(path):
    write(path, [1, 2])
    write(path, [3])
    assert read(path) == [1, 2, 3]


def test_an_older_copy_of_the_store_is_noticed_until_somebody_wants_it(path, tmp_path):
    write(path, [1, 2])
    old = path.read_bytes()
    write(path, [3, 4])
    path.write_bytes(old)
    with pytest.raises(
        CannotStart, match=r"row 4 was written, it ends at row 2; bring back the newest store"
    ):
        write(path, [5])
    assert read(path) == [1, 2]
    tail_path(path).unlink()
    write(path, [5])
    assert read(path) == [1, 2, 5]


def test_another_store_in_its_place_is_noticed(path, tmp_path):
    write(path, [1, 2])
    write(tmp_path / "other.db", [7, 8, 9])
    shutil.copyfile(tmp_path / "other.db", path)
    with pytest.raises(CannotStart, match="row 2 was written, another is in its place"):
        write(path, [3])


def test_a_log_that_somebody_removed_is_noticed(path, tmp_path):
    elsewhere = tmp_path / "copy"
    elsewhere.mkdir()
    write(path, [1])
    write(path, [2, 3], leave_log=elsewhere)
    shutil.copyfile(elsewhere / path.name, path)
    with pytest.raises(CannotStart, match="row 3 was written, it ends at row 1"):
        write(path, [4])
    shutil.copyfile(elsewhere / (path.name + "-wal"), path.with_name(path.name + "-wal"))
    write(path, [4])
    assert read(path) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "words", [b"", b"3", b"3 ab", b"3 " + b"a" * 32 + b" 0011223344556677\n", b"\0" * 60]
)
def test_words_that_were_cut_by_a_loss_of_power_say_nothing(path, words):
    write(path, [1, 2])
    tail_path(path).write_bytes(words)
    write(path, [3])
    assert read(path) == [1, 2, 3]


def test_what_a_command_wrote_for_a_stopped_daemon_is_no_loss(path):
    write(path, [1])
    offline.switch(path, on=True, reason="stop", by="uid 0")
    write(path, [2])
    with closing(sqlite3.connect(path)) as connection:
        assert [type(event) for _, event in journal.read(connection)] == [RowTaken, Halt, RowTaken]


def test_a_loss_behind_what_a_command_wrote_is_noticed(path):
    write(path, [1])
    old = path.read_bytes()
    offline.switch(path, on=True, reason="stop", by="uid 0")
    path.write_bytes(old)
    with pytest.raises(CannotStart, match="row 2 was written, it ends at row 1"):
        write(path, [2])


def test_what_a_command_writes_does_not_hide_an_earlier_loss(path):
    write(path, [1])
    old = path.read_bytes()
    write(path, [2, 3])
    path.write_bytes(old)
    for _ in range(3):  # as long as it was, but another one
        offline.switch(path, on=True, reason="stop", by="uid 0")
    with pytest.raises(CannotStart, match="row 3 was written, another is in its place"):
        write(path, [4])


@pytest.mark.parametrize("with_its_tail", [True, False])
def test_an_older_copy_gives_none_of_the_tags_again_that_were_given_since(path, with_its_tail):
    """What the broker still has would be taken for the next order with that number."""

    async def seed():
        async with Store(path) as store:
            return store.tag_seed

    write(path, [1])
    old, old_tail = path.read_bytes(), tail_path(path).read_bytes()
    since = asyncio.run(seed())
    path.write_bytes(old)
    tail_path(path).write_bytes(old_tail)
    if not with_its_tail:
        tail_path(path).unlink()
    assert asyncio.run(seed()) != since
