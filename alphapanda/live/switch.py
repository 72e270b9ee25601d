"""The kill switch of a daemon: its doors, what it writes down, and the only way back.

The flag first, at once; then the journal; the answer after it. Where the journal cannot be written, because
the commit failed or the store is not open yet, the kill file is, so that the next start is killed as well.
"""

import time
from pathlib import Path
from typing import Any

from loguru import logger

from alphapanda.config.redaction import redact
from alphapanda.errors import Fatal
from alphapanda.events import Halt, Resume
from alphapanda.live.gate import Gate
from alphapanda.live.line import Line
from alphapanda.live.walk import Walk
from alphapanda.store import Store
from alphapanda.times import to_ist

audit = logger.bind(channel="audit")

LONGEST_REASON = 200


class KillSwitch:
    """Works from the first moment of the process; `restore` joins it to the journal."""

    def __init__(self, gate: Gate, line: Line, kill_file: Path) -> None:
        self._gate = gate
        self._line = line
        self._kill_file = kill_file
        self._store: Store | None = None
        self._rearming: object | None = None
        self.rearmed = 0
        """How often the operator has switched it off: each time Redis must hear of it before it is obeyed."""

    @property
    def killed(self) -> bool:
        return self._gate.killed

    async def restore(self, store: Store, halt: Halt | None) -> None:
        """It holds across restarts. What happened while the store was not open is written down now."""
        self._store = store
        if halt is not None:
            self._gate.kill(halt.reason, halt.by, halt.time_ns)
            audit.warning("the kill switch is on since {}: {}", to_ist(halt.time_ns), halt.reason)
        elif self._gate.killed:
            self._line.route(Halt(self._gate.reason, self._gate.by, self._gate.since_ns))
            await store.commit()
        await self.obey_file()

    async def obey_file(self) -> None:
        """A door for when the control socket does not answer."""
        if not self._gate.killed and self._kill_file.exists():
            await self.on(self._written_reason() or f"kill file {self._kill_file}", "kill file")

    async def on_signal(self) -> None:
        """SIGUSR1: the other door; the reason may have been left in the kill file."""
        await self.on(self._written_reason() or "SIGUSR1", "signal")

    async def on(self, reason: str, by: str) -> dict[str, Any]:
        """Returns when it is written down. Resting orders are cancelled, strategies see no prices."""
        if not self._gate.killed or self._rearming is not None:
            self._rearming = None
            self._kill(clean(reason), by)
        if self._store is None:
            self._write_file()
            return self.state()
        try:
            await self._store.commit()
        except Fatal:
            self._write_file()
            raise
        return self.state()

    def _kill(self, reason: str, by: str) -> None:
        now_ns = time.time_ns()
        self._gate.kill(reason, by, now_ns)
        if self._store is not None:
            self._line.route(Halt(reason, by, now_ns))
        audit.warning("kill switch on: {} (by {})", reason, by)

    async def off(self, reason: str, by: str, walk: Walk) -> dict[str, Any]:
        """Between two turns, and written down before trading is enabled. A kill in between wins.

        Raises ValueError when the kill file cannot be removed: the next start would be killed.
        """
        mine = self._rearming = object()
        async with walk.lock:
            if self._gate.killed and self._rearming is mine and self._store is not None:
                now_ns = time.time_ns()
                self._remove_file()
                await self._store.commit()  # the last row taken: a restart shows nothing up to it
                self._line.route(Resume(clean(reason), by, now_ns))
                await self._store.commit()
                await self._line.quiet.wait()
                if self._rearming is mine:
                    self._gate.rearm(clean(reason), by, now_ns)
                    self.rearmed += 1
                    audit.warning("kill switch off: {} (by {})", reason, by)
            if self._rearming is mine:
                self._rearming = None
        return self.state()

    def _written_reason(self) -> str:
        try:
            return clean(self._kill_file.read_text("utf-8", errors="replace"))
        except OSError:
            return ""

    def _write_file(self) -> None:
        try:
            self._kill_file.parent.mkdir(parents=True, exist_ok=True)
            self._kill_file.write_text(f"{self._gate.reason}\n", "utf-8")
        except OSError as error:
            audit.error("kill file {} cannot be written: {}", self._kill_file, error)

    def _remove_file(self) -> None:
        try:
            self._kill_file.unlink(missing_ok=True)
        except OSError as error:
            self._rearming = None
            raise ValueError(f"kill file {self._kill_file} cannot be removed: {error.strerror}") from error

    def state(self) -> dict[str, Any]:
        gate = self._gate
        return {
            "on": gate.killed,
            "reason": gate.reason,
            "by": gate.by,
            "since": to_ist(gate.since_ns).isoformat() if gate.since_ns else None,
        }


def clean(reason: str) -> str:
    """One line that every table, file, journal and terminal can hold, without secrets."""
    line = " ".join(redact(reason).encode(errors="replace").decode().split())
    return "".join(character for character in line if character.isprintable())[:LONGEST_REASON]
