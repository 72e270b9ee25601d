"""The rooms: who may import whom, and which rooms have no clock, no chance and no door.

The tables here are the design. A new room, package or core file needs its line in them.
"""

import ast
import sys
import tomllib

import pytest
from package_source import REPO, Module, house_imports, imported, modules, packages, word

ROOMS: dict[str, set[str]] = {
    "": set(),
    "times": set(),
    "events": {"times"},
    "errors": set(),
    "addresses": set(),
    "fail_points": {"errors"},
    "kite": {"times", "events"},
    "core": {"times", "events"},
    "pipeline": {"events", "core"},
    "rows": {"times", "events", "core"},
    "venues": {"addresses", "times", "events", "errors", "fail_points", "core", "kite"},
    "tables": {"times", "events", "errors", "core"},
    "exchange": {"", "times", "events", "errors", "core", "tables", "kite", "venues"},
    "config": {"addresses", "events", "errors", "core"},
    "store": {"times", "events", "errors", "fail_points", "core", "rows", "pipeline"},
    "plan": {"times", "events", "errors", "core", "pipeline", "tables", "venues", "config"},
    "backtest": {"times", "events", "errors", "core", "pipeline", "rows", "venues", "config", "plan"},
    "live": {
        *("times", "", "events", "errors", "fail_points", "core", "pipeline"),
        *("venues", "config", "store", "plan"),
    },
    "cli": {
        *("addresses", "times", "", "events", "errors", "fail_points", "core", "rows"),
        *("tables", "venues", "exchange", "config", "store", "plan", "backtest", "live"),
    },
    "__main__": {"cli"},
    "strategies": {"times", "events", "core"},
}
"""Room -> the other rooms it may import. "" is the package itself (its version)."""

CORE: dict[str, set[str]] = {
    "core": set(),
    "core.money": set(),
    "core.segments": set(),
    "core.contracts": {"core.segments"},
    "core.sessions": set(),
    "core.calendar": {"core.contracts", "core.segments", "core.sessions"},
    "core.comparison": set(),
    "core.execution": set(),
    "core.answers": set(),
    "core.strategy": {"core.money"},
    "core.position": {"core.strategy"},
    "core.hosted": {"core.answers", "core.strategy"},
    "core.failures": set(),
    "core.interrupted": {"core.strategy"},
    "core.overruns": set(),
    "core.company": {"core.failures", "core.hosted", "core.overruns", "core.strategy"},
    "core.runner": {"core.answers", "core.company", "core.hosted", "core.interrupted", "core.strategy"},
    "core.charges": {"core.money", "core.segments"},
    "core.margins": {"core.contracts", "core.money", "core.segments"},
    "core.rules": {
        *("core.rules.approvals", "core.rules.asked", "core.rules.claims", "core.rules.conduct"),
        *("core.rules.contract",),
        *("core.rules.exposure", "core.rules.facts", "core.rules.loss", "core.rules.marks"),
        *("core.rules.pairs", "core.rules.price", "core.rules.rate", "core.rules.size"),
    },
    "core.trust": set(),
    "core.rules.marks": {"core.money", "core.trust"},
    "core.rules.approvals": set(),
    "core.rules.asked": {"core.rules.contract", "core.rules.rate", "core.rules.size"},
    "core.rules.claims": {"core.margins"},
    "core.rules.facts": {"core.money"},
    "core.rules.contract": {"core.rules.approvals", "core.rules.claims", "core.rules.marks"},
    "core.rules.size": {"core.contracts", "core.segments", "core.rules.contract"},
    "core.rules.exposure": {"core.rules.contract"},
    "core.rules.price": {"core.money", "core.rules.contract"},
    "core.rules.rate": {"core.rules.contract", "core.rules.size"},
    "core.rules.loss": {"core.money", "core.rules.contract"},
    "core.rules.conduct": {"core.rules.contract"},
    "core.rules.pairs": {"core.rules.contract", "core.rules.loss", "core.rules.rate"},
    "core.limits": {"core.money", "core.rules"},
    "core.lots": set(),
    "core.holding": {"core.lots", "core.margins"},
    "core.equity": set(),
    "core.account": {"core.equity", "core.holding", "core.margins"},
    "core.square_off": set(),
    "core.portfolio": {
        *("core.money", "core.holding", "core.equity", "core.account", "core.margins", "core.square_off"),
    },
    "core.risk": {
        *("core.money", "core.rules", "core.limits", "core.calendar", "core.margins", "core.square_off"),
    },
    "core.market": {"core.market.account", "core.market.rms", "core.market.simulator"},
    "core.market.account": {"core.lots", "core.margins"},
    "core.market.offers": {"core.money"},
    "core.market.resting": set(),
    "core.market.rms": {
        *("core.charges", "core.square_off"),
        *("core.market.account", "core.market.simulator"),
    },
    "core.market.rejections": {"core.money", "core.market.account", "core.market.resting"},
    "core.market.simulator": {
        *("core.money", "core.charges"),
        *("core.market.account", "core.market.offers", "core.market.rejections", "core.market.resting"),
    },
}
"""Core file -> the core files it may import beside `events`: the stages do not know each other."""

