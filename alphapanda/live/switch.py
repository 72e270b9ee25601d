"""The kill switch of a running daemon: its doors, what it writes down, and the only way back.

The flag first, at once; then the journal; the answer after it. If the commit fails the flag stays, the kill
file is written and the daemon leaves, so that the next start is killed as well.
"""

import time
from pathlib import Path
from typing import Any

from loguru import logger

from alphapanda.errors import Fatal
from alphapanda.events import Halt, Resume
from alphapanda.live.gate import Gate
from alphapanda.live.line import Line
from alphapanda.live.stages import Turns
from alphapanda.store import Store
from alphapanda.times import to_ist

LONGEST_REASON = 200


class KillSwitch:
    def __init__(self, gate: Gate, line: Line, store: Store, kill_file: Path) -> None:
        self._gate = gate
        self._line = line
        self._store = store
        self._kill_file = kill_file
        self._rearming = False

    def restore(self, halt: Halt | None) -> None:
        """It holds across restarts."""
        if halt is not None and not self._gate.killed:
            self._gate.kill(halt.reason, halt.by, halt.time_ns)
            since = to_ist(halt.time_ns).isoformat()
            logger.warning("the kill switch is on since {}: {}", since, halt.reason)

    async def obey_file(self) -> None:
        """A door for when the control socket does not answer."""
        if not self._gate.killed and self._kill_file.exists():
            await self.on(self._written_reason() or f"kill file {self._kill_file}", "kill file")

    async def on_signal(self) -> None:
        """SIGUSR1: the other door; the reason may have been left in the kill file."""
        await self.on(self._written_reason() or "SIGUSR1", "signal")

    def _written_reason(self) -> str:
        try:
            return " ".join(self._kill_file.read_text(errors="replace")[:LONGEST_REASON].split())
        except OSError:
            return ""

    async def on(self, reason: str, by: str) -> dict[str, Any]:
        """Returns when it is written down. Resting orders are cancelled, strategies see no prices."""
        now_ns = time.time_ns()
        if not self._gate.killed or self._rearming:
            self._rearming = False
            self._gate.kill(reason, by, now_ns)
            self._line.route(Halt(reason, by, now_ns))
            logger.warning("kill switch on: {} (by {})", reason, by)
        try:
            await self._store.commit()
        except Fatal:
            self._kill_file.write_text(f"{reason}\n")
            raise
        return self.state()

    async def off(self, reason: str, by: str, turns: Turns) -> dict[str, Any]:
        """Between two turns, and written down before trading is enabled. A kill in between wins."""
        if not self._gate.killed:
            return self.state()
        now_ns = time.time_ns()
        self._rearming = True
        async with turns.lock:
            if self._rearming:
                self._kill_file.unlink(missing_ok=True)
                await self._store.commit()  # the last row taken: a restart shows nothing up to it
                self._line.route(Resume(reason, by, now_ns))
                await self._store.commit()
                await self._line.quiet.wait()
            if self._rearming:
                self._rearming = False
                self._gate.rearm(reason, by, now_ns)
                logger.warning("kill switch off: {} (by {})", reason, by)
        return self.state()

    def state(self) -> dict[str, Any]:
        gate = self._gate
        return {
            "on": gate.killed,
            "reason": gate.reason,
            "by": gate.by,
            "since": to_ist(gate.since_ns).isoformat() if gate.since_ns else None,
        }
