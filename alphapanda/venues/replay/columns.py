"""What the columns of a file mean: a header becomes a `Layout` of indexes, or an error says what is missing.

Names count in any order and case. Time, prices and instrument have several names each; the first found wins.
"""

from collections.abc import Sequence

from msgspec import Struct

from alphapanda.errors import DataError

TIMES = ("timestamp", "datetime")
TICKS = ("last_price", "ltp", "price")
BARS = ("open", "high", "low", "close")
SYMBOLS = ("symbol", "tradingsymbol", "code")
NEEDED = (
    "a time (timestamp, datetime, date, or date and time), then last_price, ltp or price for ticks, "
    "or open, high, low and close for bars"
)


class Layout(Struct, frozen=True):
    """Where a row keeps what. `clock` is the time of day beside a date; one price is a tick, four a bar."""

    names: tuple[str, ...]
    time: int
    clock: int | None
    prices: tuple[int, ...]
    volume: int | None
    symbol: int | None
    exchange: int | None
    token: int | None

    @property
    def is_bar(self) -> bool:
        return len(self.prices) == 4

    @property
    def width(self) -> int:
        return len(self.names)

    @property
    def instrument(self) -> tuple[int, ...]:
        """The columns that tell which instrument a row is of; none when the file's name does."""
        columns = (self.symbol, self.exchange if self.symbol is not None else None, self.token)
        return tuple(column for column in columns if column is not None)

    @property
    def used(self) -> tuple[int, ...]:
        single = (self.time, self.clock, self.volume)
        return (*(column for column in single if column is not None), *self.prices, *self.instrument)


def plain(header: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in header)


def is_header(cells: Sequence[str]) -> bool:
    """A first row that names a time column is a header; no data row does."""
    return bool({*TIMES, "date"} & set(plain(cells)))


def find_columns(header: Sequence[str], where: str) -> Layout:
    """`where` is the file, and the line if there is one, for messages."""
    names = plain(header)
    time, clock = _time_columns(names)
    prices = _price_columns(names)
    if time is None or not prices:
        missing = "no time column" if time is None else "no price columns"
        raise DataError(
            f"{where}: {missing}. Found: {', '.join(map(repr, header))}. Needed: {NEEDED}. "
            "A file without a header needs --columns, such as --columns timestamp,ltp,volume"
        )
    _refuse_twins(names, where)
    symbol = _first(names, SYMBOLS)
    volume, exchange, token = (_first(names, (name,)) for name in ("volume", "exchange", "instrument_token"))
    return Layout(names, time, clock, prices, volume, symbol, exchange, token)


def _refuse_twins(names: tuple[str, ...], where: str) -> None:
    twins = sorted({name for name in names if name and names.count(name) > 1})
    if twins:
        raise DataError(f"{where}: the column {twins[0]!r} occurs twice: rename or remove one of them")


def _first(names: tuple[str, ...], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _time_columns(names: tuple[str, ...]) -> tuple[int | None, int | None]:
    whole = _first(names, TIMES)
    if whole is not None:
        return whole, None
    return _first(names, ("date",)), _first(names, ("time",))


def _price_columns(names: tuple[str, ...]) -> tuple[int, ...]:
    tick = _first(names, TICKS)
    if tick is not None:
        return (tick,)
    return tuple(names.index(name) for name in BARS) if set(BARS) <= set(names) else ()
