"""The flow table is whole, the cores take what it sends them, and a restart goes on where it stopped."""

import asyncio
from collections import Counter
from typing import get_args

import pytest
from builders import INFY, TCS, TEN_NS, batch, fill, order, report, signal, tick
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from alphapanda import events
from alphapanda.backtest.loop import Backtest
from alphapanda.core import execution, portfolio, risk, runner
from alphapanda.core.charges import flat
from alphapanda.core.limits import FIELDS, Limits
from alphapanda.core.market import MarketSimulator
from alphapanda.core.rules import RULES, DuplicateSignal, MaximumPositionQuantity
from alphapanda.events import (
    Approved,
    Booked,
    CancelOrder,
    CancelResting,
    ClosePosition,
    DayRolled,
    ExternalHeld,
    FeedRestarted,
    Halt,
    LimitChanged,
    Marked,
    Money,
    OrderAdopted,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderStatus,
    OrderUpdated,
    PlaceOrder,
    Refused,
    Report,
    ReportKind,
    Resume,
    RowTaken,
    Scope,
    Snapshot,
    StrategyFailed,
    StrategyPaused,
    StrategyQuarantined,
    StrategyResumed,
    TickBatch,
    Timer,
    TradingSignal,
    TransactionType,
    Valued,
    Verdict,
    Voided,
)
from alphapanda.live.warm_up import warm_up
from alphapanda.pipeline import FLOW, Keep, Plan, Saved, Stage, build_cores, targets
from alphapanda.store.projections import PROJECTION
from alphapanda.store.recovery import fold
from strategies.momentum import MomentumStrategy

S = OrderStatus
PERFORMED_AT_ONCE = {PlaceOrder, CancelOrder}
ENDS_IN_THE_JOURNAL = {Booked, DayRolled, Marked, StrategyFailed, Valued}
FROM_OUTSIDE = {
    TickBatch,
    Timer,
    Report,
    Halt,
    Resume,
    Voided,
    ClosePosition,
    StrategyPaused,
    StrategyResumed,
    LimitChanged,
    OrderAdopted,
    ExternalHeld,
    FeedRestarted,
}


def momentum(name="momentum_1", brokers=("paper",), tokens=(INFY.instrument_token,), **params):
    defaults = {"lookback_period": 2, "buy_threshold": 1.01, "sell_threshold": 0.99, "quantity": 4}
    return MomentumStrategy(name, list(tokens), list(brokers), defaults | params)


def plan(*strategies, rules=None, brokers=("paper",)):
    return Plan(
        strategies=strategies or (momentum(brokers=brokers),),
        rules=[kind() for kind in RULES] if rules is None else rules,
        starting_cash=dict.fromkeys(brokers, Money(100_000)),
        products=dict.fromkeys(brokers, "MIS"),
        tag_seed="seed",
        instruments=(INFY, TCS),
    )


def stages(cores):
    return {
        Stage.STRATEGY: cores.strategy,
        Stage.RISK: cores.risk,
        Stage.EXECUTION: cores.execution,
        Stage.PORTFOLIO: cores.portfolio,
    }


EXAMPLES = {
    type(event): event
    for event in (
        batch(tick()),
        Timer(TEN_NS),
        signal(),
        Approved(order(sequence=2), signal()),
        Voided(order()),
        Refused(signal=signal(), broker="paper", verdict=Verdict.REFUSED, rule="", why="", quantity=1),
        report(ReportKind.SENT),
        OrderOpened(order()),
        OrderUpdated(order(status=S.OPEN)),
        OrderFilled(order(status=S.FILLED, filled_quantity=10), fill()),
        OrderClosed(order(status=S.CANCELLED)),
        Snapshot({}),
        Halt("", "", TEN_NS),
        FeedRestarted(TEN_NS),
        Resume("", "", TEN_NS),
        ClosePosition(
            broker="paper",
            strategy_id="momentum_1",
            instrument_token=INFY.instrument_token,
            transaction_type=TransactionType.SELL,
            quantity=1,
            by="operator",
            time_ns=TEN_NS,
        ),
        StrategyPaused("momentum_1", "operator", TEN_NS),
        StrategyResumed("momentum_1", "operator", TEN_NS),
        StrategyQuarantined("momentum_1", "a_rule", "too often", TEN_NS),
        LimitChanged(
            key="max_order_value",
            value="100",
            old="200",
            scope=Scope(),
            by="operator",
            reason="test",
            time_ns=TEN_NS,
        ),
        CancelResting(order(), "test"),
        OrderAdopted(order()),
        ExternalHeld("zerodha", ()),
    )
}
"""One event of each type that the flow table names."""


