"""The market's clock: what Kite's own timestamps say, and between them the speed of time.

Deadlines never look at it. It decides what time it is for sessions, windows and rows, so it may not go back,
and one packet of nonsense may not send it into another year.
"""

from collections.abc import Callable

from alphapanda.times import SECOND_NS

FAR_S = 60
"""A sighting that is further ahead is believed when the next one is as late: a speed, a pause or a suspended
machine brings many such, a spoilt packet one.
"""
BEYOND_S = 86_400
"""What is further ahead of the machine's clock than this is never believed where that clock is known, however
often it comes: one instrument or one row with a nonsensical time says it again and again.
"""
SKEW_WINDOW_NS = 60 * SECOND_NS


class MarketClock:
    """`monotonic_ns` is the speed of time. With `wall_ns` it starts at the wall clock and knows the skew;
    without, which is against an exchange on this machine, it stands at 0 until the first sighting.
    """

    def __init__(self, monotonic_ns: Callable[[], int], wall_ns: Callable[[], int] | None = None) -> None:
        self._monotonic_ns = monotonic_ns
        self._wall_ns = wall_ns
        self._base_ns: int | None = None
        """The market's time when the monotonic clock said 0."""
        self._newest_ns = 0
        self._far_s: int | None = None
        self._skews: tuple[int | None, int | None] = (None, None)
        """Exchange minus wall, the largest of this window and of the one before."""
        self._window = 0
        if wall_ns is not None:
            self._base_ns = wall_ns() - monotonic_ns()

    @property
    def started(self) -> bool:
        """It knows what time it is."""
        return self._base_ns is not None

    def now_ns(self) -> int:
        """Nanoseconds since 1970 (UTC); never less than it said before."""
        if self._base_ns is not None:
            self._newest_ns = max(self._newest_ns, self._base_ns + self._monotonic_ns())
        return self._newest_ns

    def saw(self, exchange_s: int, *, sure: bool = False) -> None:
        """A timestamp of the exchange, in seconds since 1970 (UTC); 0 is none. Old ones change nothing.

        `sure`: it is believed however far ahead it is.
        """
        if exchange_s <= 0:
            return
        seen_ns = exchange_s * SECOND_NS
        if not sure and self._base_ns is not None and seen_ns > self.now_ns() + FAR_S * SECOND_NS:
            confirmed = self._far_s is not None and exchange_s >= self._far_s - FAR_S
            if self._wall_ns is not None and seen_ns > self._wall_ns() + BEYOND_S * SECOND_NS:
                return
            # Of two that are far ahead the lesser is the one that both have seen.
            lesser_s = exchange_s if self._far_s is None else min(exchange_s, self._far_s)
            self._far_s = exchange_s
            if not confirmed:
                return
            seen_ns = lesser_s * SECOND_NS
        else:
            self._far_s = None
        self._note_skew(seen_ns)
        if self._base_ns is None or seen_ns > self.now_ns():
            self._base_ns = seen_ns - self._monotonic_ns()

    @property
    def skew_s(self) -> float | None:
        """How far Kite's time is ahead of this machine's, by the best sighting of the last minute or two.

        Timestamps are whole seconds and come late: 0 to -2 is agreement. None where it is not known.
        """
        known = [skew for skew in self._skews if skew is not None]
        return max(known) / SECOND_NS if known else None

    def _note_skew(self, seen_ns: int) -> None:
        if self._wall_ns is None:
            return
        skew, window = seen_ns - self._wall_ns(), self._monotonic_ns() // SKEW_WINDOW_NS
        now, before = self._skews
        if window != self._window:
            now, before = None, (now if window == self._window + 1 else None)
            self._window = window
        self._skews = (skew if now is None else max(now, skew), before)
