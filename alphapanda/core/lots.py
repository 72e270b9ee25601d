"""First in, first out: which lots a trade closes. Quantities are signed units, prices rupees."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from alphapanda.events import Money


class Lot(NamedTuple):
    """What one fill left open, and when it was traded."""

    quantity: int
    price: Money
    traded_ns: int = 0


def closed_by(quantity: int, lots: deque[Lot]) -> Iterator[tuple[Lot, int]]:
    """(a lot as it was, how many of its units are closed) for each that a trade of `quantity` closes.

    What is left of the last one goes back to the front of `lots` before it is told.
    """
    while quantity and lots and (lots[0].quantity > 0) != (quantity > 0):
        lot = lots.popleft()
        units = min(abs(lot.quantity), abs(quantity)) * (1 if lot.quantity > 0 else -1)
        if units != lot.quantity:
            lots.appendleft(lot._replace(quantity=lot.quantity - units))
        quantity += units
        yield lot, units
