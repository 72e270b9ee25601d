"""Rows of the fault table below the store: the disk fails, is full, is held or may not be written.

A daemon that cannot write down what it is about to do does not do it. It halts, so that a person looks at the
disk before it goes on, and says so in one line.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from exchange_server import exchange_server
from oracle.evidence import Evidence
from oracle.judge import judge
from oracle.witness import witness
from running import (
    Daemon,
    Done,
    environment,
    eventually,
    run,
    select,
    status,
    strategy,
    write_config,
    write_ticks,
    zigzag,
)
from store_faults import failing, small_disk, without_rights
from zerodha_live import at_work, tell, told, until_orders, until_ticking

from alphapanda.config import load
from alphapanda.errors import CannotStart
from alphapanda.live import opening

FAILED = "commit failed, nothing more is sent and trading is halted: "
SYNCS = 60
"""More than a store of a few rows makes in its life."""
SOON = 24
"""More than a start with an empty book makes."""
WRITER = """
import asyncio, json, os, signal, sqlite3, sys
from alphapanda.errors import CannotStart
from alphapanda.events import RowTaken
from alphapanda.store import Store, StoreFailed, schema, store as module
from pathlib import Path

folder, log, call = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
module.IDLE_S, module.WORTH_COPYING = 0.001, 6
prepare = schema.prepare

async def write(path, row, say):
    async with Store(path) as store:
        writer = asyncio.create_task(store.run())
        try:
            for row in range(row, row + 6):
                store.tap(RowTaken("intents", row, row))
                await store.commit()
                say("sent")
            while store._not_copied:
                await asyncio.sleep(0.001)
                if writer.done():
                    await writer
        except StoreFailed as error:
            say(f"failed: {error}")
            os.kill(os.getpid(), signal.SIGKILL)  # what has not reached the disk may still be in the log
        writer.cancel()
        await asyncio.wait([writer])
    say("whole")

def child(path, burns, row, say):
    def burnt(connection, *words):
        with open(path.with_suffix(".scratch"), "wb") as scratch:
            for _ in range(burns):
                os.fdatasync(scratch.fileno())
        prepare(connection, *words)
    schema.prepare = burnt
    try:
        asyncio.run(write(path, row, say))
    except CannotStart as error:
        say(f"cannot start: {error}")

def rows(path):
    if not path.exists() or not path.stat().st_size:
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'journal'").fetchone():
        return []
    found = connection.execute("SELECT body FROM journal ORDER BY seq")
    return [json.loads(body)["row"] for (body,) in found]

def life(path, burns):
    said, row = path.with_suffix(".said"), len(rows(path)) + 1
    if not (pid := os.fork()):
        with said.open("w") as file:
            child(path, burns, row, lambda words: print(words, file=file, flush=True))
        os._exit(0)
    os.waitpid(pid, 0)
    return {"words": said.read_text().splitlines(), "rows": rows(path)}

for place in range(1, call):
    path = folder / f"{place}.db"
    lives = [life(path, call - place)]
    if log.read_text().count("INJECTED") < place:
        break
    print(json.dumps([*lives, life(path, 0)]), flush=True)
