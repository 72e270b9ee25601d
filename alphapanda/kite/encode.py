"""Kite's packets and frames from whole numbers: what the exchange sends, and what tests are made of.

Prices are in units (`layout.divisor_of` a rupee), times in seconds since 1970 (UTC). A value that does not
fit its field raises `struct.error`: nothing is cut or wrapped.
"""

from collections.abc import Sequence
from itertools import chain
from struct import Struct, error

from alphapanda.kite.layout import LEVELS, NO_LEVEL

HEARTBEAT = b"\x00"
"""One byte, every second or two when there is nothing to say; its value means nothing."""

Level = tuple[int, int, int]
"""Quantity, price, orders: as they stand on the wire."""

pack_figures = Struct(">16I").pack
"""What a full packet begins with: its sixteen figures, in the order of `full_packet`."""
pack_depth = Struct(">" + 2 * LEVELS * "IIH2x").pack
"""What it ends with: quantity, price and orders of five bids and then of five asks, thirty numbers."""
_INDEX = Struct(">6IiI")
_U16 = Struct(">H")


def full_packet(
    token: int,
    last: int,
    last_quantity: int,
    average: int,
    volume: int,
    buy: int,
    sell: int,
    open: int,  # noqa: A002 - its name on the wire
    high: int,
    low: int,
    close: int,
    last_trade_s: int,
    oi: int,
    oi_high: int,
    oi_low: int,
    time_s: int,
    bids: Sequence[Level],
    asks: Sequence[Level],
) -> bytes:
    """184 bytes; its first 44 are the quote form, its first 8 the ltp form. At most five levels a side."""
    figures = pack_figures(
        token,
        last,
        last_quantity,
        average,
        volume,
        buy,
        sell,
        open,
        high,
        low,
        close,
        last_trade_s,
        oi,
        oi_high,
        oi_low,
        time_s,
    )
    return figures + pack_depth(*chain.from_iterable((*_five(bids), *_five(asks))))


def _five(levels: Sequence[Level]) -> Sequence[Level]:
    if len(levels) > LEVELS:
        raise error(f"{len(levels)} levels of depth do not fit")
    return [*levels, *[NO_LEVEL] * (LEVELS - len(levels))]


def index_packet(
    token: int,
    last: int,
    high: int,
    low: int,
    open: int,  # noqa: A002 - its name on the wire
    close: int,
    change: int,
    time_s: int,
) -> bytes:
    """32 bytes; its first 28 are the quote form, its first 8 the ltp form. Only `change` may be negative."""
    return _INDEX.pack(token, last, high, low, open, close, change, time_s)


def frame(packets: Sequence[bytes]) -> bytes:
    """The packets behind their count, each behind its length. At most 65,535 packets."""
    u16 = _U16.pack
    parts = [u16(len(packets))]
    for packet in packets:
        parts.append(u16(len(packet)))
        parts.append(packet)
    return b"".join(parts)
