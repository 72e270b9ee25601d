"""What types cannot say: ranges of decimals, and keys that contradict each other.

Each check yields (key, what is wrong and what to do); the first becomes the one line that stops the start.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

from alphapanda.addresses import is_loopback
from alphapanda.config.days import calendar_mistakes
from alphapanda.config.keys import KEYS, Key, value_of
from alphapanda.config.layers import lookup
from alphapanda.config.mistakes import wrong
from alphapanda.config.settings import Settings, StrategySettings, limits_of
from alphapanda.core.limits import BOUNDS, misplaced
from alphapanda.events import Scope

Mistakes = Iterator[tuple[str, str]]

BROKERS = {"paper": "paper_trading", "zerodha": "zerodha"}
"""Each broker and the section that enables it."""
PRODUCTS = ("MIS", "CNC", "NRML")

_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_INSTRUMENT = re.compile(r"[A-Z]+:[^\sa-z:]([^a-z:\t\r\n]*[^\sa-z:])?")
_WHOLE_EXCHANGE = re.compile(r"[A-Z]+:\*")
_CLASS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_REAL_ORDERS = (
    "{} prices must not place real orders, and zerodha is in active_brokers; use the zerodha feed,"
    " drop that broker, or point zerodha.api_root and zerodha.ws_root at this machine"
)

_INVENTED = (
    "is on this machine while zerodha.api_root is not: invented prices must not place real orders;"
    " point both at this machine, or leave both empty"
)


def check_values(values: Mapping[str, Any], place_of: Callable[[str], str]) -> None:
    """Before decoding: msgspec takes text and NaN for a decimal, and sets no bounds on one."""
    _raise_first(_not_finite(values, ""), place_of)
    _raise_first((found for key in KEYS.values() for found in _decimal(values, key)), place_of)
    _raise_first(_overridden_decimals(values), place_of)


def check_settings(settings: Settings, place_of: Callable[[str], str], *, credentials: bool) -> None:
    """`credentials`: whoever trades needs them; who reads the store or stops the daemon does not."""
    for check in (_active_brokers, _zerodha, _strategies, _feed, _encrypted, _overrides, _limits, _calendar):
        _raise_first(check(settings), place_of)
    if credentials:
        _raise_first(_credentials(settings), place_of)


def _raise_first(mistakes: Iterable[tuple[str, str]], place_of: Callable[[str], str]) -> None:
    for key, problem in mistakes:
        raise wrong(key, place_of(key), problem)


def _not_finite(value: object, path: str) -> Mistakes:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _not_finite(inner, f"{path}.{name}".removeprefix("."))
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _not_finite(inner, f"{path}[{index}]")
    elif isinstance(value, (float, Decimal)) and not isfinite(value):
        yield path, "must be a finite number; inf and nan do not work here"


def _decimal(values: Mapping[str, Any], key: Key, prefix: str = "") -> Mistakes:
    """`prefix` is where `values` stand, when that is not the top."""
    name = key.name.removeprefix("risk.") if prefix else key.name
    value = lookup(values, name)
    if key.type is not Decimal or value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        yield prefix + name, "expected a number, without quotes; correct it there"
        return
    for bounded, (holds, words) in BOUNDS.items():
        bound = key.note(bounded)
        if bound is not None and not holds(value, bound):
            yield prefix + name, f"{value} must be {words.format(bound)}; correct it there"


def _overridden_decimals(values: Mapping[str, Any]) -> Mistakes:
    overrides = lookup(values, "risk.overrides")
    limits = [key for key in KEYS.values() if key.name.startswith("risk.")]
    for index, override in enumerate(overrides if isinstance(overrides, (list, tuple)) else ()):
        if isinstance(override, Mapping):  # anything else msgspec will name
            for key in limits:
                yield from _decimal(override, key, f"risk.overrides[{index}].")


def _overrides(settings: Settings) -> Mistakes:
    seen: dict[Scope, int] = {}
    for index, override in enumerate(settings.risk.overrides):
        key, scope = f"risk.overrides[{index}]", override.within
        if scope == Scope():
            yield f"{key}.scope", "names nothing; name a broker, a strategy or an instrument, or use [risk]"
        if problem := scope_mistake(settings, scope):
            yield f"{key}.scope.{problem[0]}", problem[1]
        for name in override.limits:
            if wrong_place := misplaced(name, scope):
                yield f"{key}.{name}", wrong_place
        if not override.limits:
            yield key, "sets no limit; add one, such as max_order_value = 50000.0, or remove it"
        if scope in seen:
            yield f"{key}.scope", f"is that of risk.overrides[{seen[scope]}] too; make one of the two"
        seen[scope] = index


def _limits(settings: Settings) -> Mistakes:
    """Words that no instrument or product is, and limits that do nothing because of another."""
    sections = {Scope(): "risk"}
    for index, override in enumerate(settings.risk.overrides):
        sections[override.within] = f"risk.overrides[{index}]"
        yield from _allowed(sections[override.within], override.limits)
    risk = settings.risk
    allowed = {"allowed_instruments": risk.allowed_instruments, "allowed_products": risk.allowed_products}
    yield from _allowed("risk", allowed)
    for (key, scope), found in limits_of(settings).pointless().items():
        yield f"{sections[scope]}.{key}", found.problem


def _allowed(section: str, limits: Mapping[str, Any]) -> Mistakes:
    """A word that is misspelt would allow nothing, and that only at the first order."""
    for text in limits.get("allowed_instruments", ()):
        if _WHOLE_EXCHANGE.fullmatch(text):
            continue
        key = f"{section}.allowed_instruments"
        yield from _instrument(key, text)
        if "*" in text:
            yield key, f'{text!r} is no instrument: a * stands for all of an exchange, such as "NSE:*"'
    for text in limits.get("allowed_products", ()):
        if text not in PRODUCTS:
            yield f"{section}.allowed_products", f"{text!r} is not one of {', '.join(PRODUCTS)}; correct it"


def scope_mistake(settings: Settings, scope: Scope) -> tuple[str, str] | None:
    """(part of the scope, what is wrong with it), or None: a name that is misspelt would limit nothing."""
    ids = [entry.id for entry in settings.strategies]
    if scope.broker and scope.broker not in BROKERS:
        return "broker", _unknown_broker(scope.broker)
    if scope.strategy and scope.strategy not in ids:
        return "strategy", f"{scope.strategy!r} is not a strategy; there are: {', '.join(ids) or 'none'}"
    if scope.instrument:
        return next(_instrument("instrument", scope.instrument), None)
    return None


def _calendar(settings: Settings) -> Mistakes:
    yield from calendar_mistakes(settings.calendar)
    for instrument in settings.calendar.no_derivatives:
        yield from _instrument("calendar.no_derivatives", instrument)


def _active_brokers(settings: Settings) -> Mistakes:
    names = settings.active_brokers
    if not names:
        yield "active_brokers", 'is empty; name at least one broker, such as ["paper"]'
    yield from _repeated("active_brokers", names)
    for name in names:
        if name not in BROKERS:
            yield "active_brokers", _unknown_broker(name)
        elif not value_of(settings, f"{BROKERS[name]}.enabled"):
            section = BROKERS[name]
            yield (
                f"{section}.enabled",
                f"is false but active_brokers names {name}; set it to true or drop {name}",
            )


def _unknown_broker(name: str) -> str:
    return f"{name!r} is not a broker; use {' or '.join(BROKERS)}"


def _repeated(key: str, names: tuple[str, ...]) -> Mistakes:
    for name in names:
        if names.count(name) > 1:
            yield key, f"names {name} twice; remove one"


def _zerodha(settings: Settings) -> Mistakes:
    zerodha = settings.zerodha
    for name, scheme in (("api_root", "http"), ("ws_root", "ws"), ("login_root", "http")):
        root = getattr(zerodha, name)
        if root and not re.match(scheme + "s?://[^/]", root):
            yield (
                f"zerodha.{name}",
                f"must begin with {scheme}:// or {scheme}s://; correct it or leave it empty",
            )
    protection = zerodha.market_protection
    if protection != -1 and not 0 < protection <= 100:
        # Kite rejects market orders with 0 or none since 1 April 2026.
        yield "zerodha.market_protection", "must be -1 or a percentage over 0 and up to 100; correct it there"


def _credentials(settings: Settings) -> Mistakes:
    broker_active = "zerodha" in settings.active_brokers
    if (broker_active or settings.feed.source == "zerodha") and not settings.zerodha.api_key.strip():
        user = "zerodha is in active_brokers" if broker_active else 'feed.source is "zerodha"'
        key = KEYS["zerodha.api_key"]
        yield key.name, f"is missing but {user}; set {key.variable} or the credential {key.credential}"


def _feed(settings: Settings) -> Mistakes:
    for instrument in settings.feed.simulated.instruments:
        yield from _instrument("feed.simulated.instruments", instrument)
    source, zerodha = settings.feed.source, settings.zerodha
    if "zerodha" not in settings.active_brokers or is_loopback(zerodha.api_root):
        if source != "zerodha" and "zerodha" in settings.active_brokers and not is_loopback(zerodha.ws_root):
            yield "feed.source", _REAL_ORDERS.format(source)
        return
    if source != "zerodha":
        yield "feed.source", _REAL_ORDERS.format(source)
    elif is_loopback(zerodha.ws_root):
        yield "zerodha.ws_root", _INVENTED


def _encrypted(settings: Settings) -> Mistakes:
    for name, scheme in (("api_root", "http"), ("ws_root", "ws"), ("login_root", "http")):
        root = getattr(settings.zerodha, name)
        if root.startswith(f"{scheme}://") and not is_loopback(root):
            problem = f"is neither encrypted nor on this machine; use {scheme}s://, or leave it empty"
            yield f"zerodha.{name}", problem


def _strategies(settings: Settings) -> Mistakes:
    ids = [entry.id for entry in settings.strategies]
    for index, entry in enumerate(settings.strategies):
        key = f"strategies[{index}]"
        if not _ID.fullmatch(entry.id):
            yield f"{key}.id", f"{entry.id!r} must be 1 to 32 letters, digits, _ or -; rename it"
        elif entry.id in ids[:index]:
            yield f"{key}.id", f"{entry.id} is the id of another strategy too; rename one"
        elif not _CLASS.fullmatch(entry.class_):
            yield f"{key}.class", f'{entry.class_!r} of {entry.id} must look like "module.path:ClassName"'
        yield from _trades(key, entry)
        yield from _orders(key, entry, settings.active_brokers)


def _trades(key: str, entry: StrategySettings) -> Mistakes:
    if not entry.instruments:
        yield f"{key}.instruments", f'{entry.id} has no instruments; name some, such as ["NSE:INFY"]'
    for instrument in entry.instruments:
        yield from _instrument(f"{key}.instruments", instrument)
    yield from _repeated(f"{key}.instruments", entry.instruments)


def _instrument(key: str, text: str) -> Mistakes:
    if not _INSTRUMENT.fullmatch(text):
        yield key, f'{text!r} must look like "EXCHANGE:SYMBOL" in capitals, such as "NSE:INFY"'


def _orders(key: str, entry: StrategySettings, active: tuple[str, ...]) -> Mistakes:
    if not entry.brokers:
        yield f"{key}.brokers", f'{entry.id} has no brokers; name at least one, such as ["paper"]'
    yield from _repeated(f"{key}.brokers", entry.brokers)
    for name in entry.brokers:
        if name not in BROKERS:
            yield f"{key}.brokers", f"{entry.id}: {_unknown_broker(name)}"
        elif entry.enabled and name not in active:
            yield (
                f"{key}.brokers",
                f"{entry.id} names {name}, which is not in active_brokers; add it there or drop it",
            )
