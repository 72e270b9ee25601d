"""From settings to what the cores are built from: strategy classes found, symbols resolved, rules made."""

import importlib.util
import sys
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from types import ModuleType

import msgspec

from alphapanda.config import Loaded, Settings, StrategySettings, rules_of
from alphapanda.core.calendar import in_regular_session
from alphapanda.core.charges import flat
from alphapanda.core.market import MarketSimulator
from alphapanda.core.strategy import Strategy
from alphapanda.errors import CannotStart
from alphapanda.events import Order
from alphapanda.pipeline import Plan
from alphapanda.venues.instruments import InstrumentBook


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
    return Plan(
        strategies=strategies_of(loaded, book, only),
        rules=rules_of(settings),
        starting_cash=dict.fromkeys(settings.active_brokers, settings.paper_trading.starting_cash),
        products=dict.fromkeys(settings.active_brokers, settings.zerodha.product),
        tag_seed=tag_seed,
        instruments=book.all(),
        may_trade=in_regular_session if calendar else None,
    )


def market_of(settings: Settings, orders: Iterable[Order] = (), trades_made: int = 0) -> MarketSimulator:
    """A simulated market with the paper broker's slippage and charges; `orders` already rest there."""
    paper = settings.paper_trading
    return MarketSimulator(
        paper.slippage_percent, flat(paper.commission_percent), orders=orders, trades_made=trades_made
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
    tokens = [book.by_key(key).instrument_token for key in settings.instruments]
    try:
        return kind(settings.id, tokens, settings.brokers, settings.params)
    except msgspec.ValidationError as error:
        problem, _, key = str(error).partition(" - at `$.")
        named = f"params.{key.rstrip('`')}" if key else "params"
        raise CannotStart(f"{where}: {named}: {problem}; see {settings.class_}") from error
    except Exception as error:
        raise CannotStart(f"{where}: {settings.class_} cannot be made: {error}") from error


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
            return _load(f"{name}@{path}", where, lambda path=path, name=name: _from_file(name, path))  # type: ignore[misc]
    return _load(name, where, lambda: importlib.import_module(name))


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
