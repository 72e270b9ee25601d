"""What Kite says no with, word by word, as the official client raises it.

Of the messages that Kite's users report, these are not here: the caps of 400 order requests a minute and of
5,000 a day, which a client of ten a second reaches after minutes only (they are tested beside the limits
themselves); "Unusable request id" and the market orders of the closing auction, which the exchange's day has
not; "Too many requests" and the dead token, which the tests of the session have.
"""

import re

import pytest
from kite_trader import DEAR, SHARE, trading
from kiteconnect.exceptions import (
    DataException,
    GeneralException,
    InputException,
    KiteException,
    NetworkException,
    OrderException,
    PermissionException,
    TokenException,
)

UNPROTECTED = (
    "Market orders without market protection are not allowed via API. "
    "Please set market protection or use a Limit order."
)
NO_BOOLEAN = "Invalid request (failed to decode market_protection, got: True (expected decimal))"
IN_PROCESS = "Order cannot be modified as it is being processed. Try later."
NOT_MODIFIED = "16346 : Order cannot be modified"
MODIFIED_ENOUGH = "Maximum allowed order modifications exceeded."
TOO_FEW_TO_SLICE = "Quantity should be greater than or equal to 3510 for order slicing."
TOO_MANY_SHARES = "Maximum quantity per order for Equity is 1,00,000"
TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."
POOR = re.compile(
    r"Insufficient funds\. Required margin is (\d+\.\d\d) but available margin is (\d+\.\d\d)\. "
    r"Check the orderbook for open orders\."
)
POOR_SLICE = re.compile(
    r"Insufficient funds\. Required margin is \d+\.\d\d but available margin is \d+\.\d\d\."
)


def refusal(call, *words, **fields):
    with pytest.raises(KiteException) as refused:
        call(*words, **fields)
    return refused.value


def said(error):
    return type(error), error.code, str(error)


def refused_or_rejected(trader, *words, **fields):
    """The message, whether Kite refuses at once or its order management rejects the order after."""
    try:
        order_id = trader.place(*words, **fields)
    except KiteException as refused:
        return str(refused) if refused.code == 400 else ""
    return trader.until(order_id, "REJECTED")["status_message"]


@pytest.mark.parametrize("protection", [None, 0])
@pytest.mark.parametrize("order_type", ["MARKET", "SL-M"])
def test_a_market_order_without_protection(trader, order_type, protection):
    trigger = {"trigger_price": trader.price(SHARE, 1.03)} if order_type == "SL-M" else {}
    error = refusal(trader.place, SHARE, order_type=order_type, market_protection=protection, **trigger)
    assert said(error) == (InputException, 400, UNPROTECTED)


def test_a_protection_that_is_no_number(trader):
    error = refusal(trader.place, SHARE, market_protection=True)
    assert said(error) == (InputException, 400, NO_BOOLEAN)


def test_a_modification_while_the_order_is_on_its_way(trader):
    order_id = trader.place(SHARE, order_type="LIMIT", price=trader.price(SHARE, 0.95))
    error = refusal(trader.kite.modify_order, "regular", order_id, quantity=2)  # no time has passed
    assert said(error) == (InputException, 400, IN_PROCESS)
    trader.until(order_id, "OPEN")
    trader.kite.cancel_order("regular", order_id)


def test_a_modification_that_the_exchange_turns_down(trader):
    """Accepted, and then not done: its history says so, and the order stands as it was."""
    order_id = trader.in_parts(DEAR, 40)["order_id"]
    trader.kite.modify_order("regular", order_id, quantity=1)  # less than it has traded
    trader.step(2)
    (row,) = (row for row in trader.kite.order_history(order_id) if row["status"] == "NOT MODIFIED")
    assert row["status_message"] == NOT_MODIFIED
    assert trader.row(order_id)["quantity"] == 40


def test_the_twenty_sixth_modification(trader):
    price = trader.price(SHARE, 0.95)
    order_id = trader.place(SHARE, quantity=50, order_type="LIMIT", price=price)
    trader.until(order_id, "OPEN")
    for number in range(25):
        trader.kite.modify_order("regular", order_id, quantity=51 + number)
        trader.step(3)
    error = refusal(trader.kite.modify_order, "regular", order_id, quantity=99)
    assert (type(error), str(error)) == (NetworkException, MODIFIED_ENOUGH)
    assert trader.row(order_id)["quantity"] == 75
    trader.kite.cancel_order("regular", order_id)