EXCHANGE_SEES = {"venues": {"venues.replay", "venues.instruments", "venues.simulated"}}
"""Of these rooms the exchange knows the readers of price files and the listing only."""

CORE_SEEN_FROM = {
    "venues": {"core.charges", "core.comparison", "core.lots", "core.market"},
    "config": {"core.rules", "core.limits"},
    "cli": {"core.calendar", "core.hosted", "core.sessions"},
    "strategies": {"core.strategy", "core.position"},
}
"""Rooms that may look at these files of core only."""

PACKAGES: dict[str, set[str]] = {
    "aiosqlite": {"store"},
    "sqlite3": {"store"},
    "typer": {"cli"},
    "rich": {"cli"},
    "loguru": {"live", "cli", "venues"},
    "aiohttp": {"exchange.serving", "venues.zerodha.books"},
    "anyio": {
        *("live", "venues", "store", "exchange.serving"),
        *("cli.run", "cli.demo", "cli.exchange", "cli.login"),
    },
    "asyncio": {"live", "venues", "store", "exchange.serving", "cli.run"},
    "h11": {"venues.zerodha.wire"},
    "websockets": {"venues.zerodha.connection", "venues.zerodha.handshake"},
    "pyarrow": {"venues.replay"},
    "tomllib": {"config", "tables"},
    "tomli_w": {"config"},
    "kiteconnect": {"venues.zerodha.official"},
    "redis": {"live.metrics"},
    "msgspec": {"events", *ROOMS} - {"errors", "__main__"},
}
"""Package -> the rooms that may name it. No other third-party package may be imported."""

PURE = {
    "bisect",
    "collections",
    "datetime",
    "decimal",
    "enum",
    "functools",
    "itertools",
    "math",
    "msgspec",
    "operator",
    "re",
    "typing",
}
"""What the decisions and the strategies may use beside the house: nothing with a clock, chance or a door."""

DOORS = {
    *("aiohttp", "anyio", "asyncio", "os", "secrets", "select", "selectors", "signal", "socket", "ssl"),
    *("subprocess", "threading", "time", "uuid"),
}
"""What the exchange may use in `exchange.serving` only: clocks, chance that no seed decides, and sockets."""

VENUE_CORES = {
    f"venues.zerodha.{name}"
    for name in (
        *("answers", "book_rows", "cancels", "clock", "dump", "external", "follow", "followed", "governor"),
        *("external_orders", "external_trade", "reconciliation", "reported"),
        *("holds", "lingering", "shards"),
    )
}
"""What Zerodha's venue decides, apart from its doors: time and what was answered come in as arguments."""

IMPURE_NAMES = {"open", "print", "input", "exec", "eval", "logger", "breakpoint", "__import__"}
IMPURE_ATTRIBUTES = {"now", "utcnow", "today", "monotonic", "perf_counter", "uuid4", "getenv", "environ"}

ENVIRONMENT = {"config", "fail_points", "cli.app", "live.logs", "live.notify"}
"""Who may look at `os.environ`; fail_points are armed there and nowhere else, cli.app asks for a traceback
where no configuration can be read, the other two speak to systemd and to the terminal."""


def test_every_room_is_in_the_table():
    assert {module.room for module in modules().values()} == set(ROOMS), "a room came or went: see ROOMS"


def test_imports_run_down():
    wrong = [
        f"{module.at(node)}: {module.room or 'alphapanda'} may not import {name or 'alphapanda'}"
        for module in modules().values()
        for name, node in house_imports(module)
        if name.partition(".")[0] not in {module.room, *ROOMS[module.room]}
    ]
    assert not wrong, "\n".join(wrong)


def test_the_rooms_themselves_have_floors():
    """The table above cannot hold a circle: each room stands on rooms that are already there."""
    standing: set[str] = set()
    while ready := {room for room, below in ROOMS.items() if below <= standing} - standing:
        standing |= ready
    assert standing == set(ROOMS), f"these rooms stand on each other: {set(ROOMS) - standing}"


