"""How much of a day's volume is traded by when: much at the open, little at noon, much at the close."""

from functools import cache

_LUNCH, _EDGE = 100, 320
"""What a minute is worth at the quietest time, and what it has more at the open and the close."""


@cache
def weights(minutes: int) -> tuple[int, ...]:
    """The parts of a day's volume traded before each minute, and at last the whole of it."""
    total, before = 0, [0]
    quiet = minutes * 58 // 100
    for minute in range(minutes):
        far = quiet - minute if minute < quiet else minute - quiet
        most = max(1, quiet if minute < quiet else minutes - quiet)
        total += _LUNCH + _EDGE * far * far // (most * most)
        before.append(total)
    return tuple(before)


class Turnover:
    """`total` is the day's; `bits` has a random byte for each minute."""

    def __init__(self, total: int, minutes: int, bits: bytes) -> None:
        self._total = total
        self._minutes = minutes
        self._bits = bits
        self._weights = weights(minutes)

    def before(self, minute: int) -> int:
        """Traded before this minute; at least one in the first, where anything is traded."""
        parts = self._weights
        if minute <= 0 or not self._total:
            return 0
        done = parts[minute] if minute < self._minutes else parts[-1]
        if minute < self._minutes:
            done += (parts[minute + 1] - done) * self._bits[minute] >> 8
        return 1 + self._total * done // parts[-1]
