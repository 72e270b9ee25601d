"""Who is who: exchange, symbol and token of every instrument a run meets.

Data files name instruments by symbol, by token or by their file name. The book gives each one `Instrument`,
the same for the whole run, and refuses two that contradict each other. It does no I/O.
"""

from collections.abc import Container, Iterable
from hashlib import blake2s

from msgspec.structs import replace

from alphapanda.errors import DataError
from alphapanda.events import Instrument

DEFAULT_EXCHANGE = "NSE"


def stable_token(key: str) -> int:
    """A token for `EXCHANGE:SYMBOL` that is the same on every machine: 32 bits, never 0."""
    return int.from_bytes(blake2s(key.upper().encode(), digest_size=4).digest(), "big") or 1


def free_token(key: str, taken: Container[int]) -> int:
    """The first of `stable_token` and what follows it that nobody has."""
    token = stable_token(key)
    while token in taken:
        token = token % (2**32 - 1) + 1
    return token


def split_key(key: str) -> tuple[str, str]:
    """`NSE:INFY` in two; without a colon the exchange is NSE."""
    exchange, colon, symbol = key.rpartition(":")
    return (exchange if colon else DEFAULT_EXCHANGE), symbol


class InstrumentBook:
    """`known` are the store's instruments: the defaults for a symbol; a row's own token is stronger."""

    def __init__(self, known: Iterable[Instrument] = ()) -> None:
        self._known = {instrument.key.upper(): instrument for instrument in known}
        self._known_by_token = {
            instrument.instrument_token: instrument for instrument in self._known.values()
        }
        self._by_key: dict[str, Instrument] = {}
        self._by_token: dict[int, Instrument] = {}

    def resolve(self, exchange: str, tradingsymbol: str, token: int | None = None) -> Instrument:
        key = f"{exchange.strip()}:{tradingsymbol.strip()}".upper()
        found = self._by_key.get(key)
        if found is None:
            return self._enter(key, token)
        if token is not None and token != found.instrument_token:
            raise DataError(
                f"{key} has two instrument tokens, {found.instrument_token} and {token}: "
                "give all its rows the same instrument_token, or leave that column out of every file"
            )
        return found

    def by_key(self, key: str) -> Instrument:
        return self.resolve(*split_key(key))

    def by_token(self, token: int) -> Instrument | None:
        return self._by_token.get(token) or self._known_by_token.get(token)

    def all(self) -> tuple[Instrument, ...]:
        """Everyone met so far."""
        return tuple(self._by_key.values())

    def _enter(self, key: str, token: int | None) -> Instrument:
        instrument = self._new(key, token)
        other = self._by_token.get(instrument.instrument_token)
        if other is not None:
            raise DataError(
                f"{other.key} and {key} have the same instrument token {instrument.instrument_token}: "
                "give each its own in an instrument_token column"
            )
        self._by_key[key] = self._by_token[instrument.instrument_token] = instrument
        return instrument

    def _new(self, key: str, token: int | None) -> Instrument:
        known = self._known.get(key)
        if known is None:
            exchange, symbol = split_key(key)
            return Instrument(stable_token(key) if token is None else token, exchange, symbol)
        return known if token is None else replace(known, instrument_token=token)
