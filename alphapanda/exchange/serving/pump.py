"""Keeps the exchange's time: it brings the exchange up to the wall clock whenever something is due."""

from time import monotonic_ns

import anyio
import anyio.lowlevel
from aiohttp import web

from alphapanda.exchange.exchange import Exchange
from alphapanda.times import SECOND_NS

LONGEST_WAIT_S = 60.0
"""It looks again after so long even where nothing seems due: sleeps drift."""
LONGEST_LATE_NS = 3 * SECOND_NS
"""Busy for so long with what is due without coming to its end, it gives up the time by which it is late: so a
speed that is too high for the machine leaves the exchange answering, and slower. What a machine was busy
elsewhere for is made up in less.
"""
READERS_S = 0.002
"""How long the highest speed waits for a reader that is behind, before it looks again."""


class Pump:
    """Everybody who lets something happen in the exchange says `catch_up()` before and `wake()` after."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._begun = anyio.Event()
        self._changed = anyio.Event()
        self._late_since: int | None = None

    def catch_up(self) -> int:
        """The exchange is at this moment, which is returned."""
        self._begun.set()
        wall_ns = monotonic_ns()
        until_ns = self.exchange.clock.reaches(wall_ns)
        while self._late(until_ns):
            pass
        return wall_ns

    def wake(self) -> None:
        """What is due next may have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled. Time begins with the first request: who pauses the clock first finds the very
        moment of the opening, on every machine.
        """
        await self._begun.wait()
        while True:
            self._changed = anyio.Event()
            wait_s = self._go_on()
            if wait_s == 0:
                await anyio.lowlevel.checkpoint()  # the sockets' turn
                if self.exchange.clock.at_max:
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
        if self._late(clock.reaches(monotonic_ns())):
            return 0
        due = exchange.schedule.next_ns
        wall = None if due is None else clock.wall_of(due)
        if wall is None:
            return LONGEST_WAIT_S
        return min(LONGEST_WAIT_S, max(0.0, (wall - monotonic_ns()) / SECOND_NS))

    def _late(self, until_ns: int) -> bool:
        """Walk a little way to this exchange time; whether there is some left."""
        exchange, wall_ns = self.exchange, monotonic_ns()
        if not exchange.step_towards(until_ns):
            self._late_since = None
            return False
        if self._late_since is None:
            self._late_since = wall_ns
        if monotonic_ns() - self._late_since < LONGEST_LATE_NS:
            return True
        self._late_since = None
        lost_ns = exchange.clock.slip(monotonic_ns())
        exchange.history.add("clock", exchange.clock.now_ns, do="slip", seconds=lost_ns / SECOND_NS)
        return False


PUMP = web.AppKey("pump", Pump)
"""Where a request's handler finds it: `request.app[PUMP]`."""
