"""The account at the simulated broker has the cash and the free cash of the book that risk decides on."""

from builders import BUY, INFY, OPEN, SELL, TCS, fill, order
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.margins import FULL
from alphapanda.core.market import SimulatedAccount
from alphapanda.core.portfolio import PortfolioManager
from alphapanda.events import Money, OrderStatus

trades = st.lists(
    st.tuples(
        st.sampled_from([BUY, SELL]),
        st.integers(1, 9),
        st.integers(1900, 2100),
        st.sampled_from(["one", "two"]),
        st.sampled_from([INFY, TCS]),
    ),
    max_size=15,
)


def filled(trades):
    return [
        fill(
            side,
            quantity,
            str(ticks * Money("0.05")),
            number,
            strategy_id=owner,
            instrument=instrument,
            charges=Money("1.23"),
            order_id=f"O{number:06d}",
        )
        for number, (side, quantity, ticks, owner, instrument) in enumerate(trades, 1)
    ]


@given(trades, st.lists(st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 9)), max_size=3))
def test_its_figures_are_those_of_the_book(trades, wishes):
    fills, cash = filled(trades), Money(1_000_000)
    resting = [
        order(side, quantity, number, position_effect=OPEN, status=OrderStatus.OPEN)
        for number, (side, quantity) in enumerate(wishes, 100)
    ]
    book = PortfolioManager({"paper": cash}, fills=fills, orders=resting)
    account = SimulatedAccount(cash, FULL, fills)
    assert account.cash == book.balances()[0].cash
    assert account.available(resting) == book.books()["paper"].free_cash
    held = {(owner, token): one.quantity for (owner, token, _), one in account.held.items() if one.quantity}
    assert held == book.books()["paper"].positions


@given(trades)
def test_it_is_the_same_from_recovered_fills_and_from_its_own(trades):
    fills = filled(trades)
    recovered, own = SimulatedAccount(Money(5), FULL, fills), SimulatedAccount(Money(5), FULL)
    for one in fills:
        made = order(one.transaction_type, strategy_id=one.strategy_id, instrument=one.instrument)
        own.book(made, one.quantity, one.price, one.charges)
    assert own.cash == recovered.cash
    assert own.held == recovered.held


def test_what_is_available_is_kept_and_not_summed_over_all_lots_at_each_order():
    asked = []

    def counted(*args):
        asked.append(args)
        return FULL(*args)

    fills = filled([(BUY, 1, 2000, "one", INFY)] * 300)
    account = SimulatedAccount(Money(1_000_000), counted, fills)
    before = len(asked)
    assert account.available([]) == Money(1_000_000) - 300 * (100 + Money("1.23"))
    assert len(asked) == before == 300
