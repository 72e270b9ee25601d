"""The tasks at work with the real cores: the way of an order to its broker, and of a live feed to all."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from builders import BUY, CLOSE, INFY, SELL, TEN_NS, batch, order, report, signal, tick
from eager import Eager, of, unlimited
from journals import read
from sessions import CASH, laid, plan, rows, run, until

from alphapanda.core.rules import MaximumPositionQuantity, OrdersPerDay
from alphapanda.events import (
    Approved,
    Booked,
    Halt,
    OrderClosed,
    OrderOpened,
    OrderStatus,
    OrderUpdated,
    Refused,
    ReportKind,
    Resume,
    TradingSignal,
)
from alphapanda.live.stages import PULSE
from alphapanda.live.walk import Stream
from alphapanda.pipeline import Stage, build_cores
from alphapanda.store import Store, StoreFailed
from alphapanda.store.recovery import fold


class Witness:
    """A broker that takes an order only to look at the store through a connection of its own."""

    name = "paper"

    def __init__(self, path):
        self.path, self.found, self.placed, self.cancelled = path, [], [], []

    matches = True

    def attach(self, report, lets):
        self.report = report

    def place(self, order):
        self.placed.append(order)
        if self.path is not None:
            with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as reader:
                self.found += reader.execute(
                    "SELECT orders.order_id, status, tag FROM orders, journal WHERE kind = 'OrderOpened'"
                    " AND orders.order_id = ? AND body LIKE '%' || orders.tag || '%'",
                    (order.order_id,),
                ).fetchall()
        self.report(report(ReportKind.ACCEPTED, order.order_id))

    def cancel(self, order):
        self.cancelled.append(order)

    def on_ticks(self, batch):
        pass


def approved(sequence=1, quantity=1):
    made = order(BUY, quantity, sequence)
    return Approved(made, signal(BUY, quantity, signal_id=made.signal_id))


def test_the_intent_is_in_the_file_before_the_broker_sees_the_order(tmp_path):
    witness = Witness(tmp_path / "alphapanda.db")

    async def main():
        async with Store(witness.path) as store, laid(unlimited(Eager()), broker=witness, store=store) as one:
            await one.turns(rows([(0, 100.0), (0, 101.0), (0, 102.0)])).run()

    run(main)
    tags = [order.tag for order in witness.placed]
    assert witness.found == [(f"O{n:06d}", "PREPARED", tag) for n, tag in enumerate(tags, 1)]
    assert len(tags) == 3


def test_approvals_that_wait_together_share_one_commit():
    commits = []

    async def main():
        async def commit():
            commits.append(len(witness.placed))

        async with laid(broker=witness, commit=commit) as one:
            for sequence in range(1, 6):
                one.line.inboxes[Stage.EXECUTION].put_bounded(approved(sequence))
            await one.line.quiet.wait()

    witness = Witness(None)
    run(main)
    assert commits == [0]
    assert [order.sequence for order in witness.placed] == [1, 2, 3, 4, 5]


def test_nothing_is_sent_when_the_commit_fails():
    witness = Witness(None)

    async def main():
        async def commit():
            raise StoreFailed("disk full")

        async with laid(broker=witness, commit=commit) as one:
            one.line.inboxes[Stage.EXECUTION].put_bounded(approved())
            await one.line.quiet.wait()

    with pytest.raises(ExceptionGroup) as caught:
        run(main)
    assert caught.group_contains(StoreFailed)
    assert witness.placed == []


def test_a_kill_between_decision_and_send_withholds_the_order():
    """The commit of the intent is where an order waits; the gate is read after it."""
    witness = Witness(None)

    async def main():
        waits, killed = asyncio.Event(), asyncio.Event()

        async def commit():
            waits.set()
            await killed.wait()

        async with laid(unlimited(), broker=witness, commit=commit) as one:
            one.line.inboxes[Stage.EXECUTION].put_bounded(approved(quantity=4))
            await waits.wait()
            one.gate.kill("news", "uid 7", TEN_NS)
            killed.set()
            await one.line.quiet.wait()
            (closed,) = of(OrderClosed, one.said)
            assert closed.order.status is OrderStatus.WITHHELD
            assert closed.order.reason == "the kill switch is on: news"
            assert len(of(OrderOpened, one.said)) == 1
            assert one.cores.portfolio.books()["paper"].orders == {}
            assert one.cores.portfolio.books()["paper"].free_cash == CASH

    run(main)
    assert witness.placed == []


@pytest.mark.parametrize("killed", [True, False])
def test_an_order_that_comes_back_while_killed_is_taken_back(killed):
    """The sweep of the kill switch did not see it: it had ended as NOT_FOUND."""
    witness = Witness(None)
    witness.place = witness.placed.append

    async def main():
        async with laid(unlimited(), broker=witness) as one:
            inbox = one.line.inboxes[Stage.EXECUTION]
            inbox.put_bounded(approved(quantity=4))
            await one.line.quiet.wait()
            inbox.put_bounded(report(ReportKind.ABSENT))
            await one.line.quiet.wait()
            if killed:
                one.gate.kill("news", "uid 7", TEN_NS)
                inbox.put_bounded(Halt("news", "uid 7", TEN_NS))
            inbox.put_bounded(report(ReportKind.FOUND, broker_order_id="B1"))
            await one.line.quiet.wait()

    run(main)
    assert [each.broker_order_id for each in witness.cancelled] == (["B1"] if killed else [])


def test_an_order_that_was_withheld_leaves_the_throttles_as_it_does_after_a_restart():
    async def main():
        async def commit():
            one.gate.kill("news", "uid 7", TEN_NS)

        rules = (OrdersPerDay(1),)
        async with laid(plan(rules=rules), broker=Witness(None), commit=commit) as one:
            one.line.publish(batch(tick(), row=1))
            await one.line.quiet.wait()
            await one.line.inboxes[Stage.RISK].put_all(signal())
            await one.line.quiet.wait()
            assert [said.order.status for said in of(OrderClosed, one.said)] == [OrderStatus.WITHHELD]
            assert isinstance(one.cores.risk.on(signal())[0], Approved)

    run(main)


@pytest.mark.parametrize("why", ["killed", "not ready"])
def test_an_approval_that_meets_a_closed_gate_is_refused_without_an_intent(why):
    witness = Witness(None)

    async def main():
        async with laid(unlimited(Eager()), broker=witness) as one:
            if why == "killed":
                one.gate.kill("news", "uid 7", TEN_NS)
            else:
                one.gate.ready = False
            one.line.inboxes[Stage.EXECUTION].put_bounded(approved(quantity=4))
            await one.line.quiet.wait()
            (refused,) = of(Refused, one.said)
            assert (refused.rule, refused.broker, refused.quantity) == ("kill_switch", "paper", 4)
            assert refused.instrument == INFY
            assert of(OrderOpened, one.said) == []
            assert one.cores.execution.total("paper") == 0

    run(main)
    assert witness.placed == []


def test_an_approval_refused_at_the_gate_claims_nothing_after_the_kill_switch_is_off():
    """Its quantity would otherwise count as exposure until another order is approved, which it prevents."""
    rule = MaximumPositionQuantity(max_position_quantity=1)

    async def main():
        async with laid(plan(Eager(), rules=(rule,))) as one:
            one.line.inboxes[Stage.RISK].put_latest(batch(tick(100)))
            one.gate.kill("news", "uid 7", TEN_NS)
            await one.line.carry(signal(strategy_id="eager"))
            one.line.route(Halt("news", "uid 7", TEN_NS))
            await one.line.quiet.wait()
            assert [refused.rule for refused in of(Refused, one.said)] == ["kill_switch"]
            one.line.route(Resume("over", "uid 7", TEN_NS))
            await one.line.quiet.wait()
            one.gate.rearm("over", "uid 7", TEN_NS)
            await one.line.carry(signal(strategy_id="eager", signal_id="S000002"))
            await one.line.quiet.wait()
            assert len(of(OrderOpened, one.said)) == 1

    run(main)


def test_a_halt_cancels_what_rests_and_strategies_see_nothing_until_the_resume():
    eager = Eager()

    async def main():
        async with laid(unlimited(eager)) as one:
            walk = rows([(0, 100.0), (0, 101.0), (0, 102.0)])
            await one.turns(walk[:1]).run()
            one.gate.kill("news", "uid 7", TEN_NS)
            one.line.route(Halt("news", "uid 7", TEN_NS))
            await one.line.quiet.wait()
            (closed,) = of(OrderClosed, one.said)
            assert closed.order.status is OrderStatus.CANCELLED
            await one.turns(walk[1:]).run()
            assert of(Booked, one.said) == []
            assert len(of(TradingSignal, one.said)) == 1

    run(main)
    assert [saw for saw in eager.saw if saw[0] == "tick"] == [("tick", 100.0)]


@pytest.mark.parametrize("together", [True, False], ids=["in one breath", "one after the other"])
def test_the_journal_has_the_fills_of_an_order_before_it_has_its_end(tmp_path, together):
    """Four of ten, then a cancel: a crash between any two rows loses neither the fill nor the order."""
    path = tmp_path / "alphapanda.db"

    async def main():
        async with Store(path) as store, laid(unlimited(), broker=Witness(None), store=store) as one:
            store.open_accounts({"paper": CASH})
            one.line.inboxes[Stage.EXECUTION].put_bounded(approved(quantity=10))
            await one.line.quiet.wait()
            one.line.route(report(ReportKind.FILL, quantity=4))
            if not together:
                await one.line.quiet.wait()
            one.line.route(report(ReportKind.CANCELLED))
            await one.line.quiet.wait()
            await store.commit()
            return one.cores.portfolio.balances()

    balances = run(main)
    events = read(path)
    states = [(type(event), event.order.status.value) for event in events if hasattr(event, "order")]
    assert states == [
        (OrderOpened, "PREPARED"),
        (OrderUpdated, "SENT"),
        (OrderUpdated, "OPEN"),
        (Booked, "PARTIAL"),
        (OrderClosed, "CANCELLED"),
    ]
    whole = fold(events).saved
    assert [(one.status, one.filled_quantity) for one in whole.orders] == [(OrderStatus.CANCELLED, 4)]
    assert [one.quantity for one in whole.fills] == [4]
    assert build_cores(unlimited(), whole).portfolio.balances() == balances
    cut = fold(events[:-1]).saved
    assert [(one.status, one.filled_quantity) for one in cut.orders] == [(OrderStatus.PARTIAL, 4)]
    assert [one.quantity for one in cut.fills] == [4]
    assert [one.order_id for one in build_cores(unlimited(), cut).execution.open_orders()] == ["O000001"]
    for length in range(len(events)):
        saved = fold(events[:length]).saved
        assert sum(one.quantity for one in saved.fills) == sum(one.filled_quantity for one in saved.orders)


def test_an_answer_that_comes_while_the_order_is_placed_finds_it_sent():
    async def main():
        async with laid(unlimited(), broker=Witness(None)) as one:
            one.line.inboxes[Stage.EXECUTION].put_bounded(approved())
            await one.line.quiet.wait()
            states = [event.order.status.value for event in of((OrderOpened, OrderUpdated), one.said)]
            assert states == ["PREPARED", "SENT", "OPEN"]

    run(main)


def test_a_sign_of_life_reaches_every_stage_and_changes_nothing():
    async def main():
        async with laid() as one:
            stages = (Stage.STRATEGY, Stage.RISK, Stage.EXECUTION, Stage.PORTFOLIO)
            for stage in stages:
                one.line.inboxes[stage].put_bounded(PULSE)
            await one.line.quiet.wait()
            assert {one.line.gauges[stage].processed for stage in stages} == {1}
            assert one.said == []

    run(main)


class Burst:
    """A live feed that publishes many batches without a pause, then nothing more."""

    def __init__(self, count):
        self.count = count

    async def run(self, publish):
        for number in range(1, self.count + 1):
            publish(batch(tick(100 + number / 1000), at=number / 1000))
        await asyncio.Event().wait()

    def now_ns(self):
        return 0


def test_a_live_feed_is_folded_under_load_and_never_waits():
    eager = Eager("quiet one")
    eager.on_market_data = lambda tick: eager.saw.append(tick.last_price) or []
    taken = []

    async def main():
        async with laid(unlimited(eager), capacity=8) as one:
            feed = Stream(Burst(1000), one.line, one.gate, one.brokers, seen=taken.append).run()
            task = asyncio.create_task(feed)
            await until(lambda: len(taken) == 1000)
            await one.line.quiet.wait()
            for stage in (Stage.RISK, Stage.PORTFOLIO, Stage.STRATEGY):
                assert one.line.inboxes[stage].folded == 1000 - 8 - 1
            assert one.cores.risk._marks.price(INFY.instrument_token) == 101
            assert one.line.gauges[Stage.FEED].processed == 1000
            task.cancel()
            await asyncio.wait([task])

    run(main)
    assert eager.saw[-1] == 101.0
    assert len(eager.saw) == 9


def test_a_live_feed_fills_what_rests_and_shows_strategies_nothing_while_the_gate_is_closed():
    eager = Eager()

    async def main():
        async with laid(unlimited(eager)) as one:
            one.line.inboxes[Stage.EXECUTION].put_bounded(approved(quantity=2))
            await one.line.quiet.wait()
            one.gate.kill("news", "uid 7", TEN_NS)
            feed = Stream(Burst(3), one.line, one.gate, one.brokers).run()
            task = asyncio.create_task(feed)
            await until(lambda: of(Booked, one.said))
            await one.line.quiet.wait()
            task.cancel()
            await asyncio.wait([task])
            (booked,) = of(Booked, one.said)
            assert booked.position.quantity == 2

    run(main)
    assert eager.saw == []


@pytest.mark.parametrize("by", ["uid 7", ""], ids=["the operator's", "a strategy's"])
def test_only_the_operators_closing_order_leaves_while_killed(by):
    witness = Witness(None)

    async def main():
        async with laid(unlimited(Eager()), broker=witness) as one:
            one.gate.kill("news", "uid 7", TEN_NS)
            closing_order = order(SELL, 4, position_effect=CLOSE, by=by)
            approved = Approved(closing_order, signal(SELL, 4, position_effect=CLOSE, by=by))
            one.line.inboxes[Stage.EXECUTION].put_bounded(approved)
            await one.line.quiet.wait()
            assert len(of(Refused, one.said)) == (0 if by else 1)

    run(main)
    assert [placed.quantity for placed in witness.placed] == ([4] if by else [])


def test_an_operators_close_that_is_killed_while_its_intent_is_committed_leaves_all_the_same():
    witness, committing = Witness(None), []

    async def main():
        async def commit():
            committing.append(True)
            one.gate.kill("news", "uid 7", TEN_NS)

        async with laid(unlimited(Eager()), broker=witness, commit=commit) as one:
            for number, by in ((1, "uid 7"), (2, "")):
                made = order(SELL, 4, number, position_effect=CLOSE, by=by)
                one.line.inboxes[Stage.EXECUTION].put_bounded(Approved(made, signal(SELL, 4, by=by)))
            await one.line.quiet.wait()
            assert [one.cores.execution.order(f"O00000{number}").status for number in (1, 2)] == [
                "OPEN",
                "WITHHELD",
            ]

    run(main)
    assert committing == [True]
    assert [placed.by for placed in witness.placed] == ["uid 7"]
