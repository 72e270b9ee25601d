"""Positions and holdings by the official client."""

import pytest
from kite_shapes import published, unlike
from kite_trader import DEAR, KEY, PATIENCE_S, SHARE, trading
from kiteconnect.exceptions import GeneralException, KiteException


def position(trader, key, product, which="net"):
    exchange, symbol = key.split(":")
    rows = trader.kite.positions()[which]
    found = [
        row
        for row in rows
        if (row["exchange"], row["tradingsymbol"], row["product"]) == (exchange, symbol, product)
    ]
    assert len(found) <= 1
    return found[0] if found else None


def adds_up(row, close):
    """Kite's identities between the figures of a row; `close` is yesterday's, for what was held overnight."""
    held = row["quantity"] * row["last_price"] * row["multiplier"]
    overnight = row["overnight_quantity"] * close * row["multiplier"]
    figures = {
        "quantity": row["buy_quantity"] - row["sell_quantity"],
        "value": row["sell_value"] - row["buy_value"],
        "pnl": row["value"] + held,
        "m2m": row["sell_m2m"] - row["buy_m2m"] + held,
        "unrealised": row["pnl"],
        "realised": 0,
        "buy_m2m": max(overnight, 0) + row["day_buy_value"],
        "sell_m2m": max(-overnight, 0) + row["day_sell_value"],
        "buy_value": row["buy_quantity"] * row["buy_price"] * row["multiplier"],
        "sell_value": row["sell_quantity"] * row["sell_price"] * row["multiplier"],
    }
    found = {name: row[name] for name in figures}
    assert found == pytest.approx(figures, rel=1e-7, abs=0.005)


def test_positions_are_what_kite_answers_and_add_up(trader):
    trader.filled(SHARE, quantity=7)
    trader.filled(SHARE, "SELL", quantity=3)
    trader.filled(DEAR, quantity=2, product="MIS")
    trader.filled(DEAR, "SELL", quantity=2, product="MIS")
    trader.kite.positions()
    assert unlike(trader.data, [published("positions")]) == []
    for rows in trader.data.values():
        for row in rows:
            adds_up(row, row["close_price"])
            if row["quantity"] == 0:
                assert row["average_price"] == 0


def test_a_position_of_lots_counts_units_in_its_money(trader):
    """One lot of USDINR is a thousand dollars: quantities are in lots, money in rupees."""
    key = trader.first("CDS", "FUT")
    row = trader.filled(key, product="NRML")
    held = position(trader, key, "NRML")
    assert held["multiplier"] == 1000
    assert held["quantity"] >= 1
    assert held["day_buy_value"] == pytest.approx(held["day_buy_quantity"] * held["day_buy_price"] * 1000)
    assert row["average_price"] < 1000


def test_a_short_position_of_the_day_gains_when_the_price_falls(trader):
    trader.filled(DEAR, "SELL", quantity=5, product="MIS")
    held = position(trader, DEAR, "MIS")
    assert held["quantity"] == -5
    assert held["average_price"] > 0
    adds_up(held, held["close_price"])
    trader.filled(DEAR, "BUY", quantity=5, product="MIS")
    assert position(trader, DEAR, "MIS")["quantity"] == 0  # the row remains for the day


def test_a_position_of_the_day_is_converted_to_delivery(trader):
    trader.filled(DEAR, quantity=6, product="MIS")
    before = position(trader, DEAR, "CNC")
    exchange, symbol = DEAR.split(":")
    assert trader.kite.convert_position(exchange, symbol, "BUY", "day", 4, "MIS", "CNC") is True
    assert position(trader, DEAR, "MIS")["quantity"] == 2
    assert position(trader, DEAR, "CNC")["quantity"] == (before["quantity"] if before else 0) + 4


