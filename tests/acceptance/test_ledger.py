"""The sum of the ledger is the cash and the sum of the fills is the position: exactly, on any day."""

import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from builders import BUY, INFY, SELL, TCS, TEN_NS, batch, fill, order, tick
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from alphapanda.core.charges import ZerodhaCharges, flat
from alphapanda.core.portfolio import PortfolioManager
from alphapanda.events import (
    AccountOpened,
    Booked,
    Money,
    OrderFilled,
    OrderOpened,
    OrderStatus,
)
from alphapanda.rows import position_row
from alphapanda.store import journal, schema
from alphapanda.store.projections import PROJECTION
from alphapanda.store.recovery import fold
from alphapanda.tables import tariff

CASH = Money("1000000.05")
DAY_S = 86_400
DAYS = 8
"""In one example; 125 examples are a thousand days."""
CHARGES = {"flat": lambda: flat(Money("0.1")), "zerodha": lambda: ZerodhaCharges(tariff())}

trades = st.tuples(
    st.sampled_from([BUY, SELL]),
    st.lists(st.integers(1, 40), min_size=1, max_size=3),  # the parts it fills in
    st.decimals("0.05", "4000", places=2) | st.decimals("1", "4000", places=4),
    st.sampled_from([INFY, TCS]),
    st.sampled_from(["MIS", "CNC"]),
    st.sampled_from(["one", "two"]),
)
days = st.lists(
    st.tuples(st.booleans(), st.lists(trades, max_size=4)),  # does a restart come first?
    min_size=DAYS,
    max_size=DAYS,
)


class Desk:
    """A portfolio whose journal is all that a restart has."""

    def __init__(self, charges):
        self.charges = charges
        self.events = [AccountOpened("paper", CASH)]
        self.portfolio = PortfolioManager({"paper": CASH})
        self.orders = self.fills = 0

    def restart(self):
        before = self.portfolio
        past = fold(self.events).saved
        self.portfolio = PortfolioManager(
            {"paper": CASH},
            fills=past.fills,
            orders=past.orders,
            marks=past.marks,
            rolls=past.rolls,
            trackers=past.trackers,
        )
        assert self.portfolio.books() == before.books()
        assert self.portfolio.balances() == before.balances()

    def trade(self, at, side, parts, price, instrument, product, strategy):
        self.orders += 1
        made = order(
            side, sum(parts), self.orders, instrument=instrument, product=product, strategy_id=strategy,
            created_ns=at,
        )  # fmt: skip
        self.say(OrderOpened(made))
        for part in parts:
            self.fills += 1
            paid = self.charges(made, price, part, at)
            done = fill(
                side, part, price, trade=self.fills, order_id=made.order_id, instrument=instrument,
                product=product, strategy_id=strategy, charges=paid, traded_ns=at,
            )  # fmt: skip
            made = replace(
                made,
                filled_quantity=made.filled_quantity + part,
                filled_value=made.filled_value + part * price,
                status=OrderStatus.PARTIAL,
            )
            if made.filled_quantity == made.quantity:
                made = replace(made, status=OrderStatus.FILLED)
            self.say(OrderFilled(made, done))

    def say(self, event):
        if type(event) in PROJECTION:
            self.events.append(event)
        self.events += [said for said in self.portfolio.on(event) if type(said) in PROJECTION]


@pytest.mark.parametrize("charges", CHARGES)
@settings(max_examples=125, deadline=None)
@given(days=days)
def test_on_a_thousand_days_the_ledger_is_the_cash_and_the_fills_are_the_position(charges, days):
    desk = Desk(CHARGES[charges]())
    for number, (restarts, of_day) in enumerate(days):
        if restarts:
            desk.restart()
        at = TEN_NS + number * DAY_S * 10**9
        desk.say(batch(tick(100.05), tick(3000.0, TCS.instrument_token), at=number * DAY_S))
        for one in of_day:
            desk.trade(at, *one)
    desk.events.append(desk.portfolio.marks(flat=True))
    (balance,) = desk.portfolio.balances()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.prepare(connection, ":memory:")
        journal.Journal(connection).append([(number, event) for number, event in enumerate(desk.events)])
        ledger_is_the_cash(connection, balance.cash)
        fills_are_the_positions(connection, desk)
        written = tables(connection)
        journal.rebuild(connection, schema.PROJECTIONS)
        assert tables(connection) == written


def ledger_is_the_cash(connection, cash):
    entries = connection.execute(
        "SELECT reason, amount, trade_id, kind, body FROM ledger JOIN journal ON seq = source_seq"
    ).fetchall()
    assert len(entries) == connection.execute("SELECT count(*) FROM ledger").fetchone()[0]
    assert sum(Money(amount) for _, amount, *_ in entries) == cash
    (stored,) = connection.execute("SELECT cash FROM balances").fetchone()
    assert Money(stored) == cash
    for reason, amount, trade_id, kind, body in entries:
        event = journal.event_of(kind, body)
        if isinstance(event, Booked):
            moved = {
                "trade": -event.fill.signed_quantity * event.fill.price,
                "charges": -event.fill.charges,
            }
            assert (trade_id, Money(amount)) == (event.fill.trade_id, moved[reason])
        else:
            assert (reason, event) == ("opening", AccountOpened("paper", Money(amount)))


def fills_are_the_positions(connection, desk):
    held = Counter()
    for event in desk.events:
        if isinstance(event, Booked):
            one = event.fill
            held[one.strategy_id, one.instrument.tradingsymbol, one.product] += one.signed_quantity
    rows = connection.execute(
        "SELECT strategy_id, tradingsymbol, product, quantity FROM positions"
    ).fetchall()
    assert {key: n for *key_, n in rows if n for key in [tuple(key_)]} == {k: n for k, n in held.items() if n}
    names = [name for name, *_ in connection.execute("SELECT * FROM positions LIMIT 0").description]
    whole = [dict(zip(names, row, strict=True)) for row in connection.execute("SELECT * FROM positions")]
    assert sorted(whole, key=str) == sorted(map(position_row, desk.portfolio.positions()), key=str)


def tables(connection):
    return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in schema.PROJECTIONS}
