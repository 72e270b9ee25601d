"""What a start knows of the past: the fold of the journal is the state the cores had."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from builders import INFY, SECOND, TEN_NS, batch, order, report, signal, tick
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sessions import CASH, acts, desk, market, plan, prices, refused, rows, session

from alphapanda.backtest.loop import Backtest
from alphapanda.core.execution import TradingEngine
from alphapanda.core.limits import FIELDS, Limits
from alphapanda.events import (
    AccountOpened,
    Compared,
    DayRolled,
    ExternalSeen,
    Halt,
    LimitChanged,
    Marked,
    Money,
    OrderClosed,
    OrderOpened,
    OrderStatus,
    Refused,
    ReportKind,
    Resume,
    RowTaken,
    Scope,
    StrategyFailed,
    StrategyPaused,
    StrategyQuarantined,
    StrategyResumed,
)
from alphapanda.live.warm_up import warm_up
from alphapanda.pipeline import build_cores
from alphapanda.store import Store, journal, schema
from alphapanda.store.projections import PROJECTION
from alphapanda.store.recovery import fold
from alphapanda.times import day_of

journaled = tuple(PROJECTION)
LIMIT_TABLES = ("limits", "limit_changes")


def kept(events):
    return [event for event in events if isinstance(event, journaled)]


def state(cores):
    """All that a start must bring back, read from the cores themselves."""
    return {
        "books": cores.portfolio.books(),
        "balances": cores.portfolio.balances(),
        "orders": cores.execution._orders,
        "trades": cores.execution._trade_ids,
        "signals": cores.strategy._made,
        "sequence": cores.risk._sequence,
        "halted": (cores.strategy._halted, cores.risk.halted),
        "strategy positions": {name: held(one.positions) for name, one in cores.strategy.hosted.items()},
        "strategy orders": {name: one.orders for name, one in cores.strategy.hosted.items()},
    }


def held(positions):
    return {token: quantity for token, quantity in positions.items() if quantity}


class AFeed:
    """The data that `session` says was walked."""

    def continues(self, identity):
        return identity == "a feed"


@given(prices)
def test_cores_built_from_the_journal_are_the_cores_that_wrote_it(prices):
    cores, said = session(rows(prices))
    assert state(build_cores(plan(), fold(kept(said)).saved)) == state(cores)


@given(prices, st.integers(0, 30))
def test_a_restart_between_two_rows_changes_no_trade(prices, cut):
    """Tags, order numbers and trade numbers go on where they were."""
    walk = rows(prices)
    _, undisturbed = session(walk)
    cores, before = session(walk[:cut])
    recovered = fold(kept(before))
    again = build_cores(plan(), recovered.saved)
    if cut:
        asyncio.run(warm_up(again, AFeed(), iter(walk), recovered, min(cut, len(walk)), lambda: None))
    resting, after = cores.execution.open_orders(), []
    shop = market(orders=resting, fills=recovered.saved.fills)
    loop = Backtest(again, {"paper": shop}, after.append)
    loop.start()
    for row in walk[cut:]:
        loop.turn(row)
        after.append(RowTaken("a feed", row.row, row.time_ns))
    assert kept(before) + kept(after) == kept(undisturbed)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prices)
def test_the_same_is_true_through_a_file(tmp_path_factory, prices):
    path = tmp_path_factory.mktemp("store") / "alphapanda.db"
    cores, said = session(rows(prices))

    async def write():
        async with Store(path) as store:
            writer = asyncio.create_task(store.run())
            store.open_accounts({"paper": CASH})
            for event in said:
                store.tap(event)
            await store.commit()
            writer.cancel()
            await asyncio.wait([writer])

    async def read():
        async with Store(path) as store:
            return store.recovered

    asyncio.run(write(), debug=True)
    recovered = asyncio.run(read(), debug=True)
    assert state(build_cores(plan(), recovered.saved)) == state(cores)
    assert recovered.starting_cash == {"paper": CASH}
    assert not recovered.empty


@given(acts)
def test_orders_fills_and_books_come_back_whatever_their_broker_said(acts):
    made = desk(acts)
    saved = fold(kept(made.events)).saved
    cores = build_cores(plan(), saved)
    assert cores.execution._orders == made.engine._orders
    assert cores.execution._trade_ids == made.engine._trade_ids
    assert cores.portfolio.books() == made.portfolio.books()
    assert cores.portfolio.balances() == made.portfolio.balances()


@given(acts)
def test_the_same_journal_gives_the_same_state(acts):
    events = kept(desk(acts).events)
    assert fold(events) == fold(list(events))


def test_an_empty_journal_knows_nothing():
    recovered = fold([])
    assert recovered.empty
    assert recovered.halt is None
    assert recovered.saved.signals_made == 0
    assert recovered.blind == {}
    assert recovered.clock == {}
    assert recovered.taken == {}


def test_the_first_entry_of_the_ledger_is_no_empty_journal():
    recovered = fold([AccountOpened("paper", CASH)])
    assert not recovered.empty
    assert recovered.starting_cash == {"paper": CASH}


def test_the_last_word_on_the_kill_switch_counts():
    halt = Halt("a reason", "uid 7", TEN_NS)
    resume = Resume("checked", "uid 7", TEN_NS + 1)
    assert fold([halt]).halt == halt
    assert fold([halt]).saved.halted
    on_and_off = fold([RowTaken("a", 12, 1), halt, resume, RowTaken("a", 13, 2)])
    assert (on_and_off.halt, on_and_off.saved.halted) == (None, False)
    assert (on_and_off.taken, on_and_off.blind) == ({"a": 13}, {"a": 12})
    assert fold([halt, resume, halt]).halt == halt


def test_each_feed_is_blind_up_to_its_row_at_the_last_resume():
    halt, resume = Halt("a reason", "uid 7", TEN_NS), Resume("checked", "uid 7", TEN_NS + 1)
    first, second, third = RowTaken("a", 12, 1), RowTaken("b", 3, 2), RowTaken("a", 15, 3)
    assert fold([first, halt, second]).blind == {}
    assert fold([first, halt, second, resume, third]).blind == {"a": 12, "b": 3}
    assert fold([first, halt, resume, third, halt]).blind == {"a": 12}
    assert fold([first, halt, resume, third, halt, resume]).blind == {"a": 15}


def test_the_clock_of_each_feed_is_the_time_of_its_last_mark():
    """A timer's second is marked with the row before it, so the clock may run ahead of the row."""
    marks = [RowTaken("a", 1, 5), RowTaken("b", 7, 9), RowTaken("a", 1, 6), Halt("a reason", "uid 7", 99)]
    found = fold(marks)
    assert found.clock == {"a": 6, "b": 9}
    assert found.taken == {"a": 1, "b": 7}
    assert fold([*marks, RowTaken("a", 2, 6)]).clock == {"a": 6, "b": 9}


