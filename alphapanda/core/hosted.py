"""A strategy and what its host keeps of it: state, positions, open orders, signals without a final word."""

from collections.abc import Iterable, Mapping

from alphapanda.core.strategy import Strategy
from alphapanda.events import Order, PositionEffect

MAX_UNANSWERED = 64
"""Signals of one strategy without a final word; what comes on top is dropped."""
RUNNING, PAUSED, QUARANTINED = "running", "paused", "quarantined"


class Hosted:
    """A strategy and what its host knows of it."""

    def __init__(self, strategy: Strategy, positions: Mapping[int, int], orders: Iterable[Order]) -> None:
        self.strategy = strategy
        self.positions = dict(positions)
        self.orders: dict[str, Order] = {}
        """What may still trade at the first broker."""
        self.entries: dict[str, Order] = {}
        """What may still open a position, at any broker."""
        self.waiting: dict[str, set[str]] = {broker: set() for broker in strategy.brokers}
        self.signals = 0
        self.errors = 0
        self.state = RUNNING
        for order in orders:
            self.follow(order)

    def follow(self, order: Order) -> None:
        """Keep what may still trade, and which signals wait for a final word; a broker's own has none."""
        waiting = self.waiting.setdefault(order.broker, set())
        if order.status.ended:
            waiting.discard(order.signal_id)
            self.orders.pop(order.order_id, None)
            self.entries.pop(order.order_id, None)
            return
        if order.signal_id:
            waiting.add(order.signal_id)
        if order.position_effect is PositionEffect.OPEN:
            self.entries[order.order_id] = order
        if self.sees(order.broker):
            self.orders[order.order_id] = order

    @property
    def listens(self) -> bool:
        return self.state != QUARANTINED

    def sees(self, broker: str) -> bool:
        return broker == self.strategy.brokers[0]

    def full(self) -> bool:
        return any(len(signals) >= MAX_UNANSWERED for signals in self.waiting.values())
