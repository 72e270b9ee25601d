"""A live feed in the place of turns: what comes is published, the operator can hold it, its clock goes on."""

import asyncio

from builders import TEN_NS, batch, tick
from eager import of
from sessions import laid, plan, until

from alphapanda.events import TickBatch, Timer
from alphapanda.live.walk import Stream
from alphapanda.pipeline import Stage
from alphapanda.times import SECOND_NS


class Prices:
    """A live feed whose batches and time the test decides."""

    def __init__(self):
        self.publish = None
        self.time_ns = TEN_NS

    async def run(self, publish):
        self.publish = publish
        await asyncio.Event().wait()

    def now_ns(self):
        return self.time_ns

    def summary(self):
        return {}


def streamed(main, **options):
    """`main(one, prices, stream, seen)` on a line without strategies; `seen` are the prices it was given."""

    async def run():
        async with laid(plan(rules=())) as one:
            prices, seen = Prices(), []
            stream = Stream(prices, one.line, one.gate, one.brokers, seen=seen.append, **options)
            walking = asyncio.create_task(stream.run())
            await until(lambda: prices.publish is not None)
            try:
                await main(one, prices, stream, seen)
            finally:
                walking.cancel()
                await asyncio.wait([walking])

    asyncio.run(run(), debug=True)


def test_what_comes_is_published_in_its_order_and_counted():
    async def main(one, prices, stream, seen):
        for number in range(5):
            prices.publish(batch(tick(100 + number), at=number))
        await one.line.quiet.wait()
        assert [each.ticks[0].last_price for each in seen] == [100, 101, 102, 103, 104]
        assert stream.time_ns == seen[-1].time_ns
        assert one.line.gauges[Stage.FEED].processed == 5

    streamed(main)


def test_while_the_operator_holds_it_the_newest_price_waits_and_follows():
    async def main(one, prices, stream, seen):
        async with stream.lock:
            assert one.line.quiet.busy == 0
            for number in range(5):
                prices.publish(batch(tick(100 + number), at=number))
            assert one.line.quiet.busy == 0
            assert seen == []
        assert [each.ticks[0].last_price for each in seen] == [104]
        await one.line.quiet.wait()

    streamed(main)


def test_two_who_hold_it_take_turns_and_no_price_slips_in_between():
    async def main(one, prices, stream, seen):
        held = []

        async def hold(name):
            async with stream.lock:
                held.append(name)
                prices.publish(batch(tick(100)))
                await asyncio.sleep(0)
                held.append(name)
                assert seen == []

        await asyncio.gather(hold("a"), hold("b"))
        assert held == ["a", "a", "b", "b"]
        assert len(seen) == 1

    streamed(main)


def test_a_second_of_the_markets_clock_without_a_price_is_told_to_everybody():
    async def main(one, prices, stream, seen):
        await until(lambda: of(Timer, one.said))
        prices.time_ns += 7 * SECOND_NS
        await until(lambda: len(of(Timer, one.said)) == 2)
        first, second = of(Timer, one.said)
        assert second.time_ns - first.time_ns == 7 * SECOND_NS
        await until(lambda: stream.time_ns == prices.time_ns)
        assert seen == []  # no price came

    streamed(main)


def test_without_timers_the_clock_goes_on_all_the_same():
    async def main(one, prices, stream, seen):
        await until(lambda: stream.time_ns == prices.time_ns)
        assert of(Timer, one.said) == []

    streamed(main, timed=False)


def test_the_day_is_over_when_its_sessions_are():
    closes_ns = TEN_NS + 3600 * SECOND_NS

    async def main(one, prices, stream, seen):
        await until(lambda: stream.time_ns == prices.time_ns)
        assert not stream.ended.is_set()
        prices.time_ns = closes_ns
        await asyncio.wait_for(stream.ended.wait(), 30)

    streamed(main, over=lambda now_ns: now_ns >= closes_ns)


def test_once_it_stops_nothing_is_published():
    async def main(one, prices, stream, seen):
        stream.stopping = True
        prices.publish(batch(tick(100)))
        assert (seen, one.line.quiet.busy) == ([], 0)

    streamed(main)


def test_an_empty_batch_is_no_price():
    async def main(one, prices, stream, seen):
        prices.publish(TickBatch(time_ns=TEN_NS, ticks=()))
        assert (seen, one.line.gauges[Stage.FEED].processed) == ([], 0)

    streamed(main)
