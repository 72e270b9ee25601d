"""The daemon: opens the doors, keeps a line alive behind them, and says how it ended.

Order of start: control socket, store, then a life of the line (`life`). Order of stop: the line, then the
store, then the socket. A line whose core failed is laid anew from the journal, once in five minutes.
"""

import signal
import time
from pathlib import Path
from time import monotonic
from typing import Any

import anyio
from anyio.abc import TaskGroup
from loguru import logger
from msgspec.structs import replace

from alphapanda.config import Loaded
from alphapanda.events import Approved, Refused, StrategyFailed, StrategyQuarantined
from alphapanda.fail_points import FailPoint, armed, reach
from alphapanda.live import control
from alphapanda.live.counters import Counters
from alphapanda.live.endings import Leaving, core_failure, first, killed_by, last_words, on_signals
from alphapanda.live.escalation import Escalation
from alphapanda.live.gate import Gate
from alphapanda.live.health import Alarms, Health
from alphapanda.live.life import LINE, House, Life
from alphapanda.live.line import Gauge, Line
from alphapanda.live.metrics import Metrics
from alphapanda.live.notify import EXTEND_EVERY_S, Notifier
from alphapanda.live.opening import Opened
from alphapanda.live.operator import Operator
from alphapanda.live.options import Options
from alphapanda.live.policies import CORE, POLICIES, Beyond, Tree
from alphapanda.live.secrecy import without_secrets
from alphapanda.live.status import headline, status_of
from alphapanda.live.supervisor import GaveUp, Run, supervise
from alphapanda.live.switch import KillSwitch
from alphapanda.live.walk import Walk
from alphapanda.live.watchman import Watchman
from alphapanda.store import Reserve, Store, lock

trading = logger.bind(channel="trading")

DOORS, WRITER = "the doors", "the writer"


