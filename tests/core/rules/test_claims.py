"""What is kept from verdict to verdict is what would be found by looking anew."""

from itertools import zip_longest

from builders import BUY, CLOSE, INFY, OPEN, SELL, TCS, order
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alphapanda.core.rules import Claims, Kept
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


@given(st.lists(BOOKS, max_size=6), st.lists(st.sampled_from(SCOPES), max_size=6))
def test_what_is_kept_goes_along_with_the_books(books, asked):
    """Also where a value is asked for only after some books have come."""
    kept, scopes = Kept(), set()
    for orders, scope in zip_longest(books, asked[: len(books)], fillvalue=("", 0)):
        kept.take(Book(orders=orders))
        scopes.add(scope)
        for each in scopes:
            assert kept.resting.value(*each) == by_hand(orders.values(), *each)
        for token in (INFY.instrument_token, TCS.instrument_token):
            found = {each.order_id: each for each in kept.resting.of(token)}
            wanted = (each for each in orders.values() if each.instrument.instrument_token == token)
            assert found == {each.order_id: each for each in wanted}


HELD = st.dictionaries(
    st.tuples(st.sampled_from(["momentum_1", "other"]), st.sampled_from([1, 2])),
    st.tuples(st.integers(-5, 5).filter(bool), st.integers(1, 10**6)),
)


@given(st.lists(HELD, max_size=4))
def test_what_is_held_is_looked_into_anew_when_it_has_changed(books):
    kept = Kept()
    for held in books:
        positions = {key: units for key, (units, _) in held.items()}
        costs = {key: Money(paid) for key, (_, paid) in held.items()}
        kept.take(Book(positions=positions, costs=costs))
        before = kept.holdings
        assert {token: list(before.owners(token)) for token in (1, 2)} == {
            token: [(owner, units) for (owner, of), units in positions.items() if of == token]
            for token in (1, 2)
        }
        assert before.cost() == sum(costs.values())
        assert before.cost("other", 2) == costs.get(("other", 2), 0)
        assert sorted(before.of("other")[1]) == sorted(
            units for (owner, _), units in positions.items() if owner == "other"
        )
        kept.take(Book(accounted=7, positions=positions, costs=costs))
        assert kept.holdings is before, "no fill has come"
        kept.take(Book(positions=positions, costs={key: 2 * paid for key, paid in costs.items()}))
        assert kept.holdings.cost() == 2 * sum(costs.values())


def reserve(one):
    return Money("0.15") * one.quantity


@given(BOOKS, st.lists(ORDERS, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_claims_take_in_what_is_approved_later(resting, later, asked):
    later = [replace(each, order_id=f"L{number}") for number, each in enumerate(later)]
    book = Book(free_cash=Money(10**6), orders=resting)
    kept = Claims(book, {}, kept=Kept(reserve))
    for ask, approved in zip(asked, later, strict=False):
        kept.add(approved)
        if ask:
            kept.free_cash(), kept.entries_value(), kept.orders(TCS.instrument_token)
    anew = Claims(book, {each.order_id: each for each in later}, kept=Kept(reserve))
    assert kept.free_cash() == anew.free_cash()
    assert [kept.entries_value(*scope) for scope in SCOPES] == [
        by_hand([*resting.values(), *later], *scope) for scope in SCOPES
    ]
    for token in (INFY.instrument_token, TCS.instrument_token):
        assert kept.orders(token) == anew.orders(token)
    assert kept.at_most_open() == anew.at_most_open() == len(kept.pending)
