"""The benchmarks still run, on a few rows and without the peers. Their figures are not judged."""

import json
import re
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "scripts" / "bench"


def bench(*arguments):
    done = subprocess.run(
        [sys.executable, BENCH, *arguments], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_line_is_measured_three_ways():
    printed = bench("line", "--ticks", "4000", "--rows", "600")
    found = re.findall(r"(?m)^(direct calls|live line|turns with the journal).* (\d[\d,]*) +(\d+) ", printed)
    assert [name for name, _, _ in found] == ["direct calls", "live line", "turns with the journal"]
    assert all(int(orders) > 0 for _, _, orders in found), printed


def test_rows_in_memory_and_in_a_file_come_to_the_same_fills():
    printed = bench("peers", "--ticks", "12000", "--rounds", "1", "--alone")
    fills = re.findall(r"(?m)^alphapanda, ticks from (?:rows|CSV) .* (\d+) +\d+$", printed)
    assert len(fills) == 2
    assert fills[0] == fills[1]
    assert int(fills[0]) > 10


def test_a_verdict_is_measured_with_the_default_rules_and_with_all():
    printed = bench("risk", "--verdicts", "300")
    rows = re.findall(
        r"(?m)^(default rules|every rule on), ([a-z ]+) +(\d+) +[\d.]+ +[\d.]+ +[\d.]+$", printed
    )
    assert [name for name, _, _ in rows] == ["default rules"] * 2 + ["every rule on"] * 2
    assert rows[0][1].strip() == rows[2][1].strip() != rows[1][1].strip() == rows[3][1].strip()
    assert int(rows[0][2]) < int(rows[2][2])


def test_a_frame_is_measured_in_every_form_beside_the_official_client():
    forms = json.loads(bench("decode", "--frames", "20", "--packets", "3", "--json"))["forms"]
    assert {"ltp", "quote", "full", "index, quote", "index, full"} < forms.keys()
    for rates in forms.values():
        assert rates.keys() == {"kiteticker", "decoded", "all_read"}
        assert min(rates.values()) > 0


def test_the_exchange_is_measured_with_three_clients_and_nothing_is_lost():
    found = json.loads(bench("exchange", "--instruments", "60", "--seconds", "0.5", "--json"))
    assert found["packets_wanted_per_s"] == 240
    assert [each["packets_wanted_per_s"] for each in found["connections"]] == [80, 80, 80]
    assert found["packets_per_s"] > 0
    assert found["packets_missing"] == 0


def test_from_the_tick_to_the_order_both_sides_are_measured_in_one_run():
    words = ("--instruments", "90", "--ticks", "20", "--seconds", "1.5", "--settle", "0.5", "--json")
    found = json.loads(bench("wire", *words))
    for side in ("official", "ours"):
        row = found[side]
        assert row["orders"] > 0, row
        assert row["strays"] == 0
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["max_ms"]
        assert row["received"] >= row["sent"] > 90
    assert found["ours"]["folded"] == 0
    assert found["times"].keys() == {"p50_ms", "p99_ms"}
