"""Momentum: buy what has risen over the last few ticks, sell it when it has fallen.

It assumes that a move continues for longer than it takes to trade it, and that ticks come at a steady pace:
the look-back is counted in ticks (or bars), not in seconds.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Annotated, Any

from msgspec import Meta, Struct

from alphapanda.core.strategy import Strategy
from alphapanda.events import Fill, MarketTick, Order, PositionEffect, TradingSignal

FLAT, LONG, SHORT = 0, 1, -1


class MomentumStrategy(Strategy):
    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        lookback_period: Annotated[int, Meta(ge=1)] = 5
        buy_threshold: Annotated[float, Meta(gt=0)] = 1.003
        sell_threshold: Annotated[float, Meta(gt=0)] = 0.997
        quantity: Annotated[int, Meta(ge=1)] = 1
        allow_short: bool = False

    params: Params

    def __init__(
        self,
        strategy_id: str,
        instruments: Sequence[int],
        brokers: Sequence[str],
        params: Mapping[str, Any] | Struct | None = None,
    ) -> None:
        super().__init__(strategy_id, instruments, brokers, params)
        length = self.params.lookback_period + 1
        self._prices: dict[int, deque[float]] = {token: deque(maxlen=length) for token in self.instruments}
        self._view = dict.fromkeys(self.instruments, FLAT)
        self._held = dict.fromkeys(self.instruments, 0)

    def on_market_data(self, tick: MarketTick) -> list[TradingSignal]:
        price = tick.last_price
        if not isfinite(price) or price <= 0:
            return []
        token = tick.instrument_token
        prices = self._prices.setdefault(token, deque(maxlen=self.params.lookback_period + 1))
        prices.append(price)
        if len(prices) <= self.params.lookback_period:
            return []
        change = price / prices[0]
        if change >= self.params.buy_threshold:
            return self._on_rise(tick, self._view.get(token, FLAT))
        if change <= self.params.sell_threshold:
            return self._on_fall(tick, self._view.get(token, FLAT))
        return []

    def _on_rise(self, tick: MarketTick, view: int) -> list[TradingSignal]:
        if view == LONG:
            return []
        self._view[tick.instrument_token] = view + 1
        effect = PositionEffect.CLOSE if view == SHORT else PositionEffect.OPEN
        return [self.buy(tick, self.params.quantity, effect)]

    def _on_fall(self, tick: MarketTick, view: int) -> list[TradingSignal]:
        if view == SHORT or (view == FLAT and not self.params.allow_short):
            return []
        self._view[tick.instrument_token] = view - 1
        effect = PositionEffect.CLOSE if view == LONG else PositionEffect.OPEN
        return [self.sell(tick, self.params.quantity, effect)]

    def on_start(self, positions: Mapping[int, int], orders: Sequence[Order]) -> None:
        expected = dict(positions)
        for order in orders:
            token = order.instrument.instrument_token
            expected[token] = expected.get(token, 0) + order.signed_pending
        self._held = dict(positions)
        self._view = {token: _sign(quantity) for token, quantity in expected.items()}

    def on_fill(self, fill: Fill) -> None:
        token = fill.instrument.instrument_token
        self._held[token] = self._held.get(token, 0) + fill.signed_quantity
        self._view_what_is_held(token)

    def on_order_update(self, order: Order) -> None:
        if order.status.ended:
            self._view_what_is_held(order.instrument.instrument_token)

    def on_refused(self, signal: TradingSignal, rule: str, why: str) -> None:  # noqa: ARG002 - a hook
        self._view_what_is_held(signal.instrument_token)

    def _view_what_is_held(self, token: int) -> None:
        self._view[token] = _sign(self._held.get(token, 0))

    def view(self, token: int) -> int:
        """1 long, -1 short, 0 flat: what the strategy believes it holds once its orders are done."""
        return self._view.get(token, FLAT)


def _sign(quantity: int) -> int:
    return (quantity > 0) - (quantity < 0)
