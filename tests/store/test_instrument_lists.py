"""Instrument lists in the store: whole or not at all, the last and that of the day before."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listings import CALL, DAY, INFY, INFY_FUT, NIFTY_50, ROWS, changed, csv_of, share
from sessions import until

from alphapanda.errors import Transient
from alphapanda.events import Halt
from alphapanda.store import Store, instruments, schema
from alphapanda.venues.zerodha.dump import read_dump

NEXT = DAY + timedelta(days=1)
EVERY = ("NSE:INFY", "NSE:TINY", "NSE:NIFTY 50", "NFO:NIFTY26APRFUT", "NFO:INFY26APRFUT")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alphapanda.db"


def dump_of(rows=ROWS, day=DAY):
    return read_dump(csv_of(rows), day, least=1)


def keep(path, *dumps, rehearsal=False):
    async def main():
        async with Store(path) as store:
            return [await instruments.keep(store, dump, rehearsal=rehearsal) for dump in dumps]

    return asyncio.run(main(), debug=True)


def column(path, sql):
    with closing(sqlite3.connect(path)) as connection:
        return [value for (value,) in connection.execute(sql)]


def days(path):
    return column(path, "SELECT day FROM instrument_dumps ORDER BY dump")


def test_what_is_kept_is_what_was_read(path):
    dump = dump_of()
    (known,) = keep(path, dump)
    assert known == instruments.last(path)
    assert (known.day, known.rows, known.size, known.sha256) == (DAY, 6, dump.size, dump.sha256)
    assert known.segments == {"NSE": 2, "INDICES": 1, "NFO-FUT": 2, "NFO-OPT": 1}
    assert instruments.tokens(path, rehearsal=False) == {row.key: row.instrument_token for row in dump.rows}
    found = instruments.listed_instruments(path, DAY, [row.key for row in dump.rows])
    assert {each.key: each for each in found} == {row.key: row.instrument(DAY) for row in dump.rows}


def test_without_a_list_there_is_nothing(path):
    for _ in range(2):
        assert instruments.last(path) is None
        assert instruments.tokens(path, rehearsal=False) == {}
        assert instruments.listed_instruments(path, DAY, EVERY) == []
        assert instruments.search(path, "infy") == (None, 0, [])
        keep(path)


def test_an_older_store_that_no_daemon_has_opened_has_no_list(path):
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as connection,
        pytest.MonkeyPatch.context() as old,
    ):
        old.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:3])
        schema.prepare(connection, str(path))
    assert instruments.last(path) is None
    assert instruments.listed_instruments(path, DAY, EVERY) == []


def test_the_last_list_and_that_of_the_day_before_are_kept(path):
    lists = [dump_of([share(number), INFY], DAY + timedelta(days=number)) for number in range(4)]
    keep(path, *lists)
    assert days(path) == ["2026-04-17", "2026-04-18"]
    assert column(path, "SELECT count(*) FROM instruments") == [4]
    keep(path, dump_of([share(9), INFY], lists[-1].day))
    assert days(path) == ["2026-04-17", "2026-04-18"]
    assert set(instruments.tokens(path, rehearsal=False)) == {"NSE:S9", "NSE:INFY"}


def test_the_same_list_is_not_written_twice(path):
    first, again = keep(path, dump_of(), dump_of())
    assert first == again
    assert days(path) == ["2026-04-15"]


def test_the_lists_of_a_rehearsal_stand_beside_those_of_zerodha(path):
    keep(path, dump_of())
    keep(path, dump_of([changed(INFY, instrument_token=7)]), rehearsal=True)
    assert [
        instruments.listed_instruments(path, DAY, ["NSE:INFY"], rehearsal=rehearsal)[0].instrument_token
        for rehearsal in (False, True)
    ] == [408065, 7]
    assert instruments.last(path).rehearsal
    assert not instruments.last(path, rehearsal=False).rehearsal


def test_the_list_of_a_later_day_is_not_taken_for_an_earlier_one(path):
    keep(path, dump_of(), dump_of([changed(INFY, tick_size=0.5)], NEXT))
    for day, tick in ((DAY, "0.1"), (NEXT, "0.5"), (NEXT + timedelta(days=1), "0.5")):
        (infy,) = instruments.listed_instruments(path, day, ["NSE:INFY"])
        assert (infy.listed_on, str(infy.tick_size)) == (min(day, NEXT), tick)
    assert instruments.listed_instruments(path, DAY - timedelta(days=1), ["NSE:INFY"]) == []


def test_symbols_are_found_whatever_their_letters_and_however_many_are_asked_for(path):
    many = [share(number) for number in range(1_300)]
    keep(path, dump_of(many))
    asked = [f"nse:s{number}" for number in range(2_000)]
    found = instruments.listed_instruments(path, DAY, [*asked, "NSE:S1", "S1", ""])
    assert {each.key for each in found} == {f"NSE:S{number}" for number in range(1_300)}
    assert len(found) == 1_300


class Stopped(sqlite3.OperationalError):
    """In the place of a full disk."""


def test_a_list_that_was_not_written_whole_is_seen_by_nobody_and_goes_with_the_next(path, monkeypatch):
    keep(path, dump_of())
    with monkeypatch.context() as stopped:
        stopped.setattr(instruments, "PIECE", 2)
        written = []

        def add(connection, *, number, rows, whole=instruments._add):
            if written:
                raise Stopped("database or disk is full")
            written.append(number)
            whole(connection, number=number, rows=rows)

        stopped.setattr(instruments, "_add", add)
        with pytest.raises(Transient) as caught:
            keep(path, dump_of([share(number) for number in range(9)], NEXT))
    line = "the instrument list of 2026-04-16 cannot be kept: database or disk is full; the one before stays"
    assert str(caught.value) == line
    assert len(written) == 1
    assert days(path) == ["2026-04-15", "2026-04-16"]
    assert instruments.last(path).day == DAY
    assert instruments.listed_instruments(path, NEXT, EVERY)[0].listed_on == DAY
    keep(path, dump_of([INFY], NEXT))
    assert days(path) == ["2026-04-15", "2026-04-16"]
    assert column(path, "SELECT count(*) FROM instruments") == [7]


def shares(number, day=DAY):
    return dump_of([share(each) for each in range(number)], day)


def test_orders_are_committed_between_the_pieces_of_a_list(path, monkeypatch):
    """The journal's next row is durable before the list that was begun earlier is whole."""
    monkeypatch.setattr(instruments, "PIECE", 1)

    async def main():
        async with Store(path) as store, asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(store.run())
            writes = tasks.create_task(instruments.keep(store, shares(200), rehearsal=False))
            await until(lambda: column(path, "SELECT count(*) FROM instruments")[0])
            store.tap(Halt("stop", "test", 0))
            await store.commit()
            assert column(path, "SELECT count(*) FROM journal") == [1]
            assert instruments.last(path) is None
            found = await writes
            writer.cancel()
            return found

    assert asyncio.run(main(), debug=True).rows == 200


