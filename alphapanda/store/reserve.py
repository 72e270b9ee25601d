"""Space that is kept for last words: a file beside the store, given back when the disk is full.

A daemon makes it at its start and takes it away at its end; what a killed one leaves is taken over by the
next. It is for who could not say why trading halts: the daemon, and the command that kills one that is stuck.
"""

import errno
import os
from pathlib import Path

from alphapanda.errors import CannotStart

MIB = 1 << 20


def reserve_path(store: Path) -> Path:
    return store.with_name(store.name + ".reserve")


class Reserve:
    """`make` and `free` may be called more than once, and from any thread."""

    def __init__(self, store: Path, mib: int) -> None:
        """`mib` 0 is none."""
        self.path = reserve_path(store)
        self._size = mib * MIB

    def make(self) -> None:
        """Raises CannotStart where there is no room: better no start than no last words."""
        if not self._size:
            self.free()
            return
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(descriptor, self._size)
                os.posix_fallocate(descriptor, 0, self._size)
            finally:
                os.close(descriptor)
        except OSError as error:
            self.free()
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            what_to_do = "make room on its disk, or set storage.reserve_mib lower"
            raise CannotStart(
                f"reserve {self.path} of {self._size // MIB} MiB cannot be made: {error.strerror};"
                f" {what_to_do if full else 'check storage.path'}"
            ) from error

    def free(self) -> bool:
        """Give the space back. False where there was none, or it could not be taken away."""
        try:
            self.path.unlink()
        except OSError:
            return False
        return True
