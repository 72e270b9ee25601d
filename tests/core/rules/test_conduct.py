"""What may be traded, and against whom not."""

from datetime import date, timedelta

import pytest
from builders import BUY, CLOSE, INFY, LIMIT, SECOND, SELL, TEN_NS, batch, book, order
from judging import TCS_TOKEN, answers, judge, rule_of, why
from msgspec.structs import replace

from alphapanda.core import rules
from alphapanda.events import Book, Instrument, Money, OrderStatus, OrderType, Validity

MATCH = rules.SelfMatch(prevent_self_match=True)


def limit(side, price, **fields):
    return order(side, order_type=LIMIT, price=Money(price), strategy_id="other", **fields)


def against(resting, **asked):
    return rule_of(judge(MATCH, held=book(10**6, resting)), **asked)


@pytest.mark.parametrize(
    ("resting", "asked", "passes"),
    [
        (limit(SELL, 101), {"order_type": LIMIT, "price": Money("100.95")}, True),
        (limit(SELL, 101), {"order_type": LIMIT, "price": Money(101)}, False),
        (limit(SELL, 101), {"order_type": LIMIT, "price": Money(102)}, False),
        (limit(BUY, 99), {"side": SELL, "order_type": LIMIT, "price": Money("99.05")}, True),
        (limit(BUY, 99), {"side": SELL, "order_type": LIMIT, "price": Money(99)}, False),
        (limit(SELL, 100), {}, False),
        (limit(SELL, "100.05"), {}, True),
        (order(SELL), {}, False),
        (order(SELL, status=OrderStatus.UNKNOWN), {}, False),
        (order(BUY), {}, True),
        (limit(SELL, 90), {"instrument_token": TCS_TOKEN}, True),
    ],
)
def test_an_order_never_meets_another_of_the_same_account(resting, asked, passes):
    assert against(resting, **asked) == (None if passes else "prevent_self_match")


@pytest.mark.parametrize(("trigger", "passes"), [(99, True), (100, False)])
def test_a_stop_that_sleeps_is_met_by_nobody(trigger, passes):
    stop = order(SELL, order_type=OrderType.SL_M, trigger_price=Money(trigger), strategy_id="other")
    assert against(stop) == (None if passes else "prevent_self_match")


def test_a_stop_that_was_triggered_waits_at_its_price_also_where_the_market_has_come_back():
    woken = {"order_type": OrderType.SL, "trigger_price": Money(99), "price": Money(98), "triggered": True}
    assert against(order(SELL, strategy_id="other", **woken)) == "prevent_self_match"


def test_an_exit_meets_nobody_either_and_the_refusal_names_the_other():
    held = book(10**6, limit(BUY, 100), momentum_1=5)
    risk = judge(MATCH, held=held)
    assert why(risk, SELL, position_effect=CLOSE) == (
        "it would trade at 100.0 against O000001 of other, which waits at 100"
    )
    assert rule_of(risk, SELL, position_effect=CLOSE, by="uid 7") is None


@pytest.mark.parametrize(
    ("allowed", "passes"),
    [(("NSE:INFY",), True), (("NSE:*",), True), (("NSE:TCS", "BSE:*"), False), ((), True)],
)
def test_only_what_is_allowed_is_entered(allowed, passes):
    risk = judge(rules.AllowedInstruments(allowed), held=book(momentum_1=5))
    assert rule_of(risk) == (None if passes else "allowed_instruments")
    assert rule_of(risk, SELL, position_effect=CLOSE) is None


def test_only_allowed_products_are_entered():
    assert rule_of(judge(rules.AllowedProducts(("MIS", "CNC")))) is None
    assert rule_of(judge(rules.AllowedProducts(("CNC",)))) == "allowed_products"


@pytest.mark.parametrize(
    ("protection", "asked", "passes"),
    [
        (0, {}, False),
        (-1, {}, True),
        (2, {}, True),
        (0, {"order_type": LIMIT, "price": Money(100)}, True),
        (0, {"order_type": OrderType.SL_M, "trigger_price": Money(101)}, False),
        (0, {"side": SELL, "position_effect": CLOSE, "by": "uid 7"}, False),
    ],
)
def test_zerodha_takes_no_market_order_without_protection(protection, asked, passes):
    risk = judge(broker="zerodha", protection={"zerodha": Money(protection)}, held=book(momentum_1=5))
    assert rule_of(risk, brokers=("zerodha",), **asked) == (None if passes else "market_protection")
    assert rule_of(judge(protection={"zerodha": Money(0)})) is None


TODAY = date(2024, 6, 3)
"""The day of `TEN_NS`."""


def listed(**fields):
    return replace(INFY, **{"listed_on": TODAY} | fields)


def at_zerodha(instrument, **asked):
    risk = judge(
        broker="zerodha",
        listing=("zerodha",),
        instruments=(instrument,),
        held=book(momentum_1=5),
    )
    return risk, {"brokers": ("zerodha",)} | asked


@pytest.mark.parametrize(
    ("instrument", "rule"),
    [
        (listed(), None),
        (listed(listed_on=None), "instrument_not_listed"),
        (listed(listed_on=TODAY - timedelta(days=1)), "instrument_not_listed"),
        (listed(listed_on=TODAY + timedelta(days=1)), "instrument_not_listed"),
        (listed(instrument_type="INDEX"), "instrument_not_supported"),
        (listed(exchange="MCX"), "instrument_not_supported"),
        (listed(exchange="CDS"), "instrument_not_supported"),
        (listed(exchange="BCD"), "instrument_not_supported"),
        (listed(exchange="NCO"), "instrument_not_supported"),
        (listed(exchange="NFO"), None),
    ],
)
def test_only_what_is_on_the_list_of_the_day_is_entered_and_exits_pass(instrument, rule):
    risk, asked = at_zerodha(instrument)
    assert rule_of(risk, **asked) == rule
    assert rule_of(risk, SELL, position_effect=CLOSE, **asked) is None
    assert rule_of(judge(instruments=(instrument,), listing=("zerodha",))) is None


