"""A line whose core failed begins anew, from the journal, in the same process; and not for ever."""

import asyncio
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import anyio
import pytest
from running import strategy, write_config, write_ticks, zigzag
from sessions import DEADLINE_S, until

from alphapanda.config import load
from alphapanda.core.execution import TradingEngine
from alphapanda.core.portfolio import PortfolioManager
from alphapanda.core.risk import RiskManager
from alphapanda.core.runner import StrategyRunner
from alphapanda.errors import Fatal
from alphapanda.events import FeedRestarted
from alphapanda.live import control
from alphapanda.live.daemon import Daemon
from alphapanda.live.life import Life
from alphapanda.live.options import Options
from alphapanda.live.supervisor import GaveUp
from alphapanda.pipeline import Stage
from alphapanda.store import Store

ROWS = 40
CORES = {
    "strategy": StrategyRunner,
    "risk": RiskManager,
    "execution": TradingEngine,
    "portfolio": PortfolioManager,
}


class CoreError(Exception):
    """A mistake in a core."""


@pytest.fixture
def folder(tmp_path):
    return made(tmp_path)


def made(path):
    path.mkdir(exist_ok=True)
    write_ticks(path, zigzag(ROWS))
    write_config(path, strategies=[strategy(), strategy("momentum_2")])
    return path


def breaking(monkeypatch, core, at):
    """The core raises at its events of these numbers, counted over all that are built; half changed."""
    whole, count = core.on, 0

    def on(self, event):
        nonlocal count
        count += 1
        outputs = whole(self, event)
        if count in at:
            raise CoreError(f"event {count}")
        return outputs

    monkeypatch.setattr(core, "on", on)


def walk(folder, **options):
    """The exit code of a run to the end of its data."""

    async def main():
        async with asyncio.timeout(DEADLINE_S):
            return await daemon_of(folder, until_end=True, **options).run()

    return asyncio.run(main())


def daemon_of(folder, **options):
    return Daemon(load(folder / "config.toml", environ={}, cwd=folder), Options(calendar=False, **options))


def trades(folder):
    """All of them but the order's number: an order that never reached its broker is made anew."""
    rows = query(folder, "SELECT * FROM trades ORDER BY traded_ns, trade_id, strategy_id")
    return [{name: row[name] for name in row if name != "order_id"} for row in rows]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = made(tmp_path_factory.mktemp("undisturbed"))
    assert walk(folder) == 0
    found = trades(folder)
    assert len(found) > 10
    return found


@pytest.mark.parametrize("stage", CORES)
@pytest.mark.parametrize("at", [1, 5, 20, 53])
def test_a_core_that_raised_is_built_anew_from_the_journal(
    folder, undisturbed, monkeypatch, logged, stage, at
):
    breaking(monkeypatch, CORES[stage], {at})
    assert walk(folder) == 0
    assert any(f"{stage} failed: CoreError: event {at}" in line for line in logged)
    assert len([line for line in logged if line.startswith("ready")]) == 2
    assert trades(folder) == undisturbed


def test_a_core_that_raises_twice_in_five_minutes_ends_the_daemon(folder, monkeypatch, logged):
    breaking(monkeypatch, TradingEngine, {8, 20})
    with pytest.raises(
        GaveUp, match=r"the line failed 2 times in 300 s, last: execution failed: CoreError: event 20"
    ):
        walk(folder)
    assert not control_socket(folder).exists()


def test_what_is_fatal_is_not_tried_again(folder, monkeypatch, logged):
    def fatal(_self, _event):
        raise Fatal("nothing more can be believed")

    monkeypatch.setattr(PortfolioManager, "on", fatal)
    with pytest.raises(Fatal, match="nothing more can be believed"):
        walk(folder)
    assert len([line for line in logged if line.startswith("ready")]) == 1


def test_a_run_from_the_start_goes_on_after_its_core_was_built_anew(folder, undisturbed, monkeypatch):
    breaking(monkeypatch, TradingEngine, {9})
    assert walk(folder, from_start=True) == 0
    assert trades(folder) == undisturbed


def test_the_doors_stay_open_between_two_lives(folder, monkeypatch):
    """And a kill that comes in between holds for the line that follows."""
    daemon = daemon_of(folder)
    breaking(monkeypatch, RiskManager, {25})
    whole = Daemon._renew
    before, killed, ready = [], [], []

    async def renew(self, house, store):
        before.append(self._life)
        ready.append(self.gate.ready)
        killed.append(await ask(folder, "kill_switch_on", reason="between"))
        return await whole(self, house, store)

    monkeypatch.setattr(Daemon, "_renew", renew)

    async def main():
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(daemon.run())
            await until(lambda: killed and daemon._life is not before[0] and daemon.state == "running")
            assert (await ask(folder, "status"))["result"]["state"] == "halted"
            daemon.stop()
            assert await running == 0

    asyncio.run(main())
    assert ready == [False], "nothing leaves while there are no cores"
    assert killed[0]["ok"]
    (row,) = query(folder, "SELECT is_on, reason FROM kill_switch")
    assert (row["is_on"], row["reason"]) == (1, "between")


def test_an_operator_who_waits_for_a_line_that_failed_is_told(folder, monkeypatch):
    """The close leads to an event at which execution raises: its answer is an error, not silence."""
    daemon = daemon_of(folder, speed=0.001)
    whole = TradingEngine.on

    def on(self, event):
        if type(event).__name__ == "Halt":
            raise CoreError("no cancel")
        return whole(self, event)

    monkeypatch.setattr(TradingEngine, "on", on)

    async def main():
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(daemon.run())
            await until(lambda: daemon.state == "running")
            before = daemon._life
            said = await ask(folder, "kill_switch_on", reason="now")
            assert said["ok"]
            await until(lambda: daemon._life is not before and daemon.state == "running")
            assert daemon.gate.killed
            daemon.stop()
            await running

    asyncio.run(main())


def test_a_live_feed_that_failed_and_goes_on_tells_the_strategies(folder):
    """Between its prices is a gap, across which nothing may be compared."""
    daemon = daemon_of(folder)
    daemon.store = Store(folder / "never_opened.db")
    inbox, begun = daemon.line.inboxes[Stage.STRATEGY], asyncio.Event()

    class Feed:
        time_ns = 7

        async def run(self):
            if not begun.is_set():
                begun.set()
                assert not len(inbox), "the first start is no gap"
                raise CoreError("no prices")
            await asyncio.Event().wait()

    async def main():
        async with asyncio.timeout(DEADLINE_S), anyio.create_task_group() as stages:
            Life(daemon._house(), daemon.store)._start_feed(stages, SimpleNamespace(rows=None), Feed())
            assert await inbox.get() == FeedRestarted(7)
            stages.cancel_scope.cancel()

    asyncio.run(main())


def query(folder, sql):
    with closing(sqlite3.connect(folder / "var/alphapanda.db")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql)]


def control_socket(folder):
    return folder / "var/control.sock"


async def ask(folder, command, **more):
    request = {"command": command} | more
    return await asyncio.to_thread(control.ask, control_socket(folder), request, DEADLINE_S)
