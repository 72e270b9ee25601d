import pytest
from desk_floor import FUTURE, SHARE, Floor, refusal

from alphapanda.exchange.calls import Effects

INPUT = (400, "InputException")
MODIFY_LATER = "Order cannot be modified as it is being processed. Try later."
CANCEL_LATER = "Order cannot be cancelled as it is being processed. Try later."
PLACED = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN"]


def test_a_change_passes_its_statuses_and_shows_in_the_last():
    floor = Floor()
    order_id = floor.place(SHARE, quantity=5, price=99)
    floor.modify(order_id, quantity=7, price=98.5, order_type="LIMIT", validity="DAY", variety="regular")
    row = floor.row(order_id)
    assert (row["quantity"], row["price"], row["modified"]) == (7, 98.5, True)
    assert floor.statuses(order_id) == [
        *PLACED,
        *("MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED", "OPEN"),
    ]
    history = floor.desk.order_history(order_id, floor.now_ns)
    assert [row["price"] for row in history] == [99] * 7 + [98.5]
    assert floor.told(order_id) == ["UPDATE"]


def test_the_times_of_a_change_are_its_own():
    floor = Floor()
    order_id = floor.place(SHARE, price=99)
    floor.pass_(60)
    floor.modify(order_id, price=98)
    row = floor.row(order_id)
    assert (row["order_timestamp"], row["exchange_timestamp"]) == ("2026-04-15 10:01:00",) * 2
    floor.pass_(60)
    floor.cancel(order_id)
    row = floor.row(order_id)
    assert row["exchange_timestamp"] == "2026-04-15 10:01:00"
    assert row["exchange_update_timestamp"] == row["order_timestamp"] == "2026-04-15 10:02:00"


def test_a_change_may_let_the_order_trade():
    floor = Floor()
    order_id = floor.place(SHARE, quantity=5, price=99)
    floor.modify(order_id, price=100.05)
    assert floor.row(order_id)["status"] == "COMPLETE"
    assert floor.told(order_id) == ["UPDATE", "COMPLETE"]


def test_what_is_on_its_way_can_neither_be_changed_nor_cancelled():
    floor = Floor()
    order_id = floor.send(SHARE, price=99)["order_id"]
    assert refusal(floor.modify, order_id, price=98) == (*INPUT, MODIFY_LATER)
    assert refusal(floor.cancel, order_id) == (*INPUT, CANCEL_LATER)
    floor.pass_()
    floor.modify(order_id, price=98, wait=0)
    assert refusal(floor.cancel, order_id) == (*INPUT, CANCEL_LATER)
    floor.pass_()
    floor.cancel(order_id, wait=0)
    assert refusal(floor.modify, order_id, price=97) == (*INPUT, MODIFY_LATER)
    floor.pass_()
    assert floor.row(order_id)["status"] == "CANCELLED"


def test_what_has_ended_stays_as_it_is():
    floor = Floor()
    gone = [floor.place(SHARE, price=101), floor.place(SHARE, price=99), floor.place(SHARE, price=99.99)]
    floor.cancel(gone[1])
    for order_id, status in zip(gone, ("COMPLETE", "CANCELLED", "REJECTED"), strict=True):
        before = floor.row(order_id)
        message = f"Order cannot be modified as it is already {status}."
        assert refusal(floor.modify, order_id, price=98) == (*INPUT, message)
        message = f"Order cannot be cancelled as it is already {status}."
        assert refusal(floor.cancel, order_id) == (*INPUT, message)
        assert floor.row(order_id) == before


def test_an_order_that_is_not_there_is_not_found():
    floor = Floor()
    unknown = (400, "GeneralException", "Couldn't find that `order_id`.")
    assert refusal(floor.modify, "17", price=98) == unknown
    assert refusal(floor.cancel, "17") == unknown
    assert refusal(floor.statuses, "17") == unknown
    assert refusal(floor.trades, "17") == unknown
    assert refusal(floor.desk.cancel, "bo", "17", floor.now_ns) == (*INPUT, "Invalid `variety`: bo.")


def test_the_twenty_sixth_change_is_refused():
    floor = Floor()
    order_id = floor.place(SHARE, quantity=50, price=99)
    for quantity in range(51, 76):
        floor.modify(order_id, quantity=quantity)
    message = "Maximum allowed order modifications exceeded."
    assert refusal(floor.modify, order_id, quantity=99) == (429, "NetworkException", message)
    assert floor.row(order_id)["quantity"] == 75
    floor.cancel(order_id)
    assert floor.row(order_id)["status"] == "CANCELLED"


