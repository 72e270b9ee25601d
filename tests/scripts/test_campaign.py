"""The campaign of frames still runs, on a few of them. The long ones are started by hand."""

import json
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).resolve().parents[2] / "scripts" / "campaign"


def test_frames_of_one_seed_are_the_same_frames_and_none_raises():
    documents = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, CAMPAIGN, "frames", "--count", "3000", "--seed", "7", "--json"],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        documents.append(json.loads(done.stdout))
    first, second = documents
    for timed in ("slowest_us", "frames_per_s", "memory_growth_kib"):
        assert first.pop(timed) >= 0
        second.pop(timed)
    assert first == second
    assert (first["frames"], first["crashes"], first["hangs"]) == (3000, 0, 0)
    assert min(first["ticks"], first["truncated"], first["trailing"], first["unknown_sizes"]) > 0
