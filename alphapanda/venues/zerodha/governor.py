"""Kite's limits on the rate of requests, kept before a request leaves. Pure: time comes in.

Kite counts calendar seconds on its own clock, which is not ours, and a request is some time on its way. So
a request counts in every calendar second in which it may arrive: from `skew_ms` before we write it (Kite's
clock is behind) to `skew_ms` and `delay_ms` after. Within these no second, minute or day at Kite has more
requests than its limit; a request that is later than that may meet a 429, which made no order.
"""

from collections import deque
from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from msgspec import Struct

from alphapanda.events import Order, OrderStatus
from alphapanda.times import MINUTE_NS, SECOND_NS, day_of, start_of

MILLISECOND_NS = 1_000_000


class Kind(IntEnum):
    """What an order request is. The lower number goes first."""

    CANCEL = 0
    EXIT = 1
    MODIFY = 2
    ENTRY = 3

    @property
    def places(self) -> bool:
        """It makes an order, and counts in the day."""
        return self in (Kind.EXIT, Kind.ENTRY)

    @property
    def reduces(self) -> bool:
        """It may use what is kept for cancels and exits."""
        return self in (Kind.CANCEL, Kind.EXIT)


BUCKETS = ("quote", "historical", "other")
"""Calls that are no order requests. The three quote calls are one bucket: nobody says that they are not."""
ORDER = "order"
DAYS_KEPT = 400
"""Days whose placements are remembered, of those on which there were some."""


class Limits(Struct, frozen=True, kw_only=True):
    """Kite's figures, what of them is kept for cancels and exits, and how far off its clock may be."""

    orders_second: int = 10
    orders_minute: int = 400
    orders_day: int = 5_000
    """Placed, refused ones too; changes and cancels do not count."""
    kept_second: int = 2
    kept_minute: int = 40
    kept_day: int = 200
    modifications: int = 25
    quote: int = 1
    historical: int = 3
    other: int = 8
    """Of Kite's 10: `login` and other commands of this application ask beside the daemon."""
    skew_ms: int = 250
    """Kite's clock may be so far before or behind ours; a machine with NTP is within a tenth of it."""
    delay_ms: int = 250
    """From our write until Kite reads its clock."""

    def __post_init__(self) -> None:
        for span in ("second", "minute", "day"):
            if getattr(self, f"orders_{span}") <= getattr(self, f"kept_{span}"):
                raise ValueError(f"of the orders of a {span} nothing is left beside what is kept")
        if min(self.quote, self.historical, self.other) < 1:
            raise ValueError("a limit of no calls at all is none that can be waited for")


LIMITS = Limits()


