"""Six mistakes that lose money, seeded into the daemon one by one, and which check of the judge caught which.

Each is tried in the situation that brings it out (tests/seeded_bugs.py); then the daemon as it is goes
through all of them and must be clean.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests"
NONE = "(none)"


def seeded_bugs(*, silent: bool) -> int:
    """0 when every mistake was caught by its invariant, and the daemon without one was clean."""
    sys.path.insert(0, str(TESTS))
    from exchange_server import exchange_server  # noqa: PLC0415 - of the tests, found only now
    from seeded_bugs import BUGS, FLOODED, SITUATIONS, TOKEN, flooded, left_alone, tried  # noqa: PLC0415 - too

    rows: list[dict[str, Any]] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="seeded-bugs-") as name:
        with exchange_server(Path(name), "--access-token", TOKEN) as server:
            for bug, invariant in BUGS.items():
                found = tried(_made(Path(name) / bug), server, bug)
                situation = FLOODED_BY if bug == FLOODED else _words(SITUATIONS[bug].happens.__name__)
                rows.append(_row(bug, situation, invariant, found.broken))
            found = left_alone(_made(Path(name) / "left-alone"), server)
            rows.append(_row(NONE, "all of these at an exchange", "", found.broken))
        found = flooded(_made(Path(name) / "flood"), None)
        rows.append(_row(NONE, FLOODED_BY, "", found.broken))
    if not silent:
        _print(rows)
    wrong = [row["bug"] for row in rows if row["missed"]]
    seconds = round(time.monotonic() - began)
    print(json.dumps({"bugs": len(BUGS), "wrong": wrong, "seconds": seconds, "table": rows}))
    return 1 if wrong else 0


FLOODED_BY = "forty strategies with 64 signals a row"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _words(name: str) -> str:
    return name.replace("_", " ")


def _row(bug: str, situation: str, invariant: str, broken: list[Any]) -> dict[str, Any]:
    """`caught_by` are all invariants that were broken, `first` the sentence of the one that had to be."""
    caught = list(dict.fromkeys(each.invariant for each in broken))
    sentences = [each.what for each in broken if each.invariant == invariant or not invariant]
    missed = invariant not in caught if invariant else bool(caught)
    return {
        "bug": bug,
        "situation": situation,
        "expected": invariant,
        "caught_by": caught,
        "first": sentences[0] if sentences else "",
        "missed": missed,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    print(f"{'bug':<23}{'situation':<40}{'must be':<9}caught by")
    for row in rows:
        caught = " ".join(row["caught_by"]) or ("-" if row["expected"] else "clean")
        print(f"{row['bug']:<23}{row['situation']:<40}{row['expected'] or '-':<9}{caught}")
        if row["first"]:
            print(f"{'':<23}{row['first']}")
