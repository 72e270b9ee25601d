"""From settings and journal to a line that is ready to trade: feed, cores, brokers, and the past put right.

Start and restart are this one path. Paper's book comes from the journal: an order that rests there is
restored, one that was prepared or sent but never rested is not found, at once.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from loguru import logger
from msgspec import Struct
from msgspec.structs import replace

from alphapanda.config import Loaded, Settings, limits_of
from alphapanda.core.calendar import Calendar
from alphapanda.core.execution import TradingEngine
from alphapanda.core.interrupted import Asked, Interrupted
from alphapanda.core.limits import said
from alphapanda.core.market import RMS
from alphapanda.core.risk import RiskManager
from alphapanda.errors import CannotStart, DataError
from alphapanda.events import (
    Halt,
    Instrument,
    LimitChanged,
    MarketTick,
    Order,
    OrderClosed,
    OrderStatus,
    Report,
    ReportKind,
    TickBatch,
)
from alphapanda.fail_points import FailPoint, reach
from alphapanda.live.account import Account, open_account, wanted
from alphapanda.live.gate import Gate
from alphapanda.live.identity import look_at_owner
from alphapanda.live.instruments import follow
from alphapanda.live.limits import reset_words, sorted_out, within
from alphapanda.live.options import Options
from alphapanda.live.warm_up import furthest, warm_up
from alphapanda.pipeline import Cores, Plan, Saved, build_cores
from alphapanda.plan import calendar_remarks, market_of, plan_of
from alphapanda.store import Store, offline
from alphapanda.store.schema import SQLITE_VERSION, sqlite_is_fixed
from alphapanda.times import SECOND_NS, to_ist
from alphapanda.venues.absent import AbsentBroker
from alphapanda.venues.contract import Broker, FiniteFeed, LiveFeed
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.paper import PaperBroker
from alphapanda.venues.replay import DataSet
from alphapanda.venues.simulated import BUILT_IN, SimulatedSession, instrument_of

audit = logger.bind(channel="audit")
prices = logger.bind(channel="market_data")
trading = logger.bind(channel="trading")

AFTER_CLOSE_NS = 5 * SECOND_NS
"""By then the last price is here."""
NEVER_THERE = (OrderStatus.NOT_FOUND, OrderStatus.WITHHELD)
UNSETTLED = (OrderStatus.PREPARED, OrderStatus.SENT, OrderStatus.UNKNOWN)


class Opened(Struct, frozen=True, kw_only=True):
    """A line before its tasks start. `rows` of a finite feed go on with the row after `taken`; a live one has
    none. `account` is that at Zerodha, where its feed or its broker is wanted.
    """

    cores: Cores
    brokers: Mapping[str, Broker]
    feed: FiniteFeed | LiveFeed
    rows: Generator[TickBatch] | None = None
    taken: int = 0
    clock_ns: int = 0
    halt: Halt | None
    calendar: Calendar | None
    traded: Sequence[Instrument] = ()
    """By strategies."""
    account: Account | None = None

    def reaches(self, broker: str) -> bool:
        """Orders may go there."""
        return broker in self.brokers and not isinstance(self.brokers[broker], AbsentBroker)

    @property
    def finite(self) -> FiniteFeed:
        """The feed of `rows`."""
        return cast("FiniteFeed", self.feed)

    @property
    def live(self) -> LiveFeed:
        """The feed where there are no rows."""
        return cast("LiveFeed", self.feed)

    def over(self, now_ns: int) -> bool:
        """The day's last session of all that is traded has ended."""
        if self.calendar is None:
            return False
        closes = (self.calendar.closes_ns(now_ns, each) for each in self.traded)
        over = (each is not None and now_ns >= each + AFTER_CLOSE_NS for each in closes)
        return bool(self.traded) and all(over)  # the first that is open decides

    def ready_line(self) -> str:
        brokers = ", ".join(self.brokers)
        strategies = ", ".join(self.cores.strategy.hosted) or "none"
        sqlite = SQLITE_VERSION + ("" if sqlite_is_fixed() else " (has the WAL-reset fault)")
        known = self.calendar
        days = f"calendar {known.valid_from} to {known.valid_until}" if known else "no calendar"
        return (
            f"brokers {brokers}; strategies {strategies}; from row {self.taken + 1}; {days}; SQLite {sqlite}"
        )


