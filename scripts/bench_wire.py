"""From the tick to the order's bytes: a plain KiteTicker + KiteConnect program and the daemon, in one run.

The exchange runs as a child with a whole market's ticks. Between it and the program stand two taps in
processes of their own (wire_tap.py), which stamp on one clock when the frame with the deciding tick went to
the program, and when its order's last byte came. Both programs decide on every tick by the same rule
(bench_wire_decision.py). An order belongs to the newest deciding tick of its instrument before it. "wait" is
how long the program's threads were ready and had no core: where it is not small, other work on the machine is
what was measured.
"""

import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns, sleep
from typing import Any
from urllib.parse import urlsplit

from bench_wire_daemon import daemon
from trial_children import ENDING_S, ExchangeChild, Usage, exchange_child, quantile

CONNECTIONS, MOST_TOKENS = 3, 3_000
HERE = Path(__file__).parent
INDICES = 50
"""Listed beside what is wanted: their packets are short, and nobody trades them."""
MATCHES_PER_SECOND = 20
"""Ticks that decide; orders are fewer, as there is time between two."""
QUIET_S = 0.7
"""What is on its way has come."""
TARGETS = {"p50_ms": 2.0, "p99_ms": 6.0, "cpu_percent": 25.0}
BURST_P50_MS = 8.0
TIMES_P50, TIMES_P99 = 3.0, 10.0