def test_slices_of_an_order_that_needs_none(trader):
    row = next(
        row for row in trader.every("NFO") if (row["name"], row["instrument_type"]) == ("NIFTY", "FUT")
    )
    symbol = row["tradingsymbol"]
    price = trader.price(f"NFO:{symbol}")
    error = refusal(
        trader.kite.place_autoslice_order, "regular", "NFO", symbol, "BUY", 1755, "NRML", "LIMIT", price=price
    )
    assert said(error) == (InputException, 400, TOO_FEW_TO_SLICE)


def test_more_shares_than_one_order_may_have(trader):
    message = refused_or_rejected(
        trader, SHARE, quantity=100_001, order_type="LIMIT", price=trader.price(SHARE, 0.95)
    )
    assert message == TOO_MANY_SHARES


def test_more_contracts_than_the_exchange_takes_at_once(trader):
    key = next(
        f"NFO:{row['tradingsymbol']}"
        for row in trader.every("NFO")
        if (row["name"], row["instrument_type"]) == ("NIFTY", "FUT")
    )
    price = trader.price(key, 0.98)
    message = refused_or_rejected(trader, key, quantity=1820, product="NRML", order_type="LIMIT", price=price)
    assert "freeze" in message.lower()
    assert "1800" in message


@pytest.mark.parametrize(
    ("word", "changes"),
    [
        ("tick", {"price": 0.003}),  # a price between ticks
        ("circuit", {"part": 1.5}),  # above the upper circuit limit
        ("circuit", {"part": 0.5}),
    ],
)
def test_a_price_that_the_exchange_does_not_take(trader, word, changes):
    price = trader.price(SHARE, changes.get("part", 0.95)) + changes.get("price", 0)
    message = refused_or_rejected(trader, SHARE, order_type="LIMIT", price=price)
    assert word in message.lower(), message


def test_a_quantity_that_is_no_multiple_of_the_lot(trader):
    key = trader.first("NFO", "FUT")
    price = trader.price(key, 0.98)
    lot = trader.listed(key)["lot_size"]
    message = refused_or_rejected(
        trader, key, quantity=lot + 1, product="NRML", order_type="LIMIT", price=price
    )
    assert "multiple" in message.lower()
    assert str(lot) in message


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": "many"},
        {"side": "HOLD"},
        {"order_type": "GUESS", "price": 1000},
        {"order_type": "LIMIT"},  # without a price
        {"order_type": "SL", "price": 1000},  # without a trigger
        {"product": "XYZ"},
        {"validity": "FOREVER"},
        {"validity": "TTL"},  # without minutes
        {"variety": "nonsense"},
        {"tag": "x" * 21},
        {"key": "NSE:NOSUCH"},
        {"key": "XYZ:INFY"},
        {"key": "NFO:INFY"},
        {"product": "NRML"},  # shares are bought for delivery or within the day
    ],
    ids=str,
)
def test_an_order_that_makes_no_sense(trader, changes):
    key = changes.pop("key", SHARE)
    before = len(trader.kite.orders())
    error = refusal(trader.place, key, **changes)
    assert error.code == 400, said(error)
    assert str(error)
    assert len(trader.kite.orders()) == before


def test_orders_that_there_are_not(trader):
    gone = trader.filled(SHARE)["order_id"]
    for order_id in ("1234567890123456789", gone):
        for call in (trader.kite.cancel_order, trader.kite.modify_order):
            error = refusal(call, "regular", order_id)
            assert error.code in (400, 404), said(error)
            assert str(error)
    for call in (trader.kite.order_history, trader.kite.order_trades):
        error = refusal(call, "1234567890123456789")
        assert error.code in (400, 404), said(error)


def test_a_stop_on_the_wrong_side_of_the_price(trader):
    for side, part in (("BUY", 0.97), ("SELL", 1.03)):
        trigger = trader.price(SHARE, part)
        message = refused_or_rejected(
            trader, SHARE, side, order_type="SL", product="MIS", trigger_price=trigger, price=trigger
        )
        assert "trigger" in message.lower(), message


