"""What systemd hears, and above all when it hears nothing: no watchdog without progress of the order path."""

import os
import socket
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.live.notify import Notifier, Watchdog
from alphapanda.live.status import headline

PARTS = ("strategy", "execution", "store")


@contextmanager
def systemd(path):
    """A datagram socket; a path of any length is bound through its folder."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.setblocking(False)
        if path.startswith("@"):
            heard.bind("\0" + path[1:])
        else:
            folder = os.open(Path(path).parent, os.O_RDONLY)
            heard.bind(f"/proc/self/fd/{folder}/{Path(path).name}")
            os.close(folder)
        yield heard


def messages(heard):
    found = []
    while True:
        try:
            found.append(heard.recv(4096).decode())
        except BlockingIOError:
            return found


@pytest.fixture
def heard(tmp_path):
    with systemd(str(tmp_path / "notify")) as made:
        yield made


def notifier(tmp_path, **variables):
    return Notifier.from_environment({"NOTIFY_SOCKET": str(tmp_path / "notify")} | variables)


def words():
    return "PAPER · running"


@pytest.mark.parametrize("kind", ["short", "abstract", "long"])
def test_ready_comes_at_any_kind_of_address(tmp_path, kind):
    folder = tmp_path / ("d" * 150 if kind == "long" else "d")
    folder.mkdir()
    path = f"@alphapanda-test-{os.getpid()}" if kind == "abstract" else str(folder / "notify")
    with systemd(path) as heard:
        Notifier.from_environment({"NOTIFY_SOCKET": path}).ready("PAPER ·\nrunning")
        assert messages(heard) == [f"READY=1\nMAINPID={os.getpid()}\nSTATUS=PAPER · running"]


@pytest.mark.parametrize(
    "address", ["", "/nowhere/notify", "relative", "vsock:2:1", "/a\0b", "@gone", "/" * 200]
)
def test_nobody_there_hurts_nobody(address):
    told = Notifier.from_environment({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1"})
    told.ready("x")
    told.extend()
    told.alive({}, words)
    told.stopping()
    owed = [message.partition("=")[0] for message in told._owed]
    assert owed == (["READY", "STOPPING"] if address.startswith(("/", "@")) else [])


def test_the_variables_are_not_left_to_children(tmp_path):
    environ = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    Notifier.from_environment(environ)
    assert environ == {"HOME": "/"}


def test_stopping_is_said_once(tmp_path, heard):
    told = notifier(tmp_path)
    told.stopping()
    told.stopping()
    (message,) = messages(heard)
    assert message.startswith("STOPPING=1\nSTATUS=")


def test_more_time_is_asked_for_at_most_once_a_second(tmp_path, heard):
    told = notifier(tmp_path)
    for _ in range(1000):
        told.extend()
    assert 1 <= len(messages(heard)) < 1000
    told._extended -= 10
    told.extend()
    assert messages(heard) == ["EXTEND_TIMEOUT_USEC=30000000"]


def test_what_must_arrive_is_said_again_when_systemd_was_too_busy(tmp_path, heard):
    told = notifier(tmp_path)
    filling = 0
    while told._send("STATUS=filling"):
        filling += 1
    told.ready("at last")
    assert messages(heard) == ["STATUS=filling"] * filling
    told.alive({}, words)
    assert messages(heard)[0].startswith("READY=1")
    told.alive({}, words)
    assert messages(heard) == []


@pytest.mark.parametrize(
    ("variables", "fed"),
    [
        ({"WATCHDOG_USEC": "1"}, True),
        ({"WATCHDOG_USEC": "1", "WATCHDOG_PID": str(os.getpid())}, True),
        ({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}, False),
        ({"WATCHDOG_USEC": "0"}, False),
        ({"WATCHDOG_USEC": "soon"}, False),
        ({}, False),
    ],
)
def test_the_watchdog_is_fed_when_systemd_asked_this_process_for_it(tmp_path, heard, variables, fed):
    told = notifier(tmp_path, **variables)
    told.alive(dict.fromkeys(PARTS, 1), words)
    told.alive(dict.fromkeys(PARTS, 1), words)
    assert messages(heard).count("WATCHDOG=1") == int(fed)


def test_the_status_line_is_for_people_and_not_at_every_pulse(tmp_path, heard):
    told = notifier(tmp_path)
    for _ in range(5):
        told.alive({}, words)
    assert messages(heard) == ["STATUS=PAPER · running"]


def test_the_headline_is_the_first_line_of_status():
    switch = {"on": True, "reason": "test", "by": "asha"}
    status = {
        "mode": "LIVE",
        "state": "halted",
        "kill_switch": switch,
        "brokers": {"zerodha": {"session": {"alive": True, "age_s": 5400.0}}},
        "ticks": {"last_age_s": 1.25},
    }
    assert headline(status) == "LIVE · halted · kill switch on (test, by asha) · feed age 1.2 s · token 1.5 h"
    status["brokers"]["zerodha"]["session"]["alive"] = False
    assert headline(status).endswith(" · token dead")
    stopped = {"mode": "PAPER", "state": "starting", "kill_switch": {"on": False}}
    assert headline(stopped) == "PAPER · starting · kill switch off · feed age - · token -"


steps = st.lists(
    st.tuples(st.floats(0, 3, allow_nan=False), st.sets(st.sampled_from(PARTS))), min_size=1, max_size=40
)


@given(steps)
def test_it_is_fed_only_after_progress_everywhere_and_never_too_often(steps):
    watchdog, now = Watchdog(4.0, 0.0), 0.0
    counts, at_last_yes, last_yes = dict.fromkeys(PARTS, 0), None, None
    for passed, moved in steps:
        now += passed
        counts = {part: count + (part in moved) for part, count in counts.items()}
        said = watchdog.decide(now, counts)
        everywhere = at_last_yes is None or all(counts[part] > at_last_yes[part] for part in PARTS)
        assert said == (everywhere and (last_yes is None or now >= last_yes + 2.0))
        if said:
            at_last_yes, last_yes = counts, now
