"""The last prices that risk has seen. Ticks come by the thousand: they are kept as they are, and looked into
only where something is decided upon.
"""

from math import inf

from msgspec import Struct

from alphapanda.core.money import exact
from alphapanda.core.trust import Trust
from alphapanda.events import MarketTick, Money, TickBatch


class Mark(Struct, frozen=True):
    """The last price risk has seen of an instrument, and when; the rest is known only while it is watched.

    `before` is the price ahead of this one, `changed_ns` when the price last was another.
    """

    price: float
    time_ns: int
    tick: MarketTick | None = None
    before: float | None = None
    changed_ns: int | None = None


class Marks:
    """`watching` is True while a rule asks how prices have moved: only then is more kept than the last."""

    def __init__(self) -> None:
        self.ticks: dict[int, MarketTick] = {}
        """The last of each instrument that had a price."""
        self.trust = Trust()
        self._seen_ns: dict[int, int] = {}
        self._moves: dict[int, tuple[float, int]] = {}
        self._exact: dict[int, tuple[float, Money]] = {}
        self._watching = False

    @property
    def watching(self) -> bool:
        return self._watching

    @watching.setter
    def watching(self, on: bool) -> None:
        """What was seen before a pause says nothing of how long a price has stood: it is forgotten."""
        if not on:
            self._moves.clear()
        self._watching = on

    def take(self, batch: TickBatch) -> None:
        time_ns, ticks, seen_ns = batch.time_ns, self.ticks, self._seen_ns
        if self.trust.watched or batch.lost is not None:
            batch = self.trust.take(batch, ticks)
        if self._watching:
            self._watch(batch)
        for tick in batch.ticks:
            if 0.0 < tick.last_price < inf:
                token = tick.instrument_token
                ticks[token] = tick
                seen_ns[token] = time_ns

    def _watch(self, batch: TickBatch) -> None:
        last: dict[int, float] = {}
        for tick in batch.ticks:
            token, price = tick.instrument_token, tick.last_price
            if not 0.0 < price < inf:
                continue
            known = self.ticks.get(token)
            before = last.get(token, known.last_price if known is not None else None)
            moved = self._moves.get(token)
            changed_ns = batch.time_ns if moved is None or price != before else moved[1]
            self._moves[token] = (price if before is None else before, changed_ns)
            last[token] = price

    def mark(self, token: int) -> Mark | None:
        tick = self.ticks.get(token)
        if tick is None:
            return None
        before, changed_ns = self._moves.get(token, (None, None)) if self._watching else (None, None)
        return Mark(tick.last_price, self._seen_ns[token], tick, before, changed_ns)

    def oldest_ns(self) -> int | None:
        """When the price came that has been the last of its instrument for longest; None before the first."""
        return min(self._seen_ns.values(), default=None)

    def price(self, token: int) -> Money | None:
        """The last price, exact. Kept until another comes: many verdicts ask for the same."""
        tick = self.ticks.get(token)
        if tick is None:
            return None
        last = tick.last_price
        known = self._exact.get(token)
        if known is not None and known[0] == last:
            return known[1]
        price = exact(last)
        self._exact[token] = (last, price)
        return price
