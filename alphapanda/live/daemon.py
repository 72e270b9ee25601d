"""The daemon: opens the doors in order, lays the line, starts the tasks, drains, and says how it ended.

Order of start: control socket, store, recovery, brokers, feed, strategies, trading. Order of stop: the feed,
then what is on the line, then the store, then the socket; each step has its deadline below.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup
from loguru import logger

from alphapanda.config import Loaded
from alphapanda.events import Approved, Order, Refused, StrategyFailed, StrategyQuarantined
from alphapanda.live import control
from alphapanda.live.account import Account
from alphapanda.live.counters import Counters
from alphapanda.live.endings import first, last_words, on_signals, staying
from alphapanda.live.gate import Gate
from alphapanda.live.line import Gauge, Line
from alphapanda.live.metrics import Metrics
from alphapanda.live.notify import EXTEND_EVERY_S, Notifier
from alphapanda.live.opening import Opened, open_line
from alphapanda.live.operator import Operator
from alphapanda.live.options import Options
from alphapanda.live.policies import POLICIES
from alphapanda.live.secrecy import without_secrets
from alphapanda.live.stages import PULSE, Execution, run_stage
from alphapanda.live.status import headline, status_of
from alphapanda.live.supervisor import supervise
from alphapanda.live.switch import KillSwitch
from alphapanda.live.walk import Pace, Stream, Turns, Walk
from alphapanda.pipeline import Stage
from alphapanda.plan import unseen
from alphapanda.store import Store, lock

audit = logger.bind(channel="audit")
database = logger.bind(channel="database")
prices = logger.bind(channel="market_data")
trading = logger.bind(channel="trading")

FEED_DEADLINE_S = 5.0
DRAIN_DEADLINE_S = 5.0
STORE_DEADLINE_S = 10.0
PULSE_S = 0.5
MARKS_S = 10.0
ORDER_PATH = (Stage.STRATEGY, Stage.RISK, Stage.EXECUTION, Stage.PORTFOLIO)


class Daemon:
    """One run. `run` returns the exit code; CannotStart leaves it as an exception."""

    def __init__(self, loaded: Loaded, options: Options) -> None:
        self.loaded = loaded
        self.options = options
        self.settings = loaded.settings
        self.started_ns = time.time_ns()
        self.state = "starting"
        self.counters = Counters()
        self.gate = Gate()
        self.line = Line(self._tap)
        self.helpers: dict[str, Gauge] = {name: Gauge() for name in ("control", "store", "pulse")}
        self.opened: Opened | None = None
        self.walk: Walk | None = None
        self.metrics: Metrics | None = None
        self.store: Store
        self._operator = Operator(self)
        self.switch = KillSwitch(self.gate, self.line, Path(self.settings.control.kill_file))
        self.notifier = Notifier.from_environment()
        self._idle = 0  # of the process: a pulse that is started anew must not count backwards
        self._stop = anyio.Event()
        self._opening: anyio.CancelScope | None = None

    async def run(self) -> int:
        """0 when stopped on request or at the end of the data, 1 when it gave up."""
        path = Path(self.settings.storage.path)
        try:
            with lock.hold(path):
                await self._run(path)
        except BaseExceptionGroup as group:
            raise first(group) from group
        return 0

    async def _run(self, path: Path) -> None:
        """The doors of the operator are open before the store is, and until it is closed."""
        if self.settings.redis.enabled:
            gauge = self.helpers["redis"] = Gauge()
            self.metrics = Metrics(
                self.settings.redis.url,
                status=self.status,
                counters=self.counters,
                brokers=self.settings.active_brokers,
                switch=self.switch,
                flushed=gauge.note,
            )
        async with anyio.create_task_group() as doors:
            await doors.start(on_signals, self.switch.on_signal, self.stop)
            await doors.start(self._serve)
            async with Store(path, self.notifier.extend) as store:
                self.store = store
                await self._write_and_trade(store)
            doors.cancel_scope.cancel()

    async def _write_and_trade(self, store: Store) -> None:
        async with anyio.create_task_group() as writer:
            self._supervise(writer, "store", store.run)
            if self.metrics is not None:
                self._supervise(writer, "redis", self.metrics.run)
            writer.start_soon(self._starting)
            try:
                await self._trade(store)
            finally:
                self.gate.ready = False
                await last_words(store)
            writer.cancel_scope.cancel()

    async def _starting(self) -> None:
        """What is asked of elsewhere takes its time, and each question has an end: a start gets on."""
        while self.state == "starting":
            self.notifier.extend()
            await anyio.sleep(EXTEND_EVERY_S)

    async def _trade(self, store: Store) -> None:
        if self._stop.is_set():  # stopped while the store was folded: nothing is opened
            return
        with anyio.CancelScope() as self._opening:
            self.opened = await open_line(self.loaded, self.options, store, self.gate, self.notifier.extend)
        opened = self.opened
        if opened is None or self._stop.is_set():  # stopped while it was opening
            return
        async with AsyncExitStack() as closes:
            if opened.rows is not None:
                closes.enter_context(closing(opened.rows))
            if opened.account is not None:
                closes.push_async_callback(opened.account.close)
            async with anyio.create_task_group() as stages:
                self._start_stages(stages, opened, store)
                await self.switch.restore(store, opened.halt)
                if self.metrics is not None:
                    await self.metrics.obey()
                if opened.account is not None and not await self._join(stages, opened.account):
                    stages.cancel_scope.cancel()
                    return
                if self.gate.killed:
                    await self._cancel_resting(opened, keep=lambda order: order.closed_by_hand)
                self.gate.ready = True
                for failure in opened.cores.strategy.start():
                    self.line.route(failure)
                self.options.ready()
                walk = self.walk = self._walk(opened, store)
                self._supervise(stages, Stage.FEED, walk.run)
                self._supervise(stages, "pulse", self._pulse)
                self.state = "running"
                logger.info("ready: {}", opened.ready_line())
                self.notifier.ready(headline(self.status()))
                await self._until_told(opened, walk)
                await self._drain(opened, walk, store)
                self._show()
                stages.cancel_scope.cancel()

    async def _join(self, stages: TaskGroup, account: Account) -> bool:
        """Its tasks run, its book is read, and what it says has been booked. False: stopped meanwhile."""
        account.join(self.line.route, self.line.publish, self.line.settled)
        stages.start_soon(self._halt_where_it_differs, account)
        for name, task in account.tasks().items():
            self.helpers[name] = Gauge()
            self._supervise(stages, name, task)
        with anyio.CancelScope() as self._opening:
            if not self._stop.is_set():
                await account.joined()
                await self.line.quiet.wait()
        return not self._stop.is_set()

    async def _halt_where_it_differs(self, account: Account) -> None:
        while True:
            await self.switch.on(await account.differing(), "reconciliation")

    def _start_stages(self, stages: TaskGroup, opened: Opened, store: Store) -> None:
        cores, line = opened.cores, self.line
        execution = Execution(cores.execution, line, self.gate, opened.brokers, store.commit)
        self._supervise(stages, Stage.STRATEGY, lambda: run_stage(cores.strategy, Stage.STRATEGY, line))
        self._supervise(stages, Stage.RISK, lambda: run_stage(cores.risk, Stage.RISK, line))
        self._supervise(stages, Stage.EXECUTION, execution.run)
        self._supervise(stages, Stage.PORTFOLIO, lambda: run_stage(cores.portfolio, Stage.PORTFOLIO, line))

    def _walk(self, opened: Opened, store: Store) -> Walk:
        timed = opened.cores.strategy.timed
        if opened.rows is None:
            return Stream(
                opened.live,
                self.line,
                self.gate,
                opened.brokers,
                over=opened.over,
                seen=self.counters.tick,
                timed=timed,
            )
        identity = opened.finite.identity
        return Turns(
            opened.rows,
            self.line,
            self.gate,
            opened.brokers,
            pace=Pace(self.options.speed),
            taken=lambda row, clock_ns: store.mark(identity, row, clock_ns),
            seen=self.counters.tick,
            timed=timed,
            row=opened.taken,
            time_ns=opened.clock_ns,
        )

    def _supervise(self, group: TaskGroup, name: str, run: Callable[[], Awaitable[None]]) -> None:
        gauge = self.helpers.get(name) or self.line.gauges[Stage(name)]
        group.start_soon(supervise, name, run, POLICIES[name], gauge, name=name)

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
                    if self.options.until_end:
                        break
                    await walk.ended.wait()
                if self.options.until_end:
                    self._stop.set()

            waiting.start_soon(at_end)
            await self._stop.wait()
            waiting.cancel_scope.cancel()

    async def _end_of_data(self, opened: Opened, walk: Walk) -> None:
        """No row will fill what still rests: it is cancelled."""
        await self._cancel_resting(opened)
        walked = self.counters.ticks and not opened.taken
        strategies = opened.cores.strategy.strategies() if walked else []
        for warning in [*opened.finite.warnings(), *unseen(strategies, self.counters.instruments)]:
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
        await self.line.quiet.wait()
        await self.store.commit()

    async def _cancel_resting(self, opened: Opened, keep: Callable[[Order], bool] = lambda _: False) -> None:
        for order in opened.cores.execution.open_orders():
            if not keep(order):
                opened.brokers[order.broker].cancel(order)
        await self.line.quiet.wait()

    async def _drain(self, opened: Opened, walk: Walk, store: Store) -> None:
        self.state = "stopping"
        self.notifier.stopping()
        walk.stopping = True
        with anyio.move_on_after(FEED_DEADLINE_S):
            async with walk.lock:
                pass
        with anyio.move_on_after(DRAIN_DEADLINE_S) as late:
            await self.line.quiet.wait()
            for broker in opened.brokers.values():
                await broker.answered()
            if opened.account is not None:
                await opened.account.last_look()
            await self.line.quiet.wait()
        if late.cancelled_caught:
            trading.warning(
                "{} events were still on the line after {} s", self.line.quiet.busy, DRAIN_DEADLINE_S
            )
        for failure in opened.cores.strategy.stop():
            self.line.route(failure)
        if stays := staying(opened.cores.execution.open_orders(), opened.brokers):
            trading.warning("{}", stays)
        store.tap(opened.cores.portfolio.marks(flat=True))
        with anyio.fail_after(STORE_DEADLINE_S):
            await store.commit()
        database.info("stopped; the store is complete")

    def _tap(self, event: object) -> None:
        """Every event on the line passes here once: the journal, the counters, the log."""
        event = without_secrets(event)
        self.store.tap(event)
        self.counters.tap(event)
        if isinstance(event, StrategyFailed):
            told = "\n  ".join([event.error, *event.trace])
            trading.error("strategy {} raised and is quarantined: {}", event.strategy_id, told)
        elif isinstance(event, StrategyQuarantined):
            trading.error("strategy {} is quarantined: {}: {}", event.strategy_id, event.rule, event.why)
        elif isinstance(event, Approved):
            self._operator.hear(event)
        elif isinstance(event, Refused):
            self._operator.hear(event)
            signal_ = event.signal
            trading.debug(
                "{} {} at {}: {} ({})", signal_.signal_id, event.verdict, event.broker, event.rule, event.why
            )

    async def _pulse(self) -> None:
        """Twice a second: a sign of life for every stage, the tick rate, the kill file, the marks."""
        marked = time.monotonic()
        while True:
            for stage in ORDER_PATH:
                inbox = self.line.inboxes[stage]
                if not len(inbox):
                    inbox.put_bounded(PULSE)
            self.counters.second()
            self.helpers["pulse"].note()
            self.helpers["store"].note(self.store.commits)
            self._idle += not self.store.busy
            progress = {stage.value: self.line.gauges[stage].processed for stage in ORDER_PATH}
            progress["store"] = self.store.commits + self._idle  # it gets on, or has nothing to do
            self.notifier.alive(progress, lambda: headline(self.status()))
            await self.switch.obey_file()
            if self.opened is not None and time.monotonic() - marked > MARKS_S:
                self.line.route(self.opened.cores.portfolio.marks())
                marked = time.monotonic()
            self._show()
            await anyio.sleep(PULSE_S)

    def _show(self) -> None:
        if self.opened is not None and self.walk is not None and self.opened.rows is not None:
            self.options.watch(self.opened.finite.fraction_read(), self.walk.row, self.walk.time_ns)

    def stop(self) -> None:
        self.notifier.stopping()
        self._stop.set()
        if self._opening is not None:
            self._opening.cancel()

    def status(self) -> dict[str, Any]:
        account = self.opened.account if self.opened is not None else None
        return status_of(
            settings=self.settings,
            state=self.state,
            started_ns=self.started_ns,
            kill_switch=self.switch.state(),
            trading_enabled=self.gate.is_open,
            line=self.line,
            helpers=self.helpers,
            counters=self.counters,
            cores=self.opened.cores if self.opened is not None else None,
            redis=self.metrics.summary() if self.metrics is not None else None,
            feed=account.feed_summary() if account is not None else None,
            venues=account.venues() if account is not None else None,
            holds=self.gate.holds,
        )

    async def _serve(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        path, group = Path(self.settings.control.socket), self.settings.control.group
        gauge = self.helpers["control"]
        served = False

        def started() -> None:
            nonlocal served
            if not served:
                served = True
                task_status.started()

        await supervise(
            "control",
            lambda: control.serve(path, self._answer, group, started=started),
            POLICIES["control"],
            gauge,
        )

    async def _answer(self, request: dict[str, Any]) -> Any:
        self.helpers["control"].note()
        return await self._operator.answer(request)
