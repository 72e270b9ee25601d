"""What is added up quickly, to see that a limit is far, never says less than is at stake."""

from builders import BUY, INFY, TCS, batch, order, signal, tick
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alphapanda.core.rules import EVERYWHERE, Approvals, Claims, Desk, Marks, View
from alphapanda.events import Book, Money, Performance, Scope

NAMES, TOKENS = ("one", "two"), (INFY.instrument_token, TCS.instrument_token)
PRICES = st.none() | st.integers(1, 10**9).map(lambda ticks: ticks / 20)
RUPEES = st.integers(-(10**12), 10**12).map(lambda paise: Money(paise) / 100)
OWNERS = st.sampled_from([(name, token) for name in NAMES for token in TOKENS])


@given(
    st.lists(PRICES, min_size=2, max_size=2),
    st.dictionaries(OWNERS, st.tuples(st.integers(-(10**6), 10**6).filter(bool), RUPEES)),
    st.dictionaries(st.sampled_from(["", *NAMES]), RUPEES),
    st.lists(st.integers(1, 10**6), max_size=3),
)
def test_rough_sums_are_on_the_safe_side(prices, held, booked, resting):
    marks, strategies = Marks(), [Scope(strategy=name) for name in NAMES]
    seen = [tick(price, token) for price, token in zip(prices, TOKENS, strict=True) if price is not None]
    marks.take(batch(*seen))
    orders = {f"O{n}": replace(order(BUY, units), order_id=f"O{n}") for n, units in enumerate(resting)}
    book = Book(
        positions={key: units for key, (units, _) in held.items()},
        costs={key: cost for key, (_, cost) in held.items()},
        orders=orders,
        performance={name: Performance(booked=each) for name, each in booked.items()},
    )
    view = View(Desk("paper", marks, {}, Approvals()), 0, Claims(book, {}), signal())
    for scope in (EVERYWHERE, *strategies):
        assert Money(view.most_gross(scope)) >= view.gross(scope)
        assert Money(view.least_net(scope)) <= view.net(scope)
