"""A strategy and what its host keeps of it: state, positions, open orders, signals without a final word."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from alphapanda.core.answers import checked
from alphapanda.core.strategy import Strategy
from alphapanda.events import (
    Fill,
    Order,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderUpdated,
    PositionEffect,
    Refused,
    TradingSignal,
    Verdict,
)

Update = OrderOpened | OrderUpdated | OrderClosed
Fate = Refused | OrderFilled | Update
"""What becomes of a signal."""

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

    def book(self, fill: Fill) -> None:
        token = fill.instrument.instrument_token
        self.positions[token] = self.positions.get(token, 0) + fill.signed_quantity

    @property
    def listens(self) -> bool:
        return self.state != QUARANTINED

    def sees(self, broker: str) -> bool:
        return broker == self.strategy.brokers[0]

    def full(self) -> bool:
        return any(len(signals) >= MAX_UNANSWERED for signals in self.waiting.values())

    def turns_down(self, signal: TradingSignal) -> tuple[Verdict, str, str] | None:
        """What its host says to a signal before risk does: the verdict, the rule and why."""
        strategy_id = self.strategy.strategy_id
        if self.state == PAUSED and signal.position_effect is PositionEffect.OPEN:
            why = f"{strategy_id} is paused; `alphapanda strategies resume {strategy_id}` ends it"
            return Verdict.REFUSED, "strategy_paused", why
        if self.full():
            why = f"{MAX_UNANSWERED} signals of {strategy_id} wait for a final word"
            return Verdict.DROPPED, "unanswered_signals", why
        return None

    def on_timer(self, now: datetime) -> list[TradingSignal]:
        """What it answers to a timer, checked."""
        answer = self.strategy.on_timer(now)
        return checked(answer) if answer else []

    def hears_of(self, fate: Fate) -> bool:
        """It hears of its first broker; what the operator asked for and was refused was not its own."""
        if isinstance(fate, Refused):
            return self.sees(fate.broker) and not fate.signal.by
        return self.sees(fate.order.broker)

    def hook_for(self, fate: Fate) -> tuple[int, Callable[..., Any], tuple[object, ...]]:
        """When it was, and the call that tells it."""
        strategy = self.strategy
        match fate:
            case Refused(signal=signal):
                return signal.time_ns, strategy.on_refused, (signal, fate.rule, fate.why)
            case OrderFilled(_, fill):
                return fill.traded_ns, strategy.on_fill, (fill,)
        return fate.order.updated_ns, strategy.on_order_update, (fate.order,)
