"""Price files as they are listed: every row of a session is kept, 24 bytes a tick and 49 a bar.

Rows outside the continuous session of their instrument are left out: nothing is traded then. A bar is named
by its start, as Kite's candles are, and what it holds comes to pass within its own time, as four ticks.
"""

from array import array
from bisect import bisect_right
from collections import ChainMap
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from msgspec.structs import replace

from alphapanda.core.contracts import contract_of, strike_of
from alphapanda.errors import DataError
from alphapanda.events import Instrument, MarketTick, Money
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.market.given import segment_token
from alphapanda.exchange.market.hours import Hours
from alphapanda.exchange.market.quote import money
from alphapanda.exchange.options import Options
from alphapanda.kite.layout import SEGMENTS, divisor_of
from alphapanda.times import DAY_NS, MINUTE_NS, SECOND_NS, day_of
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay import DataSet

_COARSE = {100: 5, 10_000: 25, 10_000_000: 25_000}
"""By divisor, in wire units: the tick where every price is a multiple of it. Elsewhere it is one unit."""
_ENDS = ("FUT", "CE", "PE")
MOST_UNITS = 4_000_000_000
"""The highest price, in wire units, and volume: their fields on the wire have 32 bits."""


class Tick(NamedTuple):
    """One trade or more at `price`. `volume` is the day's so far, or where it is `part` of a bar its own.

    `offered` tells whether it was at the offer or at the bid; None where nobody knows.
    """

    time_ns: int
    price: int
    volume: int
    part: bool = False
    offered: bool | None = None


