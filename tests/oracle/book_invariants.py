"""Of what is written down: each trade once, nothing acknowledged is forgotten, the journal says it all."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from oracle.evidence import KILL_OFF, KILL_ON, Row
from oracle.facts import Facts, Ledger, Undecided, of_all, read_only

from alphapanda.errors import CannotStart
from alphapanda.events import Fill, Halt
from alphapanda.store import journal, schema
from alphapanda.store.recovery import fold

Trade = tuple[str, str, str, Decimal]
"""The broker's ids of order and trade, the side, the price."""
PAISA = Decimal("0.01")
SHOWN = 5
"""Of many alike so many are told."""


def i4(facts: Facts) -> Iterator[str]:
    """Position = opening + sum of fills; each `trade_id` applied exactly once; no lost fill."""
    fills = 0
    for ledger in facts.ledgers:
        booked = [each.fill for changes in ledger.changes.values() for each in changes if each.fill]
        fills += len(booked)
        for (broker, trade), times in Counter((each.broker, each.trade_id) for each in booked).items():
            if times > 1:
                yield f"trade {trade} at {broker} is booked {times} times"
        yield from _summed(ledger, booked)
    if facts.run.history:
        yield from _traded(facts)
    if facts.run.positions is not None:
        yield from _positions(facts, facts.run.positions)
    if not fills and not facts.lines("trade"):
        raise Undecided("nothing traded")


def _summed(ledger: Ledger, booked: list[Fill]) -> Iterator[str]:
    """Positions and orders of the tables beside the fills; what went flat on an earlier day may be gone."""
    held = Counter[tuple[str, str, str]]()
    filled = Counter[str]()
    for fill in booked:
        held[fill.broker, fill.strategy_id, fill.instrument.tradingsymbol] += fill.signed_quantity
        filled[fill.order_id] += fill.quantity
    with closing(read_only(ledger.path)) as connection:
        rows = connection.execute("SELECT broker, strategy_id, tradingsymbol, quantity FROM positions")
        positions = Counter[tuple[str, str, str]]()
        for broker, strategy, symbol, quantity in rows:
            positions[broker, strategy, symbol] += quantity
    for key in held.keys() | positions.keys():
        if held[key] != positions[key]:
            yield f"the position of {' '.join(key)} is {positions[key]}, its fills sum to {held[key]}"
    for order_id, order in ledger.last.items():
        if filled[order_id] != order.filled_quantity:
            yield f"order {order_id} has {order.filled_quantity} filled, its trades sum to {filled[order_id]}"


def _traded(facts: Facts) -> Iterator[str]:
    """Our trades are those of the exchange, in units; not all of them yet where the day is not over. Of a
    trade that the broker made by itself a part may be of what is not ours.
    """
    here, there = Counter[Trade](), Counter[Trade]()
    ids, adopted = set[str](), set[str]()
    for ledger in facts.ledgers:
        for changes in ledger.changes.values():
            order = changes[-1].order
            if facts.is_before(changes[0]) or order.broker_order_id is None:
                continue
            if order.broker == facts.run.broker:
                (ids if order.sequence else adopted).add(order.broker_order_id)
                for fill in (each.fill for each in changes if each.fill):
                    here[_fill(fill, order.broker_order_id)] += fill.quantity
    ids |= {row["order_id"] for rows in facts.theirs.values() for row in rows}
    for line in facts.lines("trade"):
        if line["order_id"] in ids | adopted:
            there[_trade(line)] += line["quantity"]
    wrong = 0
    for trade in here.keys() | there.keys():
        lacks = here[trade] < there[trade] and facts.run.settled and trade[0] not in adopted
        if wrong < SHOWN and (lacks or here[trade] > there[trade]):
            wrong += 1
            yield f"of trade {trade} our journal has {here[trade]}, the exchange {there[trade]}"


def _fill(fill: Fill, broker_order_id: str) -> Trade:
    """Beside the broker's, the trade id has the order's where that is needed to be one of a kind."""
    trade_id = fill.trade_id.partition("/")[0].removesuffix(f"-{broker_order_id}")
    return broker_order_id, trade_id, str(fill.transaction_type), Decimal(fill.price).quantize(PAISA)


def _trade(line: Row) -> Trade:
    price = Decimal(str(line["average_price"])).quantize(PAISA)
    return line["order_id"], line["trade_id"], line["transaction_type"], price


