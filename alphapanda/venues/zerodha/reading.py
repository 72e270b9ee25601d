"""When Kite's books are read: soon while anything is in doubt, now and then otherwise.

One reading at a time: /orders, then /trades. What wakes us during one means one more.
"""

import time
from collections.abc import Awaitable, Callable
from enum import Enum

import anyio
from loguru import logger

from alphapanda.errors import CannotStart, Fatal, Transient
from alphapanda.fail_points import FailPoint, reach
from alphapanda.venues.zerodha.book_rows import BookRead, OrderRow, TradeRow
from alphapanda.venues.zerodha.books import Books
from alphapanda.venues.zerodha.holds import EVERYTHING, Holds
from alphapanda.venues.zerodha.session import Session

trading = logger.bind(channel="trading")


class Need(Enum):
    """What a reading is for. The value: seconds of the first pause, and what it grows to."""

    SOON = (0.2, 2.0)
    """Something is in doubt, on its way, or wanted back."""
    OPEN = (2.0, 2.0)
    """Orders may trade."""
    NONE = (30.0, 30.0)
    """What was made by hand, and what was not found, may still come."""


RETRY_S = (0.2, 5.0)
"""Pauses after a book that could not be read."""
BLIND_S = 10.0
"""Without a book for so long while orders may trade, nothing new is sent."""
START_S = 60.0
"""So long are the books asked for at a start."""
DEAD, BLIND = "session", "books"
"""Who holds the broker."""


async def _nothing() -> None:
    """Nothing is compared."""


class Reading:
    """`take` gets each good pair of books, `need` says how soon the next is wanted. `compare` is awaited
    before anything may trade: at the start, and after the session was renewed.
    """

    def __init__(
        self,
        books: Books,
        session: Session,
        holds: Holds,
        take: Callable[[BookRead[OrderRow], BookRead[TradeRow]], None],
        need: Callable[[], Need],
        *,
        start_s: float = START_S,
    ) -> None:
        self.compare: Callable[[], Awaitable[None]] = _nothing
        self.trouble = ""
        """Why the last reading failed."""
        self.asked_s = float("-inf")
        """When the newest good book was asked for."""
        self._books = books
        self._session = session
        self._holds = holds
        self._take = take
        self._need = need
        self._start_s = start_s
        self._read_s = float("-inf")
        self._one = anyio.Lock()
        self._wake = anyio.Event()
        self._died = self._blind = False
        session.on_death.append(self._on_death)
        session.on_renewal.append(self._on_renewal)

    def wake(self) -> None:
        self._wake.set()

    def age_s(self) -> float | None:
        """Of the newest good book."""
        age_s = time.monotonic() - self._read_s
        return round(age_s, 1) if age_s < float("inf") else None

    async def refresh(self) -> None:
        """Read, and take. Raises Transient."""
        async with self._one:
            orders = await self._books.orders()
            trades = await self._books.trades()
            self.asked_s, self._read_s = orders.asked_s, orders.answered_s
            reach(FailPoint.BOOK_READ)
            self._take(orders, trades)
            reach(FailPoint.BOOK_APPLIED)

    async def open(self, *, again: bool = False) -> None:
        """The first good reading, compared. Raises Fatal where there is none, CannotStart without a login.

        `again`: for both it is waited, as long as it takes.
        """
        pause_s, gives_up_s = RETRY_S[0], time.monotonic() + (float("inf") if again else self._start_s)
        while True:
            if again:
                await self._session.living()
            elif not self._session.alive:
                raise CannotStart(f"the Zerodha session is dead: {self._session.why}; run `alphapanda login`")
            try:
                await self.refresh()
                self._recover()
                reach(FailPoint.BOOKS_READ_AT_START)
                await self.compare()
                reach(FailPoint.COMPARED_AT_START)
            except Transient as error:
                if time.monotonic() > gives_up_s:
                    raise Fatal(f"Zerodha's books cannot be read: {error}") from error
                trading.warning("{}", error)
                self.trouble = str(error)
            else:
                return
            await anyio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_S[1])

    async def watch(self) -> None:
        """Until cancelled."""
        pause_s, failed_s = self._need().value[0], 0.0
        while True:
            with anyio.move_on_after(failed_s or pause_s):
                await self._wake.wait()
                pause_s = 0.0
            self._wake = anyio.Event()
            try:
                if self._died:
                    await self._come_back()
                await self.refresh()
            except Transient as error:
                self._fail(error)
                failed_s = min(max(2 * failed_s, RETRY_S[0]), RETRY_S[1])
                continue
            failed_s = 0.0
            self._recover()
            first_s, longest_s = self._need().value
            pause_s = min(max(1.5 * pause_s, first_s), longest_s)

    async def _come_back(self) -> None:
        """After the next login: the books, what differs, and only then new orders."""
        await self._session.living()
        self._died = False
        try:
            await self.refresh()
            await self.compare()
        except Transient:
            self._died = True
            raise
        if self._session.alive and not self._died:
            self._holds.release(DEAD, EVERYTHING)
            trading.info("the books are read and compared: Zerodha takes orders again")

    def _fail(self, error: Transient) -> None:
        if not self.trouble:
            trading.warning("{}", error)
        self.trouble = str(error)
        if time.monotonic() - self._read_s > BLIND_S and self._need() is not Need.NONE:
            if not self._blind:
                trading.error("Zerodha's books cannot be read for {:g} s: nothing new is sent", BLIND_S)
            self._blind = True
            self._holds.hold(BLIND, EVERYTHING, "its order book cannot be read")

    def _recover(self) -> None:
        if self.trouble:
            trading.info("Zerodha's books can be read again")
            self.trouble = ""
            self._blind = False
            self._holds.release(BLIND, EVERYTHING)

    def distrust(self, why: str) -> None:
        """Nothing leaves before the books are read and compared."""
        self._died = True
        self._holds.hold(DEAD, EVERYTHING, why)
        self.wake()

    def _on_renewal(self) -> None:
        """Nobody may have noticed that the token before had died: the books come first all the same."""
        self.distrust("its books are not read since the login")

    def _on_death(self, why: str) -> None:
        self.distrust(f"the session is dead: {why}")
