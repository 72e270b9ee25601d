"""What the operator asks of a daemon at work: a real one, over its socket, on a replay in market time."""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journals import read, store_path
from running import daemon as child
from running import status, strategy, write_config, write_ticks, zigzag
from sessions import CASH, DEADLINE_S, until

from alphapanda.config import load
from alphapanda.events import Approved, Booked, Halt, OrderClosed, Refused, StrategyFailed, StrategyResumed
from alphapanda.live import control
from alphapanda.live.daemon import Daemon
from alphapanda.live.options import Options
from alphapanda.store import offline
from alphapanda.store.recovery import fold

SPEED = 200.0
LAST = 20_000
"""Rows at SPEED: the test is always done before the data is."""
MODULE = """
from alphapanda.core.strategy import Strategy


class Holder(Strategy):
    '''Opens once and holds; SLOW has one row only, so an order in it rests.'''

    bought = frozenset()

    def on_start(self, positions, orders):
        self.bought = frozenset(positions) | {order.instrument.instrument_token for order in orders}

    def on_market_data(self, tick):
        if tick.instrument_token in self.bought:
            return []
        self.bought |= {tick.instrument_token}
        return [self.buy(tick, 5)]


class Fragile(Strategy):
    '''Raises at one price, and counts the prices that it has seen since it was made.'''

    seen = 0

    def on_market_data(self, tick):
        self.seen += 1
        if tick.last_price == 77.0:
            raise ValueError("seventy-seven")
        return []
"""


@pytest.fixture
def folder(tmp_path):
    """A day of INFY that goes on for longer than any test; one early row of SLOW; a 77 in ODD."""
    (tmp_path / "own.py").write_text(MODULE)
    write_ticks(tmp_path, sorted([(0.5, "SLOW", 50.0), (0.6, "ODD", 77.0), *zigzag(LAST)]))
    return tmp_path


def holder(strategy_id="holder_1", instruments=("NSE:INFY", "NSE:SLOW")):
    return {"id": strategy_id, "class": "own:Holder", "instruments": list(instruments), "brokers": ["paper"]}


def fragile():
    return {"id": "fragile_1", "class": "own:Fragile", "instruments": ["NSE:ODD", "NSE:INFY"]}


class Desk:
    """A daemon at work, and its operator."""

    def __init__(self, daemon):
        self.daemon = daemon

    async def ask(self, command, **words):
        path = Path(self.daemon.settings.control.socket)
        request = {"command": command, "by": "uid 7"} | words
        return await asyncio.to_thread(control.ask, path, request, DEADLINE_S)

    async def do(self, command, **words):
        reply = await self.ask(command, **words)
        assert reply["ok"], reply
        return reply["result"]

    async def refused(self, command, **words):
        reply = await self.ask(command, **words)
        assert not reply["ok"], reply
        return reply["error"]

    @property
    def cores(self):
        return self.daemon.opened.cores

    def held(self):
        return {
            (p.strategy_id, p.instrument.tradingsymbol): p.quantity for p in self.cores.portfolio.positions()
        }

    def states(self):
        return {name: hosted.state for name, hosted in self.cores.strategy.hosted.items()}

    async def rows(self, more=10):
        before = self.daemon.walk.row
        await until(lambda: self.daemon.walk.row >= before + more)


