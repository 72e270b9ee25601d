"""Orders by the official client: each kind there is, what becomes of it, and the rows that tell of it."""

import re
from datetime import datetime

import pytest
from kite_shapes import published, unlike
from kite_trader import DEAR, SHARE, trading
from kiteconnect.exceptions import InputException, KiteException

NEVER_PLACED = ("PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING")
PLACED = [*NEVER_PLACED, "OPEN"]


def fields_of(row, names):
    return {name: row[name] for name in names}


def shaped(rows):
    """Where rows of a book differ from Kite's."""
    return unlike(rows, [published("orders")])


def shaped_history(rows):
    """Where rows of one order's history differ from Kite's.

    The published one is of 2017: keys that orders have been given since are those of the published book.
    """
    since = {key for row in published("orders") for key in row}
    return unlike(rows, [published("order_info")], more=since)


MARKETS = {
    "a share": ("NSE", "EQ", "CNC"),
    "a share within the day": ("NSE", "EQ", "MIS"),
    "a share on margin": ("NSE", "EQ", "MTF"),
    "a share on BSE": ("BSE", "EQ", "CNC"),
    "a future": ("NFO", "FUT", "NRML"),
    "a call": ("NFO", "CE", "MIS"),
    "a put": ("NFO", "PE", "NRML"),
    "a currency's future": ("CDS", "FUT", "NRML"),
    "a commodity's future": ("MCX", "FUT", "NRML"),
}


@pytest.mark.parametrize("market", MARKETS)
def test_a_market_order_of_each_market_and_product_trades(trader, market):
    exchange, kind, product = MARKETS[market]
    key = SHARE if (exchange, kind) == ("NSE", "EQ") else trader.first(exchange, kind)
    listed = trader.listed(key)
    quantity = 1 if exchange in ("CDS", "BCD", "MCX") else listed["lot_size"]
    tag = "conforms"
    order_id = trader.place(key, quantity=quantity, product=product, tag=tag)
    assert re.fullmatch(r"\d{19}", order_id)
    row = trader.until(order_id, "COMPLETE")
    assert shaped([row]) == []
    asked = {
        "exchange": exchange,
        "tradingsymbol": key.split(":")[1],
        "instrument_token": listed["instrument_token"],
        "transaction_type": "BUY",
        "product": product,
        "quantity": quantity,
        "variety": "regular",
        "validity": "DAY",
        "tag": tag,
        "trigger_price": 0,
    }
    assert fields_of(row, asked) == asked
    assert (row["filled_quantity"], row["pending_quantity"], row["cancelled_quantity"]) == (quantity, 0, 0)
    assert row["average_price"] > 0
    assert tag in row["tags"]


def test_a_market_order_becomes_a_limit_at_its_protection_price(trader):
    """So the book may call it a LIMIT: what it was asked as is told by its tags."""
    row = trader.filled(SHARE, market_protection=2)
    assert row["order_type"] in ("LIMIT", "MARKET")
    assert {"mktp", "mktp:2.00"} <= set(row["tags"])


def test_a_limit_order_rests_passes_every_status_and_is_cancelled(trader):
    price = trader.price(SHARE, 0.95)
    order_id = trader.place(SHARE, quantity=2, order_type="LIMIT", price=price, validity="DAY")
    row = trader.until(order_id, "OPEN")
    assert (row["price"], row["order_type"], row["pending_quantity"]) == (price, "LIMIT", 2)
    assert row["exchange_order_id"]
    assert trader.kite.cancel_order("regular", order_id) == order_id
    row = trader.until(order_id, "CANCELLED")
    assert (row["filled_quantity"], row["average_price"]) == (0, 0)
    history = trader.kite.order_history(order_id)
    assert shaped_history(trader.data) == []
    statuses = [row["status"] for row in history]
    assert statuses[:4] == PLACED
    assert statuses[-2:] == ["CANCEL PENDING", "CANCELLED"]
    assert {row["order_id"] for row in history} == {order_id}
    assert all(isinstance(row["order_timestamp"], datetime) for row in history)


