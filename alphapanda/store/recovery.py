"""What the journal says of the past: folded once at every start, clean or not."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from alphapanda.core.comparison import Reconciled
from alphapanda.core.equity import EquityTracker
from alphapanda.core.hosted import PAUSED, QUARANTINED, RUNNING, Fate
from alphapanda.core.interrupted import Asked
from alphapanda.core.rules import Known, its_fault
from alphapanda.events import (
    AccountOpened,
    Approved,
    Booked,
    ChargesCompared,
    Compared,
    DayRolled,
    ExternalOrder,
    ExternalSeen,
    Fill,
    Halt,
    LimitChanged,
    Low,
    Marked,
    Money,
    Order,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderFound,
    OrderOpened,
    OrderStatus,
    OrderUpdated,
    Refused,
    Resume,
    RowTaken,
    Scope,
    StrategyFailed,
    StrategyPaused,
    StrategyQuarantined,
    StrategyResumed,
    TradingSignal,
    Validity,
    Valued,
)
from alphapanda.pipeline import Saved
from alphapanda.times import day_of

OfMarket = OrderOpened | OrderUpdated | OrderClosed | OrderFilled


class Fates(Struct):
    """What became of the signals of one feed's rows, for a warm-up to tell again: after the ticks of a row,
    and, for what the market did, before the ticks of the first later row that has its time and instrument.
    """

    after: dict[int, list[Fate]] = {}
    before: dict[tuple[int, int], list[OfMarket]] = {}
    """(time, instrument token, or 0 where only the time counts) -> fills, triggers, ends of validity"""

    def add(self, fate: Fate, token: int | None, row: int) -> None:
        """`token` is None for what the market did not do."""
        if token is None or isinstance(fate, Refused):
            self.after.setdefault(row, []).append(fate)
        else:
            self.before.setdefault((fate.order.updated_ns, token), []).append(fate)

    def forget(self, strategy_id: str) -> None:
        """The strategy is made anew, and has heard of nothing."""
        for fates in self.after.values():
            fates[:] = [fate for fate in fates if _owner(fate) != strategy_id]
        for met in self.before.values():
            met[:] = [fate for fate in met if fate.order.strategy_id != strategy_id]


class Recovered(Struct, frozen=True, kw_only=True):
    """What a start needs to know.

    `taken` is the last row walked of each finite feed, `blind` what that was at the last resume: rows up to
    it are not shown again, because strategies start with empty windows after a kill switch. `renewed` is the
    same for each strategy that was quarantined and resumed. `clock` is the time each feed had come to,
    timers included. `fates` are, for each feed, what became of the signals of its rows; `unmarked` what the
    market did at the row after the last: that row is walked again, and does not do it again.
    """

    saved: Saved
    starting_cash: dict[str, Money]
    reconciled: dict[str, Reconciled] = {}
    """What was found at each broker beside our book, where it was held against the broker's."""
    owners: dict[str, str] = {}
    """Whose account it is, by broker; empty for the house's own."""
    taken: dict[str, int]
    blind: dict[str, int]
    renewed: dict[str, dict[str, int]]
    clock: dict[str, int]
    fates: dict[str, Fates]
    unmarked: tuple[OfMarket, ...]
    asked: dict[str, Asked] = {}
    """Order id -> the signal it came of, where the row of that is walked again."""
    halt: Halt | None
    empty: bool


