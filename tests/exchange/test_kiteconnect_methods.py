"""Every public method of the official client is used by a test here, or there is a reason why not."""

import ast
import inspect
from pathlib import Path

from kiteconnect import KiteConnect

HERE = Path(__file__).parent
PROGRAMS = (*HERE.glob("test_kiteconnect_*.py"), HERE.parent / "kite_trader.py")
NOT_USED: dict[str, str] = {}
"""Method -> why no test uses it."""


def names_in(path):
    """Names that follow `kite.`, and the words of parameters: some tests take their method from one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).rpartition(".")[2] == "kite":
            yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.parametrize":
            yield from (word.value for word in ast.walk(node) if isinstance(word, ast.Constant))


def test_every_method_of_the_client_is_used_by_a_test_or_named_with_a_reason():
    methods = {name for name, _ in inspect.getmembers(KiteConnect, inspect.isfunction) if name[0] != "_"}
    used = {name for path in PROGRAMS for name in names_in(path)}
    assert len(methods) >= 45
    assert methods - used == set(NOT_USED)
