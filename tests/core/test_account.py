"""One broker's book: what of its cash is free, and what its strategies are worth."""

from decimal import Decimal

from builders import BUY, CLOSE, INFY, SELL, TCS, TEN_NS, fill, order
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.account import Account
from alphapanda.core.equity import EquityTracker
from alphapanda.core.margins import FULL
from alphapanda.events import Money
from alphapanda.times import DAY_NS, day_of

TODAY = day_of(TEN_NS)
CASH = Money(10_000)


def account(*fills, margins=FULL):
    made = Account("paper", CASH, margins, EquityTracker())
    for one in fills:
        made.book(one)
    return made


def valued(made, **last):
    """A point with the last prices of INFY and TCS."""
    tokens = {"infy": INFY.instrument_token, "tcs": TCS.instrument_token}
    prices = {tokens[name]: price for name, price in last.items()}
    return made.valued(TEN_NS, prices, lambda holding: Decimal(repr(last_of(holding, prices))))


def last_of(holding, prices):
    return prices[holding.instrument.instrument_token]


def delivered(side, quantity, price="100", day=0):
    return fill(side, quantity, price, product="CNC", traded_ns=TEN_NS + day * DAY_NS)


def test_what_shares_on_their_way_bring_is_free_the_day_after():
    made = account()
    made.roll(TODAY - 1)
    made.book(delivered(BUY, 10, day=-1))
    made.roll(TODAY)
    assert made.snapshot().free_cash == CASH - 1000
    made.book(delivered(SELL, 4, "110"))
    assert made.balance.cash == CASH - 1000 + 440
    assert made.snapshot().free_cash == CASH - 1000
    made.roll(TODAY + 1)
    assert made.snapshot().free_cash == CASH - 560


def test_what_held_shares_bring_is_free_at_once():
    made = account(delivered(BUY, 10, day=-2))
    made.roll(TODAY - 1)
    made.roll(TODAY)
    made.book(delivered(SELL, 10))
    assert made.snapshot().free_cash == CASH


def test_margins_say_what_entries_and_positions_claim():
    def half(instrument, product, side, quantity, price):
        return price * quantity / 2

    made = account(fill(BUY, 10), fill(SELL, 6, instrument=TCS, trade=2), margins=half)
    assert made.snapshot().free_cash == CASH - 500 - 300
    made.follow(order(BUY, 4))
    made.follow(order(SELL, 4, sequence=2, position_effect=CLOSE))
    assert made.snapshot().free_cash == CASH - 800 - 200


def test_a_snapshot_says_what_is_held_what_it_cost_and_what_it_is():
    made = account(
        fill(BUY, 10, "100.05"), fill(SELL, 2, "200", instrument=TCS, trade=2, strategy_id="other")
    )
    book = made.snapshot()
    assert book.positions == {
        ("momentum_1", INFY.instrument_token): 10,
        ("other", TCS.instrument_token): -2,
    }
    assert book.costs == {
        ("momentum_1", INFY.instrument_token): Money("1000.50"),
        ("other", TCS.instrument_token): -400,
    }
    assert book.instruments == {one.instrument_token: one for one in (INFY, TCS)}
    assert book.starting_cash == CASH
    made.book(fill(BUY, 2, "190", instrument=TCS, trade=3, strategy_id="other"))
    after = made.snapshot()
    assert (len(after.positions), len(after.costs), len(after.instruments)) == (1, 1, 1)
    assert len(book.positions) == len(book.instruments) == 2


def test_a_snapshot_stays_the_same_until_something_changes():
    made = account(fill(BUY, 10))
    assert made.snapshot() is made.snapshot()
    before = made.snapshot()
    made.follow(order(sequence=7))
    assert made.snapshot() != before
    assert made.snapshot().accounted == 7


prices = st.sampled_from([0.05, 99.95, 100.0, 1573.7, 0.0001, 12.34567, 3e9, 1e12]) | st.floats(0.05, 9e5)
traded = st.lists(
    st.builds(
        fill,
        st.sampled_from([BUY, SELL]),
        st.integers(1, 9),
        st.sampled_from(["0.05", "100", "99.3333"]),
        instrument=st.sampled_from([INFY, TCS]),
        strategy_id=st.sampled_from(["one", "two"]),
        charges=st.decimals("0", "9", places=2),
    ),
    min_size=1,
    max_size=12,
)


@given(traded, prices, prices)
def test_a_point_of_the_curve_is_exact_at_any_price(traded, infy, tcs):
    made = account(*traded)
    point = valued(made, infy=infy, tcs=tcs)
    last = {INFY.instrument_token: Decimal(repr(infy)), TCS.instrument_token: Decimal(repr(tcs))}
    values = [held.quantity * last[held.instrument.instrument_token] for held in made.held()]
    assert point.figures.gross_exposure == sum(map(abs, values))
    assert point.figures.net_exposure == sum(values)
    assert point.equity == point.cash + sum(values) == CASH + point.figures.net_pnl
    assert point.cash == made.balance.cash
    for name in {held.strategy_id for held in made.held()}:
        own = [(held, last[held.instrument.instrument_token]) for held in made.held()]
        mine = [held.quantity * price - held.cost for held, price in own if held.strategy_id == name]
        assert point.strategies[name].unrealized_pnl == sum(mine)
    assert set(point.strategies) == {held.strategy_id for held in made.held()}