class Governor:
    """One of these speaks for the whole account: every door and every strategy asks it.

    Wall clocks are nanoseconds since 1970. One that steps back by more than the margin makes everything wait
    a second, and is then counted from where it was: a step never shuts cancels out until the old time.
    """

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self._early = limits.skew_ms * MILLISECOND_NS
        self._late = (limits.skew_ms + limits.delay_ms) * MILLISECOND_NS
        most = {bucket: getattr(limits, bucket) for bucket in BUCKETS} | {ORDER: limits.orders_second}
        self._most: dict[str, int] = most
        self._seconds = {bucket: _Seconds(self._early, self._late) for bucket in most}
        self._minute = _Minute(MINUTE_NS + self._early + self._late)
        self._days: dict[int, int] = {}
        """IST day -> placements. Near midnight one counts in both."""
        self._until = dict.fromkeys(most, 0)
        self._modifications: dict[str, int] = {}
        self._offset = self._newest = 0

    def take(self, kind: Kind, wall_ns: int) -> int:
        """0: the order request may go now, and is counted. Else the earliest time at which to ask again; a
        time of the next day means that today there is nothing left.
        """
        now = self._time(wall_ns)
        limits, counts = self.limits, self._seconds[ORDER]
        second, minute, day = limits.orders_second, limits.orders_minute, limits.orders_day
        if not kind.reduces:
            second -= limits.kept_second
            minute -= limits.kept_minute
            day -= limits.kept_day
        at = max(counts.free(second, now), self._minute.free(minute, now), self._until[ORDER])
        at -= self._offset
        if kind.places:
            at = max(at, self._day_with_room(day, wall_ns))
        if at > wall_ns:
            return at
        counts.add(now)
        self._minute.add(now)
        if kind.places:
            self._place(wall_ns)
        return 0

    def call(self, bucket: str, wall_ns: int) -> int:
        """The same for a call of "quote", "historical" or "other"."""
        now, counts = self._time(wall_ns), self._seconds[bucket]
        at = max(counts.free(self._most[bucket], now), self._until[bucket])
        if at > now:
            return at - self._offset
        counts.add(now)
        return 0

    def limited(self, what: Kind | str, wall_ns: int) -> None:
        """Kite answered 429: somebody else uses the account too, or its clock is further off than we think.
        After a second of waiting its calendar second is surely another one.
        """
        bucket = ORDER if isinstance(what, Kind) else what
        self._until[bucket] = max(self._until[bucket], self._time(wall_ns) + SECOND_NS)

    def modified(self, broker_order_id: str) -> bool:
        """Count one change of the order; False: it has had all that Kite takes, cancel it and place anew.

        Asked once a change, before it is put in the lane; one that is withheld there stays counted.
        """
        count = self._modifications.get(broker_order_id, 0)
        if count >= self.limits.modifications:
            return False
        self._modifications[broker_order_id] = count + 1
        return True

    def restore(self, placements: int, day: int, recent_ns: Iterable[int] = ()) -> None:
        """What an earlier run placed on this IST day of the wall clock, as `placements_today` counts it, and
        when it placed the last ones, by that clock: Kite's minute has not forgotten them.
        """
        self._days[day] = max(placements, self._days.get(day, 0))
        for at_ns in sorted(recent_ns):
            self._seconds[ORDER].add(at_ns)
            self._minute.add(at_ns)

    def budgets(self, wall_ns: int, waiting: int = 0) -> dict[str, Any]:
        """For status. `waiting` is the lane's to know."""
        now, limits = self._time(wall_ns), self.limits
        used = {
            "orders_second": (self._seconds[ORDER].used(now), limits.orders_second),
            "orders_minute": (self._minute.used(now), limits.orders_minute),
            "orders_day": (self._days.get(day_of(wall_ns), 0), limits.orders_day),
        }
        shown = {name: {"used": count, "limit": limit} for name, (count, limit) in used.items()}
        return {**shown, "waiting": waiting}

    def _time(self, wall_ns: int) -> int:
        """Our own line of time, in step with the wall's calendar seconds but never far back."""
        now = wall_ns + self._offset
        if now < self._newest - 2 * self._early:
            self._offset += -((now - self._newest) // SECOND_NS) * SECOND_NS
            now = wall_ns + self._offset
            for bucket in self._until:
                self._until[bucket] = now + SECOND_NS
        self._newest = max(self._newest, now)
        return now

    def _day_with_room(self, limit: int, wall_ns: int) -> int:
        """`wall_ns`, or when the request cannot arrive in a full day any more."""
        at = wall_ns
        for day in (day_of(wall_ns - self._early), day_of(wall_ns + self._late)):
            if self._days.get(day, 0) >= limit:
                at = start_of(day + 1) + self._early
        return at

    def _place(self, wall_ns: int) -> None:
        days = {day_of(wall_ns - self._early), day_of(wall_ns + self._late)}
        if max(days) > max(self._days, default=max(days)):
            self._modifications.clear()  # orders do not outlive their day
            # A clock that was a day ahead and is put right finds what its own day has had.
            self._days = {day: count for day, count in self._days.items() if day > max(days) - DAYS_KEPT}
        for day in days:
            self._days[day] = self._days.get(day, 0) + 1


class _Seconds:
    """Requests by the calendar seconds in which they may arrive."""

    def __init__(self, early_ns: int, late_ns: int) -> None:
        self._early, self._late = early_ns, late_ns
        self._counts: dict[int, int] = {}

    def _of(self, time_ns: int) -> range:
        return range((time_ns - self._early) // SECOND_NS, (time_ns + self._late) // SECOND_NS + 1)

    def free(self, limit: int, time_ns: int) -> int:
        """The earliest time from `time_ns` on at which each of its seconds has room under `limit`."""
        while full := [second for second in self._of(time_ns) if self._counts.get(second, 0) >= limit]:
            time_ns = (full[-1] + 1) * SECOND_NS + self._early
        return time_ns

    def add(self, time_ns: int) -> None:
        seconds = self._of(time_ns)
        for second in seconds:
            self._counts[second] = self._counts.get(second, 0) + 1
        if len(self._counts) > 16:
            self._counts = {each: count for each, count in self._counts.items() if each >= seconds[0] - 2}

    def used(self, time_ns: int) -> int:
        return max(self._counts.get(second, 0) for second in self._of(time_ns))


class _Minute:
    """Requests of the last `span_ns`: a minute, and what two of them may come nearer on the way."""

    def __init__(self, span_ns: int) -> None:
        self._span = span_ns
        self._times: deque[int] = deque()

    def free(self, limit: int, time_ns: int) -> int:
        """The earliest time from `time_ns` on at which fewer than `limit` are in the span."""
        self._forget(time_ns)
        if len(self._times) < limit:
            return time_ns
        return self._times[-limit] + self._span

    def add(self, time_ns: int) -> None:
        self._times.append(time_ns)

    def used(self, time_ns: int) -> int:
        self._forget(time_ns)
        return len(self._times)

    def _forget(self, time_ns: int) -> None:
        while self._times and self._times[0] <= time_ns - self._span:
            self._times.popleft()


def placed_lately(orders: Iterable[Order], now_ns: int) -> list[int]:
    """When the orders of the last minute or so were placed, by the market's clock, which says `now_ns`."""
    span_ns = MINUTE_NS + SECOND_NS
    return [
        order.created_ns
        for order in orders
        if now_ns - span_ns < order.created_ns <= now_ns and order.status is not OrderStatus.WITHHELD
    ]


def placements_today(orders: Iterable[Order], day: int) -> int:
    """How many orders of this broker, by its journal, were placed on an IST day of the market's clock.

    Refused ones count at Kite too. What was withheld never left; an intent may have, and is counted.
    """
    return sum(
        1 for order in orders if day_of(order.created_ns) == day and order.status is not OrderStatus.WITHHELD
    )
