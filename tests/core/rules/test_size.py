"""The size of one order: the exchange's freeze quantity, and slices of what is larger."""

from datetime import date

import pytest
from builders import BUY, CLOSE, SELL, TEN_NS
from hypothesis import given
from hypothesis import strategies as st
from judging import all_limits, answers, judge, rule_of, why

from alphapanda import tables
from alphapanda.core import rules
from alphapanda.events import Approved, Book, Instrument, Money, Order

FUTURE = Instrument(7, "NFO", "NIFTY26DECFUT", lot_size=65)
DEEMED = rules.Freeze([rules.FreezeRow("NIFTY", date(2024, 1, 1), 1800, "test")])
ON = rules.FreezeQuantity(freeze_quantity=True)
SLICED = rules.FreezeQuantity(slice_orders=True)


def frozen(*checks, **keywords):
    return judge(*checks, instruments=(FUTURE,), freeze=DEEMED, **keywords)


def asked(quantity, **fields):
    return {"quantity": quantity, "instrument_token": 7, "last_price": 100.0} | fields


def test_an_order_up_to_the_freeze_quantity_passes_and_one_lot_more_does_not():
    assert rule_of(frozen(ON), **asked(1755 - 65)) is None
    assert rule_of(frozen(ON), **asked(1755)) is None
    assert rule_of(frozen(ON), **asked(1820)) == "freeze_quantity"
    assert "1820 is over the exchange's freeze quantity of 1800" in why(frozen(ON), **asked(1820))


def test_off_it_asks_nothing():
    assert rules.FreezeQuantity().is_off
    assert len(answers(frozen(rules.FreezeQuantity()), **asked(65 * 1000))) == 1


def test_a_large_order_is_cut_in_slices_of_whole_lots_where_that_is_allowed():
    found = answers(frozen(SLICED), **asked(1755 * 2 + 65))
    assert [(one.order.quantity, one.part, one.parts) for one in found] == [
        (1755, 1, 3),
        (1755, 2, 3),
        (65, 3, 3),
    ]
    assert [one.order.sequence for one in found] == [1, 2, 3]
    assert len({one.order.tag for one in found}) == len({one.order.order_id for one in found}) == 3


def test_no_entry_is_cut_in_more_slices_than_the_broker_takes():
    assert len(answers(frozen(SLICED), **asked(17550))) == 10
    assert rule_of(frozen(SLICED), **asked(17550 + 65)) == "freeze_quantity"


def test_an_exit_is_always_cut_and_goes_as_far_as_the_slices_carry():
    held = Book(free_cash=Money(0), positions={("momentum_1", 7): 18200})
    found = answers(frozen(ON, held=held), SELL, **asked(18200, position_effect=CLOSE))
    assert [one.order.quantity for one in found] == [1755] * 10


def test_every_slice_counts_with_the_throttles_and_in_the_position():
    throttle = rules.OrdersPerSecond(3)
    assert rule_of(frozen(SLICED, throttle), **asked(1755 * 3)) is None
    assert rule_of(frozen(SLICED, throttle), **asked(1755 * 4)) == "max_orders_per_second"
    risk = frozen(SLICED, rules.MaximumPositionQuantity(1755 * 3))
    assert rule_of(risk, **asked(1755 * 2)) is None
    assert rule_of(risk, **asked(1755 + 65)) == "max_position_quantity"
    assert rule_of(risk, **asked(1755)) is None


def test_the_same_large_order_again_is_a_duplicate_of_its_slices():
    risk = frozen(SLICED, rules.DuplicateSignal())
    assert rule_of(risk, **asked(1755 * 2)) is None
    assert rule_of(risk, **asked(1755 * 2)) == "duplicate_window_s"
    past = [one.order for one in answers(frozen(SLICED), **asked(1755 * 2))]
    restarted = frozen(SLICED, rules.DuplicateSignal(), past=past)
    assert rule_of(restarted, **asked(1755 * 2)) == "duplicate_window_s"


