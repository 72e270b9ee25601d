"""The daemon: opens the doors in order, lays the line, starts the tasks, drains, and says how it ended.

Order of start: control socket, store, recovery, brokers, feed, strategies, trading. Order of stop: the feed,
then what is on the line, then the store, then the socket; each step has its deadline below.
"""

import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup
from loguru import logger

from alphapanda.config import Loaded
from alphapanda.errors import CannotStart, Fatal
from alphapanda.events import Approved, Order, Refused, StrategyFailed, StrategyQuarantined
from alphapanda.live import control
from alphapanda.live.counters import Counters
from alphapanda.live.gate import Gate
from alphapanda.live.line import Gauge, Line
from alphapanda.live.logs import flush
from alphapanda.live.metrics import Metrics
from alphapanda.live.notify import Notifier
from alphapanda.live.opening import Opened, open_line
from alphapanda.live.operator import Operator
from alphapanda.live.options import Options
from alphapanda.live.secrecy import without_secrets
from alphapanda.live.stages import PULSE, Execution, Pace, Turns, run_stage
from alphapanda.live.status import headline, status_of
from alphapanda.live.supervisor import Supervision, supervise
from alphapanda.live.switch import KillSwitch
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
LAST_WORDS_S = 2.0
PULSE_S = 0.5
MARKS_S = 10.0
ORDER_PATH = (Stage.STRATEGY, Stage.RISK, Stage.EXECUTION, Stage.PORTFOLIO)

