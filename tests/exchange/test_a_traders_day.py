"""A whole day of one trader's program: the exchange's answers and its own history tell the same."""

from collections import defaultdict
from decimal import Decimal

import pytest
from kite_ticker import ticking
from kite_trader import DEAR, KEY, SHARE, trading
from running import eventually


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The trader in the evening, what the ticker told, and the orders of the day by what became of them."""
    folder = tmp_path_factory.mktemp("day")
    with (
        trading(folder, "--cash", 10_000_000) as trader,
        ticking(folder, trader.url, KEY, trader.kite.access_token) as ticker,
    ):
        eventually(lambda: ticker.of("open"), process=ticker.process)
        tokens = [trader.listed(key)["instrument_token"] for key in (SHARE, DEAR)]
        ticker.say("subscribe", tokens)
        orders = traded(trader)
        eventually(lambda: len(ticker.ticks()) > 20)
        ticker.say("unsubscribe", tokens)  # the rest of the day is long
        trader.admin("clock", {"to": "15:45:00"})
        yield trader, ticker, orders


def traded(trader):
    """The day's orders, by name."""
    orders = {}
    future = trader.first("NFO", "FUT")
    lot = trader.listed(future)["lot_size"]
    orders["bought"] = trader.filled(SHARE, quantity=25)["order_id"]
    ask = trader.kite.quote(SHARE)[SHARE]["depth"]["sell"][0]
    orders["in parts"] = trader.place(
        SHARE, quantity=ask["quantity"] + 50, order_type="LIMIT", price=ask["price"], product="MIS"
    )
    trader.until(orders["in parts"], "OPEN", "COMPLETE")
    orders["sold"] = trader.filled(SHARE, "SELL", quantity=10)["order_id"]
    orders["carried"] = trader.filled(future, quantity=lot, product="NRML")["order_id"]
    orders["left to the broker"] = trader.filled(DEAR, "SELL", quantity=7, product="MIS")["order_id"]
    orders["too dear"] = trader.place(DEAR, quantity=30_000, order_type="LIMIT", price=trader.price(DEAR))
    trader.until(orders["too dear"], "REJECTED")
    orders["changed"] = trader.place(SHARE, quantity=5, order_type="LIMIT", price=trader.price(SHARE, 0.93))
    trader.until(orders["changed"], "OPEN")
    trader.kite.modify_order("regular", orders["changed"], quantity=6, price=trader.price(SHARE, 0.94))
    trader.step(2)
    trader.kite.cancel_order("regular", orders["changed"])
    trader.until(orders["changed"], "CANCELLED")
    orders["never met"] = trader.place(DEAR, order_type="LIMIT", price=trader.price(DEAR, 0.92))
    trader.until(orders["never met"], "OPEN")
    for _ in range(10):
        trader.step(60)
    return orders


def rows(trader, call):
    """What the client asks, as it came on the wire."""
    call()
    return trader.data


def test_every_interim_status_is_passed(day):
    trader, _, orders = day
    statuses = {
        name: [row["status"] for row in trader.kite.order_history(order_id)]
        for name, order_id in orders.items()
    }
    placed = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN"]
    assert statuses["bought"][:4] == placed
    assert statuses["bought"][-1] == "COMPLETE"
    modified = ["MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED", "OPEN"]
    assert statuses["changed"] == [*placed, *modified, "CANCEL PENDING", "CANCELLED"]
    assert statuses["too dear"][-1] == "REJECTED"
    assert "OPEN" not in statuses["too dear"]
    assert statuses["never met"][-1] == "CANCELLED"  # at the close


def test_an_order_larger_than_the_best_offer_fills_in_parts(day):
    trader, _, orders = day
    trades = trader.kite.order_trades(orders["in parts"])
    filled = [row["filled_quantity"] for row in trader.kite.order_history(orders["in parts"])]
    assert len(trades) >= 2
    assert sorted(filled) == filled
    assert any(0 < quantity < filled[-1] for quantity in filled)


def test_what_the_trader_left_within_the_day_the_broker_has_closed(day):
    trader, _, _ = day
    for row in trader.kite.positions()["net"]:
        assert row["product"] != "MIS" or row["quantity"] == 0
    squared = [line for line in trader.history("order") if line.get("by") == "rms"]
    assert squared


def test_the_book_is_the_exchanges_own_history_row_by_row(day):
    trader, _, _ = day
    book = rows(trader, trader.kite.orders)
    last = {}
    for line in trader.history("order"):
        last[line["order_id"]] = line
    assert len(book) == len(last)
    for row in book:
        written = last[row["order_id"]]
        assert {name: written[name] for name in row} == row


def test_every_order_has_ended_by_the_evening(day):
    trader, _, _ = day
    for row in trader.kite.orders():
        assert row["status"] in ("COMPLETE", "CANCELLED", "REJECTED"), row


def test_trades_are_the_exchanges_own_history_row_by_row(day):
    trader, _, _ = day
    trades = rows(trader, trader.kite.trades)
    written = trader.history("trade")
    assert len(trades) == len(written)
    for row, line in zip(trades, written, strict=True):
        assert {name: line[name] for name in row} == row


def test_positions_are_the_sum_of_the_trades_to_the_paisa(day):
    trader, _, _ = day
    units = {"BUY": defaultdict(int), "SELL": defaultdict(int)}
    money = {"BUY": defaultdict(Decimal), "SELL": defaultdict(Decimal)}
    for trade in rows(trader, trader.kite.trades):
        key = trade["exchange"], trade["tradingsymbol"], trade["product"]
        units[trade["transaction_type"]][key] += trade["quantity"]
        money[trade["transaction_type"]][key] += trade["quantity"] * Decimal(str(trade["average_price"]))
    positions = rows(trader, trader.kite.positions)
    assert positions["net"]
    for which in ("net", "day"):
        found = {(row["exchange"], row["tradingsymbol"], row["product"]): row for row in positions[which]}
        assert set(found) == {*units["BUY"], *units["SELL"]}
        for key, row in found.items():
            for side in ("buy", "sell"):
                assert row[f"{side}_quantity"] == units[side.upper()][key], (key, side)
                value = Decimal(str(row[f"{side}_value"]))
                assert abs(value - money[side.upper()][key] * row["multiplier"]) < Decimal("0.005"), (
                    key,
                    side,
                )


def test_an_orders_average_price_is_that_of_its_trades(day):
    trader, _, _ = day
    paid, traded = defaultdict(Decimal), defaultdict(int)
    for trade in rows(trader, trader.kite.trades):
        paid[trade["order_id"]] += trade["quantity"] * Decimal(str(trade["average_price"]))
        traded[trade["order_id"]] += trade["quantity"]
    for row in rows(trader, trader.kite.orders):
        assert row["filled_quantity"] == traded[row["order_id"]]
        if row["filled_quantity"]:
            average = paid[row["order_id"]] / row["filled_quantity"]
            assert abs(Decimal(str(row["average_price"])) - average) < Decimal("0.01")


def test_the_ticker_told_of_every_order_that_changed_and_of_prices(day):
    trader, ticker, orders = day
    eventually(lambda: any(line["data"]["order_id"] == orders["never met"] for line in ticker.of("order")))
    told = {line["data"]["order_id"]: line["data"]["status"] for line in ticker.of("order")}
    assert set(orders.values()) <= set(told)
    ended = {row["order_id"]: row["status"] for row in trader.kite.orders()}
    assert {order_id: told[order_id] for order_id in orders.values()} == {
        order_id: ended[order_id] for order_id in orders.values()
    }
    assert {tick["mode"] for tick in ticker.ticks()} == {"quote"}
