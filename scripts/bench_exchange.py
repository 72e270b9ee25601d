"""The load of a whole market: the exchange as a child on one core, three clients of its ticker here.

Each client subscribes its third of the instruments in full mode. Some seconds after the snapshots have come,
packets are counted for so many seconds of the wall clock by the count in each frame's head: a frame more or
less, at the edges, is chance. At the end the numbers are held against the exchange's own history: what it
sent and what came must be the same.
"""

import csv
import io
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from time import perf_counter
from typing import Any

import anyio
from websockets.asyncio.client import ClientConnection, connect

API_KEY, TOKEN = "rehearsal", "bench-token"
CONNECTIONS, MOST_TOKENS = 3, 3_000
FULL_LENGTH = (184).to_bytes(2, "big")
TICKS_PER_SECOND = 4
INDICES = 50
"""Listed beside what is wanted: at least as many as there are indices, whose packets are short."""
SETTLING_S = 60.0
"""How long the snapshots may take."""
CATCHING_UP_S = 4.0
"""After them: what was due while they were made comes late."""
QUIET_S = 1.0
"""Nothing has come for so long since the exchange's clock was stopped: all is there that was sent."""


class Exchange:
    """The child: where it listens, and what it has used of its core."""

    def __init__(self, child: subprocess.Popen[str], url: str) -> None:
        self.url = url
        self._child = child

    def cpu_s(self) -> float:
        """User and system time so far."""
        with open(f"/proc/{self._child.pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123 - not a file
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        with open(f"/proc/{self._child.pid}/status", encoding="utf-8") as status:  # noqa: PTH123 - no real path
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024

    def pause(self) -> None:
        """The exchange's clock stands, so no more ticks are sent."""
        self.get("/admin/clock", json.dumps({"pause": True}).encode())

    def sent(self) -> int:
        """Packets that were put into connections, as its history has it."""
        lines = self.get("/admin/history?kind=ticks").splitlines()
        return sum(json.loads(line)["packets"] for line in lines)

    def get(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - our own child
            f"{self.url}{path}",
            data=body,
            headers={"X-Kite-Version": "3", "Authorization": f"token {API_KEY}:{TOKEN}"}
            | ({"Content-Type": "application/json"} if body else {}),
        )
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 - our own server
            return bytes(reply.read())


@contextmanager
def started(instruments: int, *, bursts: bool, cores: list[int]) -> Iterator[Exchange]:
    """It runs on the first of the cores alone; we keep off it where there are more."""
    command = [
        *(sys.executable, "-m", "alphapanda", "exchange", "--port", "0", "--access-token", TOKEN),
        *("--instruments", str(instruments + INDICES), "--ticks-per-second", str(TICKS_PER_SECOND)),
        *(["--bursts"] if bursts else []),
        "--no-rate-limits",
    ]
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores[:1]),  # noqa: PLW1509 - one thread so far
    )
    try:
        line = child.stdout.readline() if child.stdout else ""
        found = re.fullmatch(r"ready (http://\S+)\s*", line)
        if found is None:
            raise SystemExit(f"the exchange did not start: it said {line!r}; run `{' '.join(command)}`")
        os.sched_setaffinity(0, cores[1:] or cores)
        yield Exchange(child, found[1])
    finally:
        os.sched_setaffinity(0, cores)
        child.terminate()
        child.wait(timeout=20)
        if child.stdout:
            child.stdout.close()


class Client:
    """One connection: what came on it in all, and while it was measured."""

    def __init__(self, socket: ClientConnection, tokens: list[int]) -> None:
        self._socket = socket
        self.tokens = tokens
        self.came = 0
        """Packets, from the first on."""
        self.full = 0
        """Those of 184 bytes."""
        self.settled = anyio.Event()
        """As many of them have come as it has instruments."""
        self.packets = self.frames = self.size = 0
        self.longest_gap = 0.0
        self._last: float | None = None
        self.measuring = False

    async def subscribe(self) -> None:
        await self._socket.send(json.dumps({"a": "subscribe", "v": self.tokens}))
        await self._socket.send(json.dumps({"a": "mode", "v": ["full", self.tokens]}))

    async def read(self) -> None:
        """Until cancelled."""
        async for frame in self._socket:
            if isinstance(frame, str) or len(frame) < 4:
                continue
            count = int.from_bytes(frame[:2], "big")
            self.came += count
            if frame[2:4] == FULL_LENGTH:
                self.full += count
                if self.full >= len(self.tokens):
                    self.settled.set()
            if self.measuring:
                self._measure(count, len(frame))

    def _measure(self, count: int, size: int) -> None:
        now = perf_counter()
        if self._last is not None:
            self.longest_gap = max(self.longest_gap, now - self._last)
        self._last = now
        self.packets += count
        self.frames += 1
        self.size += size