def test_two_lists_at_once_are_both_written_whole(path, monkeypatch):
    monkeypatch.setattr(instruments, "PIECE", 10)

    async def main():
        async with Store(path) as store, asyncio.TaskGroup() as tasks:
            for day, number in ((DAY, 95), (NEXT, 300)):
                tasks.create_task(instruments.keep(store, shares(number, day), rehearsal=False))

    asyncio.run(main(), debug=True)
    assert sorted(days(path)) == ["2026-04-15", "2026-04-16"]
    assert column(path, "SELECT count(*) FROM instruments") == [395]


def names(path, text, **fields):
    found = instruments.search(path, text, **fields)
    assert found.total >= len(found.rows)
    return [row["tradingsymbol"] for row in found.rows]


def test_a_search_finds_by_symbol_and_name_the_likeliest_first(path):
    keep(
        path,
        dump_of([*ROWS, changed(CALL, instrument_token=5, tradingsymbol="NIFTY26APR9500CE", strike=9500.0)]),
    )
    assert names(path, "infy") == ["INFY", "INFY26APRFUT"]
    assert names(path, "nse:infy") == ["INFY"]
    assert names(path, "Infosys") == ["INFY"]
    assert names(path, "nifty") == ["NIFTY26APRFUT", "NIFTY26APR9500CE", "NIFTY26APR24500CE", "NIFTY 50"]
    assert names(path, "nifty 245 ce") == ["NIFTY26APR24500CE"]
    assert names(path, "") != []
    assert names(path, "nothing") == []


def test_a_search_is_narrowed(path):
    keep(path, dump_of())
    assert names(path, "", exchange="nfo", kind="fut") == ["INFY26APRFUT", "NIFTY26APRFUT"]
    assert names(path, "", expiry=date(2026, 4, 28), kind="CE") == ["NIFTY26APR24500CE"]
    assert names(path, "", expiry=date(2026, 4, 21)) == []
    found = instruments.search(path, "i", limit=2)
    assert (found.total, len(found.rows)) == (6, 2)


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=12))
def test_no_text_breaks_a_search_and_no_letter_of_it_is_a_wildcard(text, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "searched"
    folder.mkdir(exist_ok=True)
    if not (folder / "alphapanda.db").exists():
        keep(folder / "alphapanda.db", dump_of([INFY, NIFTY_50, INFY_FUT]))
    texts = {"NSE:INFY INFOSYS", "NSE:NIFTY 50 NIFTY 50", "NFO:INFY26APRFUT INFY"}
    wanted = [each for each in texts if all(word.upper() in each for word in text.split() if word.isascii())]
    found = instruments.search(folder / "alphapanda.db", text)
    if text.isascii() and "\0" not in text:
        assert found.total == len(wanted)
