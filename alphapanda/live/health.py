"""How the daemon fares: alarms by name, the pressure on its queues, and the census. One task, and `health`
in `status`.

While a queue of a live line is nearly full, or folds for long, entries wait: what they rest on is late.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import anyio
from loguru import logger
from msgspec import Struct, to_builtins

from alphapanda.core.risk import RiskManager
from alphapanda.live.census import CENSUS_ALARMS, Census, Slope, census, troubles
from alphapanda.live.gate import Gate
from alphapanda.live.line import Line
from alphapanda.times import SECOND_NS, to_ist

monitoring = logger.bind(channel="monitoring")

LOOK_S = 0.25
NEARLY_FULL = 0.8
FOLDS_S = 1.0
PAUSES_S = 2 * LOOK_S
"""Folding that stops for no longer goes on."""
QUEUES = "queues"
NAMED = 10
"""Instruments in `status`, at most."""


class Alarm(Struct, frozen=True):
    why: str
    since: str


class Alarms:
    """What is wrong now, by name. From any thread; the log hears of each once when it begins and ends."""

    def __init__(self) -> None:
        self.ringing: dict[str, Alarm] = {}

    def ring(self, name: str, why: str) -> None:
        before = self.ringing.get(name)
        since = to_ist(time.time_ns()).isoformat() if before is None else before.since
        self.ringing[name] = Alarm(why, since)
        if before is None:
            monitoring.error("alarm {}: {}", name, why)

    def quiet(self, name: str) -> None:
        if self.ringing.pop(name, None) is not None:
            monitoring.info("alarm {} is over", name)

    def summary(self) -> dict[str, dict[str, str]]:
        return {name: to_builtins(alarm) for name, alarm in list(self.ringing.items())}


class Queue(Struct, frozen=True):
    """An inbox as it is seen: what waits, for how much it has room, how many ticks were folded so far."""

    depth: int
    capacity: int
    folded: int


class Pressure:
    """Decides which queues are under pressure. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._folded: dict[str, int] = {}
        self._folds: dict[str, tuple[float, float]] = {}
        """Name -> since when it has been folding, and when it was last seen to."""

    def look(self, now_s: float, queues: Mapping[str, Queue]) -> dict[str, str]:
        """Name -> why, of those that are."""
        found: dict[str, str] = {}
        for name, queue in queues.items():
            folds_s = self._folding(now_s, name, queue.folded)
            if queue.depth > NEARLY_FULL * queue.capacity:
                found[name] = f"{queue.depth} of {queue.capacity} places are taken"
            elif folds_s > FOLDS_S:
                found[name] = f"it has been folding ticks for {folds_s:.1f} s"
        return found

    def _folding(self, now_s: float, name: str, folded: int) -> float:
        """Seconds."""
        before, self._folded[name] = self._folded.get(name, 0), folded
        since_s, last_s = self._folds.get(name, (now_s, now_s))
        if folded > before:
            self._folds[name] = (since_s, now_s)
        elif now_s - last_s > PAUSES_S:
            self._folds.pop(name, None)
            return 0.0
        return now_s - since_s if name in self._folds else 0.0


class Health:
    """`run` is its task. `holds` says whether pressure holds entries: a finite feed waits for its line.

    `every_s` is the time between two looks at the process; None looks never.
    """

    def __init__(
        self,
        line: Line,
        gate: Gate,
        alarms: Alarms,
        *,
        store: Path,
        every_s: float | None,
        holds: Callable[[], bool],
        noted: Callable[[], None],
    ) -> None:
        self.alarms = alarms
        self._line = line
        self._gate = gate
        self._store = store
        self._every_s = every_s
        self._holds = holds
        self._noted = noted
        self._pressure = Pressure()
        self._pressed: Mapping[str, str] = {}
        self._slope = Slope()
        self._census: Census | None = None

    async def run(self) -> None:
        """Until cancelled."""
        due_s = monotonic()
        while True:
            now_s = monotonic()
            self.look_at_queues(now_s)
            if self._every_s is not None and now_s >= due_s:
                due_s = now_s + self._every_s
                self.count(now_s)
            self._noted()
            await anyio.sleep(LOOK_S)

    def look_at_queues(self, now_s: float) -> None:
        queues = {
            str(stage): Queue(len(inbox), inbox.capacity, inbox.folded)
            for stage, inbox in self._line.inboxes.items()
        }
        pressed = self._pressed = self._pressure.look(now_s, queues)
        if pressed:
            why = "; ".join(f"queue of {name}: {each}" for name, each in pressed.items())
            self.alarms.ring(QUEUES, why)
            if self._holds():
                self._gate.hold_entries(QUEUES, why)
        elif QUEUES in self.alarms.ringing or QUEUES in self._gate.entries:
            self._gate.release_entries(QUEUES)
            self.alarms.quiet(QUEUES)

    def count(self, now_s: float) -> None:
        """The process and its disk."""
        try:
            found = self._census = census(self._store)
        except OSError as error:
            self.alarms.ring("census", f"the process cannot be looked at: {error}")
            return
        self.alarms.quiet("census")
        self._slope.add(now_s, found.rss_mib)
        wrong = troubles(found, self._slope.per_hour())
        for name in CENSUS_ALARMS:
            if name in wrong:
                self.alarms.ring(name, wrong[name])
            else:
                self.alarms.quiet(name)

    def summary(self, loop: Mapping[str, Any], risk: RiskManager | None) -> dict[str, Any]:
        """`health` of `status`. `loop` is what the watchman says of it."""
        slope = self._slope.per_hour()
        return {
            "alarms": self.alarms.summary(),
            "entries_held": dict(self._gate.entries),
            "loop_us": dict(loop),
            "queues": dict(self._pressed),
            "prices": {} if risk is None else prices(risk),
            "process": {}
            if self._census is None
            else {
                name: round(figure, 1) if isinstance(figure, float) else figure
                for name, figure in to_builtins(self._census).items()
            }
            | {"rss_mib_per_hour": None if slope is None else round(slope, 1)},
        }


def prices(risk: RiskManager) -> dict[str, Any]:
    """How old the oldest of the last prices is, by the line's clock, and which are not trusted."""
    marks, listed, now_ns = risk.prices()
    oldest_ns = marks.oldest_ns()
    untrusted = sorted(listed[token].key for token in marks.trust.untrusted if token in listed)
    return {
        "oldest_s": None if oldest_ns is None else round(max(0, now_ns - oldest_ns) / SECOND_NS, 3),
        "untrusted": len(untrusted),
        "untrusted_first": untrusted[:NAMED],
    }
