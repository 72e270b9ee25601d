"""`alphapanda config init|check|show`, as the root command mounts it."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from alphapanda.cli import config
from alphapanda.cli.context import Context
from alphapanda.config import KEYS, MASK, ConfigError, load, render
from alphapanda.errors import CannotStart

CANARY = "CaNaRy9c1e"
root = typer.Typer()
root.add_typer(config.app, name="config")


@root.callback()
def options(ctx: typer.Context, config: Path | None = None, env: str | None = None) -> None:
    ctx.obj = Context(config=config, env=env)


def run(*arguments: object, env: dict[str, str] | None = None):
    return CliRunner().invoke(root, [str(argument) for argument in arguments], env=env)


@pytest.fixture(autouse=True)
def clean_surroundings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ALPHAPANDA_CONFIG", "ALPHAPANDA_ENV", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def checked(monkeypatch):
    """The configurations whose strategies were asked for; importing them has its own tests."""
    seen = []
    plan = ModuleType("alphapanda.plan")
    plan.check_strategies = seen.append
    monkeypatch.setitem(sys.modules, "alphapanda.plan", plan)
    return seen


def test_init_writes_the_default_config_and_says_what_is_next(tmp_path):
    result = run("config", "init")
    assert result.exit_code == 0
    assert "alphapanda config check" in result.stdout
    assert (tmp_path / "config.toml").read_text() == render()
    assert load(environ={}, cwd=tmp_path).settings.strategies[0].id == "momentum_1"


def test_init_does_not_overwrite_unless_it_is_told_to(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("mine")
    result = run("config", "init", path)
    assert isinstance(result.exception, ConfigError)
    assert str(path) in str(result.exception)
    assert "--force" in str(result.exception)
    assert path.read_text() == "mine"
    assert run("config", "init", path, "--force").exit_code == 0
    assert path.read_text() == render()


def test_init_says_when_it_cannot_write(tmp_path):
    result = run("config", "init", tmp_path / "gone/config.toml")
    assert isinstance(result.exception, ConfigError)
    assert "cannot be written" in str(result.exception)


def test_check_names_the_files_and_asks_for_the_strategies(tmp_path, checked):
    (tmp_path / "config.toml").write_text(render())
    (tmp_path / "config.x.toml").touch()
    result = run("--env", "x", "config", "check")
    assert result.exit_code == 0
    assert str(tmp_path / "config.toml") in result.stdout
    assert str(tmp_path / "config.x.toml") in result.stdout
    assert "momentum_1" in result.stdout
    assert [loaded.folder for loaded in checked] == [tmp_path]


def test_check_in_json_is_one_document(tmp_path):
    (tmp_path / "config.toml").write_text(render())
    result = run("config", "check", "--json")
    assert json.loads(result.stdout) == {
        "ok": True,
        "files": [str(tmp_path / "config.toml")],
        "brokers": ["paper"],
        "strategies": [entry.id for entry in load(environ={}, cwd=tmp_path).settings.strategies],
    }


def test_a_mistake_leaves_the_command_as_it_is_so_that_the_root_exits_3(tmp_path):
    (tmp_path / "bad.toml").write_text("[risk]\nx = 1")
    for command in ("check", "show"):
        result = run("--config", "bad.toml", "config", command)
        assert isinstance(result.exception, CannotStart)
        assert "risk.x" in str(result.exception)
        assert result.stdout == ""


def test_a_strategy_that_cannot_be_imported_fails_the_check(tmp_path, monkeypatch):
    (tmp_path / "config.toml").write_text(render())

    def refuse(_: object) -> None:
        raise CannotStart("strategies[0].class: no such class")

    monkeypatch.setattr(sys.modules["alphapanda.plan"], "check_strategies", refuse)
    assert "no such class" in str(run("config", "check").exception)


SECRETS = {
    "ALPHAPANDA__ZERODHA__API_KEY": f"key{CANARY}",
    "ALPHAPANDA__REDIS__URL": f"redis://:{CANARY}@localhost/0",
    "ALPHAPANDA__ALERTS__URLS": f'["tgram://{CANARY}/1"]',
}


def test_show_in_json_has_every_key_with_its_value_and_origin(tmp_path):
    (tmp_path / "config.toml").write_text(render())
    result = run("config", "show", "--json", env=SECRETS)
    document = json.loads(result.stdout)
    assert list(document["keys"]) == list(KEYS)
    assert document["folder"] == str(tmp_path)
    assert document["keys"]["risk.max_order_value"] == {"value": 500000.0, "origin": "config.toml"}
    assert document["keys"]["zerodha.api_key"] == {
        "value": MASK,
        "origin": "environment ALPHAPANDA__ZERODHA__API_KEY",
    }
    assert document["keys"]["strategies"]["value"][0]["class"] == "strategies.momentum:MomentumStrategy"
    assert CANARY not in result.output


def test_show_fits_100_columns_and_masks_secrets(tmp_path):
    (tmp_path / "config.toml").write_text(render().replace('# group = ""', "group = '[red]trade'"))
    result = run("config", "show", env=SECRETS)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    for word in (*KEYS, "strategies[0].params", MASK, "[red]trade", "config.toml", "default"):
        assert word in result.stdout
    assert CANARY not in result.output


@pytest.mark.parametrize("command", [[], ["init"], ["check"], ["show"]])
def test_help_has_an_example_for_every_command(command):
    for option in ("-h", "--help"):
        result = run("config", *command, option)
        assert result.exit_code == 0
        assert not command or "Example: alphapanda" in result.stdout
