"""PortfolioManager: exact books. Any trades give the figures of a clerk who counts unit by unit."""

from decimal import Decimal
from itertools import count

import pytest
from builders import BUY, CLOSE, INFY, SECOND, SELL, TCS, TEN_NS, batch, fill, order, tick
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from alphapanda.core.portfolio import PortfolioManager, Standing
from alphapanda.events import (
    AccountOpened,
    Booked,
    DayRolled,
    Halt,
    Money,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderStatus,
    OrderUpdated,
    Snapshot,
    Valued,
)
from alphapanda.store.recovery import fold

S = OrderStatus
DAY_S = 86_400
STARTING = {"paper": Money("100000.00"), "zerodha": Money("2500.5")}


def manager(cash="1000", **keywords):
    return PortfolioManager({"paper": Money(cash)}, **keywords)


def only(portfolio):
    """The one book of a portfolio with one broker."""
    return portfolio.books()["paper"]


def trade(portfolio, one):
    """Book a fill with the order that it fills whole."""
    filled = order(
        one.transaction_type, one.quantity, status=S.FILLED, filled_quantity=one.quantity, broker=one.broker
    )
    return portfolio.on(OrderFilled(filled, one))


def naive_books(fills):
    """Unit by unit, first in first out: (position, realised) by broker, strategy and instrument."""
    books = {}
    for one in fills:
        units, realized = books.setdefault(
            (one.broker, one.strategy_id, one.instrument.key), ([], [Money(0)])
        )
        sign = one.transaction_type.sign
        for _ in range(one.quantity):
            if units and units[0][0] != sign:
                opened_sign, opened_at = units.pop(0)
                realized[0] += (one.price - opened_at) * opened_sign
            else:
                units.append((sign, one.price))
    return {key: (units, realized[0]) for key, (units, realized) in books.items()}


prices = st.decimals("0.05", "5000", places=2) | st.decimals("0.05", "5000", places=4)
fills = st.lists(
    st.builds(
        fill,
        st.sampled_from([BUY, SELL]),
        st.integers(1, 12),
        prices,
        broker=st.sampled_from(list(STARTING)),
        strategy_id=st.sampled_from(["one", "two"]),
        instrument=st.sampled_from([INFY, TCS]),
        charges=st.decimals("0", "20", places=2),
    ),
    max_size=25,
).map(lambda many: [replace(one, trade_id=f"T{n}") for n, one in zip(count(1), many)])


@settings(deadline=None)
@given(fills, st.floats(0.05, 5000), st.floats(0.05, 5000))
def test_any_fills_are_booked_exactly(many, infy, tcs):
    portfolio = PortfolioManager(STARTING)
    for one in many:
        trade(portfolio, one)
    portfolio.on(batch(tick(infy), tick(tcs, TCS.instrument_token)))
    naive = naive_books(many)
    marks = {INFY.key: Decimal(repr(infy)), TCS.key: Decimal(repr(tcs))}

    positions = portfolio.positions()
    assert {(p.broker, p.strategy_id, p.instrument.key) for p in positions} == set(naive)
    for position in positions:
        units, realized = naive[position.broker, position.strategy_id, position.instrument.key]
        last = marks[position.instrument.key]
        assert position.quantity == sum(sign for sign, _ in units)
        assert position.realized_pnl == realized
        assert position.last_price == last
        assert position.unrealized_pnl == sum((last - price) * sign for sign, price in units)
        cost = sum(price for _, price in units)
        assert abs(position.average_price * len(units) - cost) < Money("1e-15")

    for balance in portfolio.balances():
        own = [one for one in many if one.broker == balance.broker]
        paid = sum(one.signed_quantity * one.price for one in own)
        charges = sum(one.charges for one in own)
        assert balance.starting_cash == STARTING[balance.broker]
        assert balance.charges == charges
        assert balance.cash == balance.starting_cash - paid - charges
        assert balance.realized_pnl == sum(
            realized for (broker, *_), (_, realized) in naive.items() if broker == balance.broker
        )


