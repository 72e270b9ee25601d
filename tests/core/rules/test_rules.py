"""Every rule at its edge, asked through the RiskManager that will ask it."""

import pytest
from builders import BUY, CLOSE, INFY, LIMIT, OPEN, SECOND, SELL, TCS, TEN_NS, batch, book, order, tick
from judging import judge, verdict
from msgspec.structs import fields

from alphapanda.core import rules
from alphapanda.events import Book, Money, OrderStatus

S = OrderStatus


def limits(*cases):
    """One row a case: rule, book, what passes at its edge, what does not, the figures its sentence names."""
    return pytest.mark.parametrize(
        ("check", "held", "passes", "refused", "figures"), cases, ids=[case[0].code for case in cases]
    )


@limits(
    (
        rules.MaximumOrderQuantity(10),
        book(),
        [{"quantity": 9}, {"quantity": 10}],
        {"quantity": 11},
        ["11", "10"],
    ),
    (
        rules.MaximumOrderValue(Money(1000)),
        book(),
        [{"quantity": 9}, {"quantity": 10}],
        {"quantity": 11},
        ["1100", "1000"],
    ),
    (
        rules.MaximumPositionQuantity(10),
        book(momentum_1=6),
        [{"quantity": 3}, {"quantity": 4}],
        {"quantity": 5},
        ["11", "10"],
    ),
    (
        rules.MaximumPositionQuantity(10),
        book(momentum_1=-6),
        [{"side": SELL, "quantity": 3}, {"side": SELL, "quantity": 4}, {"side": BUY, "quantity": 16}],
        {"side": SELL, "quantity": 5},
        ["-11", "10"],
    ),
    (
        rules.MaximumPositionValue(Money(1000)),
        book(momentum_1=6),
        [{"quantity": 3}, {"quantity": 4}],
        {"quantity": 5},
        ["1100.00", "1000.00"],
    ),
    (
        rules.AvailableCash(),
        book(1000),
        [{"quantity": 9}, {"quantity": 10}, {"side": SELL, "quantity": 10}],
        {"quantity": 11},
        ["1100.00", "1000.00"],
    ),
    (
        rules.PriceDeviation(Money(5)),
        book(),
        [{"last_price": 95.01}, {"last_price": 95.0}, {"last_price": 105.0}],
        {"last_price": 105.01},
        ["105.01", "5.01 %", "100.0", "5 %"],
    ),
    (
        rules.PriceDeviation(Money(5)),
        book(),
        [{"order_type": LIMIT, "price": Money(105)}, {"order_type": LIMIT, "price": Money(95)}],
        {"order_type": LIMIT, "price": Money("94.95")},
        ["94.95", "5.05 %", "100.0", "5 %"],
    ),
)
def test_a_rule_passes_up_to_its_limit_and_refuses_one_more(check, held, passes, refused, figures):
    for asked in passes:
        assert verdict(judge(check, held=held), **asked) is None
    code, why = verdict(judge(check, held=held), **refused)
    assert code == check.code
    for figure in figures:
        assert figure in why


@pytest.mark.parametrize(
    ("check", "asked"),
    [
        (rules.MaximumOrderQuantity(0), {"quantity": 10**9}),
        (rules.MaximumOrderValue(Money(0)), {"quantity": 10**9}),
        (rules.MaximumPositionQuantity(0), {"quantity": 10**9}),
        (rules.MaximumPositionValue(Money(0)), {"quantity": 10**9}),
        (rules.MaximumOpenPositions(0), {}),
        (rules.StalePrice(Money(0)), {"time_ns": TEN_NS + 10**15}),
        (rules.PriceDeviation(Money(0)), {"last_price": 1.0}),
        (rules.OrdersPerSecond(0), {}),
        (rules.OrdersPerMinute(0), {}),
        (rules.OrdersPerDay(0), {}),
        (rules.DuplicateSignal(Money(0)), {}),
    ],
    ids=lambda value: getattr(value, "code", ""),
)
def test_a_limit_of_zero_is_off(check, asked):
    risk = judge(check, held=book(10**15, other=5))
    for _ in range(20):
        assert verdict(risk, **asked) is None


