"""Intraday positions end before the broker ends them: the times of a day, and what is done once they come.

A broker closes what is left of MIS at its own time, for a fee an order. `Intraday` knows that time, our own
some minutes before it and the last moment of entries; `SquareOff` then takes back what rests and closes what
is held. Without a session there is nothing to do.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol

from alphapanda.events import (
    MIS,
    SQUARE_OFF,
    CancelResting,
    ClosePosition,
    Instrument,
    Order,
    OrderStatus,
    PositionEffect,
    TickBatch,
    TransactionType,
)
from alphapanda.times import MINUTE_NS, SECOND_NS, day_of, midnight_after, to_ist

RETRY_NS = 5 * SECOND_NS
"""A close that was refused, or a cancel that did nothing, is asked again after so long of the rows' time."""

Key = tuple[str, str, int]
"""(broker, strategy id, instrument token)"""
Output = CancelResting | ClosePosition


class Sessions(Protocol):
    """What is asked of a calendar, for the day of `time_ns`; None where it has no such time."""

    def broker_square_off_ns(self, time_ns: int, instrument: Instrument) -> int | None: ...

    def closes_ns(self, time_ns: int, instrument: Instrument) -> int | None: ...


class Held(Protocol):
    """A position, as far as a square-off looks at it."""

    broker: str
    strategy_id: str
    instrument: Instrument
    product: str
    quantity: int


class Hours(NamedTuple):
    """One instrument's day. `own_ns` is our square-off, `broker_ns` the broker's; None where there is none.

    After `ends_ns` no exit can leave any more.
    """

    entries_stop_ns: int
    own_ns: int
    broker_ns: int | None
    ends_ns: int


class Intraday:
    """`minutes_before` what comes first, the broker's square-off or the end of the session; 0 is never.

    `brokers` are those that square off themselves.
    """

    def __init__(
        self,
        sessions: Sessions,
        brokers: Collection[str] = (),
        *,
        minutes_before: int = 0,
        entries_stop_minutes: int = 0,
    ) -> None:
        self._sessions = sessions
        self._brokers = frozenset(brokers)
        self._before_ns = minutes_before * MINUTE_NS
        self._entries_ns = entries_stop_minutes * MINUTE_NS
        self._known: dict[int, tuple[int, Hours | None]] = {}
        """token -> (day, its hours)"""

    @property
    def squares_off(self) -> bool:
        """Do we close positions ourselves?"""
        return self._before_ns > 0

    def closes(self, broker: str) -> bool:
        """Does this broker close what is left itself?"""
        return broker in self._brokers

    def hours(self, time_ns: int, instrument: Instrument) -> Hours | None:
        """Of the IST day of `time_ns`; None when the instrument has no session then."""
        day = day_of(time_ns)
        known = self._known.get(instrument.instrument_token)
        if known is None or known[0] != day:
            known = self._known[instrument.instrument_token] = day, self._hours(time_ns, instrument)
        return known[1]

    def _hours(self, time_ns: int, instrument: Instrument) -> Hours | None:
        broker_ns = self._sessions.broker_square_off_ns(time_ns, instrument)
        closes_ns = self._sessions.closes_ns(time_ns, instrument)
        if closes_ns is None:
            return None
        own_ns = min(closes_ns, closes_ns if broker_ns is None else broker_ns) - self._before_ns
        return Hours(own_ns - self._entries_ns, own_ns, broker_ns, closes_ns)

    def broker_ns(self, broker: str, hours: Hours) -> int | None:
        """When this broker closes intraday positions itself; None when it does not."""
        return hours.broker_ns if self.closes(broker) else None

    def refuse(self, order: Order, now_ns: int) -> tuple[str, str] | None:
        """(rule, why) when an intraday order comes too late. The operator's own closes may pass."""
        if order.product != MIS or order.closed_by_hand:
            return None
        hours = self.hours(now_ns, order.instrument)
        if hours is None:
            return None
        broker_ns = self.broker_ns(order.broker, hours)
        if broker_ns is not None and now_ns >= broker_ns:
            since = f"{to_ist(broker_ns):%H:%M}"
            return "broker_square_off", f"{order.broker} closes {MIS} positions itself since {since}"
        entry = order.position_effect is PositionEffect.OPEN
        if self.squares_off and entry and now_ns >= hours.entries_stop_ns:
            stop, own = to_ist(hours.entries_stop_ns), to_ist(hours.own_ns)
            return "square_off", f"no {MIS} entry from {stop:%H:%M}: positions are closed at {own:%H:%M}"
        return None


