"""What the journal says of the past: folded once at every start, clean or not."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from alphapanda.core.hosted import PAUSED, QUARANTINED, RUNNING
from alphapanda.core.runner import Fate
from alphapanda.events import (
    AccountOpened,
    Approved,
    Booked,
    Fill,
    Halt,
    Marked,
    Money,
    Order,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderUpdated,
    Refused,
    Resume,
    RowTaken,
    StrategyFailed,
    StrategyPaused,
    StrategyResumed,
)
from alphapanda.pipeline import Saved


class Fates(Struct):
    """What became of the signals of one feed's rows, for a warm-up to tell again: after the ticks of a row,
    and, for fills, before the ticks of the first later row that has their time and instrument.
    """

    after: dict[int, list[Fate]] = {}
    fills: dict[tuple[int, int], list[OrderFilled]] = {}
    """(traded_ns, instrument token) -> fills"""

    def add(self, fate: Fate, row: int) -> None:
        if isinstance(fate, OrderFilled):
            key = fate.fill.traded_ns, fate.fill.instrument.instrument_token
            self.fills.setdefault(key, []).append(fate)
        else:
            self.after.setdefault(row, []).append(fate)

    def forget(self, strategy_id: str) -> None:
        """The strategy is made anew, and has heard of nothing."""
        for fates in self.after.values():
            fates[:] = [fate for fate in fates if _owner(fate) != strategy_id]
        for fills in self.fills.values():
            fills[:] = [filled for filled in fills if filled.order.strategy_id != strategy_id]


class Recovered(Struct, frozen=True, kw_only=True):
    """What a start needs to know.

    `taken` is the last row walked of each finite feed, `blind` what that was at the last resume: rows up to
    it are not shown again, because strategies start with empty windows after a kill switch. `renewed` is the
    same for each strategy that was quarantined and resumed. `clock` is the time each feed had come to,
    timers included. `fates` are, for each feed, what became of the signals of its rows.
    """

    saved: Saved
    starting_cash: dict[str, Money]
    taken: dict[str, int]
    blind: dict[str, int]
    renewed: dict[str, dict[str, int]]
    clock: dict[str, int]
    fates: dict[str, Fates]
    halt: Halt | None
    empty: bool

    def trades_made(self, broker: str) -> int:
        return sum(1 for fill in self.saved.fills if fill.broker == broker)


class Fold:
    """One event after the other; `recovered` at the end."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.fills: list[Fill] = []
        self.marks: dict[int, Money] = {}
        self.starting_cash: dict[str, Money] = {}
        self.taken: dict[str, int] = {}
        self.clock: dict[str, int] = {}
        self.signals_made = 0
        self.sequence = 0
        self.blind: dict[str, int] = {}
        self.halt: Halt | None = None
        self.stood_down: dict[str, str] = {}
        self.renewed: dict[str, dict[str, int]] = {}
        self.fates: dict[str, Fates] = {}
        self._untaken: list[Fate] = []
        """Of rows that no mark has followed yet: a crash among them, and the row is walked again."""
        self.events = 0

    def add(self, event: object) -> None:
        self.events += 1
        match event:
            case Approved(order, signal):
                self.sequence = max(self.sequence, order.sequence)
                self._count(signal.signal_id)
            case Refused():
                self._count(event.signal.signal_id)
                self._untaken.append(event)
            case OrderOpened(order) | OrderUpdated(order) | OrderClosed(order):
                self.orders[order.order_id] = order
                self._untaken.append(event)
            case Booked(order, fill):
                self.orders[order.order_id] = order
                self.fills.append(fill)
                self._untaken.append(OrderFilled(order, fill))
            case _:
                self._add_of_the_house(event)

    def _add_of_the_house(self, event: object) -> None:
        match event:
            case AccountOpened(broker, starting_cash):
                self.starting_cash[broker] = starting_cash
            case Marked():
                self.marks |= {p.instrument.instrument_token: p.last_price for p in event.positions}
            case RowTaken():
                self._take(event)
            case StrategyPaused() | StrategyFailed() | StrategyResumed():
                self._add_of_strategy(event)
            case Halt():
                self.halt = event
            case Resume():
                self.halt = None
                self.blind = dict(self.taken)
                self.fates.clear()

    def _add_of_strategy(self, event: StrategyPaused | StrategyFailed | StrategyResumed) -> None:
        strategy_id = event.strategy_id
        if isinstance(event, StrategyPaused):
            self.stood_down.setdefault(strategy_id, PAUSED)
        elif isinstance(event, StrategyFailed):
            self.stood_down[strategy_id] = QUARANTINED
        elif self.stood_down.pop(strategy_id, RUNNING) == QUARANTINED:
            self.renewed[strategy_id] = dict(self.taken)
            for fates in self.fates.values():
                fates.forget(strategy_id)

    def _take(self, mark: RowTaken) -> None:
        self.taken[mark.feed] = mark.row
        self.clock[mark.feed] = mark.time_ns
        fates = self.fates.setdefault(mark.feed, Fates())
        for fate in self._untaken:
            fates.add(fate, _row_of(fate) or mark.row)
        self._untaken.clear()

    def _count(self, signal_id: str) -> None:
        self.signals_made = max(self.signals_made, int(signal_id[1:]))

    def recovered(self) -> Recovered:
        return Recovered(
            saved=Saved(
                orders=tuple(self.orders.values()),
                fills=tuple(self.fills),
                marks=self.marks,
                signals_made=self.signals_made,
                sequence=self.sequence,
                halted=self.halt is not None,
                stood_down=self.stood_down,
            ),
            starting_cash=self.starting_cash,
            taken=self.taken,
            blind=self.blind,
            renewed=self.renewed,
            clock=self.clock,
            fates=self.fates,
            halt=self.halt,
            empty=self.events == 0,
        )


def _owner(fate: Fate) -> str:
    return fate.signal.strategy_id if isinstance(fate, Refused) else fate.order.strategy_id


def _row_of(fate: Fate) -> int:
    """The row whose ticks caused it; 0 where something else did, such as a cancel between two rows."""
    match fate:
        case Refused(signal=signal):
            return signal.row
        case OrderOpened(order) | OrderUpdated(order):
            return order.row
    return 0


def fold(events: Iterable[Any]) -> Recovered:
    """A pure function of the journal: the same rows, the same state."""
    folded = Fold()
    for event in events:
        folded.add(event)
    return folded.recovered()