def test_no_import_leads_back_to_where_it_started():
    """Module by module, imports inside functions and under TYPE_CHECKING included."""
    below = {name: {other for other, _ in house_imports(module)} for name, module in modules().items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for other in sorted(below[name] - {name}):
                visit(other, (*path, name))
            done.add(name)

    for name in sorted(below):
        visit(name, ())


def test_core_files_know_only_the_vocabulary_and_their_own_helpers():
    core = {name for name in modules() if name.partition(".")[0] == "core"}
    assert core == set(CORE), "a core file came or went: see CORE"
    wrong = [
        f"{modules()[name].at(node)}: {name} may not import {other}"
        for name, allowed in CORE.items()
        for other, node in house_imports(modules()[name])
        if other not in {"events", "times"} | allowed
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", CORE_SEEN_FROM)
def test_of_core_a_room_sees_only_what_it_needs(room):
    wrong = [
        f"{module.at(node)}: {module.name} may not import {name}"
        for module in modules().values()
        if module.room == room
        for name, node in house_imports(module)
        if name.startswith("core") and name not in CORE_SEEN_FROM[room]
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_named_rooms_name_a_package():
    wrong = [
        f"{module.at(node)}: {module.name or 'alphapanda'} may not import {package}"
        for module in modules().values()
        for package, node in packages(module)
        if (package in PACKAGES or package not in sys.stdlib_module_names)
        and not module.within(PACKAGES.get(package, set()))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_packages_used_are_the_packages_declared():
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {name.partition(">")[0].strip().replace("-", "_") for name in project["dependencies"]}
    used = {
        package
        for module in modules().values()
        for package, _ in packages(module)
        if package not in sys.stdlib_module_names and package != "_csv"
    }
    assert used == declared


def test_only_the_configuration_looks_at_the_environment():
    wrong = [
        module.at(node)
        for module in modules().values()
        for node in module.nodes(ast.Attribute)
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv")
        and not module.within(ENVIRONMENT)
    ]
    assert not wrong, "\n".join(wrong)


def pure() -> list[Module]:
    return [module for module in modules().values() if module.room in ("core", "strategies")]


def test_the_decisions_import_nothing_with_a_clock_chance_or_a_door():
    wrong = [
        f"{module.at(node)}: {package}"
        for module in pure()
        for package, node in packages(module)
        if package not in PURE
    ]
    assert not wrong, "\n".join(wrong)


def test_the_decisions_do_not_wait_look_at_the_clock_write_or_log():
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Global, ast.Nonlocal)
    wrong = [
        f"{module.at(node)}: {type(node).__name__} {word(node)}"
        for module in pure()
        for node in ast.walk(module.tree)
        if isinstance(node, waiting)
        or (isinstance(node, ast.Name) and node.id in IMPURE_NAMES)
        or (isinstance(node, ast.Attribute) and node.attr in IMPURE_ATTRIBUTES)
    ]
    assert not wrong, "\n".join(wrong)


def test_what_a_venue_decides_has_no_clock_chance_or_door_and_does_not_wait():
    cores = [modules()[name] for name in sorted(VENUE_CORES)]
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    wrong = [
        f"{module.at(node)}: {package}"
        for module in cores
        for package, node in packages(module)
        if package not in PURE | {"csv", "hashlib"}
    ]
    wrong += [
        f"{module.at(node)}: {name}"
        for module in cores
        for name, node in house_imports(module)
        if name.startswith("venues.") and name not in VENUE_CORES
    ]
    wrong += [
        f"{module.at(node)}: {type(node).__name__} {word(node)}"
        for module in cores
        for node in ast.walk(module.tree)
        if isinstance(node, waiting)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_NAMES)
        or (isinstance(node, ast.Attribute) and node.attr in IMPURE_ATTRIBUTES)
    ]
    assert not wrong, "\n".join(wrong)


def synchronous() -> list[Module]:
    """The exchange without its sockets."""
    return [
        module
        for module in modules().values()
        if module.room == "exchange" and not module.within({"exchange.serving"})
    ]


def test_the_exchange_has_clocks_and_sockets_in_one_place():
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert synchronous()
    wrong = [
        f"{module.at(node)}: {dotted}"
        for module in synchronous()
        for dotted, node in imported(module)
        if dotted.split(".")[0] in DOORS or dotted.startswith("urllib.request")
    ]
    wrong += [
        f"{module.at(node)}: {type(node).__name__} {word(node)}"
        for module in synchronous()
        for node in ast.walk(module.tree)
        if isinstance(node, waiting)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_NAMES)
        or (isinstance(node, ast.Attribute) and node.attr in IMPURE_ATTRIBUTES)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_chance_of_the_exchange_comes_from_its_seed():
    """Functions of the module `random` draw from a seed of their own."""
    wrong = [
        f"{module.at(node)}: {dotted}"
        for module in modules().values()
        if module.room == "exchange"
        for dotted, node in imported(module)
        if dotted.split(".")[0] == "random" and dotted != "random.Random"
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", EXCHANGE_SEES)
def test_the_exchange_knows_little_of_our_venues(room):
    wrong = [
        f"{module.at(node)}: {module.name} may not import {name}"
        for module in modules().values()
        if module.room == "exchange"
        for name, node in house_imports(module)
        if name.partition(".")[0] == room
        and not any(name == seen or name.startswith(f"{seen}.") for seen in EXCHANGE_SEES[room])
    ]
    assert not wrong, "\n".join(wrong)