def test_only_the_exchange_gives_an_exchange_order_id(trader):
    order_id = trader.place(SHARE, order_type="LIMIT", price=trader.price(SHARE, 0.95))
    trader.until(order_id, "OPEN")
    for row in trader.kite.order_history(order_id):
        before = row["status"] in NEVER_PLACED
        assert (row["exchange_order_id"] is None, row["exchange_timestamp"] is None) == (before, before)
    trader.kite.cancel_order("regular", order_id)


def test_a_cancelled_order_keeps_what_it_has_traded(trader):
    """Kite's row is CANCELLED with a filled quantity; what is pending or cancelled of it differs there."""
    row = trader.in_parts(DEAR, 40)
    order_id = row["order_id"]
    assert 0 < row["filled_quantity"] < 40
    trader.kite.cancel_order("regular", order_id)
    row = trader.until(order_id, "CANCELLED")
    assert 0 < row["filled_quantity"] < 40
    assert row["filled_quantity"] + row["cancelled_quantity"] == 40
    assert 0 < row["average_price"] <= row["price"]
    assert sum(trade["quantity"] for trade in trader.kite.order_trades(order_id)) == row["filled_quantity"]


def test_what_else_the_client_may_send_is_taken(trader):
    price = trader.price(SHARE, 0.95)
    order_id = trader.place(
        SHARE,
        quantity=100,
        order_type="LIMIT",
        price=price,
        disclosed_quantity=20,
        algo_id="algo",
        tag="x" * 20,
    )
    row = trader.until(order_id, "OPEN")
    assert (row["disclosed_quantity"], row["tag"]) == (20, "x" * 20)
    trader.kite.modify_order("regular", order_id, parent_order_id="1", disclosed_quantity=50, validity="DAY")
    trader.step(2)
    assert trader.row(order_id)["disclosed_quantity"] == 50
    assert trader.kite.cancel_order("regular", order_id, parent_order_id="1") == order_id


def test_an_order_is_modified_as_kites_history_of_one_tells(trader):
    first, second = trader.price(SHARE, 0.95), trader.price(SHARE, 0.96)
    order_id = trader.place(SHARE, quantity=2, order_type="LIMIT", price=first)
    trader.until(order_id, "OPEN")
    assert trader.kite.modify_order("regular", order_id, quantity=3, price=second) == order_id
    trader.step(2)
    row = trader.row(order_id)
    assert (row["status"], row["price"], row["quantity"], row["modified"]) == ("OPEN", second, 3, True)
    history = trader.kite.order_history(order_id)
    assert shaped_history(trader.data) == []
    told = [row["status"] for row in published("order_info")]
    assert [row["status"] for row in history] == told
    assert [row["price"] for row in history] == [first] * 7 + [second]  # only the last row has the new price
    trader.kite.cancel_order("regular", order_id)


def test_a_limit_order_becomes_a_market_order_with_protection(trader):
    order_id = trader.place(SHARE, order_type="LIMIT", price=trader.price(SHARE, 0.95))
    trader.until(order_id, "OPEN")
    with pytest.raises(KiteException) as refused:
        trader.kite.modify_order("regular", order_id, order_type="MARKET")
    assert refused.value.code == 400
    trader.kite.modify_order("regular", order_id, order_type="MARKET", market_protection=-1)
    assert trader.until(order_id, "COMPLETE")["filled_quantity"] == 1


def test_an_order_that_nobody_meets_at_once_is_cancelled_when_it_may_not_wait(trader):
    order_id = trader.place(SHARE, order_type="LIMIT", price=trader.price(SHARE, 0.95), validity="IOC")
    row = trader.until(order_id, "CANCELLED")
    assert (row["validity"], row["filled_quantity"]) == ("IOC", 0)


def test_an_order_of_two_minutes_is_cancelled_after_them(trader):
    order_id = trader.place(
        SHARE, order_type="LIMIT", price=trader.price(SHARE, 0.95), validity="TTL", validity_ttl=2
    )
    row = trader.until(order_id, "OPEN")
    assert (row["validity"], row["validity_ttl"]) == ("TTL", 2)
    trader.step(110)
    assert trader.row(order_id)["status"] == "OPEN"
    trader.step(15)
    assert trader.until(order_id, "CANCELLED")["filled_quantity"] == 0


