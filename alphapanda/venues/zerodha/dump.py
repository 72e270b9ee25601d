"""Kite's instrument list of the day: read, checked, and never taken when it is not whole or not today's.

Shape (kite.trade/docs/connect/v3/market-quotes): CSV with the columns of HEADER, about 86,000 rows; an index
(segment INDICES) has tick and lot 0. The list has no date of its own.
"""

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import InvalidOperation
from hashlib import sha256
from typing import Any, Protocol

from msgspec.structs import replace

from alphapanda.errors import Transient
from alphapanda.events import Dump, Instrument, KnownDump, ListedRow, Money
from alphapanda.events.listing import INDICES

HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange"
)
COLUMNS = HEADER.count(",") + 1
LEAST_ROWS = 20_000
"""Of all exchanges together. NFO alone has had more for years."""
KINDS = frozenset(("EQ", "FUT", "CE", "PE"))
MOST_TOKEN = 2**32 - 1
MOST = 10**12
"""No lot, strike or tick is larger, and none that is can be kept."""
SET_ASIDE, SHARE_SET_ASIDE = 10, 0.01
"""So many odd rows are left out one by one; with more, and a larger share, the list itself is bad."""
SEGMENT = 100
"""A segment that had so many rows must have half of them again."""
WITH_FUTURES = ("NFO", "BFO")
SHARES = ("NSE", "BSE")


class BadDump(Transient):
    """The list cannot be taken. The one that is kept stays; a later try may find a good one."""


def read_dump(body: bytes, day: date, last: KnownDump | None = None, *, least: int = LEAST_ROWS) -> Dump:
    """The list of `day`, in the order in which it came. Raises BadDump in one line.

    `last` is the one that is kept. Rows that are odd, and all that share a token or a name, are set aside.
    """
    odd: list[str] = []
    rows = list(_rows(_lines(body, day), day, odd))
    rows = _unlike(rows, odd)
    if len(odd) > max(SET_ASIDE, SHARE_SET_ASIDE * len(rows)):
        raise _bad(day, f"{len(odd):,} rows are odd, the first: {odd[0]}")
    _look_at_size(rows, day, last, least)
    _look_at_expiries(rows, day)
    return Dump(day, tuple(_with_class(rows)), len(body), sha256(body).hexdigest(), tuple(odd))


def changes(before: Mapping[str, int], dump: Dump) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What has another token than in `before` (key -> token), and which tokens are another symbol's now."""
    had = {token: key for key, token in before.items()}
    moved, reused = [], []
    for row in dump.rows:
        key, token = row.key, row.instrument_token
        if before.get(key, token) != token:
            moved.append(f"{key} had {before[key]}, has {token}")
        if had.get(token, key) != key:
            reused.append(f"{token} was {had[token]}, is {key}")
    return tuple(moved), tuple(reused)


def _bad(day: date, problem: str) -> BadDump:
    return BadDump(f"the instrument list of {day} was not taken: {problem}")


