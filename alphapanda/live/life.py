"""One life of the line: recovery, trading, the drain. Its cores are never used again.

Order of start: recovery, brokers, feed, strategies, trading. Order of stop: the feed, then what is on the
line, then the store; each step has its deadline below.
"""

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, closing
from time import monotonic
from typing import Any

import anyio
from anyio.abc import TaskGroup
from loguru import logger
from msgspec import Struct

from alphapanda.config import Loaded
from alphapanda.core.overruns import Overruns
from alphapanda.errors import Fatal
from alphapanda.events import FeedRestarted, Order
from alphapanda.fail_points import FailPoint, reach
from alphapanda.live.account import Account
from alphapanda.live.counters import Counters
from alphapanda.live.edges import CoreFailed
from alphapanda.live.endings import Leaving, staying
from alphapanda.live.gate import Gate
from alphapanda.live.line import Gauge, Line
from alphapanda.live.metrics import Metrics
from alphapanda.live.notify import Notifier
from alphapanda.live.opening import Opened, open_line
from alphapanda.live.options import Options
from alphapanda.live.policies import FINITE
from alphapanda.live.stages import PULSE, Execution, run_stage
from alphapanda.live.stopwatch import LoopStopwatch
from alphapanda.live.supervisor import Run, supervise
from alphapanda.live.sweep import Sweeper
from alphapanda.live.switch import KillSwitch
from alphapanda.live.task_faults import as_told
from alphapanda.live.walk import Pace, Stream, Turns, Walk
from alphapanda.pipeline import Stage
from alphapanda.plan import unseen
from alphapanda.store import Store

database = logger.bind(channel="database")
prices = logger.bind(channel="market_data")
trading = logger.bind(channel="trading")

FEED_DEADLINE_S = 5.0
DRAIN_DEADLINE_S = 5.0
STORE_DEADLINE_S = 10.0
PULSE_S = 0.5
MARKS_S = 10.0
LINE = "the line"
ORDER_PATH = (Stage.STRATEGY, Stage.RISK, Stage.EXECUTION, Stage.PORTFOLIO)


class House(Struct, kw_only=True):
    """What outlives a line."""

    loaded: Loaded
    options: Options
    line: Line
    gate: Gate
    switch: KillSwitch
    counters: Counters
    notifier: Notifier
    helpers: dict[str, Gauge]
    metrics: Metrics | None
    headline: Callable[[], str]
    leaving: Leaving
    supervise: Callable[[str, Run, Gauge], Coroutine[Any, Any, None]]
    idle: int = 0
    """How often the pulse found the store with nothing to do: the watchdog hears no count go backwards."""


