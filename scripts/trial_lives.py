"""The lives of a daemon that a trial ends by kill -9, one after the other in one folder, and how long each
takes to be ready again.
"""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w
from trial_children import Usage
from trial_daemon import COMMAND, environment

from alphapanda.fail_points import VARIABLE, FailPoint, Met

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from oracle.evidence import KILL_ON, Command, Life, Sample

STORE = "var/alphapanda.db"
READY_S = 60.0
FIRES_S = 8.0
"""So long is waited for a fail point of a daemon that is ready; then it is killed by hand."""
RESTS_S = 0.5
"""So long it trades before it is told to cancel, or to stop."""
SETTLES_S = 120.0
POLL_S = 0.004
SAMPLED_EVERY = 10
"""Lives between two looks at the queues of the running daemon."""
REASON = "campaign"
NOT_DONE = 1
"""The exit code of a kill that holds and names what it could not cancel."""
MOVING = ("PREPARED", "SENT", "UNKNOWN", "OPEN", "PARTIAL")


def _is_answer(document: Any) -> bool:
    """Did the running daemon say so itself? It is asked twice: for the kill, and for what is left then."""
    return isinstance(document, dict) and "daemon answered" in document.get("reached", "")


class Plan(NamedTuple):
    """How one life of the daemon ends: at a point, or so long after its start or after READY."""

    point: FailPoint | None = None
    passage: int = 1
    starting: bool = False
    pause_s: float = 0.0

    def armed(self) -> str:
        """For the environment. A new life within the process is had by a stage that fails."""
        if self.point is None:
            return ""
        before = f"{FailPoint.TASK_PORTFOLIO}=raise," if self.point.met is Met.RENEWAL else ""
        return f"{before}{self.point}:{self.passage}=kill"


class Recovery(NamedTuple):
    """From a kill to READY: by the clock; what of it the daemon used; how long it had no core to run on."""

    took_s: float
    cpu_s: float
    waited_s: float


