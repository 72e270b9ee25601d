"""The kill switch of a daemon that is stuck, or stopped, or started at that moment."""

import json
import os
import signal
from contextlib import suppress

import pytest
from builders import order
from journals import store_path, write
from running import write_config
from store_faults import small_disk
from typer.testing import CliRunner

from alphapanda.cli.app import app
from alphapanda.events import OrderOpened, OrderStatus
from alphapanda.live.kill_file import KillFile
from alphapanda.store import Reserve, lock, offline


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("ALPHAPANDA_CONFIG", "ALPHAPANDA_ENV", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path)
    return tmp_path


@pytest.fixture
def heard():
    """The signals that this process was sent as if it were the daemon."""
    found = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: found.append(number))
    yield found
    signal.signal(signal.SIGUSR1, before)


def switch(*words):
    return CliRunner().invoke(app, ["kill-switch", *words, "--reason", "now"])


def test_a_daemon_that_takes_the_store_just_then_is_killed_by_file_and_signal(folder, heard, monkeypatch):
    looks, really = iter(["nobody yet"]), lock.holder
    monkeypatch.setattr(lock, "holder", lambda store: None if next(looks, None) else really(store))
    with lock.hold(folder / "var/alphapanda.db"):
        done = switch("on")
    assert done.exit_code == 0
    assert f"kill file and SIGUSR1, daemon pid {os.getpid()}" in done.stdout
    assert heard == [signal.SIGUSR1]
    assert "now" in (folder / "var/KILL").read_text()


def test_an_on_that_is_on_already_keeps_its_first_reason(folder):
    store = folder / "var/alphapanda.db"
    assert CliRunner().invoke(app, ["kill-switch", "on", "--reason", "first"]).exit_code == 0
    before = offline.kill_switch(store)
    done = switch("on")
    assert done.exit_code == 0
    assert "ON: first (by " in done.stdout
    assert offline.kill_switch(store) == before


def test_a_kill_file_is_told_where_the_store_cannot_be_read(folder):
    store = folder / "var/alphapanda.db"
    store.parent.mkdir(exist_ok=True)
    store.write_bytes(b"no database" * 100)
    asked = ["kill-switch", "status"]
    assert "cannot be read" in str(CliRunner().invoke(app, asked).exception)
    (folder / "var/KILL").write_text("")
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0
    assert "kill switch ON: kill file" in done.stdout


RESTING = {"broker": "zerodha", "status": OrderStatus.OPEN, "broker_order_id": "240131000000007"}


def test_what_rests_while_the_daemon_is_stuck_is_named_by_the_store(folder, heard):
    store = store_path(folder)
    ended = order(sequence=2, broker="zerodha", status=OrderStatus.FILLED)
    write(store, OrderOpened(order(**RESTING)), OrderOpened(ended), OrderOpened(order(sequence=3)))
    with lock.hold(store):
        done, document = switch("on"), switch("on", "--json")
    assert (done.exit_code, document.exit_code) == (1, 1)
    assert heard == [signal.SIGUSR1] * 2
    headline, line = done.stderr.splitlines()
    assert headline == "1 leftover: not ended by the kill switch"
    assert "O000001 (240131000000007) +10 NSE:INFY of momentum_1 at zerodha: the daemon does not ans" in line
    (left,) = json.loads(document.stdout)["kill_switch"]["leftovers"]
    assert (left["broker_order_id"], left["status"]) == ("240131000000007", "OPEN")
    assert document.stderr == ""


def test_a_stuck_daemon_is_killed_also_where_its_store_cannot_be_read(folder, heard):
    store = store_path(folder)
    with lock.hold(store):
        store.write_bytes(b"no database" * 100)
        done = switch("on")
    assert (done.exit_code, heard) == (0, [signal.SIGUSR1])
    assert "cannot be read" in done.stderr
    assert "what rests at the brokers is not known here" in done.stderr


@pytest.mark.parametrize("reserved", [True, False])
def test_on_a_full_disk_the_reserve_makes_room_for_the_reason_and_the_name_kills_without(
    tmp_path, folder, heard, reserved
):
    with small_disk(tmp_path / "disk", 2) as disk:
        store, file = disk.folder / "alphapanda.db", KillFile(disk.folder / "KILL")
        write_config(folder, storage={"path": str(store)}, control={"kill_file": str(file.path)})
        with lock.hold(store):
            if reserved:
                Reserve(store, 1).make()
            fill(disk.folder / "filler")
            done = switch("on")
        assert (done.exit_code, heard) == (0, [signal.SIGUSR1])
        assert file.is_there()
        assert file.words() == ("now" if reserved else "", False)
        said = f"kill file {file.path} kills, but without its reason: No space left on device\n"
        assert done.stderr == ("" if reserved else said)


def fill(path):
    """To the last byte of its disk."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
