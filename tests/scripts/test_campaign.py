"""The campaigns still run, on a few cases. The long ones are started by hand."""

import json
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).resolve().parents[2] / "scripts" / "campaign"


def campaign(*words):
    """The JSON line at its end; nothing may be wrong."""
    done = subprocess.run(
        [sys.executable, CAMPAIGN, *words, "--json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


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


def test_bad_certificates_and_a_mute_peer_are_shown_to_the_official_client_and_to_ours():
    found = campaign("weak-spots", "--seconds", "1")
    sent = {(row["client"], row["certificate"]): row["token_sent"] for row in found["certificates"]}
    for client in ("KiteConnect", "KiteTicker", "Wire", "Books", "KiteFeed"):
        assert sent[client, "good"], "a server nobody speaks to shows nothing"
    for case in ("expired", "self-signed", "wrong host"):
        assert sent["KiteTicker", case], "the official ticker has learned to look: say so in the README"
        assert not any(sent[client, case] for client in ("KiteConnect", "Wire", "Books", "KiteFeed"))
    noticed = {row["client"]: row["noticed_s"] for row in found["mute_peer"]}
    assert noticed["KiteTicker"] is None
    assert noticed["KiteFeed"] is not None


def test_the_ticker_is_lost_and_comes_back_as_it_was():
    found = campaign("reconnects", "--count", "2", "--seed", "3", "--instruments", "120")
    assert (found["disconnects"], found["never"], found["wrong_instrument"]) == (2, 0, 0)
    assert found["reconnects"] == 2
    assert found["ticks"] > 120
    assert found["different_marks"] > 60


def test_orders_without_a_clear_answer_are_neither_doubled_nor_lost():
    words = ("--orders", "10", "--seed", "5", "--part", "0.6", "--no-rate-limits")
    quick = ("--late", "0.5", "--quiet-period", "1", "--speed", "60")
    found = campaign("ambiguous", *words, *quick)
    assert found["orders"] >= 10
    assert found["ambiguous"] > 0
    wrong = ("doubled", "lost", "unknown", "invariants_broken", "trades_differ")
    assert {name: found[name] for name in wrong} == dict.fromkeys(wrong, 0)
