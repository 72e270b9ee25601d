"""What an instrument shows at a moment: its last trade, its day, and five levels of its order book."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, NamedTuple

from alphapanda.events import Money
from alphapanda.exchange.market.depth import Side
from alphapanda.kite.encode import Level, full_packet, index_packet, pack_depth, pack_figures
from alphapanda.kite.layout import is_index

_NAMES = (
    *("token", "divisor", "last", "last_quantity", "average", "volume", "buy", "sell"),
    *("open", "high", "low", "close", "last_trade_s", "oi", "oi_high", "oi_low", "time_s"),
)
_FIGURES = attrgetter(*(name for name in _NAMES if name != "divisor"))
"""The figures of a full packet, in its order."""
_PLACES = {100: -2, 10_000: -4, 10_000_000: -7}


def money(units: int, divisor: int = 100) -> Money:
    """Wire units as exact rupees."""
    return Money(units).scaleb(_PLACES[divisor])


class Book(NamedTuple):
    """Five levels a side as they are kept until somebody looks at them: their best prices, the price from one
    level to the next, and the circuit limits beyond which nobody waits.
    """

    bid: int
    ask: int
    gap: int
    buy: Side
    sell: Side
    lower: int
    upper: int

    def bids(self) -> list[Level]:
        return [level for level in _ladder(self.buy, self.bid, -self.gap) if level[1] >= self.lower]

    def asks(self) -> list[Level]:
        return [level for level in _ladder(self.sell, self.ask, self.gap) if level[1] <= self.upper]

    def packed(self) -> bytes | None:
        """What a packet has of it; None where a limit leaves levels out."""
        bid, ask, gap, buy, sell, lower, upper = self
        if bid - 4 * gap < lower or ask + 4 * gap > upper:
            return None
        # Spelt out because the exchange makes 36,000 of them a second.
        many_1, few_1, many_2, few_2, many_3, few_3, many_4, few_4, many_5, few_5 = buy.levels
        more_1, less_1, more_2, less_2, more_3, less_3, more_4, less_4, more_5, less_5 = sell.levels
        return pack_depth(
            *(many_1, bid, few_1, many_2, bid - gap, few_2, many_3, bid - 2 * gap, few_3),
            *(many_4, bid - 3 * gap, few_4, many_5, bid - 4 * gap, few_5),
            *(more_1, ask, less_1, more_2, ask + gap, less_2, more_3, ask + 2 * gap, less_3),
            *(more_4, ask + 3 * gap, less_4, more_5, ask + 4 * gap, less_5),
        )


def _ladder(side: Side, price: int, gap: int) -> Iterator[Level]:
    """A side's levels from the best price on."""
    numbers = iter(side.levels)
    for many, few in zip(numbers, numbers, strict=True):
        yield many, price, few
        price += gap


class Quote:
    """Prices are whole numbers in wire units: rupees x `divisor`. Quantities are the instrument's units.

    It is brought up to date in place, so who wants to keep one copies it with `but()`. `bids` and `asks` are
    best first, at most five, and empty for an index. Times are seconds since 1970. `encoded` is the packet
    once somebody has asked for it.
    """

    __slots__ = (*_NAMES, "_asks", "_bids", "book", "encoded")

    token: int
    divisor: int
    last: int
    last_quantity: int
    average: int
    volume: int
    buy: int
    sell: int
    open: int
    high: int
    low: int
    close: int
    last_trade_s: int
    oi: int
    oi_high: int
    oi_low: int
    time_s: int

    def __init__(
        self,
        *,
        token: int,
        divisor: int,
        bids: list[Level] | None = None,
        asks: list[Level] | None = None,
        **values: int,
    ) -> None:
        for name in _NAMES:
            setattr(self, name, 0)
        self.book: Book | None = None
        """What `bids` and `asks` are made of; it counts until they are set themselves."""
        self.encoded: bytes | None = None
        self._bids, self._asks = bids or [], asks or []
        self.token, self.divisor = token, divisor
        for name, value in values.items():
            setattr(self, name, value)

    @property
    def bids(self) -> list[Level]:
        return self._bids if self.book is None else self.book.bids()

    @bids.setter
    def bids(self, levels: list[Level]) -> None:
        self._bids, self._asks, self.book = levels, self.asks, None

    @property
    def asks(self) -> list[Level]:
        return self._asks if self.book is None else self.book.asks()

    @asks.setter
    def asks(self, levels: list[Level]) -> None:
        self._bids, self._asks, self.book = self.bids, levels, None

    def packet(self) -> bytes:
        """The full packet, or that of an index. Its first bytes are its ltp and its quote form."""
        if self.encoded is None:
            self.encoded = self._encode()
        return self.encoded

    def money(self, units: int) -> Money:
        """Wire units as exact rupees."""
        return money(units, self.divisor)

    def rupees(self, units: int) -> float:
        """Wire units as the number that JSON shows."""
        return units / self.divisor

    def but(self, **changes: Any) -> "Quote":
        """A copy with other values, and no packet yet."""
        kept: dict[str, Any] = {name: getattr(self, name) for name in _NAMES}
        return Quote(**{**kept, "bids": self.bids, "asks": self.asks, **changes})

    def __eq__(self, other: object) -> bool:
        return self.figures() == other.figures() if isinstance(other, Quote) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Quote({self.figures()})"

    def figures(self) -> dict[str, Any]:
        """All that it shows, by name."""
        return {name: getattr(self, name) for name in _NAMES} | {"bids": self.bids, "asks": self.asks}

    def _encode(self) -> bytes:
        if is_index(self.token):
            change = self.last - self.close
            return index_packet(
                self.token, self.last, self.high, self.low, self.open, self.close, change, self.time_s
            )
        depth = None if self.book is None else self.book.packed()
        if depth is None:
            sides: tuple[Any, ...] = (self.bids, self.asks)
            return full_packet(*_FIGURES(self), *sides)
        return pack_figures(*_FIGURES(self)) + depth


class Bar(NamedTuple):
    """Prices in wire units, the bar's own volume in units of the instrument, the open interest at its end."""

    start_ns: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    oi: int
