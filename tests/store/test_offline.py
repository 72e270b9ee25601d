"""The store without its daemon: what commands read and the one thing they write."""

import asyncio
import os
import sqlite3
import time
from contextlib import closing
from datetime import date

import pytest
from builders import BUY, INFY, SELL, TCS, TEN_NS, fill, order, signal
from sessions import CASH, desk, refused

from alphapanda.core.portfolio import PortfolioManager, Standing
from alphapanda.errors import CannotStart, Fatal
from alphapanda.events import (
    AccountOpened,
    Approved,
    Balance,
    Booked,
    Halt,
    LimitChanged,
    Money,
    OrderFilled,
    OrderOpened,
    OrderStatus,
    Position,
    Resume,
    Scope,
    StrategyPaused,
    StrategyResumed,
)
from alphapanda.store import Store, journal, lock, offline, schema

DAY_NS = 86_400 * 10**9
MIDNIGHT_NS = TEN_NS - 10 * 3600 * 10**9
"""The IST midnight before ten o'clock."""


@pytest.fixture(params=["alphapanda.db", "a b?c#d%41&mode=rw;é.db"], ids=["plain", "odd"])
def path(tmp_path, request):
    return tmp_path / request.param


def write(path, *events):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        schema.prepare(connection, str(path))
        journal.Journal(connection).append([(time.time_ns(), event) for event in events])


def read(path):
    with closing(sqlite3.connect(path)) as connection:
        return [event for _, event in journal.read(connection)]


def orders(path, **filters):
    return [row["order_id"] for row in offline.rows(path, "orders", **filters)]


def test_a_store_that_does_not_exist_reads_as_empty_and_is_not_made(path):
    for table in offline.ORDERED:
        assert offline.rows(path, table) == []
    assert offline.standings(path) == []
    assert offline.kill_switch(path) == {"is_on": 0, "reason": "", "by_whom": "", "since_ns": 0}
    assert list(path.parent.iterdir()) == []


def test_rows_are_oldest_first_whatever_their_names(path):
    write(path, *(OrderOpened(order(sequence=number)) for number in (3, 1, 2)))
    assert orders(path) == ["O000003", "O000001", "O000002"]


def test_rows_can_be_asked_for_by_broker_strategy_day_and_number(path):
    write(
        path,
        OrderOpened(order(sequence=1)),
        OrderOpened(order(sequence=2, strategy_id="other")),
        OrderOpened(order(sequence=3, broker="other", created_ns=TEN_NS - DAY_NS)),
        OrderOpened(order(sequence=4, created_ns=TEN_NS + DAY_NS)),
    )
    assert orders(path, strategy="other") == ["O000002"]
    assert orders(path, broker="other") == ["O000003"]
    assert orders(path, broker="other", strategy="other") == []
    assert orders(path, day=date(2024, 6, 3)) == ["O000001", "O000002"]
    assert orders(path, limit=2) == ["O000003", "O000004"]
    assert orders(path, day=date(2024, 6, 3), limit=1) == ["O000002"]
    assert orders(path, limit=9) == orders(path)
    assert orders(path, limit=0) == []


