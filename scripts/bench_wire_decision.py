"""The one decision that both programs of `bench wire` make on every tick: momentum, and a rare trigger."""

from collections import deque
from time import monotonic

from wire_tap import deciding

LOOKBACK = 5
APART_S = 0.25
"""Orders are so far apart at least, so that no limit of Kite's holds one up, nor the margin kept from it."""


class Decision:
    """`side` is what to do on a tick: +1 to buy, -1 to sell, 0 nothing. Every tick is looked at."""

    def __init__(self, tradable: set[int]) -> None:
        self._tradable = tradable
        self._prices: dict[int, deque[float]] = {}
        self._last_s = 0.0

    def side(self, token: int, price: float, volume: int) -> int:
        prices = self._prices.get(token)
        if prices is None:
            prices = self._prices[token] = deque(maxlen=LOOKBACK + 1)
        prices.append(price)
        if len(prices) <= LOOKBACK or token not in self._tradable or not deciding(token, volume):
            return 0
        now = monotonic()
        if now - self._last_s < APART_S:
            return 0
        self._last_s = now
        return 1 if price >= prices[0] else -1