class Life:
    """`run` ends when it is told to stop, or the data ends and that was asked for. Raises CoreFailed where
    only new cores can go on, and what is Fatal.
    """

    def __init__(self, house: House, store: Store) -> None:
        self.opened: Opened | None = None
        self.walk: Walk | None = None
        self.state = "starting"
        self._house = house
        self._store = store
        self._line = house.line
        self._gate = house.gate
        self._stop = anyio.Event()
        self._opening: anyio.CancelScope | None = None

    def stop(self) -> None:
        self._stop.set()
        if self._opening is not None:
            self._opening.cancel()

    async def run(self) -> None:
        house, store = self._house, self._store
        with anyio.CancelScope() as self._opening:
            if not self._stop.is_set():  # stopped while the store was folded: nothing is opened
                self.opened = await open_line(
                    house.loaded, house.options, store, self._gate, house.notifier.extend
                )
                store.let_go()
        opened = self.opened
        if opened is None or self._stop.is_set():  # stopped while it was opening
            return
        async with AsyncExitStack() as closes:
            if opened.rows is not None:
                closes.enter_context(closing(opened.rows))
            if opened.account is not None:
                closes.push_async_callback(opened.account.close)
            stopwatch = closes.enter_context(LoopStopwatch())
            timed = Overruns(stopwatch, live=opened.rows is None)
            opened.cores.strategy.company.overruns = timed
            async with anyio.create_task_group() as stages:
                stages.start_soon(house.leaving.when_cancelled, LINE)
                await self._trade(stages, opened, store)
                stages.cancel_scope.cancel()

    async def _trade(self, stages: TaskGroup, opened: Opened, store: Store) -> None:
        house = self._house
        self._start_stages(stages, opened, store)
        await house.switch.restore(store, opened.halt)
        if house.metrics is not None:
            await house.metrics.obey()
        if opened.account is not None and not await self._join(stages, opened.account):
            return
        if self._gate.killed:
            await self._cancel_resting(opened, keep=lambda order: order.closed_by_hand)
        reach(FailPoint.BEFORE_READY)
        self._gate.ready = True
        for failure in opened.cores.strategy.start():
            self._line.route(failure)
        house.options.ready()
        walk = self.walk = self._walk(opened, store)
        sweeper = Sweeper(house.switch, self._gate, self._line, opened, walk)
        stages.start_soon(sweeper.run)
        self._start_feed(stages, opened, walk)
        self._supervise(stages, "pulse", self._pulse)
        self.state = "running"
        logger.info("ready: {}", opened.ready_line())
        house.notifier.ready(house.headline())
        reach(FailPoint.AFTER_READY)
        await self._until_told(opened, walk)
        await self._drain(opened, walk, store)
        self._show()

    async def _join(self, stages: TaskGroup, account: Account) -> bool:
        """Its tasks run, its book is read, and what it says has been booked. False: stopped meanwhile."""
        account.join(self._line.route, self._line.publish, self._line.settled)
        stages.start_soon(self._halt_where_it_differs, account)
        for name, task in account.tasks().items():
            known = self._house.helpers.setdefault(name, Gauge())
            known.restarts += known.state != "starting"  # a new life is one, as it is of the stages
            self._supervise(stages, name, task)
        with anyio.CancelScope() as self._opening:
            if not self._stop.is_set():
                await account.joined()
                await self._line.quiet.wait()
        return not self._stop.is_set()

    async def _halt_where_it_differs(self, account: Account) -> None:
        while True:
            await self._house.switch.on(await account.differing(), "reconciliation")

    def _start_stages(self, stages: TaskGroup, opened: Opened, store: Store) -> None:
        cores, line = opened.cores, self._line
        execution = Execution(cores.execution, line, self._gate, opened.brokers, store.commit)
        stages.start_soon(self._core, Stage.STRATEGY, lambda: run_stage(cores.strategy, Stage.STRATEGY, line))
        stages.start_soon(self._core, Stage.RISK, lambda: run_stage(cores.risk, Stage.RISK, line))
        stages.start_soon(self._core, Stage.EXECUTION, execution.run)
        stages.start_soon(
            self._core, Stage.PORTFOLIO, lambda: run_stage(cores.portfolio, Stage.PORTFOLIO, line)
        )

    async def _core(self, stage: Stage, run: Callable[[], Awaitable[None]]) -> None:
        """One of the stages that share their state: it may be half changed when it raises."""
        gauge = self._line.gauges[stage]
        gauge.state = "running"
        try:
            await as_told(stage, run)
        except Fatal:
            gauge.state = "failed"
            raise
        except Exception as error:
            gauge.state = "failed"
            raise CoreFailed(f"{stage} failed: {type(error).__name__}: {error}") from error
        gauge.state = "failed"
        raise CoreFailed(f"{stage} failed: it returned")

    def _walk(self, opened: Opened, store: Store) -> Walk:
        timed = opened.cores.strategy.timed
        if opened.rows is None:
            return Stream(
                opened.live,
                self._line,
                self._gate,
                opened.brokers,
                over=opened.over,
                seen=self._house.counters.tick,
                timed=timed,
            )
        identity = opened.finite.identity
        return Turns(
            opened.rows,
            self._line,
            self._gate,
            opened.brokers,
            pace=Pace(self._house.options.speed),
            taken=lambda row, clock_ns: store.mark(identity, row, clock_ns),
            seen=self._house.counters.tick,
            timed=timed,
            row=opened.taken,
            time_ns=opened.clock_ns,
        )

    def _start_feed(self, stages: TaskGroup, opened: Opened, walk: Walk) -> None:
        """A live feed that is started anew has missed prices: strategies begin with empty windows."""
        if opened.rows is not None:
            stages.start_soon(supervise, Stage.FEED, walk.run, FINITE, self._line.gauges[Stage.FEED])
            return
        begun = False

        async def run() -> None:
            nonlocal begun
            if begun:
                self._line.route(FeedRestarted(walk.time_ns))
            begun = True
            await walk.run()

        self._supervise(stages, Stage.FEED, run)

    def _supervise(self, group: TaskGroup, name: str, run: Run) -> None:
        gauge = self._house.helpers.get(name) or self._line.gauges[Stage(name)]
        group.start_soon(self._house.supervise, name, run, gauge, name=name)

    async def _until_told(self, opened: Opened, walk: Walk) -> None:
        """Until somebody stops the daemon, or the data ends and that was asked for."""
        async with anyio.create_task_group() as waiting:

            async def at_end() -> None:
                await walk.ended.wait()
                if opened.rows is not None:
                    await self._end_of_data(opened, walk)
                while opened.rows is None:
                    walk.ended.clear()
                    await self._end_of_day(opened)
                    if self._house.options.until_end:
                        break
                    await walk.ended.wait()
                if self._house.options.until_end:
                    self._stop.set()

            waiting.start_soon(at_end)
            await self._stop.wait()
            waiting.cancel_scope.cancel()

    async def _end_of_data(self, opened: Opened, walk: Walk) -> None:
        """No row will fill what still rests: it is cancelled."""
        await self._cancel_resting(opened)
        walked = self._house.counters.ticks and not opened.taken
        strategies = opened.cores.strategy.strategies() if walked else []
        for warning in [*opened.finite.warnings(), *unseen(strategies, self._house.counters.instruments)]:
            prices.warning("{}", warning)
        nothing_new = opened.taken and walk.row == opened.taken
        news = ": nothing is left of it; an empty store walks it again" if nothing_new else ""
        prices.info("the data has ended after row {}{}", walk.row, news)

    async def _end_of_day(self, opened: Opened) -> None:
        """The sessions are over: the account's book is compared once more."""
        prices.info("the day's sessions are over")
        await self._cancel_resting(opened, keep=lambda order: not opened.brokers[order.broker].matches)
        if opened.account is not None:
            await opened.account.end_of_day(opened.cores.execution.open_orders)
        await self._line.quiet.wait()
        await self._store.commit()

    async def _cancel_resting(self, opened: Opened, keep: Callable[[Order], bool] = lambda _: False) -> None:
        for order in opened.cores.execution.open_orders():
            if not keep(order):
                opened.brokers[order.broker].cancel(order)
        await self._line.quiet.wait()

    async def _drain(self, opened: Opened, walk: Walk, store: Store) -> None:
        self.state = "stopping"
        self._house.notifier.stopping()
        walk.stopping = True
        with anyio.move_on_after(FEED_DEADLINE_S):
            async with walk.lock:
                pass
        reach(FailPoint.DRAIN_BEGUN)
        with anyio.move_on_after(DRAIN_DEADLINE_S) as late:
            await self._line.quiet.wait()
            for broker in opened.brokers.values():
                await broker.answered()
            reach(FailPoint.DRAIN_ANSWERED)
            if opened.account is not None:
                await opened.account.last_look()
            await self._line.quiet.wait()
        if late.cancelled_caught:
            trading.warning(
                "{} events were still on the line after {} s", self._line.quiet.busy, DRAIN_DEADLINE_S
            )
        for failure in opened.cores.strategy.stop():
            self._line.route(failure)
        if stays := staying(opened.cores.execution.open_orders(), opened.brokers):
            trading.warning("{}", stays)
        store.tap(opened.cores.portfolio.marks(flat=True))
        reach(FailPoint.DRAIN_TOLD)
        with anyio.fail_after(STORE_DEADLINE_S):
            await store.commit()
        reach(FailPoint.DRAIN_COMMITTED)
        database.info("stopped; the store is complete")

    async def _pulse(self) -> None:
        """Twice a second: a sign of life for every stage, the tick rate, the kill file, the marks."""
        marked = monotonic()
        while True:
            for stage in ORDER_PATH:
                inbox = self._line.inboxes[stage]
                if not len(inbox):
                    inbox.put_bounded(PULSE)
            self._house.counters.second()
            self._house.helpers["pulse"].note()
            self._house.helpers["store"].note(self._store.commits)
            self._house.idle += not self._store.busy
            progress = {stage.value: self._line.gauges[stage].processed for stage in ORDER_PATH}
            progress["store"] = self._store.commits + self._house.idle  # it gets on, or has nothing to do
            self._house.notifier.alive(progress, self._house.headline)
            await self._house.switch.obey_file()
            if self.opened is not None and monotonic() - marked > MARKS_S:
                self._line.route(self.opened.cores.portfolio.marks())
                marked = monotonic()
            self._show()
            await anyio.sleep(PULSE_S)

    def _show(self) -> None:
        if self.opened is not None and self.walk is not None and self.opened.rows is not None:
            self._house.options.watch(self.opened.finite.fraction_read(), self.walk.row, self.walk.time_ns)
