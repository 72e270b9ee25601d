"""M02, M03: a daemon is killed with -9 at every fail point there is, one life after the other.

The lives follow each other in one folder: each begins with the recovery from the crash before, while faults
are on and orders are in flight. So a crash at a point of the start is one during recovery. At the end the
oracle judges what all of them left. A point is met by what its `met` says; a new one comes by itself.
"""

import json
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from running import answer, run, strategy, write_config, write_ticks, zigzag

from alphapanda.fail_points import VARIABLE, FailPoint, Met

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from campaign_kill9 import LIMITS, QUIET_S, config_of, held_at, script, shares_of
from oracle.evidence import Evidence
from oracle.judge import judge
from oracle.witness import witness
from trial_children import TOKEN, ExchangeChild, exchange_child
from trial_lives import STORE, Plan, Run

POINTS = [point for point in FailPoint if point.met not in (Met.TASK, Met.TURNS)]
OF_TURNS = [point for point in FailPoint if point.met is Met.TURNS]
PASSAGE = {Met.ORDERS: 5}
"""While orders flow, and not in the start that comes by as well."""
DECIDED = ("I1", "I2", "I3", "I4", "I5", "I6", "I12", "I13", "I14")
SECONDS = 40


class Lives:
    """All lives of this file, and what is left of them."""

    def __init__(self, server: ExchangeChild, wire: Any, folder: Path) -> None:
        self.server = server
        self.wire = wire
        self.run = Run(folder, config_of(server, wire, shares_of(server)), lambda _: None)
        self.numbers = count(1, 2)
        """Odd ones: the others are looked at now and then, which takes its time."""
        self.faults: list[dict[str, Any]] = []

    def die(self, point: FailPoint) -> None:
        self.run.live(Plan(point, PASSAGE.get(point.met, 1)), next(self.numbers))

    def settle(self) -> Evidence:
        self.faults = self.server.admin("faults")["faults"]
        self.server.admin("faults", {"clear": True, "fault": []})
        self.run.settle(next(self.numbers))
        folder = self.run.folder
        return Evidence(
            stores=[folder / STORE],
            history=[json.loads(line) for line in self.server.get("/admin/history").splitlines()],
            wire=self.wire.lines(),
            commands=self.run.commands,
            lives=self.run.lives,
            settled=True,
            quiet_period_s=QUIET_S,
            limits=LIMITS,
            positions=held_at(self.server),
            outputs=sorted(folder.glob("daemon-*.log")),
            secrets=[TOKEN],
        )


@pytest.fixture(scope="module")
def lives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crashes")
    words = ("--seed", 3, "--ticks-per-second", 4, "--cash", 10**9, "--no-rate-limits")
    with exchange_child(*words) as server, witness(server.url, folder / STORE, folder) as wire:
        server.admin("faults", script())
        yield Lives(server, wire, folder)


@pytest.mark.parametrize("point", POINTS)
def test_M02_a_daemon_dies_at_every_fail_point(lives, point):  # noqa: N802 - the fault's name
    before = len(lives.run.wrong)
    lives.die(point)
    assert lives.run.wrong[before:] == []
    assert lives.run.fired[point] == 1, "it was not come by"


def test_M03_after_all_these_deaths_nothing_is_lost_or_doubled(lives):  # noqa: N802 - the fault's name
    evidence = lives.settle()
    assert lives.run.wrong == []
    broken = judge(evidence, decided=DECIDED)
    assert not broken, "\n".join(map(str, broken))
    assert lives.run.select("SELECT count(*) FROM orders WHERE broker_order_id IS NOT NULL")[0][0] > 10
    assert sum(fault["count"] for fault in lives.faults) > 10, "the exchange was too kind"


def replayed(folder: Path, point: FailPoint | None = None, passage: int = 1) -> int:
    """The exit code of a replay to the end of its data."""
    env = {} if point is None else {VARIABLE: f"{point}:{passage}"}
    return run(folder, "run", "--until-end", env=env).code


def traded(folder: Path) -> list[dict[str, Any]]:
    """The trades, whatever the numbers of the orders: one that did not reach paper is asked for again."""
    trades = [{**row, "order_id": "", "trade_id": ""} for row in answer(folder, "trades")]
    return [*trades, *answer(folder, "positions")]


def test_M02_a_replay_that_dies_at_every_point_of_a_turn_ends_as_one_that_does_not(tmp_path):  # noqa: N802 - the fault's name
    """At its 4th passage after the recovery from the death before."""
    folders = tmp_path / "left alone", tmp_path / "killed"
    for folder in folders:
        folder.mkdir()
        write_ticks(folder, zigzag(SECONDS))
        write_config(folder, strategies=[strategy()])
    assert replayed(folders[0]) == 0
    for point in OF_TURNS:
        assert replayed(folders[1], point, 4) == -9, point
    assert replayed(folders[1]) == 0
    assert len(traded(folders[0])) > SECONDS // 2
    assert traded(folders[1]) == traded(folders[0])