@settings(deadline=None)
@given(fills, st.floats(0.05, 5000), st.floats(0.05, 5000))
def test_what_people_read_adds_up_to_the_paisa(many, infy, tcs):
    portfolio = PortfolioManager(STARTING, fills=many)
    portfolio.on(batch(tick(infy), tick(tcs, TCS.instrument_token)))
    positions = portfolio.positions()
    for balance in portfolio.balances():
        standing = Standing(balance, positions)
        figures = [
            standing.starting_cash,
            standing.cash,
            standing.equity,
            standing.realized_pnl,
            standing.unrealized_pnl,
            standing.charges,
        ]
        assert all(figure.as_tuple().exponent == -2 for figure in figures)
        assert (
            standing.starting_cash + standing.realized_pnl + standing.unrealized_pnl - standing.charges
            == standing.equity
        )
        held = [p for p in positions if p.broker == balance.broker]
        assert abs(standing.unrealized_pnl - sum(p.unrealized_pnl for p in held)) <= Money("0.015")
        value = sum(p.quantity * p.last_price for p in held)
        assert abs(standing.equity - balance.cash - value) <= Money("0.005")


@settings(deadline=None)
@given(fills, st.floats(0.05, 5000))
def test_a_rebuilt_portfolio_has_the_same_books(many, price):
    lived, said = PortfolioManager(STARTING), []
    orders = [
        order(sequence=n, broker=broker, status=status)
        for n, (broker, status) in enumerate(
            [("paper", S.OPEN), ("zerodha", S.UNKNOWN), ("paper", S.CANCELLED), ("zerodha", S.NOT_FOUND)],
            start=90,
        )
    ]
    for one in many:
        said += trade(lived, one)
    for one in orders:
        lived.on(OrderOpened(replace(one, status=S.PREPARED)))
        lived.on(OrderClosed(one) if one.status.ended else OrderUpdated(one))
    found = fold([AccountOpened("paper", 0), AccountOpened("zerodha", 0), *said]).saved
    rebuilt = PortfolioManager(
        STARTING, fills=found.fills, orders=orders, rolls=found.rolls, trackers=found.trackers
    )
    for portfolio in (lived, rebuilt):
        portfolio.on(batch(tick(price), tick(price, TCS.instrument_token)))
    assert rebuilt.books() == lived.books()
    assert rebuilt.positions() == lived.positions()
    assert rebuilt.balances() == lived.balances()
    assert rebuilt.marks() == lived.marks()


@settings(deadline=None)
@given(fills)
def test_free_cash_is_cash_less_short_positions_twice(many):
    portfolio = PortfolioManager(STARTING, fills=many)
    naive = naive_books(many)
    for balance in portfolio.balances():
        short = sum(
            price
            for (broker, *_), (units, _) in naive.items()
            if broker == balance.broker
            for sign, price in units
            if sign < 0
        )
        assert portfolio.books()[balance.broker].free_cash == balance.cash - 2 * short


def test_a_fill_is_told_with_the_order_the_position_and_the_balance_after_it():
    portfolio = manager()
    booked, point, snapshot = trade(portfolio, fill(BUY, 4, "100.05", charges=Money("0.40")))[-3:]
    assert (type(booked), type(point)) == (Booked, Valued)
    assert (booked.order.status, booked.fill.trade_id) == (S.FILLED, "T000001")
    assert (booked.position.quantity, booked.position.average_price) == (4, Money("100.05"))
    assert (booked.balance.cash, booked.balance.charges) == (Money("599.40"), Money("0.40"))
    assert snapshot == Snapshot(portfolio.books())
    assert snapshot.books["paper"].positions == {("momentum_1", INFY.instrument_token): 4}


def test_a_flip_closes_the_old_lots_first_and_opens_the_rest_at_its_own_price():
    portfolio = manager()
    for one in (fill(BUY, 2, "100"), fill(BUY, 1, "110"), fill(SELL, 5, "120")):
        trade(portfolio, one)
    (position,) = portfolio.positions()
    assert (position.quantity, position.average_price) == (-2, Money(120))
    assert position.realized_pnl == Money(50)
    trade(portfolio, fill(BUY, 2, "125"))
    (position,) = portfolio.positions()
    assert (position.quantity, position.average_price) == (0, Money(0))
    assert (position.realized_pnl, position.unrealized_pnl) == (Money(40), Money(0))


