"""Throttles: what is kept for exits, what no setting goes over, and who repeats itself too often."""

import pytest
from builders import BUY, CLOSE, INFY, SECOND, SELL, TEN_NS, book, order, signal
from judging import all_limits, answers, hear, judge, rule_of, standing, why
from msgspec.structs import replace

from alphapanda.config import Settings
from alphapanda.core import rules
from alphapanda.events import (
    SQUARE_OFF,
    Approved,
    Halt,
    Instrument,
    Money,
    OrderClosed,
    OrderOpened,
    OrderStatus,
    Performance,
    Refused,
    Resume,
    StrategyQuarantined,
    StrategyResumed,
    Voided,
)
from alphapanda.plan import calendar_of
from alphapanda.store.recovery import fold

EXIT = {"side": SELL, "position_effect": CLOSE}
LOTS = Instrument(7, "NFO", "NIFTY26DECFUT", lot_size=65)


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


def test_an_exit_goes_through_however_often_and_whoever_asks():
    risk = repeated(1, held=book(momentum_1=50))
    for number, by in enumerate(("", "", "uid 7", SQUARE_OFF, ""), 1):
        assert rule_of(risk, quantity=number, by=by, **EXIT) is None


def test_an_exit_goes_through_after_refusals_in_a_row():
    """Rejections at the broker count at once, and are met by the next entry."""
    bad = replace(book(momentum_1=50), performance={"momentum_1": Performance(rejected_in_a_row=2)})
    risk = strict(held=bad)
    assert rule_of(risk, quantity=1, **EXIT) is None
    assert rule_of(risk) == "max_refused_in_a_row"


def strict(limit=2, **keywords):
    return judge(rules.RefusedInARow(limit), rules.MaximumOrderQuantity(10), **keywords)


def test_refusals_in_a_row_quarantine_a_strategy():
    risk = strict(3)
    loop = [answers(risk, quantity=11) for _ in range(10)]
    assert [found[0].rule for found in loop] == ["max_order_quantity"] * 3 + ["strategy_quarantined"] * 7
    assert [len(found) for found in loop] == [1, 1, 2, *[1] * 7]
    assert loop[2][1] == StrategyQuarantined(
        "momentum_1",
        "max_refused_in_a_row",
        "3 signals in a row came to nothing, the limit is 3",
        TEN_NS,
    )
    assert why(strict(0), quantity=11) == "quantity 11 is over the limit of 10"
    risk.on(StrategyResumed("momentum_1", "me", TEN_NS))
    assert rule_of(risk) is None


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"quantity": 1001}, "max_order_quantity"),
        ({"quantity": 0}, "invalid_signal"),
        ({"instrument_token": 5}, "unknown_instrument"),
        ({"instrument_token": LOTS.instrument_token}, "lot_size"),
    ],
    ids=str,
)
def test_it_does_not_matter_what_refused_them(asked, rule):
    limits = all_limits({"max_refused_in_a_row": 2})
    risk = judge(*limits.rules(), limits=limits, instruments=(INFY, LOTS))
    assert rule_of(risk, **asked) == rule
    refused, quarantined = answers(risk, **asked)
    assert (refused.rule, quarantined.rule) == (rule, "max_refused_in_a_row")
    assert rule_of(risk, **asked) == "strategy_quarantined"


def test_what_is_not_its_fault_and_what_the_operator_asks_is_not_counted():
    risk = strict(1, calendar=calendar_of(Settings()), held=book(momentum_1=20))
    for _ in range(2):
        assert [type(one) for one in answers(risk, time_ns=TEN_NS + 12 * 3600 * SECOND)] == [Refused]
        assert [type(one) for one in answers(risk, quantity=0, by="uid 7", **EXIT)] == [Refused]
    risk.on(Halt(reason="test", by="me", time_ns=TEN_NS))
    assert rule_of(risk) == "kill_switch"
    risk.on(Resume(reason="test", by="me", time_ns=TEN_NS))
    assert rule_of(risk) is None


def restarted(said, **keywords):
    """With what a start finds in a journal that has `said`."""
    saved = fold(said).saved
    return judge(*RULES_ON, past=saved.orders, known=saved.known, **keywords)


RULES_ON = (rules.RefusedInARow(2), rules.RepeatedOrders(2), rules.MaximumOrderQuantity(10))


def test_a_restart_remembers_refusals_in_a_row_and_that_the_operator_forgave_them():
    risk = judge(*RULES_ON)
    said = [answers(risk, quantity=11, signal_id=f"S00000{n}")[0] for n in (1, 2)]
    assert rule_of(restarted(said)) == "max_refused_in_a_row"
    said.append(StrategyResumed("momentum_1", "me", TEN_NS))
    risk = restarted(said)
    assert rule_of(risk) is None


def test_a_restart_remembers_that_repetitions_and_rejections_were_forgiven():
    made = [order(BUY, 1, number, status=OrderStatus.REJECTED) for number in (1, 2)]
    said = [Approved(one, signal(signal_id=one.signal_id)) for one in made]
    said += [OrderOpened(replace(one, status=OrderStatus.PREPARED)) for one in made]
    said += [OrderClosed(one) for one in made]
    held = standing(rejected_in_a_row=2)
    later = {"quantity": 2}
    assert rule_of(restarted(said, held=held), **later) == "max_refused_in_a_row"
    said.append(StrategyResumed("momentum_1", "me", TEN_NS))
    risk = restarted(said, held=held)
    assert [rule_of(risk, quantity=number) for number in (2, 3, 4)] == [None, None, "max_repeated_orders"]


def test_a_fill_ends_the_row():
    risk = strict()
    for units in range(3):
        assert rule_of(risk, quantity=11) == "max_order_quantity"
        hear(risk, book(momentum_1=1 + units))
    assert rule_of(risk) is None


def test_rejections_by_the_broker_count_too_until_the_operator_forgives_them():
    risk = strict(held=standing(rejected_in_a_row=1))
    assert rule_of(risk) is None
    refused, quarantined = answers(risk, quantity=11)
    assert (refused.rule, quarantined.rule) == ("max_order_quantity", "max_refused_in_a_row")
    risk.on(StrategyResumed("momentum_1", "me", TEN_NS))
    assert rule_of(risk) is None
    hear(risk, standing(rejected_in_a_row=3))
    assert rule_of(risk) == "max_refused_in_a_row"


def test_another_strategys_refusals_are_its_own():
    risk = strict(1)
    assert rule_of(risk, quantity=11, strategy_id="other") == "max_order_quantity"
    assert rule_of(risk) is None
    assert rule_of(risk, strategy_id="other") == "strategy_quarantined"


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


@pytest.mark.parametrize("wall", ["square_off", "broker_square_off"])
def test_what_comes_too_late_in_the_day_is_not_held_against_a_strategy(wall):
    class Late:
        def refuse(self, order, now_ns):
            return (wall, "too late") if order.quantity == 5 else None

    risk = strict(intraday=Late())
    assert [rule_of(risk, quantity=5) for _ in range(4)] == [wall] * 4
    assert rule_of(risk, quantity=6) is None


def test_a_rejection_does_not_hide_the_refusals_before_it():
    risk = strict(3)
    assert [rule_of(risk, quantity=11) for _ in range(2)] == ["max_order_quantity"] * 2
    hear(risk, standing(rejected_in_a_row=1))
    assert rule_of(risk) == "max_refused_in_a_row"
