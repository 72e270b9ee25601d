"""MarketSimulator: next-tick fills, never better than the market, and exact to the tick."""

from fractions import Fraction
from math import ceil, floor

import pytest
from builders import BUY, INFY, LIMIT, SECOND, SELL, TCS, TEN_NS, bar, batch, fill, order, tick
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.charges import flat
from alphapanda.core.market import MarketSimulator
from alphapanda.events import CancelOrder, Halt, Instrument, Money, OrderStatus, PlaceOrder, ReportKind

K = ReportKind


def market(slippage="0", **keywords):
    return MarketSimulator(Money(slippage), flat(Money("0.1")), **keywords)


def resting(*orders, slippage="0"):
    simulator = market(slippage)
    for one in orders:
        simulator.on(PlaceOrder(one))
    return simulator


def price_of(one, *ticks, slippage="0"):
    """What the order fills at when it rests and these ticks come in one batch; None when it does not."""
    reports = resting(one, slippage=slippage).on(batch(*ticks))
    return reports[0].price if reports else None


def limit(side, price, **fields):
    return order(side, order_type=LIMIT, price=Money(price), **fields)


def test_an_order_is_accepted_at_once_and_rests():
    simulator = market()
    (accepted,) = simulator.on(PlaceOrder(order()))
    assert (accepted.kind, accepted.order_id, accepted.broker_order_id) == (K.ACCEPTED, "O000001", "PAPER-1")
    assert simulator.resting() == [order()]


def test_a_market_order_fills_whole_at_the_next_tick():
    simulator = resting(order(BUY, 10))
    (filled,) = simulator.on(batch(tick(101.5), at=1, row=2))
    assert (filled.kind, filled.order_id, filled.trade_id) == (K.FILL, "O000001", "T000001")
    assert (filled.quantity, filled.price, filled.charges) == (10, Money("101.5"), Money("1.02"))
    assert filled.time_ns == TEN_NS + SECOND
    assert simulator.resting() == []
    assert simulator.on(batch(tick(101.5), at=2, row=3)) == []


def test_an_order_never_fills_on_the_row_that_caused_it_nor_on_an_earlier_one():
    simulator = resting(order(row=7))
    assert simulator.on(batch(tick(), row=6)) == []
    assert simulator.on(batch(tick(), row=7)) == []
    assert len(simulator.on(batch(tick(), row=8))) == 1


def test_a_restored_order_waits_for_the_row_after_its_own():
    simulator = market(orders=[order(row=7)])
    assert simulator.on(batch(tick(), row=7)) == []
    assert len(simulator.on(batch(tick(), row=8))) == 1


def test_a_live_feed_has_no_rows_and_fills_at_once():
    assert len(resting(order(row=0)).on(batch(tick()))) == 1


def test_a_restored_order_fills_only_what_is_still_open():
    part = order(BUY, 10, status=OrderStatus.PARTIAL, filled_quantity=4, filled_value=Money(400))
    (filled,) = market(orders=[part]).on(batch(tick()))
    assert filled.quantity == 6


def test_trade_ids_go_on_after_a_restart():
    simulator = market(
        orders=[order(), order(sequence=2)], fills=[fill(trade=number) for number in range(1, 42)]
    )
    assert [filled.trade_id for filled in simulator.on(batch(tick()))] == ["T000042", "T000043"]


def test_an_order_fills_on_its_own_instrument_only():
    simulator = resting(order())
    assert simulator.on(batch(tick(50.0, TCS.instrument_token))) == []
    assert len(simulator.on(batch(tick(50.0, TCS.instrument_token), tick(100.0)))) == 1


def test_orders_of_one_instrument_fill_in_the_order_they_came():
    simulator = resting(order(sequence=2), order(SELL, sequence=1))
    assert [filled.order_id for filled in simulator.on(batch(tick()))] == ["O000002", "O000001"]


def test_two_ticks_of_one_batch_fill_an_order_once():
    (filled,) = resting(order()).on(batch(tick(101.0), tick(102.0)))
    assert filled.price == Money(101)


def test_a_bar_fills_at_its_open():
    assert price_of(order(), bar(99.0, 105.0)) == Money(99)
    assert price_of(order(), tick(105.0, open=99.0)) == Money(105)


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 0.0, -3.0])
def test_a_price_that_cannot_be_fills_nothing(price):
    simulator = resting(order())
    assert simulator.on(batch(tick(price))) == []
    assert simulator.on(batch(bar(price, 100.0))) == []
    assert len(simulator.on(batch(tick()))) == 1


@pytest.mark.parametrize(
    ("side", "price", "slippage", "filled_at"),
    [
        (BUY, 100.0, "0.05", "100.05"),
        (SELL, 100.0, "0.05", "99.95"),
        (BUY, 100.0, "0.06", "100.10"),
        (SELL, 100.0, "0.06", "99.90"),
        (BUY, 1573.7, "0.05", "1574.50"),
        (SELL, 1573.7, "0.05", "1572.90"),
        (BUY, 100.02, "0", "100.05"),
        (SELL, 100.02, "0", "100.00"),
    ],
)
def test_slippage_and_rounding_are_against_the_trader(side, price, slippage, filled_at):
    assert price_of(order(side), tick(price), slippage=slippage) == Money(filled_at)
    assert price_of(order(side), bar(price), slippage=slippage) == Money(filled_at)


