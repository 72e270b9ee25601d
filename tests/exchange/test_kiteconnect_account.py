"""Who the user is and what funds there are, by the official client."""

import pytest
from kite_shapes import published, unlike
from kite_trader import SHARE, USER
from kiteconnect.exceptions import KiteException


def test_the_profile_is_what_kite_answers(trader):
    profile = trader.kite.profile()
    assert unlike(trader.data, [published("profile")]) == []
    assert profile["user_id"] == USER
    assert {"NSE", "NFO", "CDS", "MCX"} <= set(profile["exchanges"])
    assert {"CNC", "NRML", "MIS"} <= set(profile["products"])
    assert set(profile["order_types"]) == {"MARKET", "LIMIT", "SL", "SL-M"}


def test_funds_of_both_segments_are_what_kite_answers(trader):
    funds = trader.kite.margins()
    assert unlike(funds, [published("margins")]) == []
    assert set(funds) == {"equity", "commodity"}


@pytest.mark.parametrize("segment", ["equity", "commodity"])
def test_funds_of_one_segment_are_what_kite_answers(trader, segment):
    one = trader.kite.margins(segment)
    assert unlike(one, [published("margins_equity")]) == []
    assert one == trader.kite.margins()[segment]
    assert one["available"]["live_balance"] == pytest.approx(one["net"])


def test_a_segment_that_there_is_not_is_refused(trader):
    with pytest.raises(KiteException) as refused:
        trader.kite.margins("weather")
    assert refused.value.code in (400, 404)


def test_a_resting_order_binds_funds_and_its_cancellation_frees_them(trader):
    before = trader.kite.margins("equity")["net"]
    price = trader.price(SHARE, 0.95)
    order = trader.place(SHARE, quantity=10, order_type="LIMIT", price=price)
    trader.until(order, "OPEN")
    bound = trader.kite.margins("equity")
    assert before - bound["net"] >= 10 * price
    assert bound["available"]["live_balance"] == bound["net"]
    trader.kite.cancel_order("regular", order)
    trader.until(order, "CANCELLED")
    assert trader.kite.margins("equity")["net"] == pytest.approx(before)
