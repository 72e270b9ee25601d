"""Mean reversion: buy what is unusually cheap against its own last prices, sell it when it is usual again.

It assumes that a price which strays from its recent average comes back, and that a return pays for slippage
and charges. It loses in a trend: the price keeps falling, the average follows it down, and the exit comes
below the entry; `stop_z` bounds that only in units of a spread that grows with the fall. It loses as well on
an instrument so quiet that one tick of price is already two deviations: charges eat each return.

The window counts ticks (or bars), not seconds. Windows start empty at a live start and after `kill-switch
off`: a position found then is kept until its window is full.
"""

from collections import deque
from math import sqrt
from typing import Annotated

from msgspec import Meta, Struct

from alphapanda.core.position import LONG, SHORT, PositionStrategy
from alphapanda.events import MarketTick, TradingSignal

HIGHEST_PRICE = 1e9
Deviations = Annotated[float, Meta(gt=0, le=100)]


class MeanReversionStrategy(PositionStrategy):
    """Enter long at z <= -entry_z, leave at z >= -exit_z; shorts are the mirror of it."""

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        window: Annotated[int, Meta(ge=3, le=10_000)] = 60
        entry_z: Deviations = 2.0
        exit_z: Annotated[float, Meta(ge=0, le=100)] = 0.5
        stop_z: Deviations | None = None
        quantity: Annotated[int, Meta(ge=1)] = 1
        allow_short: bool = False

        def __post_init__(self) -> None:
            if self.exit_z >= self.entry_z:
                raise ValueError(f"exit_z {self.exit_z} must be less than entry_z {self.entry_z}")
            furthest = sqrt(self.window - 1)  # where all other prices of the window are the same
            if max(self.entry_z, self.stop_z or 0) >= furthest:
                raise ValueError(f"entry_z and stop_z must be under {furthest:.2f}: this window has no more")
            if self.stop_z is not None and self.stop_z <= self.entry_z:
                raise ValueError(f"stop_z {self.stop_z} must be more than entry_z {self.entry_z}")

    params: Params
    retry_s = 60.0

    def prepare(self) -> None:
        self._windows: dict[int, Window] = {}
        self._stopped: dict[int, int] = {}  # LONG or SHORT: what was stopped and has not come back

    def on_market_data(self, tick: MarketTick) -> list[TradingSignal]:
        if not 0 < tick.last_price < HIGHEST_PRICE:  # NaN too: it compares false
            return []
        token, params = tick.instrument_token, self.params
        window = self._windows.get(token)
        if window is None:
            window = self._windows[token] = Window(params.window)
        z = window.z_of(tick.last_price)
        if z is None:
            return []
        view = self._view.get(token)
        if view == LONG:
            return self._hold(tick, -z)
        if view == SHORT:
            return self._hold(tick, z)
        return self._enter(tick, z) if abs(z) >= params.entry_z or token in self._stopped else []

    def _hold(self, tick: MarketTick, against: float) -> list[TradingSignal]:
        """`against` is the z of the price in the direction that hurts."""
        params = self.params
        if against <= params.exit_z:
            return self.leave(tick, params.quantity, f"back at {against:.2f} deviations")
        if params.stop_z is not None and against >= params.stop_z:
            token = tick.instrument_token
            self._stopped[token] = self.view(token)
            return self.leave(tick, params.quantity, f"stopped at {against:.2f} deviations")
        return []

    def _enter(self, tick: MarketTick, z: float) -> list[TradingSignal]:
        params, token = self.params, tick.instrument_token
        stopped = self._stopped.get(token)
        if stopped is not None:  # until it has come back once: else each stop would be bought again
            if -z * stopped <= params.exit_z:
                del self._stopped[token]
            return []
        if params.stop_z is not None and abs(z) >= params.stop_z:
            return []
        if z < 0:
            return self.go_long(tick, params.quantity, f"{z:.2f} deviations from its average")
        return self.go_short(tick, params.quantity, f"{z:.2f} deviations") if params.allow_short else []


class Window:
    """The last `length` prices and the z-score of the newest among them, in the same few steps at any length.

    The running sums are of whole ten-thousandths of a rupee, which no Indian price is finer than. Python adds
    and multiplies whole numbers exactly, so nothing is lost when a price leaves the sums, however long it
    runs; with floats the sum of squares of prices near 10,000 would drown the spread.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._prices: deque[int] = deque()
        self._sum = self._squares = 0

    def z_of(self, price: float) -> float | None:
        """Take `price` in; None until the window is full, 0 when all its prices are the same."""
        newest = round(price * 10_000)
        prices, length = self._prices, self._length
        prices.append(newest)
        self._sum += newest
        self._squares += newest * newest
        if len(prices) < length:
            return None
        if len(prices) > length:
            oldest = prices.popleft()
            self._sum -= oldest
            self._squares -= oldest * oldest
        # (x - sum/n) / sqrt(squares/n - (sum/n)^2), above and below times n
        spread = length * self._squares - self._sum * self._sum
        return (length * newest - self._sum) / sqrt(spread) if spread else 0.0
