"""From settings to what the cores are built from: strategy classes found, symbols resolved, rules made."""

import importlib.util
import sys
from collections.abc import Callable, Container, Iterable, Sequence
from datetime import date, time
from functools import partial
from pathlib import Path
from types import ModuleType

import msgspec

from alphapanda.config import Loaded, Settings, StrategySettings, limits_of, vouched_until
from alphapanda.core.calendar import Calendar
from alphapanda.core.charges import Charges, ZerodhaCharges, flat
from alphapanda.core.margins import FULL, Margins
from alphapanda.core.market import Market, MarketSimulator, SimulatedAccount, SquaringMarket, with_fee
from alphapanda.core.money import slipped
from alphapanda.core.rules import Reserve
from alphapanda.core.segments import segment_of
from alphapanda.core.sessions import Added, AddedSession, Phase
from alphapanda.core.square_off import Intraday, Sessions
from alphapanda.core.strategy import Strategy
from alphapanda.errors import CannotStart
from alphapanda.events import Fill, Instrument, Money, Order, TransactionType
from alphapanda.pipeline import Plan
from alphapanda.tables import calendar_table, declared_margins, freeze, tariff
from alphapanda.times import to_ist
from alphapanda.venues.instruments import InstrumentBook

ENDS_SOON_DAYS = 30


def plan_of(
    loaded: Loaded,
    book: InstrumentBook,
    *,
    tag_seed: str,
    calendar: bool,
    only: tuple[str, ...] = (),
) -> Plan:
    """The plan of a run. `only` picks strategies by id; `calendar` False lets every row trade."""
    settings = loaded.settings
    limits = limits_of(settings)
    sessions = calendar_of(settings) if calendar else None
    return Plan(
        strategies=strategies_of(loaded, book, only),
        rules=limits.rules(),
        limits=limits,
        starting_cash=dict.fromkeys(settings.active_brokers, settings.paper_trading.starting_cash),
        products=dict.fromkeys(settings.active_brokers, settings.zerodha.product),
        tag_seed=tag_seed,
        instruments=book.all(),
        margins=margins_of(settings),
        reserve=reserve_of(settings),
        freeze=freeze(),
        protection={"zerodha": settings.zerodha.market_protection},
        listing=("zerodha",),
        calendar=sessions,
        intraday=intraday_of(settings, sessions) if sessions is not None else None,
    )


def calendar_of(settings: Settings) -> Calendar:
    """The table of the program, and what [calendar] knows better."""
    own = settings.calendar
    sessions = tuple(
        AddedSession(each.day, time.fromisoformat(each.open), time.fromisoformat(each.close), each.exchanges)
        for each in own.sessions
    )
    added = Added(
        holidays=frozenset(own.holidays),
        sessions=sessions,
        valid_until=vouched_until(own),
        no_derivatives=frozenset(own.no_derivatives),
        phases=frozenset((Phase.CONTINUOUS, *map(Phase, own.also_trade_in))),
    )
    return Calendar(calendar_table(), added)


def calendar_remarks(calendar: Calendar | None, time_ns: int) -> list[str]:
    """What a run that begins at `time_ns` should know: days that are assumed, and a calendar that ends."""
    if calendar is None:
        return []
    if calendar.before_table(time_ns):
        return [calendar.assumed]
    left = calendar.days_left(time_ns)
    if left < 0:
        return [f"the calendar ended on {calendar.valid_until}, no row after it may trade: {calendar.at_end}"]
    if left < ENDS_SOON_DAYS:
        return [f"the calendar ends on {calendar.valid_until}, in {left} days: {calendar.at_end}"]
    return []


