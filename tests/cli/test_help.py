"""The help and the shell completion: quick, whole at 80 columns, and true."""

import subprocess
import sys

import pytest
from running import COMMAND, environment, run, strategy, write_config
from typer.main import get_command

from alphapanda.cli.app import app

HEAVY = ("rich", "loguru", "anyio", "asyncio", "msgspec", "redis", "pyarrow", "sqlite3", "aiohttp")
LONGEST_SUMMARY = 58


def commands(command=None, path=()):
    """Every command and group by its words."""
    for name, below in getattr(command or get_command(app), "commands", {}).items():
        yield (*path, name), below
        yield from commands(below, (*path, name))


@pytest.mark.parametrize("words", [["-h"], ["run", "-h"], ["start", "-h"], ["--version"]], ids=" ".join)
def test_help_imports_nothing_heavy(words):
    # typer itself takes pydantic as soon as an option has a value to read.
    heavy = (*HEAVY, "pydantic") if len(words) == 1 else HEAVY
    code = f"""
import sys
from alphapanda.cli.app import app
sys.argv = ["alphapanda", *{words!r}]
try:
    app(standalone_mode=False)
finally:
    print([name for name in {heavy!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=lambda each: str(each)[:40])
def test_the_summary_of_a_command_is_whole_in_a_list_of_80_columns(path, command):
    summary = command.get_short_help_str(LONGEST_SUMMARY)
    assert summary, path
    assert not summary.endswith("..."), path


@pytest.mark.parametrize(
    "group", ["", *(" ".join(path) for path, below in commands() if hasattr(below, "commands"))]
)
def test_a_group_without_a_command_shows_its_help(tmp_path, group):
    bare, asked = run(tmp_path, *group.split()), run(tmp_path, *group.split(), "-h")
    assert (bare.code, asked.code) == (2, 0)
    assert bare.stderr.split() == asked.stdout.split()
    assert "Example: alphapanda" in asked.stdout


@pytest.mark.parametrize(
    ("typed", "meant"), [("stauts", "status"), ("kill-switch of", "off"), ("orders --limt 3", "--limit")]
)
def test_a_slip_of_the_finger_is_told_what_was_meant(tmp_path, typed, meant):
    done = run(tmp_path, *typed.split())
    assert done.code == 2
    assert meant in done.line


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("start --bogus", "start"),
        ("restart --speed", "restart"),
        ("demo --seed", "demo"),
        ("kill-switch off --reason", "kill-switch off"),
        ("orders --limit 99999999999999999999", "orders"),
    ],
)
def test_a_mistake_sends_its_reader_to_the_help_of_the_command(tmp_path, typed, command):
    write_config(tmp_path)
    done = run(tmp_path, *typed.split())
    assert done.code == 2
    assert done.line.endswith(f"; help: alphapanda {command} -h")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_one_the_shell_can_load(tmp_path, shell):
    script = run(tmp_path, env={"_ALPHAPANDA_COMPLETE": f"source_{shell}"})
    assert (script.code, script.stderr) == (0, "")
    assert f"_ALPHAPANDA_COMPLETE=complete_{shell}" in script.stdout
    if shell == "bash":
        read = subprocess.run(
            ["bash", "-n"], input=script.stdout, capture_output=True, text=True, check=False
        )
        assert (read.returncode, read.stderr) == (0, "")


def offered(folder, line, shell="bash"):
    """What the shell offers at the end of the line."""
    words = line.split(" ")
    asks = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = subprocess.run(
        [COMMAND],
        cwd=folder,
        env=environment({"_ALPHAPANDA_COMPLETE": f"complete_{shell}"} | asks),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout


def test_commands_are_completed(tmp_path):
    assert {"start", "status"} <= set(offered(tmp_path, "alphapanda sta").split())
    assert offered(tmp_path, "alphapanda restar").split() == ["restart"]
    assert set(offered(tmp_path, "alphapanda kill-switch ").split()) == {"on", "off", "status"}
    assert "status" in offered(tmp_path, "alphapanda stat", "zsh")
    assert "status" in offered(tmp_path, "alphapanda stat", "fish")


def test_ids_of_strategies_and_names_of_brokers_come_from_the_configuration(tmp_path):
    path = write_config(tmp_path, strategies=[strategy("dip_1"), strategy("dip_2"), strategy("other")])
    assert offered(tmp_path, "alphapanda orders --strategy dip").split() == ["dip_1", "dip_2"]
    assert offered(tmp_path, "alphapanda backtest --strategy o").split() == ["other"]
    assert offered(tmp_path, "alphapanda trades --broker ").split() == ["paper"]
    path.rename(tmp_path / "mine.toml")
    assert offered(tmp_path, "alphapanda --config mine.toml orders --strategy o").split() == ["other"]


def test_without_a_configuration_nothing_is_offered_and_nothing_is_said(tmp_path):
    assert offered(tmp_path, "alphapanda orders --strategy d").split() == []


def test_keys_of_limits_are_completed(tmp_path):
    assert offered(tmp_path, "alphapanda risk set max_order_").split() == [
        "max_order_quantity", "max_order_value"
    ]  # fmt: skip
    assert "overrides" not in offered(tmp_path, "alphapanda risk reset ")
