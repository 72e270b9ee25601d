"""Of orders: the intent first, one order an intent, none lost, none given up too early, a verdict each."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from oracle.evidence import Row
from oracle.facts import MOVING, Change, Facts, Ledger, Undecided, adds, named, of_all

from alphapanda.core.money import Money
from alphapanda.events import Order
from alphapanda.events import OrderStatus as S
from alphapanda.times import SECOND_NS, day_of

ENDS = {"COMPLETE": S.FILLED, "CANCELLED": S.CANCELLED, "REJECTED": S.REJECTED}
NEVER_THERE = (S.NOT_FOUND, S.WITHHELD, S.REJECTED)
"""How an order ends that the exchange does not have."""
KITES_LIMIT = 10
"""Order requests in a second; more are refused."""


def i1(facts: Facts) -> Iterator[str]:
    """No order request on the wire without an earlier committed intent with the same tag."""
    for tag, requests in facts.asked.items():
        if tag.startswith(tuple(each.prefix or "-" for each in facts.ledgers)) and tag not in facts.by_tag:
            yield f"request {requests[0]['number']} placed {tag}, and no journal has such an intent"
    facts.need_wire()
    unread = 0
    for line in facts.placed:
        if line["committed"] is None:
            unread += 1
            continue
        intent = facts.intent(line["tag"])
        if not line["committed"]:
            yield f"wire {line['n']}: {line['tag']} was sent before its intent was committed"
        elif intent is None:
            yield f"wire {line['n']}: the intent of {line['tag']} was there, and is not in the journal now"
        elif intent.row.seq > line["seq"]:
            yield f"wire {line['n']}: {line['tag']} left at row {line['seq']}, its intent is {intent.row.seq}"
    if unread or not facts.placed:
        raise Undecided(f"{unread} of {len(facts.placed)} placements met a store that could not be read")


def i2(facts: Facts) -> Iterator[str]:
    """At most one broker order per intent."""
    for tag, rows in facts.theirs.items():
        if len(rows) > 1:
            yield f"{tag} is on {len(rows)} orders of the exchange: {[row['order_id'] for row in rows]}"
    for tag, times in Counter(line["tag"] for line in facts.placed).items():
        if times > 1:
            yield f"{tag} was placed {times} times on the wire"
    if not facts.run.wire:
        facts.need_history()
        for tag, requests in facts.asked.items():
            if len(requests) > 1 and tag in facts.by_tag:
                yield f"{tag} was placed {len(requests)} times at the exchange"


def i3(facts: Facts) -> Iterator[str]:
    """No lost order: every broker order with our prefix maps to an intent; every intent ends resolved or is
    listed UNKNOWN.
    """
    facts.need_history()
    for tag, rows in facts.theirs.items():
        found = facts.by_tag.get(tag)
        known = found and found[0].last[found[1].order.order_id].broker_order_id
        for row in rows:
            if len(rows) == 1 or row["order_id"] == known or found is None:  # else it is one too many: I2
                yield from _mapped(facts, tag, row)
    for ledger in facts.ledgers:
        for first in ledger.opened.values():
            order = ledger.last[first.order.order_id]
            if order.broker != facts.run.broker or order.tag in facts.theirs or facts.is_before(first):
                continue
            late = not (facts.run.settled or order.filled_quantity)  # acknowledged, and not registered yet
            if order.status not in (*NEVER_THERE, *MOVING) and not late:
                yield f"{named(order)} is {order.status}, and the exchange has none with its tag"
            elif facts.run.settled and order.status in (S.PREPARED, S.SENT):
                yield f"{named(order)} is {order.status} at the end: neither resolved nor listed UNKNOWN"
    if not facts.theirs:
        raise Undecided("the exchange has no order of ours")


def _mapped(facts: Facts, tag: str, row: Row) -> Iterator[str]:
    what = f"the exchange's order {row['order_id']} ({tag}, {row['status']})"
    found = facts.by_tag.get(tag)
    if found is None:
        yield f"{what} is in no journal"
        return
    ledger, first = found
    order = ledger.last[first.order.order_id]
    if order.broker_order_id not in (None, row["order_id"]):
        yield f"{what} is {order.broker_order_id} in the journal"
    elif facts.run.settled and not _agrees(order, row):
        filled = f"{row['filled_quantity']} filled there, {order.filled_quantity} here"
        yield f"{what}: {named(order)} is {order.status}, {filled}"


def _agrees(order: Order, row: Row) -> bool:
    """UNKNOWN is honest, whatever became of it; but of what traded nothing may be missing."""
    if order.status is S.UNKNOWN:
        return row["filled_quantity"] == 0
    end = ENDS.get(row["status"])
    stands = order.status is end if end else order.status in (S.OPEN, S.PARTIAL)
    return stands and order.filled_quantity == row["filled_quantity"] and order.broker_order_id is not None


def i5(facts: Facts) -> Iterator[str]:
    """UNKNOWN is left only by broker evidence, proven absence after the quiet period, or operator."""
    left = [
        (before, after)
        for ledger in facts.ledgers
        for changes in ledger.changes.values()
        for before, after in pairwise(changes)
        if after.order.broker == facts.run.broker
        and not facts.is_before(before)
        and after.order.status is not before.order.status
        and (before.order.status is S.UNKNOWN or after.order.status is S.NOT_FOUND)
    ]
    if not left:
        raise Undecided("no order was in doubt")
    facts.need_history()
    undecided = ""
    for _, after in left:
        if after.order.status is not S.NOT_FOUND:
            yield from _without_evidence(facts, after)
        elif facts.run.quiet_period_s is None:
            undecided = "the quiet period is not told"
        elif facts.run.clock_moved:
            undecided = "the wall clock was moved"
        else:
            yield from _too_early(facts, after, facts.run.quiet_period_s)
    if undecided:
        raise Undecided(undecided)


def _without_evidence(facts: Facts, after: Change) -> Iterator[str]:
    order = after.order
    if order.tag in facts.theirs or order.broker_order_id in facts.book:
        return
    if order.status is S.CANCELLED and day_of(order.updated_ns) > day_of(order.created_ns):
        return  # no order lives overnight
    if order.status is S.REJECTED and any(
        each["number"] in facts.refused for each in facts.asked.get(order.tag, ())
    ):
        return
    yield f"{named(order)} left UNKNOWN for {order.status}, and the exchange knows nothing of it"


def _too_early(facts: Facts, after: Change, quiet_s: float) -> Iterator[str]:
    """A book asked for after the quiet period must lie between the last sign of the order and its end.

    The last sign that can be dated from outside is the request itself, or else the intent: the doubt began
    later than both, so that this never accuses a daemon that waited.
    """
    order = after.order
    intent = facts.by_tag[order.tag][1].row.at_ns
    signs = [intent, *(line["wall_ns"] for line in facts.asked.get(order.tag, ()))]
    since_ns = max(sign for sign in signs if sign <= after.row.at_ns)
    from_ns, until_ns = since_ns + int(quiet_s * SECOND_NS), after.row.at_ns
    if not any(from_ns <= asked_ns <= until_ns for asked_ns in facts.books_asked_ns):
        waited_s = (until_ns - since_ns) / SECOND_NS
        yield (
            f"{named(order)} became NOT_FOUND {waited_s:.2f} s after it left: no book was asked for "
            f"after its quiet period of {quiet_s:g} s"
        )


def i8(facts: Facts) -> Iterator[str]:
    """Every wire order has a risk verdict; limits hold counting open + UNKNOWN."""
    seen = 0
    for ledger in facts.ledgers:
        for first in ledger.opened.values():
            seen += 1
            verdict = ledger.approved.get(first.order.order_id)
            if verdict is None or verdict.seq > first.row.seq:
                yield f"{named(first.order)} was opened without an earlier verdict of risk"
    yield from of_all(facts, _over_the_limits)
    yield from _too_fast(facts)
    if not seen:
        raise Undecided("no order was made")
    if not facts.run.limits:
        raise Undecided("no limits are told")


def _over_the_limits(facts: Facts, ledger: Ledger) -> Iterator[str]:
    """Positions of a strategy in an instrument, at their worst with all that may still trade."""
    limits = facts.run.limits
    held: dict[tuple[str, str, int], int] = defaultdict(int)
    living: dict[str, Order] = {}
    for change in sorted((c for changes in ledger.changes.values() for c in changes), key=_place):
        order, fill = change.order, change.fill
        key = order.broker, order.strategy_id, order.instrument.instrument_token
        opened = order.order_id not in living and change is ledger.changes[order.order_id][0]
        if fill is not None:
            held[key] += fill.signed_quantity
        living[order.order_id] = order
        if order.status.ended:
            del living[order.order_id]
        if not (opened and order.sequence and adds(order)):
            continue
        most = limits.get("max_order_quantity", 0)
        if most and order.quantity > most:
            yield f"{named(order)} is of {order.quantity}, the limit is {most:g}"
        value = limits.get("max_order_value", 0)
        if value and order.pending_value > Money(str(value)):
            yield f"{named(order)} is worth {order.pending_value}, the limit is {value:g}"
        worst = held[key] + sum(
            each.signed_pending
            for each in living.values()
            if (each.broker, each.strategy_id, each.instrument.instrument_token) == key
            and each.transaction_type is order.transaction_type
        )
        most = limits.get("max_position_quantity", 0)
        if most and abs(worst) > most:
            yield f"{named(order)} may bring {order.instrument.key} to {worst}, the limit is {most:g}"


def _place(change: Change) -> int:
    return change.row.seq


def _too_fast(facts: Facts) -> Iterator[str]:
    most = int(facts.run.limits.get("max_orders_per_second", 0)) or KITES_LIMIT
    times = [line["monotonic_ns"] for line in facts.placed]
    for number in range(most, len(times)):
        if times[number] - times[number - most] < SECOND_NS:
            yield f"wire {facts.placed[number]['n']} is placement {most + 1} within a second"


NEXT: dict[S, tuple[S, ...]] = {
    S.PREPARED: (*(S.SENT, S.OPEN, S.PARTIAL, S.FILLED, S.UNKNOWN, S.CANCELLED), *NEVER_THERE),
    S.SENT: (*(S.OPEN, S.PARTIAL, S.FILLED, S.UNKNOWN, S.CANCELLED), *NEVER_THERE),
    S.UNKNOWN: (S.OPEN, S.PARTIAL, S.FILLED, S.CANCELLED, S.REJECTED, S.NOT_FOUND),
    S.OPEN: (S.PARTIAL, S.FILLED, S.CANCELLED, S.REJECTED),
    S.PARTIAL: (S.FILLED, S.CANCELLED),
    S.FILLED: (),
    S.CANCELLED: (S.FILLED,),  # a cancel and the last fill may cross
    S.REJECTED: (S.OPEN,),  # these three never traded as far as was known, and were found after all
    S.NOT_FOUND: (S.OPEN, S.PARTIAL, S.FILLED, S.REJECTED, S.CANCELLED),
    S.WITHHELD: (S.OPEN,),
}
"""Which states may follow which: the design's chapter 3 by hand, not the daemon's own table."""


def i12(facts: Facts) -> Iterator[str]:
    """Order state machine monotone; terminal never regresses; late or duplicate updates change nothing."""
    changes = [each for ledger in facts.ledgers for each in ledger.changes.values()]
    if not changes:
        raise Undecided("no order was made")
    for of_one in changes:
        for before, after in pairwise(of_one):
            yield from _backwards(before.order, after.order, after.row.seq)


def _backwards(before: Order, after: Order, seq: int) -> Iterator[str]:
    what = f"row {seq}: {named(after)}"
    if after.status is not before.status and after.status not in NEXT[before.status]:
        yield f"{what} was {before.status} and became {after.status}"
    if after.filled_quantity < before.filled_quantity or after.filled_quantity > after.quantity:
        yield f"{what} had {before.filled_quantity} filled, now {after.filled_quantity} of {after.quantity}"
    if before.broker_order_id not in (None, after.broker_order_id):
        yield f"{what} was {before.broker_order_id} at the broker, and is {after.broker_order_id}"
    if (before.tag, before.quantity, before.transaction_type, before.instrument.instrument_token) != (
        *(after.tag, after.quantity, after.transaction_type, after.instrument.instrument_token),
    ):
        yield f"{what} is not the order that it was"
