"""The append-only journal: what goes in comes out, and no change goes unnoticed."""

import sqlite3
from contextlib import closing

import pytest
from builders import BUY, INFY, TEN_NS, fill, order, signal
from hypothesis import given
from hypothesis import strategies as st
from sessions import CASH, acts, desk, refused

from alphapanda.errors import CannotStart
from alphapanda.events import (
    AccountOpened,
    Approved,
    Balance,
    Booked,
    ChargesCompared,
    Compared,
    DayRolled,
    Difference,
    ExternalOrder,
    ExternalSeen,
    Figures,
    Halt,
    LimitChanged,
    Marked,
    Money,
    OrderAccepted,
    OrderClosed,
    OrderFound,
    OrderOpened,
    OrderStatus,
    OrderType,
    OrderUpdated,
    Position,
    Refused,
    Resume,
    RowTaken,
    Scope,
    StrategyFailed,
    StrategyPaused,
    StrategyQuarantined,
    StrategyResumed,
    Valued,
)
from alphapanda.store import journal, schema
from alphapanda.store.projections import PROJECTION

POSITION = Position(
    broker="paper",
    strategy_id="momentum_1",
    instrument=INFY,
    product="MIS",
    quantity=10,
    average_price=Money("100.0500"),
    last_price=Money("101.3"),
    realized_pnl=Money(0),
    unrealized_pnl=Money("12.50"),
)
BALANCE = Balance(broker="paper", starting_cash=CASH, cash=Money("998998.50"), charges=Money("1.00"))
FIGURES = Figures(
    unrealized_pnl=Money("12.50"),
    charges=Money("1.00"),
    gross_exposure=Money("1013.0"),
    net_exposure=Money("1013.0"),
)
FILLED = order(
    status=OrderStatus.FILLED, broker_order_id="PAPER-1", filled_quantity=10, filled_value=Money("1000.50")
)
ELSEWHERE = {"broker": "zerodha", "exchange": "NSE", "tradingsymbol": "INFY", "time_ns": TEN_NS}
EXAMPLES = {
    type(event): event
    for event in (
        AccountOpened("paper", CASH),
        Approved(
            order(row=7), signal(BUY, 10, order_type=OrderType.LIMIT, price=Money("99.95"), reason="“₹”")
        ),
        refused(),
        OrderOpened(order()),
        OrderUpdated(order(status=OrderStatus.OPEN, broker_order_id="PAPER-1")),
        OrderClosed(order(status=OrderStatus.CANCELLED, reason="the data has ended")),
        Booked(FILLED, fill(price="100.05", charges=Money("1.00")), POSITION, BALANCE),
        Valued(
            broker="paper",
            time_ns=TEN_NS,
            cash=Money("998998.50"),
            equity=Money("1000011.50"),
            figures=FIGURES,
            strategies={"momentum_1": FIGURES},
        ),
        DayRolled("2024-06-03", TEN_NS),
        Marked((POSITION,), TEN_NS),
        RowTaken("a feed", 41, TEN_NS),
        Halt("a reason", "uid 0", TEN_NS),
        Resume("a reason", "uid 0", TEN_NS),
        StrategyPaused("momentum_1", "uid 0", TEN_NS),
        LimitChanged(
            key="max_order_value",
            value="50000",
            old="500000",
            scope=Scope(strategy="momentum_1"),
            by="uid 0",
            reason="“results”",
            time_ns=TEN_NS,
        ),
        StrategyResumed("momentum_1", "uid 0", TEN_NS),
        StrategyFailed("momentum_1", "ValueError: “₹”", TEN_NS),
        StrategyQuarantined("momentum_1", "max_repeats", "“₹”", TEN_NS),
        Compared(
            broker="zerodha",
            occasion="running",
            time_ns=TEN_NS,
            count=3,
            differences=(
                Difference(
                    exchange="NSE", tradingsymbol="INFY", product="MIS", ours=10, external=-3, theirs=8
                ),
            ),
            frozen=("NSE:INFY",),
        ),
        ChargesCompared(**ELSEWHERE, broker_order_id="1", ours=Money("12.35"), theirs=Money("12.3471")),
        ExternalSeen(**ELSEWHERE, product="MIS", change=-3, quantity=-3, why="trade", trade_id="7"),
        ExternalOrder(
            **ELSEWHERE,
            broker_order_id="7",
            product="MIS",
            transaction_type="BUY",
            order_type="LIMIT",
            quantity=3,
            filled_quantity=1,
            status="OPEN",
            ended=False,
            price=Money("99.95"),
        ),
        OrderFound(**ELSEWHERE, order_id="O000001", broker_order_id="7", was="NOT_FOUND"),
        OrderAccepted(broker="zerodha", order_id="O000001", by="uid 0", reason="“₹”", time_ns=TEN_NS),
    )
}


def fresh():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.prepare(connection, ":memory:")
    return closing(connection)


def append(connection, *events):
    journal.Journal(connection).append([(TEN_NS + number, event) for number, event in enumerate(events)])


