"""Turns for calls that are no order requests: who reads from Kite waits here until the governor lets it."""

import time
from collections.abc import Awaitable, Callable

import anyio

from alphapanda.times import SECOND_NS
from alphapanda.venues.zerodha.governor import BUCKETS, Governor


class Calls:
    """`wall_ns` is the clock of calendar seconds; `sleep` takes seconds of it."""

    def __init__(
        self,
        governor: Governor,
        wall_ns: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.governor = governor
        self._wall_ns, self._sleep = wall_ns, sleep
        self._queues = {bucket: anyio.Lock() for bucket in BUCKETS}

    async def turn(self, bucket: str) -> None:
        """Until a call of "quote", "historical" or "other" may leave: who came first goes first. The caller
        writes at once; a call that is given up here was not counted.
        """
        async with self._queues[bucket]:
            while True:
                wall = self._wall_ns()
                if not (at_ns := self.governor.call(bucket, wall)):
                    return
                # A second at a time: the wall's clock may be put right meanwhile.
                await self._sleep(min(1.0, (at_ns - wall) / SECOND_NS))

    def limited(self, bucket: str) -> None:
        """Kite answered such a call with 429."""
        self.governor.limited(bucket, self._wall_ns())