def test_the_list_of_a_day_is_good_until_midnight():
    risk, asked = at_zerodha(listed())
    midnight = TEN_NS + 14 * 3600 * SECOND
    assert rule_of(risk, **asked, time_ns=midnight - 1) is None
    assert rule_of(risk, **asked, time_ns=midnight) == "instrument_not_listed"
    risk.on(batch(at=14 * 3600, listed=(listed(listed_on=TODAY + timedelta(days=1)),)))
    assert rule_of(risk, **asked) is None


def test_a_refusal_for_want_of_a_row_says_which_list_and_what_to_do():
    risk, asked = at_zerodha(listed(listed_on=TODAY - timedelta(days=1)))
    assert why(risk, **asked) == (
        "NSE:INFY is not on zerodha's instrument list of 2024-06-03, but on that of 2024-06-02;"
        " `alphapanda instruments sync` reads the list"
    )
    risk, asked = at_zerodha(listed(exchange="MCX"))
    assert why(risk, **asked) == (
        "MCX counts quantities in lots with a multiplier, which zerodha orders do not support yet"
    )


def test_a_list_that_is_old_is_not_the_strategys_fault():
    """Refusals in a row take a strategy out."""
    risk = judge(
        rules.RefusedInARow(max_refused_in_a_row=1),
        broker="zerodha",
        listing=("zerodha",),
        instruments=(listed(listed_on=None),),
    )
    for _ in range(3):
        assert rule_of(risk, brokers=("zerodha",)) == "instrument_not_listed"


LOT = Instrument(7, "NFO", "NIFTY26DECFUT", lot_size=65)
BAND = Instrument(8, "NSE", "BAND", lower_circuit_limit=Money(90), upper_circuit_limit=Money(110))


@pytest.mark.parametrize(("quantity", "passes"), [(64, False), (65, True), (66, False), (130, True)])
def test_an_entry_is_of_whole_lots_and_an_odd_rest_may_be_closed(quantity, passes):
    risk = judge(instruments=(LOT,), price=None)
    asked = {"instrument_token": 7, "quantity": quantity}
    assert rule_of(risk, **asked) == (None if passes else "lot_size")
    held = Book(positions={("momentum_1", 7): 500})
    closing = judge(instruments=(LOT,), price=None, held=held)
    assert rule_of(closing, SELL, position_effect=CLOSE, **asked) is None


@pytest.mark.parametrize(("price", "passes"), [("89.95", False), (90, True), (110, True), ("110.05", False)])
def test_no_limit_lies_outside_the_circuit(price, passes):
    asked = {"instrument_token": 8, "order_type": LIMIT, "price": Money(price)}
    assert rule_of(judge(instruments=(BAND,)), **asked) == (None if passes else "circuit_limit")


def stop(kind, side, trigger, price=None, **fields):
    return {
        "side": side,
        "order_type": kind,
        "trigger_price": None if trigger is None else Money(trigger),
        "price": None if price is None else Money(price),
    } | fields


SL, SL_M = OrderType.SL, OrderType.SL_M


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        (stop(SL_M, BUY, "100.05"), None),
        (stop(SL_M, BUY, 100), "invalid_signal"),
        (stop(SL_M, SELL, "99.95"), None),
        (stop(SL_M, SELL, 100), "invalid_signal"),
        (stop(SL_M, BUY, None), "invalid_signal"),
        (stop(SL_M, BUY, "NaN"), "invalid_signal"),
        (stop(SL_M, BUY, -5), "invalid_signal"),
        (stop(SL, BUY, 101, 101), None),
        (stop(SL, BUY, 101, 102), None),
        (stop(SL, BUY, 101, "100.95"), "invalid_signal"),
        (stop(SL, SELL, 99, 99), None),
        (stop(SL, SELL, 99, 98), None),
        (stop(SL, SELL, 99, "99.05"), "invalid_signal"),
        (stop(SL, BUY, 101), "invalid_signal"),
        (stop(SL_M, BUY, "110.05", instrument_token=8), "circuit_limit"),
        ({"validity": Validity.TTL}, "invalid_signal"),
        ({"validity": Validity.TTL, "validity_ttl": 1}, None),
        ({"validity": Validity.IOC}, None),
    ],
)
def test_a_stop_waits_on_the_far_side_of_the_price(asked, rule):
    assert rule_of(judge(instruments=(INFY, BAND)), **asked) == rule


def test_an_order_carries_its_trigger_and_validity_and_is_valued_at_its_price():
    risk = judge()
    made = risk_order(risk, **stop(SL, SELL, "99.02", "98.01", validity=Validity.TTL, validity_ttl=3))
    assert (made.trigger_price, made.price, made.reference_price) == (
        Money("99.05"),
        Money("98.05"),
        made.price,
    )
    assert (made.validity, made.validity_ttl, made.created_ns) == ("TTL", 3, TEN_NS)
    woken = risk_order(risk, **stop(SL_M, BUY, "101.04"))
    assert (woken.trigger_price, woken.price, woken.reference_price) == (
        Money("101.00"),
        None,
        Money("101.00"),
    )


def risk_order(risk, **fields):
    return answers(risk, **fields)[0].order
