"""The flow: which event goes to which stage, and how a full edge behaves. Both shells read this table.

feed ──ticks──► strategy ──signal──► risk ──approved──► execution ──place/cancel──► broker
                   ▲                  ▲                  │    ▲                       │
                   │ refused          │                  │    └────── report ─────────┘
                   │ order events     └── snapshot ── portfolio ◄── order events ──┘
"""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from alphapanda.core.calendar import Calendar
from alphapanda.core.equity import EquityTracker
from alphapanda.core.execution import TradingEngine
from alphapanda.core.limits import Limits
from alphapanda.core.margins import FULL, Margins
from alphapanda.core.portfolio import PortfolioManager
from alphapanda.core.risk import RiskManager
from alphapanda.core.rules import Freeze, Known, Reserve, Rule
from alphapanda.core.runner import StrategyRunner
from alphapanda.core.square_off import Intraday, SquareOff
from alphapanda.core.strategy import Strategy
from alphapanda.events import (
    Approved,
    CancelResting,
    ClosePosition,
    DayRolled,
    ExternalHeld,
    FeedRestarted,
    Fill,
    Halt,
    Instrument,
    LimitChanged,
    Money,
    Order,
    OrderAdopted,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderUpdated,
    Refused,
    Report,
    Resume,
    Snapshot,
    StrategyPaused,
    StrategyQuarantined,
    StrategyResumed,
    TickBatch,
    Timer,
    TradingSignal,
    Voided,
)


class Stage(StrEnum):
    """The five stages of the line, in the order of the flow."""

    FEED = "feed"
    STRATEGY = "strategy"
    RISK = "risk"
    EXECUTION = "execution"
    PORTFOLIO = "portfolio"


class Keep(StrEnum):
    """What an edge does when it is full."""

    LATEST = "latest"
    """Fold: the newest tick per instrument replaces the older one, and is counted. Never blocks."""
    ALL = "all"
    """The producer waits: back-pressure."""
    BOUNDED = "bounded"
    """Bounded by construction (open orders, unanswered signals); an overflow is Fatal. Never blocks."""
    CELL = "cell"
    """One value, overwritten. The only keep rule of an edge that runs upstream into a waiting stage."""


class Edge(NamedTuple):
    event: type
    to: Stage
    keep: Keep


FLOW: tuple[Edge, ...] = (
    Edge(TickBatch, Stage.RISK, Keep.LATEST),
    Edge(TickBatch, Stage.PORTFOLIO, Keep.LATEST),
    Edge(TickBatch, Stage.STRATEGY, Keep.LATEST),
    Edge(Timer, Stage.STRATEGY, Keep.BOUNDED),
    Edge(TradingSignal, Stage.RISK, Keep.ALL),
    Edge(Approved, Stage.EXECUTION, Keep.ALL),
    Edge(Refused, Stage.STRATEGY, Keep.BOUNDED),
    Edge(Voided, Stage.RISK, Keep.BOUNDED),
    Edge(Report, Stage.EXECUTION, Keep.BOUNDED),
    Edge(OrderOpened, Stage.PORTFOLIO, Keep.BOUNDED),
    Edge(OrderUpdated, Stage.PORTFOLIO, Keep.BOUNDED),
    Edge(OrderFilled, Stage.PORTFOLIO, Keep.BOUNDED),
    Edge(OrderClosed, Stage.PORTFOLIO, Keep.BOUNDED),
    Edge(OrderOpened, Stage.STRATEGY, Keep.BOUNDED),
    Edge(OrderUpdated, Stage.STRATEGY, Keep.BOUNDED),
    Edge(OrderFilled, Stage.STRATEGY, Keep.BOUNDED),
    Edge(OrderClosed, Stage.STRATEGY, Keep.BOUNDED),
    Edge(Snapshot, Stage.RISK, Keep.CELL),
    Edge(Halt, Stage.STRATEGY, Keep.BOUNDED),
    Edge(Halt, Stage.RISK, Keep.BOUNDED),
    Edge(Halt, Stage.EXECUTION, Keep.BOUNDED),
    Edge(Resume, Stage.STRATEGY, Keep.BOUNDED),
    Edge(Resume, Stage.RISK, Keep.BOUNDED),
    Edge(Resume, Stage.EXECUTION, Keep.BOUNDED),
    Edge(FeedRestarted, Stage.STRATEGY, Keep.BOUNDED),
    Edge(ClosePosition, Stage.STRATEGY, Keep.BOUNDED),
    Edge(StrategyPaused, Stage.STRATEGY, Keep.BOUNDED),
    Edge(StrategyResumed, Stage.STRATEGY, Keep.BOUNDED),
    Edge(StrategyResumed, Stage.RISK, Keep.BOUNDED),
    Edge(StrategyQuarantined, Stage.STRATEGY, Keep.BOUNDED),
    Edge(LimitChanged, Stage.RISK, Keep.BOUNDED),
    Edge(ExternalHeld, Stage.RISK, Keep.BOUNDED),
    Edge(CancelResting, Stage.EXECUTION, Keep.BOUNDED),
    Edge(OrderAdopted, Stage.EXECUTION, Keep.BOUNDED),
)
"""Every event that crosses, and to whom. `PlaceOrder` and `CancelOrder` cross no queue: the execution shell
performs them at once. `Booked`, `Valued`, `DayRolled`, `Marked`, `StrategyFailed` and what was found beside a
broker's books (`Compared`, `ChargesCompared`, `ExternalSeen`, `ExternalOrder`, `OrderFound`, `OrderAccepted`)
end in the journal and the log."""