async def open_line(
    loaded: Loaded, options: Options, store: Store, gate: Gate, warming_up: Callable[[], None] = lambda: None
) -> Opened:
    """Everything between the store and the first tick. Raises CannotStart with what to do.

    `warming_up` is called now and then while rows of an earlier run are walked.
    """
    _look_at_settings(loaded)
    if options.from_start and not store.recovered.empty:
        raise CannotStart(f"--from-start needs an empty store, {store.path} has a journal; move it away")
    account = await open_account(loaded.settings, store) if wanted(loaded.settings) else None
    try:
        reach(FailPoint.ACCOUNT_OPENED)
        return await _opened(loaded, options, store, gate, account, warming_up)
    except BaseException:
        if account is not None:
            await account.close()
        raise


async def _opened(
    loaded: Loaded,
    options: Options,
    store: Store,
    gate: Gate,
    account: Account | None,
    warming_up: Callable[[], None],
) -> Opened:
    recovered, settings = store.recovered, loaded.settings
    owners = dict.fromkeys(settings.active_brokers, "") | (account.owners if account is not None else {})
    look_at_owner(store, owners)
    listed: Sequence[Instrument] = ()
    if account is not None:
        traded = {order.instrument.key for order in recovered.saved.orders}
        listed = await account.listing.of(_waited_for(settings) | traded)
    past = follow(recovered.saved, listed)
    book = InstrumentBook([*(order.instrument for order in past.orders), *_known(settings), *listed])
    for each in (order.instrument for order in past.orders):
        # What was traded keeps its token: data that contradicts it is refused, or the book would split.
        book.resolve(each.exchange, each.tradingsymbol, each.instrument_token)
    feed = None if settings.feed.source == "zerodha" else _open_feed(loaded, book)
    plan = plan_of(loaded, book, tag_seed=store.tag_seed, calendar=options.calendar)
    _look_at_products(past, plan.products)
    _look_at_limits(settings, past)
    cash = dict(plan.starting_cash)
    if account is not None:
        cash |= await account.cash(recovered.starting_cash)
    plan = replace(plan, starting_cash=store.open_accounts(cash, owners))
    saved = _settled(past, store)
    cores, brokers = build_cores(plan, saved), _paper(settings, saved, plan)
    cores.strategy.interrupted = interrupted(recovered.asked, saved.orders)
    if account is not None:
        brokers |= account.brokers(saved, cores, gate, plan.calendar)
    brokers |= _absent(saved, brokers)
    reach(FailPoint.CORES_BUILT)
    opened = partial(
        Opened,
        cores=cores,
        brokers=brokers,
        halt=recovered.halt,
        calendar=plan.calendar,
        traded=_traded(cores, book),
        account=account,
    )
    if feed is None and account is not None:
        return opened(feed=account.open_feed(cores.strategy.strategies()))
    if feed is None:
        raise CannotStart(f"feed.source: there is no {settings.feed.source} feed")
    rows, taken = await _walked(feed, store, cores, brokers, warming_up)
    clock_ns = furthest(feed, recovered.clock)
    return opened(feed=feed, rows=_dated(rows, plan.calendar), taken=taken, clock_ns=clock_ns)


def interrupted(asked: Mapping[str, Asked], orders: Iterable[Order]) -> Interrupted:
    """What never reached its broker is asked for again, as an undisturbed run has it."""
    there = {order.order_id for order in orders if order.status not in NEVER_THERE}
    return Interrupted(each for order_id, each in asked.items() if order_id in there)


def _traded(cores: Cores, book: InstrumentBook) -> list[Instrument]:
    wanted = {token for each in cores.strategy.strategies() for token in each.instruments}
    return [each for each in book.all() if each.instrument_token in wanted]


