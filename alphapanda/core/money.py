"""Exact rupees: floats become decimals by their shortest text, and are rounded only here."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context

from alphapanda.events import Money, TransactionType

PAISA = Money("0.01")
AVERAGE = Money("0.0001")
WIDE = Context(prec=60)
"""Rounding must not fail for want of digits, whatever a price was."""
HUNDRED = Money(100)


def exact(price: float) -> Money:
    """The decimal that prints as `price` does: 1573.7 is 1573.7, not 1573.70000000000004547."""
    return Money(repr(price))


def to_paisa(amount: Money) -> Money:
    """Half up to the paisa."""
    return amount.quantize(PAISA, ROUND_HALF_UP, WIDE)


def to_average(amount: Money) -> Money:
    """Average prices are kept to four places."""
    return amount.quantize(AVERAGE, ROUND_HALF_UP, WIDE)


def up_to_tick(price: Money, tick_size: Money) -> Money:
    """The lowest multiple of `tick_size` at or above `price`."""
    return (price / tick_size).to_integral_value(ROUND_CEILING) * tick_size


def down_to_tick(price: Money, tick_size: Money) -> Money:
    """The highest multiple of `tick_size` at or below `price`."""
    return (price / tick_size).to_integral_value(ROUND_FLOOR) * tick_size


def slipped(price: Money, side: TransactionType, percent: Money, tick_size: Money) -> Money:
    """A price moved by `percent`, and then to the tick, both against the trader."""
    moved = price + side.sign * percent_of(percent, price)
    return (up_to_tick if side is TransactionType.BUY else down_to_tick)(moved, tick_size)


def percent_of(percent: Money, amount: Money) -> Money:
    return amount * percent / HUNDRED
