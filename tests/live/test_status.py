"""The document of `status`, from the parts of a line at work."""

import json
import os

import msgspec
import pytest
from builders import batch, tick
from sessions import CASH, momentum, plan, rows, session

import alphapanda
from alphapanda.config import Settings
from alphapanda.live.counters import Counters
from alphapanda.live.line import Gauge, Line
from alphapanda.live.status import status_of
from alphapanda.pipeline import build_cores

OFF = {"on": False, "reason": "", "by": "", "since": None}
ON = {"on": True, "reason": "news", "by": "uid 7", "since": "2024-06-03T10:00:00+05:30"}


def status(**changes):
    defaults = {
        "settings": Settings(environment="rehearsal"),
        "state": "running",
        "started_ns": 1_717_389_000_000_000_000,
        "kill_switch": OFF,
        "trading_enabled": True,
        "line": Line(lambda _: None),
        "helpers": {"control": Gauge(), "store": Gauge()},
        "counters": Counters(),
        "cores": None,
    }
    return json.loads(msgspec.json.encode(status_of(**defaults | changes)))


def test_it_has_the_keys_that_scripts_rely_on():
    said = status()
    assert {
        "state", "trading_enabled", "kill_switch", "pid", "started_at", "uptime_s", "version", "environment",
        "stages", "brokers", "strategies", "ticks", "latency_us", "redis",
    } <= set(said)  # fmt: skip
    assert said["pid"] == os.getpid()
    assert said["version"] == alphapanda.__version__
    assert said["environment"] == "rehearsal"
    assert said["started_at"] == "2024-06-03T10:00:00+05:30"
    assert said["uptime_s"] > 0
    assert set(said["ticks"]) == {"received", "per_second", "last_age_s", "instruments"}
    for figures in (said["latency_us"]["tick_to_signal"], said["latency_us"]["tick_to_order"]):
        assert set(figures) == {"p50", "p99", "max", "count"}
    assert said["redis"] == {"enabled": False, "connected": False, "dropped": 0}


@pytest.mark.parametrize(
    ("state", "switch", "shown"),
    [
        ("starting", OFF, "starting"),
        ("starting", ON, "starting"),
        ("running", OFF, "running"),
        ("running", ON, "halted"),
        ("stopping", ON, "stopping"),
    ],
)
def test_a_running_daemon_that_may_not_trade_is_halted(state, switch, shown):
    said = status(state=state, kill_switch=switch, trading_enabled=False)
    assert said["state"] == shown
    assert said["trading_enabled"] is False
    assert said["kill_switch"] == switch


def test_every_stage_and_helper_has_a_queue_and_its_progress():
    line = Line(lambda _: None, capacity=2)
    for number in range(5):
        line.publish(batch(tick(number + 1.0)))
    line.gauges["risk"].state = "running"
    line.gauges["risk"].note()
    line.gauges["risk"].restarts = 2
    stages = status(line=line)["stages"]
    assert list(stages) == ["feed", "strategy", "risk", "execution", "portfolio", "control", "store"]
    risk = stages["risk"]
    assert risk.pop("last_progress_s") >= 0
    assert risk == {
        "state": "running",
        "restarts": 2,
        "processed": 1,
        "queue": {"depth": 3, "capacity": 2, "folded": 2},
    }
    assert stages["execution"]["queue"]["depth"] == 0
    assert stages["store"]["state"] == "starting"


def test_brokers_and_strategies_are_unknown_until_recovery_is_done():
    said = status()
    assert (said["brokers"], said["strategies"]) == ({}, {})


def test_each_broker_and_strategy_has_its_figures():
    cores, _ = session(rows([(0, 100.0), (0, 102.0), (0, 103.0), (1, 100.0), (1, 102.0)]))
    said = status(cores=cores)
    paper = said["brokers"]["paper"]
    assert (paper["connected"], paper["orders_open"], paper["orders_total"]) == (True, 1, 2)
    assert paper["positions_open"] == 1
    assert paper["cash"] == pytest.approx(float(cores.portfolio.balances()[0].cash), abs=0.005)
    total = float(CASH) + paper["realized_pnl"] + paper["unrealized_pnl"] - paper["charges"]
    assert paper["equity"] == pytest.approx(total, abs=0.001)
    assert said["strategies"] == {
        "momentum_1": {"state": "running", "signals": 2, "errors": 0},
        "greedy": {"state": "running", "signals": 2, "errors": 0},
    }


def test_a_strategy_that_raised_is_shown_as_quarantined():
    class Broken(type(momentum())):
        def on_market_data(self, tick):
            raise ZeroDivisionError

    cores = build_cores(plan(Broken("broken", [tick(1).instrument_token], ["paper"])))
    cores.strategy.on(batch(tick(100)))
    assert status(cores=cores)["strategies"]["broken"] == {"state": "quarantined", "signals": 0, "errors": 1}
