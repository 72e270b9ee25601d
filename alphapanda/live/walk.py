"""How a feed is walked: a finite one in turns, a live one as it comes.

Both offer the operator the same hold: `async with walk.lock` begins when nothing is on the line, and until it
ends no price enters it.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from time import monotonic, perf_counter_ns
from typing import Protocol

import anyio

from alphapanda.events import TickBatch, Timer
from alphapanda.fail_points import FailPoint, reach
from alphapanda.live.edges import Fold
from alphapanda.live.gate import Gate
from alphapanda.live.line import Line
from alphapanda.pipeline import Stage
from alphapanda.times import SECOND_NS
from alphapanda.venues.contract import Broker, LiveFeed

TIMER_S = 0.25
"""How often a live feed is asked whether a second of the market's clock has passed."""


class Walk(Protocol):
    """`row` and `time_ns` are where it is; `ended` is set when nothing more will come today. Of a live feed
    that is once a day: who waits for it clears it.
    """

    row: int
    time_ns: int
    stopping: bool
    ended: asyncio.Event

    @property
    def lock(self) -> AbstractAsyncContextManager[object]: ...

    async def run(self) -> None: ...


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
        reach(FailPoint.TURN_FILLED)
        line.publish(_stamped(batch), to_strategies=self._gate.is_open)
        await quiet.wait()
        reach(FailPoint.TURN_DONE)
        self.row, self.time_ns = batch.row, batch.time_ns
        self._taken(batch.row, batch.time_ns)
        reach(FailPoint.TURN_TAKEN)
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


class Standstill:
    """Entered when nothing is on the line and no price enters it; what came meanwhile follows at the end."""

    def __init__(self, line: Line, go_on: Callable[[], None]) -> None:
        self._line = line
        self._go_on = go_on
        self._lock = asyncio.Lock()
        self._holders = 0
        """Who has it, and who waits for it."""

    @property
    def held(self) -> bool:
        return self._holders > 0

    async def __aenter__(self) -> None:
        self._holders += 1
        try:
            await self._lock.acquire()
        except BaseException:
            self._leave()
            raise
        try:
            await self._line.quiet.wait()
        except BaseException:
            self._lock.release()
            self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
        self._leave()

    def _leave(self) -> None:
        self._holders -= 1
        if not self._holders:
            self._go_on()


class Stream:
    """A live feed has no turns: what comes is published at once, and edges fold when a stage falls behind.

    `over(now)` says that the day's sessions have ended; `timed` False sends no timers: no strategy asks.
    """

    def __init__(
        self,
        feed: LiveFeed,
        line: Line,
        gate: Gate,
        brokers: Mapping[str, Broker],
        *,
        over: Callable[[int], bool] = lambda _now_ns: False,
        seen: Callable[[TickBatch], None] = lambda _batch: None,
        timed: bool = True,
    ) -> None:
        self._feed = feed
        self._line = line
        self._gate = gate
        self._matching = [broker for broker in brokers.values() if broker.matches]
        self._over = over
        self._seen = seen
        self._timed = timed
        self._second = 0
        self._is_over = False
        self._waiting: Fold | None = None
        self.lock = Standstill(line, self._go_on)
        self.stopping = False
        self.row = 0
        self.time_ns = 0
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._time)
            await self._feed.run(self.publish)
            tasks.cancel_scope.cancel()

    def publish(self, batch: TickBatch) -> None:
        """Never blocks. While the operator holds the line the newest tick of each instrument waits."""
        if self.stopping:
            return
        if self.lock.held:
            if self._waiting is None:
                self._waiting = Fold()
            self._waiting.add(batch)
            return
        for broker in self._matching:
            broker.on_ticks(batch)
        self._line.publish(batch, to_strategies=self._gate.is_open)
        self.time_ns = max(self.time_ns, batch.time_ns)
        if batch.ticks:
            self._seen(batch)
            self._line.gauges[Stage.FEED].note()

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self.publish(waiting.batch())

    async def _time(self) -> None:
        """The market's clock goes on when nothing ticks: prices age, minutes end, timers run."""
        while not self.stopping:
            now_ns = self._feed.now_ns()
            if now_ns // SECOND_NS > self._second and not self.lock.held:
                self._second = now_ns // SECOND_NS
                self.publish(TickBatch(time_ns=now_ns, ticks=()))
                if self._timed:
                    self._line.route(Timer(now_ns))
                was_over, self._is_over = self._is_over, self._over(now_ns)
                if self._is_over and not was_over:
                    self.ended.set()
            await asyncio.sleep(TIMER_S)