"""


def test_M08_whichever_sync_fails_nothing_is_sent_without_its_row(tmp_path):  # noqa: N802 - the fault's name
    """Each sync of a store's life in turn, from its making on; the writer then dies as by kill -9."""
    log = tmp_path / "syncs"
    ended = subprocess.run(
        [*failing(SYNCS, log), sys.executable, "-c", WRITER, tmp_path, log, str(SYNCS)],
        capture_output=True,
        env=environment(),
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    ends, came_back = [], 0
    for first, second in map(json.loads, ended.stdout.splitlines()):
        *sent, last = first["words"]
        assert first["rows"] == [*range(1, len(first["rows"]) + 1)]
        came_back += len(first["rows"]) - len(sent)
        assert len(first["rows"]) >= len(sent)
        if last != "whole":
            assert last.endswith("look at its disk")
            assert FAILED in last or last.startswith("cannot start: ")
        assert second == {"words": ["sent"] * 6 + ["whole"], "rows": [*range(1, len(first["rows"]) + 7)]}
        ends.append(last.partition(":")[0])
    assert len(ends) < SYNCS - 1, "the list has an end: there every sync has failed once"
    assert ends.count("failed") >= 6, ends
    assert ends.count("cannot start") >= 5, ends
    assert came_back, "a row whose commit failed must have been there all the same, once at least"


def halted_by(daemon: Daemon, words: str) -> None:
    """It has left with code 1 and one line, and nobody but a person starts trading again."""
    assert daemon.ended() == 1
    assert "Traceback" not in daemon.stderr
    (line,) = [line for line in daemon.stderr.splitlines() if line.startswith("alphapanda: ")]
    assert FAILED + words in line
    found = status(daemon.folder)
    assert found["state"] == "stopped"
    kill_file = daemon.folder / "var" / "KILL"
    assert kill_file.exists() or found["kill_switch"]["on"], found


def refused(done: Done, *words: str) -> None:
    assert (done.code, done.stdout) == (3, ""), done
    for each in words:
        assert each in done.line


def more_ended(folder: Path, known: int) -> bool:
    """There are more orders than were known, and nothing can become of any of them."""
    states = [state for (state,) in select(folder, "SELECT status FROM orders")]
    return len(states) > known and not {*states} & {"PREPARED", "SENT", "OPEN", "PARTIAL", "UNKNOWN"}


def test_M10_a_lock_of_another_program_and_then_a_failing_disk_halt_and_nothing_is_lost(  # noqa: N802
    tmp_path,
):
    store = tmp_path / "var" / "alphapanda.db"
    with (
        exchange_server(tmp_path, "--seed", 5) as server,
        witness(server.url, store, tmp_path) as wire,
    ):
        told(tmp_path, wire)
        with at_work(tmp_path, wire) as one:
            until_ticking(one)
            tell(tmp_path, side="BUY", times=3)
            until_orders(one, *["FILLED"] * 3)
            with closing(sqlite3.connect(store, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                before = len(wire.lines())
                tell(tmp_path, side="BUY", times=4)
                halted_by(one, "database is locked; another program holds it for writing: end that program")
                assert [line for line in wire.lines()[before:] if line["method"] == "POST"] == []
                refused(
                    run(tmp_path, "run", "--rehearsal-url", wire.url),
                    "database is locked",
                    "end that program",
                )
        with at_work(tmp_path, wire, failing(SOON, tmp_path / "syncs")) as one:
            assert "end that program" in status(tmp_path)["kill_switch"]["reason"]
            off = run(tmp_path, "kill-switch", "off", "--reason", "its lock is gone")
            assert off.code == 0, off
            until_ticking(one)
            for orders in range(3, 3 + 4 * SYNCS, 4):
                tell(tmp_path, side="BUY", times=4)
                eventually(lambda known=orders: one.process.poll() is not None or more_ended(tmp_path, known))
                if one.process.poll() is not None:
                    break
            halted_by(one, "disk I/O error; look at its disk")
        with at_work(tmp_path, wire) as one:
            assert "look at its disk" in status(tmp_path)["kill_switch"]["reason"]
            one.until(lambda: more_ended(tmp_path, 3))
        evidence = Evidence(
            stores=[store], history=server.history(), wire=wire.lines(), settled=True, quiet_period_s=0.5
        )
        assert judge(evidence, decided=("I1", "I2", "I3", "I12", "I14")) == []


def journal(store: Path, copy: Path) -> list[tuple[str, str]]:
    """(kind, body) of its rows. SQLite does not follow a path into another view of the files."""
    for name in ("alphapanda.db", "alphapanda.db-wal"):
        if store.with_name(name).exists():
            shutil.copyfile(store.with_name(name), copy.with_name(name))
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT kind, body FROM journal ORDER BY seq").fetchall()


def test_M09_on_a_full_disk_the_reserve_holds_the_last_words(tmp_path):  # noqa: N802 - the fault's name
    replayed = ["--feed", "replay", "--speed", "max", "--until-end"]
    write_config(
        tmp_path,
        storage={"path": "disk/alphapanda.db", "reserve_mib": 1},
        strategies=[strategy(brokers=["paper"])],
    )
    write_ticks(tmp_path, zigzag(3_000))
    with small_disk(tmp_path / "disk", 8) as disk:
        first = run(tmp_path, "run", *replayed, before=disk.before)
        assert first.code == 1, first
        (line,) = [line for line in first.stderr.splitlines() if line.startswith("alphapanda: ")]
        assert FAILED + "database or disk is full; make room on its disk" in line
        store = disk.folder / "alphapanda.db"
        kind, body = journal(store, tmp_path / store.name)[-1]
        assert (kind, json.loads(body)["by"]) == ("Halt", "store")
        assert not store.with_name("alphapanda.db.reserve").exists()
        (disk.folder / "more").write_bytes(bytes(os.statvfs(disk.folder).f_bfree * 4096 - 500_000))
        refused(run(tmp_path, "run", *replayed, before=disk.before), "No space left", "storage.reserve_mib")
        (disk.folder / "more").unlink()
        second = run(tmp_path, "run", *replayed, before=disk.before)
        assert second.code == 0, second
        assert "the kill switch is on since" in second.stderr
        assert [kind for kind, _ in journal(store, tmp_path / store.name)].count("Halt") == 1


def test_M11_a_store_that_may_not_be_written_stops_the_start_in_one_line(tmp_path):  # noqa: N802 - as above
    """Read-only as a folder or as a file, another user's, or below something that is no folder."""
    write_config(tmp_path, control={"socket": "control.sock"})
    write_ticks(tmp_path, zigzag(3))
    whole = ("run", "--speed", "max", "--until-end")
    assert run(tmp_path, *whole).code == 0
    folder, store, before = tmp_path / "var", tmp_path / "var" / "alphapanda.db", without_rights()
    kept = store.read_bytes()
    store.chmod(0o400)
    refused(run(tmp_path, *whole, before=before), "readonly database", "run this as the daemon's user")
    store.chmod(0o600)
    folder.chmod(0o500)
    refused(run(tmp_path, *whole, before=before), str(store), "check storage.path")
    folder.chmod(0o700)
    if not os.getuid():
        os.chown(folder / "alphapanda.db.lock", 65534, 65534)
        refused(run(tmp_path, *whole, before=before), "Permission denied", "run this as the daemon's user")
    (tmp_path / "file").write_text("")
    below = {"ALPHAPANDA__STORAGE__PATH": str(tmp_path / "file" / "var" / "alphapanda.db")}
    refused(run(tmp_path, *whole, env=below), "Not a directory", "check storage.path")
    assert store.read_bytes() == kept


def start_with(folder, monkeypatch, *, fixed, wanted):
    """What the start says of a SQLite that has or has not been fixed."""
    monkeypatch.setattr(opening, "sqlite_is_fixed", lambda: fixed)
    write_config(folder, storage={"require_fixed_sqlite": wanted})
    try:
        opening._look_at_settings(load(folder / "config.toml", environ={}, cwd=folder))
    except CannotStart as refused:
        return str(refused)
    return "accepted"


@pytest.mark.parametrize(("fixed", "wanted"), [(True, True), (False, False), (True, False)])
def test_M12_an_sqlite_with_the_known_fault_is_accepted_unless_the_settings_refuse_it(  # noqa: N802
    tmp_path, monkeypatch, fixed, wanted
):
    assert start_with(tmp_path, monkeypatch, fixed=fixed, wanted=wanted) == "accepted"


def test_M12_an_sqlite_with_the_known_fault_is_refused_where_the_settings_say_so(  # noqa: N802
    tmp_path, monkeypatch
):
    assert "has the WAL-reset fault" in start_with(tmp_path, monkeypatch, fixed=False, wanted=True)
