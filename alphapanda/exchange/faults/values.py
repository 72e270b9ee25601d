"""The values of a fault's keys: their types and bounds, and how a mistake in one is said."""

from collections.abc import Callable
from datetime import time
from math import isfinite
from typing import Any, NamedTuple

from alphapanda.exchange.faults.kinds import KINDS, Kind

LONGEST_S = 86_400.0
REQUIRED = ("exchange", "tradingsymbol", "transaction_type", "order_type", "quantity", "product")
OPTIONAL = (
    *("variety", "price", "trigger_price", "validity", "validity_ttl", "disclosed_quantity"),
    *("market_protection", "tag"),
)


class Mistake(Exception):  # noqa: N818 - becomes a DataError with the fault's number
    """What is wrong with one key, and what is allowed."""


class Unfit(Exception):  # noqa: N818 - becomes a Mistake with the key's name
    """The value is not allowed."""


class Value(NamedTuple):
    """`read` turns what the script says into what the fault keeps, or raises Unfit."""

    allowed: str
    read: Callable[[Any], Any]


def allowed(key: str, kind: Kind) -> str:
    """What a key may say, for a message."""
    return ", ".join(kind.sorts) if key == "sort" else _VALUES[_name(key, kind)].allowed


def read(key: str, value: Any, kind: Kind) -> Any:
    """The value of `key` as the fault keeps it. Raises Mistake."""
    try:
        if key == "sort":
            return _choice(*kind.sorts)(value)
        return _VALUES[_name(key, kind)].read(value)
    except Unfit as unfit:
        raise Mistake(f"{key} = {value!r}; allowed: {allowed(key, kind)}") from unfit


def _name(key: str, kind: Kind) -> str:
    """A close code is none of HTTP's; an HTML page may come with HTTP 200."""
    if key != "code":
        return key
    if kind is KINDS["ws_close"]:
        return "close code"
    return "any code" if kind.presets.get("accepted", True) and "accepted" in kind.takes else key


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def read_whole(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Unfit
        return value

    return read_whole


def _number(*, above: float, most: float) -> Callable[[Any], float]:
    def read_number(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Unfit
        if not (isfinite(value) and above < value <= most):
            raise Unfit
        return float(value)

    return read_number


def _part(value: Any) -> float:
    """0 leaves no row."""
    return 0.0 if value == 0 and not isinstance(value, bool) else _number(above=0.0, most=0.999_999)(value)


def _choice(*words: str) -> Callable[[Any], str]:
    def read_choice(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise Unfit
        return value

    return read_choice


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise Unfit
    return value


def _yes(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unfit
    return value


def _texts(value: Any) -> frozenset[str]:
    many = value if isinstance(value, list) else [value]
    if not many:
        raise Unfit
    return frozenset(_text(one) for one in many)


def _counts(value: Any) -> tuple[int, ...]:
    many = value if isinstance(value, list) else [value]
    counts = tuple(_whole(1, 10**9)(one) for one in many)
    if not counts or len(set(counts)) < len(counts):
        raise Unfit
    return counts


def _clock(value: Any) -> time:
    if isinstance(value, time) and value.tzinfo is None:
        return value
    try:
        read_time = time.fromisoformat(value if len(value) == len("HH:MM:SS") else "")
    except (TypeError, ValueError) as error:
        raise Unfit from error
    if read_time.tzinfo is not None:
        raise Unfit
    return read_time


def _order(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not set(REQUIRED) <= set(value) <= {*REQUIRED, *OPTIONAL}:
        raise Unfit
    if any(isinstance(one, bool) or not isinstance(one, (str, int, float)) for one in value.values()):
        raise Unfit
    return {key: str(one) for key, one in value.items()}


_SECONDS = _number(above=0.0, most=LONGEST_S)
_CLOCK = Value('an IST time of day as "HH:MM:SS"', _clock)

_VALUES = {
    "nth": Value("a whole number from 1, or a list of different ones", _counts),
    "every": Value("a whole number from 1", _whole(1, 10**9)),
    "p": Value("a number above 0, at most 1", _number(above=0.0, most=1.0)),
    "times": Value("a whole number from 1", _whole(1, 10**9)),
    "at": _CLOCK,
    "until": _CLOCK,
    "after_s": Value("seconds above 0, at most 86400", _SECONDS),
    "for_s": Value("seconds above 0, at most 86400", _SECONDS),
    "seconds": Value("seconds above 0, at most 86400", _SECONDS),
    "symbol": Value('an instrument as "INFY" or "NSE:INFY", or a list of them', _texts),
    "tag": Value("an order's tag, or a list of them", _texts),
    "code": Value("an HTTP code from 400 to 599", _whole(400, 599)),
    "any code": Value("an HTTP code from 200 to 599", _whole(200, 599)),
    "close code": Value("a close code from 1000 to 4999", _whole(1000, 4999)),
    "error_type": Value("Kite's name of the error, such as InputException", _text),
    "message": Value("one line of text", _text),
    "accepted": Value("true or false", _yes),
    "reply": Value("given, lost, ambiguous", _choice("given", "lost", "ambiguous")),
    "pieces": Value("a whole number from 2 to 1000", _whole(2, 1000)),
    "part": Value("a part of the rows from 0, below 1", _part),
    "factor": Value("a number above 0, at most 1000", _number(above=0.0, most=1000.0)),
    "sockets": Value("close, silent, mute", _choice("close", "silent", "mute")),
    "connection": Value("the number of a connection, from 1", _whole(1, 10**9)),
    "order": Value(
        f"a table with {', '.join(REQUIRED)} and, where wanted, {', '.join(OPTIONAL)}; texts and numbers",
        _order,
    ),
}
