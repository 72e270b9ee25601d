"""How a strategy stands against its own past: points, days, weeks, round trips."""

from datetime import date, timedelta

import pytest
from builders import BUY, SECOND, SELL, TCS, TEN_NS, fill, order
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.equity import EquityTracker
from alphapanda.core.holding import Holding
from alphapanda.core.margins import FULL
from alphapanda.events import (
    Balance,
    Booked,
    DayRolled,
    Figures,
    Money,
    OrderStatus,
    Performance,
    Valued,
)
from alphapanda.times import DAY_NS

MONDAY = date(2024, 6, 3)
BALANCE = Balance(broker="paper", starting_cash=Money(0), cash=Money(0))


class Desk:
    """A tracker that is fed as a portfolio feeds it."""

    def __init__(self):
        self.tracker = EquityTracker()
        self.holdings = {}

    def trade(self, side, quantity, price, charges="0", **fields):
        one = fill(side, quantity, price, charges=Money(charges), **fields)
        key = one.strategy_id, one.instrument.key
        held = self.holdings.setdefault(key, Holding(one, FULL))
        held.book(one)
        self.tracker.on_booked(Booked(order(), one, held.position(one.price), BALANCE))

    def value(self, net, strategy="momentum_1"):
        figures = Figures(realized_pnl=Money(net))
        self.tracker.on_valued(
            Valued(
                broker="paper", time_ns=0, cash=Money(0), equity=Money(0), figures=figures,
                strategies={strategy: figures},
            )
        )  # fmt: skip

    def roll(self, days):
        self.tracker.on_rolled(DayRolled((MONDAY + timedelta(days)).isoformat(), TEN_NS + days * DAY_NS))

    def stands(self, name="momentum_1"):
        return self.tracker.performance.get(name, Performance())


def test_booked_is_realised_less_charges_of_each_strategy_and_of_all():
    desk = Desk()
    desk.trade(BUY, 10, "100", "1.10")
    desk.trade(SELL, 4, "105", "0.90")
    desk.trade(SELL, 5, "50", "2", strategy_id="other")
    assert desk.stands().booked == 20 - 2
    assert desk.stands("other").booked == -2
    assert desk.stands("").booked == 16


def test_a_day_and_a_week_begin_where_the_last_point_was():
    desk = Desk()
    desk.roll(0)
    for net in (40, -30, 10):
        desk.value(net)
    assert (desk.stands().day_start, desk.stands().day_low, desk.stands().top) == (0, -30, 40)
    desk.roll(1)
    desk.value(25)
    stands = desk.stands()
    assert (stands.day_start, stands.day_low, stands.week_start, stands.week_low) == (10, 10, 0, -30)
    desk.roll(7)
    stands = desk.stands()
    assert (stands.day_start, stands.week_start, stands.week_low, stands.top) == (25, 25, 25, 40)


def test_a_week_is_an_iso_week():
    desk = Desk()
    for day, net in ((0, 1), (6, 2), (7, 3)):  # Monday, Sunday, Monday
        desk.roll(day)
        desk.value(net)
    assert desk.stands().week_start == 2


@pytest.mark.parametrize(
    ("trades", "losses"),
    [
        ([(BUY, 1, "100"), (SELL, 1, "99")], 1),
        ([(BUY, 1, "100"), (SELL, 1, "100.05")], 1),  # the charges ate it
        ([(BUY, 1, "100"), (SELL, 1, "99"), (BUY, 1, "100"), (SELL, 1, "98")], 2),
        ([(BUY, 1, "100"), (SELL, 1, "99"), (BUY, 1, "100"), (SELL, 1, "102")], 0),
        ([(BUY, 2, "100"), (SELL, 1, "90")], 0),  # not flat yet
        ([(BUY, 2, "100"), (SELL, 1, "90"), (SELL, 1, "115")], 0),
        ([(BUY, 1, "100"), (SELL, 3, "90")], 1),  # through zero
        ([(BUY, 1, "100"), (SELL, 3, "90"), (BUY, 2, "95")], 2),
    ],
)
def test_a_round_trip_from_flat_to_flat_is_a_loss_after_charges(trades, losses):
    desk = Desk()
    for side, quantity, price in trades:
        desk.trade(side, quantity, price, "0.05")
    assert desk.stands().losses_in_a_row == desk.stands("").losses_in_a_row == losses


def test_the_account_counts_the_trips_of_all_strategies_and_a_strategy_those_of_its_instruments():
    desk = Desk()
    for fields in ({}, {"instrument": TCS}, {"strategy_id": "other"}):
        desk.trade(BUY, 1, "100", **fields)
    desk.trade(SELL, 1, "99", traded_ns=TEN_NS + 1)
    desk.trade(SELL, 1, "99", instrument=TCS, traded_ns=TEN_NS + 2)
    desk.trade(SELL, 1, "99", strategy_id="other", traded_ns=TEN_NS + SECOND)
    counted = {name: desk.stands(name).losses_in_a_row for name in ("momentum_1", "other", "")}
    assert counted == {"momentum_1": 2, "other": 1, "": 3}
    assert desk.stands().last_loss_ns == TEN_NS + 2
    assert desk.stands("").last_loss_ns == TEN_NS + SECOND


def test_a_trip_that_began_yesterday_is_whole():
    desk = Desk()
    desk.trade(BUY, 2, "100")
    desk.trade(SELL, 1, "90")
    desk.roll(1)
    desk.trade(SELL, 1, "105")
    assert (desk.stands().losses_in_a_row, desk.stands().booked) == (1, -5)


def test_rejections_count_until_the_next_fill():
    desk = Desk()
    for status in (OrderStatus.REJECTED, OrderStatus.CANCELLED, OrderStatus.REJECTED):
        desk.tracker.on_closed(order(status=status))
    assert (desk.stands().rejected_in_a_row, desk.stands("").rejected_in_a_row) == (2, 2)
    desk.trade(BUY, 1, "100", strategy_id="other")
    assert (desk.stands().rejected_in_a_row, desk.stands("").rejected_in_a_row) == (2, 0)


def test_who_was_given_a_performance_keeps_it():
    desk = Desk()
    desk.value(1)
    given_then = desk.tracker.performance
    copied = desk.tracker.copy()
    desk.value(-7)
    desk.roll(1)
    assert (given_then["momentum_1"].day_low, copied.performance["momentum_1"].day_low) == (0, 0)


nets = st.lists(st.integers(-100, 100) | st.just("roll"), max_size=40)


@given(nets)
def test_lows_and_top_are_those_of_the_points(nets):
    desk, day, walked = Desk(), 0, [0]
    start, of_day = 0, [0]
    for net in nets:
        if net == "roll":
            day += 1
            desk.roll(day)
            start, of_day = walked[-1], [walked[-1]]
        else:
            desk.value(net)
            walked.append(net)
            of_day.append(net)
    stands = desk.stands()
    if len(walked) > 1:
        assert (stands.day_start, stands.day_low, stands.top) == (start, min(of_day), max(walked))
