"""Candles: what the ticks were, joined, cut off at now, and an invented past before the session."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_rules import INFY, seen_market, some_of_each

from alphapanda.exchange.market import open_market
from alphapanda.exchange.market.candles import INTERVALS
from alphapanda.exchange.options import Options
from alphapanda.times import DAY_NS, MINUTE_NS, SECOND_NS

LISTED = some_of_each(seen_market())


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(LISTED), st.integers(0, 10**6), st.integers(0, 8), st.integers(1, 59))
def test_todays_candles_are_made_of_todays_ticks(listed, seed, minutes, seconds):
    market, asked = open_market(Options(seed=seed)), open_market(Options(seed=seed))
    before_ns = 15 * MINUTE_NS if listed.instrument.exchange in ("CDS", "BCD", "MCX") else 0
    opens_ns = market.starts_ns - before_ns
    first_ns = opens_ns + 20 * MINUTE_NS
    now_ns = first_ns + minutes * MINUTE_NS + seconds * SECOND_NS
    made: dict[int, list[float]] = {}
    seen, volume = 0, market.quote(listed.token, first_ns - 1).volume
    for moment in range(first_ns, now_ns + 1, SECOND_NS // 2):
        quote = market.quote(listed.token, moment)
        second = quote.last_trade_s
        if (second, quote.volume, quote.last) == seen or second * SECOND_NS < first_ns:
            continue
        seen = second, quote.volume, quote.last
        price = quote.rupees(quote.last)
        row = made.setdefault(second // 60, [price, price, price, price, 0])
        row[1:5] = max(row[1], price), min(row[2], price), price, row[4] + quote.volume - volume
        volume = quote.volume
    candles = asked.candles(listed.token, "minute", first_ns, now_ns, now_ns=now_ns)
    assert [row[1:] for row in candles] == list(made.values())


@pytest.mark.parametrize("interval", [name for name in INTERVALS if name not in ("minute", "day")])
def test_longer_candles_are_minutes_put_together(interval):
    market, length = seen_market(), INTERVALS[interval]
    now_ns = market.starts_ns + 200 * MINUTE_NS
    ask = (market.starts_ns - 5 * DAY_NS, now_ns)
    minutes = market.candles(INFY, "minute", *ask, now_ns=now_ns)
    longer = market.candles(INFY, interval, *ask, now_ns=now_ns)
    of_days = {}
    for row in minutes:
        of_days.setdefault(row[0][:10], []).append(row)
    expected = [
        [
            part[0][0],
            part[0][1],
            max(row[2] for row in part),
            min(row[3] for row in part),
            part[-1][4],
            sum(row[5] for row in part),
        ]
        for rows in of_days.values()
        for part in (rows[at : at + length] for at in range(0, len(rows), length))
    ]
    assert longer == expected


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(LISTED), st.integers(0, 3))
def test_a_day_is_its_minutes_and_the_days_follow_each_other(listed, seed):
    market = seen_market(seed)
    now_ns = market.starts_ns + 15 * 3600 * SECOND_NS
    ask = (market.starts_ns - 10 * DAY_NS, now_ns)
    days = market.candles(listed.token, "day", *ask, oi=True, now_ns=now_ns)
    minutes = market.candles(listed.token, "minute", *ask, oi=True, now_ns=now_ns)
    assert len(days) >= 5
    for day in days:
        rows = [row for row in minutes if row[0][:10] == day[0][:10]]
        assert day[1:] == [
            rows[0][1],
            max(row[2] for row in rows),
            min(row[3] for row in rows),
            rows[-1][4],
            sum(row[5] for row in rows),
            rows[-1][6],
        ]
        assert day[0].endswith("T00:00:00+0530")
    quote = market.quote(listed.token, now_ns)
    assert days[-1][1:6] == [
        *map(quote.rupees, (quote.open, quote.high, quote.low, quote.last)),
        quote.volume,
    ]
    assert days[-2][4] == quote.rupees(quote.close)


def test_no_candle_is_later_than_now_and_times_are_starts_with_an_offset():
    market = seen_market()
    now_ns = market.starts_ns + 90 * SECOND_NS
    rows = market.candles(INFY, "minute", market.starts_ns, market.starts_ns + DAY_NS, now_ns=now_ns)
    assert [row[0] for row in rows] == ["2026-04-15T09:15:00+0530", "2026-04-15T09:16:00+0530"]


def test_a_contract_has_no_candles_before_it_was_listed_unless_they_are_continuous():
    market = seen_market()
    token = market.listing.by_key("NFO:NIFTY26APRFUT").token
    ask = (market.starts_ns - 300 * DAY_NS, market.starts_ns)
    own = market.candles(token, "day", *ask, now_ns=market.starts_ns)
    continuous = market.candles(token, "day", *ask, continuous=True, now_ns=market.starts_ns)
    assert own[0][0] > "2026-01-01"
    assert len(continuous) > len(own)
    assert continuous[-len(own) :] == own


def test_whatever_is_listed_has_candles_of_today():
    market = seen_market()
    now_ns = market.starts_ns + MINUTE_NS
    for listed in (*LISTED, market.listing.by_key("MCX:GOLD26OCTFUT")):
        assert market.candles(listed.token, "minute", market.starts_ns, now_ns, now_ns=now_ns), listed.key


def test_candles_before_the_session_close_at_yesterdays_close():
    market = seen_market()
    rows = market.candles(
        INFY, "minute", market.starts_ns - 3 * DAY_NS, market.starts_ns - 1, now_ns=market.starts_ns
    )
    assert rows[-1][0] == "2026-04-13T15:29:00+0530"
    assert rows[-1][4] == float(market.listing.by_token(INFY).close)
