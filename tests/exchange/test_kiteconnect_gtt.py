"""Orders that wait for a trigger (GTT), by the official client."""

import pytest
from kite_shapes import published, unlike
from kite_trader import SHARE
from kiteconnect.exceptions import InputException, KiteException


def leg(price, side="SELL", quantity=1, product="CNC"):
    return {
        "transaction_type": side,
        "quantity": quantity,
        "order_type": "LIMIT",
        "product": product,
        "price": price,
    }


def single(trader, part=0.9, side="BUY"):
    """A trigger at so much of the last price; its words as the client takes them."""
    price = trader.price(SHARE, part)
    last = trader.price(SHARE)
    return ["single", "INFY", "NSE", [price], last, [leg(price, side)]]


def row_of(trader, trigger_id):
    """As it came on the wire."""
    trader.kite.get_gtt(trigger_id)
    return trader.data


def test_a_trigger_is_placed_seen_modified_and_deleted(trader):
    answer = trader.kite.place_gtt(*single(trader))
    assert unlike(answer, [published("gtt_place_order")]) == []
    trigger_id = answer["trigger_id"]
    row = row_of(trader, trigger_id)
    assert unlike(row, [published("gtt_get_order"), *published("gtt_get_orders")]) == []
    assert (row["id"], row["type"], row["status"]) == (trigger_id, "single", "active")
    assert row["condition"]["instrument_token"] == 408065
    trader.kite.get_gtts()
    assert unlike(trader.data, [published("gtt_get_orders")]) == []
    assert row in trader.data
    changed = single(trader, 0.92)
    answer = trader.kite.modify_gtt(trigger_id, *changed)
    assert unlike(answer, [published("gtt_modify_order")]) == []
    assert row_of(trader, trigger_id)["condition"]["trigger_values"] == changed[3]
    answer = trader.kite.delete_gtt(trigger_id)
    assert answer == {"trigger_id": trigger_id}
    assert row_of(trader, trigger_id)["status"] == "deleted"


def test_two_legs_are_one_trigger(trader):
    low, high = trader.price(SHARE, 0.9), trader.price(SHARE, 1.1)
    answer = trader.kite.place_gtt(
        "two-leg", "INFY", "NSE", [low, high], trader.price(SHARE), [leg(low), leg(high)]
    )
    row = row_of(trader, answer["trigger_id"])
    assert unlike(row, [published("gtt_get_order")], more=("meta",), null=("meta",)) == []
    assert (row["type"], row["condition"]["trigger_values"], len(row["orders"])) == (
        "two-leg",
        [low, high],
        2,
    )
    assert [order["result"] for order in row["orders"]] == [None, None]
    trader.kite.delete_gtt(answer["trigger_id"])


def test_a_trigger_that_is_met_places_a_limit_order(trader):
    """One lies a tick above the last price and one a tick below: the next move meets one of them."""
    last, tick = trader.price(SHARE), trader.listed(SHARE)["tick_size"]
    price = round(last + 40 * tick, 2)
    ids = {
        trigger: trader.kite.place_gtt("single", "INFY", "NSE", [trigger], last, [leg(price, "BUY")])[
            "trigger_id"
        ]
        for trigger in (round(last - tick, 2), round(last + tick, 2))
    }
    for _ in range(600):
        trader.step(1)
        rows = [row_of(trader, trigger_id) for trigger_id in ids.values()]
        if "triggered" in [row["status"] for row in rows]:
            break
    row = next(row for row in rows if row["status"] == "triggered")
    assert unlike(row, [published("gtt_get_order"), *published("gtt_get_orders")]) == []
    result, (trigger,) = row["orders"][0]["result"], row["condition"]["trigger_values"]
    assert (result["triggered_at"] - trigger) * (trigger - last) >= 0
    order = trader.row(result["order_result"]["order_id"])
    assert (order["order_type"], order["price"], order["product"]) == ("LIMIT", price, "CNC")
    for row in rows:
        if row["status"] == "active":
            trader.kite.delete_gtt(row["id"])


def test_a_trigger_that_there_is_not_is_refused(trader):
    for call in (trader.kite.get_gtt, trader.kite.delete_gtt):
        with pytest.raises(KiteException) as refused:
            call(999_999)
        assert refused.value.code in (400, 404)
    with pytest.raises(KiteException):
        trader.kite.modify_gtt(999_999, *single(trader))


def test_a_trigger_for_nothing_that_is_listed_is_refused(trader):
    words = single(trader)
    words[1] = "NOSUCH"
    with pytest.raises(InputException) as refused:
        trader.kite.place_gtt(*words)
    assert refused.value.code == 400
