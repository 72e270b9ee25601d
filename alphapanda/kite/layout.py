"""The shapes of Kite's packets and what an instrument token says of its segment.

A frame is a count (16 bits) and so many packets, each behind its length (16 bits); everything is big-endian.
A packet's length alone tells its form. Prices are whole numbers: rupees times the divisor of the segment,
which is the lowest byte of the token. (Kite Connect documentation, "WebSocket streaming"; kiteconnect 5.2.2,
`KiteTicker.EXCHANGE_MAP` and `_parse_binary`.)
"""

LTP, INDEX_QUOTE, INDEX_FULL, QUOTE, FULL = 8, 28, 32, 44, 184
"""Bytes of a packet without its length. The first 8 of each are its ltp form, the first 44 (of an index 28)
its quote form; an index in ltp mode is 8 bytes like any other.
"""
LEVELS = 5
"""Prices on each side of the depth: bids first, the best first."""
NO_LEVEL = (0, 0, 0)

SEGMENTS = {
    "nse": 1,
    "nfo": 2,
    "cds": 3,
    "bse": 4,
    "bfo": 5,
    "bcd": 6,
    "mcx": 7,
    "mcxsx": 8,
    "indices": 9,
    "nco": 12,
}
"""Segment -> the lowest byte of its tokens."""
INDICES = SEGMENTS["indices"]

_SPECIAL = {SEGMENTS["cds"]: 10_000_000, SEGMENTS["bcd"]: 10_000, SEGMENTS["nco"]: 10_000}
DIVISORS = tuple(_SPECIAL.get(segment, 100) for segment in range(256))
"""Segment -> what a rupee is in its prices."""


def divisor_of(token: int) -> int:
    """Units a rupee in this instrument's prices."""
    return DIVISORS[token & 0xFF]


def is_index(token: int) -> bool:
    """An index cannot be traded, and its packets have their own forms."""
    return token & 0xFF == INDICES
