"""Times the calls of strategies, and tells a slow one from one that was kept waiting by a busy machine.

Linux knows of the loop's thread what it ran, and how long it was ready and had to wait for a processor. That
is looked up when a call was long, and held against a look from before it.
"""

import os
import resource
import signal
import threading
from time import perf_counter_ns
from types import FrameType
from typing import NamedTuple, Self

LOOK_EVERY_NS = 10_000_000
"""A look serves as the one from before for so long. What the thread did in between may be added to a call or
taken from it: little beside the limits, and a look costs most of a microsecond."""
SCHEDSTAT = "/proc/thread-self/schedstat"
"""Three numbers: nanoseconds on a processor, nanoseconds ready and without one, times it was given one."""


class Seen(NamedTuple):
    """Of a thread since it began: ns on a processor, ns waiting for one, how often it gave one up; and how
    often the process went on after a stop.
    """

    ran_ns: int
    kept_ns: int
    turns: int
    stops: int


def own_ns(wall_ns: int, before: Seen, after: Seen) -> int:
    """How much of a call's time was its own. A thread that never gave up its processor took what it ran, and
    what is missing went to another machine; one that did took all but what it was kept waiting. The time in
    which the process was stopped is nobody's.
    """
    ran_ns = min(wall_ns, after.ran_ns - before.ran_ns)
    if after.turns == before.turns or after.stops != before.stops:
        return ran_ns
    return max(ran_ns, wall_ns - (after.kept_ns - before.kept_ns))


class LoopStopwatch:
    """A `Stopwatch` for the calls of the thread that enters it."""

    def __init__(self) -> None:
        self.now_ns = perf_counter_ns
        self._file = -1
        self._stops = self._stops_before = 0
        self._before = b""
        self._looked_ns = 0
        self._previous: signal._HANDLER = signal.SIG_DFL

    def __enter__(self) -> Self:
        try:
            self._file = os.open(SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # a kernel without it does not say how long it kept us waiting
            self._file = -1
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGCONT, self._on_continued)
        self._look()
        return self

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCONT, self._previous)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _on_continued(self, _number: int, _frame: FrameType | None) -> None:
        self._stops += 1

    def begin(self) -> int:
        """The time now; the thread is looked at where that was not done lately."""
        now_ns = perf_counter_ns()
        if now_ns - self._looked_ns > LOOK_EVERY_NS:
            self._look()
            return self._looked_ns
        return now_ns

    def own_ns(self, began_ns: int, ended_ns: int) -> int:
        """Raises nothing: a call is judged by what could be seen."""
        before = _seen(self._before, self._stops_before)
        self._look()
        return own_ns(ended_ns - began_ns, before, _seen(self._before, self._stops))

    def _look(self) -> None:
        """As it comes: it is read where it matters."""
        self._before = os.pread(self._file, 96, 0) if self._file >= 0 else _usage()
        self._stops_before = self._stops
        self._looked_ns = perf_counter_ns()


def _usage() -> bytes:
    """What every kernel knows of a thread; a turn is then one that it gave up by itself."""
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return b"%d 0 %d" % ((usage.ru_utime + usage.ru_stime) * 1e9, usage.ru_nvcsw)


def _seen(line: bytes, stops: int) -> Seen:
    ran, kept, turns = line.split()
    return Seen(int(ran), int(kept), int(turns), stops)
