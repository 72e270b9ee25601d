"""The end of NOTIFY_SOCKET that systemd holds, and its patience with a daemon."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

WATCHDOG_S = 1.0
PING = "WATCHDOG=1"


class Systemd:
    """Hears what the daemon says that was started with its `variables`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.door.bind(str(path))
        self.door.setblocking(False)
        self._pinged_s = monotonic()

    def listen(self) -> list[str]:
        while True:
            try:
                self.heard.append(self.door.recv(4096).decode())
            except BlockingIOError:
                return self.heard
            if self.heard[-1] == PING:
                self._pinged_s = monotonic()

    def times(self, word: str) -> int:
        return sum(message.startswith(word) for message in self.listen())

    def is_out_of_patience(self) -> bool:
        """No ping has been heard for as long as it was promised one."""
        self.listen()
        return monotonic() - self._pinged_s > WATCHDOG_S

    def variables(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))} | more


@contextmanager
def systemd_at(path: Path) -> Iterator[Systemd]:
    made = Systemd(path)
    try:
        yield made
    finally:
        made.door.close()
