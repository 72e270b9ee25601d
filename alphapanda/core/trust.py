"""Whether the last price of an instrument can be believed: market-data reasonability (FIA), C19.

Only of a feed that can lose its prices: a live one says with every batch which instruments have none of its
connection (`TickBatch.lost`). A finite feed says nothing, and what its rows have is believed.
"""

from collections.abc import Iterable, Mapping
from math import inf

from msgspec import Struct

from alphapanda.events import MarketTick, TickBatch
from alphapanda.times import SECOND_NS

FAR = 5.0
"""No price goes to so many times what it was, or to that part of it, between two ticks."""
HELD_NS = 60 * SECOND_NS
"""A price that far away is believed after all once it has held for so long: a share was split, or an option
lives its last hour.
"""


class Doubt(Struct, frozen=True):
    """`price` is what held since then; 0 where it was none at all."""

    price: float
    since_ns: int
    why: str


class Trust:
    """Of every instrument. `watched` is True once a feed has said that it can lose its prices."""

    def __init__(self) -> None:
        self.watched = False
        self._unseen: set[int] = set()
        self._doubts: dict[int, Doubt] = {}

    @property
    def untrusted(self) -> set[int]:
        """The instruments that may not be entered for their prices' sake; a crossed book is not counted."""
        return self._unseen.union(self._doubts)

    def take(self, batch: TickBatch, last: Mapping[int, MarketTick]) -> TickBatch:
        """The batch without the prices that are not believed. `last` are the last that were, above 0."""
        doubts, unseen, odd = self._doubts, self._unseen, False
        if unseen:
            unseen.difference_update([tick.instrument_token for tick in batch.ticks])
        if doubts or not _usual(batch.ticks, last):
            for tick in batch.ticks:
                odd = self._look(tick, last.get(tick.instrument_token), batch.time_ns) or odd
        if batch.lost is not None:
            self.watched = True
            unseen.update(batch.lost)
        return _believed(batch, doubts) if odd else batch

    def _look(self, tick: MarketTick, known: MarketTick | None, now_ns: int) -> bool:
        """Is it doubted?"""
        token, price = tick.instrument_token, tick.last_price
        doubt = self._doubts.get(token)
        if not 0.0 < price < inf:  # NaN too
            why = f"its last tick had the price {price}"
            self._doubts[token] = Doubt(0.0, now_ns, why)
            return True
        usual = tick.close if known is None else known.last_price
        if not usual > 0 or _near(price, usual):
            self._doubts.pop(token, None)
            return False
        if doubt is None or not _near(price, doubt.price):
            why = f"its price went from {usual} to {price}, which is believed once it has held for a minute"
            self._doubts[token] = Doubt(price, now_ns, why)
            return True
        if now_ns - doubt.since_ns < HELD_NS:
            return True
        del self._doubts[token]
        return False

    def problem(self, token: int, tick: MarketTick | None) -> str | None:
        """Why its price is not believed. `tick` is the last that was."""
        if token in self._unseen:
            return "it has not ticked since its feed was connected"
        if (doubt := self._doubts.get(token)) is not None:
            return doubt.why
        return None if tick is None else _crossed(tick)


def _usual(ticks: Iterable[MarketTick], last: Mapping[int, MarketTick]) -> bool:
    """Has each instrument had a price before, and is it neither halved nor doubled? Nearly always."""
    try:
        for tick in ticks:
            if not 0.5 < tick.last_price / last[tick.instrument_token].last_price < 2.0:
                return False
    except KeyError:
        return False
    return True


def _near(price: float, other: float) -> bool:
    return other < price * FAR and price < other * FAR


def _believed(batch: TickBatch, doubts: Mapping[int, Doubt]) -> TickBatch:
    return TickBatch(
        time_ns=batch.time_ns,
        ticks=tuple(tick for tick in batch.ticks if tick.instrument_token not in doubts),
        row=batch.row,
        received_ns=batch.received_ns,
        listed=batch.listed,
    )


def _crossed(tick: MarketTick) -> str | None:
    """Such orders would have traded with each other."""
    depth = tick.depth
    if depth is None or not depth.buy or not depth.sell:
        return None
    bid, offer = depth.buy[0].price, depth.sell[0].price
    if bid > offer > 0:
        return f"its order book is crossed: bid {bid}, offer {offer}"
    return None
