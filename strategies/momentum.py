"""Momentum: buy what has risen over the last few ticks, sell it when it has fallen.

It assumes that a move continues for longer than it takes to trade it, and that ticks come at a steady pace:
the look-back is counted in ticks (or bars), not in seconds.
"""

from collections import deque
from math import inf
from typing import Annotated

from msgspec import Meta, Struct

from alphapanda.core.position import FLAT, LONG, SHORT, PositionStrategy
from alphapanda.events import MarketTick, TradingSignal


class MomentumStrategy(PositionStrategy):
    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        lookback_period: Annotated[int, Meta(ge=1, le=10_000_000)] = 5
        buy_threshold: Annotated[float, Meta(gt=0)] = 1.003
        sell_threshold: Annotated[float, Meta(gt=0)] = 0.997
        quantity: Annotated[int, Meta(ge=1)] = 1
        allow_short: bool = False

    params: Params

    def prepare(self) -> None:
        length = self.params.lookback_period + 1
        self._prices: dict[int, deque[float]] = {token: deque(maxlen=length) for token in self.instruments}

    def on_market_data(self, tick: MarketTick) -> list[TradingSignal]:
        price, token, params = tick.last_price, tick.instrument_token, self.params
        if not 0.0 < price < inf:
            return []
        prices = self._prices.get(token)
        if prices is None:
            prices = self._prices[token] = deque(maxlen=params.lookback_period + 1)
        prices.append(price)
        if len(prices) <= params.lookback_period:
            return []
        change = price / prices[0]
        if change >= params.buy_threshold and self._view.get(token) != LONG:
            return self._on_rise(tick, self._view.get(token, FLAT))
        if change <= params.sell_threshold:
            return self._on_fall(tick, self._view.get(token, FLAT))
        return []

    def _on_rise(self, tick: MarketTick, view: int) -> list[TradingSignal]:
        if view == SHORT:
            return self.leave(tick, self.params.quantity)
        return self.go_long(tick, self.params.quantity)

    def _on_fall(self, tick: MarketTick, view: int) -> list[TradingSignal]:
        if view == LONG:
            return self.leave(tick, self.params.quantity)
        return self.go_short(tick, self.params.quantity) if self.params.allow_short else []
