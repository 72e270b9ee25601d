"""Millions of hurt and meaningless frames for the decoder of Kite's wire (tests/random_frames.py)."""

import json
import os
import signal
import sys
from pathlib import Path
from time import perf_counter

WARM_UP = 20_000
EACH = 50_000
PATIENCE_S = 300
"""For so many frames; they take less than a second. What lasts longer does not come back."""
FLAT_KIB = 4096
"""Memory may be found larger by this after the warm-up: the allocator's arenas come and go."""


def frames(count: int, seed: int, *, silent: bool) -> int:
    """0 when no frame raised, none was slow, and memory stayed what it was after the first few."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from random_frames import FrameTrial  # noqa: PLC0415 - it is a test's, found only now

    trial = FrameTrial(seed)

    def give_up(_signal: int, _stack: object) -> None:
        raise SystemExit(f"campaign: frame {trial.frames} of seed {seed} does not come back")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE_S)
    started = perf_counter()
    trial.run(min(WARM_UP, count))
    before = largest = _resident_kib()
    while trial.frames < count and not trial.crashes:
        signal.alarm(PATIENCE_S)
        trial.run(min(EACH, count - trial.frames))
        largest = max(largest, _resident_kib())
        if not silent and trial.frames % (20 * EACH) == 0:
            print(f"frame {trial.frames}: {trial.ticks} ticks", file=sys.stderr, flush=True)
    signal.alarm(0)
    if trial.crashes:
        print(f"campaign: seed {seed}: {trial.first_crash}", file=sys.stderr, flush=True)
    counts = trial.decoder.counts
    document = {
        "frames": trial.frames,
        "crashes": trial.crashes,
        "hangs": trial.hangs,
        "slowest_us": trial.slowest_ns // 1000,
        "memory_growth_kib": largest - before,
        "frames_per_s": round(trial.frames / (perf_counter() - started)),
        "ticks": trial.ticks,
        "heartbeats": counts.heartbeats,
        "unknown_sizes": counts.unknown_sizes,
        "truncated": counts.truncated,
        "trailing": counts.trailing,
    }
    print(json.dumps(document))
    return 1 if trial.crashes or trial.hangs or largest - before > FLAT_KIB else 0


def _resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024
