import pytest
from desk_floor import COPPER, FUTURE, SHARE, Floor

from alphapanda.events import Money


def paid(floor, order_id):
    return [(trade["quantity"], trade["average_price"]) for trade in floor.trades(order_id)]


def test_a_marketable_order_walks_the_book_up_to_its_limit_and_the_rest_waits():
    floor = Floor()
    floor.show(asks=((10, 100.05), (20, 100.1), (50, 100.2)))
    order_id = floor.place(SHARE, quantity=40, price=100.1)
    row = floor.row(order_id)
    assert paid(floor, order_id) == [(10, 100.05), (20, 100.1)]
    assert (row["status"], row["filled_quantity"], row["pending_quantity"]) == ("OPEN", 30, 10)
    assert row["average_price"] == pytest.approx((10 * 100.05 + 20 * 100.1) / 30, abs=0.0001)
    floor.show(asks=((5, 100.1),))
    floor.show(asks=((5, 100.1),))
    assert floor.row(order_id)["status"] == "COMPLETE"
    assert floor.told(order_id) == ["UPDATE", "UPDATE", "UPDATE", "COMPLETE"]
    assert [row["filled_quantity"] for row in floor.updates] == [10, 30, 35, 40]


def test_a_resting_order_trades_when_the_book_comes_to_it():
    floor = Floor()
    buys, sells = floor.place(SHARE, quantity=10, price=99.9), None
    floor.show(asks=((5, 99.95),))
    assert floor.row(buys)["filled_quantity"] == 0
    floor.show(asks=((5, 99.9),), bids=((5, 99.85),))
    assert floor.row(buys)["filled_quantity"] == 5
    floor.show(asks=((50, 99.8),), bids=((5, 99.75),))
    assert floor.row(buys)["status"] == "COMPLETE"
    assert paid(floor, buys) == [(5, 99.9), (5, 99.8)]
    sells = floor.place(SHARE, "SELL", quantity=10, price=100.5)
    floor.show(bids=((10, 100.55),), asks=((10, 100.6),))
    assert paid(floor, sells) == [(10, 100.55)]


def test_what_was_taken_at_a_price_is_gone_until_the_next_tick():
    floor = Floor()
    floor.show(asks=((10, 100.05),))
    first, second = (floor.place(SHARE, quantity=7, price=100.05) for _ in range(2))
    assert [floor.row(each)["filled_quantity"] for each in (first, second)] == [7, 3]
    floor.show(asks=((10, 100.05),))
    assert floor.row(second)["status"] == "COMPLETE"


def test_what_was_taken_is_not_taken_from_a_later_book_that_nobody_watched():
    floor = Floor()
    floor.show(asks=((10, 100.05),))
    floor.place(SHARE, quantity=10, price=100.05)
    floor.market.quotes[SHARE.token].asks = [(12, 10005, 1)]  # it ticked, and nobody was told
    assert floor.row(floor.place(SHARE, quantity=12, price=100.05))["status"] == "COMPLETE"


def test_contracts_trade_in_whole_lots():
    floor = Floor()
    floor.show(FUTURE, last=100, asks=((100, 100), (64, 100.1), (130, 100.2)))
    order_id = floor.place(FUTURE, quantity=195, price=100.2)
    assert paid(floor, order_id) == [(65, 100), (130, 100.2)]


def test_where_quantities_are_lots_one_is_a_whole_one():
    floor = Floor()
    floor.show(COPPER, last=100, asks=((3, 100),))
    order_id = floor.place(COPPER, quantity=2, price=100)
    assert paid(floor, order_id) == [(2, 100)]


def test_levels_without_quantity_or_price_give_nothing():
    floor = Floor()
    floor.show(asks=((0, 100), (5, 0), (0, 0), (4, 100.05)))
    assert paid(floor, floor.place(SHARE, quantity=9, price=100.05)) == [(4, 100.05)]


def test_an_order_that_may_not_wait_takes_what_stands_and_is_cancelled():
    floor = Floor()
    floor.show(asks=((4, 100.05),))
    part, none = (floor.place(SHARE, quantity=9, price=100.05, validity="IOC") for _ in range(2))
    row = floor.row(part)
    assert (row["status"], row["filled_quantity"], row["cancelled_quantity"]) == ("CANCELLED", 4, 5)
    assert row["status_message"] == "Unmatched orders cancelled by the system."
    assert (floor.row(none)["status"], floor.row(none)["cancelled_quantity"]) == ("CANCELLED", 9)
    assert floor.told(part) == ["UPDATE", "CANCELLED"]


