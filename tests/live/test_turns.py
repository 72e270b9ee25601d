"""The walk of a finite feed with the real cores: the order of a turn, its timers and marks, its pace."""

import asyncio
from time import monotonic

import msgspec
import pytest
from builders import SECOND, TEN_NS, batch, signal, tick
from eager import Eager, of, unlimited
from hypothesis import given, settings
from sessions import laid, momentum, prices, rows, run, session

from alphapanda.events import (
    Approved,
    Booked,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderStatus,
    OrderUpdated,
    Refused,
    TradingSignal,
)
from alphapanda.live.walk import Pace
from alphapanda.store import Store
from alphapanda.times import to_ns


class Timed(Eager):
    def on_timer(self, now):
        self.saw.append(("timer", to_ns(now)))
        return []


def test_a_row_fills_what_rested_before_the_strategies_see_it():
    eager = Eager()

    async def main():
        async with laid(unlimited(eager)) as one:
            await one.turns(rows([(0, 100.0), (0, 101.0), (0, 102.0)])).run()

    run(main)
    assert [saw for saw in eager.saw if saw[0] in ("tick", "fill")] == [
        ("tick", 100.0),
        ("fill", 1),
        ("tick", 101.0),
        ("fill", 1),
        ("tick", 102.0),
    ]
    assert [saw for saw in eager.saw if saw[1] == 1 and saw[0] != "fill"] == [
        ("PREPARED", 1),
        ("SENT", 1),
        ("OPEN", 1),
    ]


def test_nothing_of_a_turn_is_on_the_line_when_it_ends():
    async def main():
        async with laid(unlimited(Eager(), Eager("second"))) as one:

            def seen(row):
                assert one.line.quiet.busy == 0
                assert {len(inbox) for inbox in one.line.inboxes.values()} == {0}
                opened, sent = of(OrderOpened, one.said), of(OrderUpdated, one.said)
                assert len(opened) == 2 * row.row
                assert sum(one.order.status is OrderStatus.OPEN for one in sent) == 2 * row.row
                assert len(of(Booked, one.said)) == 2 * (row.row - 1)
                marked.append(row.row)

            turns = one.turns(rows([(0, 100.0)] * 7), seen=seen)
            await turns.run()
            assert turns.ended.is_set()
            assert (turns.row, turns.time_ns) == (7, TEN_NS + 7 * SECOND)

    marked = []
    run(main)
    assert marked == [1, 2, 3, 4, 5, 6, 7]


@settings(max_examples=25, deadline=None)
@given(prices)
def test_both_shells_make_the_same_orders_and_trades(prices):
    cores, expected = session(rows(prices))

    async def main():
        async with laid() as one:
            await one.turns(rows(prices)).run()
            assert undated(one.cores.portfolio.books()) == undated(cores.portfolio.books())
            assert one.cores.portfolio.balances() == cores.portfolio.balances()
            return one.said

    said = asyncio.run(main())
    for kind in (Approved, Refused, OrderOpened, OrderUpdated, OrderFilled, OrderClosed, Booked):
        assert undated(of(kind, said)) == undated(of(kind, expected))


def undated(value):
    """Without `received_ns`, which is for latency figures only."""
    if isinstance(value, dict):
        return {name: undated(inner) for name, inner in value.items() if name != "received_ns"}
    if isinstance(value, (list, tuple)):
        return [undated(inner) for inner in value]
    return undated(msgspec.structs.asdict(value)) if isinstance(value, msgspec.Struct) else value


def test_a_timer_comes_once_a_second_of_the_rows_and_before_the_row():
    timed = Timed()

    async def main():
        async with laid(unlimited(timed)) as one:
            walk = [batch(tick(100.0 + n), at=at, row=n) for n, at in enumerate([0.2, 0.9, 1.0, 4.5], 1)]
            await one.turns(walk).run()

    run(main)
    seen = [saw for saw in timed.saw if saw[0] in ("tick", "timer")]
    assert seen == [
        ("timer", TEN_NS),
        ("tick", 101.0),
        ("tick", 102.0),
        ("timer", TEN_NS + SECOND),
        ("tick", 103.0),
        ("timer", TEN_NS + 4 * SECOND),
        ("tick", 104.0),
    ]