def test_a_halted_journal_builds_halted_cores():
    cores = build_cores(plan(), fold([Halt("a reason", "uid 7", TEN_NS)]).saved)
    assert state(cores)["halted"] == (True, True)
    assert cores.strategy.on(batch(tick(1), row=1)) == []


def test_refused_signals_count_too():
    assert fold([refused("S000004"), refused("S000002")]).saved.signals_made == 4


def test_the_last_row_of_each_feed_is_known():
    taken = fold([RowTaken("a", 1, 1), RowTaken("b", 7, 1), RowTaken("a", 2, 2)]).taken
    assert taken == {"a": 2, "b": 7}


def test_marks_price_what_is_held_until_a_tick_comes():
    cores, said = session(rows([(0, 100.0), (0, 102.0), (0, 102.0)]))
    cores.portfolio.on(batch(tick(123.45), at=9))
    saved = fold([*kept(said), cores.portfolio.marks()]).saved
    assert saved.marks == {INFY.instrument_token: Money("123.45")}
    (position,) = build_cores(plan(), saved).portfolio.positions()
    assert position.last_price == Money("123.45")
    assert isinstance(cores.portfolio.marks(), Marked)


@pytest.mark.parametrize("status", [OrderStatus.PREPARED, OrderStatus.SENT, OrderStatus.UNKNOWN])
def test_an_order_in_doubt_is_exposure_after_a_restart(status):
    doubtful = order(quantity=10, status=status)
    cores = build_cores(plan(), fold([OrderOpened(doubtful)]).saved)
    book = cores.portfolio.books()["paper"]
    assert book.orders == {doubtful.order_id: doubtful}
    assert book.free_cash == CASH - 1000
    assert cores.risk._books["paper"] == book


