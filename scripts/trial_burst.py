"""The strategies of the kill switch's trial: one that asks at every tick, one that keeps orders at rest."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from alphapanda.core.strategy import Strategy
from alphapanda.events import MarketTick, Order, TradingSignal

RESTS = 0.97
"""Such a part of the price no seller takes."""


class Burst(Strategy):
    """A buy at every tick."""

    def on_market_data(self, tick: MarketTick) -> list[TradingSignal]:
        return [self.buy(tick, 1)]


class Resting(Strategy):
    """Always so many orders that rest; what was cancelled is asked for anew."""

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        orders: int = 30

    params: Params

    def prepare(self) -> None:
        self._live: set[str] = set()

    def on_start(self, positions: Mapping[int, int], orders: Sequence[Order]) -> None:  # noqa: ARG002 - a hook
        self._live = {order.order_id for order in orders}

    def on_order_update(self, order: Order) -> None:
        if order.status.ended:
            self._live.discard(order.order_id)
        else:
            self._live.add(order.order_id)

    def on_market_data(self, tick: MarketTick) -> list[TradingSignal]:
        if len(self._live) >= self.params.orders:
            return []
        return [self.buy(tick, 1, price=round(int(tick.last_price * RESTS * 10) / 10, 1))]
