"""`reconcile show`: what the journal says of the newest comparison, for people and for scripts."""

import sqlite3
from contextlib import closing

import pytest
from builders import TEN_NS
from running import run, write_config

from alphapanda.events import (
    ChargesCompared,
    Compared,
    Difference,
    ExternalOrder,
    ExternalSeen,
    Money,
    OrderAccepted,
    OrderFound,
)
from alphapanda.store import comparisons, journal, schema
from alphapanda.times import DAY_NS, MINUTE_NS

INFY = {"broker": "zerodha", "exchange": "NSE", "tradingsymbol": "INFY"}
ITC = {"broker": "zerodha", "exchange": "", "tradingsymbol": "ITC", "product": "CNC", "time_ns": TEN_NS}
DIFFERS = Difference(exchange="NSE", tradingsymbol="INFY", product="MIS", ours=10, external=0, theirs=9)
CHARGED = {"ours": Money("12.35"), "theirs": Money("12.3471"), "time_ns": TEN_NS}
FOUND = [
    ExternalSeen(**ITC, change=40, quantity=40, why="opening"),
    ExternalSeen(**INFY, product="MIS", change=5, quantity=5, why="opening", time_ns=TEN_NS),
    Compared(broker="zerodha", occasion="start", time_ns=TEN_NS, count=2),
    ExternalSeen(
        **INFY, product="MIS", change=-5, quantity=0, why="trade", time_ns=TEN_NS, broker_order_id="7",
        trade_id="1",
    ),
    ChargesCompared(**INFY, broker_order_id="0", **CHARGED | {"time_ns": TEN_NS - DAY_NS}),
    ChargesCompared(**INFY, broker_order_id="1", **CHARGED),
    ChargesCompared(**INFY, broker_order_id="2", **CHARGED | {"ours": Money(30), "beside": Money("15.34")}),
    Compared(
        broker="zerodha", occasion="running", time_ns=TEN_NS + MINUTE_NS, count=2, left_out=1,
        differences=(DIFFERS,), frozen=("NSE:INFY",),
    ),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """With a configuration, and a store that has none of it yet."""
    write_config(tmp_path, storage={"path": "alphapanda.db"})
    return tmp_path


BY_HAND = {
    **INFY, "product": "MIS", "transaction_type": "SELL", "order_type": "LIMIT", "quantity": 3,
    "filled_quantity": 1, "status": "OPEN", "ended": False, "price": Money("1573.75"),
}  # fmt: skip
LATE = OrderFound(**INFY, order_id="O000004", broker_order_id="9", was="NOT_FOUND", time_ns=TEN_NS)


def write(folder, events):
    path = folder / "alphapanda.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        schema.prepare(connection, str(path))
        journal.Journal(connection).append([(TEN_NS, event) for event in events])
    return path


def test_the_newest_comparison_is_told_with_what_is_not_ours(folder):
    found = comparisons.newest(write(folder, FOUND))["zerodha"]
    assert found["comparison"] == {
        "at_ns": TEN_NS + MINUTE_NS,
        "occasion": "running",
        "compared": 2,
        "left_out": 1,
    }
    (difference,) = found["differences"]
    assert (difference["missing"], difference["ours"], difference["theirs"]) == (-1, 10, 9)
    assert found["frozen"] == ["NSE:INFY"]
    assert [(row["tradingsymbol"], row["quantity"]) for row in found["external"]] == [("ITC", 40)]


def test_orders_by_hand_are_those_of_the_newest_day_as_they_are_now(folder):
    yesterday = ExternalOrder(**BY_HAND, broker_order_id="6", time_ns=TEN_NS - DAY_NS)
    first = ExternalOrder(**BY_HAND, broker_order_id="7", time_ns=TEN_NS)
    done = ExternalOrder(**BY_HAND | {"status": "COMPLETE"}, broker_order_id="7", time_ns=TEN_NS + 1)
    path = write(folder, [*FOUND, yesterday, first, done])
    (shown,) = comparisons.newest(path)["zerodha"]["external_orders"]
    assert (shown["broker_order_id"], shown["status"], shown["price"]) == ("7", "COMPLETE", "1573.75")


def test_an_order_that_was_found_is_told_until_it_is_accepted(folder):
    path = write(folder, [*FOUND, LATE])
    shown = run(folder, "reconcile", "show").stdout
    assert "order O000004 (NSE:INFY) was NOT_FOUND" in shown
    assert "reconcile adopt O000004" in shown
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        accepted = OrderAccepted(broker="zerodha", order_id="O000004", by="a", reason="b", time_ns=TEN_NS)
        journal.Journal(connection).append([(TEN_NS, accepted)])
    assert comparisons.newest(path)["zerodha"]["found"] == []


@pytest.mark.parametrize(
    "words",
    [
        ("ignore", "NSE:INFY", "--reason", "by hand"),
        ("adopt", "NSE:INFY", "--strategy", "momentum_1", "--reason", "lost"),
        ("adopt", "O000004", "--reason", "seen"),
    ],
)
def test_without_a_daemon_nothing_is_settled(folder, words):
    done = run(folder, "reconcile", *words)
    assert done.code == 4
    assert "no daemon runs" in done.line


def test_who_settles_says_why(folder):
    assert run(folder, "reconcile", "ignore", "NSE:INFY").code == 2
    assert run(folder, "reconcile", "ignore", "NSE:INFY", "--reason", " ").code == 2


def test_the_charges_are_those_of_the_newest_day_and_exact(folder):
    charges = comparisons.newest(write(folder, FOUND))["zerodha"]["charges"]
    assert (charges["date"], charges["orders"]) == ("2024-06-03", 2)
    assert Money(charges["difference"]) == Money("0.0029") + Money("2.3129")
    assert [row["broker_order_id"] for row in charges["notable"]] == ["2"]


def test_the_tables_written_anew_are_those_written_step_by_step(folder):
    path = write(folder, [*FOUND, ExternalOrder(**BY_HAND, broker_order_id="7", time_ns=TEN_NS), LATE])
    before = comparisons.newest(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        journal.rebuild(connection, schema.PROJECTIONS)
    assert comparisons.newest(path) == before


def test_a_store_without_a_live_broker_has_nothing_to_show(folder):
    bare = run(folder, "reconcile", "show")
    assert (bare.code, bare.stderr) == (0, "")
    assert "nothing was compared yet" in bare.stdout
    assert run(folder, "reconcile", "show", "--json").document == {}


def test_scripts_get_one_document_and_people_every_figure(folder):
    write(folder, [*FOUND, ExternalOrder(**BY_HAND, broker_order_id="7", time_ns=TEN_NS)])
    document = run(folder, "reconcile", "show", "--json").document["zerodha"]
    assert document["comparison"]["at"] == "2024-06-03T10:01:00+05:30"
    assert document["external_orders"][0]["price"] == pytest.approx(1573.75)
    assert document["charges"]["notable"][0]["difference"] == pytest.approx(2.3129)
    shown = run(folder, "reconcile", "show")
    assert shown.code == 0
    for words in (
        "1 difference in 2 positions",
        "NSE:INFY",
        "frozen, no entries",
        "ITC",
        "₹2.3158",
        "2.3129",
        "Orders that are not ours",
        "1/3",
    ):
        assert words in shown.stdout, words