def targets(event: type) -> tuple[Stage, ...]:
    return tuple(edge.to for edge in FLOW if edge.event is event)


class Saved(Struct, frozen=True, kw_only=True):
    """What a start knows of the past: nothing, or what the journal says. Oldest first."""

    orders: Sequence[Order] = ()
    fills: Sequence[Fill] = ()
    marks: Mapping[int, Money] = {}
    signals_made: int = 0
    sequence: int = 0
    halted: bool = False
    stood_down: Mapping[str, str] = {}
    """Strategy id -> "paused" or "quarantined"; all others run."""
    limits: Sequence[LimitChanged] = ()
    """What the operator changed while it ran, oldest first."""
    rolls: Sequence[tuple[int, DayRolled]] = ()
    """(how many of `fills` came before it, the day)"""
    trackers: Mapping[str, EquityTracker] = {}
    """By broker: what the points of the equity curve say of it."""
    known: Known = Known()
    """What risk refused, and whom the operator forgave."""


class Plan(Struct, frozen=True, kw_only=True):
    """What the cores are built from: the settings, already resolved to objects."""

    strategies: Sequence[Strategy]
    rules: Sequence[Rule]
    limits: Limits | None = None
    """What `rules` were made of, where the operator may change it."""
    starting_cash: Mapping[str, Money]
    products: Mapping[str, str]
    tag_seed: str
    instruments: Sequence[Instrument] = ()
    calendar: Calendar | None = None
    """When which instrument may be traded; None lets every row trade."""
    margins: Margins = FULL
    reserve: Reserve | None = None
    """What an entry may cost beside its value."""
    freeze: Freeze | None = None
    protection: Mapping[str, Money] = {}
    """Market protection of the brokers that know it, in percent."""
    listing: Collection[str] = ()
    """The brokers that list instruments daily: what is not on the day's list is not entered there."""
    intraday: Intraday | None = None
    """When MIS positions end; None where no session ends them."""


class Cores(NamedTuple):
    strategy: StrategyRunner
    risk: RiskManager
    execution: TradingEngine
    portfolio: PortfolioManager


def build_cores(plan: Plan, saved: Saved | None = None) -> Cores:
    """New cores from settings and the past. Start and restart are this one function."""
    past = saved or Saved()
    live = [order for order in past.orders if not order.status.ended]
    limits = limits_now(plan.limits, past) if plan.limits is not None else None
    intraday = plan.intraday
    portfolio = PortfolioManager(
        plan.starting_cash,
        fills=past.fills,
        orders=past.orders,
        marks=past.marks,
        margins=plan.margins,
        rolls=past.rolls,
        trackers=past.trackers,
        square_off=SquareOff(intraday) if intraday is not None and intraday.squares_off else None,
    )
    books = portfolio.books()
    return Cores(
        strategy=StrategyRunner(
            plan.strategies,
            signals_made=past.signals_made,
            positions=_viewed_positions(plan.strategies, portfolio),
            orders=live,
            instruments=plan.instruments,
            halted=past.halted,
            stood_down=past.stood_down,
        ),
        risk=RiskManager(
            plan.rules if limits is None else limits.rules(),
            plan.products,
            limits=limits,
            tag_seed=plan.tag_seed,
            instruments=plan.instruments,
            calendar=plan.calendar,
            reserve=plan.reserve,
            freeze=plan.freeze,
            protection=plan.protection,
            listing=plan.listing,
            intraday=intraday,
            margins=plan.margins,
            past=past.orders,
            known=past.known,
            sequence=past.sequence,
            books=books,
            halted=past.halted,
        ),
        execution=TradingEngine(past.orders, ((fill.broker, fill.trade_id) for fill in past.fills)),
        portfolio=portfolio,
    )


def limits_now(limits: Limits, past: Saved) -> Limits:
    """With what the operator changed. Raises ValueError where this program takes a value no more."""
    for change in past.limits:
        limits = limits.changed(change)
    return limits


def _viewed_positions(
    strategies: Sequence[Strategy], portfolio: PortfolioManager
) -> dict[str, dict[int, int]]:
    """Each strategy's positions at the first of its brokers."""
    viewed: dict[str, dict[int, int]] = {}
    books = portfolio.books()
    for strategy in strategies:
        held = books[strategy.brokers[0]].positions.items()
        viewed[strategy.strategy_id] = {
            token: quantity for (owner, token), quantity in held if owner == strategy.strategy_id
        }
    return viewed
