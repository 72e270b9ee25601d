"""Which processes are daemons, and which of them a command with another store does not reach."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import run, write_config

from alphapanda.cli import processes
from alphapanda.cli.daemon import missed
from alphapanda.cli.processes import CommandLine, daemon_line, env_of, others
from alphapanda.config import load

PYTHON = "/opt/alphapanda/bin/python3"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"{PYTHON} /opt/alphapanda/bin/alphapanda run", CommandLine(None, None, [])),
        ("alphapanda --env production run --speed 9", CommandLine(None, "production", ["--speed", "9"])),
        (
            f"{PYTHON} -P -m alphapanda --config=a.toml --env day run",
            CommandLine("a.toml", "day", []),
        ),
    ],
)
def test_a_daemon_is_known_by_its_words(line, found):
    assert daemon_line(line.split()) == found


@pytest.mark.parametrize(
    "line",
    [
        "",
        "alphapanda",
        "alphapanda --env",
        "alphapanda status",
        "alphapanda demo --keep run",
        "sudo alphapanda run",
        "vim alphapanda run",
        f"{PYTHON} -m pytest run",
    ],
)
def test_other_programs_and_other_commands_are_no_daemon(line):
    assert daemon_line(line.split(" ")) is None


@given(st.lists(st.sampled_from(["python3", "alphapanda", "--config", "--env=", "-", "run", ""]), min_size=1))
def test_any_words_are_looked_at_without_an_error(words):
    daemon_line(words)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A /proc of our own; `start` adds a process to it. Nothing here is in the folder of temporary files."""
    monkeypatch.setattr(processes, "PROC", tmp_path / "proc")
    monkeypatch.setattr(processes.tempfile, "gettempdir", lambda: str(tmp_path / "trials"))

    def start(pid, folder, *words, env=""):
        process = tmp_path / "proc" / str(pid)
        process.mkdir(parents=True)
        (process / "cmdline").write_text("\0".join([*words, ""]))
        (process / "environ").write_text(env)
        (process / "cwd").symlink_to(folder)

    return start


def configured(folder, **overlay):
    """Read with --env production when there is such an overlay."""
    folder.mkdir(parents=True)
    write_config(folder)
    if overlay:
        write_config(folder, **overlay).rename(folder / "config.production.toml")
        write_config(folder)
    return load(folder / "config.toml", environ={}, cwd=folder)


def test_the_overlay_that_was_forgotten_is_another_store(machine, tmp_path):
    ours = configured(tmp_path / "etc", storage={"path": "real.db"})
    machine(7, tmp_path / "etc", "alphapanda", "--env", "production", "run")
    machine(8, tmp_path / "etc", "alphapanda", "run", env="ALPHAPANDA_ENV=production\0")
    machine(9, tmp_path / "etc", "alphapanda", "run")  # ours
    machine(os.getpid(), tmp_path / "etc", "alphapanda", "--env", "production", "run")
    (tmp_path / "proc" / "10").mkdir()
    found = list(others(ours))
    assert [other.pid for other in found] == [7, 8]
    assert [env_of(other.loaded) for other in found] == ["production", "production"]
    assert found[0].command == "alphapanda --env production run"


def test_a_trial_in_the_folder_of_temporary_files_is_not_in_the_way_of_others(machine, tmp_path):
    ours = configured(tmp_path / "etc")
    trial = configured(tmp_path / "trials/one", storage={"path": "other.db"})
    machine(7, tmp_path / "trials/one", "alphapanda", "--env", "production", "run")
    assert list(others(ours)) == []
    assert [other.pid for other in others(trial)] == [7]


def test_a_daemon_whose_configuration_cannot_be_read_is_another(machine, tmp_path):
    ours = configured(tmp_path / "etc")
    machine(7, tmp_path / "gone", "alphapanda", "--config", "gone.toml", "run")
    ((pid, command, loaded),) = others(ours)
    assert (pid, command, loaded) == (7, "alphapanda --config gone.toml run", None)


def test_whoever_missed_a_daemon_is_told_how_to_reach_it(machine, tmp_path, capsys):
    ours, theirs = configured(tmp_path / "ours"), configured(tmp_path / "etc", storage={"path": "real.db"})
    assert not missed(ours)
    machine(7, tmp_path / "etc", "alphapanda", "--env", "production", "run")
    machine(8, tmp_path / "gone", "alphapanda", "run")
    assert not missed(ours), "they have files of their own"
    capsys.readouterr()
    machine(9, tmp_path / "ours", "alphapanda", "run", env="ALPHAPANDA__STORAGE__PATH=third.db\0")
    assert missed(ours)
    file, found = theirs.files[0], capsys.readouterr().err.splitlines()
    ways = [
        f"use --config {file} --env production, or set ALPHAPANDA_CONFIG={file} ALPHAPANDA_ENV=production",
        "use the --config and --env it has, or set ALPHAPANDA_CONFIG and ALPHAPANDA_ENV",
        "set storage.path as its environment does",
    ]
    assert [line.split("; ")[1] for line in found] == ways
    assert found[0].startswith(f"alphapanda: the daemon with pid 7 with store {tmp_path}/etc/real.db was not")
    assert found[1].startswith("alphapanda: the daemon with pid 8 was not reached; ")
    assert found[2].endswith("; it is: alphapanda run")


def test_a_command_names_nobody_when_there_is_nobody(tmp_path):
    write_config(tmp_path)
    assert run(tmp_path, "kill-switch", "on").stderr == ""