def _positions(facts: Facts, net: Any) -> Iterator[str]:
    ours = Counter[tuple[str, str]]()
    for ledger in facts.ledgers:
        with closing(read_only(ledger.path)) as connection:
            for table in ("positions", "external_positions"):
                rows = connection.execute(
                    f"SELECT tradingsymbol, product, quantity FROM {table} WHERE broker = ?",
                    (facts.run.broker,),
                )
                for symbol, product, quantity in rows:
                    ours[symbol, product] += quantity
    theirs = Counter[tuple[str, str]]()
    for row in net:
        theirs[row["tradingsymbol"], row["product"]] += row["quantity"]
    for key in ours.keys() | theirs.keys():
        if ours[key] != theirs[key]:
            what = " ".join(key)
            yield f"{what}: the exchange has {theirs[key]}, our book and what is not ours {ours[key]}"


def i13(facts: Facts) -> Iterator[str]:
    """Acknowledged state survives kill -9 and power loss."""
    rows = {row.hash for ledger in facts.ledgers for row in ledger.rows}
    seen = 0
    for line in facts.run.wire:
        if line["kind"] != "request" or line["hash"] is None:
            continue
        seen += 1
        if line["hash"] not in rows and not any(ledger.unreadable for ledger in facts.ledgers):
            yield f"wire {line['n']}: row {line['seq']} of the journal was there, and is not there now"
        if line["committed"] and line["tag"] not in facts.by_tag:
            yield f"wire {line['n']}: the intent of {line['tag']} was committed, and is not there now"
    if not facts.run.clock_moved:
        for command in facts.run.commands:
            if command.name in (KILL_ON, KILL_OFF) and command.acked_ns is not None:
                seen += 1
                yield from _switched(facts, command.name, command.acked_ns)
    if not seen:
        raise Undecided("nothing was acknowledged")


def _switched(facts: Facts, name: str, acked_ns: int) -> Iterator[str]:
    """The newest word on the kill switch at the time of the answer must be that of the command."""
    at_ns = facts.wall_ns(acked_ns)
    words = [row for ledger in facts.ledgers for row in ledger.switched if row.at_ns <= at_ns]
    last = max(words, key=lambda row: row.at_ns, default=None)
    on = last is not None and isinstance(last.event, Halt)
    if on is not (name == KILL_ON):
        yield f"`{name}` was acknowledged, and the journal has nothing of it"


def i14(facts: Facts) -> Iterator[str]:
    """Replay of the journal gives the same state hash."""
    yield from of_all(facts, _replayed)
    if not any(ledger.rows for ledger in facts.ledgers):
        raise Undecided("the journal is empty")


def _replayed(_facts: Facts, ledger: Ledger) -> Iterator[str]:
    """The chain holds, two folds agree, and the tables written anew are the tables that are there."""
    with closing(read_only(ledger.path)) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            yield f"integrity_check of {ledger.path.name} says {found}"
            return
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as again:
            connection.backup(again)
            before = _tables(again)
            try:
                events = [event for _, event in journal.read(again)]
                journal.rebuild(again, schema.PROJECTIONS)
            except CannotStart as error:
                yield str(error)
                return
            after = _tables(again)
    for name, rows in before.items():
        if rows != after[name]:
            yield f"the table {name} is not what the journal says"
    first, second = (fold(events) for _ in range(2))
    if repr(first.saved.orders) != repr(second.saved.orders) or first.taken != second.taken:
        yield "two folds of the same journal differ"


def _tables(connection: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in schema.PROJECTIONS
    }


def i18(facts: Facts) -> Iterator[str]:
    """Wall-clock changes never fire, skip or reorder anything: as the same replay, left alone."""
    if facts.run.undisturbed is None:
        raise Undecided("no store of the same run, left alone")
    expected = _trades(facts.run.undisturbed)
    found: list[tuple[Any, ...]] = []
    for ledger in facts.ledgers:
        found += _trades(ledger.path)
    missing, surplus = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
    for name, rows in (("lacks", missing), ("has beside them", surplus)):
        for row in list(rows.elements())[:SHOWN]:
            yield f"of the trades of a run left alone this one {name} {row}"
    if not missing and not surplus and found != expected:
        yield "the trades of a run left alone came in another order"


def _trades(path: Path) -> list[tuple[Any, ...]]:
    """All fields but the number of the order: one that never reached its broker is made anew."""
    with closing(read_only(path)) as connection:
        cursor = connection.execute("SELECT * FROM trades ORDER BY rowid")
        names = [each[0] for each in cursor.description]
        kept: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for row in cursor:
            kept[0].append(tuple(value for name, value in zip(names, row, strict=True) if name != "order_id"))
        return kept[0]