def _lines(body: bytes, day: date) -> list[str]:
    """Those after the header."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _bad(day, f"it is no text at byte {error.start}") from None
    header, _, rest = text.partition("\n")
    if header.rstrip("\r") != HEADER:
        raise _bad(day, f"its header is not the known one but {header[:200]!r}")
    if not rest.endswith("\n"):
        raise _bad(day, "its last line is cut off" if rest else "it has no rows")
    return rest.splitlines()


def _rows(lines: Sequence[str], day: date, odd: list[str]) -> Iterator[ListedRow]:
    """Numbers and days repeat: each text is read once."""
    money, days = _Read(_money), _Read(_day)
    number = 1
    try:
        for number, cells in enumerate(csv.reader(lines, strict=True), 2):
            if len(cells) != COLUMNS:
                raise _bad(day, f"line {number} has {len(cells)} columns, not {COLUMNS}")
            try:
                row = _row(cells, money, days)
            except (ValueError, InvalidOperation) as error:
                odd.append(f"line {number} ({cells[11]}:{cells[2]}): {str(error) or 'it is no number'}")
            else:
                yield row
    except csv.Error as error:
        raise _bad(day, f"after line {number}: {error}") from None


class _Read(dict[str, Any]):
    """Text -> what it means, read when it is first met."""

    def __init__(self, read: Any) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: str) -> Any:
        found = self[text] = self._read(text)
        return found


def _money(text: str) -> Money:
    plain = text.replace(".", "", 1).isdigit()  # the noughts of 1.5E10 are not to be cut
    found = Money(text.rstrip("0").rstrip(".") or "0" if plain and "." in text else text)
    if not found.is_finite() or not 0 <= found <= MOST:
        raise ValueError(f"{text} is no amount")
    return found


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _row(cells: Sequence[str], money: Mapping[str, Money], days: Mapping[str, date | None]) -> ListedRow:
    token, at_exchange, symbol, name, _, expiry, strike, tick, lot, kind, segment, exchange = cells
    row = ListedRow(
        exchange=exchange,
        tradingsymbol=symbol,
        instrument_token=int(token),
        exchange_token=int(at_exchange),
        name=name,
        expiry=days[expiry],
        strike=money[strike],
        tick_size=money[tick],
        lot_size=int(lot),
        instrument_type=kind,
        segment=segment,
    )
    if not 0 < row.instrument_token <= MOST_TOKEN:
        raise ValueError(f"{token} is no instrument token")
    if not 0 <= row.exchange_token <= MOST or row.lot_size > MOST:
        raise ValueError("its exchange token or its lot size is no number of Kite's")
    if not (symbol.strip() and exchange.strip() and segment.strip()) or ":" in symbol:
        raise ValueError("its symbol, segment or exchange has no name")
    if kind not in KINDS:
        raise ValueError(f"{kind or 'nothing'} is no instrument type")
    if segment != INDICES and not (row.tick_size > 0 and row.lot_size >= 1):
        raise ValueError(f"tick size {tick} and lot size {lot}")
    if kind != "EQ" and row.expiry is None:
        raise ValueError(f"{kind} without an expiry")
    return row


def _unlike(rows: list[ListedRow], odd: list[str]) -> list[ListedRow]:
    """Without those that share a token or a name: nobody knows which of them is meant."""
    tokens = Counter(row.instrument_token for row in rows)
    keys = Counter((row.exchange, row.tradingsymbol) for row in rows)
    if len(tokens) == len(keys) == len(rows):
        return rows
    alone = []
    for row in rows:
        if tokens[row.instrument_token] > 1:
            odd.append(f"{row.key}: its token {row.instrument_token} is also another's")
        elif keys[row.exchange, row.tradingsymbol] > 1:
            odd.append(f"{row.key} is there {keys[row.exchange, row.tradingsymbol]} times")
        else:
            alone.append(row)
    return alone


def _look_at_size(rows: Sequence[ListedRow], day: date, last: KnownDump | None, least: int) -> None:
    if len(rows) < least:
        raise _bad(day, f"{len(rows):,} rows are too few to be all, at least {least:,} are")
    if last is None:
        return
    if len(rows) * 2 < last.rows:
        raise _bad(day, f"{len(rows):,} rows are under half of the {last.rows:,} of {last.day}")
    now = Counter(row.segment for row in rows)
    for segment, before in last.segments.items():
        if before >= SEGMENT and now[segment] * 2 < before:
            few = f"{now[segment]:,} rows of {segment}"
            raise _bad(day, f"{few} are under half of the {before:,} of {last.day}")


def _look_at_expiries(rows: Iterable[ListedRow], day: date) -> None:
    """What has expired leaves the list overnight."""
    for row in rows:
        if row.expiry is not None and row.expiry < day:
            raise _bad(day, f"it is of an earlier day: {row.key} expired on {row.expiry}")


def _with_class(rows: Sequence[ListedRow]) -> Iterator[ListedRow]:
    """Shares with the word whether there are futures on them, where the list has futures at all."""
    named = {row.name for row in rows if row.instrument_type == "FUT" and row.exchange in WITH_FUTURES}
    for row in rows:
        if named and row.segment in SHARES and row.instrument_type == "EQ":
            yield replace(row, derivatives=row.tradingsymbol in named)
        else:
            yield row


class Quoted(Protocol):
    """What of a quote is needed here (kite.trade/docs/connect/v3/market-quotes)."""

    @property
    def instrument_token(self) -> int: ...

    @property
    def lower_circuit_limit(self) -> Any: ...

    @property
    def upper_circuit_limit(self) -> Any: ...


def circuits(instruments: Iterable[Instrument], quotes: Mapping[str, Quoted]) -> list[Instrument]:
    """Those of `instruments` whose `quotes` (by key) say something new: with their circuit limits.

    One whose quote has another token is listed wrongly: it is given back as listed nowhere, and so not
    entered.
    """
    found = []
    for instrument in instruments:
        quote = quotes.get(instrument.key)
        if quote is None:
            continue
        changed = replace(
            instrument,
            lower_circuit_limit=_limit(quote.lower_circuit_limit),
            upper_circuit_limit=_limit(quote.upper_circuit_limit),
        )
        if quote.instrument_token != instrument.instrument_token:
            changed = replace(changed, listed_on=None)
        if changed != instrument:
            found.append(changed)
    return found


def _limit(price: Any) -> Money | None:
    """0 is no limit: indices have none."""
    exact = price if isinstance(price, Money) else Money(str(price or 0))
    return exact if exact.is_finite() and exact > 0 else None


def relisted(instruments: Iterable[Instrument], listed: Collection[Instrument]) -> list[Instrument]:
    """What a run that goes on over a new list must hear: each of its instruments as `listed` has it.

    A run keeps the token it began with: one that moved, or that is gone, counts as listed nowhere.
    """
    by_key = {each.key: each for each in listed}
    return [_relisted(instrument, by_key.get(instrument.key)) for instrument in instruments]


def _relisted(instrument: Instrument, now: Instrument | None) -> Instrument:
    if now is None or now.instrument_token != instrument.instrument_token:
        return replace(instrument, listed_on=None)
    return replace(
        now,
        lower_circuit_limit=instrument.lower_circuit_limit,
        upper_circuit_limit=instrument.upper_circuit_limit,
    )