@given(st.integers(1, 400), st.integers(1, 2000), st.integers(1, 70), st.sampled_from([BUY, SELL]))
def test_slices_add_up_to_the_order_and_none_is_over_the_freeze_quantity(lots, most, lot, side):
    listed = Instrument(7, "NFO", "NIFTY26DECFUT", lot_size=lot)
    freeze = rules.Freeze([rules.FreezeRow("NIFTY", date(2024, 1, 1), most, "test")])
    risk = judge(SLICED, instruments=(listed,), freeze=freeze)
    found = answers(risk, side, **asked(lots * lot))
    if not isinstance(found[0], Approved):
        assert most < lot or lots * lot > 10 * (most // lot * lot)
        return
    quantities = [one.order.quantity for one in found]
    assert sum(quantities) == lots * lot
    assert len(quantities) <= 10
    assert all(0 < quantity <= most and quantity % lot == 0 for quantity in quantities)


@pytest.mark.parametrize(
    ("symbol", "day", "most"),
    [
        ("NIFTY26DECFUT", date(2026, 11, 24), 1800),
        ("BANKNIFTY26MAR54000CE", date(2026, 3, 31), 600),
        ("BANKNIFTY26APR54000CE", date(2026, 4, 1), 900),
        ("BANKNIFTY26JUNFUT", date(2026, 6, 30), 900),
        ("BANKNIFTY26JULFUT", date(2026, 7, 1), 600),
        ("FINNIFTY26MARFUT", date(2026, 3, 31), 1200),
        ("NIFTYNXT5026DECFUT", date(2026, 11, 24), 600),
        ("RELIANCE26DECFUT", date(2026, 11, 24), None),
        ("NIFTY24DECFUT", date(2024, 12, 2), None),
    ],
)
def test_the_freeze_quantity_is_that_of_the_day(symbol, day, most):
    listed = Instrument(7, "NFO", symbol)
    at_ten = TEN_NS + (day - date(2024, 6, 3)).days * 86_400 * 10**9
    assert tables.freeze().quantity(listed, at_ten) == most


def test_a_share_has_no_freeze_quantity():
    assert tables.freeze().quantity(Instrument(7, "NSE", "NIFTY"), TEN_NS) is None


@pytest.mark.parametrize(
    ("throttles", "sent"),
    [
        ({"max_orders_per_second": 8}, 8),
        ({"max_orders_per_second": 8, "exit_reserve_per_second": 8}, 8),
        ({"max_orders_per_second": 0}, 10),
        ({"max_orders_per_second": 0, "max_orders_per_day": 3}, 3),
    ],
)
def test_an_exit_goes_as_far_as_the_throttles_let_it_and_then_further(throttles, sent):
    limits = all_limits({"freeze_quantity": True, "max_price_age_s": Money(0)} | throttles)
    held = Book(positions={("momentum_1", 7): 17550})
    risk = frozen(*limits.rules(), held=held)
    found = answers(risk, SELL, **asked(17550, position_effect=CLOSE))
    assert [one.order.quantity for one in found] == [1755] * sent
    rest = answers(risk, SELL, **asked(17550, position_effect=CLOSE, time_ns=TEN_NS + 10**9))
    left = [] if sent in (3, 10) else [1755] * (10 - sent)
    assert [one.order.quantity for one in rest if isinstance(one, Approved)] == left


def test_an_operators_large_close_at_zerodha_leaves_below_its_threshold():
    held = Book(positions={("momentum_1", 7): 17550})
    risk = frozen(ON, held=held, broker="zerodha")
    closing = {"position_effect": CLOSE, "by": "uid 7", "brokers": ("zerodha",)}
    assert len(answers(risk, SELL, **asked(17550, **closing))) == 9
    later = TEN_NS + 10**9
    rest = answers(risk, SELL, **asked(17550, **closing, time_ns=later))
    assert [one.order.quantity for one in rest] == [1755]


def test_an_operators_close_is_sliced_too():
    held = Book(positions={("momentum_1", 7): 3575})
    found = answers(frozen(ON, held=held), SELL, **asked(3575, position_effect=CLOSE, by="uid 7"))
    assert [one.order.quantity for one in found] == [1755, 1755, 65]
    assert all(isinstance(one.order, Order) and one.order.closed_by_hand for one in found)