def events(connection):
    return [event for _, event in journal.read(connection)]


def test_there_is_an_example_of_every_journaled_event():
    assert set(EXAMPLES) == set(PROJECTION)


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=lambda event: type(event).__name__)
def test_event_is_read_back_as_it_was_written(event):
    with fresh() as connection:
        append(connection, event)
        assert list(journal.read(connection)) == [(TEN_NS, event)]


@given(acts)
def test_whatever_happened_is_read_back_in_its_order(acts):
    kept = [event for event in desk(acts).events if type(event) in PROJECTION]
    with fresh() as connection:
        append(connection, *kept)
        assert events(connection) == kept


def test_the_chain_goes_on_in_a_new_process():
    with fresh() as connection:
        for number in range(3):
            append(connection, RowTaken("a feed", number, TEN_NS))
        assert [event.row for event in events(connection)] == [0, 1, 2]


def test_a_transaction_that_fails_in_its_middle_leaves_nothing_and_the_chain_goes_on():
    booked, halt = EXAMPLES[Booked], EXAMPLES[Halt]
    with fresh() as connection:
        writer = journal.Journal(connection)
        writer.append([(1, OrderOpened(FILLED)), (2, booked)])
        before = list(connection.iterdump())
        with pytest.raises(sqlite3.IntegrityError):
            writer.append([(3, halt), (4, booked), (5, halt)])
        assert list(connection.iterdump()) == before
        assert not connection.in_transaction
        writer.append([(6, halt)])
        assert events(connection) == [OrderOpened(FILLED), booked, halt]


@pytest.mark.parametrize(
    "unreadable",
    [
        Refused(**{name: getattr(refused(), name) for name in Refused.__struct_fields__ if name != "signal"}
                | {"signal": signal(last_price=float("nan"))}),
        OrderOpened(order(quantity=1.5)),
        Halt("a reason", None, TEN_NS),
    ],
    ids=["a price that is no number", "half a share", "nobody"],
)  # fmt: skip
def test_what_could_not_be_read_back_is_never_written(unreadable):
    with fresh() as connection:
        with pytest.raises(ValueError, match="Expected"):
            append(connection, EXAMPLES[Halt], unreadable)
        assert events(connection) == []


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE journal SET body = replace(body, '\"row\":3', '\"row\":4') WHERE seq = 3",
        "UPDATE journal SET kind = 'Halt' WHERE seq = 3",
        "UPDATE journal SET at_ns = at_ns + 1 WHERE seq = 3",
        "UPDATE journal SET hash = zeroblob(16) WHERE seq = 3",
        "UPDATE journal SET hash = zeroblob(0) WHERE seq = 5",
        "UPDATE journal SET body = body || ' ' WHERE seq = 5",
        "DELETE FROM journal WHERE seq = 1",
        "DELETE FROM journal WHERE seq = 3",
        "DELETE FROM journal WHERE seq < 5",
        "UPDATE journal SET seq = seq + 1 WHERE seq = 5",
        "UPDATE journal SET seq = 0 WHERE seq = 1",
        """UPDATE journal SET seq = -1 WHERE seq = 3; UPDATE journal SET seq = 3 WHERE seq = 4;
           UPDATE journal SET seq = 4 WHERE seq = -1""",
        "INSERT INTO journal SELECT 6, at_ns, kind, body, hash FROM journal WHERE seq = 5",
    ],
)
def test_tampering_stops_the_start(tampering):
    with fresh() as connection:
        append(connection, *(RowTaken("a feed", number, TEN_NS) for number in range(1, 6)))
        connection.executescript(tampering)
        with pytest.raises(CannotStart, match=r"journal row \d+ does not follow .* restore a backup"):
            events(connection)


@given(st.data())
def test_any_changed_character_stops_the_start(data):
    rows = [EXAMPLES[Halt], *(RowTaken("a feed", number, TEN_NS) for number in range(4))]
    with fresh() as connection:
        append(connection, *rows)
        seq = data.draw(st.integers(1, len(rows)))
        (body,) = connection.execute("SELECT body FROM journal WHERE seq = ?", (seq,)).fetchone()
        place = data.draw(st.integers(0, len(body) - 1))
        other = data.draw(st.characters(codec="ascii").filter(lambda one: one != body[place]))
        changed = body[:place] + other + body[place + 1 :]
        connection.execute("UPDATE journal SET body = ? WHERE seq = ?", (changed, seq))
        with pytest.raises(CannotStart, match=f"journal row {seq} "):
            events(connection)


def test_an_event_of_a_newer_version_asks_for_an_upgrade():
    with fresh() as connection:
        kind, body = "Dreamt", b"{}"
        digest = journal.chain(journal.GENESIS, 5, kind, body)
        connection.execute("INSERT INTO journal VALUES (1, 5, ?, ?, ?)", (kind, body.decode(), digest))
        with pytest.raises(CannotStart, match=r"journal row 1 is a Dreamt.* upgrade alphapanda"):
            events(connection)