def test_flat_positions_stay_listed_and_leave_the_book():
    portfolio = manager(fills=[fill(BUY, 2), fill(SELL, 2, trade=2)])
    assert [position.quantity for position in portfolio.positions()] == [0]
    assert only(portfolio).positions == {}


def test_strategies_do_not_share_lots():
    portfolio = manager()
    trade(portfolio, fill(BUY, 2, "100", strategy_id="one"))
    trade(portfolio, fill(SELL, 2, "120", strategy_id="two"))
    assert [position.quantity for position in portfolio.positions()] == [2, -2]
    assert [position.realized_pnl for position in portfolio.positions()] == [0, 0]
    token = INFY.instrument_token
    assert only(portfolio).positions == {("one", token): 2, ("two", token): -2}


def test_an_order_is_exposure_from_its_intent_until_it_ends():
    portfolio = manager()
    made = order(BUY, 4)
    (snapshot,) = portfolio.on(OrderOpened(made))
    assert snapshot.books["paper"].orders == {"O000001": made}
    assert snapshot.books["paper"].free_cash == Money(600)
    assert snapshot.books["paper"].accounted == 1
    unknown = replace(made, status=S.UNKNOWN)
    portfolio.on(OrderUpdated(unknown))
    assert only(portfolio).orders == {"O000001": unknown}
    assert only(portfolio).free_cash == Money(600)


@pytest.mark.parametrize("status", [S.CANCELLED, S.REJECTED, S.NOT_FOUND, S.WITHHELD])
def test_an_order_that_ended_unfilled_frees_what_it_claimed(status):
    portfolio = manager()
    portfolio.on(OrderOpened(order(BUY, 4)))
    (snapshot,) = portfolio.on(OrderClosed(order(BUY, 4, status=status)))
    assert snapshot.books["paper"].orders == {}
    assert snapshot.books["paper"].free_cash == Money(1000)
    assert snapshot.books["paper"].accounted == 1


def test_a_part_filled_order_claims_its_rest_and_a_cancel_frees_that():
    portfolio = manager()
    portfolio.on(OrderOpened(order(BUY, 5)))
    part = order(BUY, 5, status=S.PARTIAL, filled_quantity=2, filled_value=Money(180))
    portfolio.on(OrderFilled(part, fill(BUY, 2, "90")))
    assert only(portfolio).free_cash == 1000 - 180 - 3 * 100
    portfolio.on(OrderClosed(replace(part, status=S.CANCELLED)))
    assert only(portfolio).free_cash == 1000 - 180
    assert only(portfolio).positions == {("momentum_1", INFY.instrument_token): 2}


def test_a_fill_that_crossed_a_cancel_is_booked():
    portfolio = manager()
    portfolio.on(OrderOpened(order(BUY, 5)))
    portfolio.on(OrderClosed(order(BUY, 5, status=S.CANCELLED)))
    crossed = order(BUY, 5, status=S.CANCELLED, filled_quantity=2, filled_value=Money(200))
    *_, snapshot = portfolio.on(OrderFilled(crossed, fill(BUY, 2)))
    assert snapshot.books["paper"].free_cash == Money(800)
    assert snapshot.books["paper"].orders == {}


def test_an_order_that_is_adopted_claims_again():
    portfolio = manager()
    portfolio.on(OrderOpened(order(BUY, 4)))
    portfolio.on(OrderClosed(order(BUY, 4, status=S.NOT_FOUND)))
    portfolio.on(OrderUpdated(order(BUY, 4, status=S.OPEN)))
    assert only(portfolio).free_cash == Money(600)


def test_exits_claim_no_cash():
    portfolio = manager(fills=[fill(BUY, 4)])
    portfolio.on(OrderOpened(order(SELL, 4, position_effect=CLOSE)))
    assert only(portfolio).free_cash == Money(600)


def test_a_short_sale_claims_its_value_before_and_after_it_trades():
    portfolio = manager()
    portfolio.on(OrderOpened(order(SELL, 4)))
    assert only(portfolio).free_cash == Money(600)
    filled = order(SELL, 4, status=S.FILLED, filled_quantity=4)
    portfolio.on(OrderFilled(filled, fill(SELL, 4)))
    assert portfolio.balances()[0].cash == Money(1400)
    assert only(portfolio).free_cash == Money(600)
    trade(portfolio, fill(BUY, 4, "90", trade=2))
    assert only(portfolio).free_cash == Money(1040)