def test_every_rule_is_listed_once_with_a_code_that_is_its_key():
    assert len({kind.code for kind in rules.RULES}) == len(rules.RULES)
    assert set(rules.RULES) == {kind for kind in descendants(rules.Rule) if hasattr(kind, "code")}
    for kind in rules.RULES:
        assert [field.name for field in fields(kind)][:1] in ([kind.code], ["scope"])
        assert kind.__doc__


def descendants(kind):
    return {kind, *(heir for child in kind.__subclasses__() for heir in descendants(child))}


def test_the_first_rule_that_refuses_names_the_refusal():
    checks = (rules.MaximumOrderQuantity(5), rules.MaximumOrderValue(Money(100)))
    assert verdict(judge(*checks), quantity=6)[0] == "max_order_quantity"
    assert verdict(judge(*reversed(checks)), quantity=6)[0] == "max_order_value"


@pytest.mark.parametrize("status", [S.PREPARED, S.SENT, S.OPEN, S.UNKNOWN])
def test_orders_that_may_still_trade_count_as_position(status):
    held = book(10**6, order(BUY, 4, status=status), momentum_1=3)
    assert verdict(judge(rules.MaximumPositionQuantity(10), held=held), quantity=3) is None
    assert verdict(judge(rules.MaximumPositionQuantity(10), held=held), quantity=4) is not None


def test_only_the_unfilled_part_of_an_order_counts_beside_the_position():
    part = order(BUY, 10, status=S.PARTIAL, filled_quantity=6, filled_value=Money(600))
    held = book(10**6, part, momentum_1=6)
    assert verdict(judge(rules.MaximumPositionQuantity(10), held=held), quantity=1) == (
        "max_position_quantity",
        "the position could reach 11, over the limit of 10",
    )


def test_approvals_on_their_way_count_as_position_and_as_claimed_cash():
    risk = judge(rules.MaximumPositionQuantity(10), rules.AvailableCash(), held=book(800))
    assert verdict(risk, quantity=6) is None
    assert verdict(risk, quantity=5)[0] == "max_position_quantity"
    assert verdict(risk, quantity=3) == (
        "available_cash",
        "value 300.00 is more than the free cash of 200.00",
    )
    assert verdict(risk, quantity=2) is None


def test_open_orders_of_the_other_side_do_not_make_room():
    held = book(10**6, order(SELL, 8), momentum_1=8)
    assert verdict(judge(rules.MaximumPositionQuantity(10), held=held), quantity=3) is not None


def test_what_another_strategy_holds_on_the_other_side_does_not_make_room():
    """Its exit may come at any time and is never refused."""
    held = book(10**6, momentum_1=8, other=-8)
    risk = judge(rules.MaximumPositionQuantity(10), held=held)
    assert verdict(risk, quantity=3)[1] == "the position could reach 11, over the limit of 10"
    assert verdict(risk, SELL, 3, strategy_id="other")[1] == (
        "the position could reach -11, over the limit of 10"
    )
    assert verdict(risk, quantity=2) is None


def test_an_entry_that_only_brings_a_large_position_nearer_to_zero_passes():
    held = book(10**6, momentum_1=50)
    assert verdict(judge(rules.MaximumPositionQuantity(10), held=held), SELL, 30) is None


def test_positions_in_other_instruments_do_not_count_in_this_one():
    held = Book(free_cash=Money(10**6), positions={("momentum_1", TCS.instrument_token): 10})
    assert verdict(judge(rules.MaximumPositionQuantity(10), held=held), quantity=10) is None


