"""The loop's own part: when timers run. What a turn comes to is tested against the live line elsewhere."""

import asyncio

from builders import INFY, TEN_NS, batch, tick
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import laid, market, momentum, plan

from alphapanda.backtest import Backtest
from alphapanda.core.strategy import Strategy
from alphapanda.events import Timer
from alphapanda.pipeline import build_cores
from alphapanda.times import to_ns


class Watcher(Strategy):
    """Writes down when it was shown what; it never trades."""

    def __init__(self):
        super().__init__("watcher", [INFY.instrument_token], ["paper"])
        self.saw = []

    def on_market_data(self, tick):
        self.saw.append(("tick", tick.last_price))
        return []


class Timed(Watcher):
    def on_timer(self, now):
        self.saw.append(("timer", to_ns(now) - TEN_NS))
        return []


def walked(strategy, walk):
    loop = Backtest(build_cores(plan(strategy, rules=())), {"paper": market()}, lambda _event: None)
    loop.start()
    for row in walk:
        loop.turn(row)
    return strategy.saw


def rows(tenths):
    """Rows at these tenths of a second, which may step back."""
    return [batch(tick(100.0 + row), at=at / 10, row=row) for row, at in enumerate(tenths, 1)]


def test_a_timer_comes_once_a_second_of_the_rows_and_before_the_row():
    assert walked(Timed(), rows([2, 9, 10, 45])) == [
        ("timer", 0),
        ("tick", 101.0),
        ("tick", 102.0),
        ("timer", 1_000_000_000),
        ("tick", 103.0),
        ("timer", 4_000_000_000),
        ("tick", 104.0),
    ]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=20))
def test_both_shells_show_a_strategy_the_same_seconds(tenths):
    live = Timed()

    async def main():
        async with laid(plan(live, rules=())) as one:
            await one.turns(rows(tenths)).run()

    asyncio.run(main())
    assert live.saw == walked(Timed(), rows(tenths))


def test_a_timer_is_asked_for_by_any_strategy_that_has_one():
    def asked_for(*strategies):
        return build_cores(plan(*strategies)).strategy.timed

    assert not asked_for(momentum(), Watcher())
    assert asked_for(momentum(), Timed())


def test_the_live_line_carries_no_timer_that_nobody_asked_for():
    async def main(*, timed):
        async with laid(plan(Watcher(), rules=())) as one:
            await one.turns(rows([2, 45]), timed=timed).run()
            return sum(isinstance(event, Timer) for event in one.said)

    assert asyncio.run(main(timed=True)) == 2
    assert asyncio.run(main(timed=False)) == 0
