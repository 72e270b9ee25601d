"""Limits on loss: net of charges, at the last prices."""

import msgspec
import pytest
from builders import CLOSE, INFY, SECOND, SELL, TEN_NS, batch, book, tick
from judging import all_limits, answers, hear, judge, rule_of, standing, why

from alphapanda.core import rules
from alphapanda.events import Book, Money, Refused, Scope
from alphapanda.store.recovery import fold

DAY, WEEK = rules.DailyLoss(Money(100)), rules.WeeklyLoss(Money(100))
KEY = ("momentum_1", INFY.instrument_token)
ROW = 86_400 * SECOND


def holding(units=10, cost=1000, **fields):
    return standing(Book(free_cash=Money(10**6), positions={KEY: units}, costs={KEY: Money(cost)}), **fields)


@pytest.mark.parametrize(("check", "period"), [(DAY, "day"), (WEEK, "week")])
@pytest.mark.parametrize(("booked", "passes"), [("-99.99", True), ("-100", True), ("-100.01", False)])
def test_a_booked_loss_up_to_the_limit_passes(check, period, booked, passes):
    assert rule_of(judge(check, held=standing(booked=booked))) == (None if passes else check.code)
    if not passes:
        assert why(judge(check, held=standing(booked=booked))) == (
            f"this {period} has lost 100.01 after charges, the limit is 100.00"
        )


@pytest.mark.parametrize("check", [DAY, WEEK], ids=lambda check: check.code)
@pytest.mark.parametrize(("price", "passes"), [(90.05, True), (90.0, True), (89.95, False)])
def test_open_positions_count_at_the_last_price(check, price, passes):
    assert rule_of(judge(check, held=holding(), price=price), last_price=price) == (
        None if passes else check.code
    )


@pytest.mark.parametrize(("check", "period"), [(DAY, "day"), (WEEK, "week")])
def test_what_was_lost_before_the_period_does_not_count(check, period):
    before = {f"{period}_start": -500, f"{period}_low": -500}
    assert rule_of(judge(check, held=standing(booked=-600, **before))) is None
    assert rule_of(judge(check, held=standing(booked="-600.01", **before))) == check.code


@pytest.mark.parametrize(("check", "period"), [(DAY, "day"), (WEEK, "week")])
def test_a_limit_that_was_passed_stays_passed_when_prices_come_back(check, period):
    assert rule_of(judge(check, held=standing(booked=50, **{f"{period}_low": "-100.01"}))) == check.code
    risk = judge(check, held=holding(), price=80.0)
    assert rule_of(risk, last_price=80.0) == check.code
    risk.on(batch(tick(120.0), at=1))
    assert rule_of(risk, last_price=120.0) == check.code


@pytest.mark.parametrize("check", [DAY, WEEK], ids=lambda check: check.code)
def test_a_limit_that_was_passed_stays_passed_over_a_restart(check):
    risk = judge(check, held=holding(), price=80.0)
    assert rule_of(judge(check, held=holding(), price=120.0), last_price=120.0) is None
    refused = [answers(risk, last_price=80.0)[0]]
    body = msgspec.json.encode(refused[0])
    known = fold([msgspec.json.decode(body, type=Refused)]).saved.known
    again = judge(check, held=holding(), price=120.0, known=known)
    assert why(again, last_price=120.0) == refused[0].why
    later = TEN_NS + 7 * ROW
    again.on(batch(tick(120.0), at=7 * 86_400))
    assert rule_of(again, last_price=120.0, time_ns=later) is None


def test_to_look_at_a_loss_changes_no_verdict():
    limits = all_limits({"max_daily_loss": Money(100), "max_weekly_loss": Money(100)})
    risk = judge(*limits.rules(), held=holding(), price=80.0, limits=limits)
    used = {each.key: each.used for each in risk.usage()}
    assert used["max_daily_loss"] == used["max_weekly_loss"] == 200
    risk.on(batch(tick(120.0), at=1))
    assert rule_of(risk, last_price=120.0) is None


def test_a_new_day_and_a_new_week_begin_without_the_loss_of_the_last():
    fields = {"day_start": -200, "day_low": -200, "week_start": 0, "week_low": -200}
    daily, weekly = (judge(check, held=holding(), price=80.0) for check in (DAY, WEEK))
    for risk in (daily, weekly):
        assert rule_of(risk, last_price=80.0) in (DAY.code, WEEK.code)
    for risk, days, passes in ((daily, 1, True), (weekly, 1, False), (weekly, 7, True)):
        if days == 7:
            fields |= {"week_start": -200}
        hear(risk, holding(**fields))
        risk.on(batch(tick(80.0), at=days * 86_400))
        found = rule_of(risk, last_price=80.0, time_ns=TEN_NS + days * ROW)
        assert (found is None) is passes


def test_a_loss_is_a_strategys_or_the_accounts_by_scope():
    held = standing(booked=-150)
    own = rules.DailyLoss(Money(100), scope=Scope(strategy="other"))
    assert rule_of(judge(own, held=held), strategy_id="other") is None
    assert rule_of(judge(own, held=held)) is None
    assert rule_of(judge(DAY, held=held), strategy_id="other") == "max_daily_loss"


@pytest.mark.parametrize(("booked", "passes"), [("-99.99", True), (-100, True), ("-100.01", False)])
def test_equity_may_fall_from_its_top_as_far_as_the_limit(booked, passes):
    check = rules.Drawdown(Money(10))
    held = standing(booked=booked, top=0, starting_cash=1000)
    assert rule_of(judge(check, held=held)) == (None if passes else "max_drawdown_percent")
    higher = standing(booked=-50, top=1000, starting_cash=500)
    assert "70.00 % below its top" in why(judge(check, held=higher))


@pytest.mark.parametrize(
    ("losses", "since_s", "passes"), [(2, 0, True), (3, 60, True), (3, 59.9, False), (4, 0, False)]
)
def test_a_row_of_losses_is_followed_by_a_pause(losses, since_s, passes):
    check = rules.LossesInARow(3, Money(60))
    held = standing(losses_in_a_row=losses, last_loss_ns=TEN_NS - int(since_s * SECOND))
    assert rule_of(judge(check, held=held)) == (None if passes else "max_losses_in_a_row")


def test_losses_in_a_row_are_shown_also_where_nothing_limits_them():
    risk = judge(held=standing(losses_in_a_row=3), limits=all_limits({}))
    assert {each.used for each in risk.usage() if each.key == "max_losses_in_a_row"} == {3}


def worst():
    fields = {"booked": -5000, "losses_in_a_row": 9, "last_loss_ns": TEN_NS}
    return standing(book(momentum_1=5), **fields)


CHECKS = (DAY, WEEK, rules.Drawdown(Money(1)), rules.LossesInARow(1))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_an_exit_passes_whatever_was_lost(check):
    assert rule_of(judge(check, held=worst())) == check.code
    assert rule_of(judge(check, held=worst()), SELL, 5, position_effect=CLOSE) is None


@pytest.mark.parametrize(
    "kind",
    [rules.DailyLoss, rules.WeeklyLoss, rules.Drawdown, rules.LossesInARow],
    ids=lambda kind: kind.code,
)
def test_as_configured_nothing_is_held_back(kind):
    assert kind().is_off
    assert rule_of(judge(kind(), held=worst())) is None
