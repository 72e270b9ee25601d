"""start, restart, stop: a daemon in the background, and what they say when it is not to be had."""

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import (
    COMMAND,
    FINISH_S,
    count,
    daemon,
    environment,
    eventually,
    run,
    status,
    strategy,
    write_config,
    write_ticks,
    zigzag,
)

from alphapanda.store import lock

HELD = """
import time
from pathlib import Path

from strategies.momentum import MomentumStrategy as Held

while not Path(__file__).with_name("go").exists():
    time.sleep(0.01)
"""


@pytest.fixture
def folder(tmp_path):
    """A configuration and half a minute of prices. Whatever was started in it is ended after the test."""
    write_config(tmp_path)
    write_ticks(tmp_path, zigzag(30))
    yield tmp_path
    for pid in {lock.holder(tmp_path / "var/alphapanda.db"), *children_of(tmp_path)} - {None}:
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda pid=pid: not running(pid))


@pytest.fixture
def held(folder):
    """A daemon here does not become ready before the file `go` is there."""
    (folder / "held.py").write_text(HELD)
    write_config(folder, strategies=[strategy(**{"class": "held:Held"})])
    return folder


def running(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(folder):
    """Daemons that were started with this folder's configuration, ready or not."""
    return {
        int(path.name) for path in Path("/proc").glob("[0-9]*") if str(folder) in " ".join(words_of(path))
    }


def words_of(process):
    try:
        return (process / "cmdline").read_text().split("\0")
    except OSError:
        return []


def command_of(pid):
    return words_of(Path(f"/proc/{pid}"))


def pid_of(folder):
    return status(folder)["pid"]


@contextmanager
def begun(folder, *words):
    """`alphapanda words…` at work; ended by the block's end."""
    process = subprocess.Popen(
        [COMMAND, *words],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=FINISH_S)


def test_start_returns_when_the_daemon_is_ready_and_stop_ends_it(folder):
    done = run(folder, "start")
    pid, log = pid_of(folder), folder / "var/alphapanda.log"
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == f"started in the background (pid {pid}), log: {log}\n"
    assert " ready: " in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    again = run(folder, "start")
    assert (again.code, again.stdout) == (0, f"the daemon runs already (pid {pid})\n")
    ended = run(folder, "stop")
    assert (ended.code, ended.stdout) == (0, f"stopped (pid {pid})\n")
    assert status(folder)["state"] == "stopped"
    assert run(folder, "stop").code == 4


def test_the_daemon_depends_on_nothing_of_who_started_it(folder):
    read, write = os.pipe()
    os.set_inheritable(write, True)
    try:
        subprocess.run([COMMAND, "start"], cwd=folder, env=environment(), check=True, close_fds=False)
    finally:
        os.close(read)
        os.close(write)
    pid = pid_of(folder)
    opened = {int(path.name): path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()}
    log = folder / "var/alphapanda.log"
    assert [opened[number] for number in (0, 1, 2)] == [Path("/dev/null"), log, log]
    assert not [target for target in opened.values() if str(target).startswith("pipe:")]
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/cwd").readlink() == folder


def test_options_of_run_are_passed_on_and_price_files_are_those_of_the_callers_folder(folder):
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    write_ticks(elsewhere, zigzag(6))
    words = [
        "--config",
        folder / "config.toml",
        "start",
        "--data",
        "prices",
        "--data=prices/*.csv",
        "--speed",
    ]
    done = run(elsewhere, *words, "max", "--until-end")
    assert done.code == 0
    eventually(lambda: status(folder)["state"] == "stopped")
    assert count(folder, "trades") == 4
    said = (folder / "var/alphapanda.log").read_text()
    assert "the data has ended after row 6" in said


def test_a_finite_job_that_has_ended_before_it_was_seen_is_no_failure(folder):
    write_ticks(folder, zigzag(2))
    done = run(folder, "start", "--until-end")
    assert (done.code, done.stderr) == (0, "")
    eventually(lambda: status(folder)["state"] == "stopped")
    again = run(folder, "start", "--until-end")
    assert (again.code, again.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--fast"], 2, "No such option: --fast"),
        (["extra"], 2, "unexpected extra argument"),
        (["--speed", "abc"], 2, "neither a number above 0 nor max"),
        (["--data", "none.csv"], 3, "none.csv: no such file"),
        (["--feed", "nse"], 3, "feed.source"),
    ],
)
def test_what_the_daemon_refuses_is_said_in_its_own_words_with_its_own_code(folder, words, code, said):
    done = run(folder, "start", *words)
    assert (done.code, done.stdout) == (code, "")
    assert said in done.line
    assert status(folder)["state"] == "stopped"


def test_a_daemon_that_dies_before_it_is_ready_is_a_failure(held):
    with begun(held, "start") as starting:
        (child,) = eventually(lambda: children_of(held))
        os.kill(child, signal.SIGKILL)
        _, said = starting.communicate(timeout=FINISH_S)
    assert starting.returncode == 1
    assert "ended before it was ready (signal 9)" in said
    assert str(held / "var/alphapanda.log") in said


