"""What money is bound by: declared margins, open orders, and what reduces and needs none."""

import pytest
from account_days import (
    BUY,
    CALL,
    DOLLAR,
    FUTURE,
    GOLD,
    INFY,
    ITC,
    NOW,
    SELL,
    TATASTEEL,
    account,
    left,
    order,
    rest,
    trade,
)  # fmt: skip
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.margins import OUT_OF_REACH
from alphapanda.events import Money

PRICE = Money("1300.00")


def with_orders(one, *orders):
    rest(one, orders)
    return one


@pytest.mark.parametrize(
    ("listed", "product", "side", "quantity", "price", "claim"),
    [
        (INFY, "CNC", BUY, 10, "1500", 15000),
        (INFY, "MIS", BUY, 10, "1500", 3000),
        (INFY, "MIS", SELL, 10, "1500", 3000),
        (INFY, "CNC", SELL, 10, "1500", 0),
        (FUTURE, "NRML", BUY, 65, "24000", 312000),
        (CALL, "NRML", BUY, 65, "200", 13000),
        (CALL, "NRML", SELL, 65, "200", 325000),
        (DOLLAR, "NRML", BUY, 2, "84.5", 8450),
        (GOLD, "NRML", SELL, 1, "9500", 1425),
    ],
)
def test_the_declared_margin_of_each_product(listed, product, side, quantity, price, claim):
    required = account().ledger.claims.of(listed, product, side.sign * quantity, Money(price))
    assert required == claim
    assert required < OUT_OF_REACH


def test_open_orders_bind_and_what_is_not_enough_is_refused_in_kites_words():
    one = account(100_000)
    with_orders(one, order(INFY, BUY, 50, PRICE))
    assert left(one) == 35_000
    assert one.refuse(order(INFY, BUY, 26, PRICE), NOW) is None
    message, raw = one.refuse(order(INFY, BUY, 27, PRICE), NOW)
    assert message == (
        "Insufficient funds. Required margin is 35100.00 but available margin is 35000.00. "
        "Check the orderbook for open orders."
    )
    assert raw == (
        "RMS:Margin Exceeds,Required:35100.00, Available:35000.00 for entity account-RH0001 "
        "across exchange across segment across product "
    )


def test_an_order_does_not_stand_in_its_own_way():
    one, mine, sale = account(100_000), order(INFY, BUY, 76, PRICE), order(ITC, SELL, 40, "305")
    with_orders(one, mine, sale)
    assert one.refuse(mine, NOW) is None
    assert one.refuse(sale, NOW) is None


def test_all_of_the_money_may_be_used_and_an_exit_needs_none_of_it():
    one = account(13_000)
    assert one.refuse(order(INFY, BUY, 10, PRICE), NOW) is None
    one.on_trade(trade(INFY, BUY, 50, PRICE, "MIS"))
    assert left(one) == 0
    assert one.refuse(order(INFY, SELL, 50, PRICE, "MIS"), NOW) is None
    assert one.refuse(order(ITC, BUY, 1, "305", "MIS"), NOW) is not None


def test_the_filled_part_of_an_order_is_bound_once():
    one, mine = account(100_000), order(INFY, BUY, 70, PRICE)
    with_orders(one, mine)
    mine.filled_quantity = 40
    one.on_trade(trade(INFY, BUY, 40, PRICE, order_id=mine.order_id))
    assert left(one) == 100_000 - 70 * 1300


@pytest.mark.parametrize(("way", "back"), [(BUY, SELL), (SELL, BUY)])
def test_an_order_that_covers_a_position_needs_no_margin(way, back):
    one = account(26_500)
    one.on_trade(trade(INFY, way, 100, PRICE, "MIS"))
    assert left(one) == 500
    assert one.refuse(order(INFY, back, 100, PRICE, "MIS"), NOW) is None
    assert one.refuse(order(INFY, way, 100, PRICE, "MIS"), NOW) is not None
    with_orders(one, order(INFY, back, 100, PRICE, "MIS"))
    assert left(one) == 500


def test_turning_a_position_round_claims_only_what_is_more():
    one = account(40_000)
    one.on_trade(trade(INFY, BUY, 100, PRICE, "MIS"))
    assert one.refuse(order(INFY, SELL, 200, PRICE, "MIS"), NOW) is None
    assert one.refuse(order(INFY, SELL, 320, PRICE, "MIS"), NOW) is not None


def test_two_exits_of_one_position_need_no_more_margin_than_one():
    """A stop and a target both rest: both together only turn the position round."""
    one = account(26_500)
    one.on_trade(trade(INFY, BUY, 100, PRICE, "MIS"))
    with_orders(one, order(INFY, SELL, 100, PRICE + 50, "MIS"))
    assert one.refuse(order(INFY, SELL, 100, "1250", "MIS"), NOW) is None