class RefusalsFold:
    """What risk remembers of its refusals, as `Known` has it."""

    def __init__(self) -> None:
        self._lows: dict[tuple[str, str, int], Low] = {}
        self._refused: dict[tuple[str, str], int] = {}
        self._forgiven: dict[tuple[str, str], int] = {}
        self._resumed: dict[str, int] = {}

    def on_refused(self, event: Refused) -> None:
        low, signal = event.low, event.signal
        if low is not None:
            place = event.broker, low.strategy, day_of(low.time_ns)
            known = self._lows.get(place)
            if known is None or low.net < known.net:
                self._lows[place] = low
        if its_fault(event):
            key = event.broker, signal.strategy_id
            self._refused[key] = self._refused.get(key, 0) + 1

    def on_filled(self, fill: Fill) -> None:
        self._refused.pop((fill.broker, fill.strategy_id), None)
        self._forgiven.pop((fill.broker, fill.strategy_id), None)

    def on_resumed(self, strategy_id: str, sequence: int, trackers: Mapping[str, EquityTracker]) -> None:
        self._resumed[strategy_id] = sequence
        self._refused = {key: count for key, count in self._refused.items() if key[1] != strategy_id}
        for broker, tracker in trackers.items():
            standing = tracker.performance.get(strategy_id)
            self._forgiven[broker, strategy_id] = 0 if standing is None else standing.rejected_in_a_row

    def known(self) -> Known:
        lows = ((place[0], low) for place, low in self._lows.items())
        return Known(
            lows=tuple(sorted(lows, key=lambda each: each[1].time_ns)),
            refused={
                key: (self._refused.get(key, 0), self._forgiven.get(key, 0))
                for key in self._refused.keys() | self._forgiven.keys()
            },
            resumed=dict(self._resumed),
        )


