"""What risk remembers of its own verdicts: when it approved which orders, and whom it refused how often."""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Self

from alphapanda.events import Book, Order, OrderStatus, PositionEffect, Refused, TransactionType, Verdict
from alphapanda.times import DAY_NS

Likeness = tuple[str, int, TransactionType, int]
Kind = tuple[str, int, TransactionType, PositionEffect]


class Times:
    """Moments in order, those of the last day. Rows of one file may step back between instruments."""

    def __init__(self) -> None:
        self._times: list[int] = []

    def add(self, time_ns: int) -> None:
        times = self._times
        if not times or time_ns >= times[-1]:
            times.append(time_ns)
        else:
            insort(times, time_ns)
        if times[0] < time_ns - DAY_NS:
            del times[: bisect_left(times, time_ns - DAY_NS)]

    def remove(self, time_ns: int) -> None:
        place = bisect_left(self._times, time_ns)
        if place < len(self._times) and self._times[place] == time_ns:
            del self._times[place]

    def between(self, start_ns: int, end_ns: int) -> int:
        """How many are younger than `start_ns` and older than `end_ns`. Mostly the last ones, or none."""
        times = self._times
        if not times or times[-1] <= start_ns:
            return 0
        end = len(times) if times[-1] < end_ns else bisect_left(times, end_ns)
        return max(0, end - bisect_right(times, start_ns))

    def fewer(self, count: int, start_ns: int) -> bool:
        """Are fewer than `count` younger than `start_ns`? The answer to most questions of how many."""
        times = self._times
        return len(times) < count or (count > 0 and times[-count] <= start_ns)

    def nearest(self, time_ns: int) -> int | None:
        if self._times and time_ns >= self._times[-1]:
            return self._times[-1]
        place = bisect_left(self._times, time_ns)
        near = self._times[max(0, place - 1) : place + 1]
        return min(near, key=lambda each: abs(each - time_ns)) if near else None


NEVER = Times()
ALL = "", 0
"""Strategy and instrument."""


class Approvals:
    """Which orders were approved at one broker, when: what throttles and the duplicate check count.

    `past` are those of before a restart; up to which one the operator forgave a strategy's repetitions
    (strategy id -> sequence) says `forgiven`. The slices of one order count one each with the throttles, and
    as one order where repetition is looked for.
    """

    def __init__(self, past: Iterable[Order] = (), forgiven: Mapping[str, int] | None = None) -> None:
        self._log: list[tuple[int, str, int]] = []
        self._times: dict[tuple[str, int], Times] = {ALL: Times()}
        self._alike: defaultdict[Likeness, Times] = defaultdict(Times)
        self._repeated: defaultdict[Kind, Times] = defaultdict(Times)
        self._sliced: dict[str, tuple[Order, int]] = {}
        whole: dict[str, tuple[Order, int]] = {}
        for order in past:
            self._count(order)
            first, quantity = whole.get(order.signal_id, (order, 0))
            whole[order.signal_id] = (first, quantity + order.quantity)
        for first, quantity in whole.values():
            self._liken(first, quantity, repeats=first.sequence > (forgiven or {}).get(first.strategy_id, 0))

    @classmethod
    def at(cls, broker: str, past: Iterable[Order], forgiven: Mapping[str, int]) -> Self:
        """Of `past` what counts at `broker`. An order that never reached it does not, nor does it repeat; nor
        does one that the broker made by itself, which no approval stands behind (sequence 0).
        """
        never = (OrderStatus.NOT_FOUND, OrderStatus.WITHHELD)
        mine = (order for order in past if order.broker == broker and order.sequence)
        return cls((order for order in mine if order.status not in never), forgiven)

    def add(self, order: Order, slices: int = 1) -> None:
        for _ in range(slices):
            self._count(order)
        self._liken(order, order.quantity)
        if slices > 1:
            self._sliced[order.signal_id] = order, slices

    def remove(self, order: Order) -> None:
        """It left for nowhere: it counts no more, nor does it repeat.

        A slice is no order like any other: the whole order repeats until the last of its slices is removed.
        """
        entry = _entry(order)
        if entry in self._log:
            self._log.remove(entry)
        for times in self._counting(order):
            times.remove(order.created_ns)
        order, left = self._sliced.get(order.signal_id, (order, 1))
        if left > 1:
            self._sliced[order.signal_id] = order, left - 1
            return
        self._alike.get(_likeness(order, order.quantity), NEVER).remove(order.created_ns)
        self._repeated.get(_kind(order), NEVER).remove(order.created_ns)

    def forgive(self, strategy_id: str) -> None:
        """The operator lets the strategy go on: its repetitions are counted anew."""
        for kind in [kind for kind in self._repeated if kind[0] == strategy_id]:
            del self._repeated[kind]

    def between(self, start_ns: int, end_ns: int, strategy_id: str = "", token: int = 0) -> int:
        """How many approvals are younger than `start_ns` and older than `end_ns`.

        Later ones are not counted: the store may know orders of a feed that walked later dates.
        """
        return self.times(strategy_id, token).between(start_ns, end_ns)

    def times(self, strategy_id: str = "", token: int = 0) -> Times:
        """When orders of this scope were approved."""
        times = self._times.get((strategy_id, token))
        if times is None:  # the first question of this scope: from now on it is counted apart
            times = self._times[strategy_id, token] = Times()
            for time_ns, owner, traded in self._log:
                if strategy_id in ("", owner) and token in (0, traded):
                    times.add(time_ns)
        return times

    def nearest_like(self, order: Order, time_ns: int) -> int | None:
        """When an order of the same strategy, instrument, side and quantity was approved."""
        return self._alike.get(_likeness(order, order.quantity), NEVER).nearest(time_ns)

    def like(self, order: Order) -> Times:
        """When orders of the same strategy, instrument, side and effect were approved."""
        return self._repeated.get(_kind(order), NEVER)

    def most_repeats(self, start_ns: int, end_ns: int, strategy_id: str = "", token: int = 0) -> int:
        return max(
            (
                times.between(start_ns, end_ns)
                for (owner, traded, _, _), times in self._repeated.items()
                if strategy_id in ("", owner) and token in (0, traded)
            ),
            default=0,
        )

    def _count(self, order: Order) -> None:
        created_ns, log = order.created_ns, self._log
        log.append(_entry(order))
        if log[0][0] < created_ns - 2 * DAY_NS:
            self._log = [entry for entry in log if entry[0] >= created_ns - DAY_NS]
            sliced = self._sliced.items()
            self._sliced = {key: kept for key, kept in sliced if kept[0].created_ns >= created_ns - DAY_NS}
        for times in self._counting(order):
            times.add(created_ns)

    def _counting(self, order: Order) -> list[Times]:
        owner, traded = order.strategy_id, order.instrument.instrument_token
        return [
            times
            for (strategy_id, token), times in self._times.items()
            if strategy_id in ("", owner) and token in (0, traded)
        ]

    def _liken(self, order: Order, quantity: int, *, repeats: bool = True) -> None:
        self._alike[_likeness(order, quantity)].add(order.created_ns)
        if repeats:
            self._repeated[_kind(order)].add(order.created_ns)


