"""Keeps the exchange's time: it brings the exchange up to the wall clock whenever something is due."""

from time import monotonic_ns

import anyio
import anyio.lowlevel
from aiohttp import web

from alphapanda.exchange.exchange import Exchange
from alphapanda.times import SECOND_NS

LONGEST_WAIT_S = 60.0
"""It looks again after so long even where nothing seems due: sleeps drift."""
READERS_S = 0.002
"""How long the highest speed waits for a reader that is behind, before it looks again."""


class Pump:
    """Everybody who lets something happen in the exchange says `catch_up()` before and `wake()` after."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._changed = anyio.Event()

    def catch_up(self) -> int:
        """The exchange is at this moment, which is returned."""
        wall_ns = monotonic_ns()
        self.exchange.catch_up(wall_ns)
        return wall_ns

    def wake(self) -> None:
        """What is due next may have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed = anyio.Event()
            wait_s = self._go_on()
            if wait_s == 0:
                await anyio.lowlevel.checkpoint()  # the sockets' turn
                await self.readers()
                continue
            with anyio.move_on_after(wait_s):
                await self._changed.wait()

    async def readers(self) -> None:
        """Until no reader of ticks is behind: exchange time that nobody waits for can wait for them."""
        while self.exchange.stream.behind:  # noqa: ASYNC110 - a reader that catches up tells nobody
            await anyio.sleep(READERS_S)

    def _go_on(self) -> float:
        """What is due happens now; the seconds until there may be more."""
        exchange, clock = self.exchange, self.exchange.clock
        if clock.at_max:
            return 0 if exchange.leap(monotonic_ns()) else LONGEST_WAIT_S
        self.catch_up()
        due = exchange.schedule.next_ns
        wall = None if due is None else clock.wall_of(due)
        if wall is None:
            return LONGEST_WAIT_S
        return min(LONGEST_WAIT_S, max(0.0, (wall - monotonic_ns()) / SECOND_NS))


PUMP = web.AppKey("pump", Pump)
"""Where a request's handler finds it: `request.app[PUMP]`."""
