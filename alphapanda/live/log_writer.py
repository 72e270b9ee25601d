"""The thread that writes the log, so that trading never waits for whoever reads it.

Lines wait in a bounded queue. When it is full the oldest is dropped and counted: the last words matter most.
When lines flow again, one of them says how many are missing there.
"""

import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

CAPACITY = 10_000
"""Lines that may wait: some seconds of the busiest log there can be."""
BATCH = 256
FILE_SIZE = 20_000_000
FILES_KEPT = 10

Write = Callable[[str], None]


class LogWriter:
    """`put` never blocks and never raises; `write` may block for ever and may fail.

    A child made by fork has no thread: it begins with an empty queue and a thread of its own.
    """

    def __init__(self, write: Write, note: Callable[[int], str], *, capacity: int = CAPACITY) -> None:
        """`note` makes the line about so many lost lines."""
        self._write = write
        self._note = note
        self._capacity = capacity
        self.lost = 0
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lines: deque[str] = deque()
        self._changed = threading.Condition()  # a destructor may print while this thread has it
        self._missing = 0
        self._writing = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, line: str) -> None:
        """`line` has its newline."""
        if self._pid != os.getpid():
            self._begin()
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            if len(self._lines) >= self._capacity:
                self._lines.popleft()
                self._count_lost(1)
            self._lines.append(line)
            self._changed.notify_all()

    def flush(self, within_s: float) -> bool:
        """Wait until everything put so far is written; False when that took too long."""
        deadline = time.monotonic() + within_s
        if self._pid != os.getpid():
            return True
        with self._changed:
            while self._lines or self._writing:
                left = deadline - time.monotonic()
                if left <= 0 or self._thread is None or not self._thread.is_alive():
                    return False
                self._changed.wait(left)
        return True

    def close(self, within_s: float) -> bool:
        """`flush`, then end the thread. One that is stuck in its write is left behind: it is a daemon."""
        written = self.flush(within_s)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if written and self._thread is not None:
            self._thread.join(within_s)
        return written

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._lines:
                    if self._closed:
                        return
                    self._changed.wait()
                missing, self._missing = self._missing, 0
                batch = [self._lines.popleft() for _ in range(min(BATCH, len(self._lines)))]
                self._writing = True
            written = self._written([self._note(missing), *batch] if missing else batch)
            with self._changed:
                self._writing = False
                if not written:
                    self._count_lost(len(batch))
                    self._missing += missing
                self._changed.notify_all()

    def _written(self, batch: list[str]) -> bool:
        """Nobody reads any more, the disk is full, the descriptor is gone: not the daemon's business."""
        try:
            self._write("".join(batch))
        except (OSError, ValueError, RuntimeError):
            return False
        return True

    def _count_lost(self, lines: int) -> None:
        self.lost += lines
        self._missing += lines


def to_stderr(text: str) -> None:
    """To the descriptor: a thread stuck inside `sys.stderr` would hold its lock when Python ends."""
    left = memoryview(text.encode(errors="backslashreplace"))
    while left:
        try:
            left = left[os.write(2, left) :]
        except BlockingIOError:  # another program made our terminal or pipe non-blocking
            select.select([], [2], [], 1.0)


class LogFile:
    """`folder/alphapanda.log`; a full one becomes alphapanda.log.1, the one before that .2, and so on."""

    def __init__(self, folder: Path, *, size: int = FILE_SIZE, kept: int = FILES_KEPT) -> None:
        """Raises OSError when nothing can be written there."""
        self._path = folder / "alphapanda.log"
        self._size = size
        self._kept = kept
        folder.mkdir(parents=True, exist_ok=True)
        self._path.open("ab").close()

    def write(self, text: str) -> None:
        """Opened for each batch: the file may be moved or removed by others while the daemon runs."""
        with self._path.open("ab") as file:
            file.write(text.encode(errors="backslashreplace"))
            full = file.tell() >= self._size
        if full:
            for number in reversed(range(1, self._kept)):
                if self._numbered(number).exists():
                    self._numbered(number).replace(self._numbered(number + 1))
            self._path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def stderr_is_journal(journal_stream: str | None) -> bool:
    """As systemd.exec(5) says it of $JOURNAL_STREAM, which children that write elsewhere inherit too."""
    try:
        stderr = os.fstat(2)
    except OSError:
        return False
    return journal_stream == f"{stderr.st_dev}:{stderr.st_ino}"


def stderr_is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