async def measure(
    server: Exchange, parts: list[list[int]], seconds: float
) -> tuple[list[Client], dict[str, float]]:
    """The clients with what they counted, and wall seconds, CPU and packets sent as the exchange has it."""
    url = f"{server.url.replace('http', 'ws', 1)}/ws?api_key={API_KEY}&access_token={TOKEN}"
    async with AsyncExitStack() as open_, anyio.create_task_group() as group:
        sockets = [
            await open_.enter_async_context(
                connect(url, max_size=None, compression=None, ping_interval=None, proxy=None)
            )
            for _ in parts
        ]
        clients = [Client(socket, part) for socket, part in zip(sockets, parts, strict=True)]
        for client in clients:
            group.start_soon(client.read)
            await client.subscribe()
        with anyio.fail_after(SETTLING_S):
            for client in clients:
                await client.settled.wait()
        await anyio.sleep(CATCHING_UP_S)
        used, started = server.cpu_s(), perf_counter()
        for client in clients:
            client.measuring = True
        await anyio.sleep(seconds)
        for client in clients:
            client.measuring = False
        took, used = perf_counter() - started, server.cpu_s() - used
        await anyio.to_thread.run_sync(server.pause)
        await drained(clients)
        group.cancel_scope.cancel()
    sent = await anyio.to_thread.run_sync(server.sent)
    return clients, {"seconds": took, "cpu": used / took, "sent": sent}


async def drained(clients: list[Client]) -> None:
    """What is on its way has come."""
    before, now = -1, sum(client.came for client in clients)
    while before != now:
        await anyio.sleep(QUIET_S)
        before, now = now, sum(client.came for client in clients)


def tokens_of(server: Exchange, instruments: int) -> list[int]:
    """The first so many that are traded: indices have short packets."""
    rows = csv.DictReader(io.StringIO(server.get("/instruments").decode()))
    listed = [int(row["instrument_token"]) for row in rows if row["segment"] != "INDICES"]
    if len(listed) < instruments:
        raise SystemExit(f"only {len(listed)} instruments are listed, {instruments} are wanted")
    return listed[:instruments]


def exchange(instruments: int, seconds: float, *, bursts: bool, as_json: bool) -> None:
    """Measure, and print a table or one JSON object."""
    if not 1 <= instruments <= CONNECTIONS * MOST_TOKENS:
        raise SystemExit(f"--instruments has to be from 1 to {CONNECTIONS * MOST_TOKENS}")
    cores = sorted(os.sched_getaffinity(0))
    with started(instruments, bursts=bursts, cores=cores) as server:
        tokens = tokens_of(server, instruments)
        share = -(-instruments // CONNECTIONS)
        parts = [tokens[at : at + share] for at in range(0, instruments, share)]
        clients, facts = anyio.run(measure, server, parts, seconds)
        memory = server.memory_mb()
    took = facts["seconds"]
    result = {
        "instruments": instruments,
        "bursts": bursts,
        "seconds": round(took, 2),
        "cores": len(cores),
        "packets_wanted_per_s": instruments * TICKS_PER_SECOND,
        "packets_per_s": round(sum(client.packets for client in clients) / took),
        "packets_missing": facts["sent"] - sum(client.came for client in clients),
        "bytes_per_s": round(sum(client.size for client in clients) / took),
        "exchange_cpu_percent": round(100 * facts["cpu"], 1),
        "exchange_memory_mb": round(memory),
        "connections": [
            {
                "packets_wanted_per_s": len(client.tokens) * TICKS_PER_SECOND,
                "packets_per_s": round(client.packets / took),
                "frames_per_s": round(client.frames / took, 1),
                "longest_gap_s": round(client.longest_gap, 3),
            }
            for client in clients
        ],
    }
    print(json.dumps(result) if as_json else _table(result))


def _table(result: dict[str, Any]) -> str:
    ticks = f"{TICKS_PER_SECOND} full ticks a second {'in bursts' if result['bursts'] else 'steady'}"
    lines = [
        f"{result['instruments']:,} instruments, {ticks}, {result['seconds']} s, {result['cores']} cores",
        f"{'':14} {'wanted/s':>10} {'received/s':>10} {'frames/s':>9} {'longest gap':>12}",
    ]
    for number, each in enumerate(result["connections"], 1):
        lines.append(
            f"{f'connection {number}':14} {each['packets_wanted_per_s']:>10,} {each['packets_per_s']:>10,} "
            f"{each['frames_per_s']:>9,} {each['longest_gap_s']:>10.3f} s"
        )
    lines += [
        f"{'packets':14} {result['packets_wanted_per_s']:>10,} {result['packets_per_s']:>10,}",
        f"sent and not received: {result['packets_missing']:,}   {result['bytes_per_s'] / 1e6:.1f} MB/s",
        f"exchange: {result['exchange_cpu_percent']} % of its core, {result['exchange_memory_mb']} MB",
    ]
    return "\n".join(lines)