def test_an_order_that_was_not_found_can_still_be_adopted():
    lost = order(status=OrderStatus.NOT_FOUND, sequence=3)
    engine = TradingEngine(fold([OrderOpened(order(sequence=3)), OrderClosed(lost)]).saved.orders)
    (event,) = engine.on(report(ReportKind.ACCEPTED, lost.order_id, time_ns=TEN_NS + SECOND))
    assert event.order.status is OrderStatus.OPEN


def quarantined(strategy_id, by, time_ns):
    """As the other words on a strategy are made."""
    return StrategyQuarantined(strategy_id, "max_repeats", f"ten in a row, {by}", time_ns)


words = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([StrategyPaused, StrategyResumed, StrategyFailed, quarantined]),
    ),
    max_size=12,
)


@given(words)
def test_the_table_says_of_every_strategy_what_a_restart_finds(words):
    said = [kind(name, "uid 7", TEN_NS) for name, kind in words]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.prepare(connection, "")
        journal.Journal(connection).append([(number, event) for number, event in enumerate(said)])
        stored = dict(connection.execute("SELECT strategy_id, state FROM strategies"))
        whole = connection.execute("SELECT * FROM strategies").fetchall()
        journal.rebuild(connection, schema.PROJECTIONS)
        assert connection.execute("SELECT * FROM strategies").fetchall() == whole
    assert fold(said).saved.stood_down == {name: at for name, at in stored.items() if at != "running"}


limit_words = st.lists(
    st.tuples(
        st.sampled_from(["max_order_value", "max_order_quantity"]),
        st.sampled_from(
            [Scope(), Scope(strategy="momentum_1"), Scope(broker="paper", instrument="NSE:INFY")]
        ),
        st.sampled_from([None, "5", "7"]),
    ),
    max_size=12,
)


@given(limit_words)
def test_the_tables_of_limits_say_what_a_restart_finds_and_all_that_was_changed(words):
    said = [
        LimitChanged(key=key, value=value, old="", scope=scope, by="a", reason="b", time_ns=number)
        for number, (key, scope, value) in enumerate(words)
    ]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.prepare(connection, "")
        journal.Journal(connection).append([(number, event) for number, event in enumerate(said)])
        tables = [connection.execute(f"SELECT * FROM {table}").fetchall() for table in LIMIT_TABLES]
        journal.rebuild(connection, schema.PROJECTIONS)
        for table, whole in zip(LIMIT_TABLES, tables, strict=True):
            assert connection.execute(f"SELECT * FROM {table}").fetchall() == whole
    now, audit = tables
    last = {(event.key, event.scope): event for event in said}
    held = [event for event in last.values() if event.value is not None]
    assert sorted(now) == sorted(
        (e.key, e.scope.broker, e.scope.strategy, e.scope.instrument, e.value) for e in held
    )
    assert [(at, key, new) for _, at, _, key, *_, new, _ in audit] == [
        (event.time_ns, event.key, event.value) for event in said
    ]
    saved = fold(said).saved.limits
    assert set(saved) == set(held)
    assert len(saved) == len(held)


