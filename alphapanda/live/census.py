"""What the process uses: memory and how it grows, descriptors, threads, tasks, the store's log, the disk.

Read from /proc and the file system in well under a millisecond; decisions take what was read as arguments.
"""

import asyncio
import errno
import os
import resource
import threading
from collections import deque
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

MIB = 1 << 20
PROC_FD, STATM = "/proc/self/fd", Path("/proc/self/statm")
PAGE = resource.getpagesize()

WAL_MIB = 64.0
"""A log that has grown so large is not taken into the store any more: who reads holds it up."""
FREE_MIB = 256.0
FULL = 0.8
"""Of the descriptors that may be open."""
LEAK_MIB_PER_HOUR = 16.0
SETTLES_S = 300.0
"""A process that is younger still makes its caches."""
SEEN_S = 1_800.0
"""No slope is told of less."""
SAMPLES = 256


class Descriptors(NamedTuple):
    """`free` is how many more may be opened: numbers below the limit that are not used."""

    used: int
    limit: int
    free: int


def descriptors() -> Descriptors:
    """Of this process. To look takes one: where there is none, none is free."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        names = os.listdir(PROC_FD)  # noqa: PTH208 - short, and often
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return Descriptors(limit, limit, 0)
        raise
    used = len(names) - 1  # the one that looks
    return Descriptors(used, limit, limit - sum(int(name) < limit for name in names) + 1)


class Census(Struct, frozen=True):
    """`wal_mib` is the store's write-ahead log, `disk_free_mib` what is left where the store is."""

    rss_mib: float
    descriptors: int
    descriptor_limit: int
    threads: int
    tasks: int
    wal_mib: float
    disk_free_mib: float


def census(store: Path) -> Census:
    """From within the loop. Raises OSError where /proc or the store's folder cannot be read."""
    fds = descriptors()
    pages = STATM.read_bytes().split()[1]
    disk = os.statvfs(store.parent)
    return Census(
        rss_mib=int(pages) * PAGE / MIB,
        descriptors=fds.used,
        descriptor_limit=fds.limit,
        threads=threading.active_count(),
        tasks=len(asyncio.all_tasks()),
        wal_mib=_size(store.with_name(store.name + "-wal")) / MIB,
        disk_free_mib=disk.f_bavail * disk.f_frsize / MIB,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class Slope:
    """How fast a figure grows, by least squares over the last samples. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self._first_s: float | None = None

    def add(self, now_s: float, figure: float) -> None:
        if self._first_s is None:
            self._first_s = now_s
        if now_s - self._first_s >= SETTLES_S:
            self._samples.append((now_s, figure))

    def per_hour(self) -> float | None:
        """None before there is enough to tell."""
        samples = self._samples
        if not samples or samples[-1][0] - samples[0][0] < SEEN_S:
            return None
        mean_s = sum(at for at, _ in samples) / len(samples)
        mean = sum(figure for _, figure in samples) / len(samples)
        spread = sum((at - mean_s) ** 2 for at, _ in samples)
        return 3600 * sum((at - mean_s) * (figure - mean) for at, figure in samples) / spread


def troubles(found: Census, slope: float | None) -> dict[str, str]:
    """Name of an alarm -> what is wrong. What is not named is well."""
    wrong: dict[str, str] = {}
    if slope is not None and slope > LEAK_MIB_PER_HOUR:
        wrong["memory"] = f"memory grows by {slope:.0f} MiB an hour, it is {found.rss_mib:.0f} MiB now"
    if found.descriptors > FULL * found.descriptor_limit:
        wrong["open_files"] = f"{found.descriptors} of {found.descriptor_limit} descriptors are open"
    if found.wal_mib > WAL_MIB:
        wrong["wal"] = f"the store's log has {found.wal_mib:.0f} MiB: a reader holds it up"
    if found.disk_free_mib < FREE_MIB:
        wrong["disk"] = f"the store's disk has {found.disk_free_mib:.0f} MiB left; make room"
    return wrong


CENSUS_ALARMS = ("memory", "open_files", "wal", "disk")
