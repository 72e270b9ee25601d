"""Is an answer shaped as Kite's own are: its keys and JSON types against the payloads that Zerodha publishes.

The payloads lie beside the repository; where they are absent, what needs them is skipped.
"""

import json
import re
from pathlib import Path

import pytest

PAYLOADS = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "kite-mocks"
TIMES = {
    "moment": re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"),
    "candle's moment": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0530"),
    "day": re.compile(r"\d{4}-\d\d-\d\d"),
    "time": re.compile(r"\d\d:\d\d:\d\d"),
}


def published(name):
    """The `data` of one of Kite's payloads, such as "orders"; the whole of one that has no envelope."""
    path = PAYLOADS / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is absent: Kite's published payloads are not part of this repository")
    payload = json.loads(path.read_text(encoding="utf-8"))
    return payload.get("data", payload)


def kind(value):
    """JSON's type, where a number is a number; of text also whether it is one of Kite's times."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return next((name for name, form in TIMES.items() if form.fullmatch(value)), "text")
    return "list" if isinstance(value, list) else "object"


def unlike(answer, examples, *, more=(), less=(), null=(), at="data"):
    """Where `answer` differs from all of `examples`, one line each.

    A key that every example has may not be absent, and a key that none has may not be there, but for the
    names in `less` and `more`; those in `null` may be null though no example of them is. An empty object
    among examples says nothing of its keys.
    """
    allowed = {"more": more, "less": less, "null": null}
    known = {kind(example) for example in examples}
    found = kind(answer)
    if found == "null" and at.rpartition(".")[2] in null:
        return []
    if known == {"null"}:  # what it is when it is not null, the examples do not say
        return [] if found in ("null", "text", "moment", "object") else [f"{at} is a {found}"]
    if found not in known:
        return [f"{at} is a {found} ({answer!r}), not a {' or a '.join(sorted(known))}"]
    if found == "object":
        return _unlike_object(answer, [each for each in examples if kind(each) == found], allowed, at)
    if found == "list":
        rows = [row for each in examples if kind(each) == found for row in each]
        return [
            line
            for number, row in enumerate(answer)
            if rows
            for line in unlike(row, rows, **allowed, at=f"{at}[{number}]")
        ]
    return []


def _unlike_object(answer, examples, allowed, at):
    told = [example for example in examples if example]
    if not told:
        return []
    every = set.intersection(*map(set, told)) if len(told) == len(examples) else set()
    some = set.union(*map(set, told))
    lines = [f"{at}.{key} is absent" for key in sorted(every - set(answer) - set(allowed["less"]))]
    lines += [f"{at}.{key} is not Kite's" for key in sorted(set(answer) - some - set(allowed["more"]))]
    for key in sorted(some & set(answer)):
        of_key = [example[key] for example in told if key in example]
        lines += unlike(answer[key], of_key, **allowed, at=f"{at}.{key}")
    return lines
