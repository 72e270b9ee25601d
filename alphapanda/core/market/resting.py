"""An order that rests at the market: how far it is filled, whether its trigger was reached, when it ends."""

from msgspec.structs import replace

from alphapanda.events import STOPS, Money, Order, Validity
from alphapanda.times import MINUTE_NS, midnight_after

NEVER = 1 << 63


class Resting:
    """All that it keeps follows from the order, but for the day it ends with: see `meet`."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.met = False
        self.ends_ns = NEVER
        if order.validity is Validity.TTL:
            self.ends_ns = order.created_ns + order.validity_ttl * MINUTE_NS

    @property
    def awake(self) -> bool:
        order = self.order
        return order.order_type not in STOPS or order.triggered or order.filled_quantity > 0

    def meet(self, time_ns: int) -> None:
        """A price that it could have met: it ends with the day of the first one, whatever its validity.

        Not with the day it was made on: what is made on the last row of a day has the next day before it.
        """
        if not self.met:
            self.met = True
            self.ends_ns = min(self.ends_ns, midnight_after(time_ns))

    def wake(self, time_ns: int) -> None:
        """The price has reached the trigger, and nothing has traded yet."""
        self.order = replace(self.order, triggered=True, updated_ns=time_ns)

    def fill(self, quantity: int, price: Money, time_ns: int) -> None:
        order = self.order
        self.order = replace(
            order,
            updated_ns=time_ns,
            filled_quantity=order.filled_quantity + quantity,
            filled_value=order.filled_value + price * quantity,
        )

    def end(self, time_ns: int) -> str:
        """Why it ends now."""
        order = self.order
        if order.validity is Validity.TTL and time_ns >= order.created_ns + order.validity_ttl * MINUTE_NS:
            return f"TTL: {order.validity_ttl} minutes have passed"
        return "DAY: the trading day has ended"
