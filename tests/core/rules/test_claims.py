"""What is kept from verdict to verdict is what would be found by looking anew."""

from builders import BUY, CLOSE, INFY, OPEN, SELL, TCS, order
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alphapanda.core.rules import Claims, Entries, Worths
from alphapanda.events import Book, Money

SCOPES = [("", 0), ("momentum_1", 0), ("", TCS.instrument_token), ("other", INFY.instrument_token)]


def made(number, side, quantity, effect, instrument, strategy):
    return replace(
        order(side, quantity, position_effect=effect, instrument=instrument),
        order_id=f"O{number}",
        strategy_id=strategy,
    )


ORDERS = st.builds(
    made,
    st.integers(1, 6),
    st.sampled_from([BUY, SELL]),
    st.integers(1, 50),
    st.sampled_from([OPEN, CLOSE]),
    st.sampled_from([INFY, TCS]),
    st.sampled_from(["momentum_1", "other"]),
)
BOOKS = st.lists(ORDERS, max_size=6).map(lambda orders: {each.order_id: each for each in orders})


def by_hand(orders, strategy, token):
    mine = (each for each in orders if each.position_effect is OPEN)
    return sum(
        each.pending_value
        for each in mine
        if strategy in ("", each.strategy_id) and token in (0, each.instrument.instrument_token)
    )


@given(st.lists(BOOKS, max_size=6))
def test_the_value_of_entries_goes_along_with_the_books(books):
    for strategy, token in SCOPES:
        entries = Entries(strategy, token)
        for orders in books:
            assert entries.value(orders) == by_hand(orders.values(), strategy, token)


def reserve(one):
    return Money("0.15") * one.quantity


@given(BOOKS, st.lists(ORDERS, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_claims_take_in_what_is_approved_later(resting, later, asked):
    later = [replace(each, order_id=f"L{number}") for number, each in enumerate(later)]
    book = Book(free_cash=Money(10**6), orders=resting)
    kept = Claims(book, {}, worths=Worths(reserve))
    for ask, approved in zip(asked, later, strict=False):
        kept.add(approved)
        if ask:
            kept.free_cash(), kept.entries_value(), kept.orders(TCS.instrument_token)
    anew = Claims(book, {each.order_id: each for each in later}, worths=Worths(reserve))
    assert kept.free_cash() == anew.free_cash()
    assert [kept.entries_value(*scope) for scope in SCOPES] == [
        by_hand([*resting.values(), *later], *scope) for scope in SCOPES
    ]
    for token in (INFY.instrument_token, TCS.instrument_token):
        assert kept.orders(token) == anew.orders(token)
    assert kept.at_most_open() == anew.at_most_open() == len(kept.pending)
