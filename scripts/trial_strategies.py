"""The strategies of trials, for a daemon that has this folder on its PYTHONPATH."""

import random
from collections import deque
from collections.abc import Mapping, Sequence
from time import monotonic

from bench_wire_decision import Decision
from msgspec import Struct

from alphapanda.core.position import FLAT, PositionStrategy
from alphapanda.core.strategy import Strategy
from alphapanda.events import Fill, MarketTick, Order, PositionEffect, TradingSignal

SKIPPED = 0.7
"""Of ticks, so that not always the same instrument comes first."""
HOW_MANY_REST, HOW_MANY_AT_ONCE = 0.3, 0.15
"""Of entries: at a limit."""


class Tapped(PositionStrategy):
    """The decision of `bench wire`, on every tick: in when flat, else out."""

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        tradable: tuple[int, ...] = ()

    params: Params

    def prepare(self) -> None:
        self._decision = Decision(set(self.params.tradable))

    def on_market_data(self, tick: MarketTick) -> list[TradingSignal]:
        side = self._decision.side(tick.instrument_token, tick.last_price, tick.volume)
        if not side:
            return []
        if self.view(tick.instrument_token) != FLAT:
            return self.leave(tick, 1)
        return self.go_long(tick, 1) if side > 0 else self.go_short(tick, 1)


class Asking(Strategy):
    """Asks for so many orders, so many seconds apart, from instrument to instrument: most of them in and
    out at market, some at a limit beside the price, which rest for a minute or end at once.
    """

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        orders: int = 100
        every_s: float = 0.2
        seed: int = 1

    params: Params

    def prepare(self) -> None:
        self._chance = random.Random(self.params.seed)
        self._asked = 0
        self._next_s = 0.0
        self._held: dict[int, int] = {}
        self._waits: set[int] = set()
        self._turn: deque[int] = deque(self.instruments)

    def on_market_data(self, tick: MarketTick) -> list[TradingSignal]:
        token, now = tick.instrument_token, monotonic()
        if self._asked >= self.params.orders or now < self._next_s or token not in tuple(self._turn)[:3]:
            return []
        self._turn.remove(token)
        self._turn.append(token)
        if token in self._waits:
            return []
        self._next_s = now + self.params.every_s
        self._asked += 1
        self._waits.add(token)
        if self._held.get(token, 0) > 0:
            return [self.sell(tick, 1, PositionEffect.CLOSE)]
        price = round(tick.last_price * self._chance.uniform(0.997, 1.003))
        match self._chance.random():
            case part if part < 0.15:
                return [self.buy(tick, 1, price=price, validity="IOC")]
            case part if part < 0.3:
                return [self.buy(tick, 1, price=price, validity="TTL", validity_ttl=1)]
        return [self.buy(tick, 1)]

    def on_fill(self, fill: Fill) -> None:
        token = fill.instrument.instrument_token
        self._held[token] = self._held.get(token, 0) + fill.signed_quantity
        self._waits.discard(token)  # of one unit each order trades whole

    def on_order_update(self, order: Order) -> None:
        if order.status.ended:
            self._waits.discard(order.instrument.instrument_token)

    def on_refused(self, signal: TradingSignal, rule: str, why: str) -> None:  # noqa: ARG002 - a hook
        self._asked -= 1
        self._waits.discard(signal.instrument_token)


class Busy(Strategy):
    """Orders all day, and no two alike: in at market, in parts or at a limit that rests for a minute or ends
    at once, and out again. A restart finds what it holds and what rests. Silent where `asks` is False.
    """

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        asks: bool = True
        every_s: float = 0.25
        seed: int = 1

    params: Params

    def prepare(self) -> None:
        self._chance = random.Random(self.params.seed)
        self._next_s = 0.0
        self._held: dict[int, int] = {}
        self._waits: set[int] = set()

    def on_start(self, positions: Mapping[int, int], orders: Sequence[Order]) -> None:
        self._held = dict(positions)
        self._waits = {order.instrument.instrument_token for order in orders}

    def on_market_data(self, tick: MarketTick) -> list[TradingSignal]:
        token, now = tick.instrument_token, monotonic()
        if not self.params.asks or now < self._next_s or token in self._waits:
            return []
        if self._chance.random() < SKIPPED:
            return []
        self._next_s = now + self.params.every_s
        self._waits.add(token)
        held = self._held.get(token, 0)
        if held:
            act = self.sell if held > 0 else self.buy
            return [act(tick, abs(held), PositionEffect.CLOSE)]
        quantity, kind = self._chance.randint(1, 4), self._chance.random()
        price = round(tick.last_price * self._chance.uniform(0.997, 1.001))
        if kind < HOW_MANY_REST:
            return [self.buy(tick, quantity, price=price, validity="TTL", validity_ttl=1)]
        if kind < HOW_MANY_REST + HOW_MANY_AT_ONCE:
            return [self.buy(tick, quantity, price=price, validity="IOC")]
        return [self.buy(tick, quantity)]

    def on_fill(self, fill: Fill) -> None:
        token = fill.instrument.instrument_token
        self._held[token] = self._held.get(token, 0) + fill.signed_quantity

    def on_order_update(self, order: Order) -> None:
        if order.status.ended:
            self._waits.discard(order.instrument.instrument_token)

    def on_refused(self, signal: TradingSignal, rule: str, why: str) -> None:  # noqa: ARG002 - a hook
        self._waits.discard(signal.instrument_token)
