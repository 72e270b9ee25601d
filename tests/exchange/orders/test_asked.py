import pytest
from desk_floor import CALL, COPPER, FUTURE, INDEX, OTHER, SHARE, Floor, refusal

INPUT = (400, "InputException")
UNPROTECTED = (
    "Market orders without market protection are not allowed via API. "
    "Please set market protection or use a Limit order."
)
LIMIT = {"price": 100}
LEGS = {"variety": "iceberg", "price": 100}
REFUSED = {
    "no exchange": ({"exchange": None, **LIMIT}, "Missing or empty field `exchange`"),
    "no symbol": ({"tradingsymbol": "", **LIMIT}, "Missing or empty field `tradingsymbol`"),
    "no side": ({"transaction_type": None, **LIMIT}, "Missing or empty field `transaction_type`"),
    "no quantity": ({"quantity": None, **LIMIT}, "Missing or empty field `quantity`"),
    "no product": ({"product": None, **LIMIT}, "Missing or empty field `product`"),
    "no order type": ({"order_type": None}, "Missing or empty field `order_type`"),
    "exchange": ({"exchange": "NYSE", **LIMIT}, "Invalid `exchange`: NYSE."),
    "symbol": (
        {"tradingsymbol": "NOSUCH", **LIMIT},
        "The instrument you are placing an order for has either expired or does not exist.",
    ),
    "side": ({"transaction_type": "HOLD", **LIMIT}, "Invalid `transaction_type`: HOLD."),
    "product": ({"product": "BO", **LIMIT}, "Invalid `product`: BO."),
    "order type": ({"order_type": "STOP", **LIMIT}, "Invalid `order_type`: STOP."),
    "validity": ({"validity": "GTC", **LIMIT}, "Invalid `validity`: GTC."),
    "variety": ({"variety": "bo", **LIMIT}, "Invalid `variety`: bo."),
    "cover": (
        {"variety": "co", **LIMIT},
        "Cover orders (CO) are not taken by this exchange. Place a regular order.",
    ),
    "auction": (
        {"variety": "auction", **LIMIT},
        "There is no auction session in which the order could be placed.",
    ),
    "nothing": ({"quantity": 0, **LIMIT}, "Quantity should be greater than zero."),
    "less than nothing": ({"quantity": -5, **LIMIT}, "Quantity should be greater than zero."),
    "half": (
        {"quantity": "1.5", **LIMIT},
        "Invalid request (failed to decode quantity, got: 1.5 (expected integer))",
    ),
    "no number": (
        {"price": "nan"},
        "Invalid request (failed to decode price, got: nan (expected decimal))",
    ),
    "digits of another script": (
        {"quantity": "١٢", **LIMIT},
        "Invalid request (failed to decode quantity, got: ١٢ (expected integer))",
    ),
    "no price": ({"order_type": "LIMIT"}, "Price is required for LIMIT orders."),
    "negative price": ({"price": -1}, "Price is required for LIMIT orders."),
    "no trigger": ({"order_type": "SL", **LIMIT}, "Trigger price is required for SL orders."),
    "no trigger of a market stop": (
        {"order_type": "SL-M", "market_protection": -1},
        "Trigger price is required for SL-M orders.",
    ),
    "trigger above the price": (
        {"order_type": "SL", "price": 100, "trigger_price": 101},
        "Trigger price can't be higher than price.",
    ),
    "trigger below the price": (
        {"order_type": "SL", "transaction_type": "SELL", "price": 100, "trigger_price": 99},
        "Trigger price can't be lesser than price.",
    ),
    "unprotected": ({}, UNPROTECTED),
    "unprotected stop": ({"order_type": "SL-M", "trigger_price": 101}, UNPROTECTED),
    "protection of nothing": ({"market_protection": 0}, UNPROTECTED),
    "protection that is true": (
        {"market_protection": True},
        "Invalid request (failed to decode market_protection, got: True (expected decimal))",
    ),
    "protection over all": (
        {"market_protection": 101},
        "Market protection should be -1, or greater than 0 and up to 100 percent.",
    ),
    "negative protection": (
        {"market_protection": -2},
        "Market protection should be -1, or greater than 0 and up to 100 percent.",
    ),
    "long tag": ({"tag": "x" * 21, **LIMIT}, "Tag cannot be longer than 20 characters."),
    "no minutes": ({"validity": "TTL", **LIMIT}, "Validity TTL should be one minute or more."),
    "future of a share": ({"product": "NRML", **LIMIT}, "Product NRML is not allowed for NSE."),
    "more shown than there is": (
        {"quantity": 10, "disclosed_quantity": 11, **LIMIT},
        "Disclosed quantity cannot be greater than the quantity.",
    ),
    "too little shown": (
        {"quantity": 100, "disclosed_quantity": 9, **LIMIT},
        "Disclosed quantity should be at least 10% of the quantity.",
    ),
    "one leg": (
        {"quantity": 10, "iceberg_legs": 1, "iceberg_quantity": 10, **LEGS},
        "Iceberg legs should be between 2 and 50.",
    ),
    "fifty-one legs": (
        {"quantity": 51, "iceberg_legs": 51, "iceberg_quantity": 1, **LEGS},
        "Iceberg legs should be between 2 and 50.",
    ),
    "legs that do not add up": (
        {"quantity": 10, "iceberg_legs": 2, "iceberg_quantity": 4, **LEGS},
        "Iceberg quantity should be the quantity divided by the legs.",
    ),
    "a last leg of nothing": (
        {"quantity": 20, "iceberg_legs": 3, "iceberg_quantity": 10, **LEGS},
        "Iceberg quantity should be the quantity divided by the legs.",
    ),
    "iceberg at once": (
        {"quantity": 10, "iceberg_legs": 2, "iceberg_quantity": 5, "validity": "IOC", **LEGS},
        "Iceberg orders cannot be IOC.",
    ),
    "slices of an iceberg": (
        {"quantity": 10, "iceberg_legs": 2, "iceberg_quantity": 5, "autoslice": "true", **LEGS},
        "Order slicing is for regular orders only.",
    ),
}


