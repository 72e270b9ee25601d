"""The campaign of kills still runs, on a few lives. The long one is started by hand."""

import json
import subprocess
import sys
from pathlib import Path

from alphapanda.fail_points import FailPoint, Met

CAMPAIGN = Path(__file__).resolve().parents[2] / "scripts" / "campaign"


def test_nothing_is_lost_or_doubled_by_kills_at_random_and_at_fail_points(tmp_path):
    words = ("kill9", "--cycles", "3", "--seed", "1", "--intents", "60", "--keep", tmp_path, "--json")
    done = subprocess.run(
        [sys.executable, CAMPAIGN, *words], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)
    wrong = ("lost", "duplicate", "invariants_broken", "wrong")
    assert {name: found[name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert found["cycles"] == 3
    assert 0 < found["recovery_p50_s"] <= found["recovery_p99_s"] <= found["recovery_max_s"]
    assert sum(found["points_fired"].values()) == 2, "every second kill is at a point"
    assert found["intents"] > 60
    elsewhere = {point.value for point in FailPoint if point.met in (Met.TURNS, Met.TASK)}
    all_of_them = {point.value for point in FailPoint}
    assert found["points_fired"].keys() | set(found["points_missed"]) == all_of_them - elsewhere
