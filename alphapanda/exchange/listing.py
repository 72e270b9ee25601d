"""What is listed: each instrument with its row of Kite's instrument list."""

from collections.abc import Iterable, Sequence
from datetime import date

from msgspec import Struct

from alphapanda.errors import DataError
from alphapanda.events import Instrument, Money

HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange"
)
IN_LOTS = ("CDS", "BCD", "MCX", "NCO")
"""Exchanges on which a quantity is a number of lots (Kite Connect documentation, orders)."""


class Listed(Struct, frozen=True):
    """One instrument. `segment` is Kite's word (NSE, NFO-OPT, INDICES); `close` yesterday's, in rupees.

    The instrument's own circuit limits are None here: they move, and are asked of the market.
    """

    instrument: Instrument
    exchange_token: int
    segment: str
    close: Money
    strike: Money = Money(0)
    isin: str = ""
    multiplier: int = 1
    """Units in a quantity of one: more than 1 where quantities are lots (CDS, BCD, MCX)."""
    title: str = ""
    """The company's name, which the list shows where there is no underlying."""

    @property
    def token(self) -> int:
        return self.instrument.instrument_token

    @property
    def key(self) -> str:
        return self.instrument.key

    @property
    def lot(self) -> int:
        """What quantities are multiples of."""
        return 1 if self.instrument.exchange in IN_LOTS else max(1, self.instrument.lot_size)

    @property
    def tradable(self) -> bool:
        """Indices are quoted, not traded."""
        return self.segment != "INDICES"

    @property
    def row(self) -> str:
        """Its line of the instrument list. The last price is always 0 there; an index has no tick or lot."""
        instrument = self.instrument
        tick, lot = (float(instrument.tick_size), instrument.lot_size) if self.tradable else (0.0, 0)
        return ",".join(
            (
                str(instrument.instrument_token),
                str(self.exchange_token),
                instrument.tradingsymbol,
                instrument.name or self.title,
                "0.0",
                instrument.expiry.isoformat() if instrument.expiry else "",
                str(float(self.strike)),
                str(tick),
                str(lot),
                instrument.instrument_type,
                self.segment,
                instrument.exchange,
            )
        )


class Listing:
    """Everything listed, in the order of the list. DataError when two have one token or one name."""

    def __init__(self, listed: Iterable[Listed]) -> None:
        self._all = tuple(listed)
        self._by_token = {each.token: each for each in self._all}
        self._by_key = {each.key: each for each in self._all}
        if not len(self._all) == len(self._by_token) == len(self._by_key):
            raise DataError("two of the listed instruments have one token or one name: list each once")

    def by_key(self, key: str) -> Listed | None:
        return self._by_key.get(key)

    def by_token(self, token: int) -> Listed | None:
        return self._by_token.get(token)

    def all(self) -> Sequence[Listed]:
        return self._all

    def on(self, day: date, exchange: str | None = None) -> Sequence[Listed]:
        """That day's list, of one exchange or of all: a contract leaves it the day after its last."""
        return [
            each
            for each in self._all
            if exchange in (None, each.instrument.exchange)
            and (each.instrument.expiry is None or each.instrument.expiry >= day)
        ]

    def csv(self, day: date, exchange: str | None = None) -> bytes:
        """Kite's instrument list of that day, of one exchange or of all."""
        return ("\n".join((HEADER, *(each.row for each in self.on(day, exchange)))) + "\n").encode()
