import msgspec
import pytest
from desk_floor import DAY, EXPIRING, FUTURE, SHARE, Floor, at, refusal

from alphapanda.exchange.calls import Effects
from alphapanda.times import DAY_NS, SECOND_NS

INPUT = (400, "InputException")
PLACED = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN"]
NEXT_OPEN = at("09:15:00") + DAY_NS
MORNING = at("06:00:00") + DAY_NS


def test_numbers_are_counted_and_long_enough():
    floor = Floor()
    ids = [floor.place(SHARE, price=100.05) for _ in range(3)]
    assert [len(each) for each in ids] == [19] * 3
    assert [int(each) - int(ids[0]) for each in ids] == [0, 1, 2]
    assert [len(floor.row(each)["exchange_order_id"]) for each in ids] == [16] * 3
    trades = [trade["trade_id"] for trade in floor.trades()]
    assert [int(each) - int(trades[0]) for each in trades] == [0, 1, 2]
    assert all(len(each) >= 8 for each in trades)


def test_only_the_exchange_gives_its_own_number():
    floor = Floor()
    history = floor.desk.order_history(floor.place(SHARE, price=99), floor.now_ns)
    assert [(row["exchange_order_id"] is None, row["exchange_timestamp"] is None) for row in history] == [
        *[(True, True)] * 3,
        (False, False),
    ]


def test_a_plain_placement_is_not_told_and_a_fill_and_an_end_are():
    floor = Floor()
    order_id = floor.place(SHARE, quantity=5, price=99)
    assert floor.updates == []
    floor.show(asks=((2, 99),))
    floor.cancel(order_id)
    assert floor.told(order_id) == ["UPDATE", "CANCELLED"]
    assert [row["filled_quantity"] for row in floor.updates] == [2, 2]
    assert floor.updates[-1]["unfilled_quantity"] == 3


def test_the_history_has_the_whole_row_of_each_status_and_each_trade():
    floor = Floor()
    order_id = floor.place(SHARE, quantity=5, price=100.05)
    lines = floor.lines("order")
    assert [line["status"] for line in lines] == [*PLACED, "COMPLETE"]
    row = floor.row(order_id)
    assert {name: lines[-1][name] for name in row} == row
    (trade,) = floor.trades()
    assert {name: floor.lines("trade")[0][name] for name in trade} == trade
    assert {line["by"] for line in lines} == {"api"}


def test_an_order_that_registers_late_is_nowhere_to_be_seen_until_it_is():
    floor = Floor()
    order_id = floor.place(SHARE, quantity=5, price=100.05, effects=Effects(late_s=8))
    assert (floor.desk.book(floor.now_ns), floor.trades()) == ([], [])
    unknown = (400, "GeneralException", "Couldn't find that `order_id`.")
    assert refusal(floor.statuses, order_id) == refusal(floor.cancel, order_id) == unknown
    floor.pass_(7.5)
    assert (floor.desk.book(floor.now_ns), floor.updates, len(floor.lines("order"))) == ([], [], 1)
    floor.pass_(0.5)
    assert floor.row(order_id)["status"] == "COMPLETE"
    assert floor.row(order_id)["order_timestamp"] == "2026-04-15 10:00:00"
    assert len(floor.trades(order_id)) == 1


def test_how_late_counts_in_wall_seconds():
    floor = Floor()
    floor.clock.set_speed(10, 0)
    order_id = floor.send(SHARE, price=99, effects=Effects(late_s=2))["order_id"]
    assert floor.desk.order(order_id).visible_ns == floor.now_ns + 20 * SECOND_NS


def test_a_fault_lets_an_order_trade_before_the_answer():
    floor = Floor()
    answer = floor.send(SHARE, quantity=5, price=100.05, effects=Effects(fill_first=True))
    assert floor.statuses(answer["order_id"]) == [*PLACED, "COMPLETE"]
    assert floor.told(answer["order_id"]) == ["COMPLETE"]


