"""The flow table turned into puts: every event reaches its stages, and the tap at its time."""

import asyncio

import pytest
from builders import INFY, SELL, TEN_NS, batch, fill, order, report, signal, tick
from sessions import laid, refused, until

from alphapanda.events import (
    Approved,
    Booked,
    CancelOrder,
    CancelResting,
    ClosePosition,
    ExternalHeld,
    FeedRestarted,
    Halt,
    LimitChanged,
    Marked,
    OrderAdopted,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderStatus,
    OrderUpdated,
    PlaceOrder,
    Refused,
    Report,
    Resume,
    Scope,
    Snapshot,
    StrategyPaused,
    StrategyQuarantined,
    StrategyResumed,
    TickBatch,
    Timer,
    TradingSignal,
    Voided,
)
from alphapanda.live.line import AFTER_THE_BOOK, Gauge, Line
from alphapanda.pipeline import FLOW, Keep, Stage, targets

EXAMPLES = {
    TickBatch: batch(tick(100)),
    Timer: Timer(TEN_NS),
    TradingSignal: signal(),
    Approved: Approved(order(), signal()),
    Refused: refused(),
    Voided: Voided(order()),
    Report: report(),
    OrderOpened: OrderOpened(order()),
    OrderUpdated: OrderUpdated(order()),
    OrderFilled: OrderFilled(order(), fill()),
    OrderClosed: OrderClosed(order()),
    Snapshot: Snapshot({}),
    Halt: Halt("a reason", "uid 0", TEN_NS),
    Resume: Resume("a reason", "uid 0", TEN_NS),
    FeedRestarted: FeedRestarted(TEN_NS),
    ExternalHeld: ExternalHeld("zerodha", ()),
    ClosePosition: ClosePosition(
        broker="paper",
        strategy_id="momentum_1",
        instrument_token=INFY.instrument_token,
        transaction_type=SELL,
        quantity=1,
        by="uid 0",
        time_ns=TEN_NS,
    ),
    StrategyPaused: StrategyPaused("momentum_1", "uid 0", TEN_NS),
    StrategyResumed: StrategyResumed("momentum_1", "uid 0", TEN_NS),
    StrategyQuarantined: StrategyQuarantined("momentum_1", "a_rule", "too often", TEN_NS),
    LimitChanged: LimitChanged(
        key="max_order_value",
        value="100",
        old="200",
        scope=Scope(),
        by="uid 0",
        reason="a reason",
        time_ns=TEN_NS,
    ),
    CancelResting: CancelResting(order(), "a reason"),
    OrderAdopted: OrderAdopted(order()),
}
OFF_THE_LINE = (PlaceOrder(order()), CancelOrder(order()), Marked((), TEN_NS), Booked(None, None, None, None))


def run(main):
    return asyncio.run(main(), debug=True)


def waiting(line):
    """What each stage finds, and the line is empty after that."""
    found = {}
    for stage, inbox in line.inboxes.items():
        while (event := inbox.take()) is not None:
            found.setdefault(stage, []).append(event)
            inbox.done()
    return found


def test_there_is_an_example_of_every_event_that_crosses():
    assert set(EXAMPLES) == {edge.event for edge in FLOW}


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=lambda event: type(event).__name__)
def test_event_reaches_its_stages_and_no_other(event):
    line = Line(lambda _: None)

    async def main():
        if isinstance(event, TickBatch):
            line.publish(event)
        else:
            await line.carry(event)

    run(main)
    expected = targets(type(event))
    assert line.quiet.busy == len(expected)
    assert waiting(line) == {stage: [event] for stage in expected}
    assert line.quiet.busy == 0


@pytest.mark.parametrize("event", OFF_THE_LINE, ids=lambda event: type(event).__name__)
def test_what_crosses_no_queue_is_only_tapped(event):
    tapped = []
    line = Line(tapped.append)
    run(lambda: line.carry(event))
    assert tapped == [event]
    assert line.quiet.busy == 0


def test_every_event_but_what_follows_the_book_is_tapped_once_and_before_any_stage_can_see_it():
    seen = []

    def tap(event):
        seen.append((event, line.quiet.busy))

    line = Line(tap)

    async def main():
        for event in EXAMPLES.values():
            if not isinstance(event, TickBatch):
                await line.carry(event)
                waiting(line)

    run(main)
    later = (TickBatch, OrderUpdated, OrderClosed)
    assert seen == [(event, 0) for event in EXAMPLES.values() if not isinstance(event, later)]


