"""One daemon a store. The lock dies with its process, so a stale lock file is harmless.

Only a daemon writes its process id into the file, while it has the lock; commands that merely look take a
shared lock, so that two of them never mistake each other for a daemon.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alphapanda.errors import CannotStart, Fatal

PATIENCE_S = 0.5
POLL_S = 0.01
"""A command has the lock for a moment when it looks or flips the kill switch of a stopped daemon."""


def lock_path(store: Path) -> Path:
    return store.with_name(store.name + ".lock")


@contextmanager
def hold(store: Path, *, as_daemon: bool = True) -> Iterator[None]:
    """Keep everybody else away. Raises CannotStart, naming the daemon that has the store."""
    descriptor = _take(store)
    try:
        _say(descriptor, store, str(os.getpid()) if as_daemon else "")
        yield
    finally:
        with suppress(OSError):  # what is left in it is an id that no living process has
            os.ftruncate(descriptor, 0)
        os.close(descriptor)


def _say(descriptor: int, store: Path, who: str) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, who.encode())
    except OSError as error:
        raise CannotStart(
            f"lock {lock_path(store)} cannot be written: {error.strerror}; look at its disk"
        ) from error


def _take(store: Path) -> int:
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock_path(store), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        denied = isinstance(error, PermissionError)
        what_to_do = "run this as the daemon's user" if denied else "check storage.path"
        raise CannotStart(f"store {store} cannot be written: {error.strerror}; {what_to_do}") from error
    pid = _wait(descriptor, fcntl.LOCK_EX)
    if pid is not None:
        os.close(descriptor)
        who = f"the daemon with pid {pid}" if pid else "another command"
        raise CannotStart(f"store {store} is in use by {who}; stop it first")
    return descriptor


def holder(store: Path) -> int | None:
    """The process id of the daemon that has the store, None when nobody has."""
    try:
        descriptor = os.open(lock_path(store), os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise Fatal(f"store {store} belongs to another user; run this as the daemon's user") from error
    try:
        pid = _wait(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
    if pid == 0:
        raise Fatal(f"store {store} is locked by a process that does not say who it is; try again")
    return pid


def _wait(descriptor: int, kind: int) -> int | None:
    """None with the lock; without, the daemon's id, or 0 when nobody has said who it is.

    An id counts when it is read twice: what a killed daemon left is there until the next one empties the
    file, a moment after it has the lock.
    """
    deadline, said = time.monotonic() + PATIENCE_S, 0
    while not _try(descriptor, kind):
        pid = _daemon(descriptor)
        if pid and pid == said:
            return pid
        if time.monotonic() > deadline:
            return 0
        said = pid
        time.sleep(POLL_S)
    return None


def _daemon(descriptor: int) -> int:
    """What the file says; 0 while it says nothing, or when those who have the lock only look."""
    if _try(descriptor, fcntl.LOCK_SH):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return 0
    return int(os.pread(descriptor, 32, 0) or b"0")


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