@pytest.mark.parametrize("status", PLACED)
def test_a_fault_holds_an_order_in_any_status_of_its_way(status):
    floor = Floor()
    order_id = floor.place(SHARE, quantity=5, price=100.05, effects=Effects(stuck=status, stuck_s=60))
    floor.pass_(59)
    floor.show()
    assert floor.row(order_id)["status"] == status
    assert refusal(floor.cancel, order_id)[:2] == INPUT
    floor.pass_(2)
    assert floor.statuses(order_id) == [*PLACED, "COMPLETE"]


def test_a_fault_holds_an_order_for_ever():
    floor = Floor()
    order_id = floor.place(SHARE, price=99, effects=Effects(stuck="OPEN PENDING"))
    floor.until(at("23:00:00"))
    row = floor.row(order_id)
    assert (row["status"], row["pending_quantity"]) == ("OPEN PENDING", 1)
    assert [order.order_id for order in floor.desk.open_orders()] == [order_id]


def test_what_is_let_go_after_the_close_is_gone():
    floor = Floor(now="15:25:00")
    pending = floor.place(SHARE, price=99, effects=Effects(stuck="OPEN PENDING", stuck_s=600))
    rests = floor.place(SHARE, price=99, effects=Effects(stuck="OPEN", stuck_s=600))
    floor.until(at("15:31:00"))
    assert [floor.row(each)["status"] for each in (pending, rests)] == ["OPEN PENDING", "OPEN"]
    floor.until(at("15:36:00"))
    assert [floor.row(each)["status"] for each in (pending, rests)] == ["REJECTED", "CANCELLED"]


def test_the_book_of_a_while_ago_is_as_it_was():
    floor = Floor()
    first = floor.place(SHARE, quantity=5, price=99)
    then_ns = floor.now_ns
    floor.pass_(10)
    was = floor.desk.book(then_ns)
    floor.cancel(first)
    floor.place(SHARE, price=99)
    assert floor.desk.book(then_ns) == was
    assert [row["status"] for row in was] == ["OPEN"]
    assert floor.desk.book(then_ns - 3600 * SECOND_NS) == []


def test_an_after_market_order_waits_for_the_next_open_and_nobody_is_told():
    floor = Floor(now="18:00:00")
    order_id = floor.place(SHARE, quantity=5, price=100.05, variety="amo")
    row = floor.row(order_id)
    assert (row["status"], row["variety"], row["exchange_order_id"]) == ("AMO REQ RECEIVED", "amo", None)
    floor.until(MORNING)
    floor.desk.new_day()
    floor.until(NEXT_OPEN - 1)
    assert (floor.statuses(order_id), floor.updates) == (["AMO REQ RECEIVED"], [])
    floor.until(NEXT_OPEN + SECOND_NS)
    assert floor.statuses(order_id) == ["AMO REQ RECEIVED", *PLACED[1:], "COMPLETE"]
    assert floor.told(order_id) == ["COMPLETE"]


def test_an_after_market_order_is_changed_and_cancelled_on_the_spot():
    floor = Floor(now="18:00:00")
    order_id = floor.place(SHARE, quantity=5, price=100.05, variety="amo")
    floor.modify(order_id, quantity=6)
    row = floor.row(order_id)
    assert (row["status"], row["quantity"], row["modified"]) == ("AMO REQ RECEIVED", 6, True)
    floor.cancel(order_id)
    row = floor.row(order_id)
    assert (row["status"], row["exchange_update_timestamp"], floor.updates) == ("CANCELLED", None, [])
    floor.until(NEXT_OPEN + SECOND_NS)
    assert floor.row(order_id)["status"] == "CANCELLED"


def test_an_after_market_order_is_for_after_the_market():
    floor = Floor()
    message = "After market orders (AMO) cannot be placed while the market is open. Place a regular order."
    assert refusal(floor.send, SHARE, price=99, variety="amo") == (*INPUT, message)


