"""The kill switch of a daemon: its doors, what it writes down, and the only way back.

The flag first, at once, in whatever thread; then the journal; the answer after it. Where the journal cannot
be written, because the commit failed or does not come, or the store is not open yet, the kill file is, so
that the next start is killed as well. What follows the flag, the sweep, is in `sweep`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, Protocol

import anyio
from loguru import logger
from msgspec import Struct, to_builtins

from alphapanda.errors import Fatal
from alphapanda.events import Approved, Halt, Refused, Resume
from alphapanda.fail_points import FailPoint, reach
from alphapanda.live.gate import Gate
from alphapanda.live.kill_file import KillFile, clean
from alphapanda.live.line import Line
from alphapanda.live.walk import Walk
from alphapanda.store import Store, StoreFailed
from alphapanda.times import to_ist

audit = logger.bind(channel="audit")

COMMIT_S = 5.0
"""A commit that takes longer has failed, as far as anybody can know."""
STARTS_S = 15.0
"""So long who asks what is left waits for a daemon that starts."""
REARM_S = 8.0
"""An `off` that takes longer does not take effect: who asked for it has been told that it stays on."""
TOO_LATE = "the line is busy: the kill switch stays on; try again"


class Sweeping(Protocol):
    """Who cancels and closes after the flag; one for each life of the line."""

    def hear(self, verdict: Approved | Refused) -> None: ...


class Flagged(NamedTuple):
    reason: str
    by: str
    time_ns: int


class KillSwitch:
    """Works from the first moment of the process; `restore` joins it to the journal.

    `run` is its task: it writes down what signals and threads have flagged. `free` gives disk space back.
    """

    def __init__(
        self, gate: Gate, line: Line, kill_file: Path, free: Callable[[], object] = lambda: None
    ) -> None:
        self._gate = gate
        self._line = line
        self._file = KillFile(kill_file, free)
        self._store: Store | None = None
        self._rearming: object | None = None
        self._blank = False
        """The kill file was there at the last look, without a word."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flags: deque[Flagged] = deque()
        """Not written down yet."""
        self._woken = asyncio.Event()
        self._written = (0, False)
        """The last Halt on the line: since when, and whether it flattens."""
        self.flatten = False
        """Positions are closed after the sweep."""
        self.rearmed = 0
        """How often the operator has switched it off: each time Redis must hear of it before it is obeyed."""
        self.turned = asyncio.Event()
        """Set, and replaced by another, when it was switched on, off, or on once more."""
        self.kills = 0
        """How often it was switched on, for the sweep to say which of them it has ended."""
        self.sweeper: Sweeping | None = None
        """Of the life that runs: it joins, says what is left, and leaves."""
        self._left: Sequence[Struct] = ()
        self._swept = 0
        self._news = asyncio.Event()

    @property
    def killed(self) -> bool:
        return self._gate.killed

    async def restore(self, store: Store, halt: Halt | None) -> None:
        """It holds across restarts. What happened while the store was not open is written down now."""
        self._store = store
        if halt is not None:
            self._gate.kill(halt.reason, halt.by, halt.time_ns)
            self.flatten = self.flatten or halt.flatten
            self._written = halt.time_ns, halt.flatten
            audit.warning("the kill switch is on since {}: {}", to_ist(halt.time_ns), halt.reason)
        else:
            self._written = 0, False
        await self._write_down()
        await self.obey_file()

    # the doors

    def flag(self, reason: str, by: str, *, flatten: bool = False) -> None:
        """At once, from any thread and from within a signal handler; the journal follows when the loop comes
        round. Neither waits, nor logs, nor raises.
        """
        flagged = Flagged(clean(reason), by, time.time_ns())
        self._flags.append(flagged)
        self.flatten = self.flatten or flatten
        if not self._gate.killed or self._rearming is not None:
            self._rearming = None
            self._gate.kill(*flagged)
        self._wake()

    def on_signal(self, *_: object) -> None:
        """SIGUSR1, as the handler itself, so that a loop that is stuck does not hold it up. The reason may
        have been left in the kill file: read after the flag, for a disk can take its time.
        """
        self.flag("SIGUSR1", "signal")
        reason, flatten = self._file.words()
        self.flatten = self.flatten or flatten
        if reason and (self._gate.reason, self._gate.by) == ("SIGUSR1", "signal"):
            self._gate.reason = reason

    def store_failed(self, failure: StoreFailed) -> None:
        """Before anybody who waits for that commit is told. A person looks at the disk before it goes on."""
        self.flag(failure.why, "store")
        if not failure.halted:
            self._keep_in_file()

    async def obey_file(self) -> None:
        """A door for when the control socket does not answer."""
        if not self._gate.killed and self._file.is_there():
            reason, flatten = self._file.words()
            await self.on(reason or f"kill file {self._file.path}", "kill file", flatten=flatten)

    def flag_file(self) -> None:
        """The same from a thread, for a loop that is stuck: the flag at once, the journal later. A file that
        has no words is looked at once more: somebody may be writing it.
        """
        if self._gate.killed or not self._file.is_there():
            return
        reason, flatten = self._file.words()
        blank, self._blank = self._blank, not reason
        if reason or blank:
            self.flag(reason or f"kill file {self._file.path}", "kill file", flatten=flatten)

    async def on(self, reason: str, by: str, *, flatten: bool = False) -> dict[str, Any]:
        """Returns when it is written down. Resting orders are cancelled, strategies see no prices.

        Raises Fatal where it cannot be written down: the flag stays, the kill file is there.
        """
        self.flag(reason, by, flatten=flatten)
        await self._write_down()
        return self.state()

    def _keep_in_file(self) -> None:
        """For the next start."""
        self._file.write(self._gate.reason, flatten=self.flatten)

    def _wake(self) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(self._woken.set)
        except RuntimeError:
            return  # the loop is closed: there is nothing left that could send

    # what is written down

    async def run(self) -> None:
        """Until cancelled. Raises Fatal where a kill cannot be written down."""
        self._loop = asyncio.get_running_loop()
        while True:
            if self._flags:
                await self._write_down()
            await self._woken.wait()
            self._woken.clear()

    async def _write_down(self) -> None:
        """What was flagged, and only then the caller may be answered."""
        flagged = bool(self._flags)
        self._flags.clear()
        gate, store = self._gate, self._store
        if not gate.killed:
            return
        if flagged:
            reach(FailPoint.KILL_FLAGGED)
            self._turn()
        if store is None:
            self._keep_in_file()
            return
        if self._written != (gate.since_ns, self.flatten):
            self._written = gate.since_ns, self.flatten
            self._line.route(Halt(gate.reason, gate.by, gate.since_ns, self.flatten))
            closes = ", positions are closed" if self.flatten else ""
            audit.warning("kill switch on: {} (by {}){}", gate.reason, gate.by, closes)
        await self._commit(store)
        if flagged:
            reach(FailPoint.KILL_COMMITTED)

    async def _commit(self, store: Store) -> None:
        try:
            with anyio.fail_after(COMMIT_S):
                await store.commit()
        except TimeoutError:
            self._keep_in_file()
            raise Fatal(
                f"store {store.path}: the kill switch could not be written in {COMMIT_S:g} s; it stays on,"
                f" kill file {self._file.path}: look at the disk"
            ) from None
        except Fatal:
            self._keep_in_file()
            raise

    def _turn(self) -> None:
        self.kills += 1
        turned, self.turned = self.turned, asyncio.Event()
        turned.set()

    # the sweep

    def hear(self, verdict: Approved | Refused) -> None:
        """What became of a close that the sweep asked for."""
        if self.sweeper is not None:
            self.sweeper.hear(verdict)

    def say(self, left: Sequence[Struct], swept: int) -> None:
        """What is left now. `swept` is the last of `kills` of which all is ended or named."""
        self._left = left
        if swept != self._swept:
            self._swept = swept
            self._tell()

    def join(self, sweeper: Sweeping) -> None:
        """Of a new life of the line."""
        self.sweeper, self._left, self._swept = sweeper, (), self.kills - 1
        self._tell()

    def leave(self, sweeper: Sweeping) -> None:
        """Its life is over."""
        if self.sweeper is sweeper:
            self.sweeper = None
            self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def swept(self) -> dict[str, Any]:
        """As soon as everything has ended, or is named. Raises ValueError where nobody sweeps yet."""
        while self._gate.killed and (self.sweeper is None or self._swept < self.kills):
            news, nobody = self._news, self.sweeper is None
            with anyio.move_on_after(STARTS_S if nobody else None) as waited:
                await news.wait()
            if waited.cancelled_caught:
                raise ValueError("the daemon is not ready; what rests is cancelled once it is")
        return self.state()

    # the way back

    async def off(self, reason: str, by: str, walk: Walk) -> dict[str, Any]:
        """Between two turns, and written down before trading is enabled. A kill in between wins.

        Raises ValueError where it takes too long, or the kill file, which kills each start, stays.
        """
        mine = self._rearming = object()
        try:
            await self._off(mine, clean(reason), by, walk)
        finally:
            if self._rearming is mine:
                self._rearming = None
        return self.state()

    async def _off(self, mine: object, reason: str, by: str, walk: Walk) -> None:
        until_s = monotonic() + REARM_S
        async with AsyncExitStack() as held:
            with anyio.move_on_after(REARM_S) as waited:
                await held.enter_async_context(walk.lock)
            if waited.cancelled_caught:
                raise ValueError(TOO_LATE)
            if not self._gate.killed or self._rearming is not mine or self._store is None:
                return
            now_ns, was = time.time_ns(), (self._gate.reason, self._gate.by)
            reach(FailPoint.REARM_ASKED)
            self._file.remove()
            reach(FailPoint.REARM_FILE_REMOVED)
            await self._store.commit()  # the last row taken: a restart shows nothing up to it
            if self._rearming is not mine:
                return
            self._line.route(Resume(reason, by, now_ns))
            await self._store.commit()
            reach(FailPoint.REARM_COMMITTED)
            await self._line.quiet.wait()
            if self._rearming is mine and monotonic() > until_s:
                self.flag(*was)  # the journal says resumed: it must not be the last word
                raise ValueError(TOO_LATE)
            self._rearm(mine, reason, by, now_ns)

    def _rearm(self, mine: object, reason: str, by: str, now_ns: int) -> None:
        """A signal or a thread may flag between any two of these lines: what it left is looked at last."""
        if self._rearming is not mine:
            return
        flattened, self.flatten = self.flatten, False
        self._gate.rearm(reason, by, now_ns)
        if self._flags:
            self._gate.kill(*self._flags[-1])
            self.flatten = self.flatten or flattened
            self._woken.set()
            return
        self._left = ()
        self.rearmed += 1
        self._turn()
        audit.warning("kill switch off: {} (by {})", reason, by)

    def end(self) -> None:
        """Nobody writes to the journal any more: what was flagged since is kept for the next start."""
        if self._flags:
            self._keep_in_file()

    def state(self) -> dict[str, Any]:
        gate = self._gate
        return {
            "on": gate.killed,
            "reason": gate.reason,
            "by": gate.by,
            "since": to_ist(gate.since_ns).isoformat() if gate.since_ns else None,
            "leftovers": to_builtins(list(self._left)) if gate.killed else [],
        }
