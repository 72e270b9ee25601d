"""The facts of a run, put in order once for all invariants."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import MsgspecError
from oracle.evidence import KILL_OFF, KILL_ON, Command, Evidence, Row

from alphapanda.events import (
    Approved,
    Booked,
    Fill,
    Halt,
    Order,
    OrderClosed,
    OrderOpened,
    OrderStatus,
    OrderUpdated,
    PositionEffect,
    Resume,
)
from alphapanda.store import journal
from alphapanda.store.store import OF_STORE

MOVING = (OrderStatus.PREPARED, OrderStatus.SENT, OrderStatus.UNKNOWN)
"""Nobody knows yet whether the broker has it."""


class Undecided(Exception):  # noqa: N818 - names the fact
    """The evidence proves neither the one nor the other; says what is missing."""


class Kept(NamedTuple):
    """A row of the journal. `at_ns` is the wall clock when the event was tapped."""

    seq: int
    at_ns: int
    event: Any
    hash: str


class Change(NamedTuple):
    """An order as a row of the journal has it; `fill` where it traded."""

    row: Kept
    order: Order
    fill: Fill | None


class Ledger:
    """One store: what its journal says, oldest first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Kept] = []
        self.unreadable: list[int] = []
        """Rows whose kind this version does not know, or whose body it cannot read."""
        self.prefix = ""
        """What the tags of its orders begin with."""
        with closing(read_only(path)) as connection:
            for seq, at_ns, kind, body, digest in connection.execute(
                "SELECT seq, at_ns, kind, body, hash FROM journal ORDER BY seq"
            ):
                try:
                    event = journal.event_of(kind, body)
                except (KeyError, MsgspecError, ValueError):
                    self.unreadable.append(seq)
                    continue
                self.rows.append(Kept(seq, at_ns, event, bytes(digest).hex()))
            found = connection.execute("SELECT value FROM meta WHERE key = 'tag_seed'").fetchone()
            self.prefix = found[0][:OF_STORE] if found else ""

    @cached_property
    def changes(self) -> dict[str, list[Change]]:
        """By order id."""
        found: dict[str, list[Change]] = defaultdict(list)
        for row in self.rows:
            match row.event:
                case OrderOpened(order) | OrderUpdated(order) | OrderClosed(order):
                    found[order.order_id].append(Change(row, order, None))
                case Booked(order, fill):
                    found[order.order_id].append(Change(row, order, fill))
        return dict(found)

    @cached_property
    def opened(self) -> dict[str, Change]:
        """The intent of each order of ours, by tag. What the broker made by itself has none."""
        firsts = (changes[0] for changes in self.changes.values())
        return {
            first.order.tag: first
            for first in firsts
            if isinstance(first.row.event, OrderOpened) and first.order.sequence
        }

    @cached_property
    def last(self) -> dict[str, Order]:
        """Each order as it stands at the end, by our id."""
        return {order_id: changes[-1].order for order_id, changes in self.changes.items()}

    def of(self, kind: type) -> list[Kept]:
        return [row for row in self.rows if isinstance(row.event, kind)]

    @cached_property
    def approved(self) -> dict[str, Kept]:
        """The verdict on each order that risk let through, by our id."""
        return {row.event.order.order_id: row for row in self.of(Approved)}

    @cached_property
    def switched(self) -> list[Kept]:
        """Halts and resumes."""
        return [row for row in self.rows if isinstance(row.event, Halt | Resume)]


class Facts:
    """`run` is the evidence; `ledgers` its stores, `theirs` the exchange's orders that bear a tag of ours."""

    def __init__(self, run: Evidence) -> None:
        self.run = run
        self.ledgers = [Ledger(Path(path)) for path in run.stores]
        self.by_tag: dict[str, tuple[Ledger, Change]] = {
            tag: (ledger, change) for ledger in self.ledgers for tag, change in ledger.opened.items()
        }

    def is_before(self, change: Change) -> bool:
        """Of before the run."""
        return change.row.seq <= self.run.since_seq

    # the exchange's history

    @cached_property
    def _by_kind(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for line in self.run.history:
            found[line["kind"]].append(line)
        return dict(found)

    def lines(self, kind: str) -> list[Row]:
        return self._by_kind.get(kind, [])

    @cached_property
    def refused(self) -> set[int]:
        """Numbers of requests that the exchange answered with an error."""
        return {line["number"] for line in self.lines("reply") if line.get("error_type")}

    @cached_property
    def books_asked_ns(self) -> list[int]:
        """When its order book was asked for, by the wall clock."""
        return [line["wall_ns"] for line in self.lines("request") if line["call"] == "orders"]

    @cached_property
    def book(self) -> dict[str, Row]:
        """The last line of every order, by the exchange's id."""
        return {line["order_id"]: line for line in self.lines("order")}

    @cached_property
    def theirs(self) -> dict[str, list[Row]]:
        """The last lines of orders by tag, of those that bear a prefix of ours."""
        found: dict[str, list[Row]] = defaultdict(list)
        prefixes = tuple(ledger.prefix for ledger in self.ledgers if ledger.prefix)
        for line in self.book.values():
            if prefixes and (line["tag"] or "").startswith(prefixes):
                found[line["tag"]].append(line)
        return dict(found)

    @cached_property
    def asked(self) -> dict[str, list[Row]]:
        """Placements that came to the exchange, by tag."""
        found: dict[str, list[Row]] = defaultdict(list)
        for line in self.lines("request"):
            if line["call"] == "order.place" and (tag := line["fields"].get("tag")):
                found[tag].append(line)
        return dict(found)

    def need_history(self) -> None:
        if not self.run.history:
            raise Undecided("no history of the exchange")

    # the wire

    @cached_property
    def placed(self) -> list[Row]:
        """Placements on the wire, in the order in which they came."""
        posts = [line for line in self.run.wire if line["kind"] == "request" and line["method"] == "POST"]
        return sorted(posts, key=lambda line: line["monotonic_ns"])

    def need_wire(self) -> None:
        if not self.run.wire:
            raise Undecided("no order request passed the witness of the wire")

    def intent(self, tag: str | None) -> Change | None:
        found = self.by_tag.get(tag or "")
        return found[1] if found else None

    # time

    def wall_ns(self, monotonic_ns: int) -> int:
        return monotonic_ns + self.run.offset_ns

    def need_the_clock(self) -> None:
        if self.run.clock_moved:
            raise Undecided("the wall clock was moved")

    # the kill switch

    @cached_property
    def kills(self) -> list[tuple[Command, int | None]]:
        """Each kill that was acknowledged, and when (CLOCK_MONOTONIC) the next `off` was asked for."""
        found: list[tuple[Command, int | None]] = []
        for command in self.run.commands:
            if command.name != KILL_ON or command.acked_ns is None:
                continue
            offs = [each.sent_ns for each in self.run.commands if each.name == KILL_OFF]
            later = [sent for sent in offs if sent > command.acked_ns]
            found.append((command, min(later, default=None)))
        return found


def let_through(order: Order) -> bool:
    """A kill switch spares the operator's own closes, and what the broker made by itself."""
    return not order.sequence or order.closed_by_hand


def adds(order: Order) -> bool:
    return order.position_effect is PositionEffect.OPEN


def named(order: Order) -> str:
    return f"order {order.order_id} ({order.tag})"


def read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)


def of_all(facts: Facts, each: Callable[[Facts, Ledger], Iterator[str]]) -> Iterator[str]:
    for ledger in facts.ledgers:
        yield from each(facts, ledger)