def test_every_event_that_crosses_has_a_row():
    outputs = {kind for core in (runner, risk, execution, portfolio) for kind in get_args(core.Output)}
    crossing = (outputs | FROM_OUTSIDE) - PERFORMED_AT_ONCE - ENDS_IN_THE_JOURNAL
    assert {edge.event for edge in FLOW} == crossing
    assert set(EXAMPLES) == crossing


def test_what_ends_in_the_journal_or_is_performed_at_once_has_no_row():
    for kind in PERFORMED_AT_ONCE | ENDS_IN_THE_JOURNAL:
        assert targets(kind) == ()


def test_no_row_is_written_twice():
    assert [row for row, count in Counter((edge.event, edge.to) for edge in FLOW).items() if count > 1] == []


def test_only_the_snapshot_is_a_cell_and_it_alone_runs_to_a_waiting_stage():
    assert [edge for edge in FLOW if edge.keep is Keep.CELL] == [(Snapshot, Stage.RISK, Keep.CELL)]


def test_only_what_flows_down_the_line_may_wait_and_only_prices_are_folded():
    kept = {keep: {edge.event for edge in FLOW if edge.keep is keep} for keep in Keep}
    assert kept[Keep.ALL] == {TradingSignal, Approved}
    assert kept[Keep.LATEST] == {TickBatch}
    order_of = list(Stage)
    assert [(edge.event, edge.to) for edge in FLOW if edge.keep is Keep.ALL] == [
        (TradingSignal, Stage.RISK),
        (Approved, Stage.EXECUTION),
    ]
    assert order_of.index(Stage.STRATEGY) < order_of.index(Stage.RISK) < order_of.index(Stage.EXECUTION)


def test_risk_and_portfolio_take_a_price_before_strategies_decide_on_it():
    assert targets(TickBatch)[-1] is Stage.STRATEGY
    assert set(targets(TickBatch)) == {Stage.RISK, Stage.PORTFOLIO, Stage.STRATEGY}


def test_a_verdict_and_every_change_of_an_order_reach_the_strategies():
    for kind in (Refused, OrderOpened, OrderUpdated, OrderFilled, OrderClosed):
        assert Stage.STRATEGY in targets(kind)


def test_the_kill_switch_reaches_every_stage_that_decides():
    for kind in (Halt, Resume):
        assert set(targets(kind)) == {Stage.STRATEGY, Stage.RISK, Stage.EXECUTION}


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("stage", list(Stage)[1:])
def test_a_core_takes_each_event_that_the_table_sends_it_and_no_other(stage, kind):
    event = EXAMPLES[kind]
    limits = Limits.of({name: field.default for name, field in FIELDS.items()})
    core = stages(build_cores(replace(plan(), limits=limits), Saved(orders=[order()])))[stage]
    if stage in targets(kind):
        assert isinstance(core.on(event), list)
    else:
        with pytest.raises(TypeError, match=kind.__name__):
            core.on(event)


def test_every_event_that_crosses_is_frozen():
    assert all(edge.event.__struct_config__.frozen for edge in FLOW)
    assert all(edge.event.__module__.startswith(f"{events.__name__}.") for edge in FLOW)


