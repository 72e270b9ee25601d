"""The tasks. A pure stage is six lines; execution also performs its orders; `walk` has the feed's.

No stage is asked how it fares: each notes its progress, and failures reach the supervisor as exceptions.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from alphapanda.core.execution import TradingEngine
from alphapanda.events import (
    Approved,
    CancelOrder,
    Order,
    PlaceOrder,
    Refused,
    Report,
    ReportKind,
    Verdict,
    Voided,
)
from alphapanda.fail_points import FailPoint, reach
from alphapanda.live.gate import Closed, Gate
from alphapanda.live.line import AFTER_THE_BOOK, Line
from alphapanda.pipeline import Stage
from alphapanda.venues.contract import Broker


class Core(Protocol):
    def on(self, event: object) -> list[Any]: ...


class Pulse:
    """Sent to every inbox now and then: a stage that answers it is alive, whatever the market does."""


PULSE = Pulse()


async def run_stage(core: Core, stage: Stage, line: Line) -> None:
    """Any pure stage: take an event, let the core decide, carry what it says."""
    inbox, gauge, on, carry = line.inboxes[stage], line.gauges[stage], core.on, line.carry
    while True:
        event = await inbox.get()
        if event is not PULSE:
            for output in on(event):
                await carry(output)
            if stage is Stage.PORTFOLIO and type(event) in AFTER_THE_BOOK:
                reach(FailPoint.BEFORE_ORDER_TOLD)
                line.tap(event)
        gauge.note()
        inbox.done()


class Execution:
    """The one shell that acts: intent, commit, gate and first byte, then the outcome.

    `commit` returns when everything tapped so far is durable. Nothing awaits between the gate and the send.
    """

    def __init__(
        self,
        core: TradingEngine,
        line: Line,
        gate: Gate,
        brokers: Mapping[str, Broker],
        commit: Callable[[], Awaitable[None]],
    ) -> None:
        self._core = core
        self._line = line
        self._gate = gate
        self._brokers = brokers
        self._commit = commit
        for broker in brokers.values():
            broker.attach(line.route, gate.lets)

    async def run(self) -> None:
        inbox, gauge = self._line.inboxes[Stage.EXECUTION], self._line.gauges[Stage.EXECUTION]
        while True:
            events = [await inbox.get()]
            while (event := inbox.take()) is not None:
                events.append(event)
            await self._on_events(events)
            for _ in events:
                gauge.note()
                inbox.done()

    async def _on_events(self, events: list[object]) -> None:
        """All that waits is decided first, so that many intents share one commit."""
        to_place: list[Order] = []
        for event in events:
            if event is PULSE:
                continue
            if isinstance(event, Approved) and (closed := self._gate.closed(event.order)) is not None:
                self._line.route(_refused_at_gate(event, closed))
                self._line.route(Voided(event.order))
                continue
            for output in self._core.on(event):
                if isinstance(output, PlaceOrder):
                    to_place.append(output.order)
                elif isinstance(output, CancelOrder):
                    self._brokers[output.order.broker].cancel(output.order)
                else:
                    self._line.route(output)
            if isinstance(event, Report):
                self._after(event)
        if to_place:
            reach(FailPoint.INTENT_DECIDED)
            await self._commit()
            reach(FailPoint.INTENT_COMMITTED)
            for order in to_place:
                self._send(order)

    def _after(self, report: Report) -> None:
        """Throttles forget what never left. What is FOUND had ended when the kill switch swept."""
        reach(FailPoint.REPORT_BOOKED)
        order = self._core.order(report.order_id)
        if report.kind is ReportKind.WITHHELD:
            self._line.route(Voided(order))
        elif report.kind is ReportKind.FOUND and self._gate.killed and not order.closed_by_hand:
            self._brokers[order.broker].cancel(order)

    def _send(self, order: Order) -> None:
        """SENT is said first, so that an answer that comes at once finds the order sent."""
        closed = self._gate.closed(order)
        kind = ReportKind.SENT if closed is None else ReportKind.WITHHELD
        reason = "" if closed is None else closed.why
        report = Report(order_id=order.order_id, kind=kind, time_ns=order.created_ns, reason=reason)
        for output in self._core.on(report):
            self._line.route(output)
        if closed is not None:
            self._line.route(Voided(order))  # throttles forget it, as they do after a restart
        sent = self._gate.send(order, self._brokers[order.broker])
        if closed is None and not sent:  # a thread has closed the gate since
            why = "the gate was closed in that moment"
            late = Report(
                order_id=order.order_id, kind=ReportKind.WITHHELD, time_ns=order.created_ns, reason=why
            )
            self._line.route(late)


def _refused_at_gate(approved: Approved, closed: Closed) -> Refused:
    order = approved.order
    return Refused(
        signal=approved.signal,
        broker=order.broker,
        verdict=Verdict.REFUSED,
        rule=closed.rule,
        why=closed.why,
        quantity=order.quantity,
        instrument=order.instrument,
    )