def test_shares_that_are_not_held_cannot_be_sold_for_delivery():
    one = account()
    message, raw = one.refuse(order(INFY, SELL, 1, PRICE), NOW)
    assert message.startswith("Insufficient holdings. Required quantity is 1 but available quantity is 0.")
    assert raw.startswith("RMS:Rule: Check holdings")
    assert one.refuse(order(TATASTEEL, SELL, 100, "190"), NOW) is None
    with_orders(one, order(TATASTEEL, SELL, 60, "190"))
    assert one.refuse(order(TATASTEEL, SELL, 40, "190"), NOW) is None
    assert one.refuse(order(TATASTEEL, SELL, 41, "190"), NOW) is not None


def test_shares_on_margin_are_sold_only_where_the_day_bought_them():
    """MTF: the next day they are a holding like another."""
    one = account()
    assert one.refuse(order(TATASTEEL, SELL, 1, "190", "MTF"), NOW)[0].startswith("Insufficient holdings")
    one.on_trade(trade(TATASTEEL, BUY, 5, "190", "MTF"))
    assert one.refuse(order(TATASTEEL, SELL, 5, "190", "MTF"), NOW) is None
    assert one.refuse(order(TATASTEEL, SELL, 6, "190", "MTF"), NOW) is not None


def test_the_money_of_settled_shares_is_there_at_once_and_that_of_t1_shares_is_not():
    one = account(1000)
    one.on_trade(trade(TATASTEEL, SELL, 60, "190"))
    assert left(one) == 1000 + 60 * 190
    one.on_trade(trade(TATASTEEL, SELL, 10, "191"))
    assert left(one) == 1000 + 60 * 190
    used = one.margins(NOW)["equity"]["utilised"]
    assert (used["holding_sales"], used["delivery"]) == (60 * 190 + 1910, 1910)


def test_buying_back_a_delivery_is_paid_in_full():
    one = account(1000)
    one.on_trade(trade(ITC, SELL, 10, "305"))
    assert left(one) == 4050
    assert one.refuse(order(ITC, BUY, 10, "306"), NOW) is None
    one.on_trade(trade(ITC, BUY, 10, "306"))
    assert left(one) == 990


def test_each_segment_has_its_own_money():
    one = account(1000)
    assert set(one.margins(NOW)) == {"equity", "commodity"}
    one.on_trade(trade(ITC, SELL, 10, "305"))
    assert (left(one), left(one, segment="commodity")) == (4050, 1000)


def test_the_statement_adds_up():
    one = account(1_000_000)
    one.on_trade(trade(INFY, BUY, 10, "1310", "MIS"))
    one.on_trade(trade(INFY, SELL, 4, "1320", "MIS"))
    with_orders(one, order(INFY, BUY, 10, PRICE))
    equity = one.margins(NOW)["equity"]
    assert equity["available"]["opening_balance"] == equity["available"]["cash"] == 1_000_000
    assert equity["net"] == equity["available"]["live_balance"] == 1_000_000 + 40 - 6 * 262 - 13_000
    assert equity["utilised"]["debits"] == 1_000_000 - equity["net"]
    assert equity["utilised"]["m2m_realised"] == 40


steps = st.lists(
    st.tuples(
        st.sampled_from((BUY, SELL)),
        st.integers(1, 60),
        st.integers(120_000, 140_000),
        st.integers(0, 100),
    ),
    max_size=15,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_delivery_orders_that_are_accepted_never_make_the_money_negative(steps):
    """Each order rests or trades in part at its limit; the shares are paid out of what there was."""
    one, resting = account(300_000), []
    rest(one, resting)
    spent = Money(0)
    for side, quantity, paise, percent in steps:
        price = Money(paise).scaleb(-2)
        wish = order(INFY, side, quantity, price)
        if one.refuse(wish, NOW) is not None:
            continue
        filled = quantity * percent // 100
        if filled:
            wish.filled_quantity = filled
            one.on_trade(trade(INFY, side, filled, price, order_id=wish.order_id))
            spent += side.sign * filled * price
        resting.append(wish)
        assert one.ledger.available("equity", NOW) >= 0
        assert one.ledger.deliverable(INFY) >= 0
    assert one.ledger.cash["equity"] == 300_000 - spent
    row = one.positions(NOW)["net"]
    assert Money(str(row[0]["value"])) == -spent if row else spent == 0


@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from(("MIS", "NRML")))
def test_available_money_is_what_was_there_less_claims_and_plus_results(steps, product):
    """For what is carried on margin, without orders: opening + booked results - claims of what is open."""
    one = account(10_000_000)
    for side, quantity, paise, _ in steps:
        one.on_trade(trade(FUTURE, side, quantity, Money(paise).scaleb(-2), product))
    position = one.ledger.position(FUTURE, product)
    assert one.ledger.available("equity", NOW) == 10_000_000 + position.realised - position.claimed
