"""One name's walk: what is true of every tick, and what a day looks like from afar."""

from collections import defaultdict
from itertools import pairwise
from statistics import correlation, fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import first, ticks_of, whole

from alphapanda.core.money import exact
from alphapanda.times import to_ns
from alphapanda.venues.simulated import BUILT_IN, instrument_of
from alphapanda.venues.simulated.listing import listing_of

MINUTE_NS = 60 * 10**9
names = st.sampled_from(BUILT_IN) | st.from_regex(r"NSE:[A-Z][A-Z0-9&-]{0,8}", fullmatch=True)
volatilities = st.sampled_from(["0", "0.01", "1.5", "10"])
INVENTED = [f"NSE:NAME{number}" for number in range(24)]
"""Many names that tick seldom: a cheap crowd."""


def assert_on_grid(price, tick_size):
    assert price > 0
    assert exact(price) % tick_size == 0, f"{price} is not a multiple of {tick_size}"


def walked(key, rows, seed, volatility):
    return list(ticks_of(key, first(rows, [key], seed=seed, volatility=volatility)))


@settings(max_examples=30, deadline=None)
@given(names, st.integers(0, 10**9), volatilities)
def test_every_price_is_on_the_grid_and_the_book_is_in_order(key, seed, volatility):
    tick_size = instrument_of(key).tick_size
    for tick in walked(key, 150, seed, volatility):
        for price in (tick.last_price, tick.open, tick.high, tick.low, tick.close):
            assert_on_grid(price, tick_size)
        buy, sell = tick.depth.buy, tick.depth.sell
        assert len(buy) == len(sell) == 5
        for level in (*buy, *sell):
            assert_on_grid(level.price, tick_size)
            assert isinstance(level.quantity, int)
            assert level.quantity >= level.orders > 0
        assert all(better.price > worse.price for better, worse in pairwise(buy))
        assert all(better.price < worse.price for better, worse in pairwise(sell))
        assert buy[0].price < sell[0].price
        assert buy[0].price <= tick.last_price <= sell[0].price


@settings(max_examples=30, deadline=None)
@given(names, st.integers(0, 10**9), volatilities)
def test_the_figures_of_the_day_follow_the_prices(key, seed, volatility):
    ticks = walked(key, 150, seed, volatility)
    assert {tick.close for tick in ticks} == {listing_of(key).close / 100}
    assert {tick.open for tick in ticks} == {ticks[0].last_price}
    high = low = ticks[0].last_price
    volume = 0
    for tick in ticks:
        high, low = max(high, tick.last_price), min(low, tick.last_price)
        assert (tick.high, tick.low) == (high, low)
        assert tick.volume >= volume
        volume = tick.volume
    assert ticks[0].volume > 0
    assert not any(tick.bar for tick in ticks)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(BUILT_IN), st.integers(0, 10**9))
def test_a_price_moves_only_by_a_trade(key, seed):
    ticks = walked(key, 400, seed, "1.5")
    moves = [(before, after) for before, after in pairwise(ticks) if before.last_price != after.last_price]
    assert moves
    assert all(after.volume > before.volume for before, after in moves)
    assert any(before.volume == after.volume for before, after in pairwise(ticks)), "quotes without a trade"


@settings(max_examples=10, deadline=None)
@given(names, st.integers(0, 10**9))
def test_without_volatility_prices_only_bounce_between_bid_and_ask(key, seed):
    ticks = walked(key, 400, seed, "0")
    listing = listing_of(key)
    assert len({(tick.depth.buy[0].price, tick.depth.buy[0].price < tick.last_price) for tick in ticks}) > 1
    for tick in ticks:
        assert abs(tick.last_price - tick.close) * 100 <= 3 * listing.tick + 0.001
        assert tick.depth.buy[0].price <= tick.close <= tick.depth.sell[0].price


def test_even_the_roughest_day_stays_in_the_price_band():
    for seed in range(3):
        for row in whole(INVENTED[:8], seed=seed, volatility="10"):
            for tick in row.ticks:
                assert 0.8 * tick.close < tick.last_price < 1.2 * tick.close


@pytest.fixture(scope="module")
def day():
    """The default session: ticks and volume of each half hour, the spreads and the whole volume by name."""
    counts, volumes = [0] * 13, [0] * 13
    spreads, before = defaultdict(list), {}
    opened = None
    for row in whole(BUILT_IN):
        opened = row.time_ns if opened is None else opened
        half = (row.time_ns - opened) // (30 * MINUTE_NS)
        for tick in row.ticks:
            token = tick.instrument_token
            counts[half] += 1
            volumes[half] += tick.volume - before.get(token, 0)
            before[token] = tick.volume
            spreads[token, half].append(tick.depth.sell[0].price - tick.depth.buy[0].price)
    return counts, volumes, spreads, before


LUNCH = 7  # 12:45 to 13:15
LAST = 11  # 14:45 to 15:15, the last whole one


def test_the_open_and_the_close_are_busier_than_lunch(day):
    counts, volumes, _, _ = day
    for busy in (0, LAST):
        assert counts[busy] > 1.4 * counts[LUNCH]
        assert volumes[busy] > 1.8 * volumes[LUNCH]


def test_a_name_trades_about_its_usual_volume(day):
    *_, volumes = day
    for key in BUILT_IN:
        listing = listing_of(key)
        assert 0.5 < volumes[listing.token] / listing.volume < 2


def test_spreads_are_wider_at_the_open_and_for_names_that_trade_less(day):
    _, _, spreads, _ = day

    def mean(halves, grades):
        """In ticks."""
        listings = [listing for listing in map(listing_of, BUILT_IN) if listing.grade in grades]
        found = [fmean(spreads[each.token, half]) * 100 / each.tick for each in listings for half in halves]
        return fmean(found)

    assert mean([0], {1, 2, 3}) > 1.15 * mean([LUNCH], {1, 2, 3})
    assert mean(range(13), {3}) > 1.2 * mean(range(13), {1})


def minutes(key, rows):
    """The last price of each minute."""
    return list(
        {to_ns(tick.timestamp) // MINUTE_NS: tick.last_price for tick in ticks_of(key, rows)}.values()
    )


def returns(prices):
    return [after / before - 1 for before, after in pairwise(prices)]


def test_two_shares_move_together_because_of_the_index():
    found = []
    for seed in range(4):
        rows = list(whole(["NSE:AXISBANK", "NSE:SBIN"], seed=seed))
        first_, second = (returns(minutes(key, rows)) for key in ("NSE:AXISBANK", "NSE:SBIN"))
        assert len(first_) == len(second) == 374
        found.append(correlation(first_, second))
    assert 0.1 < fmean(found) < 0.8


def size_of_a_day(volatility):
    """Root mean square of the days' moves of a crowd, in percent."""
    squares = []
    for seed in range(3):
        last = {
            tick.instrument_token: tick
            for row in whole(INVENTED, seed=seed, volatility=volatility)
            for tick in row.ticks
        }
        squares += [(tick.last_price / tick.close - 1) ** 2 for tick in last.values()]
    return fmean(squares) ** 0.5 * 100


def test_volatility_is_the_size_of_a_days_move():
    small, large = size_of_a_day("0.5"), size_of_a_day("3")
    assert 0.3 < small < 0.8
    assert 1.8 < large < 4.8
