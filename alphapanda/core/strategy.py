"""What a strategy is: `Strategy`, which authors subclass. `core.runner` hosts them.

A strategy sees prices and the fate of its own signals, and answers with signals; it keeps its state in
itself. It follows the first of its brokers: fills, updates and refusals of the others are not shown to it,
so that it never counts a position twice.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Self, TypedDict, Unpack

import msgspec
from msgspec import Struct

from alphapanda.core.money import exact
from alphapanda.events import (
    Fill,
    MarketTick,
    Money,
    Order,
    OrderType,
    PositionEffect,
    TradingSignal,
    TransactionType,
    Validity,
)


class Terms(TypedDict, total=False):
    """How an order trades. With a `price` it is a LIMIT order, with a `trigger_price` SL-M, with both SL.

    Prices are in rupees, floats or decimals. `validity` is DAY, IOC, or TTL with `validity_ttl` minutes.
    """

    price: Money | float | None
    trigger_price: Money | float | None
    validity: Validity | Literal["DAY", "IOC", "TTL"]
    validity_ttl: int


class Strategy:
    """Subclass this, declare `Params`, and answer `on_market_data` with a list of signals.

    `strategy_id` names it in every row. `instruments` are instrument tokens. `params` is a mapping checked
    against `Params` (a bad one raises `msgspec.ValidationError` that names the key). The hooks are optional.
    """

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        """The strategy's own settings, with defaults."""

    params: Any

    def __init__(
        self,
        strategy_id: str,
        instruments: Sequence[int],
        brokers: Sequence[str],
        params: Mapping[str, Any] | Struct | None = None,
    ) -> None:
        self.strategy_id = strategy_id
        self.instruments = tuple(instruments)
        self.brokers = tuple(brokers)
        raw = msgspec.to_builtins(params) if isinstance(params, Struct) else dict(params or {})
        self.params = msgspec.convert(raw, type(self).Params)
        self.prepare()

    def prepare(self) -> None:
        """Make the strategy's own memory, empty. `params`, `instruments` and `brokers` are set by now."""

    def on_market_data(self, tick: MarketTick) -> list[TradingSignal]:  # noqa: ARG002 - a hook
        """Answer a tick of one of the strategy's instruments. Always a list; never raises on a valid tick."""
        return []

    def on_start(self, positions: Mapping[int, int], orders: Sequence[Order]) -> None:
        """Trading begins, or begins again: signed quantity by token, and orders that may still trade."""

    def on_fill(self, fill: Fill) -> None:
        """A fill of one of its orders, at its first broker."""

    def on_order_update(self, order: Order) -> None:
        """An order of the strategy changed its state at the first broker."""

    def on_refused(self, signal: TradingSignal, rule: str, why: str) -> None:
        """A signal made no order at the first broker."""

    def on_timer(self, now: datetime) -> list[TradingSignal]:  # noqa: ARG002 - a hook
        """A second of the clock has passed (not called for seconds that a finite feed jumps over)."""
        return []

    def on_stop(self) -> None:
        """Trading ends."""

    def buy(
        self,
        tick: MarketTick,
        quantity: int,
        effect: PositionEffect = PositionEffect.OPEN,
        reason: str = "",
        **terms: Unpack[Terms],
    ) -> TradingSignal:
        """An order to buy, decided on `tick`: at market, unless `Terms` say otherwise."""
        return self._signal(tick, TransactionType.BUY, quantity, effect, reason, **terms)

    def sell(
        self,
        tick: MarketTick,
        quantity: int,
        effect: PositionEffect = PositionEffect.OPEN,
        reason: str = "",
        **terms: Unpack[Terms],
    ) -> TradingSignal:
        """An order to sell, decided on `tick`: at market, unless `Terms` say otherwise."""
        return self._signal(tick, TransactionType.SELL, quantity, effect, reason, **terms)

    def _signal(
        self,
        tick: MarketTick,
        side: TransactionType,
        quantity: int,
        effect: PositionEffect,
        reason: str,
        *,
        price: Money | float | None = None,
        trigger_price: Money | float | None = None,
        validity: Validity | str = Validity.DAY,
        validity_ttl: int = 0,
    ) -> TradingSignal:
        limit, trigger = _rupees(price), _rupees(trigger_price)
        return TradingSignal(
            strategy_id=self.strategy_id,
            instrument_token=tick.instrument_token,
            transaction_type=side,
            quantity=quantity,
            position_effect=effect,
            order_type=_ORDER_TYPES[limit is not None, trigger is not None],
            price=limit,
            last_price=tick.last_price,
            reason=reason,
            trigger_price=trigger,
            validity=Validity(validity),
            validity_ttl=validity_ttl,
        )

    def fresh(self) -> Self:
        """A new one with the same settings and no memory."""
        return type(self)(self.strategy_id, self.instruments, self.brokers, self.params)


_ORDER_TYPES = {
    (False, False): OrderType.MARKET,
    (True, False): OrderType.LIMIT,
    (True, True): OrderType.SL,
    (False, True): OrderType.SL_M,
}
"""By whether there is a limit, and a trigger."""


def _rupees(price: Money | float | None) -> Money | None:
    """A float is taken for the decimal that it prints as."""
    return exact(price) if isinstance(price, float) else None if price is None else Money(price)
