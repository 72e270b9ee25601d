"""What Kite would not take the simulated broker does not take either, and says it in the same words."""

from datetime import date

import pytest
from builders import BUY, CLOSE, INFY, IOC, LIMIT, SELL, SL, SL_M, TTL, batch, fill, order, tick
from msgspec.structs import replace

from alphapanda.core.charges import flat
from alphapanda.core.margins import FULL
from alphapanda.core.market import MarketSimulator, SimulatedAccount
from alphapanda.events import CancelOrder, Instrument, Money, PlaceOrder, ReportKind

FUTURE = Instrument(1, "NFO", "NIFTY26DECFUT", lot_size=65, instrument_type="FUT", expiry=date(2026, 12, 29))
GOLD = Instrument(2, "MCX", "GOLD26DECFUT")
BANDED = replace(INFY, lower_circuit_limit=Money("90"), upper_circuit_limit=Money("110"))
WITHIN = "Place an order within the daily range."


def market(cash=10_000, **keywords):
    return MarketSimulator(
        Money(0),
        flat(Money("0.1")),
        account=SimulatedAccount(Money(cash), FULL, keywords.get("fills", ())),
        **keywords,
    )


def answer(simulator, one):
    (report,) = simulator.on(PlaceOrder(one))
    assert report.broker_order_id == f"PAPER-{one.sequence}"
    assert (report.kind is ReportKind.REJECTED) == bool(report.reason)
    return report.reason


def priced(side, price, **fields):
    return order(side, order_type=LIMIT, price=Money(price), **fields)


def stop(side, trigger, limit=None, **fields):
    kind = SL_M if limit is None else SL
    price = None if limit is None else Money(limit)
    return order(side, order_type=kind, trigger_price=Money(trigger), price=price, **fields)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (order(quantity=130, instrument=FUTURE), ""),
        (
            order(quantity=100, instrument=FUTURE),
            "Quantity 100 is not a multiple of the lot size of 65.",
        ),
        (priced(BUY, "99.95"), ""),
        (priced(BUY, "99.97"), "The price 99.97 is not a multiple of the tick size of 0.05."),
        (priced(BUY, "90", instrument=BANDED), ""),
        (priced(SELL, "110", instrument=BANDED), ""),
        (
            priced(BUY, "89.95", instrument=BANDED),
            "Your order price is lower than the current lower circuit limit of 90. " + WITHIN,
        ),
        (
            priced(SELL, "110.05", instrument=BANDED),
            "Your order price is higher than the current upper circuit limit of 110. " + WITHIN,
        ),
        (order(validity=IOC), ""),
        (order(validity=IOC, instrument=GOLD), "IOC orders are not accepted on MCX."),
        (order(validity=TTL, validity_ttl=1), ""),
        (order(validity=TTL), "A TTL order needs a validity of one minute or more, not 0."),
        (stop(BUY, "101"), ""),
        (stop(BUY, "101.02"), "The trigger price 101.02 is not a multiple of the tick size of 0.05."),
        (stop(BUY, "101", "101"), ""),
        (stop(BUY, "101.05", "101"), "Trigger price can't be higher than price."),
        (stop(SELL, "98.95", "99"), "Trigger price can't be lesser than price."),
        (
            stop(BUY, "100"),
            "Trigger price for stoploss buy orders should be higher than the last traded price of 100.0.",
        ),
        (
            stop(SELL, "100", "99"),
            "Trigger price for stoploss sell orders should be lower than the last traded price of 100.0.",
        ),
        (order(order_type=SL_M), "The trigger price of the SL-M order is missing."),
    ],
)
def test_an_order_that_cannot_be_is_rejected(one, why):
    simulator = market(10**9)
    simulator.on(batch(tick(100.0)))
    assert answer(simulator, one) == why
    assert len(simulator.resting()) == (not why)


def test_a_trigger_is_not_judged_by_a_price_that_is_not_known():
    assert answer(market(10**9), stop(BUY, "50")) == ""


def test_funds_are_what_no_position_and_no_resting_entry_has_claimed():
    simulator = market(2000)
    assert answer(simulator, order(BUY, 10)) == ""
    assert answer(simulator, order(BUY, 10, 2)) == ""
    assert answer(simulator, order(BUY, 1, 3)) == (
        "Insufficient funds. Required margin is 100.00 but available margin is 0.00. "
        "Check the orderbook for open orders."
    )
    simulator.on(CancelOrder(order(BUY, 10, 2)))
    assert answer(simulator, order(BUY, 10, 4)) == ""


def test_a_short_position_claims_its_proceeds_and_as_much_again():
    simulator = market(2000)
    assert answer(simulator, order(SELL, 10)) == ""
    simulator.on(batch(tick(100.0)))
    assert answer(simulator, order(SELL, 10, 2)).startswith("Insufficient funds. Required margin is 1000.00")
    assert "available margin is 999.00." in answer(simulator, order(BUY, 10, 3))
    assert answer(simulator, order(BUY, 10, 4, position_effect=CLOSE)) == ""


def test_a_delivery_sale_needs_the_shares():
    simulator = market(10_000, fills=[fill(BUY, 10, product="CNC")])
    why = answer(simulator, order(SELL, 11, product="CNC", position_effect=CLOSE))
    assert why.startswith("Insufficient holdings. Required quantity is 11 but available quantity is 10.")
    assert answer(simulator, order(SELL, 6, 2, product="CNC", position_effect=CLOSE)) == ""
    assert "available quantity is 4." in answer(
        simulator, order(SELL, 5, 3, product="CNC", position_effect=CLOSE)
    )
    assert answer(simulator, order(SELL, 5, 4, product="MIS")) == ""


def test_without_an_account_nobody_asks_for_funds():
    simulator = MarketSimulator(Money(0), flat(Money(0)))
    assert answer(simulator, order(SELL, 10**6, product="CNC")) == ""
