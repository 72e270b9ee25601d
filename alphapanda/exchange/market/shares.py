"""The shares, funds and indices that are listed when no data are given.

Names and tokens are real; closes are near the levels of April 2026, and invented. The twenty names and
closes of a demo's session are those of `venues.simulated.listing`, so that both show the same market.
"""

from collections.abc import Iterator
from typing import NamedTuple

from alphapanda.events import Instrument
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.market.day import Manner
from alphapanda.exchange.market.following import Proportion
from alphapanda.exchange.market.given import CourseGiven, Given, segment_token
from alphapanda.exchange.market.quote import money
from alphapanda.venues.simulated.listing import BUILT_IN, listing_of, tick_of

TICKS = (0, 60, 40, 20, 10)
"""Ticks a minute, by grade."""
WIDE = (0, 1, 1, 3, 5)
SHARE_MOVES, FUND_MOVES, INDEX_MOVES, FEAR_MOVES = 130, 80, 80, 450
"""Usual moves of a day, in basis points."""
_QUEUES_A_DAY = 600
"""A day's volume is so many times what waits at a price."""


class Company(NamedTuple):
    """What is the same on both exchanges. `lot` is the lot of its derivatives, 0 where there are none."""

    scrip: int
    title: str
    isin: str
    lot: int


COMPANIES = {
    "RELIANCE": Company(500325, "RELIANCE INDUSTRIES", "INE002A01018", 500),
    "HDFCBANK": Company(500180, "HDFC BANK", "INE040A01034", 550),
    "ICICIBANK": Company(532174, "ICICI BANK", "INE090A01021", 700),
    "INFY": Company(500209, "INFOSYS", "INE009A01021", 400),
    "TCS": Company(532540, "TATA CONSULTANCY SERV LT", "INE467B01029", 175),
    "SBIN": Company(500112, "STATE BANK OF INDIA", "INE062A01020", 750),
    "BHARTIARTL": Company(532454, "BHARTI AIRTEL", "INE397D01024", 475),
    "ITC": Company(500875, "ITC", "INE154A01025", 1600),
    "LT": Company(500510, "LARSEN & TOUBRO", "INE018A01030", 175),
    "AXISBANK": Company(532215, "AXIS BANK", "INE238A01034", 625),
    "KOTAKBANK": Company(500247, "KOTAK MAHINDRA BANK", "INE237A01036", 2000),
    "BAJFINANCE": Company(500034, "BAJAJ FINANCE", "INE296A01032", 750),
    "HINDUNILVR": Company(500696, "HINDUSTAN UNILEVER", "INE030A01027", 300),
    "MARUTI": Company(532500, "MARUTI SUZUKI INDIA", "INE585B01010", 50),
    "SUNPHARMA": Company(524715, "SUN PHARMACEUTICAL IND L", "INE044A01036", 350),
    "TATASTEEL": Company(500470, "TATA STEEL", "INE081A01020", 5500),
    "NTPC": Company(532555, "NTPC", "INE733E01010", 1500),
    "TITAN": Company(500114, "TITAN COMPANY", "INE280A01028", 175),
    "M&M": Company(500520, "MAHINDRA & MAHINDRA", "INE101A01026", 200),
    "ETERNAL": Company(543320, "ETERNAL", "INE758T01015", 2425),
}
"""The names of the demo, by symbol."""


class Plain(NamedTuple):
    """A share or fund without derivatives. `close` in paise, `volume` a usual day's."""

    symbol: str
    exchange_token: int
    title: str
    isin: str
    close: int
    volume: int
    fund: bool = False


PLAIN = (
    Plain("RPOWER", 15259, "RELIANCE POWER", "INE614G01033", 36_42, 30_000_000),
    Plain("TRIDENT", 9685, "TRIDENT", "INE064C01022", 26_87, 9_000_000),
    Plain("SOUTHBANK", 5948, "SOUTH INDIAN BANK", "INE683A01023", 38_15, 14_000_000),
    Plain("UCOBANK", 11223, "UCO BANK", "INE691A01018", 29_60, 8_000_000),
    Plain("CENTRALBK", 14894, "CENTRAL BANK OF INDIA", "INE483A01010", 37_33, 4_000_000),
    Plain("IOB", 9348, "INDIAN OVERSEAS BANK", "INE565A01014", 36_08, 5_000_000),
    Plain("MRPL", 2283, "MRPL", "INE103A01014", 152_40, 2_500_000),
    Plain("RCF", 2866, "RASHTRIYA CHEMICALS", "INE027A01015", 141_75, 1_500_000),
    Plain("NIFTYBEES", 10576, "NIP IND ETF NIFTY BEES", "INF204KB14I2", 272_34, 6_000_000, fund=True),
    Plain("GOLDBEES", 14428, "NIP IND ETF GOLD BEES", "INF204KB17I5", 121_80, 9_000_000, fund=True),
    Plain("LIQUIDBEES", 11006, "NIP IND ETF LIQUID BEES", "INF732E01037", 1_000_00, 2_000_000, fund=True),
)


class Index(NamedTuple):
    """`close` in paise."""

    symbol: str
    exchange: str
    exchange_token: int
    close: int
    moves: int = INDEX_MOVES