class Market:
    """What is subscribed and what may be traded."""

    def __init__(self, server: ExchangeChild, instruments: int) -> None:
        rows = csv.DictReader(io.StringIO(server.get("/instruments").decode()))
        listed = [row for row in rows if row["segment"] != "INDICES"][:instruments]
        if len(listed) < instruments:
            raise SystemExit(f"only {len(listed)} instruments are listed, {instruments} are wanted")
        self.keys = [f"{row['exchange']}:{row['tradingsymbol']}" for row in listed]
        tokens = [int(row["instrument_token"]) for row in listed]
        share = -(-instruments // CONNECTIONS)
        self.parts = [tokens[at : at + share] for at in range(0, instruments, share)]
        self.symbols = {
            int(row["instrument_token"]): row["tradingsymbol"]
            for row in listed
            if row["exchange"] == "NSE" and row["instrument_type"] == "EQ" and row["lot_size"] == "1"
        }

    def write(self, path: Path) -> None:
        path.write_text(json.dumps({"parts": self.parts, "symbols": self.symbols}), encoding="utf-8")


@contextmanager
def tapped(server: ExchangeChild, folder: Path, cores: list[int]) -> Iterator[dict[str, str]]:
    """Both taps; the addresses for the program."""
    at = urlsplit(server.url)
    children = []
    try:
        ports = {}
        for what in ("ticks", "orders"):
            child = subprocess.Popen(
                [sys.executable, HERE / "wire_tap.py", what, at.netloc, folder / f"{what}.jsonl"],
                stdout=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                text=True,
            )
            children.append(child)
            os.sched_setaffinity(child.pid, cores)
            ports[what] = int(child.stdout.readline()) if child.stdout else 0
        yield {
            "rest": f"http://127.0.0.1:{ports['orders']}",
            "ws": f"ws://127.0.0.1:{ports['ticks']}/ws",
        }
    finally:
        for child in children:
            child.terminate()
            child.wait(ENDING_S)
            if child.stdout:
                child.stdout.close()


@contextmanager
def official(roots: dict[str, str], market: Market, folder: Path, cores: list[int]) -> Iterator[Any]:
    """The plain program, once every token has ticked."""
    given = folder / "official.json"
    market.write(given)
    with (folder / "official.log").open("w") as log:
        child = subprocess.Popen(
            [sys.executable, HERE / "bench_wire_official.py", roots["rest"], roots["ws"], given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    os.sched_setaffinity(child.pid, cores)

    def counts() -> dict[str, Any]:
        out, _ = child.communicate(timeout=ENDING_S)
        return dict(json.loads(out.splitlines()[-1]))

    try:
        line = child.stdout.readline() if child.stdout else ""
        if line.strip() != "ready":
            raise SystemExit(f"the plain program ended: {(folder / 'official.log').read_text()[-2000:]}")
        yield Usage(child.pid), counts
    finally:
        child.kill()
        child.communicate()


def measured(
    name: str, server: ExchangeChild, market: Market, seconds: tuple[float, float], folder: Path
) -> dict[str, Any]:
    """One program: so many seconds to settle, and so many measured."""
    cores = sorted(os.sched_getaffinity(0))
    near, rest = cores[:1], cores[1:] or cores
    program = {"official": official, "ours": daemon}[name]
    folder.mkdir()
    with tapped(server, folder, near) as roots, program(roots, market, folder, rest) as (usage, counts):
        sleep(seconds[0])
        begun_ns, used, before = perf_counter_ns(), usage.cpu_s(), server.usage.cpu_s()
        waited = usage.waited_s()
        sleep(seconds[1])
        ended_ns, used, waited = perf_counter_ns(), usage.cpu_s() - used, usage.waited_s() - waited
        exchange_used, memory = server.usage.cpu_s() - before, usage.memory_mb()
        server.admin("clock", {"pause": True})
        sleep(QUIET_S)
        counted = counts()
    took = (ended_ns - begun_ns) / 1e9
    return {
        **counted,
        **latencies(folder, market, begun_ns, ended_ns),
        "seconds": round(took, 2),
        "cpu_percent": round(100 * used / took, 1),
        "waited_percent": round(100 * waited / took, 1),
        "memory_mb": round(memory),
        "exchange_cpu_percent": round(100 * exchange_used / took, 1),
    }


def latencies(folder: Path, market: Market, begun_ns: int, ended_ns: int) -> dict[str, Any]:
    """Of the orders that came while it was measured, in milliseconds after their tick's frame."""
    ticks: dict[str, list[int]] = defaultdict(list)
    found: list[float] = []
    strays = packets = 0
    for line in (folder / "ticks.jsonl").read_text(encoding="utf-8").splitlines():
        what, *facts = json.loads(line)
        if what == "packets":
            packets = facts[0]
        elif facts[0] in market.symbols:
            ticks[market.symbols[facts[0]]].append(facts[1])
    for line in (folder / "orders.jsonl").read_text(encoding="utf-8").splitlines():
        what, *facts = json.loads(line)
        if what != "order" or not begun_ns <= facts[1] < ended_ns:
            continue
        symbol, at_ns = facts
        place = bisect_left(ticks[symbol], at_ns)
        if place == 0:
            strays += 1
        else:
            found.append((at_ns - ticks[symbol][place - 1]) / 1e6)
    found.sort()
    return {
        "sent": packets,
        "orders": len(found),
        "strays": strays,
        "p50_ms": quantile(found, 0.5),
        "p99_ms": quantile(found, 0.99),
        "max_ms": quantile(found, 1.0),
    }


def wire(
    instruments: int,
    ticks: int,
    seconds: tuple[float, float],
    *,
    bursts: bool,
    sides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Both one after the other against exchanges of the same seed; print a table or one JSON object."""
    if not 1 <= instruments <= CONNECTIONS * MOST_TOKENS:
        raise SystemExit(f"--instruments has to be from 1 to {CONNECTIONS * MOST_TOKENS}")
    cores = sorted(os.sched_getaffinity(0))
    words = [
        *("--instruments", instruments + INDICES, "--ticks-per-second", ticks, "--no-rate-limits"),
        *("--cash", 10**9),
        *(["--bursts"] if bursts else []),
    ]
    result: dict[str, Any] = {
        "instruments": instruments,
        "ticks_per_second": ticks,
        "bursts": bursts,
        "cores": len(cores),
    }
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        for name in sides:
            with exchange_child(*words, cores=cores[:1]) as server:
                market = Market(server, instruments)
                one_in = max(1, len(market.symbols) * ticks // MATCHES_PER_SECOND)
                os.environ["WIRE_ONE_IN"] = str(one_in)  # to the children
                result[name] = measured(name, server, market, seconds, Path(folder) / name)
    if all(result.get(name, {}).get("orders") for name in ("official", "ours")):
        result["times"] = {
            name: round(result["official"][name] / result["ours"][name], 2) for name in ("p50_ms", "p99_ms")
        }
    if not as_json:
        print(_table(result))
    print(json.dumps(result))


def _table(result: dict[str, Any]) -> str:
    pace = f"{result['ticks_per_second']} full ticks a second {'in bursts' if result['bursts'] else 'steady'}"
    columns = (
        "sent",
        "received",
        "folded",
        "orders",
        "p50 ms",
        "p99 ms",
        "max ms",
        "CPU %",
        "wait %",
        "RSS MB",
    )
    lines = [
        f"{result['instruments']:,} instruments, {pace}, {result['cores']} cores; tick to order bytes",
        " " * 10 + "".join(f"{column:>11}" for column in columns),
    ]
    for name in ("official", "ours"):
        if name in result:
            row = result[name]
            names = ("p50_ms", "p99_ms", "max_ms", "cpu_percent", "waited_percent", "memory_mb")
            figures = [f"{row['sent']:,}", f"{row['received']:,}", row.get("folded", "-"), row["orders"]]
            figures += [row[each] for each in names]
            lines.append(f"{name:10}" + "".join(f"{figure!s:>11}" for figure in figures))
    if "times" in result:
        times = result["times"]
        lines.append(
            f"ours is {times['p50_ms']} times quicker at p50 (wanted {TIMES_P50:g}), "
            f"{times['p99_ms']} at p99 (wanted {TIMES_P99:g})"
        )
        ours = result["ours"]
        targets = TARGETS | ({"p50_ms": BURST_P50_MS} if result["bursts"] else {})
        lines += [
            f"target {name}: at most {most:g}, is {ours[name]:g}: {'met' if ours[name] <= most else 'MISSED'}"
            for name, most in targets.items()
        ]
    return "\n".join(lines)
