"""Which market segment an instrument belongs to: what charges, margins and session times differ by.

By the exchange, and for derivatives by the day's instrument list or else the symbol's ending (NIFTY26DECFUT,
NIFTY26D0124000CE). A share whose symbol is that of a fund unit (…BEES, …ETF) counts as a fund.
"""

from enum import StrEnum
from functools import lru_cache

from alphapanda.events import MIS, Instrument


class Segment(StrEnum):
    EQUITY = "equity"
    ETF = "etf"
    FUTURES = "futures"
    OPTIONS = "options"
    CURRENCY_FUTURES = "currency_futures"
    CURRENCY_OPTIONS = "currency_options"
    COMMODITY_FUTURES = "commodity_futures"
    COMMODITY_OPTIONS = "commodity_options"

    @property
    def derivative(self) -> bool:
        return self not in (Segment.EQUITY, Segment.ETF)

    @property
    def option(self) -> bool:
        return self in (Segment.OPTIONS, Segment.CURRENCY_OPTIONS, Segment.COMMODITY_OPTIONS)


class Trade(StrEnum):
    """Whether a product is squared off on the day; what is not is delivered or carried."""

    DELIVERY = "delivery"
    INTRADAY = "intraday"


def trade_of(product: str) -> Trade:
    return Trade.INTRADAY if product in _INTRADAY else Trade.DELIVERY


_INTRADAY = frozenset({MIS, "CO", "BO"})
_DERIVATIVES = {
    "NFO": (Segment.FUTURES, Segment.OPTIONS),
    "BFO": (Segment.FUTURES, Segment.OPTIONS),
    "CDS": (Segment.CURRENCY_FUTURES, Segment.CURRENCY_OPTIONS),
    "BCD": (Segment.CURRENCY_FUTURES, Segment.CURRENCY_OPTIONS),
    "MCX": (Segment.COMMODITY_FUTURES, Segment.COMMODITY_OPTIONS),
    "NCO": (Segment.COMMODITY_FUTURES, Segment.COMMODITY_OPTIONS),
}
_OPTIONS = ("CE", "PE")
_FUNDS = ("BEES", "ETF")


def segment_of(instrument: Instrument) -> Segment:
    return _segment(instrument.exchange, instrument.tradingsymbol, instrument.instrument_type)


@lru_cache(maxsize=4096)
def _segment(exchange: str, symbol: str, kind: str) -> Segment:
    pair = _DERIVATIVES.get(exchange.upper())
    if pair is None:
        return Segment.ETF if symbol.upper().endswith(_FUNDS) else Segment.EQUITY
    futures, options = pair
    return options if (kind or symbol[-2:]).upper() in _OPTIONS else futures
