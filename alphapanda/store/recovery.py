"""What the journal says of the past: folded once at every start, clean or not."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from alphapanda.core.runner import PAUSED, QUARANTINED, RUNNING
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


class Recovered(Struct, frozen=True, kw_only=True):
    """What a start needs to know.

    `taken` is the last row walked of each finite feed, `blind` what that was at the last resume: rows up to
    it are not shown again, because strategies start with empty windows after a kill switch. `renewed` is the
    same for each strategy that was quarantined and resumed. `clock` is the time each feed had come to,
    timers included.
    """

    saved: Saved
    starting_cash: dict[str, Money]
    taken: dict[str, int]
    blind: dict[str, int]
    renewed: dict[str, dict[str, int]]
    clock: dict[str, int]
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
        self.events = 0

    def add(self, event: object) -> None:
        self.events += 1
        match event:
            case Approved(order, signal):
                self.sequence = max(self.sequence, order.sequence)
                self._count(signal.signal_id)
            case Refused():
                self._count(event.signal.signal_id)
            case OrderOpened(order) | OrderUpdated(order) | OrderClosed(order):
                self.orders[order.order_id] = order
            case Booked(order, fill):
                self.orders[order.order_id] = order
                self.fills.append(fill)
            case _:
                self._add_of_the_house(event)

    def _add_of_the_house(self, event: object) -> None:
        match event:
            case AccountOpened(broker, starting_cash):
                self.starting_cash[broker] = starting_cash
            case Marked():
                self.marks |= {p.instrument.instrument_token: p.last_price for p in event.positions}
            case RowTaken(feed, row, time_ns):
                self.taken[feed] = row
                self.clock[feed] = time_ns
            case StrategyPaused(strategy_id):
                self.stood_down.setdefault(strategy_id, PAUSED)
            case StrategyFailed(strategy_id):
                self.stood_down[strategy_id] = QUARANTINED
            case StrategyResumed(strategy_id):
                if self.stood_down.pop(strategy_id, RUNNING) == QUARANTINED:
                    self.renewed[strategy_id] = dict(self.taken)
            case Halt():
                self.halt = event
            case Resume():
                self.halt = None
                self.blind = dict(self.taken)

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
            halt=self.halt,
            empty=self.events == 0,
        )


def fold(events: Iterable[Any]) -> Recovered:
    """A pure function of the journal: the same rows, the same state."""
    folded = Fold()
    for event in events:
        folded.add(event)
    return folded.recovered()