INDICES = (
    Index("NIFTY 50", "NSE", 1001, 24_213_60),
    Index("NIFTY BANK", "NSE", 1016, 56_042_35),
    Index("NIFTY FIN SERVICE", "NSE", 1007, 26_318_90),
    Index("INDIA VIX", "NSE", 1035, 14_62, FEAR_MOVES),
    Index("SENSEX", "BSE", 1, 78_106_20),
    Index("BANKEX", "BSE", 1072, 63_480_75),
)
INDEX_UNIT = 5
"""Indices move by 5 paise here; Kite's list gives them no tick."""


def nse_shares() -> Iterator[tuple[CourseGiven, Given]]:
    """The twenty names, with derivatives."""
    for key in BUILT_IN:
        found = listing_of(key)
        symbol = found.instrument.tradingsymbol
        company = COMPANIES[symbol]
        listed = Listed(
            Instrument(found.token, "NSE", symbol, money(found.tick), 1, "EQ"),
            found.token >> 8,
            "NSE",
            money(found.close),
            isin=company.isin,
            title=company.title,
        )
        manner = Manner(
            volume=found.volume,
            queue=found.volume // _QUEUES_A_DAY,
            ticks=TICKS[found.grade],
            wide=WIDE[found.grade],
            band=100,
        )
        yield _own(listed, found.close, found.tick, SHARE_MOVES, manner)


def bse_shares() -> Iterator[Given]:
    """The same names on BSE, at NSE's prices in BSE's ticks, with a tenth of the trade."""
    for key in BUILT_IN:
        found = listing_of(key)
        symbol = found.instrument.tradingsymbol
        company = COMPANIES[symbol]
        unit = 1 if found.close < 250_00 else 5
        following = Proportion(found.tick, unit)
        close = following.on(0)(found.close // found.tick) * unit
        token = company.scrip << 8 | 4
        volume = found.volume // 10
        listed = Listed(
            Instrument(token, "BSE", symbol, money(unit), 1, "EQ"),
            company.scrip,
            "BSE",
            money(close),
            isin=company.isin,
            title=company.title,
        )
        manner = Manner(
            volume=volume,
            queue=1 + volume // _QUEUES_A_DAY,
            ticks=TICKS[min(4, found.grade + 1)],
            wide=4,
            band=100,
        )
        yield Given(listed=listed, course=key, following=following, manner=manner, unit=unit)


def plain_shares() -> Iterator[tuple[CourseGiven, Given]]:
    for plain in PLAIN:
        tick = 1 if plain.fund else tick_of(plain.close)
        token = plain.exchange_token << 8 | 1
        listed = Listed(
            Instrument(token, "NSE", plain.symbol, money(tick), 1, "EQ"),
            plain.exchange_token,
            "NSE",
            money(plain.close),
            isin=plain.isin,
            title=plain.title,
        )
        manner = Manner(volume=plain.volume, queue=plain.volume // _QUEUES_A_DAY, ticks=20, wide=3, band=200)
        yield _own(listed, plain.close, tick, FUND_MOVES if plain.fund else SHARE_MOVES, manner)


def indices() -> Iterator[tuple[CourseGiven, Given]]:
    for index in INDICES:
        token = index.exchange_token << 8 | 9
        listed = Listed(
            Instrument(token, index.exchange, index.symbol, money(INDEX_UNIT), 1, "EQ", index.symbol),
            index.exchange_token,
            "INDICES",
            money(index.close // INDEX_UNIT * INDEX_UNIT),
        )
        yield _own(listed, index.close, INDEX_UNIT, index.moves, Manner(volume=0, queue=1, ticks=60))


def invented_shares(taken: set[int], wanted: int) -> Iterator[tuple[CourseGiven, Given]]:
    """So many names that no exchange has, for load: NSE:INVENTED00001 and so on."""
    number = 0
    while wanted > 0:
        number += 1
        key = f"NSE:INVENTED{number:05}"
        token = segment_token(key, "nse")
        if token in taken:
            continue
        taken.add(token)
        wanted -= 1
        found = listing_of(key)
        symbol = found.instrument.tradingsymbol
        listed = Listed(
            Instrument(token, "NSE", symbol, money(found.tick), 1, "EQ"),
            token >> 8,
            "NSE",
            money(found.close),
            isin=f"INX{number:06}014",
            title=f"INVENTED {number}",
        )
        manner = Manner(
            volume=found.volume,
            queue=1 << (found.volume // _QUEUES_A_DAY).bit_length(),
            ticks=TICKS[found.grade],
            wide=WIDE[found.grade],
        )
        yield _own(listed, found.close, found.tick, SHARE_MOVES, manner)


def _own(listed: Listed, close: int, unit: int, moves: int, manner: Manner) -> tuple[CourseGiven, Given]:
    """An instrument that has a course of its own, in its own ticks."""
    course = CourseGiven(
        name=listed.key, close=close // unit, unit=unit, volatility=moves, hours_of=listed.key
    )
    return course, Given(listed=listed, course=listed.key, following=Proportion(), manner=manner, unit=unit)
