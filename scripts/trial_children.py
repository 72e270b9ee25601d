"""Processes that trials and measurements start: what they have used, and the exchange as one of them."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

API_KEY, TOKEN = "rehearsal", "trial-token"
ENDING_S = 20.0


class Usage:
    """What a process has used, as the kernel has it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_s(self) -> float:
        """User and system time so far."""
        with open(f"/proc/{self.pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123 - not a file
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def waited_s(self) -> float:
        """How long its threads were ready to run and had no core: what others took from it. 0 if not told."""
        waited = 0
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with suppress(OSError):  # it has ended
                waited += int((thread / "schedstat").read_text().split()[1])
        return waited / 1e9

    def memory_mb(self) -> float:
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as status:  # noqa: PTH123 - no real path
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024


class ExchangeChild:
    """An exchange that runs. `url` is its REST root, `ws` the ticker's."""

    def __init__(self, child: subprocess.Popen[str], url: str) -> None:
        self.url = url
        self.ws = f"{url.replace('http', 'ws', 1)}/ws"
        self.usage = Usage(child.pid)

    def get(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - our own child
            f"{self.url}{path}",
            data=body,
            headers={"X-Kite-Version": "3", "Authorization": f"token {API_KEY}:{TOKEN}"}
            | ({"Content-Type": "application/json"} if body else {}),
        )
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 - our own server
            return bytes(reply.read())

    def admin(self, path: str, document: Any = None) -> Any:
        """GET, or POST of a JSON document; the JSON that is answered."""
        body = None if document is None else json.dumps(document).encode()
        return json.loads(self.get(f"/admin/{path}", body))

    def history(self, *kinds: str) -> list[dict[str, Any]]:
        """The lines so far, of these kinds."""
        return [json.loads(line) for line in self.get(f"/admin/history?kind={','.join(kinds)}").splitlines()]


@contextmanager
def exchange_child(*words: object, cores: list[int] | None = None) -> Iterator[ExchangeChild]:
    """`alphapanda exchange words…` on a free port, on these cores if any are named; ended with the block."""
    command = [
        *(sys.executable, "-m", "alphapanda", "exchange", "--port", "0", "--access-token", TOKEN),
        *map(str, words),
    ]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    if cores:
        os.sched_setaffinity(child.pid, cores)
    try:
        line = child.stdout.readline() if child.stdout else ""
        found = re.fullmatch(r"ready (http://\S+)\s*", line)
        if found is None:
            raise SystemExit(f"the exchange did not start: it said {line!r}; run `{' '.join(command)}`")
        yield ExchangeChild(child, found[1])
    finally:
        child.terminate()
        child.wait(timeout=ENDING_S)
        if child.stdout:
            child.stdout.close()


def quantile(in_order: list[float], part: float) -> float | None:
    """The smallest value that so many of all are not above, to 3 digits; None of nothing."""
    if not in_order:
        return None
    return round(in_order[min(len(in_order) - 1, int(part * len(in_order)))], 3)
