"""Momentum exactly as the contract has it: windows, thresholds, and a view that never leaves its states."""

from math import inf, isfinite, nan

import pytest
from builders import BUY, CLOSE, INFY, LIMIT, OPEN, SELL, TCS, fill, order, tick
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import ValidationError

from alphapanda.core.runner import StrategyRunner
from alphapanda.events import OrderStatus, Resume
from strategies.momentum import MomentumStrategy

S = OrderStatus
TOKEN = INFY.instrument_token


def momentum(**params):
    defaults = {"lookback_period": 3, "buy_threshold": 1.05, "sell_threshold": 0.95}
    return MomentumStrategy("momentum_1", [TOKEN], ["paper"], defaults | params)


def said(strategy, *prices):
    """What each price is answered with: None, or (side, effect)."""
    answers = []
    for price in prices:
        signals = strategy.on_market_data(tick(price))
        assert type(signals) is list
        assert len(signals) <= 1
        answers += [(one.transaction_type, one.position_effect) for one in signals] or [None]
    return answers


def test_nothing_is_said_before_there_is_a_price_to_compare_with():
    assert said(momentum(), 100, 110, 120) == [None] * 3
    assert said(momentum(), 100, 110, 120, 130) == [None, None, None, (BUY, OPEN)]


@pytest.mark.parametrize(
    ("last", "answer"),
    [(104.99, None), (105.0, (BUY, OPEN)), (105.01, (BUY, OPEN))],
)
def test_a_rise_by_the_threshold_buys(last, answer):
    assert said(momentum(), 100, 100, 100, last)[-1] == answer


@pytest.mark.parametrize(
    ("last", "answer"),
    [(95.01, None), (95.0, (SELL, OPEN)), (94.99, (SELL, OPEN))],
)
def test_a_fall_by_the_threshold_sells_short_when_that_is_allowed(last, answer):
    assert said(momentum(allow_short=True), 100, 100, 100, last)[-1] == answer
    assert said(momentum(), 100, 100, 100, last)[-1] is None


def test_the_price_is_compared_with_the_one_of_lookback_ticks_ago_only():
    assert said(momentum(), 90, 101, 101, 101, 105) == [None, None, None, (BUY, OPEN), None]
    assert said(momentum(), 101, 90, 101, 105) == [None] * 4


def test_a_long_view_is_closed_by_a_fall_and_not_doubled_by_a_rise():
    strategy = momentum()
    assert said(strategy, 100, 100, 100, 110, 120) == [None, None, None, (BUY, OPEN), None]
    assert said(strategy, 90) == [(SELL, CLOSE)]
    assert said(strategy, 70) == [None]
    assert strategy.view(TOKEN) == 0


def test_thresholds_that_overlap_buy_when_not_long_and_sell_when_long():
    """Each sentence of the contract stands by itself: what is long is sold at the sell threshold, always."""
    params = {"lookback_period": 1, "buy_threshold": 1.0, "sell_threshold": 1.0}
    assert said(momentum(**params), *[100] * 5) == [None, *[(BUY, OPEN), (SELL, CLOSE)] * 2]


def test_a_short_view_is_closed_to_flat_by_a_rise():
    strategy = momentum(allow_short=True)
    assert said(strategy, 100, 100, 100, 90, 80)[3:] == [(SELL, OPEN), None]
    assert strategy.view(TOKEN) == -1
    assert said(strategy, 120) == [(BUY, CLOSE)]
    assert strategy.view(TOKEN) == 0
    assert said(strategy, 120) == [(BUY, OPEN)]


def test_the_quantity_and_the_price_decided_upon_are_said():
    strategy = momentum(quantity=7)
    for price in (100.0, 100.0, 100.0):
        strategy.on_market_data(tick(price))
    (made,) = strategy.on_market_data(tick(107.5))
    assert (made.quantity, made.last_price, made.instrument_token) == (7, 107.5, TOKEN)
    assert made.order_type != LIMIT
    default = MomentumStrategy("m", [TOKEN], ["paper"])
    assert default.params == MomentumStrategy.Params(
        lookback_period=5, buy_threshold=1.003, sell_threshold=0.997, quantity=1, allow_short=False
    )


@pytest.mark.parametrize("odd", [nan, inf, -inf, 0.0, -0.0, -100.0])
def test_a_price_that_cannot_be_is_ignored(odd):
    assert said(momentum(), odd, 100, odd, 100, 100, odd, 105, odd)[-2:] == [(BUY, OPEN), None]


