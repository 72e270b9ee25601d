"""Our positions beside Zerodha's: at start, every half minute while the market is open, at the end of day.

Each time the order and trade books are read first, so that what was traded by hand is known; then positions
and holdings. What moves between request and answer is left out. The first comparison ever takes what the
account holds already for external; the first of a day does so with what changed over night, if none of it is
ours. Everything else that differs then halts: it is never put right by inventing orders. Later that day a
difference that stands twice freezes the symbol, and three of them halt.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import anyio
from loguru import logger

from alphapanda.core.comparison import (
    END_OF_DAY,
    IN_A_ROW,
    NEVER,
    OPENING,
    OVERNIGHT,
    RUNNING,
    START,
    Drift,
    Key,
    Net,
    compare,
    key_of,
    unwatched,
)
from alphapanda.errors import CannotStart, Fatal, Transient
from alphapanda.events import (
    Compared,
    Difference,
    ExternalHeld,
    ExternalOrder,
    ExternalSeen,
    Order,
    Report,
)
from alphapanda.times import MINUTE_NS, day_of, start_of
from alphapanda.venues.contract import Reporter
from alphapanda.venues.zerodha.books import Books
from alphapanda.venues.zerodha.charging import Charging
from alphapanda.venues.zerodha.external_orders import Worth, net_of, worths_of
from alphapanda.venues.zerodha.external_words import told, words_of
from alphapanda.venues.zerodha.holds import EVERYTHING
from alphapanda.venues.zerodha.reading import START_S
from alphapanda.venues.zerodha.reconciliation import Reconciliation, Resolutions
from alphapanda.venues.zerodha.session import SessionDead

INTERVAL_S = 30.0
AGAIN_S = 2.0
"""How soon a difference is looked at again."""
RETRY_S = 1.0
"""Pauses at a start between books that cannot be read."""
LAST_TRIES = 5
"""So often are the books asked for at the end of the day."""
QUIET_TRIES = 10
"""So often is a baseline taken again because something traded meanwhile."""
WATCH_S = 1.0
OPENS_NS, CLOSES_NS = 9 * 60 * MINUTE_NS, 20 * 60 * MINUTE_NS
"""IST. At night Zerodha moves shares from positions to holdings, and shows them in both or neither."""
NOT_YET = "the day's positions are not compared yet"

trading = logger.bind(channel="trading")


def open_hours(now_ns: int) -> bool:
    """Whether the books hold still, apart from trades."""
    return OPENS_NS <= now_ns - start_of(day_of(now_ns)) < CLOSES_NS


class Look(NamedTuple):
    """Both books at one moment. What moved meanwhile (`touched`) is not among the differences."""

    differences: tuple[Difference, ...]
    theirs: Net
    touched: set[Key]
    worths: Mapping[Key, Worth]


def _nobody(_held: ExternalHeld) -> None:
    """Nobody counts it."""


class Comparer:
    """Also hears of every report, so that what moves is left out, and tells what was learnt of trades and
    orders that are not ours.

    What is asked of the broker: `reading.compare` is `at_start`, and `on_report`, `on_book` and `touched` are
    those here.

    `refresh` reads orders and trades once and applies them. `ours` is our book's net positions; where it is
    not given, what the fills say. `publish` takes what goes to the journal. `hold` (with why) and `release`
    name EXCHANGE:SYMBOL, or EVERYTHING until the day's first comparison. `watching` says whether the books
    hold still at a time of the market's clock.
    """

    def __init__(
        self,
        books: Books,
        reconciliation: Reconciliation,
        *,
        refresh: Callable[[], Awaitable[None]],
        now_ns: Callable[[], int],
        publish: Callable[[Compared | ExternalSeen | ExternalOrder], None],
        hold: Callable[[str, str], None],
        release: Callable[[str], None],
        halt: Callable[[str], None],
        charging: Charging | None = None,
        ours: Callable[[], Net] | None = None,
        watching: Callable[[int], bool] = open_hours,
        interval_s: float = INTERVAL_S,
        again_s: float = AGAIN_S,
        start_s: float = START_S,
    ) -> None:
        self.ours = ours or reconciliation.external.held
        self.report: Reporter = lambda _report: None
        """Where adopted orders and their fills go: the line."""
        self.expose: Callable[[ExternalHeld], None] = _nobody
        """Who counts what is not ours, each time it has changed."""
        self._exposed = ExternalHeld(reconciliation.broker, ())
        self._books = books
        self._reconciliation = reconciliation
        self._external = reconciliation.external
        self._broker = reconciliation.broker
        self._refresh = refresh
        self._now_ns = now_ns
        self._publish = publish
        self._hold = hold
        self._release = release
        self._halt = halt
        self._charging = charging
        self._day = reconciliation.known.day
        self._watching = watching
        self._interval_s = interval_s
        self._again_s = again_s
        self._start_s = start_s
        self._joined = False
        self._morning = anyio.Event()
        self._drift = Drift()
        self._touched: set[Key] = set()
        self._last: tuple[Difference, ...] = ()
        self.differences: tuple[Difference, ...] = ()
        """When it was last looked."""
        self._unread = False
        self._one = anyio.Lock()
        """Of two at once, one would forget what has moved while the other waits for its answer."""

    # what the broker tells

    def touched(self, order: Order) -> None:
        """Something has happened to this order's position, or may have: it is not compared just now."""
        instrument = order.instrument
        self._touched.add(key_of(instrument.exchange, instrument.tradingsymbol, order.product))

    def on_report(self, order: Order, report: Report) -> None:
        """Of an order that we placed; `order` as it is after the report."""
        self.touched(order)
        if self._charging is not None:
            self._charging.on_report(order, report)

    def on_book(self, resolutions: Resolutions) -> None:
        """After the reports of the same books on our own orders."""
        for report in resolutions.over:
            self.report(report)
        for trade, outputs in resolutions.trades:
            self._touched.add(trade.key)
            trading.warning("{}", told(trade, outputs))
            for output in outputs:
                if isinstance(output, ExternalSeen):
                    self._publish(output)
                    continue
                if isinstance(output, Report) and self._charging is not None:
                    self._charging.on_report(self._adopted(output), output)
                self.report(output)
        for order in resolutions.orders:
            self._publish(order)
        self._expose()

    def _expose(self) -> None:
        held = self._reconciliation.exposure()
        if held != self._exposed:
            self._exposed = held
            self.expose(held)

    def _adopted(self, report: Report) -> Order:
        orders = self._external.adopted(report.broker_order_id or "")
        return next(order for order in orders if order.order_id == report.order_id)

    # comparing

    async def at_start(self) -> None:
        """Before anything trades; and again once the session is renewed, where a difference only freezes.

        At night there is nothing to compare: the morning begins with it, and so does a morning on which the
        login came late (`run`). Raises Fatal where the books cannot be read, CannotStart where the token is
        dead, and after a renewal Transient.
        """
        if self._reconciliation.by_half:
            raise Fatal(f"{self._broker}: trades that are not ours may be booked by half: only a start helps")
        now_ns = self._now_ns()
        if not self._watching(now_ns):
            trading.info("{}: positions are compared when the market opens", self._broker)
            self._hold(EVERYTHING, NOT_YET)
            self._morning.set()
        elif not self._joined:
            await self._begin()
        elif self._day != day_of(now_ns):
            self._hold(EVERYTHING, NOT_YET)
            self._morning.set()
        else:
            await self.settle()
        self._joined = True

    async def settle(self) -> None:
        """Compare until what differs, or agrees again, has done so often enough. Raises Transient."""
        await self._round()
        for _ in range(IN_A_ROW):
            if self._drift.unsettled:
                await anyio.sleep(self._again_s)
                await self._round()

    async def _begin(self) -> None:
        gives_up_s = time.monotonic() + self._start_s
        while True:
            try:
                await self._first_of_day()
            except SessionDead as error:
                raise CannotStart(f"{self._broker}: {error}; run `alphapanda login`") from error
            except Transient as error:
                if time.monotonic() > gives_up_s:
                    raise Fatal(f"{self._broker}: positions cannot be compared: {error}") from error
                trading.warning("{}: positions cannot be compared yet: {}", self._broker, error)
                await anyio.sleep(RETRY_S)
            else:
                return

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if day_of(self._now_ns()) != self._day:
                self._hold(EVERYTHING, NOT_YET)
                if self._watching(self._now_ns()):
                    await self._if_readable(self._first_of_day)
                await anyio.sleep(WATCH_S)
                continue
            self._morning = anyio.Event()
            with anyio.move_on_after(self._again_s if self._drift.unsettled else self._interval_s):
                await self._morning.wait()
                continue
            if self._watching(self._now_ns()):
                await self._if_readable(self._round)
            if self._charging is not None:
                await self._charging.compare()

    async def at_end_of_day(self) -> None:
        """Once more, whatever the hour, and written down. A difference is told; it halts nothing any more."""
        if self._charging is not None:
            await self._charging.compare(end_of_day=True)
        for again in range(LAST_TRIES):
            try:
                differences, theirs, touched, _ = await self._look()
            except Transient as error:
                trading.warning("{}: positions cannot be compared: {}", self._broker, error)
            else:
                if not (differences or touched) or again:
                    self._say(END_OF_DAY, differences, theirs, touched)
                    return
            await anyio.sleep(self._again_s)

    async def _first_of_day(self) -> None:
        """What may be taken for external is; a difference beyond that has to stand twice, and then halts.

        Raises Transient where the books cannot be read: nothing is lost by beginning again.
        """
        for name in self._drift.frozen:
            self._release(name)
        self._drift, self._last = Drift(), ()
        now_ns = self._now_ns()
        why = OPENING if self._day == NEVER else OVERNIGHT if self._day != day_of(now_ns) else ""
        for _ in range(QUIET_TRIES):
            differences, theirs, touched, _ = await self._look()
            if not touched:
                break
        # By the fills told, not by our book: what is on its way there would be taken for external.
        by_fills = compare(self._external.held(), theirs, self._external.units, touched)
        for seen in self._external.found(unwatched(by_fills, why), why, now_ns):
            self._publish(seen)
            trading.info("{}: {}", self._broker, words_of(seen))
        self._expose()
        differences = compare(self.ours(), theirs, self._external.units, touched)
        if differences:
            await anyio.sleep(self._again_s)
            differences, theirs, touched, _ = await self._look()
        self._day = day_of(now_ns)
        self._say(START, differences, theirs, touched)
        self._release(EVERYTHING)
        if differences:
            self._halt(f"our book and {self._broker}'s differ: {'; '.join(map(str, differences))}")

    async def _if_readable(self, look: Callable[[], Awaitable[None]]) -> None:
        """What cannot be read is said once, and is no difference."""
        try:
            await look()
        except Transient as error:
            if not self._unread:
                trading.warning("{}: positions cannot be compared: {}", self._broker, error)
            self._unread = True
        else:
            if self._unread:
                trading.info("{}: positions are compared again", self._broker)
            self._unread = False

    async def _round(self) -> None:
        differences, theirs, touched, _ = await self._look()
        before = self._drift.frozen
        step = self._drift.on(differences, touched)
        for name, why in step.hold.items():
            trading.error("{} is frozen: {}", name, why)
            self._hold(name, why)
        for name in step.release:
            trading.warning("{} agrees with {} again", name, self._broker)
            self._release(name)
        settled = not self._drift.unsettled
        if before != self._drift.frozen or (settled and not touched and differences != self._last):
            self._say(RUNNING, differences, theirs, touched)
        if step.halt:
            self._halt(step.halt)

    async def look(self) -> Look:
        """For the operator's word. Raises Transient, ValueError while nothing can be said."""
        now_ns = self._now_ns()
        if self._day != day_of(now_ns) or not self._watching(now_ns):
            raise ValueError(f"{self._broker}: positions are compared from 09:00 to 20:00 of a trading day")
        return await self._look()

    async def _look(self) -> Look:
        """The books are refreshed on both sides of the answer: a trade by hand that came between is not a
        difference, and is not in the baseline either.
        """
        async with self._one:
            await self._refresh()
            self._touched.clear()
            positions, holdings = await self._books.positions(), await self._books.holdings()
            if positions.unreadable or holdings.unreadable:
                raise Transient("Kite's positions have rows that make no sense")
            theirs, worths = net_of(positions.rows, holdings.rows), worths_of(positions.rows, holdings.rows)
            self._reconciliation.others.take(worths)
            if compare(self.ours(), theirs, self._external.units, self._touched):
                await self._refresh()
            self._expose()
            touched = set(self._touched)
            self.differences = compare(self.ours(), theirs, self._external.units, touched)
            return Look(self.differences, theirs, touched, worths)

    def _say(
        self, occasion: str, differences: tuple[Difference, ...], theirs: Net, touched: set[Key]
    ) -> None:
        self._last = differences
        count = len({*theirs, *self.ours(), *self._external.units} - touched)
        self._publish(
            Compared(
                broker=self._broker,
                occasion=occasion,
                time_ns=self._now_ns(),
                count=count,
                left_out=len(touched),
                differences=differences,
                frozen=self._drift.frozen,
            )
        )
        for difference in differences:
            trading.error("{}: {}", self._broker, difference)
