"""start, restart: through systemd when its unit runs this configuration, else as a background process."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from alphapanda.cli import unit
from alphapanda.cli.context import Context, context_of, say_mode
from alphapanda.cli.daemon import missed
from alphapanda.cli.interrupts import remembered
from alphapanda.cli.output import say, warn
from alphapanda.cli.processes import daemon_line, env_of, words_of
from alphapanda.cli.run import speed_of
from alphapanda.cli.stop import stopped
from alphapanda.errors import CannotStart, Fatal, NotRunning

if TYPE_CHECKING:
    from alphapanda.cli.processes import CommandLine
    from alphapanda.config import Loaded

ASK_S = 1.0
POLL_S = 0.05
READY = ("running", "halted")
USAGE, CANNOT_START = 2, 3
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Context settings: what is not ours is for `run`."""

Timeout = Annotated[
    float, typer.Option("--timeout", min=0, help="How long to wait until it is ready, in seconds.")
]


def start(ctx: typer.Context, timeout: Timeout = 60.0) -> None:
    """Start the daemon; returns when it is ready.

    Options of `alphapanda run` may follow. By systemd when the unit alphapanda.service runs this
    configuration, else as a background process that logs to alphapanda.log beside the store. When it runs
    already there is nothing to do.

    Example: alphapanda start
    """
    loaded = context_of(ctx).load()
    words = _for_run(ctx)
    if unit.runs(loaded):
        _by_systemd("start", words)
    else:
        _in_background(loaded, words, loaded.folder, time.monotonic() + timeout)


def restart(ctx: typer.Context, timeout: Timeout = 60.0) -> None:
    """Stop the daemon, if it runs, and start it again.

    With the options, the --env and in the folder it was started with, less --from-start; or with the options
    of `alphapanda run` that are given. What is wrong with them is said before anything is stopped.

    Example: alphapanda restart
    """
    from alphapanda.store import lock

    loaded = context_of(ctx).load()
    words = _for_run(ctx)
    if unit.runs(loaded):
        _by_systemd("restart", words)
        return
    folder, pid = loaded.folder, lock.holder(Path(loaded.settings.storage.path))
    if pid is not None:
        was, folder = _started_with(pid), _folder_of(pid)
        words = words or [word for word in was.run if word != "--from-start"]
        if was.env and env_of(loaded) is None:
            loaded = Context(context_of(ctx).config, was.env).load()
        try:
            say(f"stopped (pid {stopped(loaded, timeout)})")
        except NotRunning:
            say(f"the daemon with pid {pid} has left by itself")
    _in_background(loaded, words, folder, time.monotonic() + timeout)


def _for_run(ctx: typer.Context) -> list[str]:
    """The words that follow, as `run` takes them: it refuses what it does not know, here and now.

    Price files are the caller's folder's, as with `run`; the daemon's own folder is another.
    """
    group: Any = ctx.find_root().command
    name = ctx.info_name  # what is wrong with them sends its reader to the help of this command
    parsed = group.commands["run"].make_context(name, list(ctx.args), parent=ctx.find_root()).params
    if parsed["speed"] is not None:
        speed_of(parsed["speed"])
    words, is_path = [], False
    for word in ctx.args:
        name, equals, value = word.partition("=")
        if is_path:
            words.append(os.path.abspath(word))  # noqa: PTH100 - may be a glob
        elif name == "--data" and equals:
            words.append(f"--data={os.path.abspath(value)}")  # noqa: PTH100 - as above
        else:
            words.append(word)
        is_path = word == "--data"
    return words


def _by_systemd(verb: str, words: list[str]) -> None:
    if words:
        raise typer.BadParameter(
            f"{unit.UNIT} runs this configuration and takes no options; set them in the configuration",
            param_hint=words[0],
        )
    unit.tell(verb)
    say(f"{verb}ed by systemd ({unit.UNIT})")