def test_what_follows_the_book_reaches_portfolio_or_it_would_never_be_tapped():
    assert {OrderUpdated, OrderClosed} == AFTER_THE_BOOK
    for kind in AFTER_THE_BOOK:
        assert Stage.PORTFOLIO in targets(kind)


@pytest.mark.parametrize("kind", [OrderUpdated, OrderClosed])
def test_the_portfolio_stage_taps_what_follows_the_book_once_and_when_it_has_taken_it(kind):
    async def main():
        async with laid() as one:
            event = kind(order(status=OrderStatus.CANCELLED if kind is OrderClosed else OrderStatus.OPEN))
            one.line.route(OrderOpened(order()))
            await one.line.quiet.wait()
            one.line.route(event)
            assert event not in one.said
            assert one.cores.portfolio.books()["paper"].orders == {"O000001": order()}
            await until(lambda: event in one.said)
            held = {} if kind is OrderClosed else {"O000001": event.order}
            assert one.cores.portfolio.books()["paper"].orders == held
            await one.line.quiet.wait()
            assert one.said.count(event) == 1

    run(main)


def test_a_tap_that_fails_lets_nothing_pass():
    def tap(_):
        raise OSError("disk full")

    line = Line(tap)
    with pytest.raises(OSError, match="disk full"):
        line.route(EXAMPLES[OrderOpened])
    assert line.quiet.busy == 0


def test_ticks_are_not_tapped():
    tapped = []
    Line(tapped.append).publish(EXAMPLES[TickBatch])
    assert tapped == []


def test_strategies_see_no_ticks_when_told_so():
    line = Line(lambda _: None)
    line.publish(EXAMPLES[TickBatch], to_strategies=False)
    assert set(waiting(line)) == {Stage.RISK, Stage.PORTFOLIO}


@pytest.mark.parametrize("kind", sorted({e.event for e in FLOW if e.keep is Keep.ALL}, key=str))
def test_carry_waits_on_a_full_edge_that_keeps_all(kind):
    async def main():
        line = Line(lambda _: None, capacity=2)
        (stage,) = targets(kind)
        for _ in range(2):
            await line.carry(EXAMPLES[kind])
        late = asyncio.create_task(line.carry(EXAMPLES[kind]))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not late.done()
        line.inboxes[stage].take()
        line.inboxes[stage].done()
        await late
        assert len(line.inboxes[stage]) == 2

    run(main)


@pytest.mark.parametrize("edge", [e for e in FLOW if e.keep is not Keep.ALL], ids=lambda e: e.event.__name__)
def test_every_other_edge_never_waits(edge):
    line = Line(lambda _: None, capacity=2)
    put = line.publish if edge.keep is Keep.LATEST else line.route
    for _ in range(50):
        put(EXAMPLES[edge.event])
    expected = {Keep.LATEST: 3, Keep.CELL: 1, Keep.BOUNDED: 50}[edge.keep]
    assert len(line.inboxes[edge.to]) == expected


def test_a_gauge_tells_when_it_last_moved():
    gauge = Gauge()
    before = gauge.last_progress
    gauge.note()
    assert gauge.processed == 1
    assert gauge.last_progress >= before


def test_who_waits_for_the_line_to_settle_waits_for_all_that_is_on_it():
    line = Line(lambda _: None)
    log = []

    async def settle():
        await line.settled()
        log.append("settled")

    async def main():
        await line.settled()  # nothing is on it
        line.route(EXAMPLES[Report])
        inbox = line.inboxes[Stage.EXECUTION]
        async with asyncio.TaskGroup() as group:
            group.create_task(settle())
            await asyncio.sleep(0)
            assert inbox.take() is not None
            log.append("dealt with")
            inbox.done()
        assert log == ["dealt with", "settled"]

    run(main)


def test_a_line_that_does_not_settle_holds_prices_up_for_a_moment_only():
    line = Line(lambda _: None)

    async def main():
        line.route(EXAMPLES[Report])
        async with asyncio.timeout(60):
            await line.settled()
        assert line.quiet.busy == 1

    run(main)