class Run:
    """One life after the other, in one folder."""

    def __init__(self, folder: Path, config: dict[str, Any], tell: Callable[[str], None]) -> None:
        self.folder = folder
        self.lives: list[Life] = []
        self.commands: list[Command] = []
        self.samples: list[Sample] = []
        self.recoveries: list[Recovery] = []
        self.fired: Counter[str] = Counter()
        self.wrong: list[str] = []
        """What must not happen, and no invariant tells."""
        self._config = config
        self._tell = tell
        self._killed_s: float | None = None
        self._process: subprocess.Popen[bytes]
        self._log = folder / "daemon.log"
        self._started_ns = 0
        self._ready_ns: int | None = None

    # one life

    def live(self, plan: Plan, number: int) -> None:
        """Until the plan has ended it."""
        self._start(plan.armed(), number, asks=True)
        try:
            if plan.point is None and plan.starting:
                self._ends_within(plan.pause_s)
            elif self._until_ready():
                self.rearm()
                if number % SAMPLED_EVERY == 0:
                    self._sample()
                self._after_ready(plan)
        finally:
            self._end(plan)

    def _after_ready(self, plan: Plan) -> None:
        if plan.point is None:
            self._ends_within(plan.pause_s)
            return
        met = plan.point.met
        if met in (Met.CANCELS, Met.KILL, Met.REARM):
            self._ends_within(RESTS_S)  # something is to rest by then
        if met is Met.DRAIN:
            self._process.send_signal(signal.SIGTERM)
        if met is Met.CANCELS:
            self.command("cancel-all")
        if met in (Met.KILL, Met.REARM):
            self.command("kill-switch", "on", "--reason", REASON)
        if met is Met.REARM:
            self.command("kill-switch", "off", "--reason", REASON)
        self._ends_within(FIRES_S)

    def settle(self, number: int) -> None:
        """Nothing new is asked for, what rests is taken back, and what is in doubt gets its time."""
        self._start("", number, asks=False)
        try:
            if not self._until_ready():
                return
            self.rearm()
            deadline = time.monotonic() + SETTLES_S
            while time.monotonic() < deadline:
                self.command("cancel-all")
                states = Counter(row[0] for row in self.select("SELECT status FROM orders"))
                if not any(states[state] for state in MOVING):
                    break
                time.sleep(1.0)
            else:
                self.wrong.append(f"after {SETTLES_S:g} s not all orders have ended: {dict(states)}")
            self._process.send_signal(signal.SIGTERM)
            self._ends_within(READY_S)
        finally:
            self._end(None)

    def _start(self, armed: str, number: int, *, asks: bool) -> None:
        (strategy,) = self._config["strategies"]
        strategy["params"] = strategy["params"] | {"seed": number, "asks": asks}
        (self.folder / "config.toml").write_text(tomli_w.dumps(self._config), encoding="utf-8")
        self._log = self.folder / f"daemon-{number:04d}.log"
        self._ready_ns = None
        self._started_ns = time.monotonic_ns()
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [COMMAND, "run"],
                cwd=self.folder,
                env=environment(**({VARIABLE: armed} if armed else {})),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def _until_ready(self) -> bool:
        """False where it ended before."""
        deadline = time.monotonic() + READY_S
        while b" ready: " not in self._log.read_bytes():
            if self._process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                self.wrong.append(f"not ready after {READY_S:g} s: {self._last_words()}")
                return False
            time.sleep(POLL_S)
        self._ready_ns = time.monotonic_ns()
        if self._killed_s is not None:
            usage = Usage(self._process.pid)
            took_s = self._ready_ns / 1e9 - self._killed_s
            self.recoveries.append(Recovery(took_s, usage.cpu_s(), usage.waited_s()))
            self._killed_s = None
        return True

    def _ends_within(self, seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def _end(self, plan: Plan | None) -> None:
        """By kill -9, where it has not ended yet. Whatever else it has ended with is told."""
        point = plan.point if plan is not None else None
        alone = self._process.poll()
        if alone is None:
            self._process.kill()
        self._killed_s = time.monotonic()
        code = self._process.wait(READY_S)
        if alone == -signal.SIGKILL and point is not None:
            self.fired[point.value] += 1
        elif alone is not None and not (alone == 0 and (plan is None or point is not None)):
            self.wrong.append(f"{self._log.name}: it ended with {alone}: {self._last_words()}")
        elif alone is None and plan is None:
            self.wrong.append(f"{self._log.name}: it did not stop: {self._last_words()}")
        self.lives.append(
            Life(
                pid=self._process.pid,
                started_ns=self._started_ns,
                ready_ns=self._ready_ns,
                ended_ns=time.monotonic_ns(),
                code=code,
            )
        )
        took = f"{self.recoveries[-1].took_s:.2f} s" if self.recoveries and self._ready_ns else "-"
        where = point.value if point is not None else "random"
        self._tell(f"{self._log.stem}: {where}, ended with {alone}, ready after {took}")

    def _last_words(self) -> str:
        return " / ".join(self._log.read_text(encoding="utf-8").splitlines()[-4:])

    # what is done to it

    def command(self, *words: str) -> int | None:
        """Its exit code; None where the daemon died over it."""
        name = " ".join(word for word in words[:2] if not word.startswith("-"))
        sent_ns = time.monotonic_ns()
        asked = subprocess.Popen(
            [COMMAND, *words, "--json"],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            said, _ = asked.communicate(timeout=READY_S)
        finally:
            asked.kill()
            asked.wait()
        ended_ns, code = time.monotonic_ns(), asked.returncode
        document = json.loads(said) if code in (0, NOT_DONE) and said.strip() else None
        done = code == 0 or (name == KILL_ON and _is_answer(document))
        self.commands.append(
            Command(
                name=name,
                sent_ns=sent_ns,
                acked_ns=ended_ns if done else None,
                code=code,
                document=document,
            )
        )
        return code

    def _sample(self) -> None:
        pid = self._process.pid
        words = [COMMAND, "status", "--json"]
        asked = subprocess.run(words, cwd=self.folder, env=environment(), capture_output=True, check=False)
        with suppress(OSError, ValueError, StopIteration):  # it may have died meanwhile
            usage, root = Usage(pid), Path(f"/proc/{pid}")
            seen = Sample(
                at_ns=time.monotonic_ns(),
                pid=pid,
                status=json.loads(asked.stdout),
                rss_bytes=int(usage.memory_mb() * (1 << 20)),
                fds=sum(1 for _ in (root / "fd").iterdir()),
                threads=sum(1 for _ in (root / "task").iterdir()),
            )
            self.samples.append(seen)

    def rearm(self) -> None:
        """A kill of ours that held across the restart is ended; one that is not ours is wrong."""
        for is_on, by, reason in self.select("SELECT is_on, by_whom, reason FROM kill_switch"):
            if is_on and reason != REASON:
                self.wrong.append(f"halted by {by}: {reason}")
            if is_on:
                self.command("kill-switch", "off", "--reason", REASON)

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.folder / STORE}?mode=ro", uri=True, timeout=10)) as reader:
            return reader.execute(sql).fetchall()