def test_instruments_have_their_own_windows_and_views():
    strategy = MomentumStrategy(
        "m",
        [TOKEN, TCS.instrument_token],
        ["paper"],
        {"lookback_period": 1, "buy_threshold": 1.05, "sell_threshold": 0.95},
    )
    assert strategy.on_market_data(tick(100.0)) == []
    assert strategy.on_market_data(tick(200.0, TCS.instrument_token)) == []
    (made,) = strategy.on_market_data(tick(105.0))
    assert made.instrument_token == TOKEN
    assert (strategy.view(TOKEN), strategy.view(TCS.instrument_token)) == (1, 0)


def test_a_refusal_puts_the_view_right_and_the_next_rise_buys_again():
    strategy = momentum()
    strategy.on_market_data(tick(100.0))
    assert said(strategy, 100, 100, 110) == [None, None, (BUY, OPEN)]
    strategy.on_refused(strategy.buy(tick(), 1), "a_rule", "why")
    assert strategy.view(TOKEN) == 0
    assert said(strategy, 110) == [(BUY, OPEN)]


def test_a_refused_exit_leaves_the_view_long():
    strategy = momentum()
    said(strategy, 100, 100, 100, 110)
    strategy.on_fill(fill(BUY, 1))
    assert said(strategy, 90, 90, 90) == [(SELL, CLOSE), None, None]
    strategy.on_refused(strategy.sell(tick(), 1, CLOSE), "a_rule", "why")
    assert strategy.view(TOKEN) == 1
    assert said(strategy, 80) == [(SELL, CLOSE)]


@pytest.mark.parametrize("status", [S.CANCELLED, S.REJECTED, S.NOT_FOUND, S.WITHHELD])
def test_an_order_that_ends_unfilled_puts_the_view_right(status):
    strategy = momentum()
    said(strategy, 100, 100, 100, 110)
    strategy.on_order_update(order(status=S.OPEN))
    assert strategy.view(TOKEN) == 1
    strategy.on_order_update(order(status=status))
    assert strategy.view(TOKEN) == 0


@pytest.mark.parametrize(
    ("positions", "orders", "view"),
    [
        ({}, [], 0),
        ({TOKEN: 5}, [], 1),
        ({TOKEN: -5}, [], -1),
        ({}, [order(BUY, 5, status=S.OPEN)], 1),
        ({TOKEN: 5}, [order(SELL, 5, status=S.UNKNOWN, position_effect=CLOSE)], 0),
        ({TOKEN: 5}, [order(SELL, 5, filled_quantity=2, position_effect=CLOSE)], 1),
    ],
)
def test_a_start_sets_the_view_from_positions_and_open_orders(positions, orders, view):
    strategy = momentum(allow_short=True)
    strategy.on_start(positions, orders)
    assert strategy.view(TOKEN) == view


def test_after_a_kill_switch_nothing_is_compared_across_the_gap():
    runner = StrategyRunner([momentum()], positions={"momentum_1": {TOKEN: 5}})
    said(runner.hosted["momentum_1"].strategy, 100, 100, 100)
    runner.on(Resume("test", "operator", 1))
    fresh = runner.hosted["momentum_1"].strategy
    assert fresh.view(TOKEN) == 1
    assert said(fresh, 50, 50, 50, 40) == [None, None, None, (SELL, CLOSE)]


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"lookback_period": 0}, "lookback_period"),
        ({"lookback_period": "five"}, "lookback_period"),
        ({"buy_threshold": 0}, "buy_threshold"),
        ({"sell_threshold": -1.0}, "sell_threshold"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": 1.5}, "quantity"),
        ({"allow_short": "yes"}, "allow_short"),
        ({"threshold": 1.01}, "threshold"),
        ({"buy_threshold": nan}, "buy_threshold"),
    ],
)
def test_a_bad_parameter_is_named(params, named):
    with pytest.raises(ValidationError, match=named):
        momentum(**params)


def reference(prices, lookback, buy, sell, allow_short):
    """The contract's paragraph, in ten lines: ('BUY' | 'SELL' | None) for each price, all orders filling."""
    valid, view, answers = [], 0, []
    for price in prices:
        answer = None
        if isfinite(price) and price > 0:
            valid.append(price)
            ratio = price / valid[-1 - lookback] if len(valid) > lookback else None
            if ratio is not None and ratio >= buy and view != 1:
                answer, view = "BUY", view + 1
            elif ratio is not None and ratio <= sell and (view == 1 or (allow_short and view == 0)):
                answer, view = "SELL", view - 1
        answers.append(answer)
    return answers


