"""Whether systemd runs the configuration in use, decided with a systemctl that says what it is told to."""

import pytest
from typer.testing import CliRunner

from alphapanda.cli import unit
from alphapanda.cli.app import app
from alphapanda.config import load
from alphapanda.errors import CannotStart, Fatal

SYSTEMCTL = """#!/bin/sh
echo "$@" >> {folder}/asked
case "$1" in
cat) cat {folder}/unit ;;
is-active) cat {folder}/state ;;
show) cat {folder}/code ;;
*) if [ -s {folder}/failure ]; then cat {folder}/failure >&2; exit 1; fi ;;
esac
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A folder with a configuration, on a machine that systemd started."""
    (tmp_path / "config.toml").write_text("")
    (tmp_path / "config.live.toml").write_text("")
    (tmp_path / "state").write_text("inactive\n")
    (tmp_path / "code").write_text("0\n")
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin/systemctl"
    fake.write_text(SYSTEMCTL.format(folder=tmp_path))
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    monkeypatch.setattr(unit, "BOOTED", tmp_path)
    monkeypatch.delenv("ALPHAPANDA_ENV", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def installed(folder, exec_start):
    (folder / "unit").write_text(f"# /etc/systemd/system/alphapanda.service\n[Service]\n{exec_start}\n")


def asked(folder):
    return (folder / "asked").read_text().splitlines()


def alphapanda(*words):
    return CliRunner().invoke(app, words)


def test_without_systemd_nothing_is_asked(machine, monkeypatch):
    installed(machine, f"ExecStart=alphapanda --config {machine}/config.toml run")
    monkeypatch.setattr(unit, "BOOTED", machine / "gone")
    assert not unit.runs(load())
    assert not (machine / "asked").exists()


def test_a_machine_without_the_unit_or_without_systemctl_starts_in_the_background(machine, monkeypatch):
    assert not unit.runs(load())
    monkeypatch.setenv("PATH", str(machine))
    assert not unit.runs(load())


@pytest.mark.parametrize(
    ("words", "env", "ours"),
    [
        ("--config {folder}/config.toml run", None, True),
        ("--config={folder}/../{name}/config.toml run", None, True),
        ("--config {folder}/config.toml --env live run", "live", True),
        ("--config {folder}/config.toml --env live run", None, True),
        ("--config {folder}/config.toml run", "live", False),
        ("--config {folder}/config.toml --env test run", "live", False),
        ("--config /etc/alphapanda/config.toml run", None, False),
        ("run", None, False),
    ],
)
def test_the_unit_runs_the_configuration_that_its_command_names(machine, words, env, ours):
    installed(machine, "ExecStart=/opt/alphapanda " + words.format(folder=machine, name=machine.name))
    assert unit.runs(load(env=env)) is ours


def test_of_several_commands_the_last_counts_and_lines_may_go_on(machine):
    installed(
        machine,
        "ExecStart=alphapanda --config /other.toml run\nExecStart=\n"
        f"ExecStart=alphapanda \\\n  --config {machine}/config.toml run",
    )
    assert unit.runs(load())


@pytest.mark.parametrize(("verb", "said"), [("start", "started"), ("restart", "restarted")])
def test_the_command_speaks_to_systemd_when_the_unit_is_ours(machine, verb, said):
    installed(machine, f"ExecStart=alphapanda --config {machine}/config.toml run")
    done = alphapanda(verb)
    assert (done.exit_code, done.stdout) == (0, f"{said} by systemd (alphapanda.service)\n")
    assert asked(machine)[-1] == f"{verb} alphapanda.service"
    assert not (machine / "var").exists()


def test_options_of_run_are_refused_by_a_unit_that_has_its_own(machine):
    installed(machine, f"ExecStart=alphapanda --config {machine}/config.toml run")
    done = alphapanda("start", "--until-end")
    assert done.exit_code == 2
    assert "takes no options" in done.stderr
    assert "start alphapanda.service" not in asked(machine)


@pytest.mark.parametrize(("code", "kind"), [("3", CannotStart), ("1", Fatal)])
def test_what_systemd_could_not_start_ends_with_the_code_of_the_daemon(machine, code, kind):
    installed(machine, f"ExecStart=alphapanda --config {machine}/config.toml run")
    (machine / "failure").write_text("Job for alphapanda.service failed.\nSee systemctl status.\n")
    (machine / "code").write_text(f"{code}\n")
    error = alphapanda("start").exception
    assert type(error) is kind
    assert "Job for alphapanda.service failed; see `journalctl" in str(error)


@pytest.mark.parametrize("state", ["active", "activating"])
def test_a_daemon_of_systemd_is_stopped_by_systemd(machine, state):
    installed(machine, f"ExecStart=alphapanda --config {machine}/config.toml run")
    (machine / "state").write_text(f"{state}\n")
    done = alphapanda("stop")
    assert (done.exit_code, done.stdout) == (0, "stopped by systemd (alphapanda.service)\n")
    assert asked(machine)[-1] == "stop alphapanda.service"


def test_a_daemon_beside_an_idle_unit_is_stopped_by_ourselves(machine):
    installed(machine, f"ExecStart=alphapanda --config {machine}/config.toml run")
    done = alphapanda("stop")
    assert "no daemon runs" in str(done.exception)
    assert "stop alphapanda.service" not in asked(machine)
