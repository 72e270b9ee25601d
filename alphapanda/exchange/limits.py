"""Kite's limits on the rate of calls (Kite Connect documentation, "Exceptions and errors").

They count by the machine's clock at any speed of the exchange: calls in a calendar second (forum, comment
52125), orders in the sixty seconds before, which is the stricter reading of "a minute". Only the orders of a
day are counted by the exchange's day. A refused order counts towards its minute and its day too, as users of
Kite found (forum, discussion 7679), but for those that the minute itself refuses: else who tries again at
once would be shut out for good.
"""

from collections import deque

from alphapanda.exchange.calls import Call, Refusal
from alphapanda.times import MINUTE_NS, SECOND_NS, day_of

PER_SECOND = {"quote": 1, "historical": 3, "order": 10, "other": 10}
"""Calls a second by the bucket of their route."""
ORDERS_PER_MINUTE = 400
"""Placed, modified and cancelled."""
ORDERS_PER_DAY = 5_000
"""Placed; each leg of an iceberg is one."""
TOO_MANY = "Too many requests"
TOO_MANY_ORDERS = "Maximum allowed order requests exceeded."


class Window:
    """Counts what falls into the same second or day."""

    def __init__(self) -> None:
        self._period = -1
        self._count = 0

    def add(self, period: int, weight: int = 1) -> int:
        """The count of this period with this call; another period begins at 0."""
        if period != self._period:
            self._period, self._count = period, 0
        self._count += weight
        return self._count


class Sliding:
    """Takes `most` in the minute that ends now; what it does not take it does not count."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: deque[int] = deque()

    def takes(self, wall_ns: int) -> bool:
        while self._times and self._times[0] <= wall_ns - MINUTE_NS:
            self._times.popleft()
        if len(self._times) == self._most:
            return False
        self._times.append(wall_ns)
        return True


class RateLimits:
    """One user and one application: every limit of Kite, by application or by account, is one count here."""

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._seconds = {bucket: Window() for bucket in PER_SECOND}
        self._minute, self._day = Sliding(ORDERS_PER_MINUTE), Window()

    def take(self, bucket: str, call: Call) -> None:
        """Count this call; a Refusal 429 when it is one too many."""
        if not self._enabled:
            return
        calm = self._seconds[bucket].add(call.wall_ns // SECOND_NS) <= PER_SECOND[bucket]
        if bucket == "order":
            self._take_order(call)
        if not calm:
            raise Refusal(429, "NetworkException", TOO_MANY)

    def _take_order(self, call: Call) -> None:
        taken = self._minute.takes(call.wall_ns)
        placed = _orders(call) if call.kind == "order.place" else 0
        day = self._day.add(day_of(call.now_ns), placed)
        if not taken or (placed and day > ORDERS_PER_DAY):
            raise Refusal(429, "NetworkException", TOO_MANY_ORDERS)


def _orders(call: Call) -> int:
    """How many orders a placement is."""
    legs = call.fields.get("iceberg_legs", "") if call.path.get("variety") == "iceberg" else ""
    return int(legs) if legs.isascii() and legs.isdecimal() and 0 < len(legs) < 4 else 1