def test_a_limit_becomes_a_market_order_only_with_protection():
    floor = Floor()
    order_id = floor.place(SHARE, quantity=5, price=99, market_protection=3)  # a LIMIT has no use for it
    code, kind, message = refusal(floor.modify, order_id, order_type="MARKET")
    assert (code, kind) == INPUT
    assert message.startswith("Market orders without market protection are not allowed via API.")
    floor.modify(order_id, order_type="MARKET", market_protection=-1)
    row = floor.row(order_id)
    assert (row["status"], row["order_type"], row["tags"]) == ("COMPLETE", "LIMIT", ["mktp", "mktp:1.00"])


def test_a_market_order_keeps_its_protection():
    floor = Floor()
    floor.show(asks=((5, 103),))
    order_id = floor.place(SHARE, quantity=5, market_protection=2)
    floor.show(last=102, asks=((5, 103),))
    floor.modify(order_id, order_type="MARKET")
    assert (floor.row(order_id)["status"], floor.row(order_id)["price"]) == ("COMPLETE", 104)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"quantity": 0}, "Quantity should be greater than zero."),
        ({"price": "x"}, "Invalid request (failed to decode price, got: x (expected decimal))"),
        ({"validity": "TTL"}, "Validity TTL should be one minute or more."),
        ({"order_type": "SL"}, "Trigger price is required for SL orders."),
        ({"disclosed_quantity": 6}, "Disclosed quantity cannot be greater than the quantity."),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_and_not_counted(fields, message):
    floor = Floor()
    order_id = floor.place(SHARE, quantity=5, price=99)
    assert refusal(floor.modify, order_id, **fields) == (*INPUT, message)
    assert floor.statuses(order_id) == PLACED
    assert floor.desk.order(order_id).modifications == 0


@pytest.mark.parametrize(
    ("what", "fields", "words"),
    [
        (SHARE, {"price": 98.99}, "Tick size for this script is 0.05."),
        (SHARE, {"price": 130}, "higher than the current upper circuit limit"),
        (SHARE, {"quantity": 500_000}, "Maximum quantity per order"),
        (SHARE, {"quantity": 99_999}, "Insufficient funds."),
        (FUTURE, {"quantity": 66}, "not a multiple of the lot size of 65"),
    ],
)
def test_a_change_that_is_rejected_leaves_the_order_as_it_was(what, fields, words):
    floor = Floor(cash=1_000_000)
    quantity = what.instrument.lot_size
    order_id = floor.place(what, quantity=quantity, price=99)
    floor.modify(order_id, **fields)
    row = floor.row(order_id)
    assert (row["status"], row["price"], row["quantity"], row["modified"]) == ("OPEN", 99, quantity, False)
    assert words in row["status_message"]
    assert floor.statuses(order_id)[-2:] == ["NOT MODIFIED", "OPEN"]
    assert floor.told(order_id) == ["OPEN"]


def test_a_change_below_what_has_traded_meanwhile_is_refused_by_the_exchange():
    floor = Floor()
    order_id = floor.place(SHARE, quantity=10, price=99)
    floor.modify(order_id, quantity=4, wait=0)
    floor.show(asks=((6, 99),))
    assert floor.row(order_id)["filled_quantity"] == 6
    floor.pass_()
    row = floor.row(order_id)
    assert (row["status"], row["quantity"], row["status_message"]) == (
        *("OPEN", 10),
        "16346 : Order cannot be modified",
    )


def test_an_order_trades_while_its_cancel_is_on_the_way():
    floor = Floor()
    whole, part = floor.place(SHARE, quantity=5, price=99), floor.place(SHARE, quantity=10, price=99)
    for order_id in (whole, part):
        floor.cancel(order_id, wait=0)
    floor.show(asks=((8, 99),))
    floor.pass_()
    assert floor.statuses(whole)[-2:] == ["CANCEL PENDING", "COMPLETE"]
    row = floor.row(part)
    assert (row["status"], row["filled_quantity"], row["cancelled_quantity"]) == ("CANCELLED", 3, 7)
    assert floor.told(part) == ["UPDATE", "CANCELLED"]


def test_a_stop_moves_its_trigger_and_a_limit_becomes_a_stop():
    floor = Floor()
    stop = floor.place(SHARE, order_type="SL", trigger_price=101, price=102)
    floor.modify(stop, trigger_price=103, price=104)
    floor.show(last=102)
    assert (floor.row(stop)["status"], floor.row(stop)["trigger_price"]) == ("TRIGGER PENDING", 103)
    floor.show(last=100)
    limit = floor.place(SHARE, price=99)
    floor.modify(limit, order_type="SL", trigger_price=101, price=102)
    assert floor.row(limit)["status"] == "TRIGGER PENDING"
    floor.modify(stop, order_type="LIMIT", price=100.05)
    assert floor.row(stop)["status"] == "COMPLETE"


def test_a_change_of_validity_is_what_counts_when_it_ends():
    floor = Floor()
    waits = floor.place(SHARE, price=99, validity="TTL", validity_ttl=1)
    leaves = floor.place(SHARE, price=99)
    floor.modify(waits, validity="DAY")
    floor.modify(leaves, validity="IOC")
    floor.pass_(120)
    assert (floor.row(waits)["status"], floor.row(leaves)["status"]) == ("OPEN", "CANCELLED")


