"""What the account holds beside ours: it counts for the whole account, for no strategy, and stops no exit."""

import pytest
from builders import BUY, CLOSE, INFY, SELL, batch, book, tick
from judging import TCS_TOKEN, judge, rule_of, why

from alphapanda.core import rules
from alphapanda.events import ExternalHeld, ExternalPosition, Money, Scope

STRANGE = 9_999_001
"""No instrument of ours, and without ticks here."""


def outside(longest=0, shortest=0, token=INFY.instrument_token, product="MIS", price=0):
    return ExternalPosition(
        exchange="NSE", tradingsymbol="ANY", product=product, instrument_token=token, longest=longest,
        shortest=shortest, last_price=Money(price),
    )  # fmt: skip


def beside(rule, *positions, held=None):
    risk = judge(rule, held=held)
    risk.on(ExternalHeld("paper", positions))
    return risk


def test_the_position_of_an_instrument_is_ours_and_what_is_not():
    rule = rules.MaximumPositionQuantity(15)
    assert rule_of(beside(rule, outside(10)), BUY, 5) is None
    refused = why(beside(rule, outside(10)), BUY, 6)
    assert refused == "the position could reach 16 (10 of it not ours), over the limit of 15"
    assert rule_of(beside(rule, outside(6), outside(4, product="CNC")), BUY, 6) == "max_position_quantity"
    assert rule_of(beside(rule, outside(10)), SELL, 15) is None, "the other side is another question"
    assert rule_of(beside(rule, outside(shortest=1)), SELL, 15) == "max_position_quantity"
    assert rule_of(beside(rule, outside(10, token=TCS_TOKEN)), BUY, 15) is None


def test_a_limit_of_a_strategy_is_its_own():
    rule = rules.MaximumPositionQuantity(15, scope=Scope(strategy="momentum_1"))
    assert rule_of(beside(rule, outside(10)), BUY, 15) is None
    gross = rules.MaximumGrossExposure(Money(1000), scope=Scope(strategy="momentum_1"))
    assert rule_of(beside(gross, outside(100)), BUY, 10) is None
    count = rules.MaximumOpenPositions(1, scope=Scope(strategy="momentum_1"))
    assert rule_of(beside(count, outside(1, token=TCS_TOKEN)), BUY, 1) is None


def test_gross_exposure_counts_it_at_our_price_or_else_at_the_brokers():
    rule = rules.MaximumGrossExposure(Money(2000))
    assert rule_of(beside(rule, outside(10, price=1)), BUY, 10) is None
    refused = why(beside(rule, outside(10, price=1)), BUY, 11)
    assert "2100.00 (1000.00 of it not ours), over the limit of 2000.00" in refused
    strange = outside(shortest=10, token=STRANGE, price=150)
    assert rule_of(beside(rule, strange), BUY, 5) is None
    assert rule_of(beside(rule, strange), BUY, 6) == "max_gross_exposure"
    moved = beside(rule, outside(10, price=1))
    moved.on(batch(tick(120.0), at=1))
    assert "(1200.00 of it not ours)" in why(moved, BUY, 10)


def test_the_value_of_a_position_and_the_number_of_them_count_it():
    assert rule_of(beside(rules.MaximumPositionValue(Money(1500)), outside(10)), BUY, 5) is None
    assert (
        rule_of(beside(rules.MaximumPositionValue(Money(1500)), outside(10)), BUY, 6) == "max_position_value"
    )
    count = rules.MaximumOpenPositions(1)
    assert rule_of(beside(count, outside(1)), BUY, 1) is None, "it is the same instrument"
    assert why(beside(count, outside(1, token=-1)), BUY, 1) == (
        "1 instruments are open (1 of them not ours), the limit is 1"
    )


@pytest.mark.parametrize(
    "rule",
    [
        rules.MaximumPositionQuantity(1),
        rules.MaximumPositionValue(Money(1)),
        rules.MaximumOpenPositions(1),
        rules.MaximumGrossExposure(Money(1)),
    ],
)
def test_no_exit_is_held_back_by_it(rule):
    risk = beside(rule, outside(50, 50), outside(9, token=STRANGE, price=9), held=book(10**6, momentum_1=5))
    assert rule_of(risk, SELL, 5, position_effect=CLOSE) is None


def test_what_is_gone_counts_no_more_and_another_brokers_does_not():
    risk = beside(rules.MaximumPositionQuantity(15), outside(10))
    risk.on(ExternalHeld("paper", ()))
    risk.on(ExternalHeld("zerodha", (outside(10),)))
    assert rule_of(risk, BUY, 15) is None


def test_how_much_of_a_limit_is_used_counts_it():
    risk = beside(rules.MaximumGrossExposure(Money(2000)), outside(10), outside(3, token=STRANGE, price=100))
    state = risk._state("paper")
    assert rules.MaximumGrossExposure(Money(2000)).used(state) == 1300
    assert rules.MaximumOpenPositions(5).used(state) == 2
