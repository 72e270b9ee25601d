"""Which of the faults that are due at one moment strike together.

They are taken in the order of the script. One that could not show any more, because an earlier one keeps the
call away or decides what the caller hears, does not strike; nor does one that would undo an earlier one.
"""

from collections.abc import Iterable

from alphapanda.exchange.faults.armed import Armed
from alphapanda.exchange.faults.fault import Fault

HANDLED, LIFE, ANSWER, PRICES, REPLY = "handled", "life", "answer", "prices", "reply"
"""What becomes of a call: the exchange handles it, its order lives as orders do, its own answer is sent, with
the prices in it, or at least some reply is."""
INSIDE = frozenset({HANDLED, LIFE})
CALL = INSIDE | {ANSWER, PRICES, REPLY}
Parts = frozenset[str]
NONE: Parts = frozenset()

_OFTEN = {"delay_before", "delay_after", "manual_order"}
"""Of these several strike one call: waits add up, orders are several."""
_BESIDE = {*_OFTEN, "token_death", "square_off"}
_INSIDE = {"late", "fill_before_reply", "stuck", "reject", "partial_fills", "fill_on_cancel"}
_SHOWN = {"partial_book", "stale_book", "disagree", "dump"}
_UPDATES = ({"duplicate_update", "late_update"}, {"duplicate_update", "reorder_updates"})
"""Pairs that strike one update together."""


def if_taken(fault: Fault) -> bool:
    """It happens only where the call is taken, not refused."""
    return fault.do in _INSIDE | _SHOWN | {"nan"}


def at_call(due: Iterable[Armed]) -> tuple[list[Armed], Parts]:
    """Those that strike a call, and what is left of it: the parts of `CALL`."""
    struck: list[Armed] = []
    left, wanted = CALL, NONE
    for armed in due:
        needs, takes = _of(armed.fault)
        again = armed.fault.do not in _OFTEN and any(armed.fault.do == other.fault.do for other in struck)
        if again or not needs <= left or takes & wanted:
            continue
        struck.append(armed)
        left, wanted = left - takes, wanted | needs
    return struck, left


def at_update(due: Iterable[Armed], *, held: bool) -> list[Armed]:
    """Those that strike an order update; while another is held back, this one goes first already."""
    struck: list[Armed] = []
    for armed in due:
        kinds = {other.fault.do for other in struck} | {armed.fault.do}
        if armed.fault.do == "reorder_updates" and held:
            continue
        if not struck or (len(kinds) == len(struck) + 1 and kinds in _UPDATES):
            struck.append(armed)
    return struck


def _of(fault: Fault) -> tuple[Parts, Parts]:
    """What of a call a fault needs to show, and what it takes away."""
    if fault.do in _BESIDE:
        return NONE, NONE
    if fault.do in _INSIDE:
        return _late(fault) if fault.do == "late" else (INSIDE, frozenset({LIFE}))
    if fault.do in _SHOWN:
        return frozenset({HANDLED, ANSWER}), NONE
    match fault.do:
        case "nan":
            return frozenset({HANDLED, ANSWER, PRICES}), frozenset({PRICES})
        case "no_content_type":
            return frozenset({REPLY}), NONE
        case "drop_before" | "reset_before":
            return frozenset({REPLY}), CALL
        case "drop_after" | "reset_after":
            return frozenset({REPLY}), CALL - INSIDE
        case _:
            return frozenset({ANSWER}), frozenset({ANSWER} if fault.accepted else {ANSWER, *INSIDE})


def _late(fault: Fault) -> tuple[Parts, Parts]:
    """By what the caller hears of the order."""
    needs = {"given": {HANDLED}, "lost": {HANDLED, REPLY}, "ambiguous": {HANDLED, ANSWER}}[fault.reply]
    takes = {"given": NONE, "lost": CALL - INSIDE, "ambiguous": {ANSWER}}[fault.reply]
    return frozenset(needs), frozenset(takes)
