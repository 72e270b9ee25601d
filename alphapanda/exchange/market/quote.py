"""What an instrument shows at a moment: its last trade, its day, and five levels of its order book."""

from typing import Any, NamedTuple

from alphapanda.events import Money
from alphapanda.exchange.market.depth import Side
from alphapanda.kite.encode import full_packet, index_packet
from alphapanda.kite.layout import is_index

Level = tuple[int, int, int]
"""(quantity, price, orders); the price in wire units."""
_NAMES = (
    *("token", "divisor", "last", "last_quantity", "average", "volume", "buy", "sell"),
    *("open", "high", "low", "close", "last_trade_s", "oi", "oi_high", "oi_low", "time_s"),
)
_PLACES = {100: -2, 10_000: -4, 10_000_000: -7}


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
        price, gap, lower = self.bid, self.gap, self.lower
        many_1, few_1, many_2, few_2, many_3, few_3, many_4, few_4, many_5, few_5 = self.buy.levels
        levels = [
            (many_1, price, few_1),
            (many_2, price - gap, few_2),
            (many_3, price - 2 * gap, few_3),
            (many_4, price - 3 * gap, few_4),
            (many_5, price - 4 * gap, few_5),
        ]
        return levels if price - 4 * gap >= lower else [level for level in levels if level[1] >= lower]

    def asks(self) -> list[Level]:
        price, gap, upper = self.ask, self.gap, self.upper
        many_1, few_1, many_2, few_2, many_3, few_3, many_4, few_4, many_5, few_5 = self.sell.levels
        levels = [
            (many_1, price, few_1),
            (many_2, price + gap, few_2),
            (many_3, price + 2 * gap, few_3),
            (many_4, price + 3 * gap, few_4),
            (many_5, price + 4 * gap, few_5),
        ]
        return levels if price + 4 * gap <= upper else [level for level in levels if level[1] <= upper]


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
        return Money(units).scaleb(_PLACES[self.divisor])

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
        return full_packet(
            self.token,
            self.last,
            self.last_quantity,
            self.average,
            self.volume,
            self.buy,
            self.sell,
            self.open,
            self.high,
            self.low,
            self.close,
            self.last_trade_s,
            self.oi,
            self.oi_high,
            self.oi_low,
            self.time_s,
            self.bids,
            self.asks,
        )


class Bar(NamedTuple):
    """Prices in wire units, the bar's own volume in units of the instrument, the open interest at its end."""

    start_ns: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    oi: int
