"""The kill file: a door that needs neither the loop of a daemon nor its store, and stays for the next start.

Its name alone kills. Its words are the reason, with FLATTENS as the last line where positions are closed too.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from loguru import logger

from alphapanda.config.redaction import redact

audit = logger.bind(channel="audit")

LONGEST_REASON = 200
LONGEST_FILE = 4096
FLATTENS = "--flatten"


class KillFile:
    """`free` gives space back on a disk that is full. From any thread."""

    def __init__(self, path: Path, free: Callable[[], object] = lambda: None) -> None:
        self.path = path
        self._free = free

    def is_there(self) -> bool:
        """One that cannot be looked at is: nobody knows that the operator has not put it there."""
        try:
            self.path.stat()
        except OSError as error:
            return error.errno not in (errno.ENOENT, errno.ENOTDIR)
        return True

    def words(self) -> tuple[str, bool]:
        """The reason that it gives, and whether positions are to be closed."""
        try:  # whatever was put there, reading it does not block
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                text = os.read(descriptor, LONGEST_FILE).decode(errors="replace")
            finally:
                os.close(descriptor)
        except OSError:
            return "", False
        head, _, last = text.rstrip().rpartition("\n")
        return (clean(head), True) if last == FLATTENS else (clean(text), False)

    def write(self, reason: str, *, flatten: bool) -> None:
        """Where that cannot be, the log says so: the flag holds without it."""
        try:
            self.put(reason, flatten=flatten)
        except OSError as error:
            audit.error("kill file {} cannot be written: {}", self.path, error)

    def put(self, reason: str, *, flatten: bool) -> None:
        """Raises OSError; its name may be there even then. What the disk does not confirm outlives the
        process all the same.
        """
        octets = (f"{reason}\n{FLATTENS}\n" if flatten else f"{reason}\n").encode()
        try:
            self._put(octets)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._free()
            self._put(octets)

    def _put(self, octets: bytes) -> None:
        """Over what it says, which has its place on a full disk: emptied first, it could lose that."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        try:
            said = min(os.fstat(descriptor).st_size, LONGEST_FILE)
            left = memoryview(octets.ljust(said, b"\n"))
            while left:
                left = left[os.write(descriptor, left) :]
            with suppress(OSError):
                os.ftruncate(descriptor, len(octets))
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Raises ValueError where it stays: it would kill the next start."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise ValueError(f"kill file {self.path} cannot be removed: {error.strerror}") from error


def clean(reason: str) -> str:
    """One line that every table, file, journal and terminal can hold, without secrets."""
    line = " ".join(redact(reason).encode(errors="replace").decode().split())
    return "".join(character for character in line if character.isprintable())[:LONGEST_REASON]
