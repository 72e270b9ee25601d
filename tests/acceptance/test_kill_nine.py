"""kill -9 at random moments of a replay: nothing is lost, doubled or left by half."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import running

REPO = Path(__file__).resolve().parents[2]
DATA = REPO.parent / "shared" / "data" / "candles" / "stock_1min_2016"
CAMPAIGN = REPO / "scripts" / "campaign"
WITHIN_S = 280


def campaign(tmp_path: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """It ends its own daemons; its folders are under `tmp_path`."""
    return subprocess.run(
        [sys.executable, CAMPAIGN, "kill9-replay", *map(str, words)],
        cwd=tmp_path,
        env=running.environment({"TMPDIR": str(tmp_path)}),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data is not here: {DATA}")
def test_a_replay_that_is_killed_twenty_times_ends_with_the_trades_of_one_that_is_not(tmp_path):
    paths = sorted(path for path in DATA.glob("*.csv.gz") if not path.name.startswith("INDIAVIX"))
    ended = campaign(tmp_path, "--cycles", 20, "--seed", 9, "--within", 0.2, "--data", *paths)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {"cycles": 20, "lost": 0, "duplicate": 0, "broken": 0}
    after = [int(trades) for trades in re.findall(r"^kill \d+: (\d+) trades$", ended.stderr, re.MULTILINE)]
    at_end = re.findall(r"^(?:left alone|end of replay \d+): (\d+) trades$", ended.stderr, re.MULTILINE)
    assert len(after) == 20
    assert len(set(after)) > 5, "the kills must find the replay at different places"
    assert set(at_end) == {at_end[0]}
    assert int(at_end[0]) > 500


def test_the_campaign_makes_its_own_prices_and_says_one_line(tmp_path):
    """As in a checkout without the real data; the same seed makes the same prices."""
    ended = campaign(tmp_path, "--cycles", 2, "--seed", 4, "--rows", 20_000, "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == {"cycles": 2, "lost": 0, "duplicate": 0, "broken": 0}
    assert not list(tmp_path.glob("campaign-*"))
