"""Candles as Kite's historical interface has them: bars put together, and named by their start."""

from collections.abc import Callable, Iterable, Iterator

from alphapanda.exchange.market.quote import Bar
from alphapanda.times import MINUTE_NS, day_of

INTERVALS = {
    "minute": 1,
    "3minute": 3,
    "5minute": 5,
    "10minute": 10,
    "15minute": 15,
    "30minute": 30,
    "60minute": 60,
    "day": 0,
}
"""Minutes of a candle; 0 is a whole day."""


def candles(
    minutes: Callable[[int], Iterable[Bar]],
    whole: Callable[[int], Bar | None],
    interval: str,
    from_ns: int,
    to_ns: int,
) -> Iterator[Bar]:
    """Those that begin between the two times, both included; days count as a whole.

    `minutes` gives the bars of a day, `whole` the day itself.
    """
    length = INTERVALS[interval]
    for day in range(day_of(from_ns), day_of(to_ns) + 1):
        if length:
            for bar in _joined(minutes(day), length * MINUTE_NS):
                if from_ns <= bar.start_ns <= to_ns:
                    yield bar
        elif (bar_of_day := whole(day)) is not None:
            yield bar_of_day


def _joined(bars: Iterable[Bar], length_ns: int) -> Iterator[Bar]:
    """Longer candles, counted from the day's first bar."""
    joined: Bar | None = None
    first_ns = 0
    for bar in bars:
        if joined is None:
            joined, first_ns = bar, bar.start_ns
            continue
        start_ns = bar.start_ns - (bar.start_ns - first_ns) % length_ns
        if start_ns == joined.start_ns:
            joined = added(joined, bar)
            continue
        yield joined
        joined = bar._replace(start_ns=start_ns)
    if joined is not None:
        yield joined


def added(first: Bar, second: Bar) -> Bar:
    """Two bars as one."""
    return Bar(
        first.start_ns,
        first.open,
        max(first.high, second.high),
        min(first.low, second.low),
        second.close,
        first.volume + second.volume,
        second.oi,
    )
