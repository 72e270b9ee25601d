from desk_floor import COPPER, FUTURE, SHARE, Floor, at

from alphapanda.exchange.calls import Effects


def open_(floor):
    return {(listed.key, product): q for listed, product, q in floor.account.open_positions() if q}


def test_at_its_hour_the_broker_cancels_and_closes_what_is_within_the_day():
    floor = Floor(now="15:00:00")
    long = floor.place(SHARE, quantity=30, price=100.05, product="MIS")
    waits = floor.place(SHARE, quantity=5, price=99, product="MIS")
    kept = floor.place(SHARE, quantity=7, price=100.05)
    rests = floor.place(SHARE, quantity=7, price=99)
    short = floor.place(FUTURE, "SELL", quantity=65, price=99.9, product="MIS")
    assert [floor.row(each)["status"] for each in (long, short, kept)] == ["COMPLETE"] * 3
    floor.until(at("15:19:59"))
    assert open_(floor) == {(SHARE.key, "MIS"): 30, (FUTURE.key, "MIS"): -65, (SHARE.key, "CNC"): 7}
    floor.until(at("15:20:01"))
    assert floor.row(waits)["status"] == "CANCELLED"
    assert (
        floor.row(waits)["status_message"] == "The MIS order was cancelled by RMS before the auto square-off."
    )
    assert floor.row(rests)["status"] == "OPEN"
    assert open_(floor) == {(FUTURE.key, "MIS"): -65, (SHARE.key, "CNC"): 7}
    own = [row for row in floor.desk.book(floor.now_ns) if row["placed_by"] == "RMS"]
    assert [(row["transaction_type"], row["quantity"], row["status"], row["tag"]) for row in own] == [
        ("SELL", 30, "COMPLETE", None)
    ]
    floor.until(at("15:25:01"))
    assert open_(floor) == {(SHARE.key, "CNC"): 7}
    lines = floor.lines("square_off")
    assert [(line["instrument"], line["cancelled"]) for line in lines] == [
        (SHARE.key, [waits]),
        (FUTURE.key, []),
    ]
    assert lines[0]["placed"] == [own[0]["order_id"]]
    assert {line["by"] for line in floor.lines("trade")} == {"api", "rms"}


def test_what_the_broker_cannot_close_stays():
    floor = Floor(now="15:00:00")
    floor.place(SHARE, quantity=30, price=100.05, product="MIS")
    floor.show(bids=((10, 99.95),))
    floor.until(at("15:20:01"))
    assert open_(floor) == {(SHARE.key, "MIS"): 20}
    floor.show(bids=())
    floor.until(at("15:31:00"))
    own = [row for row in floor.desk.book(floor.now_ns) if row["placed_by"] == "RMS"]
    assert [(row["status"], row["filled_quantity"], row["cancelled_quantity"]) for row in own] == [
        ("CANCELLED", 10, 20)
    ]
    assert open_(floor) == {(SHARE.key, "MIS"): 20}


def test_the_broker_slices_what_is_over_the_freeze_quantity():
    floor = Floor(cash=10**9, now="15:00:00")
    floor.show(FUTURE, last=100, bids=((10_000, 99.9),), asks=((10_000, 100),))
    for _ in range(2):
        floor.place(FUTURE, quantity=1755, price=100, product="MIS")
    floor.until(at("15:25:01"))
    own = [row for row in floor.desk.book(floor.now_ns) if row["placed_by"] == "RMS"]
    assert [row["quantity"] for row in own] == [1755, 1755]
    assert open_(floor) == {}


def test_a_commodity_has_an_hour_of_its_own():
    floor = Floor(now="15:00:00")
    floor.place(COPPER, quantity=1, price=100.05, product="MIS")
    floor.until(at("23:00:00"))
    assert open_(floor) == {(COPPER.key, "MIS"): 1}
    floor.until(at("23:29:00"))
    assert open_(floor) == {}


def test_the_broker_can_close_everything_at_any_time():
    floor = Floor()
    floor.place(SHARE, quantity=30, price=100.05, product="MIS")
    waits = floor.place(FUTURE, quantity=65, price=99, product="MIS")
    floor.desk.square_off(floor.now_ns)
    floor.pass_()
    assert open_(floor) == {}
    assert floor.row(waits)["status"] == "CANCELLED"


def test_an_order_that_is_stuck_is_out_of_the_brokers_reach():
    floor = Floor(now="15:00:00")
    stuck = floor.place(SHARE, price=99, product="MIS", effects=Effects(stuck="OPEN PENDING"))
    floor.until(at("15:21:00"))
    assert floor.row(stuck)["status"] == "OPEN PENDING"
