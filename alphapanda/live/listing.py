"""The day's instruments, as the line of this account has them: read once a day, with their circuit limits."""

from collections.abc import Collection, Sequence
from datetime import date
from functools import partial
from typing import Any

from anyio import to_thread
from loguru import logger

from alphapanda.errors import Transient
from alphapanda.events import Instrument
from alphapanda.live.instruments import Synced, came_out, sync
from alphapanda.store import Store, instruments
from alphapanda.times import to_ist
from alphapanda.venues.zerodha.books import Books
from alphapanda.venues.zerodha.clock import MarketClock
from alphapanda.venues.zerodha.dump import circuits, relisted

prices = logger.bind(channel="market_data")


class Listing:
    """`listed` are those that are traded, or were, and are on the list."""

    def __init__(self, books: Books, store: Store, clock: MarketClock, *, rehearsal: bool) -> None:
        self.listed: Sequence[Instrument] = ()
        self._books = books
        self._store = store
        self._clock = clock
        self._rehearsal = rehearsal
        self._synced_ns = 0
        """When the list in use was read, by the market's clock."""

    @property
    def day(self) -> date:
        return to_ist(self._clock.now_ns()).date()

    @property
    def is_old(self) -> bool:
        """Kite has made the day's list since this one was read."""
        return came_out(self._synced_ns, self._clock.now_ns())

    async def of(self, keys: Collection[str]) -> Sequence[Instrument]:
        """`keys` as the day's list has them, with their circuit limits. Where no list of the day can be had
        the newest stands, and risk refuses entries by it.
        """
        last = await to_thread.run_sync(
            partial(instruments.last, self._store.path, rehearsal=self._rehearsal)
        )
        now_ns = self._clock.now_ns()
        if last is None or last.day != self.day or (not self._rehearsal and came_out(last.synced_ns, now_ns)):
            try:
                await self._sync()
            except Transient as error:
                prices.error("{}", error)
        else:
            self._synced_ns = now_ns
        found = await self._found(keys)
        for missing in sorted(set(keys) - {each.key for each in found}):
            prices.warning(
                "{} is not on the instrument list of {}: it is not traded;"
                " see `alphapanda instruments search`",
                *(missing, self.day),
            )
        self.listed = await self._limited(found)
        return self.listed

    async def sync_now(self) -> tuple[dict[str, Any], Sequence[Instrument]]:
        """The list once more, for somebody who asks: what to answer, and what the line has to hear.

        Raises ValueError where it is not to be had.
        """
        try:
            synced = await self._sync()
        except Transient as error:
            raise ValueError(str(error)) from error
        now = await self._found([each.key for each in self.listed])
        self.listed = await self._limited(relisted(self.listed, now))
        return synced.told(), self.listed

    async def _sync(self) -> Synced:
        now_ns = self._clock.now_ns()
        synced = await sync(self._books, self._store, self.day, rehearsal=self._rehearsal)
        self._synced_ns = now_ns
        return synced

    async def _found(self, keys: Collection[str]) -> Sequence[Instrument]:
        find = partial(instruments.listed_instruments, self._store.path, self.day, keys)
        return await to_thread.run_sync(partial(find, rehearsal=self._rehearsal))

    async def _limited(self, found: Sequence[Instrument]) -> Sequence[Instrument]:
        """With the day's circuit limits, which only quotes have."""
        try:
            quotes = await self._books.quote([each.key for each in found])
        except Transient as error:
            prices.warning("the circuit limits are not known: {}", error)
            return found
        changed = {each.key: each for each in circuits(found, quotes)}
        return [changed.get(each.key, each) for each in found]
