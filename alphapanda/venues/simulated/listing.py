"""What is listed: real NSE names with their Kite tokens, and invented particulars for any other name.

Closing prices are invented, near the levels of 2026. They belong to the names, not to the seed.
"""

from hashlib import sha256

from msgspec import Struct

from alphapanda.events import Instrument, Money
from alphapanda.venues.instruments import split_key, stable_token

TICK_BANDS = ((250_00, 1), (1_000_00, 5), (5_000_00, 10), (10_000_00, 50), (20_000_00, 100))
DEAREST_TICK = 500
"""Tick sizes of the NSE cash market by price, all in paise: below 250 rupees 1 paisa, up to 1,000 rupees
5 paise, and so on (NSE circulars of 24 May 2024 and 13 March 2025, in force from 15 April 2025)."""


class Listing(Struct, frozen=True):
    """One name. `close` is yesterday's, in paise; `beta` how much of an index move it shares.

    `volume` is a usual day's, in shares; `grade` is 1 for the most traded names, 4 for the least.
    """

    key: str
    token: int
    close: int
    beta: float
    volume: int
    grade: int

    @property
    def tick(self) -> int:
        """Tick size, in paise."""
        return tick_of(self.close)

    @property
    def instrument(self) -> Instrument:
        exchange, symbol = split_key(self.key)
        return Instrument(self.token, exchange, symbol, Money(self.tick).scaleb(-2), 1)


def tick_of(price: int) -> int:
    """The tick size of a share at `price`; both in paise."""
    if price < TICK_BANDS[0][0]:
        return TICK_BANDS[0][1]
    return next((tick for top, tick in TICK_BANDS[1:] if price <= top), DEAREST_TICK)


_TABLE = (
    Listing("NSE:RELIANCE", 738561, 1352_40, 1.05, 11_000_000, 1),
    Listing("NSE:HDFCBANK", 341249, 812_35, 1.00, 22_000_000, 1),
    Listing("NSE:ICICIBANK", 1270529, 1396_80, 1.05, 10_500_000, 1),
    Listing("NSE:INFY", 408065, 1318_60, 0.90, 8_200_000, 1),
    Listing("NSE:TCS", 2953217, 2486_30, 0.75, 3_100_000, 1),
    Listing("NSE:SBIN", 779521, 1038_70, 1.15, 9_400_000, 1),
    Listing("NSE:BHARTIARTL", 2714625, 1897_50, 0.80, 5_600_000, 1),
    Listing("NSE:ITC", 424961, 304_15, 0.55, 16_000_000, 2),
    Listing("NSE:LT", 2939649, 3846_20, 1.10, 2_300_000, 2),
    Listing("NSE:AXISBANK", 1510401, 1287_90, 1.20, 7_100_000, 1),
    Listing("NSE:KOTAKBANK", 492033, 391_55, 0.90, 9_800_000, 2),
    Listing("NSE:BAJFINANCE", 81153, 946_80, 1.30, 6_400_000, 2),
    Listing("NSE:HINDUNILVR", 356865, 2214_40, 0.45, 1_700_000, 2),
    Listing("NSE:MARUTI", 2815745, 13642_00, 0.85, 420_000, 3),
    Listing("NSE:SUNPHARMA", 857857, 1762_10, 0.60, 2_400_000, 2),
    Listing("NSE:TATASTEEL", 895745, 188_46, 1.35, 28_000_000, 2),
    Listing("NSE:NTPC", 2977281, 346_25, 0.95, 12_500_000, 2),
    Listing("NSE:TITAN", 897537, 4318_70, 0.95, 900_000, 3),
    Listing("NSE:M&M", 519937, 3174_60, 1.15, 2_600_000, 2),
    Listing("NSE:ETERNAL", 1304833, 271_90, 1.25, 34_000_000, 2),
)
_LISTED = {listing.key: listing for listing in _TABLE}

BUILT_IN = tuple(_LISTED)
"""The names that have prices when the configuration names none."""


def listing_of(key: str) -> Listing:
    """The particulars of `EXCHANGE:SYMBOL`: the table's, or such as its name alone decides."""
    key = ":".join(split_key(key.strip().upper()))
    return _LISTED.get(key) or _invented(key)


def instrument_of(key: str) -> Instrument:
    """`EXCHANGE:SYMBOL` as a simulated session lists it."""
    return listing_of(key).instrument


def _invented(key: str) -> Listing:
    """A price between 20 and 20,000 rupees, as often below 200 as above 2,000, and little turnover."""
    bits = int.from_bytes(sha256(key.encode()).digest()[:16], "big")
    rupees = (20, 200, 2000)[bits % 3]
    close = rupees * (100 + (bits >> 8) % 900)
    tick = tick_of(close)
    turnover = 20_000_000_00 * (1 + (bits >> 24) % 50)  # paise a day: 2 to 100 crore rupees
    return Listing(
        key=key,
        token=stable_token(key),
        close=close // tick * tick,
        beta=(50 + (bits >> 32) % 90) / 100,
        volume=turnover // close,
        grade=3 + (bits >> 40) % 2,
    )
