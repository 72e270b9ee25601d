"""The unit and the daemon under it: what systemd sees of a start, a stuck order path and a stop."""

import configparser
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import (
    FINISH_S,
    count,
    daemon,
    environment,
    eventually,
    run,
    status,
    write_config,
    write_ticks,
    zigzag,
)
from service_manager import WATCHDOG_S, systemd_at

from alphapanda.live import control
from alphapanda.live import life as promises
from alphapanda.live.endings import LAST_WORDS_S
from alphapanda.live.logs import LAST_LINES_S

REPO = Path(__file__).resolve().parents[2]
UNIT = REPO / "systemd" / "alphapanda.service"
OURS = re.compile(r"/opt/alphapanda/bin/alphapanda is not executable: No such file or directory")


def settings():
    """The [Service] section; of a key given more than once the last, which is enough here."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(UNIT)
    return parser["Service"]


def analyze(*words):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(
        ["systemd-analyze", *words, str(UNIT)], capture_output=True, text=True, timeout=FINISH_S, check=False
    )


def test_the_unit_has_no_mistake_but_the_command_that_is_not_installed_here():
    complaints = analyze("verify").stderr.splitlines()
    ours = [line for line in complaints if "alphapanda" in line]
    assert [line for line in ours if not OURS.search(line)] == []


def test_the_unit_leaves_an_intruder_little():
    done = analyze("security", "--offline=true", "--no-pager")
    exposure = re.search(r"Overall exposure level for alphapanda\.service: ([\d.]+)", done.stdout)
    assert exposure, done
    assert float(exposure[1]) <= 1.5


def test_the_unit_waits_longer_than_the_daemon_takes():
    unit = settings()
    drain = promises.FEED_DEADLINE_S + promises.DRAIN_DEADLINE_S + promises.STORE_DEADLINE_S
    assert float(unit["TimeoutStopSec"]) > drain + LAST_WORDS_S + LAST_LINES_S
    assert float(unit["WatchdogSec"]) >= 4 * promises.PULSE_S
    assert (unit["Type"], unit["NotifyAccess"]) == ("notify", "main")


def test_only_what_a_new_start_may_mend_is_started_again():
    unit = settings()
    assert unit["Restart"] == "on-failure"
    assert unit["RestartPreventExitStatus"].split() == ["2", "3"]


def test_the_unit_keeps_what_the_production_configuration_names(tmp_path):
    unit = settings()
    keys = {
        name: entry["value"]
        for name, entry in run(
            tmp_path, "--config", REPO / "config.toml", "--env", "production", "config", "show", "--json"
        )
        .document["keys"]
        .items()
    }
    assert keys["storage.path"].startswith(f"/var/lib/{unit['StateDirectory']}/")
    assert keys["control.kill_file"].startswith(f"/var/lib/{unit['StateDirectory']}/")
    assert keys["control.socket"].startswith(f"/run/{unit['RuntimeDirectory']}/")
    assert keys["logging.logs_dir"] == f"/var/log/{unit['LogsDirectory']}"


@pytest.fixture
def systemd(tmp_path):
    with systemd_at(tmp_path / "notify") as made:
        yield made


@pytest.fixture
def folder(tmp_path):
    write_ticks(tmp_path, zigzag(30))
    write_config(tmp_path)
    return tmp_path


def test_ready_comes_after_recovery_pings_follow_and_a_stop_is_announced(folder, systemd):
    assert run(folder, "run", "--no-calendar", "--until-end").code == 0
    written = count(folder, "journal")
    assert written
    assert systemd.listen() == []
    with daemon(folder, "--no-calendar", env=systemd.variables(), log="ready:") as started:
        started.until(lambda: systemd.times("READY=1"))
        assert status(folder)["state"] == "running"
        assert "30 rows were taken before" in started.stderr
        (ready,) = [message for message in systemd.heard if message.startswith("READY=1")]
        assert f"MAINPID={started.pid}" in ready.splitlines()
        assert "STATUS=PAPER · running · kill switch off" in ready
        before = systemd.heard.index(ready)
        assert all(message.startswith("EXTEND_TIMEOUT_USEC=") for message in systemd.heard[:before])
        assert before  # folding and warming up asked for time
        started.until(lambda: systemd.times("WATCHDOG=1") >= 3)
        started.send(signal.SIGTERM)
        assert started.ended() == 0
    assert systemd.times("STOPPING=1") == 1
    assert count(folder, "journal") >= written


def test_a_start_that_is_refused_is_never_ready(folder, systemd):
    write_config(folder, storage={"path": str(folder)})
    done = run(folder, "run", env=systemd.variables())
    assert done.code == 3
    assert systemd.times("READY=1") == 0


STUCK = """
import asyncio, signal, sys
from pathlib import Path
import anyio
from alphapanda.config import load
from alphapanda.live.daemon import Daemon
from alphapanda.live.logs import start_logging
from alphapanda.live.options import Options
from alphapanda.store import Store

stuck = asyncio.Event()
whole = Store.{method}

async def {method}(self, *args):
    if stuck.is_set():
        await asyncio.Event().wait()
    return await whole(self, *args)

Store.{method} = {method}

async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, stuck.set)
    loaded = load(Path("config.toml"))
    start_logging(loaded.settings.logging)
    await Daemon(loaded, Options(speed=2.0, calendar=False)).run()

anyio.run(main)
"""


@contextmanager
def child(folder, script, systemd):
    with (folder / "child.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", script], cwd=folder, env=environment(systemd.variables()), stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(FINISH_S)


@pytest.mark.parametrize("method", ["commit", "_write"])
def test_no_ping_comes_while_orders_are_stuck_although_the_loop_runs(folder, systemd, method):
    """`commit` is what execution waits for before it sends; `_write` is the store's own writer."""
    write_ticks(folder, zigzag(3600))
    with child(folder, STUCK.format(method=method), systemd) as process:
        eventually(lambda: systemd.times("WATCHDOG=1") >= 2, process=process)
        process.send_signal(signal.SIGUSR2)
        found = eventually(lambda: _idle(folder, systemd, process), process=process)
        assert found["state"] == "running"


def _idle(folder, systemd, process):
    """The status once systemd would have lost its patience: a whole WATCHDOG_S of pulses without a ping."""
    before, pulses = systemd.times("WATCHDOG=1"), _pulses(folder)
    eventually(lambda: _pulses(folder) >= pulses + 2 * WATCHDOG_S / promises.PULSE_S, process=process)
    return _asked(folder) if systemd.times("WATCHDOG=1") == before else None


def _pulses(folder):
    return _asked(folder)["stages"]["pulse"]["processed"]


def _asked(folder):
    """The control socket answers: it is the orders that are stuck, not the loop."""
    return control.ask(folder / "var/control.sock", {"command": "status"}, FINISH_S)["result"]
