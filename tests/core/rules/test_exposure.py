"""What is at stake over all instruments and strategies, and the cash that must be there for costs."""

import pytest
from builders import BUY, CLOSE, INFY, LIMIT, OPEN, SELL, TEN_NS, batch, book, order, signal, tick
from judging import TCS_TOKEN, all_limits, judge, rule_of, why

from alphapanda.core import rules
from alphapanda.events import Approved, Book, LimitChanged, Money, OrderStatus, Scope

GROSS = rules.MaximumGrossExposure(Money(2000))
BOTH = Book(
    free_cash=Money(10**6),
    positions={("momentum_1", INFY.instrument_token): 5, ("other", TCS_TOKEN): -5},
)


def test_gross_exposure_counts_long_and_short_positions_up_to_the_limit():
    for quantity in (9, 10):
        assert rule_of(judge(GROSS, held=BOTH), quantity=quantity) is None
    assert rule_of(judge(GROSS, held=BOTH), SELL, 11) == "max_gross_exposure"
    assert "2100.00, over the limit of 2000.00" in why(judge(GROSS, held=BOTH), quantity=11)


@pytest.mark.parametrize("status", [OrderStatus.OPEN, OrderStatus.UNKNOWN, OrderStatus.PREPARED])
def test_gross_exposure_counts_entries_that_may_still_trade_and_no_exits(status):
    entries = book(10**6, order(BUY, 10, status=status), momentum_1=5)
    assert rule_of(judge(GROSS, held=entries), quantity=5) is None
    assert rule_of(judge(GROSS, held=entries), quantity=6) == "max_gross_exposure"
    exits = book(10**6, order(SELL, 5, status=status, position_effect=CLOSE), momentum_1=5)
    assert rule_of(judge(GROSS, held=exits), quantity=15) is None


def test_gross_exposure_counts_approvals_on_their_way_and_follows_the_prices():
    risk = judge(GROSS)
    assert rule_of(risk, quantity=10) is None
    assert rule_of(risk, quantity=11, instrument_token=TCS_TOKEN) == "max_gross_exposure"
    held = judge(GROSS, held=book(10**6, momentum_1=10))
    held.on(batch(tick(110.0), at=1))
    assert rule_of(held, quantity=9, instrument_token=TCS_TOKEN) is None
    held = judge(GROSS, held=book(10**6, momentum_1=10))
    held.on(batch(tick(111.0), at=1))
    assert rule_of(held, quantity=9, instrument_token=TCS_TOKEN) == "max_gross_exposure"


def test_a_position_without_a_price_counts_at_what_it_cost():
    key = ("other", TCS_TOKEN)
    held = Book(free_cash=Money(10**6), positions={key: -10}, costs={key: Money(-1500)})
    risk = judge(GROSS, held=held, price=None)
    risk.on(batch(tick(100.0)))
    assert rule_of(risk, quantity=5) is None
    assert rule_of(risk, quantity=1) == "max_gross_exposure"


def test_two_strategies_inside_their_own_caps_meet_the_accounts():
    own = [rules.MaximumPositionQuantity(10, scope=Scope(strategy=name)) for name in ("one", "two")]
    risk = judge(*own, rules.MaximumPositionQuantity(15))
    assert rule_of(risk, quantity=10, strategy_id="one") is None
    assert why(risk, quantity=6, strategy_id="two") == "the position could reach 16, over the limit of 15"
    assert rule_of(risk, quantity=5, strategy_id="two") is None


def test_a_strategys_own_cap_is_its_own_and_says_so():
    risk = judge(rules.MaximumPositionQuantity(10, scope=Scope(strategy="one")))
    assert rule_of(risk, quantity=500, strategy_id="two") is None
    assert rule_of(risk, quantity=10, strategy_id="one") is None
    assert why(risk, quantity=1, strategy_id="one") == (
        "the position could reach 11, over the limit of 10 (for one)"
    )


@pytest.mark.parametrize(
    "scope",
    [
        Scope(strategy="momentum_1"),
        Scope(broker="paper"),
        Scope(instrument="NSE:INFY"),
        Scope("paper", "momentum_1", "NSE:INFY"),
    ],
)
@pytest.mark.parametrize(
    ("check", "code"),
    [
        (rules.MaximumOrderQuantity, "max_order_quantity"),
        (rules.MaximumPositionQuantity, "max_position_quantity"),
        (rules.MaximumGrossExposure, "max_gross_exposure"),
        (rules.OrdersPerDay, "max_orders_per_day"),
    ],
)
def test_a_rule_holds_inside_its_scope_only(check, code, scope):
    limit = Money(1000) if check is rules.MaximumGrossExposure else 10
    risk = judge(check(limit, scope=scope))
    for quantity in range(1, 11):
        found = rule_of(risk, quantity=1 if check is rules.OrdersPerDay else 10 * (quantity == 1) or 1)
        assert found in (None, code)
    assert rule_of(risk, quantity=11) == code
    for elsewhere in (Scope("zerodha"), Scope(strategy="other"), Scope(instrument="NSE:TCS")):
        assert rule_of(judge(check(limit, scope=elsewhere)), quantity=11) is None


