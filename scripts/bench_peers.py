"""Our backtest beside the `backtesting` and `backtrader` packages: same ticks, same strategy, equal fills.

Each run is a process of its own; rounds are interleaved, so that a machine that slows down slows all sides.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

REPO = Path(__file__).resolve().parents[1]
VENV = REPO / ".venv-peers"
REQUIREMENTS = REPO / "scripts" / "requirements-peers.txt"
OURS = {"rows": "alphapanda, ticks from rows", "csv": "alphapanda, ticks from CSV"}
PEERS = ("backtesting", "backtrader")
INCLUDED = """\
Timed on our side: run_backtest on (time, price) rows in memory, with a MarketTick made from each, slippage,
charges, every default risk rule, the calendar, an exact book and an equity curve; "CSV" reads a file too.
Timed on theirs: Backtest(...).run() and Cerebro.run() on a DataFrame in memory, every tick a bar with one
price, commission on; no slippage, no risk rules; backtesting's statistics, none of backtrader's observers."""


def peers(ticks: int, seed: int, rounds: int, *, alone: bool) -> None:
    """Measure, print, and exit 1 when the sides did not trade alike. `alone` leaves the peers out."""
    sides = [*OURS] if alone else [*OURS, *PEERS]
    pythons = dict.fromkeys(OURS, sys.executable)
    if not alone:
        pythons |= dict.fromkeys(PEERS, str(_environment()))
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            runs[side].append(_run(pythons[side], side, ticks, seed))
    _print(runs, ticks, seed, rounds)
    fills = {side: {run["fills"] for run in made} for side, made in runs.items()}
    if len(set.union(*fills.values())) != 1:
        raise SystemExit(f"bench: the sides did not trade alike; fills: {fills}")


def _environment() -> Path:
    """The peers' Python. They are installed apart from us, so that nothing of ours ever depends on them."""
    python, stamp = VENV / "bin" / "python", VENV / "stamp"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"bench: installing the peers into {VENV}", file=sys.stderr)
    shutil.rmtree(VENV, ignore_errors=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    try:
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([*install, "--only-binary", ":all:", "-r", REQUIREMENTS], check=True)
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"bench: the peers cannot be installed from {REQUIREMENTS}: exit code {error.returncode}; "
            "check the package registry, or measure without them: scripts/bench peers --alone"
        ) from None
    stamp.write_text(wanted)
    return python


def _run(python: str, side: str, ticks: int, seed: int) -> dict[str, Any]:
    script = REPO / "scripts" / "bench_sides.py"
    done = subprocess.run(
        [python, script, side, "--ticks", str(ticks), "--seed", str(seed)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"bench: {side} failed with exit code {done.returncode}:\n{done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _print(runs: dict[str, list[dict[str, Any]]], ticks: int, seed: int, rounds: int) -> None:
    print(f"momentum on {ticks:,} ticks of one instrument, seed {seed}, medians of {rounds}\n")
    slowest = None if "backtrader" not in runs else _rate(runs["backtrader"], "seconds", ticks)
    print(f"{'':28} {'events/s':>11} {'per CPU s':>11} {'backtraders':>12} {'fills':>7} {'peak MiB':>9}")
    for side, made in runs.items():
        name = OURS.get(side, f"{side} {made[0]['version']}")
        rate, of_cpu = _rate(made, "seconds", ticks), _rate(made, "cpu_s", ticks)
        times = "-" if slowest is None else f"{rate / slowest:.1f}"
        peak = median(run["peak_mib"] for run in made)
        print(f"{name:28} {rate:>11,.0f} {of_cpu:>11,.0f} {times:>12} {made[0]['fills']:>7,} {peak:>9,.0f}")
    print(f"\n{INCLUDED}")


def _rate(made: list[dict[str, Any]], seconds: str, ticks: int) -> float:
    return ticks / median(run[seconds] for run in made)