async def _walked(
    feed: FiniteFeed,
    store: Store,
    cores: Cores,
    brokers: Mapping[str, Broker],
    warming_up: Callable[[], None],
) -> tuple[Generator[TickBatch], int]:
    """The rows that are left, and how many were taken before: those are shown to the strategies."""
    recovered = store.recovered
    rows, taken = feed.batches(), furthest(feed, recovered.taken)
    if recovered.taken and not taken:
        prices.warning("other data was walked before; this data starts at row 1 and adds to the same book")
    if taken:
        prices.info("{} rows were taken before: shown to the strategies as warm-up", taken)
        matching = [broker.on_taken for broker in brokers.values() if isinstance(broker, PaperBroker)]
        await warm_up(cores, feed, rows, recovered, taken, warming_up, matching)
    return rows, taken


def _dated(rows: Generator[TickBatch], calendar: Calendar | None) -> Generator[TickBatch]:
    """The rows; with the first it is said what the calendar does not know of its day."""
    with closing(rows):
        for batch in rows:
            for remark in calendar_remarks(calendar, batch.time_ns):
                prices.warning("{}", remark)
            yield batch
            break
        yield from rows


def _look_at_settings(loaded: Loaded) -> None:
    """Keys that are accepted before what they do is there are said aloud, and so is an old SQLite."""
    settings = loaded.settings
    if settings.storage.require_fixed_sqlite and not sqlite_is_fixed():
        raise CannotStart(
            f"storage.require_fixed_sqlite: SQLite {SQLITE_VERSION} has the WAL-reset fault; "
            "use a Python built with 3.51.3 or newer, or set it to false"
        )
    if settings.alerts.urls:
        logger.warning("alerts.urls is not available yet: nothing is sent")


def _look_at_products(saved: Saved, products: Mapping[str, str]) -> None:
    """An exit in another product than its entry would open a second position beside it."""
    held: Counter[tuple[str, str, str, str]] = Counter()
    for fill in saved.fills:
        held[fill.broker, fill.strategy_id, fill.instrument.key, fill.product] += fill.signed_quantity
    for order in saved.orders:
        if not order.status.ended and order.status not in UNSETTLED:
            held[order.broker, order.strategy_id, order.instrument.key, order.product] += order.signed_pending
    for (broker, strategy_id, symbol, product), quantity in held.items():
        if quantity and product != products.get(broker, product):
            raise CannotStart(
                f"zerodha.product is {products[broker]}, but {strategy_id} has {quantity} {symbol} "
                f"at {broker} as {product}: set it back to {product} until that is closed"
            )


def _look_at_limits(settings: Settings, saved: Saved) -> None:
    """What was set at run time holds again, and is said: the file may have been changed since."""
    kept, stale = sorted_out(settings, saved.limits)
    for change in stale:
        raise CannotStart(
            f"{change.key} was set to {change.value}{within(change.scope)} at run time, which this version"
            f" does not take; give it back to the configuration: alphapanda {reset_words(change)}"
        )
    configured = now = limits_of(settings)
    for change in kept:
        now = now.changed(change)
    for (key, scope), found in now.pointless().items():
        change = next(each for each in kept if each.key in (found.key, found.other))
        raise CannotStart(
            f"{key}{within(scope)} {found.problem}; {change.key} was set at run time, give it back to the"
            f" configuration: alphapanda {reset_words(change)}"
        )
    for change in kept:
        instead = said(configured.value(change.key, change.scope)) or "nothing"
        audit.warning(
            "limit {}{} is {}, set at run time (by {}: {}); the configuration says {}",
            *(change.key, within(change.scope), change.value, change.by, change.reason, instead),
        )


class AtRest(NamedTuple):
    """The risk stage of a stopped daemon. `stale` was set at run time, and this version does not take it."""

    risk: RiskManager
    stale: tuple[LimitChanged, ...]


