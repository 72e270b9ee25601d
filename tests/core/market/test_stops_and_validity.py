"""Stop orders sleep until their trigger is reached; IOC, TTL and DAY say how long an order may rest."""

import pytest
from builders import BUY, IOC, SECOND, SELL, SL, SL_M, TCS, TEN_NS, TTL, bar, batch, book_of, order, tick

from alphapanda.core.charges import flat
from alphapanda.core.market import MarketSimulator
from alphapanda.events import CancelOrder, Money, OrderStatus, OrderType, PlaceOrder, ReportKind

K = ReportKind
DAY_S = 86_400
THIN = book_of([(99.9, 4)], [(100.1, 4), (100.3, 4)])


def market(*orders, **keywords):
    simulator = MarketSimulator(Money("0.1"), flat(Money("0.1")), **keywords)
    for one in orders:
        (accepted,) = simulator.on(PlaceOrder(one))
        assert accepted.kind is K.ACCEPTED, accepted.reason
    return simulator


def stop(side, trigger, limit=None, **fields):
    kind = SL_M if limit is None else SL
    price = None if limit is None else Money(limit)
    return order(side, order_type=kind, trigger_price=Money(trigger), price=price, **fields)


def limit(side, price, **fields):
    return order(side, order_type=OrderType.LIMIT, price=Money(price), **fields)


def outcome(simulator, *ticks, at=0.0):
    """What one batch led to: `FILL 10 @ 100.1`, `triggered`, `cancelled`."""
    said = []
    for told in simulator.on(batch(*ticks, at=at)):
        filled = told.kind is K.FILL
        said.append(f"{told.quantity} @ {told.price}" if filled else told.kind.value)
    return said


@pytest.mark.parametrize(
    ("one", "seen", "expected"),
    [
        (stop(BUY, "101"), tick(100.95), []),
        (stop(BUY, "101"), tick(101.0), ["10 @ 101.15"]),
        (stop(BUY, "101"), tick(103.0), ["10 @ 103.15"]),
        (stop(BUY, "101"), tick(100.0, high=102.0), []),
        (stop(SELL, "99"), tick(99.05), []),
        (stop(SELL, "99"), tick(99.0), ["10 @ 98.90"]),
        (stop(BUY, "101"), bar(100.0, 100.5, high=100.95), []),
        (stop(BUY, "101"), bar(100.0, 100.5, high=101.0), ["10 @ 101.15"]),
        (stop(BUY, "101"), bar(102.0, 100.5), ["10 @ 102.15"]),
        (stop(BUY, "101"), bar(100.0, 100.5, high=float("nan")), []),
        (stop(SELL, "99"), bar(100.0, 99.5, low=99.0), ["10 @ 98.90"]),
        (stop(SELL, "99"), bar(98.0, 99.5), ["10 @ 97.90"]),
        (stop(SELL, "99"), bar(100.0, 99.5, low=0.0), []),
        (stop(BUY, "101", "102"), tick(101.5), ["10 @ 101.5"]),
        (stop(BUY, "101", "102"), tick(102.5), ["triggered"]),
        (stop(BUY, "101", "102"), tick(100.5), []),
        (stop(SELL, "99", "98"), tick(98.5), ["10 @ 98.5"]),
        (stop(SELL, "99", "98"), tick(97.0), ["triggered"]),
        (stop(BUY, "101", "102"), bar(100.0, 101.0, high=103.0), ["10 @ 101"]),
        (stop(BUY, "101", "102"), bar(103.0, 103.0, low=101.9), ["10 @ 102"]),
        (stop(BUY, "101", "102"), bar(103.0, 103.0, low=102.05), ["triggered"]),
        (stop(SELL, "99", "98"), bar(100.0, 99.0, low=97.0), ["10 @ 99"]),
        (stop(BUY, "100"), tick(100.0, depth=THIN), ["4 @ 100.1", "4 @ 100.3"]),
        (stop(BUY, "100"), tick(100.0, depth=book_of([(99.9, 4)], [])), ["triggered"]),
        (stop(BUY, "100", "100.2"), tick(100.0, depth=THIN), ["4 @ 100.1"]),
        (stop(BUY, "100", "100.05"), tick(100.0, depth=THIN), ["triggered"]),
        (stop(BUY, "101"), tick(100.0, depth=THIN), []),
    ],
)
def test_a_stop_order_trades_once_its_trigger_is_reached(one, seen, expected):
    assert outcome(market(one), seen) == expected


def test_a_stop_that_was_triggered_trades_wherever_the_price_goes():
    simulator = market(stop(BUY, "101", "102"))
    assert outcome(simulator, tick(102.5)) == ["triggered"]
    assert outcome(simulator, tick(103.0)) == []
    assert outcome(simulator, tick(100.0)) == ["10 @ 100.0"]