def test_minutes_begin_anew_with_a_change_and_count_from_it():
    floor = Floor()
    again = floor.place(SHARE, price=99, validity="TTL", validity_ttl=1)
    now = floor.place(SHARE, price=99)
    kept = floor.place(SHARE, price=99, validity="TTL", validity_ttl=1)
    floor.pass_(30)
    floor.modify(again, price=98)
    floor.modify(now, validity="TTL", validity_ttl=1)
    floor.modify(kept, validity="DAY", validity_ttl=0)
    floor.pass_(55)
    assert [floor.row(each)["status"] for each in (again, now, kept)] == ["OPEN"] * 3
    floor.pass_(10)
    assert [floor.row(each)["status"] for each in (again, now, kept)] == ["CANCELLED", "CANCELLED", "OPEN"]


def test_what_trades_meanwhile_is_not_counted_twice_by_the_account():
    floor = Floor(cash=10_000)
    order_id = floor.place(SHARE, quantity=100, price=99)
    floor.modify(order_id, quantity=101, wait=0)
    floor.show(asks=((60, 99),))
    floor.pass_()
    row = floor.row(order_id)
    assert (row["quantity"], row["filled_quantity"], row["status_message"]) == (101, 60, None)


def test_a_change_that_is_made_clears_the_words_of_one_that_was_not():
    floor = Floor()
    order_id = floor.place(SHARE, quantity=5, price=99)
    floor.modify(order_id, price=98.99)
    assert floor.row(order_id)["status_message"]
    floor.modify(order_id, price=98.95)
    row = floor.row(order_id)
    assert (row["status_message"], row["status_message_raw"], row["price"]) == (None, None, 98.95)


def test_an_order_that_ends_has_no_words_of_a_change_that_was_refused():
    floor = Floor()
    traded, cancelled = (floor.place(SHARE, quantity=5, price=99) for _ in range(2))
    for order_id in (traded, cancelled):
        floor.modify(order_id, price=98.99)
        assert floor.row(order_id)["status_message"]
    floor.cancel(cancelled)
    floor.show(asks=((5, 99),))
    rows = [floor.row(order_id) for order_id in (traded, cancelled)]
    assert [row["status"] for row in rows] == ["COMPLETE", "CANCELLED"]
    assert [(row["status_message"], row["status_message_raw"]) for row in rows] == [(None, None)] * 2


@pytest.mark.parametrize(("side", "lack"), [("SELL", "holdings"), ("BUY", "funds")])
def test_a_change_and_an_order_on_their_way_together_do_not_get_the_same_money_or_shares(side, lack):
    """RMS let both pass: the change when nothing else was there, the order before it had arrived."""
    floor = Floor(cash=1_000)
    floor.account.ledger.stock.take(SHARE).settled = 10
    price = 110 if side == "SELL" else 99
    order_id = floor.place(SHARE, side, price=price)
    floor.modify(order_id, quantity=10, wait=0)
    while floor.row(order_id)["status"] != "MODIFY PENDING":
        floor.until(floor.schedule.next_ns)
    other = floor.place(SHARE, side, quantity=9, price=price)
    rows = [floor.row(each) for each in (order_id, other)]
    assert [(row["status"], row["quantity"]) for row in rows] == [("OPEN", 1), ("OPEN", 9)]
    assert rows[0]["status_message"].startswith(f"Insufficient {lack}")


def test_a_stop_that_has_triggered_is_a_limit_until_it_becomes_a_stop_again():
    floor = Floor()
    order_id = floor.place(SHARE, order_type="SL", trigger_price=101, price=102)
    floor.show(last=101, asks=((9, 103),))
    assert floor.row(order_id)["status"] == "OPEN"
    floor.modify(order_id, price=102.5)
    assert (floor.row(order_id)["status"], floor.row(order_id)["price"]) == ("OPEN", 102.5)
    floor.modify(order_id, order_type="LIMIT")
    floor.modify(order_id, order_type="SL", trigger_price=102)
    assert floor.row(order_id)["status"] == "TRIGGER PENDING"


def test_a_fault_holds_a_cancel_until_it_is_let_go():
    floor = Floor()
    order_id = floor.place(SHARE, quantity=5, price=99)
    floor.desk.cancel("regular", order_id, floor.now_ns, Effects(stuck="CANCEL PENDING", stuck_s=30))
    floor.pass_(29)
    floor.show(asks=((9, 99),))
    assert floor.row(order_id)["status"] == "CANCEL PENDING"
    assert refusal(floor.cancel, order_id) == (*INPUT, CANCEL_LATER)
    floor.pass_(2)
    assert (floor.row(order_id)["status"], floor.row(order_id)["filled_quantity"]) == ("CANCELLED", 0)