@pytest.mark.parametrize(
    ("order_type", "side"), [("SL", "BUY"), ("SL", "SELL"), ("SL-M", "BUY"), ("SL-M", "SELL")]
)
def test_a_stop_waits_for_its_trigger(trader, order_type, side):
    if side == "SELL":
        trader.filled(SHARE, product="MIS")
    part, beyond = (1.03, 1.04) if side == "BUY" else (0.97, 0.96)
    trigger = trader.price(SHARE, part)
    price = {"price": trader.price(SHARE, beyond)} if order_type == "SL" else {}
    order_id = trader.place(SHARE, side, order_type=order_type, product="MIS", trigger_price=trigger, **price)
    row = trader.until(order_id, "TRIGGER PENDING")
    assert shaped([row]) == []
    assert (row["trigger_price"], row["filled_quantity"], row["pending_quantity"]) == (trigger, 0, 1)
    trader.kite.cancel_order("regular", order_id)
    trader.until(order_id, "CANCELLED")


def test_a_stop_trades_once_the_price_is_there(trader):
    """One lies a tick above the last price and one a tick below: the next move reaches one of them."""
    tick, last = trader.listed(SHARE)["tick_size"], trader.price(SHARE)
    stops = [
        trader.place(
            SHARE,
            side,
            order_type="SL",
            product="MIS",
            trigger_price=round(last + sign * tick, 2),
            price=round(last + sign * 20 * tick, 2),
        )
        for side, sign in (("BUY", 1), ("SELL", -1))
    ]
    for _ in range(600):
        trader.step(1)
        rows = [trader.row(order_id) for order_id in stops]
        if "COMPLETE" in [row["status"] for row in rows]:
            break
    traded = next(row for row in rows if row["status"] == "COMPLETE")
    sign = 1 if traded["transaction_type"] == "BUY" else -1
    assert sign * traded["average_price"] <= sign * traded["price"]
    statuses = [row["status"] for row in trader.kite.order_history(traded["order_id"])]
    assert statuses.index("TRIGGER PENDING") < statuses.index("OPEN") < statuses.index("COMPLETE")
    for row in rows:
        if row["status"] == "TRIGGER PENDING":
            trader.kite.cancel_order("regular", row["order_id"])


def test_an_iceberg_shows_one_leg_at_a_time(trader):
    order_id = trader.place(
        SHARE,
        quantity=1000,
        order_type="LIMIT",
        price=trader.price(SHARE, 1.005),
        variety="iceberg",
        iceberg_legs=5,
        iceberg_quantity=200,
    )
    row = trader.until(order_id, "OPEN", "COMPLETE")
    assert shaped([row]) == []
    assert (row["variety"], row["quantity"]) == ("iceberg", 200)
    leg = {"leg": 1, "legs": 5, "leg_quantity": 200, "total_quantity": 1000, "remaining_quantity": 800}
    assert row["meta"]["iceberg"] == leg


def test_an_iceberg_of_one_leg_is_refused(trader):
    with pytest.raises(KiteException) as refused:
        trader.place(
            SHARE,
            quantity=10,
            order_type="LIMIT",
            price=1000,
            variety="iceberg",
            iceberg_legs=1,
            iceberg_quantity=10,
        )
    assert refused.value.code == 400


def test_an_order_above_the_freeze_quantity_is_sliced(trader):
    key = next(
        f"NFO:{row['tradingsymbol']}"
        for row in trader.every("NFO")
        if row["instrument_type"] == "FUT" and row["name"] == "NIFTY"
    )
    exchange, symbol = key.split(":")
    answer = trader.kite.place_autoslice_order(
        "regular",
        exchange,
        symbol,
        "BUY",
        65 * 27 * 2 + 65,
        "NRML",
        "LIMIT",
        price=trader.price(key, 0.98),
        tag="sliced",
    )
    assert unlike(answer, [published("autoslice_response")]) == []
    children = [child["order_id"] for child in answer["children"]]
    assert len(children) == 3
    rows = [trader.until(child, "OPEN") for child in children]
    assert [row["quantity"] for row in rows] == [1755, 1755, 65]
    for row in rows:
        assert shaped([row]) == []
        assert {"autoslice", f"autoslice:{answer['order_id']}"} <= set(row["tags"])
        trader.kite.cancel_order("regular", row["order_id"])