@settings(deadline=None)
@given(
    st.sampled_from([BUY, SELL]),
    st.decimals("0.05", "200000", places=2) | st.decimals("0.05", "200000", places=4),
    st.decimals("0", "5", places=3),
    st.sampled_from(["0.01", "0.05", "0.0025", "0.1", "1"]),
)
def test_the_fill_is_the_slipped_price_rounded_in_exact_arithmetic(side, price, slippage, tick_size):
    listed = Instrument(INFY.instrument_token, "NSE", "INFY", Money(tick_size))
    filled_at = price_of(order(side, instrument=listed), tick(float(price)), slippage=str(slippage))
    slipped = Fraction(price) * (1 + side.sign * Fraction(slippage) / 100)
    ticks = slipped / Fraction(tick_size)
    assert Fraction(filled_at) == (ceil if side is BUY else floor)(ticks) * Fraction(tick_size)


@pytest.mark.parametrize(
    ("one", "seen", "filled_at"),
    [
        (limit(BUY, "100"), tick(100.05), None),
        (limit(BUY, "100"), tick(100.0), "100"),
        (limit(BUY, "100"), tick(99.5), "99.5"),
        (limit(SELL, "100"), tick(99.95), None),
        (limit(SELL, "100"), tick(100.0), "100"),
        (limit(SELL, "100"), tick(100.5), "100.5"),
        (limit(BUY, "100"), bar(99.0, 98.0), "99"),
        (limit(BUY, "100"), bar(102.0, 103.0, low=100.0), "100"),
        (limit(BUY, "100"), bar(102.0, 103.0, low=100.05), None),
        (limit(BUY, "100"), bar(102.0, 103.0, low=0.0), None),
        (limit(SELL, "100"), bar(101.0, 98.0), "101"),
        (limit(SELL, "100"), bar(98.0, 97.0, high=100.0), "100"),
        (limit(SELL, "100"), bar(98.0, 97.0, high=99.95), None),
        (limit(SELL, "100"), bar(98.0, 97.0, high=float("nan")), None),
        (limit(SELL, "100"), bar(98.0, 97.0, high=float("inf")), None),
        (limit(BUY, "100"), bar(102.0, 103.0, low=float("nan")), None),
        (limit(BUY, "100"), tick(102.0, low=95.0), None),
        (limit(SELL, "100"), tick(98.0, high=105.0), None),
    ],
)
def test_a_limit_order_fills_at_its_price_or_better_once_a_price_reaches_it(one, seen, filled_at):
    expected = None if filled_at is None else Money(filled_at)
    assert price_of(one, seen, slippage="1") == expected


def test_a_limit_order_that_is_not_reached_rests_on():
    simulator = resting(limit(BUY, "100"))
    for row in range(1, 4):
        assert simulator.on(batch(tick(101.0), row=row)) == []
    assert len(simulator.on(batch(tick(99.0), row=4))) == 1


@settings(deadline=None)
@given(
    st.sampled_from([BUY, SELL]),
    st.integers(1800, 2200),
    st.lists(st.floats(90, 110), min_size=4, max_size=4),
)
def test_no_limit_order_fills_worse_than_its_limit_or_outside_the_bar(side, paise, four):
    low, first, last, high = sorted(four)
    price = Money(paise) * Money("0.05")
    one = order(side, order_type=LIMIT, price=price)
    filled_at = price_of(one, bar(first, last, high=high, low=low))
    reached = low <= price if side is BUY else high >= price
    assert (filled_at is not None) == reached
    if filled_at is not None:
        assert (price - filled_at) * side.sign >= 0
        assert low <= float(filled_at) <= high


def test_a_cancelled_order_does_not_fill():
    simulator = resting(order(), order(sequence=2))
    (cancelled,) = simulator.on(CancelOrder(order()))
    assert (cancelled.kind, cancelled.order_id) == (K.CANCELLED, "O000001")
    assert [filled.order_id for filled in simulator.on(batch(tick()))] == ["O000002"]


def test_a_cancel_is_of_the_row_that_was_seen_last():
    """And never of before the order's own last news."""
    simulator = resting(limit(BUY, "90"))
    simulator.on(batch(tick(100.0), at=600))
    (cancelled,) = simulator.on(CancelOrder(order()))
    assert cancelled.time_ns == TEN_NS + 600 * SECOND
    simulator.on(PlaceOrder(later := order(sequence=2, updated_ns=TEN_NS + 601 * SECOND)))
    assert simulator.on(CancelOrder(later))[0].time_ns == TEN_NS + 601 * SECOND


def test_a_cancel_of_an_order_that_does_not_rest_says_nothing():
    simulator = market()
    assert simulator.on(CancelOrder(order())) == []
    simulator.on(PlaceOrder(order()))
    simulator.on(batch(tick()))
    assert simulator.on(CancelOrder(order())) == []


def test_an_event_that_is_not_for_the_market_raises():
    with pytest.raises(TypeError, match="Halt"):
        market().on(Halt("", "", 0))


sequences = st.integers(1, 3)
any_price = st.floats(-1e9, 1e9) | st.sampled_from([float("nan"), float("inf"), -float("inf")])
inbox = st.lists(
    sequences.map(lambda n: PlaceOrder(order(sequence=n, row=n)))
    | sequences.map(lambda n: PlaceOrder(limit(SELL, 95 + 5 * n, sequence=n)))
    | sequences.map(lambda n: CancelOrder(order(sequence=n)))
    | st.builds(batch, st.builds(tick, any_price), row=st.integers(0, 4))
    | st.builds(batch, st.builds(bar, any_price, any_price, high=any_price, low=any_price)),
    max_size=20,
)


@given(inbox)
def test_any_inbox_is_taken_and_the_same_inbox_gives_the_same_outbox(events):
    def outbox():
        simulator = market("0.05")
        return [simulator.on(event) for event in events]

    assert outbox() == outbox()
