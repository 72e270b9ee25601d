"""The edge where exact rupees become the numbers of JSON."""

from typing import Any

from alphapanda.core.money import to_paisa
from alphapanda.events import Money


def number(amount: Money) -> int | float:
    """The JSON number that prints as `amount` does; whole ones without a fraction, as Kite writes them."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def rupees(amount: Money) -> int | float:
    """The same to the paisa: funds and margins."""
    return number(to_paisa(amount))


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose amounts are numbers of JSON."""
    return {key: number(value) if isinstance(value, Money) else value for key, value in row.items()}