class Daemon:
    """One run. `run` returns the exit code; CannotStart leaves it as an exception."""

    def __init__(self, loaded: Loaded, options: Options) -> None:
        self.loaded = loaded
        self.options = options
        self.settings = loaded.settings
        self.started_ns = time.time_ns()
        self.counters = Counters()
        self.gate = Gate()
        self.line = Line(self._tap)
        self.helpers: dict[str, Gauge] = {name: Gauge() for name in ("control", "store", "pulse", "health")}
        self.metrics: Metrics | None = None
        self.store: Store
        self._operator = Operator(self)
        storage, kill_file = self.settings.storage, Path(self.settings.control.kill_file)
        self._reserve = Reserve(Path(storage.path), storage.reserve_mib)
        self.switch = KillSwitch(self.gate, self.line, kill_file, self._reserve.free)
        self.notifier = Notifier.from_environment()
        self._tree = Tree(POLICIES)
        self._escalation = Escalation(self.gate, POLICIES, self.switch.flag)
        self._life: Life | None = None
        self._leaving = Leaving()
        self.stopping = False
        alarms, monitoring = Alarms(), self.settings.monitoring
        self.watchman = Watchman(self.gate, self.switch, alarms, self._at_the_market)
        self.watchman.woke = self._look_again
        self.health = Health(
            self.line,
            self.gate,
            alarms,
            store=Path(self.settings.storage.path),
            every_s=monitoring.health_check_interval if monitoring.health_check_enabled else None,
            holds=self._at_the_market,
            noted=self.helpers["health"].note,
        )

    @property
    def state(self) -> str:
        return self._life.state if self._life is not None else "starting"

    @property
    def opened(self) -> Opened | None:
        return self._life.opened if self._life is not None else None

    @property
    def walk(self) -> Walk | None:
        return self._life.walk if self._life is not None else None

    def _at_the_market(self) -> bool:
        """It is ready, on a feed that does not wait for us."""
        return self.gate.ready and self.opened is not None and self.opened.rows is None

    def _look_again(self) -> None:
        """Much was missed: a live broker's books come before the next order."""
        if self.opened is not None and self.opened.account is not None:
            self.opened.account.look_again()

    async def run(self) -> int:
        """0 when stopped on request or at the end of the data, 1 when it gave up."""
        path = Path(self.settings.storage.path)
        for each in armed():
            trading.warning("a test has armed this daemon to fail: {}", each)
        try:
            # SIGUSR1 ends a process that does not expect it; so it does from before there is one to be found.
            with killed_by(signal.SIGUSR1, self.switch.on_signal), lock.hold(path):
                try:
                    with self.watchman.beating():
                        await self._run(path)
                finally:
                    self.switch.end()
        except BaseExceptionGroup as group:
            raise first(group) from group
        finally:
            self._leaving.done(LINE, WRITER, DOORS)
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
            doors.start_soon(self._leaving.when_cancelled, DOORS)
            doors.start_soon(self.switch.run)
            await doors.start(on_signals, self.stop)
            await doors.start(self._serve)
            async with Store(
                path, self.notifier.extend, reserve=self._reserve, failed=self.switch.store_failed
            ) as store:
                self.store = store
                await self._write_and_trade(store)
            doors.cancel_scope.cancel()

    async def _write_and_trade(self, store: Store) -> None:
        async with anyio.create_task_group() as writer:
            writer.start_soon(self._leaving.when_cancelled, WRITER)
            self._supervise(writer, "store", store.run)
            self._supervise(writer, "health", self.health.run)
            if self.metrics is not None:
                self._supervise(writer, "redis", self.metrics.run)
            writer.start_soon(self._starting)
            try:
                await self._lives(store)
            finally:
                self.gate.ready = False
                await last_words(store)
            writer.cancel_scope.cancel()

    async def _starting(self) -> None:
        """What is asked of elsewhere takes its time, and each question has an end: a start gets on."""
        while True:
            if self.state == "starting":
                self.notifier.extend()
            await anyio.sleep(EXTEND_EVERY_S)

    def _supervise(self, group: TaskGroup, name: str, run: Run) -> None:
        group.start_soon(self._supervised, name, run, self.helpers[name], name=name)

    async def _supervised(self, name: str, run: Run, gauge: Gauge) -> None:
        """A new life of the line does not renew the budgets of its tasks."""
        budget = self._tree.budgets[name]
        told = self._escalation.told
        await supervise(name, run, budget.policy, gauge, told=told, budget=budget)

    async def _lives(self, store: Store) -> None:
        """Cores that failed may be half changed: new ones are built from the journal, within a budget."""
        house = self._house()
        while not self.stopping:  # stopped while the store was folded: nothing is opened
            self._life = Life(house, store)
            try:
                await self._life.run()
            except Exception as error:  # the budget decides
                self.gate.ready = False
                if (problem := core_failure(error)) is None:
                    raise
                self._begin_anew(problem)
            else:
                return
            house = await self._renew(house, store)

    def _begin_anew(self, problem: str) -> None:
        """Raises GaveUp where it has happened too often."""
        budget = self._tree.budgets[CORE]
        if isinstance(budget.failed(monotonic()), Beyond):
            within_s = budget.policy.within_s
            raise GaveUp(f"the line failed {budget.lately + 1} times in {within_s:g} s, last: {problem}")
        self._leaving.done(LINE)
        self._life = None  # its cores may be half changed: nobody asks them any more
        trading.error("{}: the line begins anew, from the journal", problem)

    def _house(self) -> House:
        return House(
            loaded=self.loaded,
            options=self.options,
            line=self.line,
            gate=self.gate,
            switch=self.switch,
            counters=self.counters,
            notifier=self.notifier,
            helpers=self.helpers,
            metrics=self.metrics,
            headline=lambda: headline(self.status()),
            leaving=self._leaving,
            supervise=self._supervised,
        )

    async def _renew(self, house: House, store: Store) -> House:
        """What was tapped has happened: it is written down, and the journal is read again."""
        reach(FailPoint.LIFE_ENDED)
        self.gate.holds.clear()
        self.line.renew()
        await store.commit()
        reach(FailPoint.LIFE_COMMITTED)
        await store.refold()
        reach(FailPoint.LIFE_REFOLDED)
        return replace(house, options=replace(house.options, from_start=False))

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

    def stop(self) -> None:
        self.notifier.stopping()
        self.stopping = True
        if self._life is not None:
            self._life.stop()

    def status(self) -> dict[str, Any]:
        opened = self.opened
        account = opened.account if opened is not None else None
        return status_of(
            settings=self.settings,
            state=self.state,
            started_ns=self.started_ns,
            kill_switch=self.switch.state(),
            trading_enabled=self.gate.is_open,
            line=self.line,
            helpers=self.helpers,
            counters=self.counters,
            cores=opened.cores if opened is not None else None,
            redis=self.metrics.summary() if self.metrics is not None else None,
            feed=account.feed_summary() if account is not None else None,
            venues=account.venues() if account is not None else None,
            holds=self.gate.holds,
            health=self.health.summary(
                self.watchman.summary(), opened.cores.risk if opened is not None else None
            ),
        )

    async def _serve(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        path, group = Path(self.settings.control.socket), self.settings.control.group
        gauge = self.helpers["control"]
        served = False

        def started() -> None:
            nonlocal served
            self._escalation.up("control")
            if not served:
                served = True
                task_status.started()

        await self._supervised(
            "control", lambda: control.serve(path, self._answer, group, started=started), gauge
        )

    async def _answer(self, request: dict[str, Any]) -> Any:
        self.helpers["control"].note()
        return await self._operator.answer(request)
