"""Which instrument a row is of, from its symbol, exchange and token columns or from the file's name.

Texts are looked up as they stand, so that only the first row of an instrument pays for the reading.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from alphapanda.errors import DataError
from alphapanda.events import Instrument
from alphapanda.venues.instruments import DEFAULT_EXCHANGE, InstrumentBook
from alphapanda.venues.replay.columns import Layout


def symbol_of_file(path: Path) -> str:
    """`INFY_2016.csv.gz` is INFY: the name up to the first dot or underscore."""
    symbol = re.split(r"[._]", path.name, maxsplit=1)[0].strip().upper()
    if not symbol:
        raise DataError(
            f"{path}: no symbol column, and no symbol in the file's name: rename it like INFY_2016.csv"
        )
    return symbol


def instrument_of(cells: Sequence[Any], layout: Layout, book: InstrumentBook) -> Instrument:
    """A ValueError says what is wrong with the row, a DataError that it contradicts another."""
    token = None if layout.token is None else _token(cells[layout.token])
    if layout.symbol is not None:
        exchange = DEFAULT_EXCHANGE if layout.exchange is None else cells[layout.exchange]
        return book.resolve(*_symbol(cells[layout.symbol], exchange), token)
    if token is None:
        raise ValueError("the instrument_token is blank")
    return book.by_token(token) or book.resolve(DEFAULT_EXCHANGE, str(token), token)


def learn_tokens(rows: Iterable[Sequence[Any]], layout: Layout, book: InstrumentBook) -> None:
    """Enter every symbol with its token before the first row is shown to anyone. Bad rows wait their turn."""
    met: set[tuple[Any, ...]] = set()
    for cells in rows:
        if len(cells) != layout.width:
            continue
        naming = tuple(cells[column] for column in layout.instrument)
        if naming not in met:
            met.add(naming)
            _learn(cells, layout, book)


def _learn(cells: Sequence[Any], layout: Layout, book: InstrumentBook) -> None:
    try:
        instrument_of(cells, layout, book)
    except (ValueError, OverflowError):
        return


def _symbol(symbol: Any, exchange: Any) -> tuple[str, str]:
    text = "" if symbol is None else str(symbol).strip().upper()
    if not text or not text.isprintable():
        raise ValueError(f"the symbol is {'blank' if not text else repr(text)}")
    before, colon, after = text.rpartition(":")
    if not colon:
        before, after = ("" if exchange is None else str(exchange).strip().upper()) or DEFAULT_EXCHANGE, text
    if not before or not after or not before.isprintable():
        raise ValueError(f"the symbol {text!r} is not EXCHANGE:SYMBOL")
    return before, after


def _token(value: Any) -> int | None:
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    number = float(text)
    if not 0 < number < 2**53 or number != int(number):
        raise ValueError(f"instrument_token {text!r} is not a whole number above 0")
    return int(number)