def test_more_than_there_is_cannot_be_converted(trader):
    exchange, symbol = DEAR.split(":")
    with pytest.raises(KiteException) as refused:
        trader.kite.convert_position(exchange, symbol, "BUY", "day", 10_000, "MIS", "CNC")
    assert refused.value.code == 400
    assert str(refused.value)


def test_no_auction_is_held(trader):
    assert trader.kite.get_auction_instruments() == []


@pytest.fixture(scope="module")
def morrow(tmp_path_factory):
    """The trading day after ten shares were bought for delivery and one lot of a future was carried."""
    with trading(tmp_path_factory.mktemp("morrow"), "--cash", 10_000_000, "--no-ddpi") as trader:
        future = trader.first("NFO", "FUT")
        bought = trader.filled(SHARE, quantity=10)
        trader.filled(future, quantity=trader.listed(future)["lot_size"], product="NRML")
        trader.step(24 * 3600 + 600)
        trader.log_in()
        yield trader, bought, future


def test_what_was_bought_for_delivery_is_a_holding_of_the_next_day(morrow):
    trader, bought, _ = morrow
    trader.kite.holdings()
    assert unlike(trader.data, [published("holdings")]) == []
    (row,) = (row for row in trader.data if row["tradingsymbol"] == "INFY")
    assert row["average_price"] == pytest.approx(bought["average_price"])
    assert row["quantity"] + row["t1_quantity"] >= 10
    assert row["pnl"] == pytest.approx(
        (row["last_price"] - row["average_price"]) * (row["quantity"] + row["t1_quantity"]), abs=0.01
    )
    assert row["day_change"] == pytest.approx(row["last_price"] - row["close_price"])
    assert row["day_change_percentage"] == pytest.approx(row["day_change"] * 100 / row["close_price"])


def test_what_was_carried_is_a_position_of_the_next_day_and_the_book_is_empty(morrow):
    trader, _, future = morrow
    held = position(trader, future, "NRML")
    lot = trader.listed(future)["lot_size"]
    assert (held["quantity"], held["overnight_quantity"], held["day_buy_quantity"]) == (lot, lot, 0)
    adds_up(held, held["close_price"])
    assert held["close_price"] > 0
    assert (trader.kite.orders(), trader.kite.trades()) == ([], [])


def test_a_holding_is_sold_once_the_depository_has_been_asked(morrow):
    """The account gives the broker no leave of its own (DDPI): HTTP 428, and a page to open in a browser."""
    trader, _, _ = morrow
    trader.step(24 * 3600)  # until it is settled
    trader.log_in()
    with pytest.raises(
        GeneralException, match=r"^10 quantity needs authorisation at depository\.$"
    ) as refused:
        trader.place(SHARE, "SELL", quantity=10)
    assert (refused.value.code, trader.reply.json()["error_type"]) == (428, "HoldingException")
    (row,) = (row for row in trader.kite.holdings() if row["tradingsymbol"] == "INFY")
    login = {"Authorization": f"token {KEY}:{trader.kite.access_token}"}
    form = {"isin": row["isin"], "quantity": 10}
    path = f"{trader.url}/portfolio/holdings/authorise"
    asked = trader.owner.post(path, data=form, headers=login, timeout=PATIENCE_S)
    page = f"{trader.url}/connect/portfolio/authorise/holdings/{KEY}/{asked.json()['data']['request_id']}"
    assert trader.owner.get(page, timeout=PATIENCE_S).status_code == 200
    (row,) = (row for row in trader.kite.holdings() if row["tradingsymbol"] == "INFY")
    assert row["authorised_quantity"] == 10


def test_a_holding_that_is_sold_is_a_negative_position_of_the_day(morrow):
    """Kite shows both: holdings drop and a position of the other sign appears."""
    trader, _, _ = morrow
    trader.filled(SHARE, "SELL", quantity=4)
    assert position(trader, SHARE, "CNC")["quantity"] == -4
    (row,) = (row for row in trader.kite.holdings() if row["tradingsymbol"] == "INFY")
    assert row["used_quantity"] == 4
