"""What is not ours, as others hear of it: each order once a change, and all that a position may come to."""

from decimal import Decimal

import pytest
from builders import INFY, TEN_NS
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.comparison import Reconciled, key_of
from alphapanda.events import CNC, MIS, ExternalPosition, Money
from alphapanda.times import DAY_NS
from alphapanda.venues.zerodha.book_rows import HoldingRow, OrderRow, PositionRow
from alphapanda.venues.zerodha.external_orders import ExternalOrders, worths_of

KEY = key_of("NSE", "INFY", MIS)
SHARES = key_of("NSE", "INFY", CNC)


def row(order_id="7", status="OPEN", side="SELL", quantity=10, filled=0, **fields):
    whole = {"exchange": "NSE", "tradingsymbol": "INFY", "product": MIS, "price": Decimal("100.05")}
    return OrderRow(
        **{"order_id": order_id, "status": status, "transaction_type": side, "quantity": quantity}
        | {"filled_quantity": filled, "order_timestamp": "2024-06-03 10:00:00"}
        | whole
        | fields
    )


def position(**fields):
    infy = {"exchange": "NSE", "tradingsymbol": "INFY", "product": MIS, "quantity": 1}
    return PositionRow(**infy | {"instrument_token": INFY.instrument_token} | fields)


def test_an_order_is_told_once_for_each_change_of_it_over_restarts_too():
    others, known = ExternalOrders("zerodha"), Reconciled()
    (first,) = others.on_book([row()], TEN_NS)
    assert (first.price, first.ended, first.time_ns) == (Money("100.05"), False, TEN_NS)
    assert others.on_book([row(order_timestamp="2024-06-03 10:00:09")], TEN_NS) == []
    (second,) = others.on_book([row(filled=4)], TEN_NS)
    known.on(first)
    known.on(second)
    again = ExternalOrders("zerodha", known)
    assert again.on_book([row(filled=4)], TEN_NS) == []
    assert len(again.on_book([row(filled=4)], TEN_NS + DAY_NS)) == 1, "it is of another day"


@pytest.mark.parametrize(
    ("external", "ours", "rows", "longest", "shortest"),
    [
        (5, 0, [], 5, 0),
        (-5, 0, [], 0, 5),
        (0, 0, [row()], 0, 10),
        (0, 0, [row(filled=4), row("8", filled=1)], 0, 15),
        (0, 0, [row(status="CANCELLED", filled=4)], 0, 0),
        (4, 0, [row()], 4, 6),
        (0, 10, [row()], 0, 0),
        (4, 3, [row()], 4, 3),
        (-4, -3, [row(side="BUY")], 3, 4),
        (5, -10, [row(side="BUY", quantity=12)], 7, 0),
        (0, 0, [row(side="HOLD")], 0, 0),
    ],
)
def test_an_order_that_rests_counts_for_what_it_opens(external, ours, rows, longest, shortest):
    others = ExternalOrders("zerodha")
    others.on_book(rows, TEN_NS)
    found = others.exposure({KEY: external}, {KEY: ours}).positions
    assert [(each.longest, each.shortest) for each in found] == [(longest, shortest)] * bool(
        longest or shortest
    )


quantities = st.integers(-6, 6)


@given(quantities, quantities, st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(1, 6))))
def test_whatever_of_the_orders_trades_the_position_stays_within_what_was_told(external, ours, orders):
    """As `External` books it: external first, then ours, and the rest is external."""
    others = ExternalOrders("zerodha")
    others.on_book(
        [row(str(number), side=side, quantity=units) for number, (side, units) in enumerate(orders)], TEN_NS
    )
    found = others.exposure({KEY: external}, {KEY: ours}).positions
    longest, shortest = (found[0].longest, found[0].shortest) if found else (0, 0)
    for chosen in ("BUY", "SELL"):
        there, mine = external, ours
        for side, units in orders:
            sign = 1 if side == "BUY" else -1
            for _ in range(units if side == chosen else 0):
                if there * sign >= 0 and mine * sign < 0:
                    mine += sign
                else:
                    there += sign
        assert -shortest <= there <= longest


def test_a_position_has_the_brokers_token_and_price_and_counts_without_them():
    others = ExternalOrders("zerodha")
    others.take(
        worths_of(
            [position(last_price=Decimal("1573.7000000000001"), average_price=Decimal(1500))],
            [
                HoldingRow(exchange="BSE", tradingsymbol="INFY", quantity=3, instrument_token=500209),
                HoldingRow(exchange="NSE", tradingsymbol="INFY", quantity=3, instrument_token=408065),
            ],
        )
    )
    held = others.exposure({KEY: 2, SHARES: 6, key_of("NSE", "TCS", MIS): -1}, {})
    assert held.positions == (
        ExternalPosition(
            exchange="", tradingsymbol="INFY", product=CNC, instrument_token=408065, longest=6, shortest=0
        ),
        ExternalPosition(
            exchange="NSE", tradingsymbol="INFY", product=MIS, instrument_token=408065, longest=2, shortest=0,
            last_price=Money("1573.7"),
        ),
        ExternalPosition(
            exchange="NSE", tradingsymbol="TCS", product=MIS, instrument_token=-3, longest=0, shortest=1
        ),
    )  # fmt: skip


def test_what_was_just_ordered_has_its_token_before_its_position_is_read():
    """Without it no limit of the instrument would count it until then."""
    others = ExternalOrders("zerodha")
    others.on_book([row(instrument_token=INFY.instrument_token)], TEN_NS)
    (found,) = others.exposure({KEY: 5}, {}).positions
    assert found.instrument_token == INFY.instrument_token
