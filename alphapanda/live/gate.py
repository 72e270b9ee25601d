"""The gate, read right before a byte leaves: nothing awaits between check and send."""

from typing import NamedTuple

from alphapanda.events import Order, PositionEffect
from alphapanda.venues.contract import Broker

EVERYTHING = ""
"""In the place of a symbol: every order of the broker is held."""


class Closed(NamedTuple):
    """Why an order may not leave: the rule as `signals` shows it, and the sentence."""

    rule: str
    why: str


class Gate:
    """Open while the daemon is ready, the kill switch is off, and nobody holds the broker or the symbol.

    Closing it takes effect at once. A hold on a broker stops every order, since it could not be reached; one
    on a symbol stops what adds to it.
    """

    def __init__(self) -> None:
        self.ready = False
        self.killed = False
        self.reason = ""
        self.by = ""
        self.since_ns = 0
        self.holds: dict[tuple[str, str], str] = {}
        """(broker, EXCHANGE:SYMBOL or EVERYTHING) -> why"""
        self.entries: dict[str, str] = {}
        """Who holds all entries, at every broker -> why"""

    @property
    def is_open(self) -> bool:
        return self.ready and not self.killed

    def kill(self, reason: str, by: str, since_ns: int) -> None:
        self.killed = True
        self.reason, self.by, self.since_ns = reason, by, since_ns

    def rearm(self, reason: str, by: str, since_ns: int) -> None:
        self.killed = False
        self.reason, self.by, self.since_ns = reason, by, since_ns

    def hold(self, broker: str, symbol: str, why: str) -> None:
        self.holds[broker, symbol] = why

    def release(self, broker: str, symbol: str) -> None:
        self.holds.pop((broker, symbol), None)

    def hold_entries(self, owner: str, why: str) -> None:
        """From any thread: nothing that adds risk leaves until `owner` lets go. Exits go on."""
        self.entries[owner] = why

    def release_entries(self, owner: str) -> None:
        self.entries.pop(owner, None)

    def closed(self, order: Order) -> Closed | None:
        """Why it may not leave now; None: it may."""
        if not self.ready or (self.killed and not order.closed_by_hand):
            why = f"the kill switch is on: {self.reason}" if self.killed else "the daemon is not ready"
            return Closed("kill_switch", why)
        if self.entries and order.position_effect is PositionEffect.OPEN:
            return Closed("entries_held", f"no entries: {'; '.join(list(self.entries.values()))}")
        if not self.holds:
            return None
        if (held := self.holds.get((order.broker, EVERYTHING))) is not None:
            return Closed("broker_held", f"{order.broker} takes no orders: {held}")
        held = self.holds.get((order.broker, order.instrument.key))
        if held is not None and order.position_effect is PositionEffect.OPEN:
            return Closed("symbol_held", f"{order.instrument.key} is held at {order.broker}: {held}")
        return None

    def lets(self, order: Order) -> bool:
        """May it leave now?"""
        return self.closed(order) is None

    def send(self, order: Order, broker: Broker) -> bool:
        """Hand the order to its broker unless the gate is closed; False when it was withheld."""
        if not self.lets(order):
            return False
        broker.place(order)
        return True