def _entry(order: Order) -> tuple[int, str, int]:
    return order.created_ns, order.strategy_id, order.instrument.instrument_token


def _likeness(order: Order, quantity: int) -> Likeness:
    return order.strategy_id, order.instrument.instrument_token, order.transaction_type, quantity


def _kind(order: Order) -> Kind:
    return order.strategy_id, order.instrument.instrument_token, order.transaction_type, order.position_effect


NOT_ITS_FAULT = frozenset(
    {
        "broker_held",
        "broker_square_off",
        "entries_held",
        "instrument_not_listed",
        "kill_switch",
        "market_closed",
        "price_not_trusted",
        "square_off",
        "strategy_paused",
        "strategy_quarantined",
        "symbol_held",
    }
)
"""Refusals that say nothing of the strategy: they are not counted against it."""


def its_fault(refused: Refused) -> bool:
    """Is it counted against the strategy? What the operator asked for is not."""
    own = refused.verdict is Verdict.REFUSED and not refused.signal.by
    return own and refused.rule not in NOT_ITS_FAULT


class Refusals:
    """How often in a row a strategy's signals came to nothing at one broker: refused here, or rejected there.

    A fill ends the row. Risk hears of none, but each leaves its trace in the book.
    """

    def __init__(self) -> None:
        self._refused: dict[str, tuple[int, object]] = {}
        self._forgiven: dict[str, int] = {}

    def add(self, strategy_id: str, book: Book) -> None:
        trace = _trace(strategy_id, book)
        self._refused[strategy_id] = (self._here(strategy_id, trace) + 1, trace)

    def restore(self, strategy_id: str, refused: int, forgiven: int, book: Book) -> None:
        """As it was before a restart: refused in a row here, and rejections that were forgiven."""
        if refused:
            self._refused[strategy_id] = refused, _trace(strategy_id, book)
        if forgiven:
            self._forgiven[strategy_id] = forgiven

    def count(self, strategy_id: str, book: Book) -> int:
        here = self._here(strategy_id, _trace(strategy_id, book)) if strategy_id in self._refused else 0
        there = _rejected(strategy_id, book)
        if not self._forgiven:
            return here + there
        if there < self._forgiven.get(strategy_id, 0):  # a fill has come since
            del self._forgiven[strategy_id]
        return here + there - self._forgiven.get(strategy_id, 0)

    def strategies(self) -> set[str]:
        return set(self._refused)

    def forgive(self, strategy_id: str, book: Book) -> None:
        self._refused.pop(strategy_id, None)
        self._forgiven[strategy_id] = _rejected(strategy_id, book)

    def _here(self, strategy_id: str, trace: object) -> int:
        count, before = self._refused.get(strategy_id, (0, trace))
        return count if before == trace else 0


def _rejected(strategy_id: str, book: Book) -> int:
    performance = book.performance.get(strategy_id)
    return 0 if performance is None else performance.rejected_in_a_row


def _trace(strategy_id: str, book: Book) -> object:
    """What every fill of the strategy changes."""
    performance = book.performance.get(strategy_id)
    positions = book.positions.items()
    held = {token: quantity for (owner, token), quantity in positions if owner == strategy_id and quantity}
    return held, 0 if performance is None else performance.booked
