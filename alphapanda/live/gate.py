"""The kill switch's flag, read right before a byte leaves: nothing awaits between check and send."""

from alphapanda.events import Order
from alphapanda.venues.contract import Broker


class Gate:
    """Open while trading is enabled. Closing it takes effect at once, before anything is written down."""

    def __init__(self, *, is_open: bool) -> None:
        self.is_open = is_open
        self.reason = ""
        self.by = ""
        self.since_ns = 0

    def close(self, reason: str, by: str, since_ns: int) -> None:
        self.is_open = False
        self.reason, self.by, self.since_ns = reason, by, since_ns

    def open(self, reason: str, by: str, since_ns: int) -> None:
        self.is_open = True
        self.reason, self.by, self.since_ns = reason, by, since_ns

    def send(self, order: Order, broker: Broker) -> bool:
        """Hand the order to its broker unless the gate is closed; False when it was withheld."""
        if not self.is_open:
            return False
        broker.place(order)
        return True
