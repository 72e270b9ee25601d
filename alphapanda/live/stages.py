"""The tasks. A pure stage is six lines; execution also performs its orders; the feed walks or listens.

No stage is asked how it fares: each notes its progress, and failures reach the supervisor as exceptions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from time import monotonic, perf_counter_ns
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
    TickBatch,
    Timer,
    Verdict,
    Voided,
)
from alphapanda.live.gate import Gate
from alphapanda.live.line import AFTER_THE_BOOK, Line
from alphapanda.pipeline import Stage
from alphapanda.times import SECOND_NS
from alphapanda.venues.contract import Broker, LiveFeed


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
            broker.attach(line.route)

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
            if isinstance(event, Approved) and not self._gate.lets(event.order):
                self._line.route(_refused_at_gate(event, self._gate))
                self._line.route(Voided(event.order))
                continue
            for output in self._core.on(event):
                if isinstance(output, PlaceOrder):
                    to_place.append(output.order)
                elif isinstance(output, CancelOrder):
                    self._brokers[output.order.broker].cancel(output.order)
                else:
                    self._line.route(output)
        if to_place:
            await self._commit()
            for order in to_place:
                self._send(order)

    def _send(self, order: Order) -> None:
        """SENT is said first, so that an answer that comes at once finds the order sent."""
        lets = self._gate.lets(order)
        kind = ReportKind.SENT if lets else ReportKind.WITHHELD
        reason = "" if lets else f"kill switch: {self._gate.reason}"
        report = Report(order_id=order.order_id, kind=kind, time_ns=order.created_ns, reason=reason)
        for output in self._core.on(report):
            self._line.route(output)
        if not lets:
            self._line.route(Voided(order))  # throttles forget it, as they do after a restart
        self._gate.send(order, self._brokers[order.broker])


def _refused_at_gate(approved: Approved, gate: Gate) -> Refused:
    order = approved.order
    return Refused(
        signal=approved.signal,
        broker=order.broker,
        verdict=Verdict.REFUSED,
        rule="kill_switch",
        why=f"the kill switch is on: {gate.reason}",
        quantity=order.quantity,
        instrument=order.instrument,
    )


class Pace:
    """How fast rows are walked: `speed` times the market's clock, or as fast as the line allows (None).

    Gaps of more than half an hour of market time (nights, holidays) are not waited for.
    """

    GAP_NS = 1800 * SECOND_NS

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._previous_ns = 0
        self._due = monotonic()

    async def wait(self, time_ns: int) -> None:
        if self._speed is None:
            return
        gap_ns = time_ns - self._previous_ns
        self._previous_ns = time_ns
        if 0 < gap_ns <= self.GAP_NS:
            self._due += gap_ns / SECOND_NS / self._speed
            await asyncio.sleep(self._due - monotonic())
        elif gap_ns > self.GAP_NS:
            self._due = monotonic()


class Turns:
    """Walks a finite feed, one row a turn.

    (1) The brokers see the row, and what they fill is booked. (2) Risk and portfolio take the price, the
    strategies see the row, each signal gets its verdict and each approval rests at its broker. (3) The row
    is marked as taken: `taken(row, clock)`. `lock` is held during a turn: operator commands run between
    turns. `timed` False sends no timers: no strategy asks for them. `row` and `time_ns` are where an earlier
    run stopped.
    """

    def __init__(
        self,
        rows: Iterator[TickBatch],
        line: Line,
        gate: Gate,
        brokers: Mapping[str, Broker],
        *,
        pace: Pace,
        taken: Callable[[int, int], None],
        seen: Callable[[TickBatch], None] = lambda _batch: None,
        timed: bool = True,
        row: int = 0,
        time_ns: int = 0,
    ) -> None:
        self._rows = rows
        self._line = line
        self._gate = gate
        self._brokers = list(brokers.values())
        self._pace = pace
        self._taken = taken
        self._seen = seen
        self._timed = timed
        self._second = time_ns // SECOND_NS
        self.lock = asyncio.Lock()
        self.stopping = False
        self.row = row
        self.time_ns = time_ns
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Until the rows end or `stopping` is set between two turns."""
        gauge = self._line.gauges[Stage.FEED]
        for batch in self._rows:
            await self._pace.wait(batch.time_ns)
            if self.stopping:
                return
            async with self.lock:
                await self._turn(batch)
            gauge.note()
        self.ended.set()

    async def _turn(self, batch: TickBatch) -> None:
        line, quiet = self._line, self._line.quiet
        if self._timed and batch.time_ns // SECOND_NS > self._second:
            self._second = batch.time_ns // SECOND_NS
            line.route(Timer(self._second * SECOND_NS))
            await quiet.wait()
            self._taken(self.row, self._second * SECOND_NS)
        for broker in self._brokers:
            broker.on_ticks(batch)
        if quiet.busy:
            await quiet.wait()
        line.publish(_stamped(batch), to_strategies=self._gate.is_open)
        await quiet.wait()
        self.row, self.time_ns = batch.row, batch.time_ns
        self._taken(batch.row, batch.time_ns)
        self._seen(batch)


def _stamped(batch: TickBatch) -> TickBatch:
    """The row with the moment it entered the line, for latency figures."""
    return TickBatch(
        time_ns=batch.time_ns,
        ticks=batch.ticks,
        row=batch.row,
        received_ns=perf_counter_ns(),
        listed=batch.listed,
    )


async def run_live(
    feed: LiveFeed,
    line: Line,
    gate: Gate,
    brokers: Mapping[str, Broker],
    taken: Callable[[TickBatch], None],
) -> None:
    """A live feed has no turns: what comes is published, edges fold when a stage falls behind."""
    gauge, matching = line.gauges[Stage.FEED], list(brokers.values())

    def publish(batch: TickBatch) -> None:
        for broker in matching:
            broker.on_ticks(batch)
        line.publish(batch, to_strategies=gate.is_open)
        taken(batch)
        gauge.note()

    await feed.run(publish)
