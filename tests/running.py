"""The installed command as a user has it: child processes with a time limit, daemons that never outlive."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import tomli_w

from alphapanda.live.control import Unreachable, ask

COMMAND = Path(sys.executable).with_name("alphapanda")
OURS = ("ALPHAPANDA", "CREDENTIALS_DIRECTORY")
FINISH_S = 60.0
POLL_S = 0.02
OPENING = datetime(2024, 1, 31, 9, 15)  # a Wednesday, without a zone: price files are in IST

Fact = TypeVar("Fact")


class Done(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout; anything else beside it is an error."""
        return json.loads(self.stdout)

    @property
    def line(self) -> str:
        """The one line on stderr."""
        (line,) = self.stderr.splitlines()
        return line


def strategy(strategy_id: str = "momentum_1", **changes: Any) -> dict[str, Any]:
    """A momentum strategy that looks one tick back and trades on a move of one percent."""
    params = {"lookback_period": 1, "buy_threshold": 1.01, "sell_threshold": 0.99, "quantity": 3}
    return {"id": strategy_id, "instruments": ["NSE:INFY"], "params": params} | changes


def write_config(folder: Path, **sections: Any) -> Path:
    """A config.toml in `folder` that replays folder/prices; a section given replaces the one here."""
    whole = {
        "feed": {"source": "replay", "replay": {"paths": ["prices"]}},
        "strategies": [strategy()],
        "storage": {"reserve_mib": 1},  # what is killed leaves it
    } | sections
    path = folder / "config.toml"
    path.write_text(tomli_w.dumps(whole), encoding="utf-8")
    return path


def write_ticks(folder: Path, rows: Iterable[tuple[float, str, float]], name: str = "day.csv") -> Path:
    """folder/prices/name from (seconds after 09:15, symbol, price)."""
    path = folder / "prices" / name
    path.parent.mkdir(exist_ok=True)
    lines = [f"{OPENING + timedelta(seconds=second)},{symbol},{price}" for second, symbol, price in rows]
    path.write_text("\n".join(["timestamp,symbol,ltp", *lines, ""]))
    return path


def zigzag(seconds: int, symbol: str = "INFY") -> list[tuple[float, str, float]]:
    """One row a second, up two percent and down again: each makes `strategy()` trade."""
    return [(second, symbol, 102.0 if second % 2 else 100.0) for second in range(seconds)]


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's, without what would change our configuration."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(OURS)}
    return kept | dict(changes or {})


def run(
    folder: Path,
    *words: object,
    env: Mapping[str, str] | None = None,
    within: float = FINISH_S,
    before: Sequence[str] = (),
) -> Done:
    """`alphapanda words…` in `folder`; a command that takes longer than `within` is killed and fails.

    `before` is a command that becomes it, such as one that takes rights away.
    """
    ended = subprocess.run(
        [*before, COMMAND, *map(str, words)],
        cwd=folder,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=within,
        check=False,
    )
    return Done(ended.returncode, ended.stdout, ended.stderr)


def on_a_terminal(folder: Path, reply: str, *words: str) -> tuple[int, str]:
    """The exit code, and what the command says, as one line, to somebody who answers `reply`."""
    ours, its = pty.openpty()
    try:
        os.write(ours, reply.encode())
        ended = subprocess.run(
            [COMMAND, *words],
            cwd=folder,
            env=environment(),
            stdin=its,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=FINISH_S,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(its)
    return ended.returncode, " ".join(ended.stdout.split())


def answer(folder: Path, *words: object) -> Any:
    """What a reading command says with --json; it must succeed and say nothing else."""
    done = run(folder, *words, "--json")
    assert (done.code, done.stderr) == (0, ""), done
    return done.document


def status(folder: Path) -> Any:
    """`status --json`, whether or not a daemon runs."""
    return run(folder, "status", "--json").document


def eventually(fact: Callable[[], Fact], within: float = FINISH_S, process: Any = None) -> Fact:
    """`fact()` as soon as it is true; fails at the deadline, or at once when `process` has ended before."""
    deadline = time.monotonic() + within
    while not (found := fact()):
        assert process is None or process.poll() is None, f"it has ended with {process.returncode}"
        assert time.monotonic() < deadline, f"not true within {within} s"
        time.sleep(POLL_S)
    return found


class Daemon:
    """A daemon that runs; its log is read from a file, so that no pipe can hold it up."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
        self.process = process
        self.folder = folder
        self.log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stderr(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, within: float = FINISH_S) -> int:
        """Its exit code."""
        return self.process.wait(within)

    def kill(self) -> None:
        """As the kernel does it: nothing is said, nothing is finished."""
        self.process.kill()
        self.process.wait(FINISH_S)

    def until(self, fact: Callable[[], Fact]) -> Fact:
        return eventually(fact, process=self.process)

    def until_state(self, *states: str) -> Any:
        """Its status once it is in one of `states`."""

        def in_state() -> Any:
            found = self.status()
            return found if found and found["state"] in states else None

        return self.until(in_state)

    def status(self) -> Any:
        """As of `status --json`, without a process for each look; nothing while nobody answers.

        The socket is where a configuration of `write_config` leaves it.
        """
        with suppress(Unreachable):
            return ask(self.folder / "var" / "control.sock", {"command": "status"}, FINISH_S)["result"]
        return None


@contextmanager
def daemon(
    folder: Path,
    *words: object,
    env: Mapping[str, str] | None = None,
    log: str | None = None,
    before: Sequence[str] = (),
    command: Sequence[str] = (COMMAND,),
) -> Iterator[Daemon]:
    """`alphapanda run words…`, which does not outlive the block.

    The block begins once its log says that it is ready and its status agrees; with `log`, once its log has
    these words, and nobody has asked it anything. `before`: see `run`; `command` is ours, or stands for it.
    """
    number = sum(1 for _ in folder.glob("daemon-*.log"))
    path = folder / f"daemon-{number}.log"
    with path.open("wb") as output:
        process = subprocess.Popen(
            [*before, *command, "run", *map(str, words)],
            cwd=folder,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    started = Daemon(process, folder, path)
    try:
        started.until(lambda: (log or " ready: ") in started.stderr)
        if not log:
            started.until_state("running", "halted")
        yield started
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait(FINISH_S)


def select(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """What the store holds, by a reader of our own; nothing when there is no store yet."""
    path = folder / "var/alphapanda.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(sql).fetchall()


def count(folder: Path, table: str) -> int:
    return select(folder, f"SELECT count(*) FROM {table}")[0][0]