def test_an_ioc_order_on_the_commodity_exchange(trader):
    key = trader.first("MCX", "FUT")
    message = refused_or_rejected(
        trader, key, product="NRML", order_type="LIMIT", price=trader.price(key), validity="IOC"
    )
    assert "IOC" in message


def test_shares_that_nobody_has_cannot_be_sold_for_delivery(trader):
    key = next(
        f"NSE:{row['tradingsymbol']}"
        for row in reversed(trader.every("NSE"))
        if row["segment"] == "NSE" and row["tradingsymbol"] not in ("INFY", "TCS")
    )
    message = refused_or_rejected(trader, key, "SELL", order_type="LIMIT", price=trader.price(key))
    assert "holding" in message.lower() or "quantity" in message.lower(), message


@pytest.fixture(scope="module")
def poor(tmp_path_factory):
    with trading(tmp_path_factory.mktemp("poor"), "--cash", 50_000) as one:
        yield one


def test_an_order_beyond_the_funds_is_a_rejected_row(poor):
    price = poor.price(SHARE)
    row = poor.until(poor.place(SHARE, quantity=1000, order_type="LIMIT", price=price), "REJECTED")
    required, available = map(float, POOR.fullmatch(row["status_message"]).groups())
    assert available == pytest.approx(50_000)
    assert required >= 1000 * price
    raw = f"RMS:Margin Exceeds,Required:{required:.2f}, Available:{available:.2f} for entity account-"
    assert row["status_message_raw"].startswith(raw)
    assert (row["exchange_order_id"], row["filled_quantity"], row["pending_quantity"]) == (None, 0, 0)
    statuses = [row["status"] for row in poor.kite.order_history(row["order_id"])]
    assert "OPEN" not in statuses
    assert statuses[-1] == "REJECTED"


def test_a_slice_beyond_the_funds_is_an_error_among_the_children(poor):
    row = next(row for row in poor.every("NFO") if (row["name"], row["instrument_type"]) == ("NIFTY", "FUT"))
    symbol = row["tradingsymbol"]
    price = poor.price(f"NFO:{symbol}", 0.98)
    answer = poor.kite.place_autoslice_order(
        "regular", "NFO", symbol, "BUY", 3575, "NRML", "LIMIT", price=price
    )
    errors = [child["error"] for child in answer["children"]]
    assert len(errors) == 3
    for error in errors:
        assert (error["code"], error["error_type"], error["data"]) == (400, "MarginException", None)
        assert POOR_SLICE.match(error["message"])


FAULTS = {
    "ambiguous": (OrderException, 400, TIMED_OUT),
    "too_many": (NetworkException, 429, "Too many requests"),
    "token_refused": (TokenException, 403, "Incorrect `api_key` or `access_token`."),
    "ip_refused": (PermissionException, 403, None),
    "oms_down": (DataException, 502, None),
    "down": (NetworkException, 503, None),
    "timeout": (NetworkException, 504, None),
}


@pytest.mark.parametrize("do", FAULTS)
def test_a_refusal_of_the_fault_script_is_what_the_client_raises(trader, do):
    expected, code, text = FAULTS[do]
    trader.admin("faults", {"fault": [{"on": "order.place", "do": do, "nth": 1}]})
    error = refusal(trader.place, DEAR, order_type="LIMIT", price=trader.price(DEAR, 0.95))
    assert (type(error), error.code) == (expected, code)
    assert text is None or str(error) == text


@pytest.mark.parametrize("error_type", ["MarginException", "HoldingException", "UserException"])
def test_an_error_that_the_client_has_no_class_for_is_a_general_one(trader, error_type):
    fault = {"on": "positions", "do": "status", "code": 400, "error_type": error_type, "message": "No."}
    trader.admin("faults", {"fault": [fault | {"nth": 1}]})
    assert said(refusal(trader.kite.positions)) == (GeneralException, 400, "No.")
    assert trader.reply.json() == {
        "status": "error",
        "message": "No.",
        "error_type": error_type,
        "data": None,
    }


def test_a_path_that_kite_does_not_have(trader):
    reply = trader.owner.get(f"{trader.url}/no/such/path", timeout=60)
    assert (reply.status_code, reply.json()["status"]) == (404, "error")
    assert reply.headers["content-type"].startswith("application/json")