def market_of(
    settings: Settings,
    starting_cash: Money,
    orders: Iterable[Order] = (),
    fills: Sequence[Fill] = (),
    *,
    broker: str = "paper",
    intraday: Intraday | None = None,
    adopted: int = 0,
) -> Market:
    """A simulated market with the paper broker's slippage and charges, and an account that opened with
    `starting_cash`. `orders` already rest there, `fills` were made there, oldest first. Where `intraday` says
    so, `broker` squares off itself; it has made `adopted` orders of its own before.
    """
    paper = settings.paper_trading
    squares = intraday is not None and intraday.closes(broker)
    orders = list(orders)
    if paper.charges == "zerodha":
        _look_at_rates("the store", _traded_still(orders, fills))
    charges = charges_of(settings, fills)
    account = SimulatedAccount(starting_cash, margins_of(settings), fills)
    market = MarketSimulator(
        paper.slippage_percent,
        with_fee(charges) if squares else charges,
        depth=paper.fills == "depth",
        account=account,
        orders=orders,
        fills=fills,
    )
    if intraday is None or not squares:
        return market
    return SquaringMarket(market, account, intraday, broker, made=adopted)


def charges_of(settings: Settings, fills: Iterable[Fill] = ()) -> Charges:
    """What a fill costs an account that made `fills` before."""
    paper = settings.paper_trading
    return ZerodhaCharges(tariff(), fills) if paper.charges == "zerodha" else flat(paper.commission_percent)


def zerodha_charges(fills: Iterable[Fill] = ()) -> ZerodhaCharges:
    """What Zerodha takes for a fill, of an account that made `fills` before."""
    return ZerodhaCharges(tariff(), fills)


def reserve_of(settings: Settings) -> Reserve:
    """What an entry may cost beside its value at the reference price: slippage and charges."""
    paper, slippage = charges_of(settings), settings.paper_trading.slippage_percent
    real = zerodha_charges()

    def reserve(order: Order) -> Money:
        charges = real if order.broker == "zerodha" else paper
        price, quantity, side = order.reference_price, order.pending_quantity, order.transaction_type
        if side is TransactionType.BUY and order.price is None:
            price = slipped(price, side, slippage, order.instrument.tick_size)
        return (price - order.reference_price) * quantity + charges(order, price, quantity, order.created_ns)

    return reserve


def margins_of(settings: Settings) -> Margins:
    return declared_margins() if settings.paper_trading.margins == "declared" else FULL


def old_rates(settings: Settings, fills: Iterable[Fill]) -> list[str]:
    """A sentence for each segment that was charged at rates of a later time, for want of its own."""
    if settings.paper_trading.charges != "zerodha":
        return []
    early: dict[tuple[str, str], date] = {}
    for fill in fills:
        exchange, segment = fill.instrument.exchange, segment_of(fill.instrument)
        since = tariff().known_from(exchange, segment, fill.product, fill.transaction_type)
        if to_ist(fill.traded_ns).date() < since:
            early[exchange, segment] = max(since, early.get((exchange, segment), since))
    return [
        f"{exchange} {segment}: not all charges before {since} are known; the oldest known were taken"
        for (exchange, segment), since in early.items()
    ]


def intraday_of(settings: Settings, sessions: Sessions) -> Intraday:
    """When MIS positions end. Zerodha closes what is left itself, the paper broker where it is told to."""
    own = settings.square_off
    squaring = ("zerodha", "paper") if settings.paper_trading.rms_square_off else ("zerodha",)
    return Intraday(
        sessions,
        squaring,
        minutes_before=own.minutes_before if own.enabled else 0,
        entries_stop_minutes=own.entries_stop_minutes,
    )


def strategies_of(loaded: Loaded, book: InstrumentBook, only: tuple[str, ...] = ()) -> tuple[Strategy, ...]:
    """The enabled strategies, constructed; an unknown id in `only` is an error that lists the known ones."""
    known = {settings.id for settings in loaded.settings.strategies}
    for wanted in only:
        if wanted not in known:
            raise CannotStart(
                f"no strategy {wanted!r} in the configuration; it has: {', '.join(sorted(known))}"
            )
    chosen = [s for s in loaded.settings.strategies if s.enabled and (not only or s.id in only)]
    return tuple(_construct(settings, loaded, book) for settings in chosen)


def unseen(strategies: Iterable[Strategy], seen: Container[int]) -> list[str]:
    """A sentence for each strategy none of whose instruments had a row: usually a misspelt symbol."""
    return [
        f"strategy {strategy.strategy_id}: the data has no row of its instruments; check their names"
        for strategy in strategies
        if not any(token in seen for token in strategy.instruments)
    ]


