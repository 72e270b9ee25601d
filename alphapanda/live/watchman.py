"""The watchman: a thread of its own, for what a loop that is stuck cannot see of itself.

Twenty times a second it looks for the loop's last beat, the kill file and the clocks, once a second for free
descriptors. What it finds holds entries at the gate or flags the kill switch, both at once and from here; the
loop lets go, and writes down, when it comes round.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from traceback import StackSummary, walk_stack
from types import FrameType
from typing import Any, NamedTuple

from loguru import logger

from alphapanda.config.redaction import redact
from alphapanda.live.census import Descriptors, descriptors
from alphapanda.live.counters import Latency
from alphapanda.live.gate import Gate
from alphapanda.live.health import Alarms
from alphapanda.live.switch import KillSwitch
from alphapanda.times import SECOND_NS

monitoring = logger.bind(channel="monitoring")

LOOK_S = 0.05
"""So often it looks, and so often the loop beats."""
STUCK_S = 0.25
STACK_S = 1.0
LONG_S = 5.0
"""What the loop has missed since then has to be looked at before anything trades."""
PROBE_S = 1.0
JUMP_NS = SECOND_NS
STEADY_S = 60.0
"""Entries go on once the clock has not jumped for so long: what sets it may set it twice."""
SPARE = 8
"""With fewer free descriptors trading halts: the store, the kill file and the control socket need some."""
PLACES = 12
"""Of a stack, the innermost ones."""
LOOP, CLOCK, DESCRIPTORS = "loop", "clock", "descriptors"


class Now(NamedTuple):
    """What the clocks say in one moment. `boot_ns` goes on while the machine sleeps, `monotonic_ns` not."""

    monotonic_ns: int
    wall_ns: int
    boot_ns: int


def now() -> Now:
    return Now(time.monotonic_ns(), time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME))


class Stall:
    """Decides of one loop: is it stuck, and is it time to say where?"""

    def __init__(self) -> None:
        self._told_of_s = 0.0

    def stuck_for(self, now_s: float, beat_s: float) -> float | None:
        """Seconds without a beat, where they are too many."""
        late_s = now_s - beat_s - LOOK_S
        return late_s if late_s > STUCK_S else None

    def tells(self, now_s: float, beat_s: float) -> bool:
        """Once for each time it is stuck for long."""
        if now_s - beat_s - LOOK_S <= STACK_S or self._told_of_s == beat_s:
            return False
        self._told_of_s = beat_s
        return True


class Clocks:
    """Decides whether the wall clock was set, or the machine slept, since the last look."""

    def __init__(self) -> None:
        self._before: Now | None = None
        self._jumped_s: float | None = None

    def jump(self, at: Now) -> str | None:
        """What happened to the clock, in words, in the look in which it did."""
        before, self._before = self._before, at
        if before is None:
            return None
        passed_ns = at.monotonic_ns - before.monotonic_ns
        by_ns = at.wall_ns - before.wall_ns - passed_ns
        slept_ns = at.boot_ns - before.boot_ns - passed_ns
        if abs(by_ns) <= JUMP_NS and slept_ns <= JUMP_NS:
            return None
        self._jumped_s = at.monotonic_ns / SECOND_NS
        if slept_ns > JUMP_NS:
            return f"the machine slept for {slept_ns / SECOND_NS:.1f} s"
        return (
            f"the wall clock went {'on' if by_ns > 0 else 'back'} by {abs(by_ns) / SECOND_NS:.1f} s at once"
        )

    def steady(self, at: Now) -> bool:
        """It has jumped, and not again for long enough. Said once."""
        if self._jumped_s is None or at.monotonic_ns / SECOND_NS - self._jumped_s < STEADY_S:
            return False
        self._jumped_s = None
        return True


def _nobody() -> None:
    """Nobody asks."""


class Watchman:
    """`beating` is its life. `holds` says whether entries are to be held at all: those of a finite feed are
    not, whose clock is that of its rows, nor are any before all is ready.
    """

    def __init__(
        self,
        gate: Gate,
        switch: KillSwitch,
        alarms: Alarms,
        holds: Callable[[], bool],
        *,
        clocks: Callable[[], Now] = now,
    ) -> None:
        self._gate = gate
        self._switch = switch
        self._alarms = alarms
        self._holds = holds
        self._clocks = clocks
        self._clock = Clocks()
        self._stall = Stall()
        self.woke: Callable[[], None] = _nobody
        """Called in the loop when it was stuck, or the process stopped, for long."""
        self._ended = threading.Event()
        self._beat_s: float | None = None
        self._loop_thread = 0
        self._probed_s = 0.0
        self.lag = Latency()
        """How late the loop's beats were while the daemon was ready."""
        self.stalls = 0
        self.failed_looks = 0

    # the loop's side

    @contextmanager
    def beating(self) -> Iterator[None]:
        """From within the loop: it beats, and is watched, until the end."""
        loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        due_s = time.monotonic()
        handle: asyncio.TimerHandle

        def beat() -> None:
            nonlocal due_s, handle
            now_s = time.monotonic()
            self._beat(now_s, now_s - due_s)
            due_s = now_s + LOOK_S
            handle = loop.call_later(LOOK_S, beat)

        beat()
        try:
            with self._watching():
                yield
        finally:
            handle.cancel()

    def _beat(self, now_s: float, late_s: float) -> None:
        self._beat_s = now_s
        if self._gate.ready:
            self.lag.add(max(0, int(late_s * SECOND_NS)))
            self.stalls += late_s > STUCK_S
        if late_s > STUCK_S and self._holds():  # the thread may have slept as well: SIGSTOP does it
            self._gate.hold_entries(LOOP, f"the event loop has been stuck for {late_s:.2f} s")
            if late_s > LONG_S:
                self.woke()
        elif late_s <= STUCK_S and LOOP in self._gate.entries:
            self._gate.release_entries(LOOP)
            monitoring.info("the loop runs again: entries go on")

    # the thread's side

    @contextmanager
    def _watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run, name="watchman", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _run(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """One look."""
        self._look_at("the loop", self._look_at_loop)
        self._look_at("the kill file", self._switch.flag_file)
        self._look_at("the clocks", self._look_at_clock)
        now_s = time.monotonic()
        if now_s - self._probed_s >= PROBE_S:
            self._probed_s = now_s
            self._look_at("free descriptors", lambda: self.look_at_descriptors(descriptors()))

    def _look_at(self, what: str, look: Callable[[], None]) -> None:
        """What cannot be looked at is said once, and hides nothing of the rest."""
        alarm = f"watchman: {what}"
        try:
            look()
        except Exception as error:  # noqa: BLE001 - the thread has to go on: nobody else sees what it sees
            self.failed_looks += 1
            self._alarms.ring(alarm, redact(f"cannot be looked at: {type(error).__name__}: {error}"))
        else:
            self._alarms.quiet(alarm)

    def _look_at_loop(self) -> None:
        beat_s, now_s = self._beat_s, time.monotonic()
        if beat_s is None:
            return
        late_s = self._stall.stuck_for(now_s, beat_s)
        if late_s is None:
            return
        if self._holds():
            self._gate.hold_entries(LOOP, f"the event loop has been stuck for {late_s:.2f} s")
        if self._gate.ready and self._stall.tells(now_s, beat_s):
            frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - there is no other way
            monitoring.warning("the event loop is stuck for {:.1f} s in {}", late_s, places(frame))

    def _look_at_clock(self) -> None:
        at = self._clocks()
        if (what := self._clock.jump(at)) is not None:
            self._alarms.ring(CLOCK, what)
            if self._holds():
                self._gate.hold_entries(CLOCK, what)
        elif self._clock.steady(at):
            self._gate.release_entries(CLOCK)
            self._alarms.quiet(CLOCK)

    def look_at_descriptors(self, seen: Descriptors) -> None:
        """Soon nothing more could be opened: no answer, no connection, no kill file."""
        if seen.free >= SPARE:
            self._alarms.quiet(DESCRIPTORS)
            return
        why = f"only {seen.free} of {seen.limit} descriptors are free: look at LimitNOFILE and what is open"
        self._alarms.ring(DESCRIPTORS, why)
        if not self._gate.killed:
            self._switch.flag(why, "supervisor")

    def summary(self) -> dict[str, Any]:
        """How late the loop was, in microseconds, how often by more than 250 ms, and how often the watchman
        could not look.
        """
        return self.lag.summary() | {"stalls": self.stalls, "failed_looks": self.failed_looks}


def places(frame: FrameType | None) -> str:
    """File, line and function, the innermost first; no values and no source lines."""
    if frame is None:
        return "a place unknown"
    stack = StackSummary.extract(walk_stack(frame), limit=PLACES, lookup_lines=False)
    return " < ".join(f"{os.path.basename(at.filename)}:{at.lineno} {at.name}" for at in stack)  # noqa: PTH119 - text