def test_a_first_start_knows_nothing_and_trades():
    cores = build_cores(plan())
    assert cores.portfolio.balances()[0].cash == Money(100_000)
    assert not cores.risk.halted
    cores.risk.on(batch(tick()))
    assert isinstance(cores.risk.on(signal())[0], Approved)


def test_a_start_under_the_kill_switch_halts_every_core():
    cores = build_cores(plan(), Saved(halted=True))
    assert cores.risk.halted
    for price in (100.0, 100.0, 110.0):
        assert cores.strategy.on(batch(tick(price))) == []


def test_strategies_start_from_their_positions_at_their_first_broker():
    token = INFY.instrument_token
    one = momentum("one", brokers=("zerodha", "paper"))
    two = momentum("two", brokers=("paper", "zerodha"))
    fills = [
        fill(quantity=3, strategy_id="one", broker="paper", trade=1),
        fill(quantity=5, strategy_id="one", broker="zerodha", trade=2),
        fill(quantity=7, strategy_id="two", broker="paper", trade=3),
    ]
    cores = build_cores(plan(one, two, brokers=("paper", "zerodha")), Saved(fills=fills))
    assert cores.strategy.hosted["one"].positions == {token: 5}
    assert cores.strategy.hosted["two"].positions == {token: 7}


def test_strategies_start_from_their_orders_that_may_still_trade():
    past = [order(quantity=4, status=S.UNKNOWN), order(sequence=2, status=S.REJECTED)]
    cores = build_cores(plan(), Saved(orders=past))
    assert list(cores.strategy.hosted["momentum_1"].orders) == ["O000001"]
    cores.strategy.start()
    assert cores.strategy.hosted["momentum_1"].strategy.view(INFY.instrument_token) == 1


def test_risk_starts_with_the_book_and_the_orders_that_are_still_open():
    past = [order(quantity=4, status=S.OPEN), order(sequence=2, quantity=4, status=S.CANCELLED)]
    cores = build_cores(
        plan(rules=[MaximumPositionQuantity(10)]), Saved(orders=past, fills=[fill(quantity=3)])
    )
    cores.risk.on(batch(tick()))
    (refused,) = cores.risk.on(signal(quantity=4))
    assert refused.why == "the position could reach 11, over the limit of 10"
    (approved,) = cores.risk.on(signal(quantity=3))
    assert approved.order.sequence == 3


def test_an_order_of_a_strategy_that_is_gone_is_still_managed():
    gone = order(strategy_id="gone", status=S.OPEN)
    cores = build_cores(plan(), Saved(orders=[gone]))
    (filled,) = cores.execution.on(report(ReportKind.FILL, quantity=10))
    assert cores.strategy.on(filled) == []
    *_, booked, _, _ = cores.portfolio.on(filled)
    assert booked.position.strategy_id == "gone"


class Session:
    """The backtest's loop over cores that may be built again from the journal, between any two rows."""

    def __init__(self, made_of):
        self.made_of = made_of
        self.tapped, self.journal, self.rows = [], [], []
        self.shell(build_cores(made_of()), {})

    def continues(self, identity):
        """Of a feed: these rows are the only data."""
        return identity == "rows"

    def shell(self, cores, keywords):
        self.cores = cores
        market = MarketSimulator(Money("0.05"), flat(Money("0.1")), **keywords)
        self.loop = Backtest(cores, {"paper": market}, self.tap)
        self.loop.start()

    def tap(self, event):
        self.tapped.append(event)
        if type(event) in PROJECTION:
            self.journal.append(event)

    def walk(self, rows):
        for row in rows:
            self.loop.turn(row)
            self.journal.append(RowTaken("rows", row.row, row.time_ns))
        self.rows += rows

    def restart(self):
        """What a start after a stop does: build from the past, show the taken rows, go on."""
        recovered = fold(self.journal)
        cores = build_cores(self.made_of(), recovered.saved)
        if self.rows:
            asyncio.run(warm_up(cores, self, iter(self.rows), recovered, len(self.rows), lambda: None))
        resting = [one for one in recovered.saved.orders if not one.status.ended]
        self.shell(cores, {"orders": resting, "fills": recovered.saved.fills})

    def outcome(self):
        core = self.cores.portfolio
        return self.tapped, core.books(), core.positions(), core.balances()


