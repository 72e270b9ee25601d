"""Margins and charges before an order is placed."""

import pytest
from account_days import BUY, INFY, NOW, account, order, trade

from alphapanda.exchange.calls import Refusal


def asked(**changes):
    return {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "variety": "regular",
        "product": "CNC",
        "order_type": "LIMIT",
        "quantity": 10,
        "price": 1500.0,
        "trigger_price": 0,
        "average_price": 1500,
    } | changes


def test_the_total_of_an_order_is_what_its_refusal_names():
    one = account(5_000)
    (row,) = one.estimates.order_margins([asked(price=1300)], NOW)
    message, _ = one.refuse(order(INFY, BUY, 10, "1300"), NOW)
    assert f"Required margin is {row['total']:.2f} but" in message
    assert (row["var"], row["total"], row["leverage"], row["type"]) == (13000, 13000, 1, "equity")


def test_an_order_that_closes_a_position_needs_nothing():
    one = account()
    one.on_trade(trade(INFY, BUY, 10, "1300", "MIS"))
    closing = asked(transaction_type="SELL", product="MIS")
    opening = asked(product="MIS")
    rows = one.estimates.order_margins([closing, opening], NOW)
    assert [row["total"] for row in rows] == [0, 3000]
    assert [row["leverage"] for row in rows] == [5, 5]


def test_a_basket_is_less_than_the_sum_of_its_orders_where_they_offset():
    one = account()
    basket = [asked(product="MIS"), asked(product="MIS", transaction_type="SELL", quantity=4)]
    answer = one.estimates.basket_margins(basket, NOW)
    assert answer["initial"]["total"] == 3000 + 1200
    assert answer["final"]["total"] == answer["final"]["var"] == 3000
    assert [row["total"] for row in answer["orders"]] == [3000, 1200]
    one.on_trade(trade(INFY, BUY, 4, "1300", "MIS"))
    sells = basket[1:]
    assert one.estimates.basket_margins(sells, NOW)["final"]["total"] == 0
    assert one.estimates.basket_margins(sells, NOW, held=False)["final"]["total"] == 1200


def test_compact_answers_have_the_totals_alone():
    one = account()
    (row,) = one.estimates.order_margins([asked()], NOW, compact=True)
    assert row == {"type": "equity", "tradingsymbol": "INFY", "exchange": "NSE", "total": 15000}
    assert one.estimates.basket_margins([asked()], NOW, compact=True)["orders"] == [row]


def test_charges_are_unrounded_and_add_up():
    (note,) = account().estimates.charges([asked()], NOW)
    charges = note["charges"]
    assert charges["total"] == 17.8110873
    assert charges["gst"] == {"igst": 0.0855873, "cgst": 0, "sgst": 0, "total": 0.0855873}
    assert (charges["transaction_tax"], charges["stamp_duty"], note["price"]) == (15, 2.25, 1500)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "array"),
        (None, "a JSON list of orders"),
        ([{"exchange": "NSE"}], "tradingsymbol"),
        ([asked(quantity=0)], "quantity"),
        ([asked(quantity="many")], "quantity"),
        ([asked(tradingsymbol="NOSUCH")], "tradingsymbol"),
        ([asked(tradingsymbol="NIFTY 50")], "tradingsymbol"),
        ([asked(product="NRML")], "product"),
        ([asked(transaction_type="HOLD")], "HOLD"),
        ([asked(average_price=0)], "average_price"),
        ([asked()] * 501, "500"),
    ],
)
def test_what_cannot_be_calculated_is_refused(body, words):
    with pytest.raises(Refusal) as refused:
        account().estimates.charges(body, NOW)
    assert (refused.value.code, refused.value.error_type) == (400, "InputException")
    assert words in refused.value.message


def test_numbers_may_be_text():
    rows = account().estimates.order_margins([asked(quantity="10", price="1500")], NOW)
    assert rows[0]["total"] == 15000
