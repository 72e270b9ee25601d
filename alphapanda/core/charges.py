"""What a fill costs beside its price."""

from collections.abc import Callable

from alphapanda.core.money import percent_of, to_paisa
from alphapanda.events import Money, Order

Charges = Callable[[Order, Money, int], Money]
"""(order, price, quantity) -> charges of that fill, in whole paise."""


def flat(commission_percent: Money) -> Charges:
    """commission_percent/100 x price x quantity, rounded half up to the paisa, on every fill."""

    def charge(order: Order, price: Money, quantity: int) -> Money:  # noqa: ARG001 - the shape of Charges
        return to_paisa(percent_of(commission_percent, price * quantity))

    return charge
