"""The account at Zerodha, opened: one login, one clock, the day's instruments, and what the line needs.

Its feed and its broker stand side by side: a feed alone serves the paper broker, a broker alone is rehearsed
on other prices. What they share is here.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from loguru import logger

from alphapanda.config import Mode, Settings, mode_of
from alphapanda.config.redaction import REDACTOR
from alphapanda.core.calendar import Calendar
from alphapanda.core.comparison import held_by
from alphapanda.core.portfolio import PortfolioManager
from alphapanda.core.strategy import Strategy
from alphapanda.errors import Transient
from alphapanda.events import REHEARSAL, Money, Order, TickBatch
from alphapanda.live.gate import Gate
from alphapanda.live.identity import asked, session_of
from alphapanda.live.listing import Listing
from alphapanda.pipeline import Cores, Saved
from alphapanda.plan import zerodha_charges
from alphapanda.store import Store
from alphapanda.times import SECOND_NS, day_of, to_ist, to_ns
from alphapanda.venues.contract import Broker, LiveFeed
from alphapanda.venues.zerodha.books import Books
from alphapanda.venues.zerodha.broker import ZerodhaBroker
from alphapanda.venues.zerodha.calls import Calls
from alphapanda.venues.zerodha.charging import Charging, beside_of
from alphapanda.venues.zerodha.clock import MarketClock
from alphapanda.venues.zerodha.comparing import Comparer, open_hours
from alphapanda.venues.zerodha.governor import Governor, placed_lately, placements_today
from alphapanda.venues.zerodha.official import Official
from alphapanda.venues.zerodha.reconciliation import Reconciliation
from alphapanda.venues.zerodha.roots import Roots, roots_of
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.settling import Settling
from alphapanda.venues.zerodha.ticker import KiteFeed
from alphapanda.venues.zerodha.tokens import Tokens
from alphapanda.venues.zerodha.watch import watch

prices = logger.bind(channel="market_data")
trading = logger.bind(channel="trading")

NAME = ZerodhaBroker.name
COMPARISON = "comparison"
"""Who holds a symbol that differs."""
LOOK_S = 1.0
LISTED_S = 300.0
"""So often it is looked whether the day's list has come out since the last one was read."""
LAST_LOOK_S = 2.0
CANCELLED_WITHIN_S = 60.0
"""After the close; what still rests then is told by the comparison."""


def wanted(settings: Settings) -> bool:
    """Is anything of this account used?"""
    return settings.feed.source == NAME or NAME in settings.active_brokers


async def open_account(settings: Settings, store: Store) -> "Account":
    """Logged in, with Kite's word that it takes the token. Raises CannotStart."""
    zerodha = settings.zerodha
    roots = roots_of(zerodha.api_root, zerodha.ws_root, zerodha.login_root)
    tokens = Tokens(Path(settings.storage.path).parent, roots)
    account = Account(settings, roots, session_of(settings, tokens), tokens, store)
    try:
        await account.look()
    except BaseException:
        await account.close()
        raise
    return account


