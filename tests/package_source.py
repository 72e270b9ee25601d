"""The package and the strategies as their source: every module as a tree, and what it imports."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

REPO = Path(__file__).resolve().parents[1]


class Module(NamedTuple):
    """`name` without the leading `alphapanda.`; a strategy keeps its `strategies.`."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    def within(self, places: set[str]) -> bool:
        return any(self.name == place or self.name.startswith(f"{place}.") for place in places if place) or (
            self.name == "" and "" in places
        )

    def nodes(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))

    def at(self, node: ast.AST) -> str:
        return f"{self.path.relative_to(REPO)}:{getattr(node, 'lineno', 1)}"


@cache
def modules() -> dict[str, Module]:
    found = {}
    for folder in ("alphapanda", "strategies"):
        for path in sorted((REPO / folder).rglob("*.py")):
            dotted = ".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")
            name = dotted.removeprefix("alphapanda").removeprefix(".") if folder == "alphapanda" else dotted
            found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8")))
    return found


def imported(module: Module) -> Iterator[tuple[str, ast.AST]]:
    """Every dotted name that is imported anywhere in the file, late imports too."""
    for node in module.nodes(ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        else:
            assert node.level == 0, f"{module.at(node)}: relative import"
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


def house_imports(module: Module) -> Iterator[tuple[str, ast.AST]]:
    """Names of our own modules: `from alphapanda.store import lock` is `store.lock`."""
    for dotted, node in imported(module):
        if dotted.split(".")[0] not in ("alphapanda", "strategies"):
            continue
        name = dotted.removeprefix("alphapanda").removeprefix(".")
        while name not in modules():
            name = name.rpartition(".")[0]
        yield name, node


def word(node: ast.AST) -> str:
    """The name, or the last part of a dotted one."""
    return str(getattr(node, "id", getattr(node, "attr", "")))


def packages(module: Module) -> Iterator[tuple[str, ast.AST]]:
    for dotted, node in imported(module):
        top = dotted.split(".")[0]
        if top not in ("alphapanda", "strategies"):
            yield top, node
