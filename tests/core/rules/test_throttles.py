"""How often one may ask: what is counted, for how long, and what is the same order again."""

from datetime import datetime, timedelta

import pytest
from builders import BUY, CLOSE, INFY, SECOND, SELL, TCS, TEN_NS, book, order, signal
from judging import judge, verdict

from alphapanda.core import rules
from alphapanda.core.risk import RiskManager
from alphapanda.events import Approved, Money, OrderStatus, Refused
from alphapanda.times import IST, to_ns

S = OrderStatus


@pytest.mark.parametrize(
    ("check", "window_ns"),
    [(rules.OrdersPerSecond(3), SECOND), (rules.OrdersPerMinute(3), 60 * SECOND)],
    ids=["second", "minute"],
)
def test_a_throttle_counts_the_approvals_of_its_window(check, window_ns):
    risk = judge(check)
    for number in range(3):
        assert verdict(risk, time_ns=TEN_NS + number) is None
    code, why = verdict(risk, time_ns=TEN_NS + window_ns - 1)
    assert code == check.code
    assert "3 orders" in why
    assert "limit is 3" in why
    assert verdict(risk, time_ns=TEN_NS + window_ns) is None
    assert verdict(risk, time_ns=TEN_NS + window_ns)[0] == check.code


def test_refusals_are_not_counted_by_a_throttle():
    risk = judge(rules.MaximumOrderQuantity(5), rules.OrdersPerSecond(1))
    for _ in range(5):
        assert verdict(risk, quantity=6)[0] == "max_order_quantity"
    assert verdict(risk) is None


def test_the_day_of_a_throttle_begins_at_midnight_in_india():
    risk = judge(rules.OrdersPerDay(2))
    midnight = to_ns(datetime(2024, 6, 4, tzinfo=IST))
    assert verdict(risk, time_ns=midnight - 2) is None
    assert verdict(risk, time_ns=midnight - 1) is None
    assert verdict(risk, time_ns=midnight - 1)[0] == "max_orders_per_day"
    assert verdict(risk, time_ns=midnight) is None
    assert verdict(risk, time_ns=midnight + 86_399 * SECOND) is None
    assert verdict(risk, time_ns=midnight + 86_400 * SECOND - 1)[0] == "max_orders_per_day"
    assert verdict(risk, time_ns=midnight + 86_400 * SECOND) is None


def test_throttles_remember_the_orders_of_before_a_restart():
    past = [order(sequence=1), order(sequence=2)]
    assert verdict(judge(rules.OrdersPerSecond(3), past=past)) is None
    assert verdict(judge(rules.OrdersPerSecond(2), past=past))[0] == "max_orders_per_second"
    assert verdict(judge(rules.OrdersPerDay(2), past=past))[0] == "max_orders_per_day"


@pytest.mark.parametrize("status", [S.NOT_FOUND, S.WITHHELD])
def test_an_order_that_never_reached_its_broker_is_forgotten_by_throttles(status):
    past = [order(BUY, 1, status=status)]
    assert verdict(judge(rules.OrdersPerSecond(1), past=past)) is None
    assert verdict(judge(rules.DuplicateSignal(), past=past)) is None


@pytest.mark.parametrize(
    "check",
    [rules.OrdersPerSecond(1), rules.OrdersPerMinute(1), rules.OrdersPerDay(1), rules.DuplicateSignal()],
    ids=lambda check: check.code,
)
def test_orders_of_a_feed_that_walked_later_dates_hold_nothing_back(check):
    tomorrow = TEN_NS + 86_400 * SECOND
    past = [order(BUY, 1, sequence=n, created_ns=tomorrow) for n in range(1, 10)]
    risk = judge(check, past=past)
    assert verdict(risk) is None
    assert verdict(risk)[0] == check.code


def test_brokers_are_throttled_apart():
    risk = RiskManager(
        (rules.OrdersPerSecond(1),), {"paper": "MIS", "other": "CNC"}, tag_seed="test", instruments=(INFY,)
    )
    answers = risk.on(signal(brokers=("paper", "other")))
    assert [type(answer) for answer in answers] == [Approved, Approved]
    answers = risk.on(signal(brokers=("paper", "other")))
    assert [type(answer) for answer in answers] == [Refused, Refused]


def test_the_same_order_again_is_refused_until_the_window_has_passed():
    risk = judge(rules.DuplicateSignal(Money("1.0")))
    assert verdict(risk) is None
    assert verdict(risk, time_ns=TEN_NS + SECOND - 1) == (
        "duplicate_window_s",
        "the same order was approved 1.000 s before, the window is 1.0 s",
    )
    assert verdict(risk, time_ns=TEN_NS + SECOND) is None
    assert verdict(risk, time_ns=TEN_NS + SECOND)[0] == "duplicate_window_s"


@pytest.mark.parametrize(
    "other",
    [
        {"side": SELL},
        {"quantity": 2},
        {"strategy_id": "another"},
        {"instrument_token": TCS.instrument_token},
    ],
)
def test_an_order_that_differs_in_strategy_instrument_side_or_quantity_is_no_duplicate(other):
    risk = judge(rules.DuplicateSignal())
    assert verdict(risk) is None
    assert verdict(risk, **other) is None


def test_a_clock_that_steps_back_does_not_open_the_duplicate_window():
    risk = judge(rules.DuplicateSignal(), past=[order(BUY, 1, created_ns=TEN_NS + SECOND // 2)])
    assert verdict(risk)[0] == "duplicate_window_s"


@pytest.mark.parametrize(
    "check",
    [rules.OrdersPerSecond(1), rules.OrdersPerMinute(1), rules.OrdersPerDay(1), rules.DuplicateSignal()],
    ids=lambda check: check.code,
)
def test_an_exit_is_counted_and_held_back_by_throttles_and_as_a_duplicate(check):
    risk = judge(check, held=book(10**6, momentum_1=50))
    assert verdict(risk, SELL, position_effect=CLOSE) is None
    assert verdict(risk, SELL, position_effect=CLOSE)[0] == check.code
    assert check.entries_only is False


def test_an_hour_of_orders_stays_within_the_throttles():
    """Whatever the pace, no second has more than three approvals and no minute more than five."""
    risk = judge(rules.OrdersPerSecond(3), rules.OrdersPerMinute(5))
    times = []
    for number in range(1200):
        now = TEN_NS + number * int(timedelta(milliseconds=130) / timedelta(microseconds=1)) * 1000
        if verdict(risk, time_ns=now) is None:
            times.append(now)
    assert len(times) >= 10
    for start in times:
        assert sum(start <= time < start + SECOND for time in times) <= 3
        assert sum(start <= time < start + 60 * SECOND for time in times) <= 5


def test_throttles_hold_when_rows_step_back_between_instruments():
    """One file may hold a lagging instrument: its rows are older than those just approved."""
    approvals = rules.Approvals()
    for number, at in enumerate([10, 12, 9, 11, 10], 1):
        approvals.add(order(BUY, number, created_ns=TEN_NS + at * SECOND))
    for start, end, count in [(8, 13, 5), (9, 13, 4), (9, 12, 3), (12, 13, 0), (13, 8, 0)]:
        assert approvals.between(TEN_NS + start * SECOND, TEN_NS + end * SECOND) == count