@asynccontextmanager
async def at_work(folder, *strategies, calendar=False, **options):
    """Ready, and stopped at the end of the block."""
    loaded = load(write_config(folder, strategies=list(strategies)), environ={}, cwd=folder)
    daemon = Daemon(loaded, Options(calendar=calendar, **{"speed": SPEED} | options))
    task = asyncio.create_task(daemon.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            await until(lambda: task.done() or daemon.state == "running")
            assert not task.done(), task.result()
            yield Desk(daemon)
            daemon.stop()
            assert await task == 0
    finally:
        if not task.done():
            task.cancel()
        await asyncio.wait([task])


def run(main):
    return asyncio.run(main())


def of(kind, folder):
    return [event for event in read(store_path(folder)) if isinstance(event, kind)]


def assert_adds_up(folder):
    """Every position is the sum of its fills, and the equity that of the cash and what is held."""
    fills = [event.fill for event in of(Booked, folder)]
    sums = {}
    for fill in fills:
        key = (fill.strategy_id, fill.instrument.tradingsymbol)
        sums[key] = sums.get(key, 0) + fill.signed_quantity
    positions = offline.rows(folder / "var" / "alphapanda.db", "positions")
    assert {(row["strategy_id"], row["tradingsymbol"]): row["quantity"] for row in positions} == sums
    cash = CASH - sum((f.signed_quantity * f.price + f.charges for f in fills), Decimal(0))
    (standing,) = offline.standings(folder / "var" / "alphapanda.db")
    assert standing.cash == round(cash, 2)
    value = sum((row["quantity"] * Decimal(row["last_price"]) for row in positions), Decimal(0))
    assert standing.equity == round(cash + value, 2)


def test_a_pause_stops_entries_and_is_kept_over_a_restart(folder):
    async def first():
        async with at_work(folder, strategy()) as desk:
            said = await desk.do("strategy_pause", strategy_id="momentum_1", reason="results")
            assert said == {"strategy_id": "momentum_1", "was": "running", "state": "paused"}
            assert (await desk.do("strategy_pause", strategy_id="momentum_1"))["was"] == "paused"
            await desk.rows()

    async def second():
        async with at_work(folder, strategy()) as desk:
            assert desk.states() == {"momentum_1": "paused"}
            await desk.rows()
            assert (await desk.do("strategy_resume", strategy_id="momentum_1"))["state"] == "running"
            await until(desk.cores.execution.open_orders)

    run(first)
    before = len(read(store_path(folder)))
    run(second)
    said = read(store_path(folder))[before:]
    resumed = next(n for n, event in enumerate(said) if isinstance(event, StrategyResumed))
    assert not [event for event in said[:resumed] if isinstance(event, Approved)]
    assert {e.rule for e in said[:resumed] if isinstance(e, Refused)} == {"strategy_paused"}
    assert_adds_up(folder)


def test_a_pause_that_was_answered_outlives_kill_nine(folder):
    write_config(folder, strategies=[strategy()])
    path = folder / "var" / "control.sock"
    with child(folder, "--speed", str(SPEED)) as running:
        reply = control.ask(path, {"command": "strategy_pause", "strategy_id": "momentum_1"}, DEADLINE_S)
        assert reply["ok"]
        running.kill()
    assert offline.strategies(folder / "var" / "alphapanda.db")["momentum_1"]["state"] == "paused"
    with child(folder, "--speed", str(SPEED)) as running:
        assert status(folder)["strategies"]["momentum_1"]["state"] == "paused"


def test_a_quarantine_is_kept_over_a_restart_and_ended_by_a_resume_for_good(folder):
    async def raising():
        async with at_work(folder, fragile()) as desk:
            await until(lambda: desk.states()["fragile_1"] == "quarantined")

    async def resuming():
        async with at_work(folder, fragile()) as desk:
            assert desk.states()["fragile_1"] == "quarantined"
            assert (await desk.do("strategy_pause", strategy_id="fragile_1"))["state"] == "quarantined"
            said = await desk.do("strategy_resume", strategy_id="fragile_1")
            assert said == {"strategy_id": "fragile_1", "was": "quarantined", "state": "running"}
            await desk.rows()
            seen.append(desk.cores.strategy.hosted["fragile_1"].strategy.seen)

    async def later():
        async with at_work(folder, fragile()) as desk:
            assert desk.states()["fragile_1"] == "running"
            await desk.rows()
            assert desk.cores.strategy.hosted["fragile_1"].strategy.seen > seen[0]
            assert desk.cores.strategy.hosted["fragile_1"].errors == 0

    seen = []
    run(raising)
    run(resuming)
    run(later)  # the row that it raised on is not shown to it again
    assert [event.error for event in of(StrategyFailed, folder)] == ["ValueError: seventy-seven"]


def test_a_strategy_made_anew_is_blind_up_to_the_very_row_of_its_resume(folder):
    async def main():
        async with at_work(folder, fragile()) as desk:
            await until(lambda: desk.states()["fragile_1"] == "quarantined")
            await desk.rows()
            row = desk.daemon.walk.row
            await desk.do("strategy_resume", strategy_id="fragile_1")
            (blind,) = fold(read(store_path(folder))).renewed["fragile_1"].values()
            assert row <= blind <= desk.daemon.walk.row

    run(main)


def test_an_error_without_words_ends_neither_the_daemon_nor_the_journal(folder):
    (folder / "own.py").write_text(
        MODULE.replace('"seventy-seven"', '"\\ud800 " + "x" * 100_000').replace("ValueError(", "OSError(")
    )

    async def main():
        async with at_work(folder, fragile()) as desk:
            await until(lambda: desk.states()["fragile_1"] == "quarantined")
            await desk.rows()

    run(main)
    (failed,) = of(StrategyFailed, folder)
    assert failed.error.startswith("OSError: ? xxx")
    assert len(failed.error) <= 500


def test_cancel_all_cancels_what_rests_and_says_what(folder):
    async def main():
        async with at_work(folder, holder()) as desk:
            await until(lambda: desk.held() == {("holder_1", "INFY"): 5})
            (resting,) = desk.cores.execution.open_orders()
            (cancelled,) = (await desk.do("cancel_all", broker="paper"))["cancelled"]
            assert (cancelled["order_id"], cancelled["tradingsymbol"]) == (resting.order_id, "SLOW")
            assert (cancelled["status"], cancelled["filled_quantity"]) == ("CANCELLED", 0)
            assert await desk.do("cancel_all") == {"cancelled": []}
            assert desk.held() == {("holder_1", "INFY"): 5}

    run(main)
    assert [event.order.status for event in of(OrderClosed, folder)] == ["CANCELLED"]


@pytest.mark.parametrize("symbol", ["INFY", "nse:infy"])
def test_a_close_fills_at_the_next_row_and_the_book_adds_up(folder, symbol):
    async def main():
        async with at_work(folder, holder(), holder("other", ["NSE:INFY"])) as desk:
            await until(lambda: len(desk.held()) == 2)
            said = await desk.do("close", symbol=symbol, strategy_id="holder_1")
            row = desk.daemon.walk.row
            (closing_order,) = said["closing"]
            assert said["cancelled"] == []
            assert (closing_order["verdict"], closing_order["status"]) == ("approved", "OPEN")
            assert (closing_order["transaction_type"], closing_order["quantity"]) == ("SELL", 5)
            await until(lambda: desk.daemon.walk.row > row + 1)
            assert desk.held() == {("holder_1", "INFY"): 0, ("other", "INFY"): 5}

    run(main)
    assert [e.order.by for e in of(Approved, folder) if e.order.by] == ["uid 7"]
    bought, sold = [e for e in of(Booked, folder) if e.fill.strategy_id == "holder_1"]
    assert (bought.fill.quantity, sold.fill.quantity) == (5, 5)
    assert_adds_up(folder)


def test_close_all_cancels_what_rests_and_closes_everything_while_the_kill_switch_is_on(folder):
    async def main():
        async with at_work(folder, holder(), strategy()) as desk:
            await until(lambda: ("holder_1", "INFY") in desk.held() and ("momentum_1", "INFY") in desk.held())
            await desk.do("kill_switch_on", reason="news")
            await desk.rows(2)
            said = await desk.do("close")
            assert said["cancelled"] == []  # the kill switch had done that
            assert {one["verdict"] for one in said["closing"]} == {"approved"}
            await until(lambda: not any(desk.held().values()))
            assert (await desk.do("close"))["closing"] == []

    run(main)
    said = read(store_path(folder))
    (halt,) = [n for n, event in enumerate(said) if isinstance(event, Halt)]
    assert all(event.order.by == "uid 7" for event in said[halt:] if isinstance(event, Approved))
    assert_adds_up(folder)


def test_a_kill_after_a_close_cancels_what_strategies_rest_and_leaves_the_close(folder):
    async def main():
        async with at_work(folder, holder()) as desk:
            await until(lambda: desk.held() == {("holder_1", "INFY"): 5})
            desk.daemon.walk._pace._speed = 0.001  # no row comes between the close and the kill
            await desk.rows(1)
            assert len((await desk.do("close", symbol="INFY"))["closing"]) == 1
            await desk.do("kill_switch_on", reason="nothing may be opened again")
            await until(lambda: len(desk.cores.execution.open_orders()) == 1)
            (left,) = desk.cores.execution.open_orders()
            assert (left.instrument.tradingsymbol, left.by) == ("INFY", "uid 7")

    run(main)
    (gone,) = of(OrderClosed, folder)
    assert gone.order.instrument.tradingsymbol == "SLOW"


@pytest.mark.parametrize("symbol", ["", "  "])
def test_a_symbol_that_is_empty_is_not_every_symbol(folder, symbol):
    async def main():
        async with at_work(folder, holder()) as desk:
            await until(lambda: desk.held() == {("holder_1", "INFY"): 5})
            assert "the symbol is empty" in await desk.refused("close", symbol=symbol)
            assert desk.held() == {("holder_1", "INFY"): 5}

    run(main)
    assert not [event for event in of(Approved, folder) if event.order.by]


def test_a_close_under_the_kill_switch_survives_a_restart_before_its_fill(folder):
    async def first():
        async with at_work(folder, holder()) as desk:
            await until(lambda: desk.held() == {("holder_1", "INFY"): 5})
            await desk.do("kill_switch_on", reason="news")
            desk.daemon.walk._pace._speed = 0.001  # no further row comes before the daemon is stopped
            await desk.rows(1)
            assert len((await desk.do("close"))["closing"]) == 1
            assert desk.held() == {("holder_1", "INFY"): 5}

    async def second():
        async with at_work(folder, holder()) as desk:
            await until(lambda: not any(desk.held().values()))

    run(first)
    run(second)
    assert_adds_up(folder)


@pytest.mark.parametrize("name", ["square-off", "rms"])
def test_a_person_who_is_called_like_a_part_of_the_house_is_a_person(folder, name):
    async def main():
        async with at_work(folder, holder()) as desk:
            await until(lambda: desk.held() == {("holder_1", "INFY"): 5})
            await desk.do("kill_switch_on", reason="news")
            (closing_order,) = (await desk.do("close", symbol="INFY", by=name))["closing"]
            assert closing_order["verdict"] == "approved"
            await until(lambda: not any(desk.held().values()))

    run(main)
    assert [e.order.by for e in of(Approved, folder) if e.order.by] == [f"user {name}"]


def test_resting_orders_of_a_symbol_go_though_nothing_is_held_in_it(folder):
    async def main():
        async with at_work(folder, holder()) as desk:
            await until(lambda: desk.held() == {("holder_1", "INFY"): 5})
            said = await desk.do("close", symbol="SLOW")
            assert [order["tradingsymbol"] for order in said["cancelled"]] == ["SLOW"]
            assert said["closing"] == []
            error = await desk.refused("close", symbol="SLOW", strategy_id="holder_1")
            assert error == "no open position in SLOW of holder_1; open positions are: INFY"

    run(main)


MISTAKES = (
    ("strategy_pause", {"strategy_id": "nope"}, "no strategy 'nope' runs here; there are: holder_1"),
    ("strategy_resume", {}, "no strategy 'None' runs here"),
    ("cancel_all", {"broker": "nope"}, "no broker 'nope' is active; there are: paper"),
    ("close", {"strategy_id": "nope"}, "no strategy 'nope'; there are: holder_1"),
    ("close", {"symbol": "NOPE"}, "no open position in NOPE; open positions are: INFY"),
    ("stage_restart", {"stage": "nope"}, "no stage 'nope'; see alphapanda stages list; alone can: pulse"),
    ("stage_restart", {"stage": "risk"}, "risk shares its state with the line: use alphapanda restart"),
    ("stage_restart", {"stage": "store"}, "store cannot be restarted alone: use alphapanda restart"),
)


def test_what_was_misspelt_is_said_and_changes_nothing(folder):
    async def main():
        async with at_work(folder, holder()) as desk:
            await until(lambda: desk.held() == {("holder_1", "INFY"): 5})
            for command, words, error in MISTAKES:
                assert (await desk.refused(command, **words)).startswith(error)
            assert len(desk.cores.execution.open_orders()) == 1
            assert desk.states() == {"holder_1": "running"}

    run(main)


def test_after_the_data_has_ended_nothing_can_be_closed_and_that_is_said(folder):
    write_ticks(folder, [(0.5, "SLOW", 50.0), *zigzag(4)])

    async def main():
        async with at_work(folder, holder(), speed=None) as desk:
            await desk.daemon.walk.ended.wait()
            error = await desk.refused("close", symbol="INFY")
            assert error == "the data has ended: no price will come that could fill an order"
            assert desk.held() == {("holder_1", "INFY"): 5}

    run(main)


def test_outside_the_session_a_close_is_refused_with_its_rule(folder):
    day = 24_000.0
    write_ticks(folder, [*zigzag(4), *((day + second, "INFY", 100.0) for second in range(LAST))])

    async def main():
        async with at_work(folder, holder(instruments=["NSE:INFY"]), calendar=True) as desk:
            await until(lambda: desk.daemon.walk.row > 4)
            (said,) = (await desk.do("close"))["closing"]
            assert (said["verdict"], said["rule"], said["order_id"]) == ("refused", "market_closed", None)
            assert desk.held() == {("holder_1", "INFY"): 5}

    run(main)


def test_the_pulse_is_started_anew_and_nothing_else_notices(folder):
    async def main():
        async with at_work(folder, holder()) as desk:
            assert await desk.do("stage_restart", stage="pulse") == {"stage": "pulse", "restarts": 1}
            gauge = desk.daemon.helpers["pulse"]
            await until(lambda: gauge.restarts == 1)
            beats = gauge.processed
            await until(lambda: gauge.processed > beats)
            await desk.rows()

    run(main)


def test_the_watchdog_hears_of_no_step_back_when_the_pulse_is_started_anew(folder):
    async def main():
        async with at_work(folder, holder()) as desk:
            told, say = [], desk.daemon.notifier.alive
            desk.daemon.notifier.alive = lambda progress, words: (told.append(progress), say(progress, words))
            desk.daemon.walk._pace._speed = 0.001  # a quiet feed: the store has nothing to do
            await until(lambda: len(told) > 3)
            await desk.do("stage_restart", stage="pulse")
            beats = len(told)
            await until(lambda: len(told) > beats + 2)
            for part in told[0]:
                counts = [progress[part] for progress in told]
                assert counts == sorted(counts), part

    run(main)


def test_commands_at_once_are_done_one_after_the_other(folder):
    async def main():
        async with at_work(folder, holder(), strategy()) as desk:
            await until(lambda: ("holder_1", "INFY") in desk.held())
            closes = await asyncio.gather(*(desk.do("close", strategy_id="holder_1") for _ in range(4)))
            # Each cancels the order of the one before it, unless that has filled by then.
            approved = sum(len(said["closing"]) for said in closes)
            cancelled = sum(one["transaction_type"] == "SELL" for said in closes for one in said["cancelled"])
            assert approved - cancelled == 1
            await until(lambda: desk.held()["holder_1", "INFY"] == 0)
            await asyncio.gather(
                desk.do("strategy_pause", strategy_id="momentum_1"),
                desk.do("cancel_all"),
                desk.do("kill_switch_on", reason="news"),
                desk.do("stage_restart", stage="pulse"),
            )
            assert desk.states()["momentum_1"] == "paused"
            await until(lambda: not desk.cores.execution.open_orders())

    run(main)
    assert_adds_up(folder)


def test_a_daemon_that_is_starting_or_stopping_takes_no_command(folder):
    async def main():
        async with at_work(folder, holder()) as desk:
            life = desk.daemon._life
            turns, life.walk = life.walk, None
            assert "still starting" in await desk.refused("close")
            life.walk = turns
            turns.stopping = True
            for command, words in (
                ("close", {}),
                ("cancel_all", {}),
                ("strategy_pause", {"strategy_id": "holder_1"}),
                ("strategy_resume", {"strategy_id": "holder_1"}),
            ):
                assert "the daemon is stopping" in await desk.refused(command, **words)

    run(main)


commands = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.sampled_from(
            [
                ("strategy_pause", {"strategy_id": "momentum_1"}),
                ("strategy_resume", {"strategy_id": "momentum_1"}),
                ("cancel_all", {}),
                ("close", {}),
                ("close", {"strategy_id": "holder_1"}),
                ("kill_switch_on", {"reason": "news"}),
                ("kill_switch_off", {"reason": "over"}),
            ]
        ),
    ),
    min_size=3,
    max_size=12,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commands)
def test_whatever_the_operator_does_in_between_the_book_adds_up(folder, tmp_path_factory, commands):
    where = tmp_path_factory.mktemp("session")
    for name in ("own.py", "prices"):
        (where / name).symlink_to(folder / name)

    async def main():
        async with at_work(where, holder(), strategy(), strategy("slow_one"), speed=2000.0) as desk:
            for rows, (command, words) in commands:
                await desk.rows(rows)
                await desk.do(command, **words)
                paused = desk.states()["momentum_1"] == "paused"
                assert paused == (offline.strategies(path).get("momentum_1", {}).get("state") == "paused")
            await desk.rows(2)

    path = where / "var" / "alphapanda.db"
    run(main)
    if of(Booked, where):
        assert_adds_up(where)