class Rows:
    """One instrument's rows in the order of their times. Prices are in wire units.

    `opens`, `highs` and `lows` are those of bars; a tick's are its price. `bars` tells which are bars.
    """

    def __init__(self, listed: Listed) -> None:
        self.listed = listed
        self.times = array("q")
        self.opens = self.highs = self.lows = self.prices = array("q")
        self.volumes = array("q")
        self.bars = bytearray()
        self._divisor = divisor_of(listed.token)
        self._minute: tuple[int, int] = (0, 0)
        self._apart = DAY_NS
        """The smallest time from a row to a bar on the same day."""

    def add(self, time_ns: int, tick: MarketTick, hours: Hours) -> None:
        """Keep the row if it lies in a session."""
        opens, closes = self._minute
        if not opens <= time_ns < closes:
            minutes = hours.minutes(self.listed, day_of(time_ns))
            opens = minutes[max(0, bisect_right(minutes, time_ns) - 1)] if minutes else 0
            if not opens <= time_ns < opens + MINUTE_NS:
                return
            self._minute = opens, opens + MINUTE_NS
        if tick.bar and self.opens is self.prices:
            self.opens, self.highs, self.lows = self.prices[:], self.prices[:], self.prices[:]
        if tick.bar and self.times:
            apart = time_ns - self.times[-1]
            if 0 < apart < self._apart and day_of(time_ns) == day_of(self.times[-1]):
                self._apart = apart
        self.times.append(time_ns)
        self.volumes.append(min(tick.volume, MOST_UNITS))
        self.bars.append(tick.bar)
        price = self._units(tick.last_price)
        self.prices.append(price)
        if self.opens is not self.prices:
            first, high, low = (tick.open, tick.high, tick.low) if tick.bar else (tick.last_price,) * 3
            self.opens.append(self._units(first))
            self.highs.append(max(self._units(high), price, self.opens[-1]))
            self.lows.append(min(self._units(low), price, self.opens[-1]))

    def _units(self, price: float) -> int:
        units = max(1, round(price * self._divisor))
        if units > MOST_UNITS:
            raise DataError(
                f"{self.listed.key}: a price of {price} does not fit Kite's packets, which hold "
                f"{MOST_UNITS // self._divisor} at most: correct the row"
            )
        return units

    def ticks(self, number: int, minutes: Sequence[int]) -> Iterator[Tick]:
        """What a row brings, in time; `minutes` are those of its day.

        A bar opens, has its low and its high, the high first where it closes below its open, and closes just
        before its end; a quarter of its volume, in whole lots, goes with each. At the low there were offers,
        at the high bids: an order at that very price has found them, as on paper.
        """
        time_ns, volume = self.times[number], self.volumes[number]
        opens, closes = self.opens[number], self.prices[number]
        if not self.bars[number]:
            yield Tick(time_ns, closes, volume)
            return
        length_ns = self.ends_ns(number, minutes) - time_ns
        lot = self.listed.instrument.lot_size
        quarter = volume // lot // 4 * lot
        extremes = [(self.lows[number], True), (self.highs[number], False)]
        if closes < opens:
            extremes.reverse()
        yield Tick(time_ns, opens, quarter, part=True)
        for quarters, (price, offered) in enumerate(extremes, 1):
            yield Tick(time_ns + length_ns * quarters // 4, price, quarter, part=True, offered=offered)
        at_ns = time_ns + length_ns - min(length_ns // 4, SECOND_NS)
        yield Tick(at_ns, closes, volume - 3 * quarter, part=True)

    def ends_ns(self, number: int, minutes: Sequence[int]) -> int:
        """When a bar is over: at the next row, and not after the session.

        Its length is the smallest time between two bars of a day, a minute where there are no two.
        """
        time_ns = self.times[number]
        ends_ns = time_ns + (MINUTE_NS if self._apart == DAY_NS else self._apart)
        if number + 1 < len(self.times):
            ends_ns = min(ends_ns, self.times[number + 1])
        return min(ends_ns, minutes[bisect_right(minutes, ends_ns - 1) - 1] + MINUTE_NS)

    @property
    def tick(self) -> int:
        """The price tick of its prices, in wire units."""
        coarse = _COARSE[self._divisor]
        different = {id(each): each for each in (self.opens, self.highs, self.lows, self.prices)}.values()
        return 1 if any(price % coarse for price in chain.from_iterable(different)) else coarse


def read_rows(options: Options, known: Iterable[Listed], hours: Hours) -> tuple[list[Rows], list[str]]:
    """The rows of the files by instrument, in the order in which they first come; `known` have their places.

    And what a person should hear of them. DataError when a file cannot be read, or no row lies in a session.
    """
    places = {each.key: each for each in known}
    book = InstrumentBook(each.instrument for each in places.values())
    data = DataSet(options.data, book, columns=options.columns, skip_bad_rows=options.skip_bad_rows)
    found: dict[int, Rows] = {}
    taken: dict[int, str] = {}
    spoken_for = ChainMap(taken, {each.token: each.key for each in places.values()})
    for batch in data.batches():
        for instrument in batch.listed:
            listed = _listed(instrument, places.get(instrument.key), hours, spoken_for)
            if taken.setdefault(listed.token, listed.key) != listed.key:
                raise DataError(
                    f"{taken[listed.token]} and {listed.key} have one instrument token: "
                    "give each its own in an instrument_token column"
                )
            found[instrument.instrument_token] = Rows(listed)
        for tick in batch.ticks:
            found[tick.instrument_token].add(batch.time_ns, tick, hours)
    kept = [rows for rows in found.values() if rows.times]
    if not kept:
        names = ", ".join(str(path) for path in data.files[:3])
        raise DataError(
            f"{names}: no row lies in a trading session, so the exchange cannot open: "
            f"check the times and the dates of the rows; sessions are known until {hours.known_until}"
        )
    unlisted = [rows.listed.key for rows in found.values() if not rows.times]
    return kept, [
        *data.warnings(),
        *(f"{key}: not listed, for none of its rows lies in a trading session" for key in unlisted),
    ]


def priced(rows: Rows) -> Listed:
    """The instrument with the tick and the close that its rows give it."""
    divisor = divisor_of(rows.listed.token)
    instrument = replace(rows.listed.instrument, tick_size=money(rows.tick, divisor))
    return replace(rows.listed, instrument=instrument, close=money(rows.opens[0], divisor))


def _listed(instrument: Instrument, known: Listed | None, hours: Hours, spoken_for: Container[int]) -> Listed:
    segment = instrument.exchange.lower()
    if known is not None and known.segment == "INDICES":
        segment = "indices"
    if segment not in SEGMENTS:
        raise DataError(
            f"{instrument.key}: {instrument.exchange} is not an exchange of Kite: "
            "name one such as NSE or NFO in the exchange column"
        )
    token = _token(instrument, known, segment, spoken_for)
    if known is not None:
        return replace(known, instrument=replace(known.instrument, instrument_token=token))
    kind = next((end for end in _ENDS if instrument.tradingsymbol.endswith(end)), "EQ")
    contract = contract_of(instrument.tradingsymbol) if segment not in ("nse", "bse") else None
    if contract is None:
        named = replace(instrument, instrument_token=token, instrument_type="EQ")
        return Listed(named, token >> 8, instrument.exchange, Money(0))
    named = replace(
        instrument,
        instrument_token=token,
        instrument_type=kind,
        name=contract.underlying,
        expiry=hours.expiry(instrument),
    )
    section = f"{instrument.exchange}-{'OPT' if contract.option else 'FUT'}"
    strike = strike_of(instrument.tradingsymbol) if contract.option else None
    return Listed(named, token >> 8, section, Money(0), strike=strike or Money(0))


def _token(instrument: Instrument, known: Listed | None, segment: str, spoken_for: Container[int]) -> int:
    """The file's own if its lowest byte is the segment's: else it would be read as one of another segment."""
    token = instrument.instrument_token
    if token & 0xFF == SEGMENTS[segment] and token < 1 << 32:
        return token
    if known is not None:
        return known.token
    name = instrument.key
    while (token := segment_token(name, segment)) in spoken_for:
        name += "'"
    return token