class Fold:
    """One event after the other; `recovered` at the end."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.fills: list[Fill] = []
        self.marks: dict[int, Money] = {}
        self.rolls: list[tuple[int, DayRolled]] = []
        self.trackers: dict[str, EquityTracker] = {}
        self.starting_cash: dict[str, Money] = {}
        self.owners: dict[str, str] = {}
        self.reconciled: dict[str, Reconciled] = {}
        self.taken: dict[str, int] = {}
        self.clock: dict[str, int] = {}
        self.signals_made = 0
        self.sequence = 0
        self.blind: dict[str, int] = {}
        self.halt: Halt | None = None
        self.stood_down: dict[str, str] = {}
        self.renewed: dict[str, dict[str, int]] = {}
        self.limits: dict[tuple[str, Scope], LimitChanged] = {}
        self.fates: dict[str, Fates] = {}
        self.refusals = RefusalsFold()
        self._asked: dict[str, Asked] = {}
        self._untaken: list[tuple[Fate, int | None]] = []
        """Of rows that no mark has followed yet: a crash among them, and the row is walked again. A live feed
        has no rows and no marks, and so only the last two days are kept.
        """
        self._untaken_at_roll = 0
        self.events = 0

    def add(self, event: object) -> None:
        self.events += 1
        match event:
            case Approved(order, signal):
                self.sequence = max(self.sequence, order.sequence)
                self._count(signal.signal_id)
                self._ask(order, signal)
            case Refused():
                self._count(event.signal.signal_id)
                self._untaken.append((event, None))
                self.refusals.on_refused(event)
            case OrderOpened(order) | OrderUpdated(order) | OrderClosed(order):
                self._untaken.append((event, _met(order, self.orders.get(order.order_id))))
                self.orders[order.order_id] = order
                self._tracker(order.broker).on_closed(order)
            case Booked(order, fill):
                self.orders[order.order_id] = order
                self.fills.append(fill)
                self._tracker(fill.broker).on_booked(event)
                self.refusals.on_filled(fill)
                self._untaken.append((OrderFilled(order, fill), fill.instrument.instrument_token))
            case AccountOpened() | Valued() | DayRolled() | Marked():
                self._add_of_the_book(event)
            case _:
                self._add_of_the_house(event)

    def _add_of_the_book(self, event: AccountOpened | Valued | DayRolled | Marked) -> None:
        match event:
            case AccountOpened(broker, starting_cash, owner):
                self.starting_cash[broker] = starting_cash
                self.owners[broker] = owner
                self._tracker(broker)
            case Valued(broker=broker):
                self._tracker(broker).on_valued(event)
            case DayRolled():
                self.rolls.append((len(self.fills), event))
                del self._untaken[: self._untaken_at_roll]
                self._untaken_at_roll = len(self._untaken)
                for tracker in self.trackers.values():
                    tracker.on_rolled(event)
            case Marked():
                self.marks |= {p.instrument.instrument_token: p.last_price for p in event.positions}

    def _add_of_the_house(self, event: object) -> None:
        match event:
            case RowTaken():
                self._take(event)
            case (
                Compared()
                | ChargesCompared()
                | ExternalSeen()
                | ExternalOrder()
                | OrderFound()
                | OrderAccepted()
            ):
                self.reconciled.setdefault(event.broker, Reconciled()).on(event)
            case StrategyPaused() | StrategyFailed() | StrategyQuarantined() | StrategyResumed():
                self._add_of_strategy(event)
            case LimitChanged(key=key, scope=scope):
                self.limits.pop((key, scope), None)
                if event.value is not None:
                    self.limits[key, scope] = event
            case Halt():
                self.halt = event
            case Resume():
                self.halt = None
                self.blind = dict(self.taken)
                self.fates.clear()

    def _add_of_strategy(
        self, event: StrategyPaused | StrategyFailed | StrategyQuarantined | StrategyResumed
    ) -> None:
        strategy_id = event.strategy_id
        if isinstance(event, StrategyResumed):
            self.refusals.on_resumed(strategy_id, self.sequence, self.trackers)
        if isinstance(event, StrategyPaused):
            self.stood_down.setdefault(strategy_id, PAUSED)
        elif isinstance(event, StrategyFailed | StrategyQuarantined):
            self.stood_down[strategy_id] = QUARANTINED
        elif self.stood_down.pop(strategy_id, RUNNING) == QUARANTINED:
            self.renewed[strategy_id] = dict(self.taken)
            for fates in self.fates.values():
                fates.forget(strategy_id)

    def _take(self, mark: RowTaken) -> None:
        self.taken[mark.feed] = mark.row
        self.clock[mark.feed] = mark.time_ns
        fates = self.fates.setdefault(mark.feed, Fates())
        for fate, token in self._untaken:
            fates.add(fate, token, _row_of(fate) or mark.row)
        self._untaken.clear()
        self._asked.clear()
        self._untaken_at_roll = 0

    def _ask(self, order: Order, signal: TradingSignal) -> None:
        """Kept while it may be of the row that a crash interrupts: of the latest, and not marked yet."""
        if self._asked:
            latest = next(reversed(self._asked.values())).signal
            if (latest.time_ns, latest.row) != (signal.time_ns, signal.row):
                self._asked.clear()
        if not signal.by:
            self._asked[order.order_id] = Asked(signal, order.broker)

    def _tracker(self, broker: str) -> EquityTracker:
        known = self.trackers.get(broker)
        if known is None:
            known = self.trackers[broker] = EquityTracker()
        return known

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
                limits=tuple(self.limits.values()),
                rolls=tuple(self.rolls),
                trackers=self.trackers,
                known=self.refusals.known(),
            ),
            starting_cash=self.starting_cash,
            owners=self.owners,
            reconciled=self.reconciled,
            taken=self.taken,
            blind=self.blind,
            renewed=self.renewed,
            clock=self.clock,
            fates=self.fates,
            unmarked=tuple(
                fate for fate, token in self._untaken if token is not None and not isinstance(fate, Refused)
            ),
            asked=self._asked,
            halt=self.halt,
            empty=self.events == 0,
        )


def _owner(fate: Fate) -> str:
    return fate.signal.strategy_id if isinstance(fate, Refused) else fate.order.strategy_id


def _met(order: Order, before: Order | None) -> int | None:
    """What a change of an order met at the market: its instrument's tick, or (0) only the time of a row.

    None for what the market did not do. It gives its own time; a cancel that was asked for gives the order's.
    """
    if before is None or order.updated_ns <= order.created_ns:
        return None
    if order.triggered and not before.triggered:
        return order.instrument.instrument_token
    if order.status is not OrderStatus.CANCELLED:
        return None
    if order.validity is Validity.IOC:
        return order.instrument.instrument_token
    return 0 if order.updated_ns > before.updated_ns else None


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
