"""How Kite writes amounts and times: the edge where exact rupees become the numbers of JSON, and back."""

from collections.abc import Mapping
from typing import Any

from alphapanda.core.money import to_paisa
from alphapanda.events import Money
from alphapanda.times import to_ist

DIGITS = 12
"""Of a whole number in a request, and before the point of an amount: more are a mistake."""
TOO_MUCH = 10**DIGITS
EXACT = 2**53
"""Beyond this a whole amount is written as a float: JSON's integers end soon after."""


def number(amount: Money) -> int | float:
    """The JSON number that prints as `amount` does; whole ones without a fraction, as Kite writes them."""
    whole = abs(amount) < EXACT and amount == amount.to_integral_value()
    return int(amount) if whole else float(amount)


def spelt(price: Money) -> str:
    """A price in a sentence: two places, or four where it needs them, as currencies do."""
    return f"{price:.2f}" if price == to_paisa(price) else f"{price:.4f}"


def whole(text: str) -> int | None:
    """A whole number without a sign; None for any other text, and where it is too long to be meant."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= DIGITS else None


def positive(amount: Money | int) -> bool:
    """Whether a number of a JSON body is above zero and can be meant: as text it may be NaN or 1E999999."""
    return Money(amount).is_finite() and 0 < amount < TOO_MUCH


def rupees(amount: Money) -> int | float:
    """The same to the paisa: funds and margins."""
    return number(to_paisa(amount))


def plain(value: Any) -> Any:
    """What JSON knows of a value, whatever is nested in it: amounts become numbers."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < EXACT else value
    if isinstance(value, Money):
        return number(value)
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def stamp(time_ns: int) -> str:
    """IST without an offset, to the second."""
    return f"{to_ist(time_ns):%Y-%m-%d %H:%M:%S}"
