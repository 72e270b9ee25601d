"""Lots: first in first out, what was carried over a night, and what no strategy of ours bought."""

from collections import Counter

import pytest
from builders import BUY, INFY, SELL, TCS, TEN_NS, fill
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.holding import DAY_NS, DELIVERY, Days, Holding, Lot, day_of, external_positions
from alphapanda.core.margins import FULL
from alphapanda.events import Money

TODAY = day_of(TEN_NS)


def on_day(number, side=BUY, quantity=10, price="100", product=DELIVERY):
    """A fill so many days after the third of June."""
    return fill(side, quantity, price, product=product, traded_ns=TEN_NS + number * DAY_NS)


def holding(*fills):
    made = Holding(fills[0], FULL)
    for one in fills:
        made.book(one)
    return made


def test_a_day_is_an_ist_day():
    midnight_ns = TEN_NS - 10 * 3600 * 10**9
    assert day_of(midnight_ns) == day_of(midnight_ns + DAY_NS - 1) == day_of(midnight_ns - 1) + 1


def test_lots_keep_the_time_they_were_traded():
    made = holding(on_day(0, quantity=4), on_day(1, quantity=6, price="110"), on_day(2, SELL, 5))
    assert list(made.lots) == [Lot(5, Money(110), TEN_NS + DAY_NS)]


def test_what_was_carried_over_the_night_is_told_and_of_it_what_came_yesterday():
    made = holding(on_day(-2, quantity=1), on_day(-1, quantity=2), on_day(0, quantity=4))
    position = made.position(Money(100), Days(TODAY, TODAY - 1))
    assert (position.quantity, position.overnight_quantity, position.t1_quantity) == (7, 3, 2)


def test_what_is_bought_for_the_day_is_never_on_its_way_to_the_demat_account():
    made = holding(on_day(-1, quantity=2, product="MIS"))
    position = made.position(Money(100), Days(TODAY, TODAY - 1))
    assert (position.overnight_quantity, position.t1_quantity) == (2, 0)


def test_without_a_day_nothing_is_carried():
    position = holding(on_day(-1)).position(Money(100))
    assert (position.overnight_quantity, position.t1_quantity) == (0, 0)


@pytest.mark.parametrize(
    ("bought", "product", "unsettled"),
    [(-1, DELIVERY, 550), (-2, DELIVERY, 0), (0, DELIVERY, 0), (-1, "MIS", 0)],
    ids=["T1", "held", "of the day", "intraday"],
)
def test_only_what_was_bought_yesterday_for_delivery_brings_cash_of_tomorrow(bought, product, unsettled):
    made = holding(on_day(bought, product=product))
    closed = made.book(on_day(0, SELL, 5, "110", product), Days(TODAY, TODAY - 1))
    assert (closed.realized, closed.unsettled) == (50, unsettled)


def test_a_claim_is_what_the_margin_asks_beyond_the_cost():
    def fifth(instrument, product, side, quantity, price):
        return price * quantity / 5

    long, short = Holding(fill(), fifth), Holding(fill(), fifth)
    long.book(fill(BUY, 10))
    short.book(fill(SELL, 10))
    assert (long.claim, short.claim) == (-800, 1200)
    assert (holding(fill(BUY, 10)).claim, holding(fill(SELL, 10)).claim) == (0, 2000)


keys = st.tuples(st.sampled_from([INFY, TCS]), st.sampled_from(["MIS", DELIVERY]))
held = st.lists(st.tuples(keys, st.sampled_from([BUY, SELL]), st.integers(1, 9)), max_size=8)


@given(held, st.dictionaries(keys, st.integers(-20, 20)))
def test_ours_and_the_external_are_the_brokers_by_symbol_and_product(held, brokers):
    ours = [
        holding(fill(side, quantity, instrument=instrument, product=product)).position(Money(1))
        for (instrument, product), side, quantity in held
    ]
    theirs = {(instrument.key, product): quantity for (instrument, product), quantity in brokers.items()}
    external = external_positions(ours, theirs)
    total = Counter(external)
    for position in ours:
        total[position.instrument.key, position.product] += position.quantity
    assert {key: n for key, n in total.items() if n} == {key: n for key, n in theirs.items() if n}
    assert 0 not in external.values()