def check_strategies(loaded: Loaded) -> None:
    """Import and construct every strategy, disabled ones too: what `config check` does."""
    book = InstrumentBook()
    for settings in loaded.settings.strategies:
        _construct(settings, loaded, book)


def _construct(settings: StrategySettings, loaded: Loaded, book: InstrumentBook) -> Strategy:
    where = f"strategies[{settings.id}] in {loaded.origins.get('strategies', 'the configuration')}"
    kind = _strategy_class(settings.class_, where, loaded.folder)
    instruments = [book.by_key(key) for key in settings.instruments]
    tokens = [instrument.instrument_token for instrument in instruments]
    if loaded.settings.paper_trading.charges == "zerodha":
        _look_at_rates(f"{where}: instruments", instruments)
    try:
        return kind(settings.id, tokens, settings.brokers, settings.params)
    except msgspec.ValidationError as error:
        problem, _, key = str(error).partition(" - at `$.")
        named = f"params.{key.rstrip('`')}" if key else "params"
        raise CannotStart(f"{where}: {named}: {problem}; see {settings.class_}") from error
    except Exception as error:
        raise CannotStart(f"{where}: {settings.class_} cannot be made: {error}") from error


def _traded_still(orders: Iterable[Order], fills: Iterable[Fill]) -> list[Instrument]:
    """What rests or is held: it may cost something yet."""
    held: dict[tuple[str, str, int], int] = {}
    traded: dict[int, Instrument] = {}
    for fill in fills:
        traded[fill.instrument.instrument_token] = fill.instrument
        key = fill.strategy_id, fill.product, fill.instrument.instrument_token
        held[key] = held.get(key, 0) + fill.signed_quantity
    return [order.instrument for order in orders] + [traded[key[-1]] for key, left in held.items() if left]


def _look_at_rates(where: str, instruments: Iterable[Instrument]) -> None:
    for each in instruments:
        if not tariff().knows(each.exchange, segment_of(each)):
            raise CannotStart(
                f"{where}: {each.key}: there are no charges for {segment_of(each)} on "
                f'{each.exchange}; drop it, or set paper_trading.charges to "flat"'
            )


def load_strategy(name: str, folder: Path) -> type[Strategy]:
    """The class `strategies.dip:DipStrategy`, found as a daemon with its configuration in `folder` finds it.

    It is how the test of a strategy gets hold of it, or CannotStart: a plain import may meet the installed
    `strategies` first.
    """
    return _strategy_class(name, f"the strategy {name}", folder)


def _strategy_class(name: str, where: str, folder: Path) -> type[Strategy]:
    module_name, _, class_name = name.partition(":")
    module = _module(module_name, where, folder)
    found = getattr(module, class_name, None)
    if not isinstance(found, type) or not issubclass(found, Strategy):
        raise CannotStart(f"{where}: class: {module_name} has no Strategy named {class_name}")
    return found


def _module(name: str, where: str, folder: Path) -> ModuleType:
    """Looked for in the configuration's folder, the current folder, then what is installed."""
    relative = Path(*name.split("."))
    for base in (folder, Path.cwd()):
        path = (base / relative).with_suffix(".py")
        if path.is_file():
            return _load(f"{name}@{path}", where, partial(_from_file, name, path))
    return _load(name, where, partial(importlib.import_module, name))


def _load(name: str, where: str, load: Callable[[], ModuleType]) -> ModuleType:
    try:
        return load()
    except (Exception, SystemExit) as error:
        problem = f"{type(error).__name__}: {error}"
        raise CannotStart(
            f"{where}: class: {name} cannot be imported: {problem}; correct the name, or its file"
        ) from error


def _from_file(name: str, path: Path) -> ModuleType:
    """Import a file under a name of its own, so that two folders with one module name do not meet."""
    unique = f"{name}@{path.resolve()}"
    if unique in sys.modules:
        return sys.modules[unique]
    spec = importlib.util.spec_from_file_location(unique, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module
