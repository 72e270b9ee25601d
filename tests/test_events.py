"""The vocabulary: times, frozen values, and the few properties that values have."""

from datetime import UTC, datetime, timedelta

import pytest
from builders import BUY, INFY, SELL, TEN, fill, order, tick
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from alphapanda import events
from alphapanda.events import Money, OrderStatus
from alphapanda.times import IST, to_ist, to_ns

S = OrderStatus


def test_a_naive_time_is_ist():
    assert to_ns(datetime(1970, 1, 1, 5, 30)) == 0
    assert tick(timestamp=datetime(2024, 6, 3, 10)).timestamp == TEN
    assert tick(timestamp=datetime(2024, 6, 3, 10)).timestamp.utcoffset() == timedelta(hours=5, minutes=30)


def test_an_aware_time_keeps_its_moment_and_its_zone():
    moment = datetime(2024, 6, 3, 4, 30, tzinfo=UTC)
    assert to_ns(moment) == to_ns(TEN)
    assert tick(timestamp=moment).timestamp is moment


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(IST)))
def test_times_survive_nanoseconds_to_the_microsecond(moment):
    assert to_ist(to_ns(moment)) == moment
    assert to_ist(to_ns(moment) + 999) == moment
    assert to_ist(to_ns(moment)).isoformat().endswith("+05:30")


def test_exactly_the_five_final_states_have_ended():
    ended = {S.FILLED, S.CANCELLED, S.REJECTED, S.NOT_FOUND, S.WITHHELD}
    assert {status for status in S if status.ended} == ended


def test_sides_are_signed():
    assert (BUY.sign, SELL.sign) == (1, -1)
    assert (fill(BUY, 3).signed_quantity, fill(SELL, 3).signed_quantity) == (3, -3)


def test_an_order_knows_what_may_still_trade():
    part = order(SELL, 10, filled_quantity=4, filled_value=Money(410), reference_price=Money(100))
    assert (part.pending_quantity, part.signed_pending, part.pending_value) == (6, -6, Money(600))
    assert part.average_price == Money("102.5")
    assert order().average_price is None


def test_an_instrument_is_named_by_exchange_and_symbol():
    assert INFY.key == "NSE:INFY"


@pytest.mark.parametrize("value", [order(), fill(), tick(), INFY])
def test_values_are_frozen(value):
    with pytest.raises(AttributeError):
        value.quantity = 5


def test_every_message_is_a_frozen_struct():
    messages = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Struct)]
    assert len(messages) > 20
    assert [kind.__name__ for kind in messages if not kind.__struct_config__.frozen] == []
