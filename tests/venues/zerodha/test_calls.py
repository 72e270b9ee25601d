"""Turns for reading: who came first goes first, and nobody breaks Kite's limits of calls."""

import asyncio
from collections import Counter

import anyio

from alphapanda.times import SECOND_NS
from alphapanda.venues.zerodha.calls import Calls
from alphapanda.venues.zerodha.governor import Governor

NOON = 1_776_000_000 * SECOND_NS + 300_000_000


def test_a_turn_that_is_free_comes_at_once_and_buckets_do_not_wait_for_each_other():
    """The wall's clock stands: whoever had to wait would wait for ever."""

    async def main():
        calls = Calls(Governor(), lambda: NOON)
        with anyio.fail_after(60):
            await calls.turn("quote")
            for _ in range(3):
                await calls.turn("historical")
            for _ in range(8):
                await calls.turn("other")
        return calls

    calls = asyncio.run(main())
    assert all(calls.governor.call(bucket, NOON) for bucket in ("quote", "historical", "other"))


def test_who_came_first_goes_first_and_no_second_has_too_many():
    """Each look at the clock takes a tenth of a second; sleeps take their time of the same clock."""

    async def main():
        now, gone, napped = [NOON], [], []

        def wall_ns():
            now[0] += SECOND_NS // 10
            return now[0]

        async def nap(seconds):
            napped.append(seconds)
            now[0] += round(seconds * SECOND_NS)
            await asyncio.sleep(0)

        calls = Calls(Governor(), wall_ns, nap)

        async def reader(number):
            await calls.turn("quote")
            gone.append((number, now[0]))

        async with anyio.create_task_group() as group:
            for number in range(7):
                group.start_soon(reader, number)
                await asyncio.sleep(0)
        return gone, napped

    gone, napped = asyncio.run(main())
    assert [number for number, _ in gone] == list(range(7))
    assert max(Counter(at // SECOND_NS for _, at in gone).values()) == 1
    assert max(napped) <= 1.0, "the clock may be put right meanwhile"


def test_a_turn_that_is_given_up_is_not_counted_and_lets_the_next_one_in():
    async def main():
        now = [NOON]
        calls = Calls(Governor(), lambda: now[0])
        await calls.turn("quote")
        with anyio.move_on_after(0.01):
            await calls.turn("quote")
        now[0] += SECOND_NS
        with anyio.fail_after(60):
            await calls.turn("quote")

    asyncio.run(main())


def test_after_a_429_the_next_turn_waits_a_second():
    async def main():
        now = [NOON]
        naps = []

        async def nap(seconds):
            naps.append(seconds)
            now[0] += round(seconds * SECOND_NS)

        calls = Calls(Governor(), lambda: now[0], nap)
        calls.limited("other")
        await calls.turn("historical")
        assert not naps
        await calls.turn("other")
        return naps

    assert asyncio.run(main()) == [1.0]