def _in_background(loaded: "Loaded", words: list[str], folder: Path, deadline: float) -> None:
    """Start it unless one runs on the store already; of several that start at once, one wins."""
    from alphapanda.store import lock

    store = Path(loaded.settings.storage.path)
    while (pid := lock.holder(store)) is not None:
        if _is_ready(loaded, pid, deadline):
            told = "; it keeps the options it has, `alphapanda restart` gives it others" if words else ""
            say(f"the daemon runs already (pid {pid}){told}")
            return
    log = store.with_name("alphapanda.log")
    missed(loaded)
    with remembered() as check:
        begin, child = _spawned(loaded, words, folder, log)
        try:
            ready = _is_ready(loaded, child.pid, deadline, child, log, check)
        except KeyboardInterrupt:
            goes_on = f"the daemon (pid {child.pid}) goes on starting, `alphapanda stop` ends it"
            raise Fatal(f"interrupted; {goes_on}; log: {log}") from None
    if ready:
        say_mode(store)
        say(f"{ready} in the background (pid {child.pid}), log: {log}")
    elif child.returncode == 0:
        say(f"the daemon (pid {child.pid}) has done its work and left; log: {log}")
    elif child.returncode == CANNOT_START and lock.holder(store) is not None:
        _in_background(loaded, words, folder, deadline)  # somebody else's came first
    else:
        _refuse(child.returncode, _last_error(log, begin), log)


def _spawned(
    loaded: "Loaded", words: list[str], folder: Path, log: Path
) -> tuple[int, "subprocess.Popen[bytes]"]:
    """The child, in a session of its own, and where in the log its words begin."""
    config, name = str(loaded.files[0]), env_of(loaded)
    env = ["--env", name] if name else []
    command = [sys.executable, "-P", "-m", "alphapanda", "--config", config, *env, "run", *words]
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotStart(f"log {log} cannot be written: {error.strerror}; check storage.path") from error
    try:
        begin = os.fstat(descriptor).st_size
        child = subprocess.Popen(  # noqa: S603 - our own interpreter
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    except OSError as error:
        raise CannotStart(f"the daemon cannot be started in {folder}: {error.strerror}") from error
    finally:
        os.close(descriptor)
    return begin, child


def _is_ready(
    loaded: "Loaded",
    pid: int,
    deadline: float,
    child: "subprocess.Popen[bytes] | None" = None,
    log: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> str:
    """Wait until the daemon `pid` trades or is halted, and say which; empty when it has left.

    What `check` raises ends the wait.
    """
    from alphapanda.live.control import Unreachable, ask
    from alphapanda.store import lock

    socket, store = Path(loaded.settings.control.socket), Path(loaded.settings.storage.path)
    while (child.poll() is None) if child else (lock.holder(store) == pid):
        state = "starting" if child else "not answering"
        try:
            found = ask(socket, {"command": "status"}, ASK_S).get("result", {})
        except Unreachable:
            found = {}
        if found.get("pid") == pid:
            state = str(found["state"])
        if state in READY:
            return "started, halted by the kill switch," if state == "halted" else "started"
        if time.monotonic() > deadline:
            where = f", log: {log}" if log else ", see its log"
            raise Fatal(f"the daemon (pid {pid}) is still {state} and goes on{where}")
        check()
        time.sleep(POLL_S)
    return ""


def _last_error(log: Path, begin: int) -> str:
    """What the child said last; its own error line, if it had one."""
    with log.open("rb") as file:
        file.seek(begin)
        lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("alphapanda: ")]
    return (errors or lines or ["it said nothing"])[-1].removeprefix("alphapanda: ")


def _refuse(code: int, why: str, log: Path) -> NoReturn:
    if code == USAGE:
        warn(f"alphapanda: {why.replace('python -m ', '')}")
        raise typer.Exit(USAGE)
    how = f"exit code {code}" if code > 0 else f"signal {-code}"
    kind = CannotStart if code == CANNOT_START else Fatal
    raise kind(f"the daemon has ended before it was ready ({how}): {why}; log: {log}")


def _started_with(pid: int) -> "CommandLine":
    try:
        found = daemon_line(words_of(pid))
    except OSError as error:
        raise Fatal(f"the daemon with pid {pid} cannot be looked at: {error.strerror}; try again") from error
    if found is None:
        raise Fatal(f"pid {pid} was not started by `alphapanda run`; stop it and start it as it was started")
    return found


def _folder_of(pid: int) -> Path:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError as error:
        raise Fatal(f"the daemon with pid {pid} belongs to another user; restart it as that user") from error