@pytest.mark.parametrize("known", [{"triggered": True}, {"filled_quantity": 4, "filled_value": Money(404)}])
def test_after_a_restart_a_triggered_stop_is_still_awake(known):
    asleep = stop(BUY, "101", "102", status=OrderStatus.OPEN)
    assert outcome(market(orders=[asleep]), tick(100.0)) == []
    awake = stop(BUY, "101", "102", status=OrderStatus.OPEN, **known)
    assert outcome(market(orders=[awake]), tick(100.0)) == [f"{awake.pending_quantity} @ 100.0"]


@pytest.mark.parametrize(
    ("one", "seen", "expected"),
    [
        (order(validity=IOC), tick(100.0), ["10 @ 100.10"]),
        (order(validity=IOC), tick(100.0, depth=THIN), ["4 @ 100.1", "4 @ 100.3", "cancelled"]),
        (limit(BUY, "100", validity=IOC), tick(100.05), ["cancelled"]),
        (limit(BUY, "100.1", validity=IOC), tick(100.0, depth=THIN), ["4 @ 100.1", "cancelled"]),
        (limit(BUY, "100", validity=IOC), bar(101.0, 101.0, low=99.0), ["cancelled"]),
        (limit(SELL, "100", validity=IOC), bar(99.0, 99.0, high=101.0), ["cancelled"]),
        (limit(BUY, "100", validity=IOC), bar(99.0, 101.0), ["10 @ 99.0"]),
        (stop(BUY, "101", validity=IOC), tick(100.0), ["cancelled"]),
        (order(validity=IOC), tick(100.0, TCS.instrument_token), []),
    ],
)
def test_an_ioc_order_trades_on_the_first_tick_of_its_instrument_or_not(one, seen, expected):
    simulator = market(one)
    assert outcome(simulator, seen) == expected
    assert len(simulator.resting()) == (not expected)


def test_a_cancel_says_what_did_not_trade_and_why():
    told = market(order(validity=IOC)).on(batch(tick(100.0, depth=THIN), at=3))[-1]
    assert (told.reason, told.time_ns) == ("IOC: 2 of 10 did not trade at once", TEN_NS + 3 * SECOND)
    told = market(limit(BUY, "90", validity=TTL, validity_ttl=2)).on(batch(tick(), at=120))[-1]
    assert told.reason == "TTL: 2 minutes have passed"


def test_a_ttl_order_ends_when_its_minutes_have_passed_on_any_row():
    simulator = market(limit(BUY, "90", validity=TTL, validity_ttl=2))
    assert outcome(simulator, tick(), at=119.999) == []
    assert outcome(simulator, tick(50.0, TCS.instrument_token), at=120) == ["cancelled"]
    assert outcome(simulator, tick(80.0), at=121) == []


def test_the_minutes_are_over_before_the_row_trades():
    assert outcome(market(limit(BUY, "90", validity=TTL, validity_ttl=2)), tick(80.0), at=120) == [
        "cancelled"
    ]


@pytest.mark.parametrize("one", [limit(BUY, "90"), stop(BUY, "110", "111"), stop(BUY, "110")])
def test_an_order_ends_with_the_day_of_the_first_tick_that_it_could_have_met(one):
    """Made at ten, met nothing on its own day: as in a file of daily bars it has the next one."""
    simulator = market(one)
    assert outcome(simulator, tick(1.0, TCS.instrument_token), at=60) == []
    assert outcome(simulator, tick(), at=DAY_S) == []
    assert outcome(simulator, tick(), at=DAY_S + 13 * 3600) == []
    assert outcome(simulator, tick(1.0, TCS.instrument_token), at=DAY_S + 14 * 3600) == ["cancelled"]


def test_a_market_order_waits_for_its_next_tick_whatever_the_day():
    assert outcome(market(order()), tick(100.0), at=3 * DAY_S) == ["10 @ 100.10"]


def test_what_is_left_of_a_market_order_ends_with_its_day():
    simulator = market(order())
    outcome(simulator, tick(100.0, depth=THIN), at=1)
    assert outcome(simulator, tick(100.0, depth=THIN), at=DAY_S) == ["cancelled"]


def test_rows_that_were_walked_before_a_restart_say_which_day_an_order_has_met():
    rested = limit(BUY, "90", status=OrderStatus.OPEN, row=1)
    simulator = market(orders=[rested])
    simulator.on_taken(batch(tick(), row=1))
    simulator.on_taken(batch(tick(), at=60, row=2))
    assert [told.kind for told in simulator.on(batch(tick(), at=DAY_S, row=3))] == [K.CANCELLED]
    simulator = market(orders=[rested])
    simulator.on_taken(batch(tick(), row=1))
    assert simulator.on(batch(tick(), at=DAY_S, row=2)) == []


def test_a_restored_order_of_a_live_feed_has_its_own_day():
    simulator = market(orders=[limit(BUY, "90", status=OrderStatus.OPEN)])
    assert outcome(simulator, tick(80.0), at=DAY_S) == ["cancelled"]


def test_a_cancelled_order_does_not_end_twice():
    one = limit(BUY, "90", validity=TTL, validity_ttl=1)
    simulator = market(one)
    simulator.on(CancelOrder(one))
    assert outcome(simulator, tick(), at=120) == []