@pytest.fixture(scope="module")
def floor():
    return Floor()


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_order_is_refused_in_these_words_and_leaves_no_row(floor, case):
    fields, message = REFUSED[case]
    assert refusal(floor.send, SHARE, **fields) == (*INPUT, message)
    assert floor.desk.book(floor.now_ns) == []
    assert floor.lines("order") == []


def test_an_index_is_not_traded(floor):
    message = "NIFTY 50 is an index and cannot be traded."
    assert refusal(floor.send, INDEX, product="CNC", price=24000) == (*INPUT, message)


def test_shares_products_are_not_those_of_contracts(floor):
    assert refusal(floor.send, FUTURE, quantity=65, product="CNC", price=100) == (
        *INPUT,
        "Product CNC is not allowed for NFO.",
    )


def test_the_commodity_exchange_takes_no_order_that_may_not_wait(floor):
    message = "IOC orders are not allowed on MCX."
    assert refusal(floor.send, COPPER, price=100, validity="IOC") == (*INPUT, message)


def test_what_the_official_client_sends_besides_is_not_looked_at():
    floor = Floor()
    order_id = floor.place(
        SHARE,
        price="99.0",
        variety="regular",
        order_id="17",
        validity="",
        squareoff="None",
        iceberg_legs=5,
        iceberg_quantity=1,
        algo_id="A1",
        consider_positions="True",
        autoslice="False",
        guid="g",
        parent_order_id="",
    )
    assert floor.row(order_id)["status"] == "OPEN"


def test_fields_that_an_order_type_has_no_use_for_stay_out_of_its_row():
    floor = Floor()
    row = floor.row(floor.place(OTHER, price=99, trigger_price=98, market_protection=3, validity_ttl=0))
    assert (row["trigger_price"], row["market_protection"], row["order_type"]) == (0, 0, "LIMIT")


def test_an_option_takes_a_market_order_with_protection():
    floor = Floor()
    floor.show(CALL, last=100, asks=((650, 100.05),))
    assert floor.row(floor.place(CALL, quantity=65, market_protection=-1))["status"] == "COMPLETE"


def test_a_tag_of_twenty_characters_is_kept_and_shown_as_a_list_too():
    floor = Floor()
    row = floor.row(floor.place(SHARE, price=99, tag="x" * 20))
    assert (row["tag"], row["tags"]) == ("x" * 20, ["x" * 20])
    assert "tags" not in floor.row(floor.place(SHARE, price=99))