def test_instruments_are_counted_whether_held_open_or_on_their_way():
    check = rules.MaximumOpenPositions(2)
    other = {"instrument_token": TCS.instrument_token}
    assert verdict(judge(check, held=book(10**6, momentum_1=1)), **other) is None
    assert verdict(judge(rules.MaximumOpenPositions(1), held=book(10**6, momentum_1=1))) is None
    assert verdict(judge(rules.MaximumOpenPositions(1), held=book(10**6, momentum_1=1)), **other) == (
        "max_open_positions",
        "1 instruments are open, the limit is 1",
    )
    resting = judge(rules.MaximumOpenPositions(1), held=book(10**6, order()))
    assert verdict(resting, **other)[0] == "max_open_positions"
    on_its_way = judge(rules.MaximumOpenPositions(1))
    assert verdict(on_its_way) is None
    assert verdict(on_its_way, **other)[0] == "max_open_positions"


def test_a_price_may_be_as_old_as_the_limit_and_no_older():
    risk = judge(rules.StalePrice(Money("5.0")))
    assert verdict(risk, time_ns=TEN_NS + 5 * SECOND) is None
    assert verdict(risk, time_ns=TEN_NS + 5 * SECOND + 1) == (
        "max_price_age_s",
        "the price is 5.0 s old, the limit is 5.0 s",
    )


def test_the_age_of_a_price_is_measured_on_the_clock_of_the_ticks():
    risk = judge(rules.StalePrice(Money("5.0")))
    risk.on(batch(tick(100.0, TCS.instrument_token), at=6))
    assert verdict(risk)[0] == "max_price_age_s"
    assert verdict(risk, instrument_token=TCS.instrument_token) is None


@pytest.mark.parametrize("check", [rules.StalePrice(Money(5)), rules.PriceDeviation(Money(5))])
def test_no_entry_without_a_price(check):
    assert verdict(judge(check, price=None)) == (check.code, "no price of NSE:INFY has been seen")


EXPOSURE = (
    rules.MaximumOrderQuantity(1),
    rules.MaximumOrderValue(Money(1)),
    rules.MaximumPositionQuantity(1),
    rules.MaximumPositionValue(Money(1)),
    rules.MaximumOpenPositions(1),
    rules.AvailableCash(),
    rules.StalePrice(Money(1)),
    rules.PriceDeviation(Money(1)),
)
HELD = Book(
    free_cash=Money(-500),
    positions={("momentum_1", INFY.instrument_token): 50, ("momentum_1", TCS.instrument_token): 50},
)
LATE = {"quantity": 50, "time_ns": TEN_NS + 60 * SECOND, "last_price": 50.0}


@pytest.mark.parametrize("check", EXPOSURE, ids=lambda check: check.code)
def test_an_exit_is_not_held_back_by_a_limit_on_exposure(check):
    risk = judge(check, held=HELD)
    assert verdict(risk, SELL, position_effect=CLOSE, **LATE) is None


@pytest.mark.parametrize("check", EXPOSURE, ids=lambda check: check.code)
def test_an_entry_in_the_same_place_is_held_back(check):
    elsewhere = Book(free_cash=Money(-500), positions={("other", TCS.instrument_token): 50})
    risk = judge(check, held=elsewhere)
    assert verdict(risk, BUY, position_effect=OPEN, **LATE)[0] == check.code


def test_a_market_order_is_valued_at_the_last_price_whatever_its_price_says():
    risk = judge(rules.MaximumOrderValue(Money(1000)))
    assert verdict(risk, quantity=11, price=Money(1))[0] == "max_order_value"


def test_a_limit_order_is_valued_at_its_limit():
    check = rules.MaximumOrderValue(Money(1000))
    assert verdict(judge(check), quantity=10, order_type=LIMIT, price=Money(99)) is None
    assert verdict(judge(check), quantity=10, order_type=LIMIT, price=Money(101)) is not None
    rounded_up = verdict(judge(check), SELL, quantity=10, order_type=LIMIT, price=Money("100.01"))
    assert rounded_up == ("max_order_value", "value 1000.50 is over the limit of 1000.00")