def test_news_that_changes_no_exposure_sends_no_snapshot():
    portfolio = manager()
    portfolio.on(batch(tick()))
    portfolio.on(OrderOpened(order()))
    assert portfolio.on(OrderUpdated(order(status=S.SENT))) == []
    assert portfolio.on(OrderUpdated(order(status=S.OPEN))) == []
    assert portfolio.on(batch(tick())) == []


def test_a_snapshot_does_not_change_after_it_was_sent():
    portfolio = manager()
    (snapshot,) = portfolio.on(OrderOpened(order()))
    portfolio.on(OrderOpened(order(sequence=2)))
    assert list(snapshot.books["paper"].orders) == ["O000001"]


def test_a_position_is_valued_at_the_last_price_then_at_what_was_saved_then_at_its_last_fill():
    held = [fill(BUY, 1, "100")]
    restored = manager(fills=held, marks={INFY.instrument_token: Money("104.5")})
    assert manager(fills=held).positions()[0].last_price == Money(100)
    assert restored.positions()[0].last_price == Money("104.5")
    restored.on(batch(tick(106.05)))
    assert restored.positions()[0].last_price == Money("106.05")


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_price_that_cannot_be_is_not_taken_for_the_last_price(price):
    portfolio = manager(fills=[fill(BUY, 1, "100")])
    portfolio.on(batch(tick(price)))
    assert portfolio.positions()[0].last_price == Money(100)


def test_marks_name_what_is_held_and_the_time():
    portfolio = manager(fills=[fill(BUY, 1), fill(BUY, 1, instrument=TCS), fill(SELL, 1, instrument=TCS)])
    portfolio.on(batch(tick(101.0), at=1))
    marked = portfolio.marks()
    assert [(p.instrument, p.last_price) for p in marked.positions] == [(INFY, Money(101))]
    assert marked.time_ns == TEN_NS + 1_000_000_000


def test_one_brokers_fills_do_not_touch_anothers_book():
    portfolio = PortfolioManager(STARTING)
    trade(portfolio, fill(BUY, 1))
    assert portfolio.books()["zerodha"].free_cash == STARTING["zerodha"]
    assert portfolio.books()["zerodha"].positions == {}


def said(outputs):
    return [type(output).__name__ for output in outputs]


def test_the_first_row_of_a_day_rolls_it_and_values_every_account():
    portfolio = PortfolioManager(STARTING)
    outputs = portfolio.on(batch(tick()))
    assert said(outputs) == ["DayRolled", "Valued", "Valued", "Snapshot"]
    assert outputs[0] == DayRolled("2024-06-03", TEN_NS)
    assert [point.equity for point in outputs[1:3]] == list(STARTING.values())
    assert portfolio.on(batch(tick(), at=3600)) == []


def test_a_minute_in_which_something_is_held_ends_with_a_point_at_its_last_price():
    portfolio = manager()
    portfolio.on(batch(tick()))
    trade(portfolio, fill(BUY, 2))
    assert portfolio.on(batch(tick(103.05), at=59)) == []
    point, snapshot = portfolio.on(batch(tick(500.0), at=60))
    assert (point.time_ns, point.equity) == (TEN_NS + 59 * SECOND, Money("1006.10"))
    assert point.strategies["momentum_1"].unrealized_pnl == Money("6.10")
    assert snapshot == Snapshot(portfolio.books())
    assert only(portfolio).performance[""].top == Money("6.10")