def at_rest(loaded: Loaded) -> AtRest:
    """From the journal, at the last price and time it knows, and without the strategies' code."""
    recovered = offline.recovered(Path(loaded.settings.storage.path))
    saved = recovered.saved
    kept, stale = sorted_out(loaded.settings, saved.limits)
    without = replace(loaded, settings=replace(loaded.settings, strategies=()))
    saved = follow(saved, ())
    book = InstrumentBook(order.instrument for order in saved.orders)
    plan = plan_of(without, book, tag_seed="", calendar=False)
    plan = replace(plan, starting_cash={**plan.starting_cash, **recovered.starting_cash})
    cores = build_cores(plan, replace(saved, limits=kept))
    now_ns = max([*recovered.clock.values(), *(order.updated_ns for order in saved.orders)], default=0)
    marks = [
        MarketTick(instrument_token=token, timestamp=to_ist(now_ns), last_price=float(price))
        for token, price in saved.marks.items()
    ]
    cores.risk.on(TickBatch(time_ns=now_ns, ticks=tuple(marks)))
    return AtRest(cores.risk, stale)


def _open_feed(loaded: Loaded, book: InstrumentBook) -> FiniteFeed:
    feed = loaded.settings.feed
    if feed.source == "replay" and not feed.replay.paths:
        raise CannotStart("feed.replay.paths is empty: name price files there or with --data PATH")
    try:
        if feed.source == "simulated":
            keys, settings = _simulated(loaded.settings), feed.simulated
            return SimulatedSession(keys, book, seed=settings.seed, volatility=settings.volatility)
        return DataSet(
            feed.replay.paths, book, columns=feed.replay.columns, skip_bad_rows=feed.replay.skip_bad_rows
        )
    except DataError as error:
        raise CannotStart(str(error)) from error


def _known(settings: Settings) -> Iterator[Instrument]:
    """The simulated feed has its own table of tokens and tick sizes."""
    if settings.feed.source == "simulated":
        yield from map(instrument_of, _simulated(settings))


def _waited_for(settings: Settings) -> set[str]:
    return {key for strategy in settings.strategies if strategy.enabled for key in strategy.instruments}


def _simulated(settings: Settings) -> set[str]:
    """What has prices in a simulated session: what was asked for, and all that a strategy waits for."""
    return _waited_for(settings).union(settings.feed.simulated.instruments or BUILT_IN)


def _settled(saved: Saved, store: Store) -> Saved:
    """Orders that paper never took are not found; the journal hears of it first."""
    doubtful = [each for each in saved.orders if each.broker == PaperBroker.name and each.status in UNSETTLED]
    engine, ended = TradingEngine(doubtful), {}
    for order in doubtful:
        absent = Report(
            order_id=order.order_id,
            kind=ReportKind.ABSENT,
            time_ns=order.updated_ns,
            reason="not in the paper broker's book after a restart",
        )
        for event in engine.on(absent):
            store.tap(event)
            if isinstance(event, OrderClosed):
                ended[order.order_id] = event.order
                trading.warning("order {} did not reach {}: not found", order.order_id, order.broker)
    return replace(saved, orders=tuple(ended.get(each.order_id, each) for each in saved.orders))


def _paper(settings: Settings, saved: Saved, plan: Plan) -> dict[str, Broker]:
    """The paper broker, where it is active, with what rests there."""
    name = PaperBroker.name
    if name not in settings.active_brokers:
        return {}
    market = market_of(
        settings,
        plan.starting_cash[name],
        _resting(saved.orders, name),
        [fill for fill in saved.fills if fill.broker == name],
        broker=name,
        intraday=plan.intraday,
        adopted=sum(1 for order in saved.orders if order.broker == name and order.by == RMS),
    )
    return {name: PaperBroker(market)}


def _absent(saved: Saved, brokers: Mapping[str, Broker]) -> dict[str, Broker]:
    """Brokers that are not active any more, and have orders of ours that may still trade."""
    left = [order for order in saved.orders if not order.status.ended and order.broker not in brokers]
    for order in left:
        trading.error(
            "order {} is {} at {}, which is not in active_brokers: nobody follows it",
            *(order.order_id, order.status, order.broker),
        )
    return {name: AbsentBroker(name) for name in sorted({order.broker for order in left})}


def _resting(orders: Sequence[Order], broker: str) -> list[Order]:
    return [order for order in orders if order.broker == broker and not order.status.ended]