POLICIES = {
    "control": Supervision(restarts=5, within_s=60),
    "store": Supervision(restarts=0, within_s=60),
    Stage.FEED: Supervision(restarts=0, within_s=600, may_end=True),
    Stage.STRATEGY: Supervision(restarts=0, within_s=300),
    Stage.RISK: Supervision(restarts=0, within_s=300),
    Stage.EXECUTION: Supervision(restarts=0, within_s=300),
    Stage.PORTFOLIO: Supervision(restarts=0, within_s=300),
    "pulse": Supervision(restarts=1000, within_s=60, by_hand=True),
    "redis": Supervision(restarts=1000, within_s=60, by_hand=True),
}
"""How often each task may fail. Cores that raised may be half changed, so their stages are not restarted in
this process: the daemon leaves with exit code 1 and the next start builds new cores from the journal."""


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
        self.turns: Turns | None = None
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
            raise _first(group) from group
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
            await doors.start(self._on_signals)
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
            try:
                await self._trade(store)
            finally:
                self.gate.ready = False
                await _last_words(store)
            writer.cancel_scope.cancel()

    async def _trade(self, store: Store) -> None:
        if self._stop.is_set():  # stopped while the store was folded: nothing is opened
            return
        with anyio.CancelScope() as self._opening:
            self.opened = await open_line(self.loaded, self.options, store, self.notifier.extend)
        opened = self.opened
        if opened is None or self._stop.is_set():  # stopped while it was opening
            return
        with closing(opened.rows):
            async with anyio.create_task_group() as stages:
                self._start_stages(stages, opened, store)
                await self.switch.restore(store, opened.halt)
                if self.metrics is not None:
                    await self.metrics.obey()
                if self.gate.killed:
                    await self._cancel_resting(opened, keep=lambda order: order.closed_by_hand)
                self.gate.ready = True
                for failure in opened.cores.strategy.start():
                    self.line.route(failure)
                turns = self._turns(opened, store)
                self._supervise(stages, Stage.FEED, turns.run)
                self._supervise(stages, "pulse", self._pulse)
                self.state = "running"
                logger.info("ready: {}", opened.ready_line())
                self.notifier.ready(headline(self.status()))
                await self._until_told(turns)
                await self._drain(opened, turns, store)
                self._show()
                stages.cancel_scope.cancel()

    def _start_stages(self, stages: TaskGroup, opened: Opened, store: Store) -> None:
        cores, line = opened.cores, self.line
        execution = Execution(cores.execution, line, self.gate, opened.brokers, store.commit)
        self._supervise(stages, Stage.STRATEGY, lambda: run_stage(cores.strategy, Stage.STRATEGY, line))
        self._supervise(stages, Stage.RISK, lambda: run_stage(cores.risk, Stage.RISK, line))
        self._supervise(stages, Stage.EXECUTION, execution.run)
        self._supervise(stages, Stage.PORTFOLIO, lambda: run_stage(cores.portfolio, Stage.PORTFOLIO, line))

    def _turns(self, opened: Opened, store: Store) -> Turns:
        identity = opened.feed.identity
        self.turns = Turns(
            opened.rows,
            self.line,
            self.gate,
            opened.brokers,
            pace=Pace(self.options.speed),
            taken=lambda row, clock_ns: store.mark(identity, row, clock_ns),
            seen=self.counters.tick,
            timed=opened.cores.strategy.timed,
            row=opened.taken,
            time_ns=opened.clock_ns,
        )
        return self.turns

    def _supervise(self, group: TaskGroup, name: str, run: Callable[[], Awaitable[None]]) -> None:
        gauge = self.helpers.get(name) or self.line.gauges[Stage(name)]
        group.start_soon(supervise, name, run, POLICIES[name], gauge, name=name)

    async def _until_told(self, turns: Turns) -> None:
        """Until somebody stops the daemon, or the data ends and that was asked for."""
        async with anyio.create_task_group() as waiting:

            async def at_end() -> None:
                await turns.ended.wait()
                await self._end_of_data(turns)
                if self.options.until_end:
                    self._stop.set()

            waiting.start_soon(at_end)
            await self._stop.wait()
            waiting.cancel_scope.cancel()

    async def _end_of_data(self, turns: Turns) -> None:
        """No row will fill what still rests: it is cancelled."""
        opened = self.opened
        if opened is None:
            return
        await self._cancel_resting(opened)
        walked = self.counters.ticks and not opened.taken
        strategies = opened.cores.strategy.strategies() if walked else []
        for warning in [*opened.feed.warnings(), *unseen(strategies, self.counters.instruments)]:
            prices.warning("{}", warning)
        nothing_new = opened.taken and turns.row == opened.taken
        news = ": nothing is left of it; an empty store walks it again" if nothing_new else ""
        prices.info("the data has ended after row {}{}", turns.row, news)

    async def _cancel_resting(self, opened: Opened, keep: Callable[[Order], bool] = lambda _: False) -> None:
        for order in opened.cores.execution.open_orders():
            if not keep(order):
                opened.brokers[order.broker].cancel(order)
        await self.line.quiet.wait()

    async def _drain(self, opened: Opened, turns: Turns, store: Store) -> None:
        self.state = "stopping"
        self.notifier.stopping()
        turns.stopping = True
        with anyio.move_on_after(FEED_DEADLINE_S):
            async with turns.lock:
                pass
        with anyio.move_on_after(DRAIN_DEADLINE_S) as late:
            await self.line.quiet.wait()
        if late.cancelled_caught:
            trading.warning(
                "{} events were still on the line after {} s", self.line.quiet.busy, DRAIN_DEADLINE_S
            )
        for failure in opened.cores.strategy.stop():
            self.line.route(failure)
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
        if self.opened is not None and self.turns is not None:
            self.options.watch(self.opened.feed.fraction_read(), self.turns.row, self.turns.time_ns)

    def stop(self) -> None:
        self.notifier.stopping()
        self._stop.set()
        if self._opening is not None:
            self._opening.cancel()

    async def _on_signals(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        asked = 0
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1) as received:
            task_status.started()
            async for number in received:
                if number == signal.SIGUSR1:
                    await self.switch.on_signal()
                    continue
                asked += 1
                if asked > 1:
                    audit.warning("second signal: leaving at once, the journal decides at the next start")
                    flush()
                    os._exit(1)
                audit.info("{}: stopping, a second signal leaves at once", signal.Signals(number).name)
                self.stop()

    def status(self) -> dict[str, Any]:
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


async def _last_words(store: Store) -> None:
    """What is tapped is written down even when the line has failed; a store that failed says so itself."""
    with anyio.move_on_after(LAST_WORDS_S, shield=True):
        try:
            await store.commit()
        except Fatal as error:
            database.error("{}", error)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that brought the others down: the first that means something to the operator."""
    leaves: list[BaseException] = []

    def collect(error: BaseException) -> None:
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                collect(inner)
        else:
            leaves.append(error)

    collect(group)
    for kind in (CannotStart, Fatal, Exception):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]
