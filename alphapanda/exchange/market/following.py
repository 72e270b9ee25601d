"""How a listed price follows its course: as it is, in proportion, or as an option on it.

A following is a function from the course's ticks to the instrument's own that never falls while the course
rises, or never rises: so the extremes of a minute or a day lead to the extremes of what follows.
"""

from collections.abc import Callable
from math import isqrt
from typing import Protocol

from msgspec import Struct

Function = Callable[[int], int]

_SPREAD = 64
"""Percent. A price (x + root(x² + 0.64 v²)) / 2 is near that of an option whose underlying usually moves v:
at the money it is 0.4 v, as it should be."""


class Following(Protocol):
    @property
    def falls(self) -> bool:
        """Whether it falls while the course rises."""
        ...

    def on(self, day: int) -> Function:
        """The function of that day."""
        ...


class Proportion(Struct, frozen=True):
    """`above` / `below` of the instrument's ticks for each of the course's."""

    above: int = 1
    below: int = 1

    @property
    def falls(self) -> bool:
        return False

    def on(self, day: int) -> Function:  # noqa: ARG002 - the same on every day
        above, below = self.above, self.below
        if above == below:
            return int
        return lambda price: max(1, (2 * price * above + below) // (2 * below))


class OptionOn(Struct, frozen=True, kw_only=True):
    """A premium. Prices are in wire units: `unit` is the course's tick, `tick` the option's own.

    `yearly` is how far the underlying usually moves in a year; `expires` the number of the last day.
    """

    strike: int
    put: bool
    unit: int
    tick: int
    yearly: int
    expires: int

    @property
    def falls(self) -> bool:
        return self.put

    def on(self, day: int) -> Function:
        strike, unit = self.strike, self.unit
        below = 2 * self.tick
        left = max(0, self.expires - day) + 1
        spread = self.yearly * self.yearly * left * _SPREAD // 36_500

        def call(price: int) -> int:
            far = price * unit - strike
            return max(1, (far + isqrt(far * far + spread)) // below)

        def put(price: int) -> int:
            far = strike - price * unit
            return max(1, (far + isqrt(far * far + spread)) // below)

        return put if self.put else call
