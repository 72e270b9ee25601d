"""Real cores at work: without a shell, for what they say, and on a live line, for how it is carried."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from builders import BUY, INFY, SELL, TCS, TEN_NS, batch, order, report, signal, tick
from hypothesis import strategies as st

from alphapanda.backtest.loop import Backtest
from alphapanda.core.charges import flat
from alphapanda.core.execution import ImpossibleReport, TradingEngine
from alphapanda.core.market import MarketSimulator
from alphapanda.core.portfolio import PortfolioManager
from alphapanda.core.rules import RULES, MaximumOrderQuantity, Rule
from alphapanda.events import (
    AccountOpened,
    Approved,
    Halt,
    Money,
    Refused,
    Report,
    ReportKind,
    Resume,
    RowTaken,
    TickBatch,
    TransactionType,
    Verdict,
)
from alphapanda.live.gate import Gate
from alphapanda.live.line import Line
from alphapanda.live.stages import Execution, run_stage
from alphapanda.live.walk import Pace, Turns
from alphapanda.pipeline import Cores, Plan, Saved, Stage, build_cores
from alphapanda.store import Store
from alphapanda.venues.contract import Broker
from alphapanda.venues.paper import PaperBroker
from strategies.momentum import MomentumStrategy

CASH = Money(1_000_000)
DEADLINE_S = 60.0
TOKENS = (INFY.instrument_token, TCS.instrument_token)


def momentum(strategy_id: str = "momentum_1", quantity: int = 3, **params: Any) -> MomentumStrategy:
    """It looks one tick back and trades on a move of one percent."""
    wanted = {"lookback_period": 1, "buy_threshold": 1.01, "sell_threshold": 0.99, "quantity": quantity}
    return MomentumStrategy(strategy_id, TOKENS, ["paper"], wanted | params)


def plan(*strategies: MomentumStrategy, rules: Sequence[Rule] | None = None, **changes: Any) -> Plan:
    """Two strategies, the second of which wants more than the limit allows; every rule at its default."""
    defaults = {
        "strategies": strategies or (momentum(), momentum("greedy", 2000)),
        "rules": tuple(rule() for rule in RULES) if rules is None else rules,
        "starting_cash": {"paper": CASH},
        "products": {"paper": "MIS"},
        "tag_seed": "APTEST2345",
        "instruments": (INFY, TCS),
    }
    return Plan(**defaults | changes)


def market(**found: Any) -> MarketSimulator:
    return MarketSimulator(Money("0.05"), flat(Money("0.1")), **found)


def rows(prices: Iterable[tuple[int, float]], first: int = 1) -> list[TickBatch]:
    """One tick a second, numbered; a price is (which of the two instruments, rupees)."""
    return [
        batch(tick(price, TOKENS[which]), at=row, row=row) for row, (which, price) in enumerate(prices, first)
    ]


prices = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([98.0, 100.0, 102.05, 104.3])), max_size=30)


def session(taken: Iterable[TickBatch], saved: Saved | None = None) -> tuple[Cores, list[object]]:
    """The cores after a walk through the rows, and all that they said."""
    cores, said = build_cores(plan(), saved), []
    loop = Backtest(cores, {"paper": market()}, said.append)
    loop.start()
    for row in taken:
        loop.turn(row)
        said.append(RowTaken("a feed", row.row, row.time_ns))
    return cores, said


class Desk:
    """Engine and portfolio that are told anything at all; `events` is what it led to."""

    def __init__(self) -> None:
        self.engine = TradingEngine()
        self.portfolio = PortfolioManager({"paper": CASH})
        self.events: list[object] = [AccountOpened("paper", CASH)]
        self.approved = 0

    def approve(self, side: TransactionType, quantity: int, which: int) -> None:
        self.approved += 1
        made = order(side, quantity, self.approved, instrument=(INFY, TCS)[which])
        asked = signal(side, quantity, signal_id=made.signal_id, instrument_token=TOKENS[which])
        self._said(Approved(made, asked))

    def tell(self, told: Report) -> None:
        try:
            self._said(told)
        except ImpossibleReport:
            return

    def _said(self, event: object) -> None:
        outputs = self.engine.on(event)
        self.events.append(event)
        for output in outputs:
            self.events.append(output)
            if type(output).__name__.startswith("Order"):
                self.events += self.portfolio.on(output)


approvals = st.tuples(st.just("approve"), st.sampled_from([BUY, SELL]), st.integers(1, 9), st.integers(0, 1))
reports = st.tuples(
    st.just("tell"),
    st.integers(1, 4),
    st.sampled_from(sorted(set(ReportKind) - {ReportKind.FILL}) + [ReportKind.FILL] * 6),
    st.integers(1, 9),
    st.sampled_from(["99.95", "100", "101.3333", "0.05"]),
)
house = st.tuples(st.sampled_from(["refuse", "halt", "resume", "row", "mark"]))
acts = st.lists(st.one_of(approvals, reports, reports, reports, house), max_size=40)


def desk(acts: Sequence[tuple[Any, ...]]) -> Desk:
    """A desk after `acts`, which may be in any order."""
    made = Desk()
    for number, (act, *details) in enumerate(acts, 1):
        match act, details:
            case "approve", (side, quantity, which):
                made.approve(side, quantity, which)
            case "tell", (sequence, kind, quantity, price):
                trade = {
                    "quantity": quantity,
                    "price": Money(price),
                    "trade_id": f"T{number // 2}",
                    "charges": Money("1.17"),
                }
                made.tell(report(kind, f"O{sequence:06d}", reason=kind.value, **trade))
            case _:
                made.events.append(_of_the_house(act, number, made))
    return made


def _of_the_house(act: str, number: int, made: Desk) -> object:
    match act:
        case "refuse":
            return refused(f"S9{number:05d}")
        case "halt":
            return Halt(f"reason {number}", "uid 0", TEN_NS + number)
        case "resume":
            return Resume(f"reason {number}", "uid 0", TEN_NS + number)
        case "row":
            return RowTaken("a feed", number, TEN_NS + number)
    return made.portfolio.marks()


def refused(signal_id: str = "S000001", broker: str = "paper") -> Refused:
    return Refused(
        signal=signal(signal_id=signal_id),
        broker=broker,
        verdict=Verdict.REFUSED,
        rule=MaximumOrderQuantity.code,
        why="quantity 2000 is over the limit of 1000",
        quantity=2000,
        instrument=INFY,
    )


def run(main: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
    return asyncio.run(main(*args), debug=True)


async def until(fact: Callable[[], object]) -> None:
    """Poll a fact that nobody tells of."""
    async with asyncio.timeout(DEADLINE_S):
        while not fact():  # noqa: ASYNC110 - a fact of any kind: nothing says when it comes true
            await asyncio.sleep(0)


class Laid(NamedTuple):
    """A live line at work: its stages run, its gate is open."""

    line: Line
    gate: Gate
    cores: Cores
    brokers: Mapping[str, Broker]
    said: list[object]

    def turns(self, walk: Iterable[TickBatch], **changes: Any) -> Turns:
        defaults = {"pace": Pace(None), "taken": lambda _row, _clock_ns: None}
        return Turns(iter(walk), self.line, self.gate, self.brokers, **(defaults | changes))


@asynccontextmanager
async def laid(
    made: Plan | None = None,
    *,
    broker: Broker | None = None,
    store: Store | None = None,
    commit: Callable[[], Awaitable[None]] | None = None,
    capacity: int = 1024,
    saved: Saved | None = None,
) -> AsyncIterator[Laid]:
    """The stages of a daemon without the daemon. What fails in them fails the test."""
    said: list[object] = []

    def tap(event: object) -> None:
        said.append(event)
        if store is not None:
            store.tap(event)

    async def at_once() -> None:
        await asyncio.sleep(0)

    brokers = {"paper": broker or PaperBroker(market())}
    line, gate, cores = Line(tap, capacity=capacity), Gate(), build_cores(made or plan(), saved)
    gate.ready = True
    cores.strategy.start()
    committed = commit or (store.commit if store is not None else at_once)
    execution = Execution(cores.execution, line, gate, brokers, committed)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(run_stage(cores.strategy, Stage.STRATEGY, line)),
            group.create_task(run_stage(cores.risk, Stage.RISK, line)),
            group.create_task(execution.run()),
            group.create_task(run_stage(cores.portfolio, Stage.PORTFOLIO, line)),
        ]
        if store is not None:
            tasks.append(group.create_task(store.run()))
        yield Laid(line, gate, cores, brokers, said)
        for task in tasks:
            task.cancel()