def test_a_fault_strikes_an_after_market_order_when_it_is_let_go():
    floor = Floor(now="18:00:00")
    effects = Effects(stuck="OPEN PENDING", stuck_s=60)
    order_id = floor.place(SHARE, price=100.05, variety="amo", effects=effects)
    floor.until(NEXT_OPEN + 30 * SECOND_NS)
    assert floor.row(order_id)["status"] == "OPEN PENDING"
    floor.pass_(60)
    assert floor.row(order_id)["status"] == "COMPLETE"


def test_a_contract_that_has_expired_has_no_next_open():
    floor = Floor(now="18:00:00")
    message = "The instrument you are placing an order for has either expired or does not exist."
    assert refusal(floor.send, EXPIRING, quantity=65, price=10, variety="amo") == (*INPUT, message)


def test_an_after_market_order_is_judged_when_it_is_let_go():
    floor = Floor(cash=1_000, now="18:00:00")
    poor = floor.place(SHARE, quantity=500, price=100.05, variety="amo")
    market = floor.place(SHARE, quantity=5, variety="amo", market_protection=-1)
    assert floor.row(market)["order_type"] == "MARKET"
    floor.until(NEXT_OPEN + SECOND_NS)
    assert "Insufficient funds" in floor.row(poor)["status_message"]
    assert (floor.row(market)["status"], floor.row(market)["order_type"]) == ("COMPLETE", "LIMIT")


def test_a_new_day_begins_with_an_empty_book_and_goes_on_counting():
    floor = Floor(now="15:00:00")
    last = floor.place(SHARE, quantity=5, price=100.05)
    stuck = floor.place(SHARE, price=99, effects=Effects(stuck="OPEN", stuck_s=DAY_NS / SECOND_NS))
    floor.until(MORNING)
    floor.desk.new_day()
    assert (floor.desk.book(MORNING), floor.trades(), list(floor.desk.open_orders())) == ([], [], [])
    assert floor.desk.tokens() == set()
    floor.until(NEXT_OPEN + SECOND_NS)
    assert int(floor.place(SHARE, price=99)) == int(last) + 2
    floor.until(at("15:10:00") + DAY_NS)
    assert stuck not in [row["order_id"] for row in floor.desk.book(floor.now_ns)]


def test_only_what_may_bind_margin_is_open():
    floor = Floor(cash=10_000)
    rests = floor.place(SHARE, quantity=5, price=99)
    floor.send(SHARE, quantity=5_000, price=99)  # RMS will say no
    new = floor.send(SHARE, quantity=5, price=99)["order_id"]
    assert [order.order_id for order in floor.desk.open_orders()] == [rests, new]
    floor.until(at("18:00:00"))
    floor.place(SHARE, price=99, variety="amo")
    assert list(floor.desk.open_orders()) == []


def day(seed):
    floor = Floor(seed=seed)
    first = floor.place(SHARE, quantity=2_000, price=100.05)
    floor.show(asks=((300, 100.0),))
    floor.modify(first, price=99)
    floor.place(FUTURE, quantity=65, market_protection=-1)
    floor.cancel(first)
    return b"".join(floor.history.lines())


def test_the_same_calls_at_the_same_times_give_the_same_history():
    assert day(1) == day(1)
    assert day(1) != day(2)  # steps take their time by the seed
    assert msgspec.json.decode(day(1).splitlines()[0])["at"].startswith(f"{DAY}T10:00:00")


def test_a_resting_sale_binds_what_it_would_fetch_as_prices_move():
    floor = Floor()
    left = floor.account.ledger.available
    whole = left("equity", floor.now_ns)
    floor.place(SHARE, "SELL", 10, price=110, product="MIS")
    assert whole - left("equity", floor.now_ns) == 220
    floor.show(SHARE, last=150.0, bids=(), asks=())
    assert whole - left("equity", floor.now_ns) == 300
    floor.show(SHARE, last=100.0)
    assert whole - left("equity", floor.now_ns) == 220
