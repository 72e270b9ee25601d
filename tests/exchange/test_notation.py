"""Amounts and times as Kite writes them."""

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.events import Money
from alphapanda.exchange.notation import plain, rupees, spelt, stamp
from alphapanda.times import SECOND_NS, start_of


def test_numbers_are_written_as_kite_writes_them():
    data = {"a": Money("1412.950"), "b": [Money("100.00"), 7.0, -0.5, 0.0], "c": (True, None, "1.0", 3)}
    assert msgspec.json.encode(plain(data)) == b'{"a":1412.95,"b":[100,7,-0.5,0],"c":[true,null,"1.0",3]}'


@settings(max_examples=200, deadline=None)
@given(st.decimals(-(10**10), 10**10, places=4))
def test_no_amount_changes_on_its_way(amount):
    written = json.loads(msgspec.json.encode(plain(amount)))
    assert Money(str(written)) == amount
    assert isinstance(written, int) == (amount == int(amount))


def test_what_no_integer_of_json_can_hold_is_a_float():
    data = [Money(10) ** 24, 1e24, -(Money(10) ** 24)]
    assert json.loads(msgspec.json.encode(plain(data))) == [1e24, 1e24, -1e24]


def test_a_price_in_a_sentence_has_the_places_it_needs():
    assert [spelt(Money(text)) for text in ("0.1", "1200", "0.0025000", "92.965")] == [
        *("0.10", "1200.00", "0.0025", "92.9650"),
    ]


def test_funds_are_rounded_half_up_to_the_paisa():
    assert [rupees(Money(text)) for text in ("0.005", "0.0049", "12.00")] == [0.01, 0, 12]


def test_a_time_is_that_of_india_without_its_offset():
    assert stamp(start_of(20_558) + 33_301 * SECOND_NS + 999) == "2026-04-15 09:15:01"
