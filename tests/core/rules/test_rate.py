"""Throttles: what is kept for exits, what no setting goes over, and who repeats itself too often."""

import pytest
from builders import BUY, CLOSE, INFY, SECOND, SELL, TEN_NS, book, order
from judging import answers, hear, judge, rule_of, standing, why

from alphapanda.core import rules
from alphapanda.events import (
    SQUARE_OFF,
    Approved,
    Money,
    OrderStatus,
    Refused,
    StrategyQuarantined,
    StrategyResumed,
    Voided,
)

EXIT = {"side": SELL, "position_effect": CLOSE}


def test_entries_leave_room_for_exits_and_exits_never_pass_the_total():
    risk = judge(rules.OrdersPerSecond(4, 2), held=book(10**6, momentum_1=50))
    assert [rule_of(risk) for _ in range(3)] == [None, None, "max_orders_per_second"]
    assert why(risk).endswith("the limit is 4, 2 of it kept for exits")
    assert [rule_of(risk, **EXIT) for _ in range(3)] == [None, None, "max_orders_per_second"]


@pytest.mark.parametrize("setting", [0, 9, 1000])
def test_zerodha_never_sees_ten_orders_in_a_second_whatever_the_setting(setting):
    risk = judge(rules.OrdersPerSecond(setting), broker="zerodha", held=book(10**6, momentum_1=50))
    to_zerodha = {"brokers": ("zerodha",)}
    assert [rule_of(risk, **to_zerodha) for _ in range(9)] == [None] * 9
    for asked in ({}, EXIT, EXIT | {"by": "uid 7"}):
        assert rule_of(risk, **to_zerodha, **asked) == "max_orders_per_second"
    assert rule_of(risk, **to_zerodha, time_ns=TEN_NS + SECOND) is None


def test_paper_has_no_such_threshold():
    risk = judge(rules.OrdersPerSecond(0))
    assert [rule_of(risk) for _ in range(20)] == [None] * 20


def test_an_approval_that_met_the_closed_gate_leaves_the_throttles():
    risk = judge(rules.OrdersPerSecond(1), rules.OrdersPerDay(1), rules.DuplicateSignal())
    approved = answers(risk)[0]
    assert rule_of(risk) == "max_orders_per_second"
    risk.on(Voided(approved.order))
    assert rule_of(risk) is None


def repeated(limit=3, **keywords):
    return judge(rules.RepeatedOrders(limit, Money(60)), **keywords)


def test_a_strategy_that_repeats_itself_is_quarantined_once():
    risk = repeated()
    assert [rule_of(risk, quantity=number) for number in (1, 2, 3)] == [None] * 3
    refused, quarantined = answers(risk, quantity=4)
    assert isinstance(refused, Refused)
    assert refused.rule == "max_repeated_orders"
    assert quarantined == StrategyQuarantined("momentum_1", refused.rule, refused.why, TEN_NS)
    assert "3 orders BUY NSE:INFY to open in 60 s, the limit is 3" in refused.why
    assert [type(one) for one in answers(risk, quantity=5)] == [Refused]
    assert rule_of(risk, SELL) == "strategy_quarantined"
    assert rule_of(risk, strategy_id="other") is None


def test_the_operator_lets_it_go_on_with_a_new_count():
    risk = repeated(1)
    assert rule_of(risk) is None
    assert rule_of(risk) == "max_repeated_orders"
    risk.on(StrategyResumed("momentum_1", "me", TEN_NS))
    assert rule_of(risk) is None
    assert rule_of(risk) == "max_repeated_orders"


@pytest.mark.parametrize(
    "other",
    [
        {"side": SELL},
        {"strategy_id": "two"},
        {"instrument_token": 2953217},
        {"time_ns": TEN_NS + 60 * SECOND},
    ],
)
def test_what_differs_in_side_strategy_instrument_or_time_repeats_nothing(other):
    risk = repeated(1)
    assert rule_of(risk) is None
    assert rule_of(risk, **other) is None


def test_closes_by_the_operator_and_the_house_are_not_the_strategys_doing():
    risk = repeated(1, held=book(momentum_1=50))
    assert rule_of(risk, quantity=1, **EXIT) is None
    for number, by in enumerate(("uid 7", SQUARE_OFF)):
        assert rule_of(risk, quantity=5 + number, by=by, **EXIT) is None
    assert rule_of(risk, quantity=20, **EXIT) == "max_repeated_orders"
    assert rule_of(risk, quantity=2, by=SQUARE_OFF, **EXIT) is None


def strict(limit=2, **keywords):
    return judge(rules.RefusedInARow(limit), rules.MaximumOrderQuantity(10), **keywords)


def test_refusals_in_a_row_quarantine_a_strategy():
    risk = strict()
    assert [rule_of(risk, quantity=11) for _ in range(2)] == ["max_order_quantity"] * 2
    found = answers(risk, quantity=1)
    assert [type(one) for one in found] == [Refused, StrategyQuarantined]
    assert why(strict(0), quantity=11) == "quantity 11 is over the limit of 10"
    risk.on(StrategyResumed("momentum_1", "me", TEN_NS))
    assert rule_of(risk) is None


def test_a_fill_ends_the_row():
    risk = strict()
    for _ in range(2):
        assert rule_of(risk, quantity=11) == "max_order_quantity"
    hear(risk, book(momentum_1=1))
    assert rule_of(risk) is None


def test_rejections_by_the_broker_count_too_until_the_operator_forgives_them():
    risk = strict(held=standing(rejected_in_a_row=1))
    assert rule_of(risk) is None
    assert rule_of(risk, quantity=11) == "max_order_quantity"
    assert rule_of(risk) == "max_refused_in_a_row"
    risk.on(StrategyResumed("momentum_1", "me", TEN_NS))
    assert rule_of(risk) is None
    hear(risk, standing(rejected_in_a_row=3))
    assert rule_of(risk) == "max_refused_in_a_row"


def test_another_strategys_refusals_are_its_own():
    risk = strict(1)
    assert rule_of(risk, quantity=11, strategy_id="other") == "max_order_quantity"
    assert rule_of(risk) is None
    assert rule_of(risk, strategy_id="other") == "max_refused_in_a_row"


def test_approvals_are_counted_by_strategy_and_instrument_where_that_is_asked():
    approvals = rules.Approvals([order(BUY, 1, sequence=1)])
    approvals.add(order(BUY, 1, sequence=2, strategy_id="two"))
    start, end = TEN_NS - 1, TEN_NS + 1
    assert approvals.between(start, end) == 2
    assert approvals.between(start, end, "two") == 1
    assert approvals.between(start, end, "two", INFY.instrument_token) == 1
    assert approvals.between(start, end, "", 99) == 0
    approvals.add(order(BUY, 1, sequence=3, strategy_id="two"))
    assert approvals.between(start, end, "two") == 2
    approvals.remove(order(BUY, 1, sequence=3, strategy_id="two"))
    assert approvals.between(start, end, "two") == 1
    assert approvals.between(start, end) == 2


def test_a_restart_remembers_repetitions():
    past = [order(BUY, number, sequence=number, status=OrderStatus.FILLED) for number in (1, 2, 3)]
    assert rule_of(repeated(3, past=past)) == "max_repeated_orders"
    assert isinstance(answers(repeated(4, past=past))[0], Approved)


def test_an_order_that_the_broker_made_itself_is_not_counted():
    adopted = [order(SELL, sequence=0, order_id="RP00001", signal_id="", status=OrderStatus.FILLED)]
    assert rule_of(judge(rules.OrdersPerSecond(1), past=adopted)) is None
