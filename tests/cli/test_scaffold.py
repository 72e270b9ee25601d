"""What `strategies new` writes, where, and what it leaves alone when it cannot."""

import os
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from alphapanda.cli import strategies
from alphapanda.cli.context import Context
from alphapanda.cli.scaffold import LONGEST_NAME, mistake_in, write_strategy
from alphapanda.config import ConfigError, load, render
from alphapanda.plan import check_strategies

root = typer.Typer()
root.add_typer(strategies.app, name="strategies")


@root.callback()
def options(ctx: typer.Context, config: str | None = None, env: str | None = None) -> None:
    ctx.obj = Context(config=Path(config) if config else None, env=env)


def run(*words):
    return CliRunner().invoke(root, ["strategies", "new", *map(str, words)])


def opened(folder, env=None):
    return load(folder / "config.toml", env=env, environ={}, cwd=folder)


def written(folder):
    """Every file and folder below, with what is in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("ALPHAPANDA_CONFIG", "ALPHAPANDA_ENV", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(render())
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Dip",
        "my-idea",
        "my idea",
        "1dip",
        "_dip",
        "dip_",
        "a__b",
        "dip.py",
        "../dip",
        "é",
        "x\n",
        "x" * 29,
    ],
)
def test_what_cannot_be_a_module_is_refused_with_an_example(name):
    assert "such as my_idea" in mistake_in(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [("class", "a word of Python"), ("momentum", "is installed"), ("opening_range", "is installed")],
)
def test_a_name_that_is_taken_is_refused(name, problem):
    assert problem in mistake_in(name)


@pytest.mark.parametrize("name", ["dip", "my_idea", "rsi14", "x" * LONGEST_NAME])
def test_a_good_name_gives_a_strategy_that_can_be_made(folder, name):
    assert mistake_in(name) is None
    made = write_strategy(name, opened(folder))
    loaded = opened(folder)
    assert loaded.settings.strategies[-1].id == made.id == f"{name}_1"
    check_strategies(loaded)
    compile(made.test.read_text(), made.test, "exec")


def test_the_stanza_is_added_and_all_that_was_there_stays(folder):
    before = (folder / "config.toml").read_text()
    made = write_strategy("my_idea", opened(folder))
    after = (folder / "config.toml").read_text()
    assert after.startswith(before)
    stanza = tomllib.loads(after[len(before) :])["strategies"]
    assert [(one["id"], one["class"]) for one in stanza] == [
        ("my_idea_1", "strategies.my_idea:MyIdeaStrategy")
    ]
    assert (made.strategy, made.test) == (
        folder / "strategies" / "my_idea.py",
        folder / "tests" / "test_my_idea.py",
    )
    assert "$" not in after + made.strategy.read_text() + made.test.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing but a word",
        '[logging]\nlevel = "INFO"',
        '\ufeff[[strategies]]\r\nid = "momentum_1"\r\n',
        '[[strategies]]\nid = "a"\n[strategies.params]\nquantity = 2',
        '[[strategies]]\nid = "dip_1"\n',
    ],
)
def test_it_can_be_added_to_any_file_whatever_its_end(folder, text):
    config = folder / "config.toml"
    config.write_bytes(text.encode())
    before = [entry.id for entry in opened(folder).settings.strategies]
    made = write_strategy("dip", opened(folder))
    assert [entry.id for entry in opened(folder).settings.strategies] == [*before, made.id]
    assert config.read_bytes().startswith(text.encode())
    check_strategies(opened(folder))


def test_a_list_in_brackets_cannot_be_added_to_and_nothing_is_written(folder):
    (folder / "config.toml").write_text('strategies = [{ id = "a" }]\n')
    before = written(folder)
    with pytest.raises(ConfigError, match=r"\[\[strategies\]\] table"):
        write_strategy("dip", opened(folder))
    assert written(folder) == before


@pytest.mark.parametrize("taken", ["strategies/dip.py", "tests/test_dip.py"])
def test_nothing_is_overwritten_and_nothing_is_written_by_half(folder, taken):
    (folder / taken).parent.mkdir()
    (folder / taken).write_text("mine")
    before = written(folder)
    with pytest.raises(ConfigError, match="exists already"):
        write_strategy("dip", opened(folder))
    assert written(folder) == before


def test_a_configuration_that_cannot_be_written_takes_the_other_files_back(folder, monkeypatch):
    """Written in part first, as on a disk that fills up."""
    before, really = written(folder), os.write

    def fills_up(descriptor, data):
        if len(data) < 50:
            raise OSError(28, "No space left on device")
        return really(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", fills_up)
    with pytest.raises(ConfigError, match="No space left on device"):
        write_strategy("dip", opened(folder))
    monkeypatch.undo()
    assert written(folder) == before


def test_an_overlay_with_strategies_of_its_own_gets_the_stanza(folder):
    overlay = folder / "config.live.toml"
    overlay.write_text('environment = "live"\n')
    assert write_strategy("one", opened(folder, "live")).config == folder / "config.toml"
    overlay.write_text('[[strategies]]\nid = "only"\n')
    assert write_strategy("two", opened(folder, "live")).config == overlay
    assert [entry.id for entry in opened(folder, "live").settings.strategies] == ["only", "two_1"]


def test_strategies_from_the_environment_are_no_file_to_add_to(folder):
    environ = {"ALPHAPANDA__STRATEGIES": '[{ id = "a" }]'}
    loaded = load(folder / "config.toml", environ=environ, cwd=folder)
    with pytest.raises(ConfigError, match="ALPHAPANDA__STRATEGIES"):
        write_strategy("dip", loaded)


def test_where_paper_does_not_trade_the_strategy_is_not_enabled(folder):
    (folder / "config.toml").write_text(
        'active_brokers = ["zerodha"]\n[feed]\nsource = "zerodha"\n[zerodha]\nenabled = true\n'
    )
    environ = {"ALPHAPANDA__ZERODHA__API_KEY": "key"}
    made = write_strategy("dip", load(folder / "config.toml", environ=environ, cwd=folder))
    (entry,) = load(folder / "config.toml", environ=environ, cwd=folder).settings.strategies
    assert (made.enabled, entry.enabled, entry.brokers) == (False, False, ("paper",))


def test_the_command_says_what_it_wrote_and_what_is_next(folder):
    said = run("dip").stdout
    for word in (
        f"{folder}/strategies/dip.py (DipStrategy)",
        f"{folder}/tests/test_dip.py",
        f"dip_1 to {folder}/config.toml",
        "alphapanda config check\n",
        "alphapanda demo\n",
        "pytest tests/test_dip.py\n",
    ):
        assert word in said
    assert "cd " not in said


def test_without_pytest_the_next_step_is_to_install_it(folder, monkeypatch):
    said = run("dip").stdout
    assert "pip install" not in said
    monkeypatch.setattr(strategies, "find_spec", lambda name: None)
    said = run("other").stdout
    assert "  pip install pytest\n  pytest tests/test_other.py\n" in said


def test_the_next_steps_keep_what_the_caller_said_of_the_configuration(folder):
    (folder / "config.toml").rename(folder / "my own.toml")
    (folder / "config.day.toml").write_text("")
    words = ["--config", "my own.toml", "--env", "day", "strategies", "new", "dip"]
    said = CliRunner().invoke(root, words).stdout
    assert f"  alphapanda --config '{folder}/my own.toml' --env day config check\n" in said


def test_another_folder_is_written_to_when_it_is_named(folder):
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.toml").write_text(render())
    said = run("dip", "--folder", elsewhere).stdout
    assert f"  cd {elsewhere}\n" in said
    assert (elsewhere / "strategies/dip.py").exists()
    assert not (folder / "strategies").exists()


def test_a_folder_without_a_configuration_is_told_what_to_do(folder):
    (folder / "config.toml").unlink()
    result = run("dip")
    assert isinstance(result.exception, ConfigError)
    assert "run `alphapanda config init`" in str(result.exception)
    assert written(folder) == {}


def test_a_bad_name_or_two_folders_are_wrong_usage(folder):
    assert run("Dip").exit_code == 2
    both = CliRunner().invoke(
        root, ["--config", "config.toml", "strategies", "new", "dip", "--folder", str(folder)]
    )
    assert both.exit_code == 2
    assert "strategies" not in {path.name for path in folder.iterdir()}
