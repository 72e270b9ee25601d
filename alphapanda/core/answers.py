"""What a strategy may answer: code from outside, and constructors check nothing, so wrong types end here."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import msgspec

from alphapanda.events import TradingSignal

MOST_SIGNALS = 1_000
LARGEST_QUANTITY = 1_000_000_000
HIGHEST_PRICE = 1_000_000_000
LONGEST_REASON = 200
LONGEST_TTL = 1440


def checked(answer: Any) -> list[TradingSignal]:
    """The signals, each with its declared types. Raises what is wrong; the runner quarantines for it."""
    if isinstance(answer, TradingSignal):
        raise TypeError("a strategy answers with a list: write [signal] instead of signal")
    if not isinstance(answer, Sequence) or len(answer) > MOST_SIGNALS:
        raise TypeError(f"a strategy answers with a list of at most {MOST_SIGNALS} signals")
    for signal in answer:
        if not isinstance(signal, TradingSignal):
            raise TypeError(f"a strategy answers with a list of TradingSignal, not {type(signal).__name__}")
    signals = msgspec.convert(msgspec.to_builtins(answer), list[TradingSignal])
    for signal in signals:
        _check(signal)
    return signals


def _check(signal: TradingSignal) -> None:
    """Every later stage, and the journal, must be able to hold it."""
    if not isfinite(signal.last_price):
        raise ValueError(f"the price decided upon is {signal.last_price}")
    if abs(signal.quantity) > LARGEST_QUANTITY:
        raise ValueError(f"quantity {signal.quantity} is over {LARGEST_QUANTITY}")
    for price in (signal.price, signal.trigger_price):
        if price is not None and price.is_nan():  # which cannot be compared
            raise ValueError("a price or trigger price is not a number")
        if price is not None and not abs(price) < HIGHEST_PRICE:
            raise ValueError(f"price {price} is over {HIGHEST_PRICE}")
    if abs(signal.validity_ttl) > LONGEST_TTL:
        raise ValueError(f"validity_ttl {signal.validity_ttl} is over {LONGEST_TTL} minutes")
    if len(signal.reason.encode()) > LONGEST_REASON:
        raise ValueError(f"a reason has at most {LONGEST_REASON} characters")