walks = st.lists(
    st.tuples(
        st.sampled_from([INFY.instrument_token, TCS.instrument_token]),
        st.sampled_from([95.0, 98.0, 99.0, 100.0, 101.0, 102.0, 105.0]),
        st.sampled_from([0, 0, 1, 7, 90]),
    ),
    max_size=50,
)


def rows_of(walk):
    rows, at = [], 0
    for number, (token, price, seconds) in enumerate(walk, start=1):
        at += seconds
        rows.append(batch(tick(price, token), at=at, row=number))
    return rows


def two_strategies():
    both = (INFY.instrument_token, TCS.instrument_token)
    return plan(
        momentum("one", tokens=both, allow_short=True),
        momentum("two", tokens=both, lookback_period=1, quantity=3),
        rules=[
            MaximumPositionQuantity(6),
            *(kind() for kind in RULES if kind is not MaximumPositionQuantity),
        ],
    )


@settings(deadline=None)
@given(walks, st.lists(st.integers(0, 50), max_size=3).map(sorted))
def test_a_session_that_is_restarted_between_rows_ends_as_an_undisturbed_one(walk, stops):
    rows = rows_of(walk)
    undisturbed, disturbed = Session(two_strategies), Session(two_strategies)
    undisturbed.walk(rows)
    for start, end in zip([0, *stops], [*stops, len(rows)], strict=True):
        disturbed.walk(rows[start:end])
        disturbed.restart()
    assert disturbed.outcome() == undisturbed.outcome()


def test_the_restarted_sessions_do_trade():
    """So that the property above speaks of something."""
    session = Session(two_strategies)
    prices = (100.0, 100.0, 102.0, 105.0, 105.0, 99.0, 95.0, 95.0, 95.0) * 4
    session.walk(rows_of([(INFY.instrument_token, price, 7) for price in prices]))
    kinds = Counter(type(event) for event in session.tapped)
    assert kinds[Booked] >= 10
    assert kinds[Refused] >= 1


@settings(deadline=None)
@given(walks)
def test_the_same_rows_give_the_same_events(walk):
    first, second = Session(two_strategies), Session(two_strategies)
    first.walk(rows_of(walk))
    second.walk(rows_of(walk))
    assert first.outcome() == second.outcome()


@settings(deadline=None)
@given(walks)
def test_no_trade_happens_on_the_row_that_caused_it_and_the_books_add_up(walk):
    session = Session(two_strategies)
    session.walk(rows_of(walk))
    opened = {event.order.order_id: event.order for event in session.tapped if type(event) is OrderOpened}
    fills = [event.fill for event in session.tapped if isinstance(event, Booked)]
    for one in fills:
        assert one.traded_ns >= opened[one.order_id].created_ns
    (balance,) = session.cores.portfolio.balances()
    paid = sum(one.price * one.signed_quantity + one.charges for one in fills)
    assert balance.cash == balance.starting_cash - paid
    for position in session.cores.portfolio.positions():
        assert abs(position.quantity) <= 6


def test_a_repeated_order_is_refused_across_a_restart():
    def repeating():
        return plan(rules=[DuplicateSignal(Money(60))])

    cores = build_cores(repeating(), Saved(orders=[order(quantity=4, status=S.FILLED, filled_quantity=4)]))
    cores.risk.on(batch(tick(), at=30))
    (refused,) = cores.risk.on(signal(quantity=4))
    assert refused.rule == "duplicate_window_s"
