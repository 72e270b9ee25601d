"""Opening range: buy what breaks out of the prices of its first minutes, out again by the end of the day.

It assumes that the first minutes find the price and that leaving them starts a move. It loses on days that
go sideways: each false break costs the way back to the stop, slippage and charges; `max_trades` bounds how
often. A gap through the stop costs more than the stop says.

The range is made of ticks stamped from 09:15 IST on, before 09:15 + `minutes`. Without one of them there is
no trade that day: who comes late (a start at noon, a kill switch that was on) does not know the range, and
one of later prices would be another strategy. What it holds by then has no stop; it is closed at `exit_at`.

It acts on prices only: what has none from `exit_at` on stays held overnight. A finite feed that goes on after
a stop shows earlier prices again but not what became of the signals, so that entries refused then count in
`max_trades`.
"""

from datetime import date
from math import inf, isfinite
from typing import Annotated

from msgspec import Meta, Struct

from alphapanda.core.position import LONG, SHORT, PositionStrategy
from alphapanda.events import MarketTick, PositionEffect, TradingSignal
from alphapanda.times import IST

OPENS, CLOSES = 9 * 60 + 15, 15 * 60 + 30  # minutes of the day
Percent = Annotated[float, Meta(ge=0, lt=100)]


class OpeningRangeStrategy(PositionStrategy):
    """Buy above the range, stop at its low or `stop_percent` under its high; shorts are the mirror of it."""

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        minutes: Annotated[int, Meta(ge=1, le=360)] = 15
        buffer_percent: Percent = 0.05
        stop_percent: Percent = 0.0
        max_trades: Annotated[int, Meta(ge=1)] = 1
        exit_at: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")] = "15:10"
        quantity: Annotated[int, Meta(ge=1)] = 1
        allow_short: bool = False

        def __post_init__(self) -> None:
            if not OPENS + self.minutes < _minutes(self.exit_at) < CLOSES:
                raise ValueError(f"exit_at {self.exit_at} must be after the range's end and before 15:30")

    params: Params
    retry_s = 60.0

    def prepare(self) -> None:
        self._range_ends = OPENS + self.params.minutes
        self._exit_at = _minutes(self.params.exit_at)
        self._days: dict[int, Day] = {}

    def on_market_data(self, tick: MarketTick) -> list[TradingSignal]:
        if not isfinite(tick.last_price) or tick.last_price <= 0:
            return []
        now = tick.timestamp.astimezone(IST)
        today, minute = now.date(), now.hour * 60 + now.minute
        day = self._days.get(tick.instrument_token)
        if day is None or day.on < today:
            day = self._days[tick.instrument_token] = Day(today)
        if today < day.on or minute < OPENS:
            return []
        if minute < self._range_ends:
            day.widen(tick)
            return []
        if minute >= self._exit_at:
            return self.leave(tick, self.params.quantity, f"it is {self.params.exit_at}")
        return self._trade(tick, day) if day.high else []

    def _trade(self, tick: MarketTick, day: "Day") -> list[TradingSignal]:
        params, price, view = self.params, tick.last_price, self._view.get(tick.instrument_token)
        stop, buffer = params.stop_percent / 100, params.buffer_percent / 100
        if view == LONG:
            stopped = price <= (day.high * (1 - stop) if stop else day.low)
            return self.leave(tick, params.quantity, "stopped") if stopped else []
        if view == SHORT:
            stopped = price >= (day.low * (1 + stop) if stop else day.high)
            return self.leave(tick, params.quantity, "stopped") if stopped else []
        if day.trades >= params.max_trades:
            return []
        if price > day.high * (1 + buffer):
            return day.enter(self.go_long(tick, params.quantity, f"above {day.high:.2f}"))
        if params.allow_short and price < day.low * (1 - buffer):
            return day.enter(self.go_short(tick, params.quantity, f"below {day.low:.2f}"))
        return []

    def on_refused(self, signal: TradingSignal, rule: str, why: str) -> None:
        """A refused entry was no trade. One that the broker rejects was, or it would be tried for ever."""
        super().on_refused(signal, rule, why)
        day = self._days.get(signal.instrument_token)
        if day and signal.position_effect is PositionEffect.OPEN:
            day.trades = max(0, day.trades - 1)


class Day(Struct):
    """One instrument's day: `high` is 0 while no price of the range was seen."""

    on: date
    high: float = 0.0
    low: float = inf
    trades: int = 0

    def enter(self, signals: list[TradingSignal]) -> list[TradingSignal]:
        self.trades += len(signals)
        return signals

    def widen(self, tick: MarketTick) -> None:
        """By the price, or by all that a bar reached."""
        reached = tick.bar and 0 < tick.low <= tick.high < inf
        self.high = max(self.high, tick.high if reached else tick.last_price)
        self.low = min(self.low, tick.low if reached else tick.last_price)


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])
