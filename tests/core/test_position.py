"""The view of a strategy that is long, short or flat: when it changes and what puts it right."""

from datetime import timedelta

import pytest
from builders import BUY, CLOSE, INFY, OPEN, SELL, TCS, TEN, TEN_NS, fill, order, tick
from msgspec.structs import replace

from alphapanda.core.position import FLAT, LONG, SHORT, PositionStrategy
from alphapanda.events import OrderStatus

S = OrderStatus
TOKEN = INFY.instrument_token


def flat():
    return PositionStrategy("p", [TOKEN, TCS.instrument_token], ["paper"])


def holding(quantity):
    strategy = flat()
    strategy.on_start({TOKEN: quantity}, [])
    return strategy


def said(signals):
    return [(signal.transaction_type, signal.position_effect, signal.quantity) for signal in signals]


@pytest.mark.parametrize(
    ("held", "go_long", "go_short", "leave"),
    [
        (0, [(BUY, OPEN, 3)], [(SELL, OPEN, 3)], []),
        (5, [], [], [(SELL, CLOSE, 3)]),
        (-5, [], [], [(BUY, CLOSE, 3)]),
    ],
)
def test_what_is_asked_for_depends_on_what_is_held(held, go_long, go_short, leave):
    assert said(holding(held).go_long(tick(), 3)) == go_long
    assert said(holding(held).go_short(tick(), 3)) == go_short
    assert said(holding(held).leave(tick(), 3)) == leave


def test_the_view_changes_with_the_signal_so_that_nothing_is_asked_for_twice():
    strategy = flat()
    assert strategy.go_long(tick(), 1)
    assert (strategy.view(TOKEN), strategy.view(TCS.instrument_token)) == (LONG, FLAT)
    assert not strategy.go_long(tick(), 1)
    assert strategy.leave(tick(), 1)
    assert strategy.go_short(tick(), 1)
    assert strategy.view(TOKEN) == SHORT


def test_a_signal_carries_its_price_and_its_reason():
    (made,) = flat().go_long(tick(107.5), 1, "because")
    assert (made.strategy_id, made.last_price, made.reason) == ("p", 107.5, "because")


def test_a_fill_sets_the_view_to_what_is_held():
    strategy = flat()
    strategy.go_long(tick(), 3)
    strategy.on_fill(fill(BUY, 1))
    strategy.leave(tick(), 3)
    strategy.on_fill(fill(BUY, 2))
    assert strategy.view(TOKEN) == LONG
    strategy.on_fill(fill(SELL, 3))
    assert strategy.view(TOKEN) == FLAT


@pytest.mark.parametrize("held", [4, 0, -4])
def test_a_refusal_sets_the_view_to_what_is_held(held):
    strategy = holding(held)
    (made,) = strategy.leave(tick(), 4) or strategy.go_long(tick(), 4)
    strategy.on_refused(made, "a_rule", "why")
    assert strategy.view(TOKEN) == (held > 0) - (held < 0)


@pytest.mark.parametrize("status", list(S))
def test_an_order_that_ends_sets_the_view_to_what_is_held(status):
    strategy = flat()
    strategy.go_long(tick(), 3)
    strategy.on_order_update(order(status=status))
    assert strategy.view(TOKEN) == (FLAT if status.ended else LONG)


def test_a_start_expects_what_open_orders_will_bring():
    strategy = flat()
    resting = order(SELL, 5, position_effect=CLOSE, status=S.OPEN)
    strategy.on_start({TOKEN: 5, TCS.instrument_token: -1}, [resting])
    assert (strategy.view(TOKEN), strategy.view(TCS.instrument_token)) == (FLAT, SHORT)
    strategy.on_order_update(order(SELL, 5, status=S.CANCELLED))
    assert strategy.view(TOKEN) == LONG


class Patient(PositionStrategy):
    retry_s = 60.0


def later(seconds, token=TOKEN):
    return tick(token=token, timestamp=TEN + timedelta(seconds=seconds))


@pytest.mark.parametrize("enter", ["go_long", "go_short"])
def test_a_refused_entry_is_not_asked_for_again_before_its_time(enter):
    strategy = Patient("p", [TOKEN, TCS.instrument_token], ["paper"])
    (asked,) = getattr(strategy, enter)(tick(), 1)
    strategy.on_refused(replace(asked, time_ns=TEN_NS), "max_order_value", "too much")
    for second in (0, 1, 59):
        assert getattr(strategy, enter)(later(second), 1) == []
    assert getattr(strategy, enter)(later(1, TCS.instrument_token), 1)
    assert getattr(strategy, enter)(later(60), 1)


def test_a_refused_exit_may_be_asked_for_at_once():
    strategy = Patient("p", [TOKEN], ["paper"])
    strategy.on_start({TOKEN: 5}, [])
    (asked,) = strategy.leave(tick(), 5)
    strategy.on_refused(replace(asked, time_ns=TEN_NS), "market_closed", "not now")
    assert strategy.leave(later(1), 5)


def part(side, quantity, of, **fields):
    """A fill of an order of which the strategy has heard."""
    return fill(side, quantity, order_id=of.order_id, **fields)


def test_a_part_of_an_exit_counts_as_the_whole_so_that_it_is_not_asked_for_twice():
    strategy, resting = holding(10), order(SELL, 10, position_effect=CLOSE)
    assert strategy.leave(tick(), 10)
    strategy.on_order_update(resting)
    strategy.on_fill(part(SELL, 4, resting))
    assert strategy.view(TOKEN) == FLAT
    assert not strategy.leave(tick(), 10)
    strategy.on_fill(part(SELL, 6, resting))
    assert strategy.view(TOKEN) == FLAT


def test_an_exit_that_ends_in_part_leaves_the_rest_to_be_left():
    strategy, resting = holding(10), order(SELL, 10, position_effect=CLOSE)
    strategy.leave(tick(), 10)
    strategy.on_order_update(resting)
    strategy.on_fill(part(SELL, 4, resting))
    strategy.on_order_update(replace(resting, status=S.CANCELLED, filled_quantity=4))
    assert strategy.view(TOKEN) == LONG
    assert strategy.leave(tick(), 10)


def test_after_a_start_the_rest_of_an_exit_is_known():
    strategy, resting = flat(), order(SELL, 10, status=S.PARTIAL, filled_quantity=4, position_effect=CLOSE)
    strategy.on_start({TOKEN: 6}, [resting])
    strategy.on_fill(part(SELL, 3, resting))
    assert strategy.view(TOKEN) == FLAT
