"""What is to happen at which exchange time. Two things of one moment happen in the order they were set."""

from collections.abc import Callable
from heapq import heappop, heappush

Happening = Callable[[int], None]
"""It is told the exchange time at which it happens."""


class Schedule:
    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Happening]] = []
        self._set = 0

    def at(self, time_ns: int, happening: Happening) -> None:
        self._set += 1
        heappush(self._heap, (time_ns, self._set, happening))

    @property
    def next_ns(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def run(self, until_ns: int) -> bool:
        """One thing that is due by `until_ns`; False when there is none."""
        if not self._heap or self._heap[0][0] > until_ns:
            return False
        time_ns, _, happening = heappop(self._heap)
        happening(time_ns)
        return True
