"""What no setting changes: a signal that could become no order, and prices on the tick of the exchange."""

from math import isfinite

from alphapanda.core.money import down_to_tick, up_to_tick
from alphapanda.events import (
    PRICED,
    STOPS,
    Instrument,
    Money,
    OrderType,
    PositionEffect,
    TradingSignal,
    TransactionType,
    Validity,
)

OPEN, TTL, MARKET = PositionEffect.OPEN, Validity.TTL, OrderType.MARKET
Fault = tuple[str, str]
"""(rule, why)"""


def on_tick(price: Money, side: TransactionType, instrument: Instrument) -> Money:
    """Rounded so that the order is never worse than asked: a buy down, a sale up."""
    if side is TransactionType.BUY:
        return down_to_tick(price, instrument.tick_size)
    return up_to_tick(price, instrument.tick_size)


def limit_of(signal: TradingSignal, instrument: Instrument) -> Money | None:
    if signal.price is None or signal.order_type not in PRICED:
        return None
    return on_tick(signal.price, signal.transaction_type, instrument)


def trigger_of(signal: TradingSignal, instrument: Instrument) -> Money | None:
    if signal.trigger_price is None or signal.order_type not in STOPS:
        return None
    return on_tick(signal.trigger_price, signal.transaction_type, instrument)


def impossible(signal: TradingSignal, instrument: Instrument, last: Money) -> Fault | None:
    """What is wrong with the signal itself. `last` is the last price, else that decided upon."""
    if signal.quantity <= 0:
        return "invalid_signal", f"quantity {signal.quantity} is not positive"
    lot = instrument.lot_size
    if lot > 1 and signal.position_effect is OPEN and signal.quantity % lot:
        return "lot_size", f"quantity {signal.quantity} is not a multiple of the lot of {lot}"
    if signal.validity is TTL and signal.validity_ttl < 1:
        return (
            "invalid_signal",
            f"validity TTL needs validity_ttl of 1 minute or more, not {signal.validity_ttl}",
        )
    if signal.order_type is MARKET:
        return None if last > 0 else _unpriced(signal)
    return _impossible_price(signal, instrument) or _impossible_stop(signal, instrument, last)


def _unpriced(signal: TradingSignal) -> Fault:
    return "no_price", f"no price of instrument token {signal.instrument_token} has been seen"


def _impossible_price(signal: TradingSignal, instrument: Instrument) -> Fault | None:
    wanted = []
    if signal.order_type in PRICED:
        wanted.append(("price", signal.price))
    if signal.order_type in STOPS:
        wanted.append(("trigger price", signal.trigger_price))
    for name, price in wanted:
        if price is None or not price.is_finite() or price <= 0:
            a = "an" if signal.order_type in STOPS else "a"
            return "invalid_signal", f"{a} {signal.order_type} order needs a positive {name}, not {price}"
        rounded = on_tick(price, signal.transaction_type, instrument)
        if rounded == 0:
            return "invalid_signal", f"the {name} {price} is below one tick of {instrument.tick_size}"
        lower, upper = instrument.lower_circuit_limit, instrument.upper_circuit_limit
        if lower is not None and rounded < lower:
            return "circuit_limit", f"{name} {rounded} is below the lower circuit limit of {lower}"
        if upper is not None and rounded > upper:
            return "circuit_limit", f"{name} {rounded} is above the upper circuit limit of {upper}"
    return None


def _impossible_stop(signal: TradingSignal, instrument: Instrument, last: Money) -> Fault | None:
    """A stop waits on the far side of the last price: above it to buy, below it to sell."""
    trigger, price = trigger_of(signal, instrument), limit_of(signal, instrument)
    if trigger is None:
        return None
    if not last > 0:
        return _unpriced(signal)
    buys = signal.transaction_type is TransactionType.BUY
    side, above = signal.transaction_type, "above" if buys else "below"
    if (trigger <= last) if buys else (trigger >= last):
        return (
            "invalid_signal",
            f"the trigger {trigger} of a {side} stop must be {above} the last price {last}",
        )
    if price is not None and ((price < trigger) if buys else (price > trigger)):
        most = "at or above" if buys else "at or below"
        return "invalid_signal", f"the price {price} of a {side} stop must be {most} its trigger {trigger}"
    return None


def not_a_number(signal: TradingSignal) -> Fault | None:
    if isfinite(signal.last_price):
        return None
    return "invalid_signal", f"the price decided upon is {signal.last_price}"
