"""The documents: what config.toml, README.md, the help, the unit and the requirement files say is true."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from msgspec.structs import fields
from typer.testing import CliRunner

from alphapanda.cli.app import app
from alphapanda.config import KEYS, StrategySettings, load, render
from alphapanda.exchange.faults import read_script
from alphapanda.exchange.faults.kinds import KINDS
from alphapanda.exchange.faults.points import points_of
from alphapanda.live.policies import CORE, POLICIES
from alphapanda.pipeline import Stage
from alphapanda.plan import check_strategies
from alphapanda.store import schema

REPO = Path(__file__).resolve().parents[2]
README = REPO / "README.md"
RUNBOOK = REPO / "systemd" / "runbook.md"
REQUIREMENTS = sorted((REPO / "scripts").glob("requirements*.txt"))
WORD = re.compile(r"[a-z][a-z0-9-]*")
PINNED = re.compile(r"[a-z0-9][a-z0-9._-]*(\[[a-z,]+\])?==\S+( ; [^\\]+)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")

Command = Any  # a click command: typer brings its own copy of click along


@cache
def root() -> Command:
    return typer.main.get_command(app)


def commands(command: Command | None = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Command]]:
    """Every command and group by its words, such as `kill-switch on`."""
    command = command or root()
    for name, below in getattr(command, "commands", {}).items():
        yield " ".join([*path, name]), below
        yield from commands(below, (*path, name))


LEAVES = {path: command for path, command in commands() if not hasattr(command, "commands")}
GROUPS = {path: command for path, command in commands() if hasattr(command, "commands")}


def help_of(path: str) -> str:
    shown = CliRunner().invoke(app, [*path.split(), "--help"], env={"COLUMNS": "100", "TERM": "dumb"})
    assert (shown.exit_code, shown.stderr) == (0, "")
    return shown.stdout


def options(command: Command) -> dict[str, Command]:
    return {
        name: option
        for option in command.params
        for name in option.opts
        if option.param_type_name == "option"
    }


@cache
def readme() -> str:
    assert README.is_file(), "README.md is missing"
    return README.read_text(encoding="utf-8")


@cache
def runbook() -> str:
    assert RUNBOOK.is_file(), "systemd/runbook.md is missing"
    return RUNBOOK.read_text(encoding="utf-8")


def fences(language: str, text: str | None = None) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text or readme(), re.MULTILINE | re.DOTALL)


def quoted_commands(text: str) -> list[str]:
    """Every `alphapanda …` of the text: lines of shell fences, and `words in backticks`."""
    shell = "\n".join(fences("sh", text)).replace("\\\n", " ")
    lines = [line for line in shell.splitlines() if re.match(r"(\S*/)?alphapanda\b", line.strip())]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return lines + re.findall(r"`((?:\S*/)?alphapanda [^`]+)`", prose)


def mistakes(line: str) -> list[str]:
    """What of a command line does not exist. Words in capitals stand for something; `…` for more."""
    command, found = root(), []
    words = iter(shlex.split(line.replace("…", ""), comments=True)[1:])
    for word in words:
        if word in ("|", "&&", ";", ">", "&"):
            break
        if word.startswith("-"):
            name, _, value = word.partition("=")
            known = options(command)
            if command.context_settings.get("ignore_unknown_options"):  # start and restart pass them on
                known = options(root().commands["run"]) | known
            if name in ("-h", "--help"):
                continue
            if name not in known:
                found.append(f"`{line}`: no option {name}")
            elif not known[name].is_flag and not value:
                next(words, None)
        elif hasattr(command, "commands") and not word.isupper():
            if word not in command.commands:
                return [*found, f"`{line}`: no command {word}"]
            command = command.commands[word]
    return found


def keys_in(text: str) -> set[str]:
    """Dotted keys of a config.toml, those that are commented out as well."""
    section, found = "", set()
    for line in text.splitlines():
        if header := re.fullmatch(r"(?:# )?\[+([a-z_.]+)\]+", line):
            section = header[1] + "."
        elif key := re.match(r"(?:# )?([a-z_]+) = ", line):
            found.add(section + key[1])
    return found


def promised_keys() -> set[str]:
    strategy = {f"strategies.{field.encode_name}" for field in fields(StrategySettings)}
    return set(KEYS) - {"strategies"} | strategy


def test_every_key_is_in_the_configuration_file_and_nothing_else_is():
    assert keys_in((REPO / "config.toml").read_text(encoding="utf-8")) == promised_keys()


def test_the_configuration_file_is_the_one_that_init_writes():
    written = tomllib.loads(render())
    assert tomllib.loads((REPO / "config.toml").read_text(encoding="utf-8")) == written


@pytest.mark.parametrize("env", [None, "production"])
def test_the_configuration_files_load_and_their_strategies_can_be_made(env, tmp_path):
    loaded = load(REPO / "config.toml", env=env, environ={}, cwd=tmp_path)
    assert len(loaded.files) == (2 if env else 1)
    check_strategies(loaded)


def test_production_says_only_what_differs():
    ours = tomllib.loads((REPO / "config.toml").read_text(encoding="utf-8"))
    theirs = tomllib.loads((REPO / "config.production.toml").read_text(encoding="utf-8"))
    same = [
        f"{section}.{key}"
        for section, values in theirs.items()
        if isinstance(values, dict)
        for key, value in values.items()
        if ours.get(section, {}).get(key) == value
    ]
    assert not same


def test_the_configuration_blocks_of_the_readme_have_only_keys_that_exist():
    blocks = [msgspec.toml.decode(block) for block in fences("toml")] if fences("toml") else []
    for block in blocks:
        if "fault" in block:  # a script for the exchange
            continue
        for entry in block.pop("strategies", []):
            msgspec.convert(entry, StrategySettings)
        unknown = {f"{section}.{key}" for section, values in block.items() for key in values} - set(KEYS)
        assert not unknown


@pytest.mark.parametrize("path", LEAVES)
def test_the_help_of_a_command_has_a_sentence_an_example_and_every_option(path):
    command = LEAVES[path]
    shown = help_of(path)
    example = f"Example: alphapanda {path}"
    text = " ".join(shown.split())
    assert example in text or f"Example: alphapanda --env production {path}" in text, f"no `{example}`"
    for name, option in options(command).items():
        assert name in shown, f"{name} is not in the help of {path}"
        assert option.help, f"{name} of {path} says nothing"
    assert not mistakes(re.search(r"Example: (.*)", command.help or "")[1])


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_the_help_of_a_group_lists_its_commands(group):
    command = GROUPS[group] if group else root()
    shown = help_of(group)
    for name, below in command.commands.items():
        assert re.search(rf"\b{name}\b", shown), f"{name} is not in the help of {group or 'alphapanda'}"
        assert below.help, f"{name} says nothing"
    for name, option in options(command).items():
        assert name in shown
        assert option.help


@pytest.mark.parametrize("text", [readme, runbook], ids=["README.md", "systemd/runbook.md"])
def test_every_command_quoted_in_the_documents_exists_with_its_options(text):
    quoted = quoted_commands(text())
    assert len(quoted) > 5, "no commands are shown"
    wrong = [mistake for line in quoted for mistake in mistakes(line)]
    assert not wrong, "\n".join(wrong)


def test_a_wrong_command_in_the_readme_would_be_found():
    assert not mistakes("alphapanda --env production run --feed replay --data 'a b' --until-end  # all of it")
    assert not mistakes("alphapanda COMMAND -h")
    for line in (
        "alphapanda fly",
        "alphapanda run --fast",
        "alphapanda kill-switch maybe",
        "alphapanda --up run",
    ):
        assert mistakes(line), line


def test_every_script_named_in_the_readme_exists_or_is_said_to_be_missing():
    promised_later = "".join(re.findall(r"\*\*Not yet:\*\*(?:.+\n)+", readme()))
    named = set(re.findall(r"\bscripts/[a-z][a-z0-9._-]*", readme())) - set(
        re.findall(r"scripts/[a-z]+", promised_later)
    )
    assert {"scripts/setup", "scripts/test"} <= named, "the README does not say how to start"
    missing = {name for name in named if not (REPO / name).exists()}
    assert not missing


def test_every_module_named_in_the_readme_exists():
    named = set(re.findall(r"(?<![\w/])(?:alphapanda|strategies|systemd|tests)/[\w/.-]*\w", readme()))
    named -= {"strategies/dip.py", "strategies/pullback.py"}  # the reader writes it
    missing = {name for name in named if not (REPO / name).exists()}
    assert named
    assert not missing


def test_the_readme_lists_every_room():
    rooms = {
        f"`{path.name}/`" if path.is_dir() else f"`{path.name}`"
        for path in (REPO / "alphapanda").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    } - {"`__init__.py`", "`__main__.py`"}
    table = readme().partition("### Rooms")[2].partition("\n#")[0]
    missing = {room for room in rooms | {"`strategies/`"} if room not in table}
    assert not missing


def test_the_readme_explains_every_exit_code():
    explained = dict(re.findall(r"^\| (\d) \| (.+) \|$", readme(), re.MULTILINE))
    assert set(explained) == {"0", "1", "2", "3", "4"}


def test_the_readme_draws_every_stage():
    picture = next(iter(re.findall(r"^```\n(.*?──►.*?)^```", readme(), re.MULTILINE | re.DOTALL)), "")
    for stage in ("feed", "strategy", "risk", "execution", "portfolio", "broker"):
        assert stage in picture, f"{stage} is not in the README's picture of the flow"


def test_the_readme_draws_every_supervised_task_with_its_restarts():
    """`core` is a life of the line there; a finite feed stands beside the live one."""
    (tree,) = re.findall(r"^```\n( process .*?)^```", readme(), re.MULTILINE | re.DOTALL)
    drawn = {}
    for line in tree.splitlines():
        names, restarts = re.fullmatch(r"[ │├└─]*(.+?)(?:  +(.+))?", line).groups()
        drawn |= dict.fromkeys(re.split(r", | and ", names), restarts)
    drawn[CORE] = drawn.pop("a life of the line")
    for name, policy in POLICIES.items():
        window = f" in {policy.within_s:g} s" if policy.restarts else ""
        said = "for ever" if policy.restarts is None else f"{policy.restarts}{window}"
        assert drawn[name].startswith(said), name
    assert {stage.value for stage in Stage} <= set(drawn)


def test_the_fault_scripts_of_the_readme_can_be_read():
    scripts = [block for block in fences("toml") if "[[fault]]" in block]
    assert scripts
    for script in scripts:
        assert read_script(script, "README.md").faults


def test_the_readme_lists_every_kind_of_fault_with_its_keys():
    table = re.findall(r"^\| `(\w+)`(\*?) \| (.+) \| (.+) \| (.+) \|$", readme(), re.MULTILINE)
    rows = {name: row for name, *row in table if name != "do"}
    assert set(rows) == set(KINDS)
    for name, kind in KINDS.items():
        star, where, keys, meaning = rows[name]
        assert bool(star) == kind.timed, name
        assert meaning.startswith(kind.meaning), name
        assert all(f"`{sort}`" in meaning for sort in kind.sorts), name
        said = [f"`{key}`" for key in kind.needs] + [f"(`{key}`)" for key in kind.takes]
        assert keys == (", ".join(said) or "-"), name
        named = {point for on in re.findall(r"`([\w.]+)`", where) for point in points_of(on)}
        assert named == (set() if where == "any call" else kind.at), name


def test_the_readme_lists_every_kind_of_line_in_the_exchanges_history():
    written = set()
    for path in (REPO / "alphapanda" / "exchange").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        written |= set(re.findall(r"(?:history\.add|\.noted)\(\s*\"(\w+)\"", text))
    table = readme().partition("**The history**")[2].partition("\n### ")[0]
    listed = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.+?) \|", table, re.MULTILINE))))
    assert written
    assert listed == written


def test_the_unit_starts_a_command_that_exists_and_gives_up_where_trying_is_no_cure():
    (unit,) = (REPO / "systemd").glob("*.service")
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE))
    assert not mistakes(settings["ExecStart"])
    assert settings["ExecStart"].endswith(" run")
    assert settings["Restart"] in ("on-failure", "always")
    assert "3" in settings["RestartPreventExitStatus"].split()
    assert "1" not in settings["RestartPreventExitStatus"].split()


def test_the_unit_gives_the_folders_that_production_writes_to():
    (unit,) = (REPO / "systemd").glob("*.service")
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE))
    allowed = [f"/var/lib/{settings['StateDirectory']}/", f"/run/{settings['RuntimeDirectory']}/"]
    loaded = load(REPO / "config.toml", env="production", environ={}).settings
    for path in (loaded.storage.path, loaded.control.socket, loaded.control.kill_file):
        assert any(path.startswith(folder) for folder in allowed), path


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_and_hashed_and_names_no_other_source(path):
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.split("#")[0].strip()]
    assert lines
    for line in lines:
        requirement, *hashes = re.split(r"\s+(?=--hash)", line.split(" #")[0].strip())
        assert PINNED.fullmatch(requirement.strip()), f"{path.name}: {requirement!r} is not name==version"
        assert hashes, f"{path.name}: {requirement} has no hash"
        assert all(HASH.fullmatch(each) for each in hashes), f"{path.name}: {requirement}"
    assert "://" not in text


def test_what_the_project_needs_is_locked():
    assert {path.name for path in REQUIREMENTS} >= {"requirements.txt", "requirements-test.txt"}
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {
        "requirements.txt": project["dependencies"],
        "requirements-test.txt": project["dependencies"] + project["optional-dependencies"]["test"],
    }
    for name, requirements in wanted.items():
        locked = set(re.findall(r"^([a-z0-9._-]+)==", (REPO / "scripts" / name).read_text(), re.MULTILINE))
        missing = {re.split(r"[><=\[]", requirement)[0] for requirement in requirements} - locked
        assert not missing, f"{name} lacks {missing}"


def test_scripts_can_be_started():
    scripts = [path for path in (REPO / "scripts").iterdir() if path.is_file() and not path.suffix]
    assert {path.name for path in scripts} >= {"setup", "test", "campaign"}
    for path in [*scripts, REPO / ".ci" / "run"]:
        assert path.stat().st_mode & 0o111, f"{path.name} is not executable"
        assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env "), path.name


def test_every_table_of_the_store_is_rebuilt_from_the_journal():
    """But for the instrument lists, which are the broker's."""
    created = set(re.findall(r"CREATE TABLE (\w+)", "".join(schema.MIGRATIONS)))
    assert set(schema.PROJECTIONS) == created - {"journal", "meta", "instruments", "instrument_dumps"}
