"""The kill switch of a stopped daemon that is started at that moment."""

import os
import signal

import pytest
from running import write_config
from typer.testing import CliRunner

from alphapanda.cli.app import app
from alphapanda.store import lock, offline


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