def test_the_tightest_of_the_limits_that_apply_wins():
    wide, tight = rules.MaximumOrderQuantity(10), rules.MaximumOrderQuantity(5, scope=Scope("paper"))
    for checks in ((wide, tight), (tight, wide)):
        assert rule_of(judge(*checks), quantity=5) is None
        assert rule_of(judge(*checks), quantity=6) == "max_order_quantity"


def test_cash_covers_slippage_and_charges_as_well_as_the_value():
    def reserve(one):
        return Money("0.15") * one.pending_quantity

    for quantity in (8, 9):
        assert (
            rule_of(judge(rules.AvailableCash(), held=book(1000), reserve=reserve), quantity=quantity) is None
        )
    risk = judge(rules.AvailableCash(), held=book(1000), reserve=reserve)
    assert why(risk, quantity=10) == (
        "value 1000.00 with 1.50 for slippage and charges is more than the free cash of 1000.00"
    )


def test_cash_set_aside_for_orders_on_their_way_is_not_given_twice():
    def reserve(one):
        return Money(50)

    resting = order(BUY, 4)
    held = Book(accounted=1, free_cash=Money(600), orders={resting.order_id: resting})
    risk = judge(rules.AvailableCash(), held=held, reserve=reserve)
    assert rule_of(risk, quantity=5) is None
    assert why(risk, quantity=1).endswith("is more than the free cash of 0.00")


def test_what_an_entry_claims_is_what_the_margins_say():
    def fifth(instrument, product, side, quantity, price):
        return price * quantity / 5

    risk = judge(rules.AvailableCash(), held=book(1000), margins=fifth)
    assert rule_of(risk, quantity=40) is None
    assert rule_of(risk, quantity=10) is None
    assert rule_of(risk, quantity=1) == "available_cash"


def test_usage_says_how_much_is_used_and_whether_there_is_room():
    checks = {
        "max_order_quantity": 10,
        "max_position_quantity": 8,
        "max_position_value": Money(1000),
        "max_open_positions": 2,
        "max_gross_exposure": Money(5000),
        "max_orders_per_day": 1,
    }
    own = Scope(strategy="momentum_1")
    limits = all_limits(checks, [(own, {"max_position_quantity": 50})])
    risk = judge(*limits.rules(), held=book(10**6, order(BUY, 3), momentum_1=5), limits=limits)
    rows = {(row.key, row.scope): (row.used, row.blocked) for row in risk.usage() if row.key in checks}
    everywhere = Scope()
    assert rows == {
        ("max_order_quantity", everywhere): (None, False),
        ("max_position_quantity", everywhere): (8, True),
        ("max_position_quantity", own): (8, False),
        ("max_position_value", everywhere): (Money(800), False),
        ("max_open_positions", everywhere): (1, False),
        ("max_gross_exposure", everywhere): (Money(800), False),
        ("max_orders_per_day", everywhere): (0, False),
    }
    tighter = limits.changed(changed("max_gross_exposure", "700"))
    (row,) = [row for row in risk.usage(tighter) if row.key == "max_gross_exposure"]
    assert (row.broker, row.used, row.cap, row.blocked) == ("paper", Money(800), Money(700), True)


def changed(key, value, scope=Scope()):  # noqa: B008 - it is frozen
    return LimitChanged(key=key, value=value, old="", scope=scope, by="me", reason="test", time_ns=TEN_NS)


def test_a_limit_that_was_changed_holds_from_the_next_verdict_on():
    limits = all_limits({"max_order_quantity": 10, "duplicate_window_s": Money(0)})
    risk = judge(*limits.rules(), limits=limits)
    assert rule_of(risk, quantity=10) is None
    risk.on(changed("max_order_quantity", "4"))
    assert rule_of(risk, quantity=5) == "max_order_quantity"
    assert rule_of(risk, quantity=4) is None
    risk.on(changed("max_order_quantity", None))
    assert rule_of(risk, quantity=10) is None


def test_a_limit_below_what_is_held_lets_only_reductions_through():
    limits = all_limits({"max_position_quantity": 100, "duplicate_window_s": Money(0)})
    risk = judge(*limits.rules(), limits=limits, held=book(10**6, momentum_1=50))
    risk.on(changed("max_position_quantity", "10"))
    assert rule_of(risk, quantity=1) == "max_position_quantity"
    assert rule_of(risk, SELL, 20, position_effect=CLOSE) is None
    assert rule_of(risk, SELL, 20, position_effect=OPEN) is None


def test_a_manager_of_rules_alone_has_no_limits_to_change():
    with pytest.raises(LookupError, match="rules alone"):
        judge().usage()


def test_a_limit_order_counts_at_its_limit():
    risk = judge(GROSS)
    assert isinstance(risk.on(signal(BUY, 20, order_type=LIMIT, price=Money(99)))[0], Approved)
