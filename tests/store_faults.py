"""What can be wrong below the store of a real daemon: a disk that is full, that fails, or may not be written.

`before` of `running.run` and `running.daemon` takes the words that are made here. Where the machine does not
let us, the test is skipped with the reason.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _possible(words: list[str], why: str) -> None:
    try:
        tried = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip(f"{why}: there is no {words[0]}")
    if tried.returncode:
        pytest.skip(f"{why}: {' '.join(tried.stderr.split())}")


def failing(call: int, log: Path) -> list[str]:
    """The `call`-th sync of each thread fails; the command keeps its process id. `log` has a line with
    INJECTED for each that did.
    """
    words = ["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", str(log), "-e", "trace=fsync,fdatasync"]
    _possible([*words, "true"], "no sync can be made to fail")
    return [*words, "-e", f"inject=fsync,fdatasync:error=EIO:when={call}"]


def without_rights() -> list[str]:
    """The owner of a file may do with it what its mode says, and no more: also where that is root."""
    if os.getuid():
        return []
    words = ["setpriv", "--bounding-set=-all"]
    _possible([*words, "true"], "root's rights cannot be taken away")
    return words


class Disk:
    """A small disk at `folder`, of a view of the files that only its holder has."""

    def __init__(self, holder: int, folder: Path) -> None:
        self.before = ["nsenter", f"--target={holder}", "--mount", *([] if not os.getuid() else ["--user"])]
        if os.getuid():
            self.before.append("--preserve-credentials")
        self.before.append(f"--wdns={folder.parent}")
        self.folder = Path(f"/proc/{holder}/root{folder}")
        """The same folder, from outside."""


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Disk]:
    """A file system in memory of so many MiB, gone with the block."""
    view = ["unshare", "--mount", *(["--map-root-user"] if os.getuid() else [])]
    _possible([*view, "true"], "no disk of our own can be made")
    folder.mkdir(exist_ok=True)
    holds = f"mount -t tmpfs -o size={mib}m tmpfs '{folder}' && echo here && exec cat"
    with subprocess.Popen(
        [*view, "sh", "-c", holds], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        if holder.stdout.readline() != "here\n":
            pytest.skip("no disk of our own can be made: it cannot be mounted")
        yield Disk(holder.pid, folder)
        holder.stdin.close()
