"""The invented prices: the same whoever looks, within their limits, in whole ticks, over days."""

from hypothesis import given, settings
from hypothesis import strategies as st
from market_rules import INFY, NIFTY_50, check, seen_market, snapshot, some_of_each

from alphapanda.exchange.market import open_market
from alphapanda.exchange.options import Options
from alphapanda.times import DAY_NS, MINUTE_NS, SECOND_NS, to_ist

LISTED = some_of_each(seen_market())
DAY_S = 375 * 60


@st.composite
def moments(draw: st.DrawFn) -> list[int]:
    """Seconds since the open, in order, some of them on later days."""
    seconds = st.integers(0, DAY_S + 600) | st.integers(0, 5 * 86_400)
    return sorted(draw(st.lists(seconds, min_size=1, max_size=6)))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LISTED), st.integers(0, 3), moments(), st.integers(1, 10**9 - 1))
def test_a_quote_is_the_same_whatever_was_asked_before(listed, seed, seconds, part_ns):
    watched, alone = open_market(Options(seed=seed)), open_market(Options(seed=seed))
    now_ns = watched.starts_ns
    others = [each.token for each in LISTED[::3]]
    for number, second in enumerate(seconds):
        now_ns = watched.starts_ns + second * SECOND_NS + part_ns
        if number % 2:
            watched.step(now_ns, {listed.token, *others})
        else:
            watched.quote(listed.token, now_ns)
            watched.candles(listed.token, "5minute", now_ns - DAY_NS, now_ns, now_ns=now_ns)
    assert snapshot(watched.quote(listed.token, now_ns)) == snapshot(alone.quote(listed.token, now_ns))
    assert watched.circuit(listed.token, now_ns) == alone.circuit(listed.token, now_ns)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(LISTED), st.integers(0, 10**6), moments())
def test_prices_keep_to_their_tick_and_limits_and_the_book_is_whole(listed, seed, seconds):
    market = open_market(Options(seed=seed))
    for second in seconds:
        check(market, listed, market.starts_ns + second * SECOND_NS)


def test_every_listed_instrument_has_a_price_and_a_book_from_the_first_moment():
    market = open_market(Options())
    for listed in market.listing.all():
        quote = check(market, listed, market.starts_ns)
        assert quote.last_trade_s * SECOND_NS == market.starts_ns or listed.segment[:3] in (
            "CDS",
            "BCD",
            "MCX",
        )
        assert quote.money(quote.close) == listed.close
        assert bool(quote.volume) == listed.tradable
        assert bool(quote.oi) == (listed.instrument.expiry is not None)


