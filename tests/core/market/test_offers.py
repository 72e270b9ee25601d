"""What an order book offers: only what stands, best first, and nothing of a book that cannot be."""

import pytest
from builders import BUY, INFY, SELL, bar, book_of, order, tick
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alphapanda.core.market.offers import offered, walk
from alphapanda.events import Depth, Money

NAN, INF = float("nan"), float("inf")


def prices(levels):
    return None if levels is None else [level.price for level in levels]


def test_a_buyer_is_offered_the_asks_and_a_seller_the_bids():
    seen = tick(depth=book_of([(99.9, 5), (99.8, 7)], [(100.1, 3), (100.2, 4)]))
    assert prices(offered(seen, BUY)) == [100.1, 100.2]
    assert prices(offered(seen, SELL)) == [99.9, 99.8]


def test_what_is_empty_is_skipped():
    seen = tick(depth=book_of([(0.0, 0)], [(100.1, 0), (100.2, 4), (0.0, 0)]))
    assert prices(offered(seen, BUY)) == [100.2]
    assert prices(offered(seen, SELL)) == []


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        ([], []),
        ([(0.0, 0)], [(0.0, 0)]),
        ([(100.1, 5)], [(100.1, 5)]),
        ([(100.2, 5)], [(100.1, 5)]),
        ([(99.9, 5), (99.95, 5)], [(100.1, 5)]),
        ([(99.9, 5)], [(100.1, 5), (100.1, 5)]),
        ([(99.9, 5)], [(100.2, 5), (100.1, 5)]),
        ([(0.0, 5)], [(100.1, 5)]),
        ([(-1.0, 5)], [(100.1, 5)]),
        ([(99.9, 5)], [(INF, 5)]),
        ([(99.9, 5)], [(NAN, 5)]),
        ([(NAN, 5)], []),
        ([], [(NAN, 5)]),
        ([(99.9, 5), (NAN, 5)], [(100.1, 5)]),
    ],
)
def test_a_book_that_is_empty_crossed_or_absurd_is_no_book(bids, asks):
    seen = tick(depth=book_of(bids, asks))
    assert offered(seen, BUY) is None
    assert offered(seen, SELL) is None


def test_a_tick_without_depth_and_a_bar_have_no_book():
    assert offered(tick(), BUY) is None
    assert offered(bar(depth=book_of([(99.9, 5)], [(100.1, 5)])), BUY) is None
    assert offered(tick(depth=Depth((), ())), BUY) is None


levels = st.lists(st.integers(0, 30), min_size=1, max_size=5)


@given(st.sampled_from([BUY, SELL]), levels, st.integers(1, 120), st.integers(1998, 2012) | st.none())
def test_a_walk_takes_the_best_first_never_worse_than_the_limit_and_all_that_it_can(
    side, stands, quantity, at
):
    asks = [(2001 + n) * 0.05 for n in range(len(stands))]
    bids = [(1999 - n) * 0.05 for n in range(len(stands))]
    rounded = [
        [(round(price, 2), held) for price, held in zip(each, stands, strict=True)] for each in (bids, asks)
    ]
    limit = None if at is None else Money(at) * Money("0.05")
    offers = offered(tick(depth=book_of(*rounded)), side) or []
    trades = walk(offers, order(side, quantity), limit, {})
    reachable = sum(
        level.quantity
        for level in offers
        if limit is None or (Money(str(level.price)) - limit) * side.sign <= 0
    )
    assert sum(part for _, part in trades) == min(quantity, reachable)
    assert all(part > 0 for _, part in trades)
    found = [side.sign * price for price, _ in trades]
    assert found == sorted(set(found))
    assert limit is None or all(price <= side.sign * limit for price in found)
    on_offer = {Money(str(level.price)): level.quantity for level in offers}
    assert all(part <= on_offer[price] for price, part in trades)


def test_what_another_order_took_is_not_there_twice():
    offers, taken = offered(tick(depth=book_of([], [(100.1, 5), (100.2, 5)])), BUY), {}
    assert walk(offers, order(BUY, 3), None, taken) == [(Money("100.1"), 3)]
    assert walk(offers, order(BUY, 9), None, taken) == [(Money("100.1"), 2), (Money("100.2"), 5)]


def test_contracts_trade_in_whole_lots():
    future = replace(INFY, lot_size=25)
    offers = offered(tick(depth=book_of([], [(100.1, 24), (100.2, 60), (100.3, 500)])), BUY)
    wanted = order(BUY, 100, instrument=future)
    assert walk(offers, wanted, None, {}) == [(Money("100.2"), 50), (Money("100.3"), 50)]
