"""Where a price goes: from day to day, and through a day minute by minute. What is traded follows a course.

A course is counted in its own ticks. A day's open, high, low and close are drawn first; the minutes then lead
from the open to one extreme, to the other, and to the close, never beyond the extremes. So a day of years
ago costs no more than one draw, and its minutes agree with it.
"""

from collections.abc import Callable
from typing import NamedTuple

from alphapanda.exchange.market.chance import noise, root_of, stream

STEP = 256
"""Parts of a tick in which a course is walked."""


class Day(NamedTuple):
    """A day's prices, in ticks of the course."""

    open: int
    high: int
    low: int
    close: int


class Minute(NamedTuple):
    """A minute's prices, and the day's high, low and usual price as they were when it began."""

    open: int
    high: int
    low: int
    close: int
    high_before: int
    low_before: int
    usual_before: int


class Course:
    """`close` is that of the day before `starts`, in ticks; `volatility` the usual move of a day, in basis
    points; `minutes` says how long the session of a day is, 0 when there is none.
    """

    def __init__(
        self, name: str, close: int, volatility: int, *, seed: int, starts: int, minutes: Callable[[int], int]
    ) -> None:
        self.volatility = volatility
        self._root = root_of(seed, name)
        self._starts = starts
        self.minutes = minutes
        self._closes = {starts - 1: close}
        self._first = self._last = starts - 1
        self._walked: Walked | None = None

    def close(self, day: int) -> int:
        """The close of `day`, or of the last session before it."""
        while self._last < day:
            self._last += 1
            self._closes[self._last] = self._moved(self._closes[self._last - 1], self._last, 1)
        while self._first > day:
            self._closes[self._first - 1] = self._moved(self._closes[self._first], self._first, -1)
            self._first -= 1
        return self._closes[day]

    def _moved(self, price: int, day: int, way: int) -> int:
        """The price one session later, or one earlier."""
        if not self.minutes(day):
            return price
        return max(1, price + way * price * self.volatility * noise(stream(self._root + day)) // 2_560_000)

    def day(self, day: int) -> Day:
        """Of a day without a session it is the close before, four times."""
        before, after = self.close(day - 1), self.close(day)
        if not self.minutes(day):
            return Day(before, before, before, before)
        chance = stream(self._root + day + (1 << 24))
        part = before * self.volatility // 10_000
        opens = max(1, before + part * noise(chance) // 1024)
        high = max(opens, after) + part * abs(noise(chance)) // 512
        low = min(opens, after) - part * abs(noise(chance)) // 512
        return Day(opens, high, max(1, low), after)

    def minute(self, day: int, minute: int) -> Minute:
        """What follows a course asks for the same minutes at the same time, so the walk is shared."""
        walked = self._walked
        if walked is None or walked.day != day or minute < walked.minute - 1:
            walked = self._walked = self.walk(day)
        return walked.at(minute)

    def walk(self, day: int) -> "Walked":
        """A walk of one's own through a day."""
        return Walked(day, self.day(day), max(1, self.minutes(day)), self.volatility, self._root + day)


class Walked:
    """A walk through the minutes of a day. It knows the minute where it is and the one before."""

    def __init__(self, number: int, day: Day, minutes: int, volatility: int, root: int) -> None:
        chance = stream(root + (2 << 24))
        self.day = number
        self.minute = -1
        self._minutes = minutes
        self._low, self._high = day.low * STEP, day.high * STEP
        up = bool(chance.getrandbits(1))
        turn = minutes * (16 + chance.getrandbits(7)) // 256
        back = min(minutes - 2, turn + 1 + (minutes - turn) * chance.getrandbits(7) // 160)
        first, second = (self._high, self._low) if up else (self._low, self._high)
        self._turns = [(turn, first), (back, second), (minutes - 1, day.close * STEP)]
        self._at = day.open * STEP
        self._amplitude = day.open * STEP * volatility // 315_000
        self._bits = chance.randbytes(4 * minutes)
        self._sum = 0
        flat = Minute(day.open, day.open, day.open, day.open, day.open, day.open, day.open)
        self._now = self._before = flat

    def at(self, minute: int) -> Minute:
        """A minute: where the walk is, the one before, or a later one. After the last the price stands."""
        while self.minute < minute and self.minute < self._minutes - 1:
            self._step()
        if minute == self.minute - 1:
            return self._before
        if minute > self.minute:
            return self._stands()
        return self._now

    def _stands(self) -> Minute:
        last = self._now
        price = last.close
        return Minute(price, price, price, price, *self._so_far())

    def _so_far(self) -> tuple[int, int, int]:
        """The day's high, low and usual price at the end of the minute where the walk is."""
        last = self._now
        if self.minute < 0:
            return last.open, last.open, last.open
        return (
            max(last.high_before, last.high),
            min(last.low_before, last.low),
            self._sum // (4 * (self.minute + 1)),
        )

    def _step(self) -> None:
        before = self._so_far()
        number = self.minute + 1
        while number > self._turns[0][0]:
            self._turns.pop(0)
        end, target = self._turns[0]
        at, amplitude = self._at, self._amplitude
        first, second, above, below = self._bits[4 * number : 4 * number + 4]
        moved = at + (target - at) // (end - number + 1)
        if number < end:
            moved += amplitude * (first + second - 255) // 64
        moved = min(max(moved, self._low), self._high)
        top, bottom = max(at, moved), min(at, moved)
        high = min(self._high, top + (amplitude * above >> 8))
        low = max(self._low, bottom - (amplitude * below >> 8))
        self._at = moved
        opens, closes = at // STEP, moved // STEP
        high, low = max(high // STEP, opens, closes), min(-(-low // STEP), opens, closes)
        self._before = self._now
        self._now = Minute(opens, high, low, closes, *before)
        self._sum += opens + high + low + closes
        self.minute = number
