"""The day's instrument list of a broker, as it was read, checked and kept."""

from datetime import date

from msgspec import Struct

from alphapanda.events.market import Instrument, Money

INDEX = "INDEX"
"""Instrument type of what is quoted and not traded."""
INDICES = "INDICES"
"""Kite's segment of those."""


class ListedRow(Struct, frozen=True, gc=False):
    """One row of the list. `tick_size` and `strike` in rupees; an index has no tick and no lot: both are 0.

    `derivatives`: whether there are futures on this share; None for others, and where the list has none.
    """

    exchange: str
    tradingsymbol: str
    instrument_token: int
    exchange_token: int
    name: str
    expiry: date | None
    strike: Money
    tick_size: Money
    lot_size: int
    instrument_type: str
    segment: str
    derivatives: bool | None = None

    @property
    def key(self) -> str:
        return f"{self.exchange}:{self.tradingsymbol}"

    def instrument(self, day: date) -> Instrument:
        """As the list of `day` has it. A share's `name` is its company: no underlying."""
        plain = self.segment == INDICES
        of_contract = self.expiry is not None
        return Instrument(
            instrument_token=self.instrument_token,
            exchange=self.exchange,
            tradingsymbol=self.tradingsymbol,
            tick_size=Money("0.05") if plain else self.tick_size,
            lot_size=1 if plain else self.lot_size,
            instrument_type=INDEX if plain else self.instrument_type,
            name=self.name if of_contract else "",
            expiry=self.expiry,
            listed_on=day,
            derivatives=self.derivatives,
        )


class Dump(Struct, frozen=True):
    """A whole list that passed its checks. `sha256` (hex) and `size` (bytes) are of what the broker sent.

    `set_aside` are rows that were not taken, each with the reason: they cannot be traded on that day.
    """

    day: date
    rows: tuple[ListedRow, ...]
    size: int
    sha256: str
    set_aside: tuple[str, ...] = ()


class KnownDump(Struct, frozen=True):
    """What is kept of a list beside its rows. `segments`: how many rows each had. `rehearsal`: it came from
    an exchange on this machine. `synced_ns` is the wall clock's time.
    """

    day: date
    rehearsal: bool
    rows: int
    size: int
    sha256: str
    synced_ns: int
    segments: dict[str, int]
