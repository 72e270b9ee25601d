"""Of the kill switch and its doors."""

from collections.abc import Iterator
from typing import Any

from oracle.evidence import KILL_OFF, KILL_ON, Row
from oracle.facts import Facts, Undecided, let_through, named

from alphapanda.events import Halt, LimitChanged, OrderOpened, Resume, StrategyPaused, StrategyResumed
from alphapanda.times import SECOND_NS

SWEEP_S, CANCELS_A_SECOND = 5.0, 10
"""The deadline of a sweep: n / 10 s + 5 s (fault row M51)."""
ENDED_THERE = frozenset({"COMPLETE", "CANCELLED", "REJECTED"})
"""Kite's last statuses."""
AUDITED: dict[str, type] = {
    KILL_ON: Halt,
    KILL_OFF: Resume,
    "strategies pause": StrategyPaused,
    "strategies resume": StrategyResumed,
    "risk set": LimitChanged,
    "risk reset": LimitChanged,
}
"""Commands of which the journal keeps who gave them."""


def i6(facts: Facts) -> Iterator[str]:
    """After a kill acknowledgement no new risk-increasing request is written; holds across restart; cancels
    still work.
    """
    halted = False
    for ledger in facts.ledgers:
        on = False
        for row in ledger.rows:
            if isinstance(row.event, Halt | Resume):
                on = isinstance(row.event, Halt)
                halted = halted or on
            elif on and isinstance(row.event, OrderOpened) and not let_through(row.event.order):
                yield f"row {row.seq}: {named(row.event.order)} was opened while the kill switch was on"
    for kill, until_ns in facts.kills:
        for line in facts.run.wire:
            after = line["kind"] == "request" and line["monotonic_ns"] > kill.acked_ns
            before = until_ns is None or line["monotonic_ns"] < until_ns
            if after and before and _adds_risk(facts, line):
                late_ms = (line["monotonic_ns"] - kill.acked_ns) / 1e6
                yield f"wire {line['n']}: {line['method']} {line['tag']} {late_ms:.1f} ms after a kill"
    if not facts.kills and not halted:
        raise Undecided("nobody used the kill switch")
    facts.need_wire()
    if not facts.kills:
        raise Undecided("no kill was acknowledged in the commands")


def _adds_risk(facts: Facts, line: Row) -> bool:
    """Changes of an order are no cancels; what we know nothing of is not the operator's."""
    if line["method"] == "DELETE":
        return False
    intent = facts.intent(line["tag"])
    return intent is None or not let_through(intent.order)


def i7(facts: Facts) -> Iterator[str]:
    """After kill, own open orders reach 0 or are named as leftovers within the deadline."""
    if not facts.kills:
        raise Undecided("no kill was acknowledged")
    facts.need_history()
    facts.need_the_clock()
    end_ns = facts.run.history[-1]["wall_ns"]
    undecided = ""
    for kill, until_ns in facts.kills:
        resting = _open_at(facts, facts.wall_ns(kill.sent_ns))
        deadline_s = len(resting) / CANCELS_A_SECOND + SWEEP_S
        due_ns = facts.wall_ns(kill.sent_ns) + int(deadline_s * SECOND_NS)
        left = _open_at(facts, due_ns)
        leftovers = _leftovers(facts, kill.document)
        if (due_ns > end_ns and left) or (until_ns is not None and facts.wall_ns(until_ns) < due_ns):
            undecided = f"nothing is known of the moment {deadline_s:.1f} s after the kill"
            continue
        for order_id, row in left.items():
            if not leftovers & {order_id, _ours(facts, row["tag"])}:
                yield (
                    f"{order_id} ({row['tag']}) is {row['status']} {deadline_s:.1f} s after the kill, "
                    "and not among the leftovers"
                )
    if undecided:
        raise Undecided(undecided)


def _open_at(facts: Facts, wall_ns: int) -> dict[str, Row]:
    """Own orders that might still trade then, the operator's closes left out."""
    newest = {line["order_id"]: line for line in facts.lines("order") if line["wall_ns"] <= wall_ns}
    return {
        order_id: row
        for order_id, row in newest.items()
        if row["status"] not in ENDED_THERE
        and (intent := facts.intent(row["tag"])) is not None
        and not let_through(intent.order)
    }


def _ours(facts: Facts, tag: str) -> str:
    intent = facts.intent(tag)
    return intent.order.order_id if intent else ""


def _leftovers(facts: Facts, document: Any) -> set[str]:
    """Every word of what the command and each `status` named: their `leftovers` stand in `kill_switch`."""
    answers = [document, *(sample.status for sample in facts.run.samples)]
    said = [each.get("kill_switch", each) for each in answers if isinstance(each, dict)]
    return {word for each in said for word in _words(each.get("leftovers"))}


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _words(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _words(each)
    elif value is not None:
        yield str(value)


def i17(facts: Facts) -> Iterator[str]:
    """Control accepted only from allowed uid; each command audited."""
    if not facts.run.commands:
        raise Undecided("no command was given")
    events = [row.event for ledger in facts.ledgers for row in ledger.rows]
    judged = 0
    for command in facts.run.commands:
        if not command.allowed:
            judged += 1
            if command.acked_ns is not None:
                yield f"`{command.name}` was taken from somebody who may not give it"
        kind = AUDITED.get(command.name)
        if kind is None or command.acked_ns is None or not command.allowed:
            continue
        judged += 1
        written = [event for event in events if isinstance(event, kind)]
        if not written and kind in (Halt, Resume):
            continue  # what was forgotten is a matter of I13
        if not any(event.by for event in written):
            yield f"`{command.name}` was acknowledged, and the journal does not say by whom"
    if not judged:
        raise Undecided("no command of those that are audited was acknowledged")
