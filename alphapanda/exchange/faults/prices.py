"""Quotes that cannot be: frozen, crossed, zero, below zero, far away. Prices are whole, in wire units."""

from collections.abc import Sequence

from alphapanda.exchange.faults.fault import Fault
from alphapanda.exchange.faults.points import TICK
from alphapanda.exchange.market.quote import Quote
from alphapanda.kite.encode import Level
from alphapanda.kite.layout import FULL

LARGEST = 2**31 - 1
"""The highest price of the wire: signed 32 bits (Kite Connect documentation, "WebSocket")."""
DEPTH, LEVEL = 64, 12
LAST_AT, LEVEL_PRICE_AT = 4, 4
"""Where a packet has its depth and its last price, how long a level is and where its price, in bytes."""


class Prices:
    """It keeps what is frozen: by fault and instrument, the quote as it was when the fault first struck."""

    def __init__(self) -> None:
        self._frozen: dict[tuple[int, int], Quote] = {}

    def spoil(self, quote: Quote, fault: Fault, point: str) -> Quote:
        """The quote as the client is to see it; the one that came in stays as it is."""
        match fault.do:
            case "frozen":
                still = (fault.number, quote.token)
                if still not in self._frozen:
                    self._frozen[still] = quote.but(bids=list(quote.bids), asks=list(quote.asks))
                return self._frozen[still]
            case "crossed":
                return quote.but(bids=list(quote.asks), asks=list(quote.bids))
            case "negative":
                return _below_zero(quote) if point == TICK else _scaled(quote, -1.0)
            case _:
                return _scaled(quote, 0.0 if fault.do == "zero" else fault.factor)


def crossable(quote: Quote) -> bool:
    """An index has no book, and half a book does not cross."""
    return bool(quote.bids and quote.asks)


def _scaled(quote: Quote, factor: float) -> Quote:
    def price(units: int) -> int:
        return min(int(units * factor), LARGEST)

    def levels(side: Sequence[Level]) -> list[Level]:
        return [(quantity, price(units), orders) for quantity, units, orders in side]

    return quote.but(last=price(quote.last), bids=levels(quote.bids), asks=levels(quote.asks))


def _below_zero(quote: Quote) -> Quote:
    """Its packet has the prices in two's complement, which the official client reads as huge ones."""
    packet = bytearray(quote.packet())
    places = [LAST_AT]
    if len(packet) == FULL:
        places += range(DEPTH + LEVEL_PRICE_AT, FULL, LEVEL)
    for at in places:
        price = min(int.from_bytes(packet[at : at + 4], "big"), LARGEST)
        packet[at : at + 4] = (-price).to_bytes(4, "big", signed=True)
    spoilt = quote.but()
    spoilt.encoded = bytes(packet)
    return spoilt
