"""The exchange's own time: it starts where the session does, and runs at any speed, or in steps.

The wall clock is handed in (monotonic nanoseconds); this file has none.
"""

from alphapanda.times import SECOND_NS

MAX = 0
"""The speed at which time jumps from one thing that is due to the next."""
SLOWEST, FASTEST = 0.001, 1_000_000.0
"""Any other speed is between these, in exchange seconds a second: beyond them nothing can be measured."""


class Clock:
    """`speed` is exchange seconds in a wall second; `MAX` has no wall time at all."""

    def __init__(self, starts_ns: int, *, speed: float = 1.0) -> None:
        self._exchange_ns = starts_ns
        self._wall_ns: int | None = None
        self._speed = speed
        self._paused = False
        self._known_ns = starts_ns

    @property
    def now_ns(self) -> int:
        """The exchange time of what is happening: that of the last thing done."""
        return self._known_ns

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def at_max(self) -> bool:
        return self._speed == MAX and not self._paused

    def reaches(self, wall_ns: int) -> int:
        """The exchange time of this wall moment. At MAX it is where the clock stands: it is only walked."""
        if self._wall_ns is None:
            self._wall_ns = wall_ns
        if self._paused or self._speed == MAX:
            return self._exchange_ns
        return self._exchange_ns + int((wall_ns - self._wall_ns) * self._speed)

    def moved(self, time_ns: int) -> None:
        """Something happens at this exchange time; it never runs back."""
        self._known_ns = max(self._known_ns, time_ns)
        if self._paused or self._speed == MAX:
            self._exchange_ns = self._known_ns

    def wall_of(self, time_ns: int) -> int | None:
        """When this exchange time comes on the wall clock; None when nobody knows."""
        if self._paused or self._speed == MAX or self._wall_ns is None:
            return None
        return self._wall_ns + int((time_ns - self._exchange_ns) / self._speed)

    def waits(self, wall_seconds: float) -> int:
        """Nanoseconds of exchange time that pass in so many seconds on the wall; as many where it stands."""
        factor = 1.0 if self._paused or self._speed == MAX else self._speed
        return int(wall_seconds * SECOND_NS * factor)

    def pause(self, wall_ns: int) -> None:
        self._hold(wall_ns)
        self._paused = True

    def resume(self, wall_ns: int) -> None:
        self._hold(wall_ns)
        self._paused = False

    def set_speed(self, speed: float, wall_ns: int) -> None:
        self._hold(wall_ns)
        self._speed = speed

    def slip(self, wall_ns: int) -> int:
        """What is due cannot be done in time, which goes on from what has happened; the nanoseconds lost."""
        lost_ns = self.reaches(wall_ns) - self._known_ns
        self._exchange_ns, self._wall_ns = self._known_ns, wall_ns
        return lost_ns

    def _hold(self, wall_ns: int) -> None:
        """From here on time is counted anew."""
        self._exchange_ns = max(self._known_ns, self.reaches(wall_ns))
        self._known_ns = self._exchange_ns
        self._wall_ns = max(wall_ns, self._wall_ns or wall_ns)
