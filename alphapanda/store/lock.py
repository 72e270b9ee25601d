"""One daemon a store. The lock dies with its process, so a stale lock file is harmless."""

import fcntl
import os
import time
from pathlib import Path

from alphapanda.errors import CannotStart

PATIENCE_S = 0.25
"""A command that asks for the holder has the lock for a moment; it is not mistaken for a daemon."""


def lock_path(store: Path) -> Path:
    return store.with_name(store.name + ".lock")


def take(store: Path) -> int:
    """The open descriptor of the lock, with our process id in the file; close it to let go."""
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock_path(store), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotStart(f"store {store} cannot be made: {error.strerror}; check storage.path") from error
    deadline = time.monotonic() + PATIENCE_S
    while not (locked := _try_lock(descriptor)) and time.monotonic() < deadline:
        time.sleep(0.01)
    if not locked:
        os.close(descriptor)
        raise CannotStart(f"store {store} is in use by the daemon with pid {holder(store)}; stop it first")
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def holder(store: Path) -> int | None:
    """The process id of the daemon that has the store, None when nobody has."""
    try:
        descriptor = os.open(lock_path(store), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return None if _try_lock(descriptor) else int(os.read(descriptor, 32) or b"0")
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
