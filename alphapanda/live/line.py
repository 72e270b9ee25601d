"""The line: the five inboxes, and the flow table turned into puts. Every event passes `carry` once."""

from collections.abc import Awaitable, Callable
from time import monotonic

import anyio

from alphapanda.events import OrderClosed, OrderUpdated, TickBatch
from alphapanda.live.edges import Inbox, Quiet
from alphapanda.pipeline import FLOW, Keep, Stage

Tap = Callable[[object], None]

AFTER_THE_BOOK = frozenset({OrderUpdated, OrderClosed})
"""Tapped once portfolio has taken them: the journal never says that an order ended before it has its fills,
so a crash in between loses neither."""
SETTLE_S = 0.005
"""Prices wait no longer for what was there before them, were a disk to stall."""


class Gauge:
    """What `status` says of one stage."""

    def __init__(self) -> None:
        self.state = "starting"
        self.restarts = 0
        self.processed = 0
        self.last_progress = monotonic()
        self.restart: Callable[[], None] | None = None
        """Ends the task so that its supervisor starts it anew; None where that is not allowed."""

    def note(self, processed: int | None = None) -> None:
        """One more, or so many in all."""
        self.processed = self.processed + 1 if processed is None else processed
        self.last_progress = monotonic()


class Line:
    """`tap` sees every event before it is queued: the journal and the counters live there."""

    def __init__(self, tap: Tap, *, capacity: int = 1024) -> None:
        self.tap = tap
        self._capacity = capacity
        self.gauges = {stage: Gauge() for stage in Stage}
        self._lay_edges()

    def renew(self) -> None:
        """Empty inboxes, for new cores. What waited for the old ones to be done hears that they never are."""
        before = self.quiet
        self._lay_edges()
        for gauge in self.gauges.values():
            gauge.state = "starting"
            gauge.restarts += 1
        before.end()

    def _lay_edges(self) -> None:
        self.quiet = Quiet()
        self.inboxes = {stage: Inbox(stage, self.quiet, capacity=self._capacity) for stage in Stage}
        self._now: dict[type, list[Callable[..., None]]] = {}
        self._wait: dict[type, list[Callable[..., Awaitable[None]]]] = {}
        self._ticks: list[Inbox] = []
        for edge in FLOW:
            self._lay(edge.event, self.inboxes[edge.to], edge.keep)

    def _lay(self, event: type, inbox: Inbox, keep: Keep) -> None:
        match keep:
            case Keep.LATEST:
                self._ticks.append(inbox)
            case Keep.ALL:
                self._wait.setdefault(event, []).append(inbox.put_all)
            case Keep.BOUNDED:
                self._now.setdefault(event, []).append(inbox.put_bounded)
            case Keep.CELL:
                self._now.setdefault(event, []).append(inbox.put_cell)

    async def carry(self, event: object) -> None:
        """Tap an event and put it where the flow table says; waits only on an edge that keeps all."""
        self.route(event)
        for put in self._wait.get(type(event), ()):
            await put(event)

    def route(self, event: object) -> None:
        """The same for an event with no edge that keeps all."""
        if type(event) not in AFTER_THE_BOOK:
            self.tap(event)
        for put in self._now.get(type(event), ()):
            put(event)

    async def settled(self) -> None:
        """Until all that is on the line has been dealt with, for a feed that brings much at once: an order
        leaves, its commit included, before more prices want the core. Not for long.
        """
        if self.quiet.busy:
            with anyio.move_on_after(SETTLE_S):
                await self.quiet.wait()

    def publish(self, batch: TickBatch, *, to_strategies: bool = True) -> None:
        """Ticks to every stage that wants them; strategies see none while the kill switch is on."""
        for inbox in self._ticks:
            if to_strategies or inbox.name != Stage.STRATEGY:
                inbox.put_latest(batch)