def test_a_jump_over_ticks_sees_the_range_of_those_between():
    market = open_market(Options(seed=3))
    for now_ns in range(market.starts_ns, market.starts_ns + 3 * MINUTE_NS, SECOND_NS // 2):
        market.quote(INFY, now_ns)
        if now_ns % (20 * SECOND_NS) == 0:
            jumped = open_market(Options(seed=3)).quote(INFY, now_ns)
            assert snapshot(market.quote(INFY, now_ns)) == snapshot(jumped)


def test_another_seed_has_other_prices_and_the_same_closes():
    quotes = [seen_market(seed).quote(INFY, seen_market(seed).starts_ns + MINUTE_NS) for seed in (5, 6)]
    assert quotes[0].last != quotes[1].last
    assert quotes[0].close == quotes[1].close


def test_a_liquid_name_ticks_about_once_a_second_and_its_figures_only_grow():
    market = open_market(Options())
    now_ns, ticks, before = market.starts_ns, 0, None
    while now_ns < market.starts_ns + 10 * MINUTE_NS:
        ticks += len(market.step(now_ns, {INFY}))
        quote = market.quote(INFY, now_ns)
        figures = quote.volume, quote.high, -quote.low, quote.last_trade_s
        assert before is None or all(new >= old for new, old in zip(figures, before, strict=True))
        before = figures
        now_ns = market.next_step_ns(now_ns)
    assert 500 <= ticks <= 700


def test_a_step_names_whoever_ticked_even_when_a_quote_came_between():
    market, quiet = open_market(Options(seed=9)), open_market(Options(seed=9))
    tokens = {each.token for each in LISTED}
    now_ns = market.starts_ns
    for _ in range(80):
        assert market.step(now_ns, tokens) == quiet.step(now_ns, tokens)
        following = market.next_step_ns(now_ns)
        for token in tokens:
            market.quote(token, now_ns + (following - now_ns) // 2)
        now_ns = following


def test_who_begins_to_watch_late_misses_nothing_that_comes():
    market, early = open_market(Options(seed=2)), open_market(Options(seed=2))
    now_ns = market.starts_ns
    for number in range(120):
        late = {INFY} if number > 60 else set()
        seen, all_along = market.step(now_ns, late), early.step(now_ns, {INFY})
        assert seen == (all_along if late else [])
        now_ns = market.next_step_ns(now_ns)


def test_futures_and_options_move_with_what_they_are_on():
    market = seen_market(4)
    by_key = market.listing.by_key
    keys = ("NFO:NIFTY26APRFUT", "NFO:NIFTY26APR24000CE", "NFO:NIFTY26APR24000PE")
    future, call, put = (by_key(key).token for key in keys)
    end_ns = market.starts_ns + DAY_NS

    def closes(token):
        rows = market.candles(token, "minute", market.starts_ns, end_ns, now_ns=end_ns)
        return [row[4] for row in rows]

    columns = [closes(token) for token in (NIFTY_50, future, call, put)]
    assert len(set(columns[0])) > 100
    for index, ahead, above, below in zip(*columns, strict=True):
        assert abs(ahead / index - 1.0055) < 0.0001
        assert abs(above - below - (index - 24_000)) < 0.2


def test_nothing_ticks_while_all_is_closed_and_the_next_day_begins_at_its_close():
    market = open_market(Options())
    tokens = {INFY}
    closes_ns = market.starts_ns + DAY_S * SECOND_NS
    market.step(market.starts_ns, tokens)
    assert market.step(closes_ns, tokens) == [INFY]
    last = snapshot(market.quote(INFY, closes_ns))
    now_ns = closes_ns
    for _ in range(8):
        now_ns = market.next_step_ns(now_ns + 59 * MINUTE_NS)
        assert market.step(now_ns, tokens) == []
    assert snapshot(market.quote(INFY, now_ns)) == last
    night_ns = market.next_step_ns(now_ns + 3600 * SECOND_NS)
    assert to_ist(night_ns).isoformat() == "2026-04-16T09:00:00+05:30", "currencies and metals open first"
    closed_at = market.quote(INFY, now_ns).last
    tomorrow = market.starts_ns + DAY_NS
    before = market.quote(INFY, tomorrow - 1)
    assert (before.last, before.close, before.volume) == (closed_at, closed_at, 0)
    assert market.step(tomorrow, tokens) == [INFY]
    opened = market.quote(INFY, tomorrow)
    assert opened.close == closed_at
    assert opened.open == opened.last
    assert 0 < opened.volume < 10_000


def test_circuit_limits_follow_yesterdays_close():
    market = open_market(Options())
    for day in range(2):
        now_ns = market.starts_ns + day * DAY_NS
        close = market.quote(INFY, now_ns).money(market.quote(INFY, now_ns).close)
        lower, upper = market.circuit(INFY, now_ns)
        tick = market.listing.by_token(INFY).instrument.tick_size
        assert close * 9 / 10 <= lower < close * 9 / 10 + tick
        assert close * 11 / 10 - tick < upper <= close * 11 / 10


def test_load_ticks_everybody_so_many_times_a_second_in_turns_or_at_once():
    for bursts in (False, True):
        market = open_market(Options(ticks_per_second=4, bursts=bursts, instruments=1200))
        tokens = {each.token for each in market.listing.all() if each.segment == "NSE"}
        now_ns, counts = market.starts_ns, []
        while now_ns < market.starts_ns + 3 * SECOND_NS:
            counts.append(len(market.step(now_ns, tokens)))
            now_ns = market.next_step_ns(now_ns)
        assert len(counts) == (12 if bursts else 60)
        assert 11 * len(tokens) <= sum(counts) <= 12 * len(tokens)
        largest = max(counts[1:])
        assert largest == len(tokens) if bursts else largest < len(tokens) // 3
