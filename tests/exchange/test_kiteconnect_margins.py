"""Margins and charges of orders that nobody has placed yet, by the official client."""

import pytest
from kite_shapes import published, unlike
from kite_trader import DEAR, SHARE
from kiteconnect.exceptions import KiteException

PARTS = ("transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "brokerage", "stamp_duty")
VECTORS = {
    # Of April 2026, by hand from the published rates: brokerage, tax, exchange, SEBI, GST, stamp.
    ("NSE", "EQ", "CNC", "BUY", 10, 1500): (0, 15, 0.4605, 0.015, 0.0855873, 2.25),
    ("NSE", "EQ", "CNC", "SELL", 10, 1500): (0, 15, 0.4605, 0.015, 0.0855873, 0),
    ("NSE", "EQ", "MIS", "BUY", 10, 1500): (4.5, 0, 0.4605, 0.015, 0.8955873, 0.45),
    ("NSE", "EQ", "MIS", "SELL", 10, 1500): (4.5, 3.75, 0.4605, 0.015, 0.8955873, 0),
    ("NFO", "FUT", "NRML", "BUY", 65, 26000): (20, 0, 30.927, 1.69, 9.4707558, 33.8),
    ("NFO", "FUT", "NRML", "SELL", 65, 26000): (20, 845, 30.927, 1.69, 9.4707558, 0),
    ("NFO", "CE", "NRML", "BUY", 65, 100): (20, 0, 2.30945, 0.0065, 4.01686983, 0.195),
    ("NFO", "CE", "NRML", "SELL", 65, 100): (20, 9.75, 2.30945, 0.0065, 4.01686983, 0),
}


def asked(key, side="BUY", quantity=1, **fields):
    """One order as the calls for margins and charges take it."""
    exchange, symbol = key.split(":")
    return {
        "exchange": exchange,
        "tradingsymbol": symbol,
        "transaction_type": side,
        "variety": "regular",
        "product": "CNC",
        "order_type": "MARKET",
        "quantity": quantity,
        "price": 0,
        "trigger_price": 0,
    } | fields


def of_nifty(trader, kind):
    """NIFTY's first future or option: its lot is 65, as in the vectors."""
    row = next(row for row in trader.every("NFO") if (row["name"], row["instrument_type"]) == ("NIFTY", kind))
    return f"NFO:{row['tradingsymbol']}"


def test_margins_of_orders_are_what_kite_answers(trader):
    future, call = of_nifty(trader, "FUT"), of_nifty(trader, "CE")
    orders = [
        asked(SHARE, quantity=10, order_type="LIMIT", price=1300),
        asked(SHARE, quantity=10, product="MIS"),
        asked(future, quantity=65, product="NRML"),
        asked(call, quantity=65, product="NRML"),
        asked(trader.first("MCX", "FUT"), product="NRML"),
    ]
    margins = trader.kite.order_margins(orders)
    assert unlike(margins, [published("order_margins")]) == []
    assert [row["tradingsymbol"] for row in margins] == [order["tradingsymbol"] for order in orders]
    assert [row["type"] for row in margins] == ["equity"] * 4 + ["commodity"]
    delivery, within_the_day, of_future, of_call, _ = margins
    assert delivery["total"] == 13000
    assert 0 < within_the_day["total"] < delivery["total"]
    assert of_future["span"] > 0
    assert of_future["exposure"] > 0
    assert of_call["option_premium"] > 0
    for row in margins:
        parts = ("span", "exposure", "option_premium", "additional", "bo", "cash", "var")
        assert row["total"] == pytest.approx(sum(row[part] for part in parts))
        assert row["total"] > 0


def test_a_hedged_basket_needs_less_than_its_orders_alone(trader):
    calls = [row for row in trader.every("NFO") if (row["name"], row["instrument_type"]) == ("NIFTY", "CE")]
    near = sorted(
        (row for row in calls if row["expiry"] == calls[0]["expiry"]), key=lambda row: row["strike"]
    )
    low, high = near[len(near) // 2], near[len(near) // 2 + 1]
    basket = [
        asked(f"NFO:{low['tradingsymbol']}", "SELL", 65, product="NRML"),
        asked(f"NFO:{high['tradingsymbol']}", "BUY", 65, product="NRML"),
    ]
    margins = trader.kite.basket_order_margins(basket, consider_positions=False)
    assert unlike(margins, [published("basket_margins")]) == []
    assert [row["tradingsymbol"] for row in margins["orders"]] == [
        low["tradingsymbol"],
        high["tradingsymbol"],
    ]
    assert margins["final"]["total"] <= margins["initial"]["total"]
    compact = trader.kite.basket_order_margins(basket, mode="compact")
    assert compact["final"]["total"] > 0


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: "-".join(map(str, vector[:4])))
def test_charges_are_the_published_rates(trader, vector):
    _, kind, product, side, quantity, price = vector
    key = SHARE if kind == "EQ" else of_nifty(trader, kind)
    order = asked(key, side, quantity, product=product, order_id="mine", average_price=price)
    (note,) = trader.kite.get_virtual_contract_note([order])
    brokerage, tax, turnover, sebi, gst, stamp = VECTORS[vector]
    charges = note["charges"]
    found = [charges[part] for part in PARTS[:-1]]
    assert found == pytest.approx([tax, turnover, sebi, brokerage])
    assert charges["gst"]["total"] == pytest.approx(gst)
    assert charges["stamp_duty"] in (pytest.approx(stamp), round(stamp), int(stamp))
    assert charges["total"] == pytest.approx(sum(charges[part] for part in PARTS) + charges["gst"]["total"])
    assert charges["transaction_tax_type"] == "stt"
    assert (note["price"], note["quantity"], note["transaction_type"]) == (price, quantity, side)


def test_a_contract_note_is_what_kite_answers(trader):
    """Kite's published notes are of the same row as its margins: what charges are made of."""
    order = asked(DEAR, quantity=2, order_id="mine", average_price=2500)
    (note,) = trader.kite.get_virtual_contract_note([order])
    (example,) = published("order_margins")
    assert unlike(note["charges"], [example["charges"]]) == []
    names = (
        "transaction_type",
        "tradingsymbol",
        "exchange",
        "variety",
        "product",
        "order_type",
        "quantity",
        "price",
    )
    assert set(note) == {*names, "charges"}


@pytest.mark.parametrize("method", ["order_margins", "basket_order_margins", "get_virtual_contract_note"])
def test_orders_that_cannot_be_have_no_margins(trader, method):
    wrongs = (
        asked("NSE:NOSUCH"),
        asked(SHARE, quantity=0),
        asked(SHARE, product="XYZ"),
        asked(SHARE, price="nan", average_price="nan"),
        asked(SHARE, price=-1, average_price=-1),
        asked(SHARE, price="1e400", average_price="inf"),
        {"exchange": "NSE"},
    )
    for wrong in wrongs:
        with pytest.raises(KiteException) as refused:
            getattr(trader.kite, method)([wrong])
        assert refused.value.code == 400
        assert str(refused.value)
