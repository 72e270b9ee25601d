"""Which words may be said only where it is listed, and how large things may grow."""

import ast
import subprocess
from collections.abc import Iterator

import pytest
from package_source import REPO, Module, modules, word

BROAD_HANDLERS = {
    "live.supervisor": 1,  # whatever a task raised, its budget decides
    "live.daemon": 1,  # whatever ended a line, the budget of the core decides
    "live.life": 1,  # a stage that raised has failed, whatever it was
    "cli.app": 1,  # every error is one line
    "live.control": 1,  # one request must not close the door for the others
    "live.watchman": 1,  # what cannot be looked at must not end the thread that looks at the rest
    "plan": 2,  # a strategy's module may raise anything while it is imported or made
    "store.store": 1,  # a commit that failed in any way is ambiguous
    "venues.zerodha.official": 1,  # the official client raises anything: there is no answer then
    "exchange.rest.gateway": 1,  # a call that we cannot answer must not end the exchange for all
}
"""Module -> how often it may say `except Exception`."""

HOMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"}
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
TOP_LEVEL = {
    "alphapanda",
    "strategies",
    "config.toml",
    "config.production.toml",
    "tests",
    "scripts",
    "systemd",
    "pyproject.toml",
    "README.md",
    "LICENSE",
}


def test_nothing_rests_on_assert():
    """It disappears under `python -O`."""
    wrong = [module.at(node) for module in modules().values() for node in module.nodes(ast.Assert)]
    assert not wrong, "\n".join(wrong)


def test_every_task_has_a_parent():
    wrong = [
        f"{module.at(node)}: {name}"
        for module in modules().values()
        for node in module.nodes(ast.Name, ast.Attribute)
        if (name := word(node))
        in ("create_task", "ensure_future", "gather", "get_event_loop", "run_coroutine_threadsafe")
    ]
    assert not wrong, "\n".join(wrong)


def caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    return {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}


def handlers() -> Iterator[tuple[Module, ast.ExceptHandler]]:
    for module in modules().values():
        for node in module.nodes(ast.ExceptHandler):
            assert isinstance(node, ast.ExceptHandler)
            yield module, node


def test_any_exception_is_caught_only_where_it_is_listed():
    found: dict[str, int] = {}
    for module, handler in handlers():
        if "Exception" in caught(handler):
            found[module.name] = found.get(module.name, 0) + 1
    assert found == BROAD_HANDLERS, "see BROAD_HANDLERS: each needs its reason there"


STRATEGIES_OWN = {"core.runner", "core.company", "core.failures"}
"""Where whatever a strategy raises, even sys.exit(), is its own mistake."""


def test_what_catches_everything_raises_it_again():
    wrong = [
        module.at(handler)
        for module, handler in handlers()
        if "BaseException" in caught(handler)
        and module.name not in STRATEGIES_OWN
        and not (isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_broad_handler_is_silent():
    wrong = [
        module.at(handler)
        for module, handler in handlers()
        if caught(handler) & {"Exception", "BaseException"} and isinstance(handler.body[0], ast.Pass)
    ]
    assert not wrong, "\n".join(wrong)


def test_certificates_are_always_checked():
    words = ("CERT_NONE", "_create_unverified_context", "InsecureRequestWarning")
    wrong = [
        module.at(node)
        for module in modules().values()
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Name | ast.Attribute) and word(node) in words)
        or (
            isinstance(node, ast.keyword)
            and node.arg in ("verify", "verify_ssl", "ssl", "check_hostname")
            and isinstance(node.value, ast.Constant)
            and node.value.value is False
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_types_are_imported_late_only_in_the_command():
    """TYPE_CHECKING may make help quick; anywhere else it would hide that two rooms need each other."""
    wrong = [
        module.at(node)
        for module in modules().values()
        for node in module.nodes(ast.Name)
        if getattr(node, "id", "") == "TYPE_CHECKING" and module.room != "cli"
    ]
    assert not wrong, "\n".join(wrong)


def test_every_module_has_a_home():
    wrong = [
        str(module.path.relative_to(REPO))
        for module in modules().values()
        if HOMELESS & set(module.path.relative_to(REPO).with_suffix("").parts)
    ]
    assert not wrong, f"a noun is missing for {wrong}"


def test_every_module_says_what_lives_in_it():
    wrong = [
        str(module.path.relative_to(REPO))
        for module in modules().values()
        if module.tree.body and not ast.get_docstring(module.tree)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_file_is_too_long():
    lengths = {module.path: len(module.path.read_text().splitlines()) for module in modules().values()}
    wrong = [f"{path.relative_to(REPO)}: {lines}" for path, lines in lengths.items() if lines > LONGEST_FILE]
    assert not wrong, f"over {LONGEST_FILE} lines:\n" + "\n".join(wrong)


def test_no_function_is_too_long():
    wrong = [
        f"{module.at(node)} {node.name}: {lines}"
        for module in modules().values()
        for node in module.nodes(ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert not wrong, f"over {LONGEST_FUNCTION} lines:\n" + "\n".join(wrong)


MAKERS = {
    "Approved": {"core.risk"},
    "StrategyRunner": {"pipeline"},
    "RiskManager": {"pipeline"},
    "PortfolioManager": {"pipeline"},
    "TradingEngine": {"pipeline", "live.opening"},  # opening: the same table settles what a crash left
    "MarketSimulator": {"plan"},
    "build_cores": {"live.opening", "backtest.report"},
}
"""What only these modules may call: an approval is proof because nobody else can make one."""


@pytest.mark.parametrize("name", MAKERS)
def test_it_is_made_only_in_its_own_room(name):
    found = {
        module.name
        for module in modules().values()
        for node in module.nodes(ast.Call)
        if isinstance(node, ast.Call) and word(node.func) == name
    }
    assert found == MAKERS[name]


def test_no_core_has_a_subclass():
    """Both shells run the same decisions: none is bent on the way."""
    cores = {"StrategyRunner", "RiskManager", "TradingEngine", "PortfolioManager", "MarketSimulator"}
    wrong = [
        module.at(node)
        for module in modules().values()
        for node in module.nodes(ast.ClassDef)
        if isinstance(node, ast.ClassDef) and cores & {getattr(base, "id", "") for base in node.bases}
    ]
    assert not wrong, "\n".join(wrong)


def test_the_top_level_is_exactly_this():
    if not (REPO / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    top = {path.split("/")[0] for path in listed.split("\0") if path and (REPO / path).exists()}
    assert {name for name in top if not name.startswith(".")} == TOP_LEVEL
