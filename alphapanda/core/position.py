"""`PositionStrategy`: a strategy that is long, short or flat in each instrument, and knows which.

Its view changes when it emits, so that the next tick does not ask for the same again. It is put right by what
became of the order: a fill, an end without one, a refusal, a new start. So a subclass holds only its rule.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from alphapanda.core.strategy import Strategy
from alphapanda.events import Fill, MarketTick, Order, PositionEffect, TradingSignal
from alphapanda.times import SECOND_NS, to_ns

FLAT, LONG, SHORT = 0, 1, -1


class PositionStrategy(Strategy):
    """Ask `view`, answer with `go_long`, `go_short` or `leave`; hooks that are overridden call `super()`.

    `retry_s`: so long after a refused entry the same instrument is not entered, in seconds of its ticks.
    """

    retry_s: ClassVar[float] = 0.0

    def __init__(self, *settings: Any, **named: Any) -> None:
        self._view: dict[int, int] = {}
        self._held: dict[int, int] = {}
        self._refused_ns: dict[int, int] = {}
        self._left: dict[str, int] = {}
        super().__init__(*settings, **named)

    def view(self, token: int) -> int:
        """1 long, -1 short, 0 flat: what the strategy believes it holds once its orders are done."""
        return self._view.get(token, FLAT)

    def go_long(self, tick: MarketTick, quantity: int, reason: str = "") -> list[TradingSignal]:
        """A BUY that opens; nothing unless flat."""
        token = tick.instrument_token
        if self._view.get(token, FLAT) != FLAT or self._waits(tick):
            return []
        self._view[token] = LONG
        return [self.buy(tick, quantity, PositionEffect.OPEN, reason)]

    def go_short(self, tick: MarketTick, quantity: int, reason: str = "") -> list[TradingSignal]:
        """A SELL that opens; nothing unless flat."""
        token = tick.instrument_token
        if self._view.get(token, FLAT) != FLAT or self._waits(tick):
            return []
        self._view[token] = SHORT
        return [self.sell(tick, quantity, PositionEffect.OPEN, reason)]

    def _waits(self, tick: MarketTick) -> bool:
        refused_ns = self._refused_ns.get(tick.instrument_token)
        return refused_ns is not None and to_ns(tick.timestamp) - refused_ns < self.retry_s * SECOND_NS

    def leave(self, tick: MarketTick, quantity: int, reason: str = "") -> list[TradingSignal]:
        """The CLOSE of what is held, long or short; nothing when flat."""
        token = tick.instrument_token
        view = self._view.get(token, FLAT)
        if view == FLAT:
            return []
        self._view[token] = FLAT
        order = self.sell if view == LONG else self.buy
        return [order(tick, quantity, PositionEffect.CLOSE, reason)]

    def on_start(self, positions: Mapping[int, int], orders: Sequence[Order]) -> None:
        expected = dict(positions)
        self._left = {}
        for order in orders:
            self._left[order.order_id] = order.signed_pending
            token = order.instrument.instrument_token
            expected[token] = expected.get(token, 0) + order.signed_pending
        self._held = dict(positions)
        self._view = {token: _sign(quantity) for token, quantity in expected.items()}

    def on_fill(self, fill: Fill) -> None:
        """A part of an order counts as the whole: the rest still trades."""
        token, order_id = fill.instrument.instrument_token, fill.order_id
        self._held[token] = self._held.get(token, 0) + fill.signed_quantity
        left = self._left.get(order_id, fill.signed_quantity) - fill.signed_quantity
        self._left[order_id] = left
        if not left:
            del self._left[order_id]
        self._view[token] = _sign(self._held[token] + left)

    def on_order_update(self, order: Order) -> None:
        if order.status.ended:
            self._left.pop(order.order_id, None)
            self._view_what_is_held(order.instrument.instrument_token)
        else:
            self._left[order.order_id] = order.signed_pending

    def on_refused(self, signal: TradingSignal, rule: str, why: str) -> None:  # noqa: ARG002 - a hook
        if signal.position_effect is PositionEffect.OPEN:
            self._refused_ns[signal.instrument_token] = signal.time_ns
        self._view_what_is_held(signal.instrument_token)

    def _view_what_is_held(self, token: int) -> None:
        self._view[token] = _sign(self._held.get(token, 0))


def _sign(quantity: int) -> int:
    return (quantity > 0) - (quantity < 0)