class SquareOff:
    """Asked once `wakes_ns` has come; until then a row costs one comparison of integers."""

    def __init__(self, intraday: Intraday) -> None:
        self._intraday = intraday
        self._asked: dict[Key | str, tuple[int, int]] = {}
        """position or order id -> (when it was last asked, what was left of it then)"""
        self.wakes_ns = 0

    def look_again(self) -> None:
        """An order or a position has changed."""
        self.wakes_ns = 0

    def due(self, batch: TickBatch, positions: Iterable[Held], orders: Iterable[Order]) -> list[Output]:
        """Cancels of what rests; where nothing does, closes of what is held. `orders` may still trade."""
        self.wakes_ns = midnight_after(batch.time_ns)
        resting: dict[Key, list[Order]] = {}
        for order in orders:
            if order.product == MIS:
                resting.setdefault(_key(order), []).append(order)
        held = {_key(one): one for one in positions if one.quantity and one.product == MIS}
        outputs: list[Output] = []
        for key in (*held, *(key for key in resting if key not in held)):
            waiting = resting.get(key, [])
            position = held.get(key)
            instrument = position.instrument if position is not None else waiting[0].instrument
            if self._is_due(batch.time_ns, key[0], instrument):
                cancels = [order for order in waiting if not _spared(order)]
                outputs += self._cancels(cancels, batch)
                if position is not None and not cancels:
                    outputs += self._close(position, waiting, batch)
        return outputs

    def _is_due(self, now_ns: int, broker: str, instrument: Instrument) -> bool:
        hours = self._intraday.hours(now_ns, instrument)
        if hours is None:
            return False
        broker_ns = self._intraday.broker_ns(broker, hours)
        ends_ns = hours.ends_ns if broker_ns is None else min(broker_ns, hours.ends_ns)
        if now_ns >= ends_ns:
            return False
        due = now_ns >= hours.own_ns
        self.wakes_ns = min(self.wakes_ns, now_ns + RETRY_NS if due else hours.own_ns)
        return due

    def _cancels(self, orders: Iterable[Order], batch: TickBatch) -> list[Output]:
        return [
            CancelResting(order, SQUARE_OFF)
            for order in orders
            if self._may_ask(order.order_id, order.pending_quantity, batch.time_ns)
        ]

    def _close(self, position: Held, waiting: Iterable[Order], batch: TickBatch) -> list[Output]:
        """What no order closes yet: an order that is on its way, or of which nothing is known, counts."""
        side = TransactionType.SELL if position.quantity > 0 else TransactionType.BUY
        closing = sum(order.pending_quantity for order in waiting if order.transaction_type is side)
        left = abs(position.quantity) - closing
        if left <= 0 or not self._may_ask(_key(position), left, batch.time_ns):
            return []
        return [
            ClosePosition(
                broker=position.broker,
                strategy_id=position.strategy_id,
                instrument_token=position.instrument.instrument_token,
                transaction_type=side,
                quantity=left,
                by=SQUARE_OFF,
                time_ns=batch.time_ns,
                row=batch.row,
            )
        ]

    def _may_ask(self, what: Key | str, left: int, now_ns: int) -> bool:
        asked_ns, asked_left = self._asked.get(what, (0, left))
        if abs(now_ns - asked_ns) < RETRY_NS and asked_left == left:
            return False
        self._asked[what] = now_ns, left
        return True


def _key(one: Held | Order) -> Key:
    return one.broker, one.strategy_id, one.instrument.instrument_token


def _spared(order: Order) -> bool:
    """Closes that the operator, the broker or we ourselves asked for, and orders that nothing can reach."""
    return order.closed_by_hand or order.by == SQUARE_OFF or order.status is OrderStatus.UNKNOWN
