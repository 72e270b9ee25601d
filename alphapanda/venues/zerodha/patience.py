"""How long the ticker waits for what, and how long it pauses before it tries again."""

import random
from heapq import nsmallest

from msgspec import Struct


class Patience(Struct, frozen=True, kw_only=True):
    """Seconds, of the monotonic clock."""

    silence_s: float = 5.0
    """Without any frame a connection is dead: Kite sends a heartbeat every couple of seconds."""
    tick_s: float = 5.0
    """After a connect each instrument has ticked by then, or REST is asked for its price."""
    open_s: float = 7.0
    """For TCP, TLS and the handshake together."""
    first_s: float = 0.1
    longest_s: float = 30.0
    hurried_s: float = 0.5
    """The longest pause after a connection that had ticks: Kite was there a moment ago."""
    settled_s: float = 10.0
    """A connection that had ticks for so long is forgiven all earlier ones."""
    asked_s: float = 300.0
    """An instrument that stays silent is asked for less and less often, but at least so often."""


USUAL = Patience()


class BackOff:
    """Pauses that double, with jitter, so that connections lost together do not come back in one moment."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._lost = 0
        """Connections that had ticks, and were lost before they had settled."""
        self._refused = 0
        """Attempts in a row that brought no tick. Only these make a pause long."""

    def pause(self, ticked_s: float | None) -> float:
        """Seconds to wait; `ticked_s` is how long the last connection had ticks, None when it never had."""
        patience = self._patience
        if ticked_s is None:
            doubled, ceiling = self._refused, patience.longest_s
            self._refused += 1
        else:
            self._refused = 0
            doubled, ceiling = (0 if ticked_s >= patience.settled_s else self._lost), patience.hurried_s
            self._lost = doubled + 1
        longest = min(ceiling, patience.first_s * 2 ** min(doubled, 30))
        return random.uniform(longest / 2, longest)  # noqa: S311 - jitter, not a secret


class Askings:
    """Which silent instruments are to be asked for now: each of them less often every time."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._next: dict[int, tuple[float, float]] = {}
        """Token -> when it may be asked for again, and how long it waits after that."""

    def due(self, silent: set[int], now_s: float, most: int) -> list[int]:
        """At most so many of the silent, those that waited longest first. They count as asked for.

        What is silent no more is forgotten: should it fall silent again, it is asked for at once.
        """
        self._next = {token: known for token, known in self._next.items() if token in silent}
        may = [token for token in silent if self._next.get(token, (0.0, 0.0))[0] <= now_s]
        asked = nsmallest(most, may, key=lambda token: (self._next.get(token, (0.0, 0.0))[0], token))
        for token in asked:
            _, wait_s = self._next.get(token, (0.0, self._patience.tick_s))
            self._next[token] = (now_s + wait_s, min(2 * wait_s, self._patience.asked_s))
        return asked