def test_a_store_that_cannot_be_made_is_said(folder):
    (folder / "var").write_text("not a folder")
    done = run(folder, "start")
    assert done.code == 3
    assert str(folder / "var") in done.line


def test_who_does_not_wait_is_told_where_to_look_and_the_daemon_goes_on(held):
    done = run(held, "start", "--timeout", "0")
    assert done.code == 1
    assert "is still starting and goes on" in done.line
    assert str(held / "var/alphapanda.log") in done.line
    (held / "go").touch()
    eventually(lambda: status(held)["state"] == "running")


def test_an_interrupted_start_leaves_the_daemon_and_says_so(held):
    with begun(held, "start") as starting:
        (child,) = eventually(lambda: children_of(held))
        starting.send_signal(signal.SIGINT)
        _, said = starting.communicate(timeout=FINISH_S)
    assert starting.returncode == 1
    assert "interrupted; the daemon" in said
    assert "goes on starting, `alphapanda stop` ends it" in said
    (held / "go").touch()
    eventually(lambda: run(held, "status").code == 0)
    assert pid_of(held) == child


def test_of_several_starts_at_once_one_wins_and_the_others_name_it(folder):
    with begun(folder, "start") as one, begun(folder, "start") as two, begun(folder, "start") as three:
        said = sorted(process.communicate(timeout=FINISH_S)[0] for process in (one, two, three))
        assert [process.returncode for process in (one, two, three)] == [0, 0, 0]
    pid = pid_of(folder)
    assert sum(f"started in the background (pid {pid})" in words for words in said) == 1
    assert sum(f"runs already (pid {pid})" in words for words in said) == 2
    eventually(lambda: children_of(folder) == {pid})


def test_a_halted_daemon_is_ready_too(folder):
    run(folder, "kill-switch", "on", "--reason", "a test")
    done = run(folder, "start")
    assert done.code == 0
    assert done.stdout.startswith("started, halted by the kill switch, in the background (pid ")


def test_restart_keeps_the_options_the_environment_and_the_folder_of_the_daemon(folder):
    (folder / "config.day.toml").write_text("environment = 'day'\n")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    shutil.move(folder / "prices", elsewhere / "prices")
    config = folder / "config.toml"
    with (
        (folder / "first.log").open("wb") as log,
        subprocess.Popen(
            [
                COMMAND,
                "--config",
                config,
                "--env=day",
                "run",
                "--from-start",
                "--data",
                "prices",
                "--speed",
                "9",
            ],
            cwd=elsewhere,
            env=environment(),
            stdout=log,
            stderr=log,
        ) as first,
    ):
        eventually(lambda: status(folder)["state"] == "running", process=first)
        done = run(folder, "restart")
        assert (done.code, done.stderr) == (0, "")
        assert first.wait(FINISH_S) == 0
    second = status(folder)
    assert (second["state"], second["environment"]) == ("running", "day")
    assert f"stopped (pid {first.pid})\nstarted in the background (pid {second['pid']})" in done.stdout
    words = command_of(second["pid"])
    assert words[words.index("run") + 1 : -1] == ["--data", "prices", "--speed", "9"]
    assert Path(f"/proc/{second['pid']}/cwd").readlink() == elsewhere


def test_restart_takes_other_options_and_starts_what_does_not_run(folder):
    assert run(folder, "restart", "--speed", "9").code == 0
    first = pid_of(folder)
    assert run(folder, "restart", "--speed", "30", "--no-calendar").code == 0
    second = pid_of(folder)
    assert first != second
    assert command_of(second)[-4:-1] == ["--speed", "30", "--no-calendar"]


@pytest.mark.parametrize("words", [["--fast"], ["--speed", "abc"], ["extra"]], ids=" ".join)
def test_a_slip_in_a_restart_stops_nothing(folder, words):
    with daemon(folder, "--speed", "9") as running_one:
        done = run(folder, "restart", *words)
        assert done.code == 2
        assert pid_of(folder) == running_one.pid


def test_a_daemon_that_does_not_answer_is_not_started_twice(folder):
    with daemon(folder, "--speed", "9") as stuck:
        stuck.send(signal.SIGSTOP)
        done = run(folder, "start", "--timeout", "0")
        assert done.code == 1
        assert f"the daemon (pid {stuck.pid}) is still not answering" in done.line
        stuck.send(signal.SIGCONT)


def test_after_a_kill_start_goes_on_from_the_journal(folder):
    with daemon(folder, "--speed", "30") as killed:
        killed.until(lambda: count(folder, "trades"))
        killed.kill()
    done = run(folder, "start", "--speed", "max", "--until-end")
    assert done.code == 0
    eventually(lambda: status(folder)["state"] == "stopped")
    assert count(folder, "trades") == 28


def test_a_stop_that_takes_too_long_says_how_to_end_it(folder):
    with daemon(folder, "--speed", "9") as stuck:
        stuck.send(signal.SIGSTOP)
        done = run(folder, "stop", "--timeout", "0")
        assert done.code == 1
        assert f"`kill -9 {stuck.pid}` ends it at once, and the next start recovers" in done.line
        stuck.send(signal.SIGCONT)