def test_a_stop_that_may_not_wait_waits_for_its_trigger_only():
    floor = Floor()
    order_id = floor.place(SHARE, order_type="SL", trigger_price=101, price=102, validity="IOC")
    assert floor.row(order_id)["status"] == "TRIGGER PENDING"
    floor.show(last=101, asks=((9, 103),))
    assert floor.row(order_id)["status"] == "CANCELLED"


@pytest.mark.parametrize(
    ("side", "trigger", "price", "before"), [("BUY", 101, 102, 100.95), ("SELL", 99, 98, 99.05)]
)
def test_a_stop_waits_for_the_last_price_and_then_trades_as_a_limit(side, trigger, price, before):
    floor = Floor()
    order_id = floor.place(SHARE, side, product="MIS", order_type="SL", trigger_price=trigger, price=price)
    floor.show(last=before, bids=((9, 97.0),), asks=((9, 103.0),))
    assert floor.row(order_id)["status"] == "TRIGGER PENDING"
    floor.show(last=trigger, bids=((9, 97.0),), asks=((9, 103.0),))
    assert (floor.row(order_id)["status"], floor.told(order_id)) == ("OPEN", ["OPEN"])
    floor.show(last=100, bids=((9, price),), asks=((9, price),))
    assert floor.row(order_id)["status"] == "COMPLETE"
    assert floor.statuses(order_id)[3:] == ["TRIGGER PENDING", "OPEN", "COMPLETE"]


def test_a_market_stop_goes_out_protected_from_the_price_that_triggered_it():
    floor = Floor()
    order_id = floor.place(SHARE, quantity=20, order_type="SL-M", trigger_price=105, market_protection=-1)
    assert floor.row(order_id)["order_type"] == "SL-M"
    floor.show(last=110, asks=((10, 110.05), (10, 111.15)))
    row = floor.row(order_id)
    assert (row["order_type"], row["price"], row["filled_quantity"]) == ("LIMIT", 111.1, 10)
    assert row["tags"] == ["mktp", "mktp:1.00"]


def test_nothing_trades_before_the_continuous_session():
    floor = Floor(now="09:05:00")
    order_id = floor.place(SHARE, quantity=5, price=101)
    floor.show(asks=((5, 100),))
    assert floor.row(order_id)["status"] == "OPEN"
    floor.pass_(11 * 60)
    floor.show(asks=((5, 100),))
    assert floor.row(order_id)["status"] == "COMPLETE"


def test_a_days_order_is_cancelled_when_its_instrument_closes():
    floor = Floor()
    share, copper = floor.place(SHARE, price=99), floor.place(COPPER, price=99)
    floor.pass_(5.4 * 3600)
    assert floor.row(share)["status"] == "OPEN"
    floor.pass_(0.2 * 3600)  # past 15:30
    row = floor.row(share)
    assert (row["status"], row["cancelled_quantity"], row["pending_quantity"]) == ("CANCELLED", 1, 0)
    assert row["status_message"] == "The order was cancelled by the exchange at the end of the session."
    assert (floor.told(share), floor.row(copper)["status"]) == (["CANCELLED"], "OPEN")


def test_minutes_of_a_validity_are_counted_from_the_exchange():
    floor = Floor()
    order_id = floor.place(SHARE, price=99, validity="TTL", validity_ttl=2)
    floor.pass_(119)
    assert floor.row(order_id)["status"] == "OPEN"
    floor.pass_(2)
    row = floor.row(order_id)
    assert (row["status"], row["validity"], row["validity_ttl"]) == ("CANCELLED", "TTL", 2)
    assert row["status_message"] == "The order was cancelled as its validity expired."


def test_only_instruments_with_resting_orders_are_watched():
    floor = Floor()
    assert floor.desk.tokens() == set()
    order_id = floor.place(SHARE, price=99)
    assert floor.desk.tokens() == {SHARE.token}
    floor.cancel(order_id)
    floor.show()
    assert floor.desk.tokens() == set()


def test_the_account_hears_of_each_trade():
    floor = Floor()
    floor.show(asks=((3, 100), (3, 100.05)))
    floor.place(SHARE, quantity=6, price=100.05, product="MIS")
    assert [(each.key, product, quantity) for each, product, quantity in floor.account.open_positions()] == [
        (SHARE.key, "MIS", 6)
    ]
    assert (
        Money("100.025")
        == sum(Money(str(trade["average_price"])) * trade["quantity"] for trade in floor.trades()) / 6
    )