def test_limits_set_at_run_time_are_those_of_the_cores_that_are_built_again():
    everywhere = {name: each.default for name, each in FIELDS.items()}
    made = plan(limits=Limits.of(everywhere))
    change = LimitChanged(
        key="max_order_quantity", value="2", old="1000", scope=Scope(), by="a", reason="b", time_ns=1
    )
    risk = build_cores(made, fold([change]).saved).risk
    assert risk.limits.changes == {("max_order_quantity", Scope()): change}
    assert rule_of(refusal(risk)) == "max_order_quantity"
    back = replace(change, value=None, time_ns=2)
    assert refusal(build_cores(made, fold([change, back]).saved).risk) == []


def refusal(risk):
    """What risk has against three shares of momentum_1."""
    risk.on(batch(tick()))
    return [said for said in risk.on(signal(quantity=3)) if isinstance(said, Refused)]


def rule_of(said):
    (refused,) = said
    return refused.rule


def test_what_is_external_at_a_broker_is_known_by_broker_and_since_which_trades():
    infy = {"exchange": "NSE", "tradingsymbol": "INFY", "product": "MIS", "time_ns": TEN_NS}
    seen = [
        ExternalSeen(broker="zerodha", **infy, change=5, quantity=5, why="opening"),
        Compared(broker="zerodha", occasion="start", time_ns=TEN_NS, count=1),
        ExternalSeen(
            broker="zerodha", **infy, change=-2, quantity=3, why="trade", broker_order_id="7", trade_id="1"
        ),
    ]
    known = fold(seen).reconciled["zerodha"]
    assert known.external == {("NSE", "INFY", "MIS"): 3}
    assert (known.taken, known.day) == ({("7", "1"): 2}, day_of(TEN_NS))
    assert fold([]).reconciled == {}


def test_who_stands_down_is_known_and_stays_so_until_it_is_resumed():
    paused, failed = (
        StrategyPaused("momentum_1", "uid 7", 1),
        StrategyFailed("momentum_1", "ValueError: no", 2),
    )
    resumed = StrategyResumed("momentum_1", "uid 7", 3)
    assert fold([paused]).saved.stood_down == {"momentum_1": "paused"}
    assert fold([failed, paused]).saved.stood_down == {"momentum_1": "quarantined"}
    assert fold([failed, resumed]).saved.stood_down == {}
    assert fold([paused, quarantined("momentum_1", "", 2)]).saved.stood_down == {"momentum_1": "quarantined"}
    cores = build_cores(plan(), fold([paused]).saved)
    assert cores.strategy.hosted["momentum_1"].state == "paused"
    assert cores.strategy.hosted["greedy"].state == "running"


def test_a_strategy_made_anew_is_blind_up_to_the_row_of_its_resume():
    paused, failed = StrategyPaused("a", "uid 7", 1), StrategyFailed("b", "ValueError: no", 2)
    both = [StrategyResumed("a", "uid 7", 3), StrategyResumed("b", "uid 7", 3)]
    recovered = fold([paused, RowTaken("feed", 5, 1), failed, RowTaken("feed", 9, 2), *both])
    assert recovered.renewed == {"b": {"feed": 9}}


def test_without_rows_what_the_market_did_is_kept_for_two_days():
    """A live feed marks none; so much is not told to anybody again."""

    def cancelled(day):
        resting = order(sequence=day, status=OrderStatus.OPEN)
        ended = replace(resting, status=OrderStatus.CANCELLED, updated_ns=TEN_NS + day)
        return [OrderOpened(resting), OrderClosed(ended)]

    said = [event for day in (1, 2, 3) for event in (DayRolled(f"2024-06-0{day}", TEN_NS), *cancelled(day))]
    orders = [fate.order.sequence for fate in fold(said).unmarked]
    assert orders == [2, 3]
    assert fold([*said, RowTaken("a", 1, TEN_NS)]).unmarked == ()
    row_of_a_new_day = [RowTaken("a", 1, TEN_NS), *cancelled(1), DayRolled("2024-06-04", TEN_NS)]
    assert [fate.order.sequence for fate in fold(row_of_a_new_day).unmarked] == [1], "it is that row's still"
