"""Limits that are changed while it runs: over the socket of a real daemon, and of one that is stopped."""

import asyncio
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from journals import read, store_path
from running import strategy, write_config, write_ticks, zigzag
from sessions import DEADLINE_S, until

from alphapanda.config import load
from alphapanda.errors import CannotStart
from alphapanda.events import Approved, LimitChanged, Refused, Scope
from alphapanda.live import control
from alphapanda.live.daemon import Daemon
from alphapanda.live.limits import reset_words, sorted_out, wanted, within
from alphapanda.live.opening import at_rest
from alphapanda.live.options import Options
from alphapanda.store import offline

SPEED = 200.0
OFF = {"max_orders_per_minute": 0, "max_orders_per_day": 0}
"""Of zigzag, which trades each second."""


@pytest.fixture
def folder(tmp_path):
    write_ticks(tmp_path, zigzag(20_000))
    return tmp_path


def loaded(folder, **sections):
    path = write_config(folder, strategies=[strategy()], **{"risk": OFF} | sections)
    return load(path, environ={}, cwd=folder)


@asynccontextmanager
async def at_work(folder, **sections):
    daemon = Daemon(loaded(folder, **sections), Options(calendar=False, speed=SPEED))
    task = asyncio.create_task(daemon.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            await until(lambda: task.done() or daemon.state == "running")
            assert not task.done(), task.result()
            yield daemon
            daemon.stop()
            assert await task == 0
    finally:
        if not task.done():
            task.cancel()
        await asyncio.wait([task])


async def ask(daemon, command, **words):
    path = Path(daemon.settings.control.socket)
    request = {"command": command, "by": "asha", "reason": "test"} | words
    return await asyncio.to_thread(control.ask, path, request, DEADLINE_S)


async def do(daemon, command, **words):
    reply = await ask(daemon, command, **words)
    assert reply["ok"], reply
    return reply["result"]


async def refused(daemon, command, **words):
    reply = await ask(daemon, command, **words)
    assert not reply["ok"], reply
    return reply["error"]


def verdicts(events):
    return [event for event in events if isinstance(event, Approved | Refused)]


async def signals(daemon, more=6):
    before = daemon.opened.cores.strategy.hosted["momentum_1"].made
    await until(lambda: daemon.opened.cores.strategy.hosted["momentum_1"].made >= before + more)


def test_every_order_after_the_answer_obeys_and_none_before_was_judged_by_it(folder):
    async def main():
        async with at_work(folder) as daemon:
            await until(lambda: daemon.counters.ticks > 20)
            answer = await do(daemon, "risk_set", key="max_order_quantity", value="2")
            assert (answer["old"], answer["new"], answer["looser"], answer["changed"]) == (
                "1000", "2", False, True
            )  # fmt: skip
            marks.append(len(read(store_path(folder))))
            row = daemon.walk.row
            await until(lambda: daemon.walk.row > row + 20)

    marks = []
    asyncio.run(main())
    said = read(store_path(folder))
    at = next(n for n, event in enumerate(said) if isinstance(event, LimitChanged))
    assert at < marks[0]  # it was durable before the answer
    entries = [e for e in verdicts(said[at:]) if e.signal.position_effect == "OPEN"]
    assert entries
    assert all(isinstance(e, Refused) and e.rule == "max_order_quantity" for e in entries)
    assert not [e for e in verdicts(said[:at]) if isinstance(e, Refused) and e.rule == "max_order_quantity"]
    (row,) = offline.limit_changes(store_path(folder))
    assert (row["by_whom"], row["key"], row["old"], row["new"], row["reason"]) == (
        "asha", "max_order_quantity", "1000", "2", "test"
    )  # fmt: skip


def test_it_holds_over_a_restart_and_over_the_file_until_it_is_reset(folder):
    async def first():
        async with at_work(folder) as daemon:
            await do(daemon, "risk_set", key="max_order_quantity", value="2", strategy="momentum_1")

    async def second():
        async with at_work(folder, risk=OFF | {"max_order_quantity": 1}) as daemon:
            risk = daemon.opened.cores.risk
            assert risk.limits.value("max_order_quantity", scope) == 2
            assert risk.limits.value("max_order_quantity") == 1
            (row,) = [r for r in (await do(daemon, "risk_show"))["limits"] if r["from"] == "run time"]
            assert (row["key"], row["scope"]["strategy"], row["cap"], row["by"], row["reason"]) == (
                "max_order_quantity", "momentum_1", "2", "asha", "test"
            )  # fmt: skip
            assert "loosens" in await refused(
                daemon, "risk_reset", key="max_order_quantity", strategy="momentum_1"
            )
            answer = await do(
                daemon, "risk_reset", key="max_order_quantity", strategy="momentum_1", loosen=True
            )
            assert (answer["old"], answer["new"]) == ("2", "")

    async def third():
        async with at_work(folder) as daemon:
            assert daemon.opened.cores.risk.limits.changes == {}

    scope = Scope(strategy="momentum_1")
    asyncio.run(first())
    asyncio.run(second())
    asyncio.run(third())
    assert [row["new"] for row in offline.limit_changes(store_path(folder))] == ["2", None]
    assert [row["new"] for row in offline.limit_changes(store_path(folder), 1)] == [None]
    assert offline.limits(store_path(folder)) == ()


def test_a_dry_run_names_whom_it_would_refuse_and_changes_nothing(folder):
    async def main():
        async with at_work(folder) as daemon:
            await until(lambda: any(p.quantity for p in daemon.opened.cores.portfolio.positions()))
            rules = daemon.opened.cores.risk.limits
            answer = await do(daemon, "risk_dry_run", key="max_orders_per_day", value="1")
            assert not answer["changed"]
            (row,) = answer["limits"]
            assert row["blocked"]
            assert int(row["used"]) >= 1
            assert row["cap"] == "1"
            assert answer["refused"] == [{"strategy_id": "momentum_1", "broker": "paper"}]
            wide = await do(daemon, "risk_dry_run", key="max_orders_per_day", value="900000")
            assert wide["refused"] == []
            other = await do(
                daemon, "risk_dry_run", key="max_orders_per_day", value="1", instrument="NSE:TCS"
            )
            assert other["refused"] == []
            assert daemon.opened.cores.risk.limits is rules

    asyncio.run(main())
    assert not [event for event in read(store_path(folder)) if isinstance(event, LimitChanged)]


@pytest.mark.parametrize(("command", "words", "why"), [
    ("risk_set", {"key": "max_ordre_value", "value": "1"}, "there is no limit 'max_ordre_value'"),
    ("risk_set", {"key": "max_order_quantity", "value": "1.5"}, "takes a whole number, not 1.5"),
    ("risk_set", {"key": "max_order_value", "value": "9000000"}, "that loosens max_order_value"),
    ("risk_set", {"key": "max_order_value", "value": "9000000", "loosen": "no"}, "that loosens"),
    ("risk_set", {"key": "max_order_value", "value": "1", "reason": " "}, "say why"),
    ("risk_set", {"key": "max_order_value", "value": "1", "strategy": "dip"}, "'dip' is not a strategy"),
    ("risk_set", {"key": "max_order_value", "value": "1", "broker": "dip"}, "'dip' is not a broker"),
    ("risk_set", {"key": "max_order_value", "value": "1", "instrument": "INFY"}, '"EXCHANGE:SYMBOL"'),
    ("risk_set", {"key": "max_daily_loss", "value": "1", "instrument": "NSE:A"}, "not known by instrument"),
    ("risk_set", {"key": "allowed_products", "value": "MIS"}, "is a list: change it in [risk]"),
    ("risk_reset", {"key": "max_order_value"}, "was not set at run time; what was: nothing"),
    ("risk_set", {"key": "max_drawdown_percent", "value": "101"}, "must be 100 or less, not 101"),
    (
        "risk_dry_run",
        {"key": "exit_reserve_per_second", "value": "8"},
        "exit_reserve_per_second is 8, and lets no entry pass because max_orders_per_second is 8",
    ),
])  # fmt: skip
def test_what_is_wrong_is_said_and_changes_nothing(folder, command, words, why):
    async def main():
        async with at_work(folder) as daemon:
            rules = daemon.opened.cores.risk.limits
            assert why in await refused(daemon, command, **words)
            assert daemon.opened.cores.risk.limits is rules

    asyncio.run(main())
    assert not [event for event in read(store_path(folder)) if isinstance(event, LimitChanged)]


def test_the_same_value_again_writes_nothing(folder):
    async def main():
        async with at_work(folder) as daemon:
            assert (await do(daemon, "risk_set", key="max_order_value", value="50000"))["changed"]
            assert not (await do(daemon, "risk_set", key="max_order_value", value="50000.00"))["changed"]

    asyncio.run(main())
    assert len(offline.limit_changes(store_path(folder))) == 1


def test_a_stopped_daemon_has_the_usage_that_it_had(folder):
    async def main():
        async with at_work(folder, risk=risk) as daemon:
            await daemon.walk.ended.wait()
            await daemon.line.quiet.wait()
            usage.extend(daemon.opened.cores.risk.usage())

    write_ticks(folder, zigzag(23))
    risk, usage = OFF | {"max_gross_exposure": 90_000.0}, []
    asyncio.run(main())
    found = at_rest(loaded(folder, risk=risk))
    assert found.stale == ()
    keys = ("max_open_positions", "max_orders_per_day", "max_position_quantity", "max_gross_exposure")
    used = {each.key: each.used for each in usage if each.key in keys}
    assert used["max_orders_per_day"] > 10
    assert used["max_gross_exposure"] == 3 * 100
    assert {each.key: each.used for each in found.risk.usage() if each.key in keys} == used


def change(key, value, scope=Scope()):  # noqa: B008 - frozen
    return LimitChanged(
        key=key, value=value, old="", scope=scope, by="asha", reason="test", time_ns=time.time_ns()
    )


@pytest.mark.parametrize("stale", [
    change("max_gone", "5", Scope(strategy="momentum_1", instrument="NSE:M&M")),
    change("max_order_value", "-5"),
    change("max_daily_loss", "5", Scope(instrument="NSE:INFY")),
])  # fmt: skip
def test_a_value_that_is_taken_no_more_stops_the_start_and_can_be_reset(folder, stale):
    async def main():
        async with at_work(folder) as daemon:
            assert daemon.opened.cores.risk.limits.value("max_order_quantity") == 7

    store_path(folder).parent.mkdir()
    offline.change_limit(store_path(folder), change("max_order_quantity", "7"))
    offline.change_limit(store_path(folder), stale)
    with pytest.raises(CannotStart) as error:
        asyncio.run(main())
    assert stale.key in str(error.value)
    assert f"alphapanda risk reset {stale.key}" in str(error.value)
    assert "Approved" not in {type(event).__name__ for event in read(store_path(folder))}
    found = at_rest(loaded(folder))
    assert found.stale == (stale,)
    scope = stale.scope
    asked = {"key": stale.key, "strategy": scope.strategy, "instrument": scope.instrument}
    back = wanted(
        found.risk.limits, loaded(folder).settings, asked, by="asha", reason="gone", stale=found.stale
    )
    assert not back.looser
    assert (back.event.value, back.event.old) == (None, stale.value)
    offline.change_limit(store_path(folder), back.event)
    asyncio.run(main())


def test_a_value_of_a_strategy_that_is_gone_is_kept_and_limits_nobody(folder):
    settings = loaded(folder).settings
    gone = change("max_order_value", "5", Scope(strategy="gone_1"))
    assert sorted_out(settings, [gone]) == ((gone,), ())


def test_a_scope_that_takes_over_a_key_of_its_rule_loosens_what_it_had_from_everywhere(folder):
    mine = {"strategy": "momentum_1"}
    override = {"scope": mine, "max_orders_per_second": 4}
    found = loaded(folder, risk=OFF | {"exit_reserve_per_second": 2, "overrides": [override]})
    limits = at_rest(found).risk.limits

    def asked(key, value, scope):
        words = {"key": key, "value": value} | scope
        return wanted(limits, found.settings, words, by="asha", reason="test").looser

    assert asked("exit_reserve_per_second", "1", mine)
    assert not asked("exit_reserve_per_second", "3", mine)
    assert not asked("exit_reserve_per_second", "1", {"instrument": "NSE:INFY"})


REPEATS, WINDOW = "max_repeated_orders", "repeat_window_s"


def test_a_change_that_makes_a_limit_pointless_is_refused_whichever_key_it_changes(folder):
    def answer(risk, key, value, **scope):
        found = loaded(folder, risk=OFF | risk)
        limits = at_rest(found).risk.limits
        words = {"key": key, "value": value} | scope
        return wanted(limits, found.settings, words, by="asha", reason="test").new

    with pytest.raises(ValueError, match="max_repeated_orders is 3, and does nothing because"):
        answer({REPEATS: 3}, WINDOW, "0")
    with pytest.raises(ValueError, match="max_repeated_orders of momentum_1 is 3, and does nothing"):
        answer({WINDOW: 0.0}, REPEATS, "3", strategy="momentum_1")
    assert answer({REPEATS: 3}, WINDOW, "1") == "1"


def test_a_file_that_makes_a_run_time_limit_pointless_stops_the_start_until_it_is_reset(folder):
    async def main(**risk):
        async with at_work(folder, risk=OFF | risk):
            pass

    store_path(folder).parent.mkdir()
    offline.change_limit(store_path(folder), change(WINDOW, "5"))
    offline.change_limit(store_path(folder), change(REPEATS, "3"))
    offline.change_limit(store_path(folder), change(WINDOW, None))
    asyncio.run(main())
    with pytest.raises(CannotStart) as error:
        asyncio.run(main(**{WINDOW: 0.0}))
    assert "max_repeated_orders is 3, and does nothing because repeat_window_s is 0" in str(error.value)
    assert "alphapanda risk reset max_repeated_orders" in str(error.value)
    found = loaded(folder, risk=OFF | {WINDOW: 0.0})
    rest = at_rest(found)
    for key, value in ((WINDOW, "9"), (REPEATS, None), (REPEATS, "4")):
        words = {"key": key, "value": value}
        assert wanted(rest.risk.limits, found.settings, words, by="asha", reason="right").event


def test_the_order_in_which_a_restart_hears_of_changes_does_not_matter(folder):
    """The journal keeps the place of the first change of a key: between two of them one may be pointless."""
    store_path(folder).parent.mkdir()
    said = [change(REPEATS, "3"), change(WINDOW, "5"), change(REPEATS, "0"), change(WINDOW, "0")]
    for each in said:
        offline.change_limit(store_path(folder), each)
    found = at_rest(loaded(folder))
    assert found.stale == ()
    assert found.risk.limits.pointless() == {}


def test_a_scope_is_said_in_words_and_as_options():
    scope = Scope(broker="paper", strategy="dip", instrument="NSE:M&M")
    assert within(scope) == " of dip in NSE:M&M at paper"
    assert within(Scope()) == ""
    assert reset_words(change("max_order_value", "5", scope)) == (
        "risk reset max_order_value --broker paper --strategy dip --instrument 'NSE:M&M' --reason stale"
    )
