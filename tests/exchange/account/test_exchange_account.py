"""The account as a whole: what it shows, and the fault that makes it disagree with its trades."""

import json

import pytest
from account_days import BUY, INFY, ITC, NOW, SELL, account, net, trade
from kite_shapes import published, unlike


def traded():
    one = account()
    one.on_trade(trade(INFY, BUY, 10, "1300.05", "MIS"))
    one.on_trade(trade(INFY, SELL, 4, "1311.10", "MIS"))
    one.on_trade(trade(ITC, BUY, 3, "305", "CNC"))
    return one


def test_positions_are_told_apart_by_exchange_symbol_and_product():
    one = traded()
    one.on_trade(trade(INFY, BUY, 1, "1300", "CNC"))
    rows = [(row["tradingsymbol"], row["product"], row["quantity"]) for row in one.positions(NOW)["net"]]
    assert rows == [("INFY", "MIS", 6), ("ITC", "CNC", 3), ("INFY", "CNC", 1)]
    assert [(listed.key, product, units) for listed, product, units in one.open_positions()] == [
        ("NSE:INFY", "MIS", 6),
        ("NSE:ITC", "CNC", 3),
        ("NSE:INFY", "CNC", 1),
    ]


def test_disagreeing_positions_have_one_lot_too_many_and_are_well_made():
    one = traded()
    true, false = one.positions(NOW), one.positions(NOW, disagree=True)
    assert false["net"][1:] == true["net"][1:]
    assert false["net"][0]["quantity"] == true["net"][0]["quantity"] + 1
    row = false["net"][0]
    worth = row["quantity"] * row["last_price"]
    assert row["pnl"] == pytest.approx(row["sell_value"] - row["buy_value"] + worth)
    assert one.positions(NOW) == true
    assert net(one, INFY, "MIS")["quantity"] == 6


def test_an_account_without_positions_can_disagree_too():
    one = account()
    assert one.positions(NOW) == {"net": [], "day": []}
    assert len(one.positions(NOW, disagree=True)["net"]) == 1
    assert one.positions(NOW) == {"net": [], "day": []}


def test_rows_have_the_names_and_types_of_kites_own():
    one = traded()
    assert unlike(json.loads(json.dumps(one.positions(NOW))), [published("positions")]) == []
    assert unlike(json.loads(json.dumps(one.holdings(NOW))), [published("holdings")]) == []
    assert unlike(json.loads(json.dumps(one.margins(NOW))), [published("margins")]) == []
