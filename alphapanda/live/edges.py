"""The queues between stages: one inbox a stage, bounded, with a keep rule for each kind of event.

`Quiet` counts what is queued or being worked on anywhere on the line: at zero a turn is over, and at
shutdown the line has drained.
"""

import asyncio
from collections import deque

from alphapanda.errors import Fatal
from alphapanda.events import Instrument, MarketTick, Snapshot, TickBatch

YIELD_EVERY = 16
"""A stage with a backlog lets the others run after so many events."""


class Overflow(Fatal):
    """An edge that is bounded by construction is full: the construction is wrong, so trading must stop."""


class CoreFailed(Exception):  # noqa: N818 - names the fact
    """A stage that shares its state with the others raised: the line begins anew, from the journal."""


class Quiet:
    """How many events are on the line."""

    def __init__(self) -> None:
        self.busy = 0
        self._waiters: list[asyncio.Future[None]] = []

    def done(self) -> None:
        self.busy -= 1
        if self.busy == 0 and self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def end(self) -> None:
        """Nothing of this line will be dealt with any more; who waits for it is told."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(CoreFailed("the line begins anew: look at it and ask again"))

    async def wait(self) -> None:
        """Until nothing is queued and no stage is at work."""
        while self.busy:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter


class Fold:
    """The newest tick of each instrument, from batches that found the edge full."""

    def __init__(self) -> None:
        self.ticks: dict[int, MarketTick] = {}
        self.listed: tuple[Instrument, ...] = ()
        self.lost: set[int] | None = None
        self.last: TickBatch

    def add(self, batch: TickBatch) -> int:
        """How many waiting ticks were replaced by newer ones."""
        before = len(self.ticks) + len(batch.ticks)
        for tick in batch.ticks:
            self.ticks[tick.instrument_token] = tick
            if self.lost:
                self.lost.discard(tick.instrument_token)
        if batch.lost is not None:
            self.lost = {*batch.lost} if self.lost is None else self.lost.union(batch.lost)
        self.listed += batch.listed
        self.last = batch
        return before - len(self.ticks)

    def batch(self) -> TickBatch:
        last = self.last
        return TickBatch(
            time_ns=last.time_ns,
            ticks=tuple(self.ticks.values()),
            row=last.row,
            received_ns=last.received_ns,
            listed=self.listed,
            lost=None if self.lost is None else tuple(self.lost),
        )


class Inbox:
    """What waits for one stage. `capacity` bounds tick batches, signals and approvals; `bound` the rest."""

    def __init__(self, name: str, quiet: Quiet, *, capacity: int = 1024, bound: int = 65_536) -> None:
        self.name = name
        self.capacity = capacity
        self.bound = bound
        self.folded = 0
        self._quiet = quiet
        self._items: deque[object] = deque()
        self._batches = 0
        self._fold: Fold | None = None
        self._cell: Snapshot | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writers: deque[asyncio.Future[None]] = deque()
        self._taken = 0

    def __len__(self) -> int:
        return len(self._items) + (self._fold is not None) + (self._cell is not None)

    def put_latest(self, batch: TickBatch) -> None:
        """Never blocks: when full, newer ticks replace older ones of the same instrument."""
        if self._fold is None and self._batches < self.capacity:
            self._items.append(batch)
            self._batches += 1
            self._quiet.busy += 1
        else:
            if self._fold is None:
                self._fold = Fold()
                self._quiet.busy += 1
            self.folded += self._fold.add(batch)
        self._wake()

    def put_bounded(self, event: object) -> None:
        """Never blocks: what comes here is bounded by open orders and unanswered signals."""
        if len(self._items) >= self.bound:
            raise Overflow(f"{len(self._items)} events wait for {self.name}: more than can exist")
        self._items.append(event)
        self._quiet.busy += 1
        self._wake()

    def put_cell(self, snapshot: Snapshot) -> None:
        """Never blocks: overwrites the one that waits."""
        if self._cell is None:
            self._quiet.busy += 1
        self._cell = snapshot
        self._wake()

    async def put_all(self, event: object) -> None:
        """Blocks while full: nothing is lost, and the producer slows down."""
        while len(self._items) >= self.capacity:
            writer = asyncio.get_running_loop().create_future()
            self._writers.append(writer)
            try:
                await writer
            except asyncio.CancelledError:
                if len(self._items) < self.capacity:
                    self._let_writer_in()
                raise
        self.put_bounded(event)

    async def get(self) -> object:
        """The next event; the snapshot first, folded ticks last. Call `done` when it is dealt with."""
        self._taken += 1
        if self._taken % YIELD_EVERY == 0:
            await asyncio.sleep(0)
        while True:
            event = self.take()
            if event is not None:
                return event
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None

    def take(self) -> object | None:
        """What is there now, or None."""
        if self._cell is not None:
            cell, self._cell = self._cell, None
            return cell
        if self._items:
            event = self._items.popleft()
            if type(event) is TickBatch:
                self._batches -= 1
            self._let_writer_in()
            return event
        if self._fold is not None:
            fold, self._fold = self._fold, None
            return fold.batch()
        return None

    def done(self) -> None:
        self._quiet.done()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _let_writer_in(self) -> None:
        while self._writers:
            writer = self._writers.popleft()
            if not writer.done():
                writer.set_result(None)
                return