def test_trades_tell_what_was_done_for_how_much(trader):
    row = trader.filled(DEAR, quantity=40, tag="told")
    trades = trader.kite.order_trades(row["order_id"])
    assert unlike(trader.data, [published("order_trades")]) == []
    assert unlike(trader.data, [published("trades")]) == []
    assert sum(trade["quantity"] for trade in trades) == 40
    paid = sum(trade["quantity"] * trade["average_price"] for trade in trades)
    assert row["average_price"] == pytest.approx(paid / 40)
    assert {trade["exchange_order_id"] for trade in trades} == {row["exchange_order_id"]}
    assert all(isinstance(trade["fill_timestamp"], datetime) for trade in trades)
    everything = trader.kite.trades()
    assert unlike(trader.data, [published("trades")]) == []
    assert [trade for trade in everything if trade["order_id"] == row["order_id"]] == trades
    assert len({trade["trade_id"] for trade in everything}) == len(everything)


def test_the_book_is_of_the_day_and_shaped_as_kites(trader):
    trader.filled(SHARE)
    book = trader.kite.orders()
    assert shaped(trader.data) == []
    assert all(isinstance(row["order_timestamp"], datetime) for row in book)
    assert [row["order_id"] for row in book] == sorted(row["order_id"] for row in book)


def test_answers_to_orders_are_an_id_and_no_more(trader):
    order_id = trader.place(SHARE, order_type="LIMIT", price=trader.price(SHARE, 0.95))
    assert unlike(trader.data, [published("order_response")]) == []
    trader.until(order_id, "OPEN")
    trader.kite.modify_order("regular", order_id, quantity=2)
    assert unlike(trader.data, [published("order_modify")]) == []
    trader.step(2)
    trader.kite.cancel_order("regular", order_id)
    assert unlike(trader.data, [published("order_cancel")]) == []


def test_exiting_an_order_is_cancelling_it(trader):
    """`exit_order` is for cover orders, and the same call as a cancel."""
    order_id = trader.place(SHARE, order_type="LIMIT", price=trader.price(SHARE, 0.95))
    trader.until(order_id, "OPEN")
    assert trader.kite.exit_order("regular", order_id) == order_id
    trader.until(order_id, "CANCELLED")


@pytest.mark.parametrize(
    ("variety", "fields"),
    [("co", {"trigger_price": 1000}), ("auction", {"auction_number": "22"}), ("bo", {})],
)
def test_varieties_that_are_not_offered_are_refused_with_a_reason(trader, variety, fields):
    with pytest.raises(InputException) as refused:
        trader.place(SHARE, "SELL", order_type="LIMIT", price=trader.price(SHARE), variety=variety, **fields)
    assert refused.value.code == 400
    assert str(refused.value)


def test_an_order_placed_after_the_close_waits_for_the_next_days_open(tmp_path):
    with trading(tmp_path) as trader:
        trader.step(9 * 3600)  # 18:15
        price = trader.price(SHARE, 1.02)
        order_id = trader.place(SHARE, order_type="LIMIT", price=price, variety="amo")
        row = trader.until(order_id, "AMO REQ RECEIVED")
        assert shaped([row]) == []
        assert row["variety"] == "amo"
        regular = trader.until(trader.place(SHARE, order_type="LIMIT", price=price), "REJECTED")
        assert "closed" in regular["status_message"]
        trader.admin("clock", {"to": "2026-04-16T09:16:00"})
        trader.log_in()
        assert trader.until(order_id, "COMPLETE")["variety"] == "amo"