def test_a_night_drops_what_is_flat_and_carries_the_lots():
    portfolio = manager()
    portfolio.on(batch(tick()))
    trade(portfolio, fill(BUY, 2))
    trade(portfolio, fill(BUY, 1, instrument=TCS, trade=2))
    trade(portfolio, fill(SELL, 1, "110", instrument=TCS, trade=3))
    portfolio.on(batch(tick(104.0), at=1))
    outputs = portfolio.on(batch(tick(90.0), at=DAY_S))
    assert said(outputs) == ["Valued", "DayRolled", "Marked", "Valued", "Snapshot"]
    closing, rolled, carried, opening, _ = outputs
    assert (closing.time_ns, closing.equity) == (TEN_NS + SECOND, Money(1018))
    assert rolled.day == "2024-06-04"
    assert [(p.instrument, p.quantity, p.overnight_quantity) for p in carried.positions] == [(INFY, 2, 2)]
    assert (opening.time_ns, opening.equity) == (TEN_NS + DAY_S * SECOND, Money(990))
    assert [position.instrument for position in portfolio.positions()] == [INFY]
    assert only(portfolio).performance[""].day_start == 18
    assert only(portfolio).performance[""].day_low == -10
    assert portfolio.balances()[0].realized_pnl == 10


def test_a_fill_that_comes_before_the_first_row_of_its_day_rolls_it_first():
    portfolio = manager(fills=[fill(BUY, 2)])
    portfolio.on(batch(tick()))
    outputs = trade(portfolio, fill(SELL, 2, trade=2, traded_ns=TEN_NS + DAY_S * SECOND))
    assert said(outputs) == ["Valued", "DayRolled", "Marked", "Valued", "Booked", "Valued", "Snapshot"]
    assert portfolio.on(batch(tick(), at=DAY_S)) == []
    assert [position.quantity for position in portfolio.positions()] == [0]  # flat today: it stays


def test_a_rejected_order_is_told_to_risk():
    portfolio = manager()
    portfolio.on(OrderOpened(order()))
    (snapshot,) = portfolio.on(OrderClosed(order(status=S.REJECTED)))
    assert snapshot.books["paper"].performance["momentum_1"].rejected_in_a_row == 1


days = st.lists(
    st.builds(lambda n: (fill(trade=n % 5 + 1, quantity=n % 3 + 1),), st.integers(0, 9))
    | st.builds(lambda n: (fill(SELL, n % 3 + 1),), st.integers(0, 9))
    | st.tuples(st.sampled_from([99.0, 100.05, 103.3])),
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(days, st.lists(st.sampled_from([0, 30, 90, DAY_S, 4 * DAY_S]), min_size=30, max_size=30), st.data())
def test_a_restart_on_either_side_of_a_roll_gives_the_same_book(days, gaps, data):
    """What a restart has is the journal, and the last prices of the rows it shows again."""
    cut = data.draw(st.integers(0, len(days)))
    lived = resumed = manager()
    journal, at, last = [AccountOpened("paper", Money(1000))], 0, None
    for number, ((what,), gap) in enumerate(zip(days, gaps, strict=False)):
        if number == cut:
            past = fold(journal).saved
            resumed = manager(fills=past.fills, orders=past.orders, rolls=past.rolls, trackers=past.trackers)
            if last is not None:
                resumed.warm_up(last)
        at += gap
        if isinstance(what, float):
            event = last = batch(tick(what), at=at)
        else:
            one = replace(what, trade_id=f"T{number}", traded_ns=TEN_NS + at * SECOND)
            event = OrderFilled(order(status=S.FILLED, filled_quantity=10), one)
        journal += (outputs := lived.on(event))
        if resumed is not lived:
            assert resumed.on(event) == outputs
    if resumed is not lived:
        assert (resumed.books(), resumed.positions()) == (lived.books(), lived.positions())


def test_an_event_that_is_not_for_portfolio_raises():
    with pytest.raises(TypeError, match="Halt"):
        manager().on(Halt("", "", 0))


events = st.lists(
    st.builds(lambda n: OrderOpened(order(sequence=n)), st.integers(1, 3))
    | st.builds(lambda n: OrderClosed(order(sequence=n, status=S.CANCELLED)), st.integers(1, 3))
    | st.builds(lambda n: OrderFilled(order(sequence=n), fill(trade=n)), st.integers(1, 3))
    | st.builds(batch, st.builds(tick, st.floats())),
    max_size=20,
)


@given(events)
def test_the_same_inbox_gives_the_same_outbox(inbox):
    def outbox():
        portfolio = manager()
        return [portfolio.on(event) for event in inbox]

    assert outbox() == outbox()
