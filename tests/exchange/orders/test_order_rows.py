from desk_floor import SHARE, Floor
from kite_shapes import published, unlike

from alphapanda.exchange.orders.rows import HISTORY


def lived():
    floor = Floor()
    floor.show(asks=((3, 100.05),))
    whole = floor.place(SHARE, quantity=2, price=100.05)
    part = floor.place(SHARE, quantity=2, price=100.05, tag="mine")
    floor.modify(part, price=99)
    floor.cancel(part)
    floor.rejected(SHARE, price=99.99)
    floor.place(SHARE, quantity=2, price=99, validity="TTL", validity_ttl=2)
    return floor, whole


def test_rows_are_shaped_as_kites():
    floor, whole = lived()
    assert unlike(floor.desk.book(floor.now_ns), [published("orders")]) == []
    assert unlike(floor.trades(), [published("trades")]) == []
    assert unlike(floor.trades(whole), [published("order_trades")]) == []
    assert unlike(floor.desk.order_history(whole, floor.now_ns), [published("order_info")]) == []
    assert set(HISTORY) == {key for row in published("order_info") for key in row}


def test_updates_are_shaped_as_kites_with_a_blank_checksum():
    floor, _ = lived()
    postback = published("postback")
    more = ("tags",)
    for row in floor.updates:
        empty = {key: value for key, value in postback.items() if row[key] is None}
        assert unlike(row, [postback, postback | empty, postback | dict.fromkeys(empty)], more=more) == []
        assert set(row) - {"tags"} == set(postback)
        assert (row["checksum"], row["user_id"]) == ("", "RH0001")


def test_quantities_of_a_row_add_up():
    floor, _ = lived()
    for row in floor.desk.book(floor.now_ns):
        parts = row["filled_quantity"] + row["pending_quantity"] + row["cancelled_quantity"]
        assert parts == (0 if row["status"] == "REJECTED" else row["quantity"])


def test_times_are_of_the_exchange_without_an_offset():
    floor, whole = lived()
    row = floor.row(whole)
    stamp = "2026-04-15 10:00:00"
    assert (row["order_timestamp"], row["exchange_timestamp"], row["exchange_update_timestamp"]) == (
        stamp,
    ) * 3
    for each in floor.desk.book(floor.now_ns):
        assert (each["exchange_update_timestamp"] is None) == (each["exchange_order_id"] is None)
    (trade,) = floor.trades(whole)
    assert (trade["fill_timestamp"], trade["exchange_timestamp"]) == (stamp, stamp)
    assert trade["order_timestamp"] == "10:00:00"


def test_whole_amounts_are_whole_numbers_in_json():
    floor, whole = lived()
    row = floor.row(whole)
    assert (repr(row["price"]), repr(row["trigger_price"]), repr(row["average_price"])) == (
        *("100.05", "0"),
        "100.05",
    )
    assert repr(floor.row(floor.place(SHARE, price=99))["price"]) == "99"
