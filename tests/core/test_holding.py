"""Lots: first in first out, and what was carried over a night."""

import pytest
from builders import BUY, INFY, SELL, TEN_NS, fill
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.holding import Days, Holding
from alphapanda.core.lots import Lot
from alphapanda.core.margins import FULL
from alphapanda.events import CNC, Money
from alphapanda.tables import declared_margins
from alphapanda.times import DAY_NS, day_of

TODAY = day_of(TEN_NS)


def on_day(number, side=BUY, quantity=10, price="100", product=CNC):
    """A fill so many days after the third of June."""
    return fill(side, quantity, price, product=product, traded_ns=TEN_NS + number * DAY_NS)


def holding(*fills):
    made = Holding(fills[0], FULL)
    for one in fills:
        made.book(one)
    return made


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
    [(-1, CNC, 550), (-2, CNC, 0), (0, CNC, 0), (-1, "MIS", 0)],
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


@given(
    st.lists(
        st.tuples(
            st.sampled_from([BUY, SELL]), st.integers(1, 9), st.integers(1900, 2100), st.integers(0, 2)
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([FULL, declared_margins()]),
    st.sampled_from(["CNC", "MIS"]),
)
def test_what_is_kept_beside_the_lots_is_what_they_sum_to(trades, margins, product):
    held = None
    today = max(day for *_, day in trades)
    for number, (side, quantity, ticks, day) in enumerate(sorted(trades, key=lambda trade: trade[-1])):
        one = fill(
            side, quantity, str(ticks * Money("0.05")), number, product=product,
            traded_ns=TEN_NS + day * DAY_NS,
        )  # fmt: skip
        held = held or Holding(one, margins)
        held.book(one)
    days = Days(day_of(TEN_NS) + today, day_of(TEN_NS) + today - 1)
    claims = [
        margins(INFY, product, BUY if lot.quantity > 0 else SELL, abs(lot.quantity), lot.price)
        for lot in held.lots
    ]
    assert held.quantity == sum(lot.quantity for lot in held.lots)
    assert held.cost == sum(lot.quantity * lot.price for lot in held.lots)
    assert held.claim == sum(claims) - held.cost
    shown = held.position(Money(100), days)
    assert shown.overnight_quantity == sum(
        lot.quantity for lot in held.lots if day_of(lot.traded_ns) != days.current
    )
    assert shown.t1_quantity == sum(
        lot.quantity for lot in held.lots if product == CNC and day_of(lot.traded_ns) == days.before
    )


def test_a_fill_looks_at_its_own_lots_only_however_many_there_are():
    """Or a day of fills that build one position up would take the square of their number."""
    asked = []

    def counted(*args):
        asked.append(args)
        return FULL(*args)

    held = Holding(fill(BUY, 1, "100"), counted)
    for number in range(500):
        held.book(fill(BUY, 1, "100", number))
    assert len(asked) == 500
    held.book(fill(SELL, 3, "101", 500))
    assert len(asked) == 503
