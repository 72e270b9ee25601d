"""The tables and the settings of the one writing connection."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from builders import batch, tick
from sessions import CASH, plan, rows, session

from alphapanda.errors import CannotStart
from alphapanda.events import AccountOpened, DayRolled, Marked, Money, Valued
from alphapanda.pipeline import build_cores
from alphapanda.store import Store, curve, journal, offline, schema
from alphapanda.store.projections import PROJECTION

OURS = set(schema.PROJECTIONS) | {"meta", "journal", "instruments", "instrument_dumps"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alphapanda.db"


@pytest.fixture
def prepared(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        schema.prepare(connection, str(path))
        yield connection


def pragma(connection, name):
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def opened(path):
    async def main():
        async with Store(path):
            pass

    asyncio.run(main(), debug=True)


def refusal(path):
    with pytest.raises(CannotStart) as caught:
        opened(path)
    line = str(caught.value)
    assert str(path) in line
    assert "\n" not in line
    return line


def test_an_empty_file_becomes_a_store(prepared):
    tables = {name for (name,) in prepared.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == OURS
    assert pragma(prepared, "user_version") == len(schema.MIGRATIONS)
    assert pragma(prepared, "application_id") == schema.APPLICATION_ID


def test_every_table_is_strict(prepared):
    strict = {name: bool(flag) for _, name, *_, flag in prepared.execute("PRAGMA table_list")}
    assert {name for name in OURS if not strict[name]} == set()
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT value in INTEGER column"):
        prepared.execute("INSERT INTO progress VALUES ('feed', 'many', 0)")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
        ("mmap_size", 0),
        ("busy_timeout", 2000),
    ],
)
def test_pragma_is_in_force_on_the_connection_that_writes(path, name, value):
    async def main():
        async with Store(path) as store:
            return await store._in_thread(lambda: pragma(store._database._conn, name))

    assert asyncio.run(main(), debug=True) == value


def test_a_trade_needs_its_order(prepared):
    row = ("T1", "O1", "paper", "momentum_1", "INFY", "BUY", 1, "1", "0", 0)
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        prepared.execute(f"INSERT INTO trades VALUES ({', '.join('?' * len(row))})", row)


def test_a_prepared_store_is_prepared_again_without_loss(path, prepared):
    prepared.execute("INSERT INTO meta VALUES ('kept', 'yes')")
    schema.prepare(prepared, str(path))
    assert prepared.execute("SELECT value FROM meta").fetchall() == [("yes",)]


def test_a_newer_schema_is_refused(path, prepared):
    prepared.execute("PRAGMA user_version = 99")
    prepared.close()
    assert f"schema version 99, this program knows {len(schema.MIGRATIONS)}; upgrade alphapanda" in refusal(
        path
    )


def test_a_database_of_another_program_is_refused_and_left_alone(path):
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (a)")
    before = path.read_bytes()
    assert "another program" in refusal(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(path):
    path.write_text("to whom it may concern " * 500)
    before = path.read_bytes()
    assert "not a database" in refusal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("page", [1, 2, 3, 5])
def test_a_damaged_page_is_refused_and_left_alone(path, prepared, page):
    size = pragma(prepared, "page_size")
    prepared.close()
    whole = bytearray(path.read_bytes())
    start = size * (page - 1) + (100 if page == 1 else 0)
    whole[start : size * page] = b"\xa5" * (size * page - start)
    path.write_bytes(whole)
    line = refusal(path)
    assert any(word in line for word in ("damaged", "malformed", "not a database"))
    assert path.read_bytes() == bytes(whole)


def test_a_file_cut_short_is_refused(path, prepared):
    size = pragma(prepared, "page_size")
    prepared.close()
    with path.open("r+b") as file:
        file.truncate(size * 3)
    line = refusal(path)
    assert any(word in line for word in ("damaged", "malformed"))


def test_a_store_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "var").write_text("")
    assert "check storage.path" in refusal(tmp_path / "var" / "alphapanda.db")


def test_a_folder_is_no_store(tmp_path):
    assert "check storage.path" in refusal(tmp_path)


def test_migrations_go_forward_and_keep_what_is_there(path, prepared, monkeypatch):
    prepared.execute("INSERT INTO meta VALUES ('kept', 'yes')")
    further = "CREATE TABLE notes (text TEXT NOT NULL) STRICT;"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, further))
    schema.prepare(prepared, str(path))
    assert pragma(prepared, "user_version") == len(schema.MIGRATIONS)
    assert prepared.execute("SELECT value FROM meta").fetchall() == [("yes",)]
    assert prepared.execute("SELECT count(*) FROM notes").fetchone() == (0,)


NOT_YET = (Valued, DayRolled, Marked)
"""What the versions before the third did not write down in a session."""


def old_version(path, *migrations):
    """A store as an old version left it, with all of a session that it knew."""
    with (
        closing(sqlite3.connect(":memory:", isolation_level=None)) as today,
        closing(sqlite3.connect(path, isolation_level=None)) as connection,
        pytest.MonkeyPatch.context() as old,
    ):
        schema.prepare(today, ":memory:")
        _, said = session(rows([(0, 100.0), (0, 102.05), (0, 100.0), (0, 102.05)]))
        kept = [event for event in said if type(event) in PROJECTION and not isinstance(event, NOT_YET)]
        opened = [AccountOpened("paper", CASH), *kept]
        journal.Journal(today).append([(number, event) for number, event in enumerate(opened)])
        old.setattr(schema, "MIGRATIONS", migrations)
        schema.prepare(connection, str(path))
        connection.execute("PRAGMA foreign_keys = OFF")
        for name in {*everything(connection)} & {"journal", *schema.PROJECTIONS}:
            columns = [column for _, column, *_ in connection.execute(f"PRAGMA table_info({name})")]
            found = today.execute(f"SELECT {', '.join(columns)} FROM {name} ORDER BY rowid").fetchall()
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", found)
        return everything(connection)


def first_version(path):
    return old_version(path, schema.VERSION_1)


def everything(connection):
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}


def test_a_store_of_the_first_version_becomes_one_of_this_with_nothing_lost(path):
    before = first_version(path)
    assert before["trades"]
    opened(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        after = everything(connection)
        assert pragma(connection, "user_version") == len(schema.MIGRATIONS)
        assert {name: cut(after[name], before[name]) for name in before if name != "meta"} == {
            name: found for name, found in before.items() if name != "meta"
        }
        assert after["strategies"] == []
        journal.rebuild(connection, schema.PROJECTIONS)
        assert everything(connection) == after


def test_a_store_of_the_third_version_becomes_one_of_this_with_nothing_lost(path):
    before = old_version(path, schema.VERSION_1, schema.VERSION_2, schema.VERSION_3)
    assert before["trades"]
    assert before["ledger"]
    opened(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        after = everything(connection)
        assert pragma(connection, "user_version") == len(schema.MIGRATIONS)
        assert {name: cut(after[name], before[name]) for name in before if name != "meta"} == {
            name: found for name, found in before.items() if name != "meta"
        }
        assert {name for name in after if name not in before} >= {"instruments", "instrument_dumps"}
        assert all(after[name] == [] for name in after if name not in before)
        journal.rebuild(connection, schema.PROJECTIONS)
        assert everything(connection) == after


def cut(found, before):
    """The columns that there were."""
    return [row[: len(before[0])] for row in found]


def test_a_store_of_the_second_version_knows_the_source_of_each_movement_of_cash(path):
    old_version(path, schema.VERSION_1, schema.VERSION_2)
    opened(path)
    with closing(sqlite3.connect(path)) as connection:
        sources = connection.execute(
            "SELECT reason, kind FROM ledger LEFT JOIN journal ON seq = source_seq ORDER BY entry"
        ).fetchall()
    assert sources[0] == ("opening", "AccountOpened")
    assert set(sources[1:]) == {("trade", "Booked"), ("charges", "Booked")}


def test_a_store_of_the_second_version_goes_on_with_its_book(path):
    """Its journal has no points of a curve: what was booked is where the next day begins."""
    old_version(path, schema.VERSION_1, schema.VERSION_2)

    async def main():
        async with Store(path) as store:
            return store.recovered.saved

    saved = asyncio.run(main(), debug=True)
    cores = build_cores(plan(), saved)
    book = cores.portfolio.books()["paper"]
    booked = book.performance[""].booked
    (balance,) = cores.portfolio.balances()
    assert booked == balance.realized_pnl - balance.charges != 0
    cores.portfolio.on(batch(tick(100.0), at=86_400))
    assert cores.portfolio.books()["paper"].performance[""].day_start == booked


def test_a_store_of_the_second_version_is_read_before_a_daemon_has_opened_it(path):
    old_version(path, schema.VERSION_1, schema.VERSION_2)
    assert offline.rows(path, "positions")
    (standing,) = offline.standings(path)
    found = curve.portfolio(path)["paper"]
    assert Money(found["equity"]) == standing.equity
    assert Money(found["strategies"]["momentum_1"]["net_pnl"]) == standing.equity - standing.starting_cash
    assert curve.daily(path, 5) == {"paper": {"days": [], "strategies": {"momentum_1": []}}}


def test_a_store_of_the_first_version_is_read_as_it_is(path):
    first_version(path)
    assert offline.strategies(path) == {}
    assert (offline.limits(path), offline.limit_changes(path)) == ((), [])
    assert offline.rows(path, "trades")
    with closing(sqlite3.connect(path)) as connection:
        assert pragma(connection, "user_version") == 1


def test_a_migration_that_fails_changes_nothing(path, prepared, monkeypatch):
    version = len(schema.MIGRATIONS)
    prepared.close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE notes (a); NONSENSE;"))
    assert "cannot be opened" in refusal(path)
    monkeypatch.undo()
    opened(path)
    with closing(sqlite3.connect(path)) as connection:
        assert pragma(connection, "user_version") == version
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'notes'").fetchall() == []


@pytest.mark.parametrize(
    ("version", "fixed"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 3), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_the_releases_with_the_wal_reset_fault_are_known(version, fixed):
    assert schema.sqlite_is_fixed(version) is fixed
