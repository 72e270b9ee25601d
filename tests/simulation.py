"""Simulated sessions in short, and their digests; as a program, the digest of the whole default session."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from hashlib import sha256
from itertools import islice

from alphapanda.events import MarketTick, TickBatch
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.simulated import BUILT_IN, SimulatedSession, instrument_of


def session(
    keys: Sequence[str] = BUILT_IN, *, seed: int = 1, volatility: str | Decimal = "1.5"
) -> SimulatedSession:
    book = InstrumentBook(map(instrument_of, keys))
    return SimulatedSession(keys, book, seed=seed, volatility=Decimal(volatility))


def first(rows: int, keys: Sequence[str], **settings: object) -> list[TickBatch]:
    """The first rows of a session."""
    return list(islice(session(keys, **settings).batches(), rows))


def whole(keys: Sequence[str], **settings: object) -> Iterator[TickBatch]:
    return session(keys, **settings).batches()


def ticks_of(key: str, rows: Iterable[TickBatch]) -> Iterator[MarketTick]:
    token = instrument_of(key).instrument_token
    return (tick for row in rows for tick in row.ticks if tick.instrument_token == token)


def written(row: TickBatch) -> str:
    """All that a row says, exactly."""
    return repr(
        (
            row.row,
            row.time_ns,
            [instrument.key for instrument in row.listed],
            [
                (
                    tick.instrument_token,
                    tick.timestamp.isoformat(),
                    (tick.last_price, tick.open, tick.high, tick.low, tick.close, tick.volume),
                    [(level.price, level.quantity, level.orders) for level in tick.depth.buy],
                    [(level.price, level.quantity, level.orders) for level in tick.depth.sell],
                )
                for tick in row.ticks
                if tick.depth is not None
            ],
        )
    )


def digest(rows: Iterable[TickBatch]) -> str:
    whole = sha256()
    for row in rows:
        whole.update(written(row).encode())
    return whole.hexdigest()


if __name__ == "__main__":
    sys.stdout.write(digest(session().batches()))
