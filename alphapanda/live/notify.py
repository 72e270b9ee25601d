"""What systemd is told: ready, stopping, in which state, and that the order path is alive. sd_notify(3).

Without systemd nothing happens, and nothing that goes wrong here reaches trading. The watchdog is fed only
while every stage of the order path gets on: a daemon whose loop runs but whose orders are stuck is killed
and started again, and recovery decides.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Self

EXTEND_S = 30
"""How much longer than now a start may take; said again while recovery gets on."""
EXTEND_EVERY_S = 1.0
STATUS_EVERY_S = 5.0
LONGEST_PATH = 107
FAMILY, KIND = socket.AF_UNIX, socket.SOCK_DGRAM


class Watchdog:
    """Decides when to say that all is well. Times are seconds of one clock."""

    def __init__(self, interval_s: float, now: float) -> None:
        """`interval_s` is how long systemd waits for a sign of life; it gets one twice as often."""
        self._every_s = interval_s / 2
        self._due = now
        self._before: Mapping[str, int] = {}

    def decide(self, now: float, progress: Mapping[str, int]) -> bool:
        """`progress` counts what each part has done; each must have done something since the last yes."""
        if now < self._due:
            return False
        if any(count <= self._before.get(part, -1) for part, count in progress.items()):
            return False
        self._due, self._before = now + self._every_s, dict(progress)
        return True


class Notifier:
    """One per process; `address` empty is nobody to tell."""

    def __init__(self, address: str = "", watchdog: Watchdog | None = None) -> None:
        self._address = address if address.startswith(("/", "@")) else ""
        self._watchdog = watchdog
        self._owed: list[str] = []
        self._leaving = False
        self._extended = 0.0
        self._said = 0.0

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] = os.environ) -> Self:
        """Takes the variables away, so that no child speaks for us."""
        address = environ.pop("NOTIFY_SOCKET", "")
        interval_us = environ.pop("WATCHDOG_USEC", "")
        pid = environ.pop("WATCHDOG_PID", str(os.getpid()))
        wanted = interval_us.isdecimal() and int(interval_us) > 0 and pid == str(os.getpid())
        return cls(address, Watchdog(int(interval_us) / 1e6, monotonic()) if wanted else None)

    def ready(self, words: str) -> None:
        """Recovery is done and trading may begin."""
        self._owe(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={_one_line(words)}")

    def stopping(self) -> None:
        """Said once. The watchdog is fed on: a drain that is stuck is stuck."""
        if not self._leaving:
            self._leaving = True
            self._owe("STOPPING=1\nSTATUS=stopping: what is on the line is written down")

    def extend(self) -> None:
        """Recovery gets on. May be called from any thread, and often."""
        now = monotonic()
        if now - self._extended >= EXTEND_EVERY_S:
            self._extended = now
            self._send(f"EXTEND_TIMEOUT_USEC={EXTEND_S * 1_000_000}")

    def alive(self, progress: Mapping[str, int], say: Callable[[], str]) -> None:
        """Call it once or twice a second with what each part of the order path has done so far."""
        if not self._address:
            return
        now = monotonic()
        while self._owed and self._send(self._owed[0]):
            del self._owed[0]
        if self._watchdog is not None and self._watchdog.decide(now, progress):
            self._send("WATCHDOG=1")
        if now - self._said >= STATUS_EVERY_S:
            self._said = now
            self._send(f"STATUS={_one_line(say())}")

    def _owe(self, message: str) -> None:
        """What must arrive is said again later when systemd does not take it now."""
        if not self._send(message):
            self._owed.append(message)

    def _send(self, message: str) -> bool:
        if not self._address:
            return True
        try:
            with (
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door,
                _reachable(self._address) as address,
            ):
                door.setblocking(False)
                door.sendto(message.encode(errors="replace"), address)
        except (OSError, ValueError):
            return False
        return True


@contextmanager
def _reachable(address: str) -> Iterator[str]:
    """`@name` is abstract; a path longer than an address may be is reached through its folder."""
    if address.startswith("@"):
        yield "\0" + address[1:]
        return
    if len(os.fsencode(address)) <= LONGEST_PATH:
        yield address
        return
    path = Path(address)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        with suppress(OSError):
            os.close(folder)


def _one_line(words: str) -> str:
    return " ".join(words.split())
