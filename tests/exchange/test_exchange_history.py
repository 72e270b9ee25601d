"""The record of everything seen and done."""

import json
import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import alphapanda.exchange
from alphapanda.exchange.history import KINDS, History
from alphapanda.times import SECOND_NS

START = 1_776_224_700 * SECOND_NS
"""2026-04-15 09:15:00 IST."""


def decoded(history, *words):
    return [json.loads(line) for line in history.lines(*words)]


def test_a_line_is_numbered_and_says_what_and_when():
    history = History(lambda: 42)
    assert history.add("order", START, order_id="1", price=None) == 1
    assert history.add("trade", START + SECOND_NS // 2) == 2
    first, second = decoded(history)
    assert list(first) == ["seq", "kind", "at", "order_id", "price", "wall_ns"]
    assert (first["seq"], first["kind"], first["at"]) == (1, "order", "2026-04-15T09:15:00+05:30")
    assert (second["seq"], second["at"]) == (2, "2026-04-15T09:15:00.500000+05:30")
    assert first["wall_ns"] == 42


def test_each_line_is_written_as_it_is_made():
    written = []
    history = History(lambda: 0, written.append)
    history.add("a", START)
    assert len(written) == 1
    history.add("b", START, text="two\nlines")
    assert written == list(history.lines())
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in written)


@given(
    st.lists(st.sampled_from("abc"), max_size=30), st.integers(-5, 40), st.frozensets(st.sampled_from("abcd"))
)
@settings(max_examples=100, deadline=None)
def test_who_asks_for_the_rest_gets_what_was_not_seen_yet(kinds, after, wanted):
    history = History(lambda: 0)
    for kind in kinds:
        history.add(kind, START)
    expected = [
        number for number, kind in enumerate(kinds, 1) if number > after and (not wanted or kind in wanted)
    ]
    assert [line["seq"] for line in decoded(history, after, wanted)] == expected
    assert len(history) == len(kinds)


def test_all_kinds_of_lines_are_known():
    sources = Path(alphapanda.exchange.__file__).parent.rglob("*.py")
    written = set()
    for source in sources:
        calls = r"(?:history\.add|lives\.noted)\(\s*\"([a-z_]+)\""
        written |= set(re.findall(calls, source.read_text(encoding="utf-8")))
    assert written == KINDS
