"""How long a strategy may think: one call over 250 ms, or three over 50 ms within a minute, and it is taken
out. Every other stage waits for it meanwhile.

The clock is another's: a stopwatch comes in, and says as well how much of a call's time was its own.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

MS_NS = 1_000_000
LONGEST_NS = 250 * MS_NS
LONG_NS = 50 * MS_NS
LONG_CALLS = 3
WITHIN_NS = 60_000 * MS_NS
Timing = tuple[Callable[[], int], Callable[[], int], int]
"""`begin`, `now_ns` and `look_ns`."""
UNTIMED: Timing = (int, int, 0)
"""Where no call is timed: a backtest."""


class Stopwatch(Protocol):
    """Times are nanoseconds of one clock that never goes back."""

    def now_ns(self) -> int:
        """Called once a call of a strategy: it must be quick."""

    def begin(self) -> int:
        """The time now, before the calls of one event."""

    def own_ns(self, began_ns: int, ended_ns: int) -> int:
        """How much of that time the call took itself: neither the machine nor others kept it waiting."""


class Overruns:
    """What the calls of all strategies took. The shorter limit is for a `live` feed, which does not wait."""

    def __init__(self, stopwatch: Stopwatch, *, live: bool) -> None:
        self.now_ns = stopwatch.now_ns
        self.begin = stopwatch.begin
        self.look_ns = LONG_NS if live else LONGEST_NS
        """A call that took no longer is none of ours."""
        self.timing: Timing = (self.begin, self.now_ns, self.look_ns)
        """For a loop over many calls, where each look at an attribute would tell."""
        self._stopwatch = stopwatch
        self._long: dict[str, deque[int]] = {}
        """When the latest long calls of each strategy ended."""

    def overran(self, strategy_id: str, began_ns: int, ended_ns: int) -> str:
        """Why it is to be taken out; "" if it may go on."""
        took_ns = self._stopwatch.own_ns(began_ns, ended_ns)
        if took_ns > LONGEST_NS:
            return f"a call took {took_ns / MS_NS:.0f} ms, the limit is {LONGEST_NS // MS_NS} ms"
        if took_ns <= self.look_ns:
            return ""
        calls = self._long.setdefault(strategy_id, deque(maxlen=LONG_CALLS))
        calls.append(ended_ns)
        if len(calls) < LONG_CALLS or ended_ns - calls[0] > WITHIN_NS:
            return ""
        calls.clear()
        limit = f"{LONG_CALLS} calls over {LONG_NS // MS_NS} ms within a minute"
        return f"{limit}, the last took {took_ns / MS_NS:.0f} ms"
