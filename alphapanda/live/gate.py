"""The kill switch's flag, read right before a byte leaves: nothing awaits between check and send."""

from alphapanda.events import Order
from alphapanda.venues.contract import Broker


class Gate:
    """Open while the daemon is ready and the kill switch is off. Closing it takes effect at once."""

    def __init__(self) -> None:
        self.ready = False
        self.killed = False
        self.reason = ""
        self.by = ""
        self.since_ns = 0

    @property
    def is_open(self) -> bool:
        return self.ready and not self.killed

    def kill(self, reason: str, by: str, since_ns: int) -> None:
        self.killed = True
        self.reason, self.by, self.since_ns = reason, by, since_ns

    def rearm(self, reason: str, by: str, since_ns: int) -> None:
        self.killed = False
        self.reason, self.by, self.since_ns = reason, by, since_ns

    def lets(self, order: Order) -> bool:
        """May it leave now?"""
        return self.is_open or (self.ready and order.closed_by_hand)

    def send(self, order: Order, broker: Broker) -> bool:
        """Hand the order to its broker unless the gate is closed; False when it was withheld."""
        if not self.lets(order):
            return False
        broker.place(order)
        return True
