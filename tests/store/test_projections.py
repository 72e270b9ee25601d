"""The tables beside the journal: each event's rows, and the same rows when they are written anew."""

import sqlite3
from contextlib import closing

import pytest
from builders import INFY, TCS, TEN_NS, fill, order, signal
from hypothesis import given
from sessions import CASH, acts, desk, prices, refused, rows, session

from alphapanda.errors import CannotStart
from alphapanda.events import (
    AccountOpened,
    Approved,
    Balance,
    Booked,
    Halt,
    Marked,
    Money,
    OrderClosed,
    OrderOpened,
    OrderStatus,
    OrderUpdated,
    Position,
    Resume,
    RowTaken,
)
from alphapanda.rows import balance_row, order_row, position_row
from alphapanda.store import journal, schema
from alphapanda.store.projections import PROJECTION


def written(events):
    """A store in memory with these events, each in its own transaction."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.prepare(connection, ":memory:")
    writer = journal.Journal(connection)
    for number, event in enumerate(events):
        if type(event) in PROJECTION:
            writer.append([(TEN_NS + number, event)])
    return closing(connection)


def table(connection, name):
    cursor = connection.execute(f"SELECT * FROM {name}")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def everything(connection):
    """Row numbers too: people are shown orders, trades and signals in that order."""
    numbered = {"positions", "balances", "kill_switch", "progress"}
    return {
        name: connection.execute(f"SELECT {'' if name in numbered else 'rowid, '}* FROM {name}").fetchall()
        for name in schema.PROJECTIONS
    }


def position(quantity=10, last_price="100", instrument=INFY):
    return Position(
        broker="paper",
        strategy_id="momentum_1",
        instrument=instrument,
        product="MIS",
        quantity=quantity,
        average_price=Money(200) / 3,
        last_price=Money(last_price),
        realized_pnl=Money("-1.5"),
        unrealized_pnl=Money("2.25"),
    )


def booked():
    filled = order(status=OrderStatus.FILLED, filled_quantity=10, filled_value=Money("1000.50"))
    balance = Balance(broker="paper", starting_cash=CASH, cash=CASH - Money("1001.67"), charges=Money("1.17"))
    return Booked(filled, fill(price="100.05", charges=Money("1.17")), position(), balance)


def test_an_account_opens_with_its_first_ledger_entry():
    with written([AccountOpened("paper", CASH)]) as connection:
        assert table(connection, "balances") == [
            {
                "broker": "paper",
                "starting_cash": "1000000",
                "cash": "1000000",
                "realized_pnl": "0",
                "charges": "0",
                "account": "",
            }
        ]
        assert table(connection, "ledger") == [
            {
                "entry": 1,
                "broker": "paper",
                "at_ns": TEN_NS,
                "reason": "opening",
                "trade_id": None,
                "amount": "1000000",
                "source_seq": 1,
            }
        ]


def test_a_signal_has_one_row_a_broker_with_the_last_verdict():
    approved = Approved(order(quantity=7), signal(quantity=10, reason="rose"))
    with written([approved, refused(broker="zerodha"), refused("S000002")]) as connection:
        found = table(connection, "signals")
    assert [(row["signal_id"], row["broker"], row["verdict"], row["rule"]) for row in found] == [
        ("S000001", "paper", "approved", None),
        ("S000001", "zerodha", "refused", "max_order_quantity"),
        ("S000002", "paper", "refused", "max_order_quantity"),
    ]
    assert [(row["quantity"], row["reason"]) for row in found[:2]] == [
        (7, "rose"),
        (2000, "quantity 2000 is over the limit of 1000"),
    ]
    with written([approved, refused()]) as connection:
        assert [row["verdict"] for row in table(connection, "signals")] == ["refused"]


def test_an_order_has_one_row_that_follows_its_life():
    life = [
        OrderOpened(order()),
        OrderOpened(order(sequence=2, instrument=TCS)),
        OrderUpdated(order(status=OrderStatus.OPEN, broker_order_id="PAPER-1", updated_ns=TEN_NS + 1)),
        OrderClosed(order(status=OrderStatus.CANCELLED, reason="halt", updated_ns=TEN_NS + 2)),
    ]
    with written(life) as connection:
        first, second = table(connection, "orders")
    assert first == order_row(life[-1].order)
    assert second == order_row(life[1].order)


def test_a_fill_writes_its_order_trade_position_balance_and_two_ledger_entries():
    event = booked()
    with written([AccountOpened("paper", CASH), OrderOpened(order()), event]) as connection:
        assert table(connection, "orders") == [order_row(event.order)]
        (trade,) = table(connection, "trades")
        assert (trade["trade_id"], trade["price"], trade["charges"]) == ("T000001", "100.05", "1.17")
        (held,) = table(connection, "positions")
        assert held == position_row(event.position)
        assert held["average_price"] == "66.6667"
        assert table(connection, "balances") == [balance_row(event.balance) | {"account": ""}]
        entries = [(row["reason"], row["trade_id"], row["amount"]) for row in table(connection, "ledger")]
        assert entries[1:] == [("trade", "T000001", "-1000.50"), ("charges", "T000001", "-1.17")]
        assert [row["source_seq"] for row in table(connection, "ledger")] == [1, 3, 3]


def test_a_trade_is_booked_once_or_not_at_all():
    with written([OrderOpened(order()), booked()]) as connection:
        before = everything(connection)
        with pytest.raises(sqlite3.IntegrityError, match="trades"):
            journal.Journal(connection).append([(TEN_NS, booked())])
        assert everything(connection) == before


def test_marks_move_the_price_of_what_is_held():
    marked = Marked((position(last_price="101.3"), position(instrument=TCS)), TEN_NS)
    with written([OrderOpened(order()), booked(), marked]) as connection:
        prices = {row["tradingsymbol"]: row["last_price"] for row in table(connection, "positions")}
    assert prices == {"INFY": "101.3", "TCS": "100"}


def test_the_kill_switch_has_one_row():
    with written([Halt("first", "uid 7", 5), Halt("second", "uid 8", 6)]) as connection:
        assert table(connection, "kill_switch") == [
            {"id": 1, "is_on": 1, "reason": "second", "by_whom": "uid 8", "since_ns": 6}
        ]
    with written([Halt("first", "uid 7", 5), Resume("checked", "uid 9", 7)]) as connection:
        assert table(connection, "kill_switch") == [
            {"id": 1, "is_on": 0, "reason": "checked", "by_whom": "uid 9", "since_ns": 7}
        ]


def test_each_feed_remembers_its_last_row():
    with written([RowTaken("a", 1, 10), RowTaken("b", 5, 20), RowTaken("a", 2, 30)]) as connection:
        assert table(connection, "progress") == [
            {"feed": "a", "taken": 2, "time_ns": 30},
            {"feed": "b", "taken": 5, "time_ns": 20},
        ]


@given(acts)
def test_the_projections_written_anew_are_those_written_step_by_step(acts):
    with written(desk(acts).events) as connection:
        before = everything(connection)
        journal.rebuild(connection, schema.PROJECTIONS)
        assert everything(connection) == before


@given(acts)
def test_the_ledger_adds_up_to_the_cash_exactly(acts):
    made = desk(acts)
    with written(made.events) as connection:
        total = sum(Money(row["amount"]) for row in table(connection, "ledger"))
        (balance,) = table(connection, "balances")
    assert total == Money(balance["cash"]) == made.portfolio.balances()[0].cash


@given(prices)
def test_orders_and_positions_say_what_the_cores_say(prices):
    cores, said = session(rows(prices))
    with written([AccountOpened("paper", CASH), *said, cores.portfolio.marks(flat=True)]) as connection:
        orders = {row["order_id"]: row for row in table(connection, "orders")}
        assert orders == {name: order_row(one) for name, one in cores.execution._orders.items()}
        held = sorted(table(connection, "positions"), key=str)
        assert held == sorted(map(position_row, cores.portfolio.positions()), key=str)


def test_a_journal_that_does_not_hold_is_not_rebuilt_from():
    with written([AccountOpened("paper", CASH), OrderOpened(order()), booked()]) as connection:
        before = everything(connection)
        connection.execute("UPDATE journal SET at_ns = 0 WHERE seq = 2")
        with pytest.raises(CannotStart):
            journal.rebuild(connection, schema.PROJECTIONS)
        assert everything(connection) == before
        assert not connection.in_transaction
