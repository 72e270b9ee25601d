import pytest
from desk_floor import CALL, FUTURE, SHARE, Floor
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.events import Money, TransactionType
from alphapanda.exchange.orders.asked import AUTOMATIC
from alphapanda.exchange.orders.protection import limit, percent, tags

BUY, SELL = TransactionType.BUY, TransactionType.SELL
WIDE = (Money("0.05"), Money(1_000_000))


@pytest.mark.parametrize(
    ("listed", "last", "expected"),
    [
        *((SHARE, "99.95", "2"), (SHARE, "100", "1"), (SHARE, "499.95", "1"), (SHARE, "500", "0.5")),
        *((FUTURE, "99.95", "2"), (FUTURE, "24000", "0.5")),
        *((CALL, "9.95", "5"), (CALL, "10", "3"), (CALL, "99.95", "3"), (CALL, "100", "2")),
        *((CALL, "499.95", "2"), (CALL, "500", "1")),
    ],
)
def test_the_brokers_table_has_a_percentage_for_every_price(listed, last, expected):
    assert percent(listed, Money(last), AUTOMATIC) == Money(expected)
    assert percent(listed, Money(last), Money("1.25")) == Money("1.25")


@given(st.integers(1, 2_000_000), st.decimals("0.01", 100, places=2), st.sampled_from((BUY, SELL)))
def test_a_protected_price_is_on_its_tick_against_the_trader_and_never_further_than_asked(ticks, share, side):
    last = Money(ticks) * SHARE.instrument.tick_size
    price = limit(SHARE, side, last, share, (Money(0), Money(10**9)))
    assert price % SHARE.instrument.tick_size == 0
    assert 0 <= (price - last) * side.sign <= last * share / 100


def test_a_protected_price_stays_within_the_circuit_limits():
    circuit = (Money("99.5"), Money("100.4"))
    assert limit(SHARE, BUY, Money(100), Money(2), circuit) == Money("100.4")
    assert limit(SHARE, SELL, Money(100), Money(2), circuit) == Money("99.5")
    assert limit(SHARE, BUY, Money(100), Money(2), WIDE) == Money(102)


def test_its_tags_tell_of_the_protection():
    assert tags(Money(2)) == ["mktp", "mktp:2.00"]
    assert tags(Money("0.5")) == ["mktp", "mktp:0.50"]


def test_a_market_order_becomes_a_limit_order_whose_rest_stays():
    floor = Floor()
    floor.show(asks=((10, 100.05), (10, 100.9), (10, 101.05)))
    order_id = floor.place(SHARE, quantity=30, market_protection=-1, tag="mine")
    row = floor.row(order_id)
    assert (row["status"], row["filled_quantity"], row["pending_quantity"]) == ("OPEN", 20, 10)
    assert (row["order_type"], row["price"], row["market_protection"]) == ("LIMIT", 101, 0)
    assert row["tags"] == ["mine", "mktp", "mktp:1.00"]
    floor.show(asks=((100, 101),))
    assert floor.row(order_id)["status"] == "COMPLETE"


def test_a_manual_market_order_is_protected_by_the_app_and_bears_no_tag():
    floor = Floor()
    row = floor.row(floor.place(SHARE, quantity=3, by="owner", tag="mine"))
    assert (row["status"], row["tag"], row["placed_by"]) == ("COMPLETE", None, "RH0001")
    assert {line["by"] for line in floor.lines("order")} == {"owner"}


def test_a_percentage_is_taken_as_asked():
    floor = Floor()
    floor.show(asks=((10, 103),))
    row = floor.row(floor.place(SHARE, market_protection="2.5"))
    assert (row["status"], row["price"], row["tags"]) == ("OPEN", 102.5, ["mktp", "mktp:2.50"])
