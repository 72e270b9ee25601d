from desk_floor import CALL, FUTURE, SHARE, Floor, refusal

from alphapanda.exchange.calls import Effects

INPUT = (400, "InputException")


def sliced(floor, quantity, **fields):
    return floor.send(FUTURE, quantity=quantity, autoslice="true", **({"price": 90} | fields))


def test_an_order_over_the_freeze_quantity_becomes_several_that_name_their_parent():
    floor = Floor(cash=10**9)
    answer = sliced(floor, 4550, tag="mine")
    floor.pass_()
    rows = [floor.row(child["order_id"]) for child in answer["children"]]
    assert [row["quantity"] for row in rows] == [1755, 1755, 1040]
    for row in rows:
        assert row["tags"] == ["mine", "autoslice", f"autoslice:{answer['order_id']}"]
        assert (row["tag"], row["status"], row["parent_order_id"]) == ("mine", "OPEN", None)
    assert len(floor.desk.book(floor.now_ns)) == 3  # the parent is a number, not an order


def test_what_needs_no_slices_is_refused_with_the_least_that_does():
    floor = Floor(cash=10**9)
    message = "Quantity should be greater than or equal to 3510 for order slicing."
    for quantity in (65, 1755, 3509):
        assert refusal(sliced, floor, quantity) == (*INPUT, message)
    assert len(sliced(floor, 3510)["children"]) == 2


def test_ten_slices_are_the_most():
    floor = Floor(cash=10**9)
    assert len(sliced(floor, 17550)["children"]) == 10
    message = "Quantity should be less than or equal to 17550."
    assert refusal(sliced, floor, 17615) == (*INPUT, message)


def test_slices_that_the_account_cannot_carry_are_errors_without_rows():
    floor = Floor(cash=400_000)
    floor.show(CALL, last=100)
    answer = floor.send(CALL, quantity=1755 * 3, price=100, autoslice="true")
    floor.pass_()
    ids = [child["order_id"] for child in answer["children"] if "order_id" in child]
    errors = [child["error"] for child in answer["children"] if "error" in child]
    assert (len(ids), len(errors)) == (2, 1)
    assert errors[0] == {
        "code": 400,
        "error_type": "MarginException",
        "message": "Insufficient funds. Required margin is 175500.00 but available margin is 49000.00.",
        "data": None,
    }
    assert [row["order_id"] for row in floor.desk.book(floor.now_ns)] == ids


def test_shares_are_sliced_at_the_brokers_largest_order():
    floor = Floor(cash=10**9)
    answer = floor.send(SHARE, quantity=250_000, price=90, autoslice="true")
    floor.pass_()
    quantities = [floor.row(child["order_id"])["quantity"] for child in answer["children"]]
    assert quantities == [100_000, 100_000, 50_000]


def test_market_slices_are_protected_each():
    floor = Floor(cash=10**9)
    floor.show(FUTURE, last=100, asks=((10_000, 100),))
    answer = sliced(floor, 3510, price=None, order_type="MARKET", market_protection=-1)
    floor.pass_()
    for child in answer["children"]:
        row = floor.row(child["order_id"])
        assert (row["status"], row["order_type"]) == ("COMPLETE", "LIMIT")
        assert {"autoslice", "mktp"} <= set(row["tags"])


def iceberg(floor, quantity=25, legs=3, leg_quantity=10, **fields):
    return floor.place(
        SHARE,
        **({"price": 100.05, "quantity": quantity, "iceberg_legs": legs} | fields),
        iceberg_quantity=leg_quantity,
        variety="iceberg",
    )


def leg_of(row):
    return row["meta"]["iceberg"]


def test_the_next_leg_of_an_iceberg_goes_out_when_one_has_traded():
    floor = Floor()
    floor.show(asks=((4, 100.05),))
    order_id = iceberg(floor, tag="berg")
    row = floor.row(order_id)
    assert (row["quantity"], row["filled_quantity"], row["variety"]) == (10, 4, "iceberg")
    assert leg_of(row) == {
        "leg": 1,
        "legs": 3,
        "leg_quantity": 10,
        "total_quantity": 25,
        "remaining_quantity": 15,
    }
    floor.show(asks=((100, 100.05),))
    floor.pass_()
    floor.show(asks=((100, 100.05),))
    floor.pass_()
    rows = floor.desk.book(floor.now_ns)
    assert [(row["quantity"], row["status"]) for row in rows] == [
        (10, "COMPLETE"),
        (10, "COMPLETE"),
        (5, "COMPLETE"),
    ]
    assert [leg_of(row)["leg"] for row in rows] == [1, 2, 3]
    assert [leg_of(row)["remaining_quantity"] for row in rows] == [15, 5, 0]
    assert {row["tag"] for row in rows} == {"berg"}
    assert len({row["order_id"] for row in rows}) == 3


def test_the_legs_of_a_stop_that_has_triggered_wait_no_more():
    floor = Floor()
    iceberg(floor, quantity=20, legs=2, price=102, order_type="SL", trigger_price=101)
    floor.show(last=101, asks=((100, 101),))
    floor.pass_()
    assert [row["status"] for row in floor.desk.book(floor.now_ns)] == ["COMPLETE"] * 2


def test_a_leg_that_is_cancelled_is_the_last():
    floor = Floor()
    floor.show(asks=())
    order_id = iceberg(floor)
    floor.cancel(order_id)
    floor.show(asks=((100, 100.05),))
    floor.pass_()
    assert [row["status"] for row in floor.desk.book(floor.now_ns)] == ["CANCELLED"]


def test_an_iceberg_can_live_its_whole_life_before_the_answer():
    floor = Floor()
    floor.show(asks=((100, 100.05),))
    floor.send(
        SHARE,
        quantity=20,
        price=100.05,
        variety="iceberg",
        effects=Effects(fill_first=True),
        iceberg_legs=2,
        iceberg_quantity=10,
    )
    assert [row["status"] for row in floor.desk.book(floor.now_ns)] == ["COMPLETE", "PUT ORDER REQ RECEIVED"]
