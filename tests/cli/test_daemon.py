"""Asking a daemon that has its store already and opens its door a moment later, or that is stuck."""

import os
import socket
import threading
from contextlib import closing

import msgspec
import pytest
from running import write_config
from typer.testing import CliRunner

from alphapanda.cli import daemon
from alphapanda.cli.app import app
from alphapanda.config import Loaded, Settings
from alphapanda.live.control import LENGTH, Unreachable
from alphapanda.store import lock

STATUS = {"command": "status"}


@pytest.fixture
def settings(tmp_path):
    words = {"storage": {"path": str(tmp_path / "a.db")}, "control": {"socket": str(tmp_path / "s")}}
    return msgspec.convert(words, Settings)


@pytest.fixture
def door(settings):
    """`open` makes the socket; it answers the first request with `yes`, or `says` something else."""

    class Door:
        says = msgspec.json.encode({"ok": True, "result": "yes"})
        asked = 0

        def open(self, *_):
            listening.bind(settings.control.socket)
            listening.listen()
            answering.start()

        def answer(self):
            for _ in range(2):
                try:
                    connection, _ = listening.accept()
                except OSError:  # closed: nobody asks any more
                    return
                with connection:
                    self.asked += 1
                    connection.recv(4096)
                    if self.says:
                        connection.sendall(LENGTH.pack(len(self.says)) + self.says)

    it = Door()
    answering = threading.Thread(target=it.answer)
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        yield it
        if answering.is_alive():
            listening.shutdown(socket.SHUT_RDWR)
            answering.join()


def test_a_daemon_that_has_just_begun_is_waited_for(settings, door, tmp_path, monkeypatch):
    monkeypatch.setattr(daemon, "sleep", door.open)
    with lock.hold(tmp_path / "a.db"):
        assert daemon.reach(settings, STATUS, 10)["result"] == "yes"


def test_nobody_is_not_waited_for(settings, monkeypatch):
    monkeypatch.setattr(daemon, "sleep", pytest.fail)
    with pytest.raises(Unreachable):
        daemon.reach(settings, STATUS, 10)


def test_a_daemon_without_a_door_is_given_up_and_named(settings, tmp_path, monkeypatch):
    clock = iter([0.0, 1.0, daemon.OPENING_S + 1])
    monkeypatch.setattr(daemon, "monotonic", lambda: next(clock))
    with (
        lock.hold(tmp_path / "a.db"),
        pytest.raises(daemon.Fatal, match=f"daemon with pid {os.getpid()} does not answer"),
    ):
        daemon.ask_daemon(Loaded(settings, tmp_path, (tmp_path / "config.toml",), {}), "status")


def test_a_request_that_may_have_arrived_is_not_said_twice(settings, door, tmp_path, monkeypatch):
    monkeypatch.setattr(daemon, "sleep", pytest.fail)
    door.says = b""
    door.open()
    with lock.hold(tmp_path / "a.db"), pytest.raises(Unreachable):
        daemon.reach(settings, {"command": "close_all"}, 10)
    assert door.asked == 1


LOOKS = ("status", "kill-switch status", "risk show", "stages list", "strategies list", "close-all --yes")


@pytest.mark.parametrize("words", LOOKS)
def test_who_only_looks_waits_less_than_who_changes_and_says_what_a_silent_daemon_may_be(
    tmp_path, monkeypatch, words
):
    waits = []

    def ask(_path, request, timeout_s):
        waits.append((request["command"], timeout_s))
        raise Unreachable("no daemon answers") from TimeoutError("timed out")

    monkeypatch.setattr("alphapanda.live.control.ask", ask)
    config = write_config(tmp_path)
    with lock.hold(tmp_path / "var/alphapanda.db"):
        done = CliRunner().invoke(app, ["--config", str(config), *words.split()])
    ((command, waited_s),) = waits
    assert waited_s == (daemon.ASK_S if command == "close" else daemon.READ_S)
    for said in (f"the daemon with pid {os.getpid()} ", "does not answer", f"it is {daemon.SILENT}"):
        assert said in str(done.exception)