class Account:
    """What there is before a line is laid, and the tasks that go with it."""

    def __init__(
        self, settings: Settings, roots: Roots, session: Session, tokens: Tokens, store: Store
    ) -> None:
        self._settings = settings
        self._roots = roots
        self._session = session
        self._tokens = tokens
        self._store = store
        self._governor = Governor()
        self._calls = Calls(self._governor)
        self._official = Official(roots, session, self._calls.turn)
        self._books = Books(roots, session, self._calls)
        self._clock = MarketClock(time.monotonic_ns, None if roots.rehearsal else time.time_ns)
        self._broker: ZerodhaBroker | None = None
        self._comparer: Comparer | None = None
        self.settling: Settling | None = None
        """The operator's word on what differs, where there is a broker."""
        self._calendar: Calendar | None = None
        self._feed: KiteFeed | None = None
        self.listing = Listing(self._books, store, self._clock, rehearsal=roots.rehearsal)
        self._publish: Callable[[TickBatch], None] = lambda _batch: None
        self._ready, self._differs, self._renewed = anyio.Event(), anyio.Event(), anyio.Event()
        self._why = ""
        session.on_renewal.append(self._on_renewal)
        self.rehearsal = mode_of(settings) is Mode.REHEARSAL
        self.owner = ""

    @property
    def owners(self) -> dict[str, str]:
        """Whose book each broker's is. On the prices of a rehearsal paper's is one of that rehearsal too."""
        names = self._settings.active_brokers if self.rehearsal else (NAME,)
        return {name: self.owner for name in names if name in self._settings.active_brokers}

    async def look(self) -> None:
        """Whose token it is, and what time it is there."""
        profile = await asked(self._official.profile)
        self._session.user_id = profile.user_id
        self.owner = await self._rehearsed() if self.rehearsal else profile.user_id

    async def _rehearsed(self) -> str:
        """An exchange on this machine begins anew each time it starts: its books are its own."""
        found = await asked(self._books.rehearsed)
        self._clock.saw(int(found.now.timestamp()))
        return f"{REHEARSAL} {found.exchange}"

    async def cash(self, known: Mapping[str, Money]) -> dict[str, Money]:
        """What the book of a new account begins with: what Kite says new trades may use."""
        if NAME not in self._settings.active_brokers or NAME in known:
            return {}
        return {NAME: (await asked(self._official.margins))["equity"].net}

    # the line's doors

    def brokers(self, saved: Saved, cores: Cores, gate: Gate, calendar: Calendar | None) -> dict[str, Broker]:
        """The broker, where it is active: its book, who compares it, and who checks its charges."""
        self._calendar = calendar
        if NAME not in self._settings.active_brokers:
            return {}
        zerodha = self._settings.zerodha
        orders = [order for order in saved.orders if order.broker == NAME]
        fills = [fill for fill in saved.fills if fill.broker == NAME]
        day = day_of(self._clock.now_ns())
        wall_ns, now_ns = time.time_ns(), self._clock.now_ns()
        lately = [wall_ns - (now_ns - at_ns) for at_ns in placed_lately(orders, now_ns)]
        self._governor.restore(placements_today(orders, day), day_of(wall_ns), lately)
        charges = zerodha_charges(fills)
        reconciliation = Reconciliation(
            NAME,
            charges,
            quiet_period_s=zerodha.quiet_period_s,
            orders=orders,
            fills=fills,
            known=self._store.recovered.reconciled.get(NAME),
        )
        broker = self._broker = ZerodhaBroker(
            reconciliation=reconciliation,
            roots=self._roots,
            session=self._session,
            books=self._books,
            governor=self._governor,
            clock=self._clock,
            hold=partial(gate.hold, NAME),
            release=partial(gate.release, NAME),
            market_protection=zerodha.market_protection,
        )
        charging = Charging(
            self._official.order_charges,
            broker=NAME,
            publish=self._store.tap,
            now_ns=self._clock.now_ns,
            beside=beside_of(charges),
            known=reconciliation.known.charged,
            orders=orders,
            fills=fills,
        )
        self._compare(broker, reconciliation, charging, cores.portfolio)
        return {NAME: broker}

    def _compare(
        self,
        broker: ZerodhaBroker,
        reconciliation: Reconciliation,
        charging: Charging,
        portfolio: PortfolioManager,
    ) -> None:
        now_ns, tap = self._clock.now_ns, self._store.tap
        comparer = self._comparer = Comparer(
            self._books,
            reconciliation,
            refresh=broker.refresh,
            now_ns=now_ns,
            publish=tap,
            hold=partial(broker.holds.hold, COMPARISON),
            release=partial(broker.holds.release, COMPARISON),
            halt=self._halt,
            charging=charging,
            ours=lambda: held_by(each for each in portfolio.positions() if each.broker == NAME),
            watching=self._holds_still,
        )
        broker.reading.compare = comparer.at_start
        broker.on_report = comparer.on_report
        broker.on_book = comparer.on_book
        broker.touched = comparer.touched
        settling = self.settling = Settling(
            comparer,
            reconciliation,
            broker.holds,
            product=self._settings.zerodha.product,
            now_ns=now_ns,
            publish=tap,
        )
        broker.on_found = settling.on_found

    def _holds_still(self, now_ns: int) -> bool:
        """On days without a session Zerodha may show shares twice, or not at all."""
        trades = self._calendar is None or self._calendar.is_open(to_ist(now_ns).date())
        return trades and open_hours(now_ns)

    def open_feed(self, strategies: Iterable[Strategy]) -> LiveFeed:
        """The prices of all that strategies trade and the day's list has."""
        traded = {token for strategy in strategies for token in strategy.instruments}
        self._feed = KiteFeed(
            self._roots,
            self._session,
            [each for each in self.listing.listed if each.instrument_token in traded],
            self._clock,
            quotes=self._books.quote,
            on_order_update=self._wake,
        )
        return self._feed

    def _wake(self) -> None:
        if self._broker is not None:
            self._broker.wake()

    # its tasks

    def join(
        self,
        route: Callable[[object], None],
        publish: Callable[[TickBatch], None],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        """Where adopted orders and their fills go, what is not ours, and instruments that are listed anew;
        `settled` returns when the line has dealt with what is on it.
        """
        self._publish = publish
        if self._feed is not None:
            self._feed.settled = settled
        if self._comparer is not None:
            self._comparer.report = self._comparer.expose = route

    def tasks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """By the names they have in `status`."""
        found: dict[str, Callable[[], Awaitable[None]]] = {"token": self._watch}
        if self._broker is not None:
            found[NAME] = self._trade
        return found

    async def _trade(self) -> None:
        broker, comparer = self._broker, self._comparer
        if broker is None or comparer is None:
            return
        async with anyio.create_task_group() as tasks:
            await tasks.start(broker.run)
            self._ready.set()
            tasks.start_soon(comparer.run)

    async def joined(self) -> None:
        """The book was read, our orders were put right by it, and it was compared."""
        if self._broker is not None:
            await self._ready.wait()

    async def differing(self) -> str:
        """Waits until our book and the broker's differ so that everything has to halt; says how."""
        await self._differs.wait()
        self._differs = anyio.Event()
        return self._why

    def _halt(self, why: str) -> None:
        self._why = why
        self._differs.set()

    async def _watch(self) -> None:
        """A login while we run, and the list of the new day: after it, and once Kite has made it."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(watch, self._session, self._tokens, learn=REDACTOR.learn))
            while True:
                with anyio.move_on_after(LISTED_S):
                    await self._renewed.wait()
                out = self._session.alive and self.listing.is_old
                if self._renewed.is_set() or out:
                    self._renewed = anyio.Event()
                    await self._list_again()

    def _on_renewal(self) -> None:
        """At night nothing ticks; so a rehearsal hears from the login that it is another day."""
        login_time = self._session.login_time
        if self._roots.rehearsal and login_time is not None:
            self._clock.saw(int(login_time.timestamp()), sure=True)
        self._renewed.set()

    async def _list_again(self) -> None:
        try:
            _, listed = await self.listing.sync_now()
        except ValueError as error:
            if self._session.alive:  # else it is said already
                prices.error("{}", error)
        else:
            self._publish(TickBatch(time_ns=self._clock.now_ns(), ticks=(), listed=tuple(listed)))

    async def end_of_day(self, open_orders: Callable[[], list[Order]]) -> None:
        """The exchange has cancelled what rested, once the book shows it; then everything is compared."""
        if self._comparer is None:
            return
        with anyio.move_on_after(CANCELLED_WITHIN_S):
            while any(order.broker == NAME for order in open_orders()):
                self._wake()
                await anyio.sleep(LOOK_S)
        await self._comparer.at_end_of_day()

    def look_again(self) -> None:
        """Much may have happened unseen: the books are read and compared before an order leaves."""
        if self._broker is not None:
            self._broker.reading.distrust("the process stood still, and its books are not read since")

    async def last_look(self) -> None:
        """What became of our orders in the last moment."""
        if self._broker is None or not self._session.alive:
            return
        with anyio.move_on_after(LAST_LOOK_S):
            try:
                await self._broker.refresh()
            except Transient as error:
                trading.warning("the order book could not be read once more: {}", error)

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):  # also where a start was stopped
            await self._books.close()
        self._official.close()

    # what `status` says

    def feed_summary(self) -> dict[str, Any]:
        if self._feed is None:
            return {}
        skew_s = self._clock.skew_s
        skew = {"clock_skew_s": None if skew_s is None else round(skew_s, 3)}
        return self._feed.summary() | skew | {"session": self._login()}

    def venues(self) -> dict[str, dict[str, Any]]:
        return {} if self._broker is None else {NAME: self._broker.summary() | {"session": self._login()}}

    def _login(self) -> dict[str, Any]:
        """`age_s` is None where the configuration has given the token."""
        session, age_s = self._session, None
        if session.login_time is not None:
            age_s = max(0.0, round((self._clock.now_ns() - to_ns(session.login_time)) / SECOND_NS, 1))
        return {"alive": session.alive, "why": session.why, "user_id": session.user_id, "age_s": age_s}
