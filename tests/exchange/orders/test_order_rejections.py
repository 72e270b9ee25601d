import pytest
from desk_floor import DELIVERED, FUTURE, OTHER, SHARE, Floor, at, refusal

from alphapanda.events import Money

CLOSED = "Markets are closed right now. Place an after market order (AMO)."
NOT_MIS = "MIS orders are blocked as the auto square-off time of the day has passed."
FAR = {"product": "MIS", "quantity": 1}
REJECTED = {
    "between ticks": (
        (SHARE, {"price": "99.98"}),
        "Tick size for this script is 0.05. Kindly enter price in the multiple of tick size for this script",
    ),
    "trigger between ticks": (
        (SHARE, {"order_type": "SL", "price": 102, "trigger_price": 101.01}),
        (
            "Tick size for this script is 0.05. "
            "Kindly enter trigger price in the multiple of tick size for this script"
        ),
    ),
    "too low": (
        (SHARE, {"price": 79.95}),
        (
            "Your order price is lower than the current lower circuit limit of 80.00. "
            "Place an order within the daily range."
        ),
    ),
    "too high": (
        (SHARE, {"price": 120.05}),
        (
            "Your order price is higher than the current upper circuit limit of 120.00. "
            "Place an order within the daily range."
        ),
    ),
    "broken lot": (
        (FUTURE, {"quantity": 66, "price": 100}),
        "Quantity 66 is not a multiple of the lot size of 65.",
    ),
    "too many shares": (
        (SHARE, {"quantity": 100_001, "price": 99}),
        "Maximum quantity per order for Equity is 1,00,000",
    ),
    "bought below the price": (
        (SHARE, {"order_type": "SL", "price": 101, "trigger_price": 99.5}),
        "Trigger price for stoploss buy orders should be higher than the last traded price of 100.00.",
    ),
    "sold above the price": (
        (SHARE, {"side": "SELL", "order_type": "SL", "product": "MIS", "price": 99, "trigger_price": 100.5}),
        "Trigger price for stoploss sell orders should be lower than the last traded price of 100.00.",
    ),
    "within the day": (
        (DELIVERED, {"price": 99, "product": "MIS"}),
        "AARTI-BE is in the trade-to-trade segment: intraday (MIS) orders are not allowed. Use CNC.",
    ),
}


@pytest.mark.parametrize("case", REJECTED)
def test_what_rms_and_the_exchange_refuse_leaves_a_rejected_row_with_these_words(case):
    (what, fields), message = REJECTED[case]
    floor = Floor()
    order_id = floor.place(what, **fields)
    row = floor.row(order_id)
    assert (row["status"], row["status_message"], row["status_message_raw"]) == ("REJECTED", message, message)
    assert (row["exchange_order_id"], row["exchange_timestamp"]) == (None, None)
    assert (row["filled_quantity"], row["pending_quantity"], row["cancelled_quantity"]) == (0, 0, 0)
    assert floor.told(order_id) == ["REJECTED"]
    assert floor.trades() == []


def test_more_than_the_exchange_takes_at_once_is_refused_with_the_figure_and_leaves_no_row():
    floor = Floor()
    said = "Quantity 1820 exceeds the freeze quantity of 1800. Slice the order."
    assert refusal(floor.place, FUTURE, quantity=1820, price=100) == (400, "InputException", said)
    assert floor.desk.book(floor.now_ns) == []


def test_an_order_that_grows_over_the_freeze_quantity_stays_as_it_was():
    floor = Floor()
    order_id = floor.place(FUTURE, quantity=65, price=100)
    floor.modify(order_id, quantity=1820)
    row = floor.row(order_id)
    assert (row["quantity"], row["status"]) == (65, "OPEN")
    assert "freeze quantity of 1800" in row["status_message"]


def test_rms_says_no_before_the_exchange_is_asked():
    floor = Floor()
    placed = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING"]
    assert floor.statuses(floor.place(FUTURE, quantity=66, price=100)) == [*placed, "REJECTED"]
    assert floor.statuses(floor.place(SHARE, price=99.99)) == [*placed, "OPEN PENDING", "REJECTED"]


def test_an_order_is_worth_ten_crore_at_most():
    floor = Floor(cash=10**12)
    floor.show(OTHER, last=2000, asks=((1, 2000),))
    assert (
        floor.rejected(OTHER, quantity=50_001, price=2000)
        == "Maximum value per order for Equity is Rs. 10 crore."
    )
    assert floor.row(floor.place(OTHER, quantity=50_000, price=2000))["status"] == "OPEN"


def test_a_trigger_that_has_been_reached_is_not_one_to_wait_for():
    floor = Floor()
    assert "higher than the last" in floor.rejected(SHARE, order_type="SL", price=101, trigger_price=100)


@pytest.mark.parametrize("clock", ["08:30:00", "15:30:00", "21:00:00"])
def test_a_closed_market_takes_no_order(clock):
    assert Floor(now=clock).rejected(SHARE, price=99) == CLOSED


def test_what_arrives_after_the_close_is_rejected_there():
    floor = Floor(now="15:29:59")
    floor.until(at("15:30:00") - 1_000_000)
    order_id = floor.place(SHARE, price=99)
    assert floor.statuses(order_id)[-2:] == ["OPEN PENDING", "REJECTED"]
    assert floor.row(order_id)["status_message"] == CLOSED


def test_after_the_square_off_nothing_is_bought_within_the_day():
    floor = Floor(now="15:19:00")
    assert floor.row(floor.place(SHARE, price=99, product="MIS"))["status"] == "OPEN"
    floor.until(at("15:20:00"))
    assert floor.rejected(SHARE, price=99, product="MIS") == NOT_MIS
    assert floor.row(floor.place(SHARE, price=99))["status"] == "OPEN"


def test_funds_are_bound_in_the_order_of_arrival():
    floor = Floor(cash=10_000)
    first = floor.send(SHARE, quantity=60, price=99)["order_id"]
    second = floor.send(SHARE, quantity=60, price=99)["order_id"]
    third = floor.send(SHARE, quantity=40, price=99)["order_id"]
    floor.pass_()
    assert [floor.row(each)["status"] for each in (first, second, third)] == ["OPEN", "REJECTED", "OPEN"]
    row = floor.row(second)
    assert row["status_message"] == (
        "Insufficient funds. Required margin is 5940.00 but available margin is 4060.00. "
        "Check the orderbook for open orders."
    )
    assert row["status_message_raw"].startswith("RMS:Margin Exceeds,Required:5940.00, Available:4060.00 ")


def test_shares_that_are_not_held_cannot_be_delivered():
    assert "Insufficient holdings" in Floor().rejected(DELIVERED, "SELL", price=100)


def test_shares_that_the_depository_holds_back_are_refused_at_once():
    floor = Floor(needs_authorisation=True)
    floor.account.ledger.stock.take(DELIVERED).settled = 10
    assert refusal(floor.send, DELIVERED, "SELL", quantity=10, price=100) == (
        *(428, "HoldingException"),
        "10 quantity needs authorisation at depository.",
    )
    assert floor.desk.book(floor.now_ns) == []


def test_circuit_limits_are_those_of_the_moment():
    floor = Floor()
    floor.market.circuits[SHARE.token] = (Money("99.5"), Money("100.5"))
    assert "lower circuit limit of 99.50" in floor.rejected(SHARE, price=99.45)
    floor.market.circuits.clear()
    assert floor.row(floor.place(SHARE, price=99.45))["status"] == "OPEN"
