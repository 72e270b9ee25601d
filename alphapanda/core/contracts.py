"""What the symbol of a derivative says: its underlying, its kind, its strike, and when it expires.

NIFTY26DECFUT and RELIANCE26DEC1400CE name a month; NIFTY26D0124000CE names the day itself: year, month as one
character (1 to 9, O, N, D), day. The day's instrument list knows better and wins where there is one.
"""

import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache

from msgspec import Struct

from alphapanda.core.segments import Segment, segment_of
from alphapanda.events import Instrument, Money

INDICES = frozenset(
    ("NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "NIFTYNXT50", "SENSEX", "BANKEX", "SENSEX50")
)
"""Underlyings that are an index. Any other underlying of an equity derivative is a share."""

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH_CODES = "123456789OND"
_END = r"(?P<end>FUT|\d+(\.\d+)?(CE|PE))"
_MONTHLY = re.compile(rf"(?P<name>.+?)(?P<year>\d\d)(?P<month>{'|'.join(_MONTHS)}){_END}")
_WEEKLY = re.compile(rf"(?P<name>[A-Z]+)(?P<year>\d\d)(?P<month>[{_MONTH_CODES}])(?P<day>\d\d){_END}")

_STRIKE = re.compile(r"\D\d{2}(?:[A-Z]{3}|[1-9OND]\d{2})(\d+(?:\.\d+)?)(?:CE|PE)$")
"""After the year and the month or day, whatever the underlying is called."""
_LAST_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\D*$")
_LETTERS = re.compile(r"\D+")

_TUESDAY, _THURSDAY = 1, 3
_TUESDAYS_FROM = date(2025, 9, 1)
"""Since then NSE's contracts end on the last Tuesday of a month and BSE's on the last Thursday."""
_ONE_DAY_FROM = date(2025, 1, 1)
"""Before, each NSE index had a weekday of its own; only NIFTY and the shares kept to Thursday."""


class Contract(Struct, frozen=True):
    """A derivative as its symbol has it. `day` is there when the symbol names one."""

    underlying: str
    year: int
    month: int
    day: int | None
    option: bool

    @property
    def of_index(self) -> bool:
        return self.underlying in INDICES


@lru_cache(maxsize=4096)
def contract_of(symbol: str) -> Contract | None:
    """None when `symbol` does not read as a derivative."""
    if found := _MONTHLY.fullmatch(symbol):
        month, day = _MONTHS.index(found["month"]) + 1, None
    elif found := _WEEKLY.fullmatch(symbol):
        month, day = _MONTH_CODES.index(found["month"]) + 1, int(found["day"])
        if not 1 <= day <= _last_of(2000 + int(found["year"]), month).day:
            return None
    else:
        return None
    return Contract(found["name"], 2000 + int(found["year"]), month, day, found["end"] != "FUT")


@lru_cache(maxsize=4096)
def strike_of(symbol: str) -> Money | None:
    """The strike in an option's symbol: after its date, or else its last number. None without a number."""
    found = _STRIKE.search(symbol) or _LAST_NUMBER.search(symbol)
    return Money(found[1]) if found else None


def underlying_of(instrument: Instrument) -> str:
    """What the instrument list says, else the symbol as a contract, else the letters that it begins with."""
    if instrument.name:
        return instrument.name
    contract = contract_of(instrument.tradingsymbol)
    if contract is not None:
        return contract.underlying
    letters = _LETTERS.match(instrument.tradingsymbol)
    return letters[0] if letters else instrument.tradingsymbol


def expiry_of(instrument: Instrument, is_open: Callable[[date], bool]) -> date | None:
    """Its last day: what the instrument list says, else what the symbol says with the exchange's rule.

    `is_open` tells trading days: a contract whose day is a holiday ends on the trading day before. None where
    neither tells: shares, currencies and commodities by month, and indices whose weekday was their own then.
    """
    if instrument.expiry is not None:
        return instrument.expiry
    if segment_of(instrument) not in (Segment.FUTURES, Segment.OPTIONS):
        return None
    contract = contract_of(instrument.tradingsymbol)
    if contract is None:
        return None
    if contract.day is not None:
        return date(contract.year, contract.month, contract.day)
    return _monthly(instrument.exchange, contract, is_open)


def is_of_index(instrument: Instrument) -> bool:
    return underlying_of(instrument) in INDICES


def _monthly(exchange: str, contract: Contract, is_open: Callable[[date], bool]) -> date | None:
    last = _last_of(contract.year, contract.month)
    bombay = exchange == "BFO"
    if last >= _TUESDAYS_FROM:
        weekday = _THURSDAY if bombay else _TUESDAY
    elif bombay or (last < _ONE_DAY_FROM and contract.of_index and contract.underlying != "NIFTY"):
        return None
    else:
        weekday = _THURSDAY
    day = last - timedelta(days=(last.weekday() - weekday) % 7)
    for _ in range(7):
        if is_open(day):
            break
        day -= timedelta(days=1)
    return day


def _last_of(year: int, month: int) -> date:
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