def test_the_newest_of_many_are_found_by_the_database_and_oldest_first(path, monkeypatch):
    write(path, *(OrderOpened(order(sequence=number)) for number in range(40, 0, -1)))
    write(path, *(refused(f"S{number:06d}", broker) for number in range(9) for broker in ("b", "a")))
    asked = []
    connect = sqlite3.connect

    def traced(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(asked.append)
        return connection

    for table in ("orders", "signals"):
        whole = offline.rows(path, table)
        for limit in (0, 1, 7, len(whole), 99):
            assert offline.rows(path, table, limit=limit) == (whole[-limit:] if limit else [])
    monkeypatch.setattr(sqlite3, "connect", traced)
    assert orders(path, limit=3) == ["O000003", "O000002", "O000001"]
    assert [sql for sql in asked if sql.endswith(" LIMIT 3")]


def test_the_last_positions_are_the_last_by_owner_and_name(path):
    write(path, *held(("b", TCS, 1, "100"), ("b", INFY, 1, "100"), ("a", TCS, 1, "100")))
    found = offline.rows(path, "positions", limit=2)
    assert found == offline.rows(path, "positions")[-2:]
    assert [(row["strategy_id"], row["tradingsymbol"]) for row in found] == [("b", "INFY"), ("b", "TCS")]


def test_a_filter_is_a_value_never_sql(path):
    write(path, OrderOpened(order()))
    assert orders(path, broker="paper' OR '1' = '1") == []


def test_a_day_is_an_ist_day_from_its_first_to_its_last_nanosecond(path):
    moments = (MIDNIGHT_NS - 1, MIDNIGHT_NS, MIDNIGHT_NS + DAY_NS - 1, MIDNIGHT_NS + DAY_NS)
    write(path, *(OrderOpened(order(sequence=n, created_ns=at)) for n, at in enumerate(moments)))
    assert orders(path, day=date(2024, 6, 3)) == ["O000001", "O000002"]


def test_positions_have_no_day(path):
    write(path, *held(("momentum_1", INFY, 10, "100")))
    assert len(offline.rows(path, "positions", day=date(1999, 1, 1))) == 1


def held(*positions):
    """The events that lead to positions of (strategy, instrument, signed quantity, price)."""
    book = PortfolioManager({"paper": CASH})
    events = [AccountOpened("paper", CASH)]
    for number, (strategy, instrument, quantity, price) in enumerate(positions, 1):
        side = {"side": SELL} if quantity < 0 else {}
        made = order(
            quantity=abs(quantity), sequence=number, instrument=instrument, strategy_id=strategy, **side
        )
        done = fill(
            **side, quantity=abs(quantity), price=price, trade=number, instrument=instrument,
            strategy_id=strategy, order_id=made.order_id, charges=Money("1.17"),
        )  # fmt: skip
        events.append(OrderOpened(made))
        events += [e for e in book.on(OrderFilled(made, done)) if isinstance(e, Booked)]
    return [*events, book.marks()]


def test_positions_are_sorted_by_owner_and_name(path):
    write(path, *held(("b", TCS, 1, "100"), ("b", INFY, 1, "100"), ("a", TCS, 1, "100")))
    names = [(row["strategy_id"], row["tradingsymbol"]) for row in offline.rows(path, "positions")]
    assert names == [("a", "TCS"), ("b", "INFY"), ("b", "TCS")]


def test_standings_are_those_of_the_cores(path):
    events = held(("a", INFY, 10, "100.05"), ("b", TCS, -3, "2000.3"), ("a", INFY, -10, "101.3333"))
    write(path, *events)
    book = PortfolioManager({"paper": CASH}, fills=[e.fill for e in events if isinstance(e, Booked)])
    (found,) = offline.standings(path)
    expected = Standing(book.balances()[0], book.positions())
    assert vars(found) == vars(expected)
    assert found.equity == found.starting_cash + found.realized_pnl + found.unrealized_pnl - found.charges


def test_a_running_daemon_can_be_read_beside(path):
    async def main():
        async with Store(path) as store:
            writer = asyncio.create_task(store.run())
            store.open_accounts({"paper": CASH})
            for event in desk([("approve", SELL, 5, 0)]).events:
                store.tap(event)
            store.tap(refused("S000002"))
            await store.commit()
            assert orders(path) == ["O000001"]
            assert [row["verdict"] for row in offline.rows(path, "signals")] == ["approved", "refused"]
            writer.cancel()
            await asyncio.wait([writer])

    asyncio.run(main(), debug=True)


def test_the_kill_switch_is_what_was_said_last(path):
    write(path, Halt("a reason", "uid 7", 5))
    assert offline.kill_switch(path) == {
        "is_on": 1, "reason": "a reason", "by_whom": "uid 7", "since_ns": 5
    }  # fmt: skip


def test_switching_a_stopped_daemon_is_journaled(path):
    offline.switch(path, on=True, reason="news", by="uid 7")
    assert offline.kill_switch(path)["is_on"] == 1
    offline.switch(path, on=False, reason="over", by="uid 8")
    assert offline.kill_switch(path)["is_on"] == 0
    first, last = read(path)
    assert (type(first), first.reason, first.by) == (Halt, "news", "uid 7")
    assert (type(last), last.reason, last.by) == (Resume, "over", "uid 8")
    assert lock.holder(path) is None


def test_the_daemon_finds_the_switch_as_it_was_left(path):
    offline.switch(path, on=True, reason="news", by="uid 7")

    async def main():
        async with Store(path) as store:
            return store.recovered

    recovered = asyncio.run(main(), debug=True)
    assert recovered.halt.reason == "news"
    assert recovered.saved.halted


def test_a_running_daemon_is_not_switched_behind_its_back(path):
    with lock.hold(path):
        with pytest.raises(CannotStart, match=f"pid {os.getpid()}"):
            offline.switch(path, on=True, reason="news", by="uid 7")
        assert lock.holder(path) == os.getpid()
    assert not path.exists()


def test_the_command_that_switches_is_no_daemon(path, monkeypatch):
    seen = []

    def prepare(connection, name):
        seen.append(lock.lock_path(path).read_text())
        with pytest.raises(CannotStart, match="another command"), lock.hold(path):
            pass
        schema_prepare(connection, name)

    schema_prepare = schema.prepare
    monkeypatch.setattr(lock, "PATIENCE_S", 0.0)
    monkeypatch.setattr(schema, "prepare", prepare)
    offline.switch(path, on=True, reason="news", by="uid 7")
    assert seen == [""]
    assert lock.holder(path) is None


def test_switching_makes_the_store_and_its_folder(tmp_path):
    path = tmp_path / "var" / "deep" / "alphapanda.db"
    offline.switch(path, on=True, reason="news", by="uid 7")
    assert offline.kill_switch(path)["reason"] == "news"


def test_a_damaged_store_is_said_in_one_line(path):
    path.write_text("no database" * 1000)
    with pytest.raises(Fatal, match="cannot be read") as caught:
        offline.rows(path, "orders")
    assert "\n" not in str(caught.value)
    with pytest.raises(CannotStart, match=r"cannot be written: .*; restore a backup"):
        offline.switch(path, on=True, reason="news", by="uid 7")
    assert lock.holder(path) is None


def test_reading_changes_nothing(path):
    write(path, *held(("a", INFY, 10, "100.05")))
    before = path.read_bytes()
    offline.rows(path, "orders")
    offline.standings(path)
    offline.kill_switch(path)
    with offline.reading(path) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM orders")
    assert path.read_bytes() == before


def test_pausing_a_strategy_of_a_stopped_daemon_is_journaled(path):
    offline.change_strategy(path, StrategyPaused("momentum_1", "uid 7", 5, "results"))
    assert offline.strategies(path) == {
        "momentum_1": {
            "strategy_id": "momentum_1", "state": "paused", "reason": "results (by uid 7)", "since_ns": 5
        }
    }  # fmt: skip
    offline.change_strategy(path, StrategyResumed("momentum_1", "uid 8", 6))
    assert offline.strategies(path)["momentum_1"]["state"] == "running"
    assert [event.by for event in read(path)] == ["uid 7", "uid 8"]
    with lock.hold(path), pytest.raises(CannotStart, match=f"pid {os.getpid()}"):
        offline.change_strategy(path, StrategyPaused("momentum_1", "uid 7", 7))


def limit(value, by="uid 7", scope=Scope()):  # noqa: B008 - frozen
    return LimitChanged(
        key="max_order_value", value=value, old="", scope=scope, by=by, reason="why", time_ns=5
    )


def test_limits_are_changed_for_a_daemon_that_is_stopped_and_only_then(path):
    assert (offline.limits(path), offline.limit_changes(path)) == ((), [])
    offline.change_limit(path, limit("5"))
    offline.change_limit(path, limit("7", by="uid 8"))
    offline.change_limit(path, limit("9", scope=Scope(strategy="dip")))
    assert offline.limits(path) == (limit("7", by="uid 8"), limit("9", scope=Scope(strategy="dip")))
    assert set(offline.recovered(path).saved.limits) == set(offline.limits(path))
    offline.change_limit(path, limit(None))
    assert offline.limits(path) == (limit("9", scope=Scope(strategy="dip")),)
    changes = offline.limit_changes(path)
    assert [(row["by_whom"], row["strategy"], row["new"]) for row in changes] == [
        ("uid 7", "", "5"), ("uid 8", "", "7"), ("uid 7", "dip", "9"), ("uid 7", "", None)
    ]  # fmt: skip
    assert offline.limit_changes(path, 1) == changes[-1:]
    assert offline.limit_changes(path, 0) == []
    with lock.hold(path), pytest.raises(CannotStart, match=f"pid {os.getpid()}"):
        offline.change_limit(path, limit("5"))
    assert offline.limit_changes(path) == changes


def test_a_limit_that_another_command_has_changed_meanwhile_is_not_changed(path):
    offline.change_limit(path, limit("5"), ())
    for known in ((), (limit("6"),)):
        with pytest.raises(Fatal, match="meanwhile"):
            offline.change_limit(path, limit("7"), known)
    offline.change_limit(path, limit("7"), (limit("5"),))
    assert offline.limits(path) == (limit("7"),)


def test_why_finds_the_last_verdict_of_each_broker_with_its_order_and_trades(path):
    done = order(status=OrderStatus.FILLED, filled_quantity=10, filled_value=Money(1000))
    position = Position(
        broker="paper", strategy_id="momentum_1", instrument=INFY, product="MIS", quantity=10,
        average_price=Money(100), last_price=Money(100), realized_pnl=Money(0), unrealized_pnl=Money(0),
    )  # fmt: skip
    balance = Balance(broker="paper", starting_cash=CASH, cash=CASH)
    write(
        path,
        Approved(order(), signal(BUY, 12)),
        OrderOpened(order()),
        Booked(done, fill(), position, balance),
        Approved(order(sequence=2, broker="other"), signal(BUY, 12)),
        refused("S000001", "other"),
        refused("S000011"),
    )
    told = offline.told_of(path, "S000001")
    assert (told.signal["quantity"], told.signal["position_effect"], told.signal["by"]) == (12, "OPEN", None)
    (paper, (bought,), trades), (other, none, nothing) = told.verdicts
    assert (paper["broker"], paper["verdict"], paper["rule"], paper["quantity"]) == (
        "paper",
        "approved",
        None,
        10,
    )
    assert (bought["order_id"], bought["status"]) == ("O000001", "FILLED")
    assert [trade["trade_id"] for trade in trades] == ["T000001"]
    assert (other["broker"], other["verdict"], other["rule"]) == ("other", "refused", "max_order_quantity")
    assert (none, nothing) == ([], [])
    assert offline.told_of(path, "S000002") is None
    assert offline.told_of(path, "%") is None


def test_a_signal_sent_in_parts_is_one_row_with_the_whole_quantity_and_why_has_every_order(path):
    parts = [order(quantity=quantity, sequence=n) for n, quantity in enumerate((10, 10, 5), 1)]
    asked = signal(BUY, 25)
    for number, part in enumerate(parts, 1):
        write(path, Approved(part, asked, number, 3), OrderOpened(part))
    (row,) = offline.rows(path, "signals")
    assert (row["verdict"], row["quantity"]) == ("approved", 25)
    ((verdict, orders, trades),) = offline.told_of(path, "S000001").verdicts
    assert (verdict["quantity"], trades) == (25, [])
    assert [one["order_id"] for one in orders] == ["O000001", "O000002", "O000003"]


def test_why_asks_a_store_that_is_not_there(path):
    assert offline.told_of(path, "S000001") is None
    assert not path.exists()