def test_a_row_is_marked_when_its_work_is_done_and_a_timer_by_its_second():
    """The mark after a timer keeps the row before it: a start in between walks the row, not the timer."""
    timed = Timed()

    async def main():
        async with laid(unlimited(timed)) as one:

            def taken(row, clock_ns):
                assert one.line.quiet.busy == 0
                marks.append((row, clock_ns - TEN_NS, len(timed.saw)))

            def seen(batch):
                marks.append(("seen", batch.row))

            walk = [batch(tick(100.0 + n), at=at, row=n) for n, at in enumerate([0.25, 0.75, 4.5], 1)]
            await one.turns(walk, taken=taken, seen=seen).run()

    marks = []
    run(main)
    times = {saw: place for place, saw in enumerate(timed.saw, 1) if saw[0] in ("tick", "timer")}
    assert [mark[:2] for mark in marks] == [
        (0, 0),
        (1, SECOND // 4),
        ("seen", 1),
        (2, 3 * SECOND // 4),
        ("seen", 2),
        (2, 4 * SECOND),
        (3, 4 * SECOND + SECOND // 2),
        ("seen", 3),
    ]
    by_mark = {mark[:2]: mark[2] for mark in marks if mark[0] != "seen"}
    assert by_mark[0, 0] == times["timer", TEN_NS]
    assert times["timer", TEN_NS + 4 * SECOND] <= by_mark[2, 4 * SECOND] < times["tick", 103.0]


@pytest.mark.parametrize(
    ("came_to", "timers"),
    [(0.0, [1]), (0.9, [1]), (1.0, []), (1.5, []), (-1.0, [0, 1])],
    ids=["its first second", "in its first second", "the timer was done", "in the last second", "before"],
)
def test_a_walk_that_goes_on_does_not_repeat_the_timer_of_that_second(came_to, timers):
    timed = Timed()

    async def main():
        async with laid(unlimited(timed)) as one:
            walk = [batch(tick(100.0 + n), at=at, row=n) for n, at in [(7, 0.95), (8, 1.75)]]
            turns = one.turns(walk, row=6, time_ns=TEN_NS + round(came_to * SECOND))
            assert (turns.row, turns.time_ns) == (6, TEN_NS + round(came_to * SECOND))
            await turns.run()
            assert (turns.row, turns.time_ns) == (8, TEN_NS + 7 * SECOND // 4)

    run(main)
    assert [at - TEN_NS for what, at in timed.saw if what == "timer"] == [n * SECOND for n in timers]


def test_a_crash_after_a_timers_work_does_not_repeat_it(tmp_path):
    """The mark goes down with what the timer caused, and the next walk begins behind it."""
    walk = [batch(tick(100.0), at=0.5, row=1), batch(tick(101.0), at=1.5, row=2)]

    class Clocked(Timed):
        def on_market_data(self, tick):
            return []

        def on_timer(self, now):
            super().on_timer(now)
            return [signal(strategy_id=self.strategy_id)]

    class CrashError(Exception):
        pass

    async def walked(timed, crash_at):
        async with Store(tmp_path / "alphapanda.db") as store:
            found = store.recovered

            def taken(row, clock_ns):
                store.mark("a feed", row, clock_ns)
                if clock_ns == crash_at:
                    raise CrashError

            row, clock_ns = found.taken.get("a feed", 0), found.clock.get("a feed", 0)
            async with laid(unlimited(timed), store=store, saved=found.saved) as one:
                turns = one.turns(walk[row:], taken=taken, row=row, time_ns=clock_ns)
                try:
                    await turns.run()
                except CrashError:
                    await store.commit()

    first, second = Clocked(), Clocked()
    run(walked, first, TEN_NS + SECOND)
    run(walked, second, None)
    timers = [[at for what, at in one.saw if what == "timer"] for one in (first, second)]
    assert timers == [[TEN_NS, TEN_NS + SECOND], []]
    assert ("PREPARED", 1) in first.saw
    assert [saw for saw in second.saw if saw[0] == "PREPARED"] == []


def test_a_walk_stops_between_two_turns_and_can_be_told_from_its_end():
    async def main():
        async with laid(unlimited(Eager())) as one:

            def taken(row, _clock_ns):
                turns.stopping = row == 2

            turns = one.turns(rows([(0, 100.0)] * 5), taken=taken)
            await turns.run()
            assert not turns.ended.is_set()
            assert turns.row == 2
            assert len(of(OrderOpened, one.said)) == 2
            assert one.line.quiet.busy == 0

    run(main)


def test_operator_commands_run_between_turns():
    async def main():
        async with laid(unlimited(Eager())) as one:
            turns = one.turns(rows([(0, 100.0)] * 50))
            walk = asyncio.create_task(turns.run())
            while not walk.done():
                async with turns.lock:
                    assert one.line.quiet.busy == 0
                    assert len(of(OrderOpened, one.said)) == turns.row
                await asyncio.sleep(0)
            await walk
            assert turns.row == 50

    run(main)


def test_rows_carry_the_moment_they_entered_the_line():
    async def main():
        async with laid(unlimited(Eager())) as one:
            await one.turns(rows([(0, 100.0)])).run()
            (made,) = of(TradingSignal, one.said)
            (opened,) = of(OrderOpened, one.said)
            assert made.received_ns == opened.order.received_ns > 0

    run(main)


def paced(speed, *times_s):
    async def main():
        pace, started = Pace(speed), monotonic()
        for time_s in times_s:
            await pace.wait(TEN_NS + round(time_s * SECOND))
        return monotonic() - started

    return run(main)


def test_a_pace_follows_the_market_clock():
    assert paced(10, 0, 0.5, 1, 2) >= 0.2
    assert paced(1, 0, 0.05, 0.1) >= 0.1


@pytest.mark.parametrize(
    ("speed", "times"),
    [(None, (0, 900, 1800)), (1, (0, 1801, 90_000)), (1, (0, -500)), (1, (0,))],
    ids=["no pace", "nights", "a step back", "the first row"],
)
def test_a_pace_does_not_wait_for(speed, times):
    assert paced(speed, *times) < 5


def test_a_pace_makes_up_for_a_row_that_took_long():
    async def main():
        pace, started = Pace(1), monotonic()
        await pace.wait(TEN_NS)
        await asyncio.sleep(0.3)  # the row that took long
        await pace.wait(TEN_NS + SECOND // 10)
        await pace.wait(TEN_NS + SECOND // 5)
        return monotonic() - started

    assert 0.3 <= run(main) < 5


def test_momentum_trades_on_the_live_line():
    async def main():
        async with laid(unlimited(momentum())) as one:
            await one.turns(rows([(0, 100.0), (0, 102.0), (0, 102.0), (0, 98.0), (0, 98.0)])).run()
            assert [booked.position.quantity for booked in of(Booked, one.said)] == [3, 0]

    run(main)
