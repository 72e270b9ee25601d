"""`risk set --yes`: consent is given whatever the limit is by the time it is used."""

import typer
from running import write_config

from alphapanda.cli import risk
from alphapanda.cli.context import Context


def test_yes_is_passed_on_also_where_nothing_loosens_when_it_is_looked_at(tmp_path, monkeypatch):
    """Between the look and the change another command may tighten the limit."""
    asked = []

    def answer(_loaded, command, **words):
        asked.append((command, words.get("loosen")))
        scope = {"broker": None, "strategy": None, "instrument": None}
        found = {"key": "max_order_value", "scope": scope, "description": "", "old": "1", "new": "2"}
        return found | {"looser": False, "changed": True, "limits": [], "refused": []}

    monkeypatch.setattr(risk, "ask_daemon", answer)
    ctx = typer.Context(typer.main.get_command(risk.app), obj=Context(write_config(tmp_path), None))
    for yes in (True, False):
        risk.set_(ctx, "max_order_value", "2", "test", yes=yes)
    assert [consent for command, consent in asked if command == "risk_set"] == [True, False]