walks = st.lists(st.sampled_from([90.0, 95.0, 99.0, 100.0, 101.0, 105.0, 110.0]), max_size=60)
any_prices = st.lists(
    st.floats() | st.sampled_from([nan, inf, -inf, 0.0, -1.0, 5e-324, 1.7e308]), max_size=40
)


@settings(deadline=None)
@given(walks | any_prices, st.integers(1, 6), st.booleans())
def test_the_answers_are_those_of_the_reference(prices, lookback, allow_short):
    strategy = momentum(lookback_period=lookback, allow_short=allow_short)
    answers = [answer and answer[0].value for answer in said(strategy, *prices)]
    assert answers == reference(prices, lookback, 1.05, 0.95, allow_short)


@settings(deadline=None)
@given(any_prices, st.integers(1, 6))
def test_any_prices_give_lists_and_none_before_the_window_is_full(prices, lookback):
    strategy = momentum(lookback_period=lookback, allow_short=True)
    answers = said(strategy, *prices)
    valid = 0
    for price, answer in zip(prices, answers, strict=True):
        usable = isfinite(price) and price > 0
        valid += usable
        assert answer is None or (usable and valid > lookback)
        assert strategy.view(TOKEN) in (-1, 0, 1)


class Views(RuleBasedStateMachine):
    """A strategy whose signals are refused, filled in pieces or cancelled in any order, exits reduce-only."""

    allow_short = False

    def __init__(self):
        super().__init__()
        self.strategy = momentum(
            lookback_period=1,
            buy_threshold=1.01,
            sell_threshold=0.99,
            quantity=3,
            allow_short=self.allow_short,
        )
        self.orders, self.position, self.made = [], 0, 0

    def drawn(self, data):
        """(number, side, what is left, effect) of any order."""
        return self.orders.pop(data.draw(st.integers(0, len(self.orders) - 1)))

    @rule(price=st.sampled_from([90.0, 100.0, 110.0, 120.0, nan, 0.0]))
    def ticks(self, price):
        for made in self.strategy.on_market_data(tick(price)):
            side, quantity = made.transaction_type, made.quantity
            assert made.position_effect is (OPEN if self.entering(side) else CLOSE)
            if made.position_effect is CLOSE:
                resting = sum(
                    left for _, other, left, effect in self.orders if other is side and effect is CLOSE
                )
                quantity = min(quantity, -side.sign * self.position - resting)
            if quantity > 0:
                self.made += 1
                self.orders.append((self.made, side, quantity, made.position_effect))
                self.strategy.on_order_update(order(side, quantity, self.made))
            else:
                self.strategy.on_refused(made, "nothing_to_close", "")

    def entering(self, side):
        """The view has changed already: from flat it is now on the order's side."""
        return self.strategy.view(TOKEN) == side.sign

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def fills(self, data):
        """What is left of an order counts as done: it still trades."""
        number, side, left, effect = self.drawn(data)
        traded = data.draw(st.integers(1, left))
        left -= traded
        if left:
            self.orders.append((number, side, left, effect))
        self.position += side.sign * traded
        self.strategy.on_fill(fill(side, traded, order_id=f"O{number:06d}"))
        expected = self.position + side.sign * left
        assert self.strategy.view(TOKEN) == (expected > 0) - (expected < 0)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), status=st.sampled_from([S.CANCELLED, S.REJECTED, S.NOT_FOUND]))
    def ends(self, data, status):
        number, side, left, _ = self.drawn(data)
        self.strategy.on_order_update(order(side, left, number, status=status))
        assert self.strategy.view(TOKEN) == (self.position > 0) - (self.position < 0)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def is_refused(self, data):
        _, side, left, effect = self.drawn(data)
        self.strategy.on_refused(self.strategy._signal(tick(), side, left, effect, ""), "a_rule", "")

    @rule()
    def starts_again(self):
        alive = [
            order(side, left, number, position_effect=effect) for number, side, left, effect in self.orders
        ]
        self.strategy.on_start({TOKEN: self.position}, alive)

    @invariant()
    def the_view_is_one_of_its_states(self):
        assert self.strategy.view(TOKEN) in ((-1, 0, 1) if self.allow_short else (0, 1))


class ShortViews(Views):
    allow_short = True


@pytest.mark.parametrize("machine", [Views, ShortViews], ids=["long_only", "short_too"])
def test_the_view_keeps_to_its_states_whatever_becomes_of_the_orders(machine):
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


@given(walks)
def test_the_same_ticks_give_the_same_signals(prices):
    def outbox():
        strategy = momentum(allow_short=True)
        return [strategy.on_market_data(tick(price)) for price in prices]

    assert outbox() == outbox()
