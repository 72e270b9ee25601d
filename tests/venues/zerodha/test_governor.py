"""Kite's limits, kept before a request leaves, whatever its clock and the network do within the margin."""

import os
import time
from collections import Counter

import pytest
from builders import order
from exchange_server import exchange_server
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alphapanda.events import OrderStatus
from alphapanda.times import DAY_NS, MINUTE_NS, SECOND_NS, day_of, start_of
from alphapanda.venues.zerodha.governor import (
    BUCKETS,
    Governor,
    Kind,
    Limits,
    placed_lately,
    placements_today,
)

MILLISECOND = 1_000_000
STORM = int(os.environ.get("ALPHAPANDA_TEST_STORM", "24"))
"""Order requests; the real exchange counts by the wall, so 300 of them take over half a minute."""
DAY = 20_600
NOON = start_of(DAY) + 12 * 3600 * SECOND_NS
SMALL = Limits(orders_second=4, orders_minute=19, orders_day=60, kept_second=1, kept_minute=4, kept_day=6)
"""Limits that short sequences reach. The margins are those of every day."""
SKEW, DELAY = SMALL.skew_ms * MILLISECOND, SMALL.delay_ms * MILLISECOND


def granted(governor, wishes, start=NOON, patient=True):
    """[(kind, wall ns)] of what was let go. Each wish is (pause before it, kind); who is patient asks again
    at the time that he was told, else the wish is given up.
    """
    now, gone = start, []
    for pause, kind in wishes:
        now += pause
        while at := governor.take(kind, now):
            assert at > now
            if not patient or day_of(at) != day_of(now):
                break
            now = at
        if not at:
            gone.append((kind, now))
    return gone


def arrives(at, skew=SKEW, delay=DELAY):
    """The first and the last moment of Kite's clock at which it may see a request written at `at`."""
    return at - skew, at + skew + delay


def check_at_kite(gone, limits, restored=0):
    """The worst that clocks and network may do, another for each request: no calendar second, no window of
    a minute and no day of Kite's can have too many.
    """
    seconds, days = Counter(), Counter()
    for kind, at in gone:
        first, last = arrives(at)
        seconds.update(range(first // SECOND_NS, last // SECOND_NS + 1))
        days.update({day_of(first), day_of(last)} if kind.places else ())
    assert max(seconds.values(), default=0) <= limits.orders_second
    assert max(days.values(), default=0) <= limits.orders_day - restored
    for (_, earlier), (_, later) in zip(gone, gone[limits.orders_minute :], strict=False):
        assert arrives(later)[0] - arrives(earlier)[1] >= MINUTE_NS


kinds = st.sampled_from(Kind)
pauses = st.one_of(
    st.sampled_from([0, 0, 0, MILLISECOND, SKEW, DELAY, SECOND_NS - 1, SECOND_NS, MINUTE_NS]),
    st.integers(0, 3 * SECOND_NS),
)
wishes = st.lists(st.tuples(pauses, kinds), max_size=120)


@given(wishes, st.integers(0, SECOND_NS), st.booleans())
@example([(0, Kind.CANCEL)] * 100, 0, True)
@example([(0, Kind.EXIT)] * 100, 499 * MILLISECOND, True)
@settings(deadline=None)
def test_no_second_minute_or_day_at_kite_has_too_many_whatever_clock_and_network_do(wishes, phase, patient):
    gone = granted(Governor(SMALL), wishes, NOON + phase, patient)
    check_at_kite(gone, SMALL)


@given(wishes, st.integers(0, SECOND_NS), st.integers(40, 60))
@example([(0, Kind.EXIT)] * 100, 0, 50)
@settings(deadline=None)
def test_around_midnight_neither_day_can_have_too_many(wishes, phase, restored):
    governor = Governor(SMALL)
    governor.restore(restored, DAY)
    governor.restore(restored, DAY + 1)
    check_at_kite(granted(governor, wishes, start_of(DAY + 1) - SECOND_NS + phase), SMALL, restored)


@given(st.lists(st.tuples(pauses, kinds, st.integers(-SKEW, SKEW)), max_size=120), st.integers(0, SECOND_NS))
@settings(deadline=None)
def test_our_own_clock_may_wander_within_the_margin(wishes, phase):
    """Kite's clock is right; ours is read a little wrong each time, so that it also steps back."""
    governor, true, arrivals = Governor(SMALL), NOON + phase, []
    for pause, kind, error in wishes:
        true += pause
        while at := governor.take(kind, true + error):
            if day_of(at) != day_of(true):
                break
            true = max(true, at - error)
        if not at:
            arrivals.append((true, true + DELAY))
    seconds = Counter()
    for first, last in arrivals:
        seconds.update(range(first // SECOND_NS, last // SECOND_NS + 1))
    assert max(seconds.values(), default=0) <= SMALL.orders_second
    for (_, earlier), (later, _) in zip(arrivals, arrivals[SMALL.orders_minute :], strict=False):
        assert later - earlier >= MINUTE_NS


def test_a_full_day_is_over_when_it_is_over_at_kite():
    governor, midnight = Governor(), start_of(DAY + 1)
    governor.restore(5_000, DAY)
    assert governor.take(Kind.EXIT, midnight + 100 * MILLISECOND) == midnight + SKEW
    assert governor.take(Kind.EXIT, midnight + SKEW) == 0


def test_a_storm_of_an_hour_keeps_kites_own_limits_and_wastes_little():
    """All kinds, all the time, with the limits of every day, until the day's placements are gone."""
    governor, limits, now, gone = Governor(), Limits(), NOON + 123 * MILLISECOND, []
    for number in range(24_000):
        kind = Kind.CANCEL if number % 5 == 0 else Kind.EXIT
        if at := governor.take(kind, now):
            if kind is Kind.EXIT and day_of(at) != day_of(now):
                break
            now = at
        else:
            gone.append((kind, now))
    check_at_kite(gone, limits)
    minutes = (gone[-1][1] - gone[0][1]) / MINUTE_NS
    assert sum(kind.places for kind, _ in gone) == limits.orders_day, "nothing of the day is thrown away"
    assert len(gone) / minutes > 0.95 * limits.orders_minute


@given(wishes, st.integers(0, SECOND_NS))
@settings(deadline=None)
def test_entries_and_changes_never_touch_what_is_kept_for_cancels_and_exits(wishes, phase):
    """Nobody else asks: then the whole reserve is free in the step after any of them."""
    low = [(pause, kind) for pause, kind in wishes if not kind.reduces]
    governor = Governor(SMALL)
    gone = granted(governor, low, NOON + phase)
    if not gone:
        return
    last = gone[-1][1]
    assert [governor.take(Kind.EXIT, last) for _ in range(SMALL.kept_second)] == [0] * SMALL.kept_second
    placed = sum(kind is Kind.ENTRY for kind, _ in gone)
    assert placed <= SMALL.orders_day - SMALL.kept_day


def test_the_reserve_of_a_minute_and_of_a_day_is_there_when_entries_have_had_theirs():
    governor, now, entries = Governor(), NOON, 0
    while not (at := governor.take(Kind.ENTRY, now)) or at < NOON + 50 * SECOND_NS:
        entries += not at
        now = at or now
    assert entries == 360
    exits = 0
    while not (at := governor.take(Kind.EXIT, now)) or at < NOON + 58 * SECOND_NS:
        exits += not at
        now = at or now
    assert exits == 40

    governor = Governor()
    governor.restore(4_800, DAY)
    assert day_of(governor.take(Kind.ENTRY, NOON)) == DAY + 1
    assert governor.take(Kind.EXIT, NOON) == 0
    governor.restore(5_000, DAY)
    assert day_of(governor.take(Kind.EXIT, NOON)) == DAY + 1
    assert governor.take(Kind.CANCEL, NOON) == governor.take(Kind.MODIFY, NOON) == 0
    assert governor.take(Kind.ENTRY, governor.take(Kind.EXIT, NOON)) == 0, "tomorrow there is a new day"


@given(wishes, st.integers(0, SECOND_NS))
@settings(deadline=None)
def test_a_cancel_waits_for_the_window_and_no_longer(wishes, phase):
    governor = Governor(SMALL)
    gone = granted(governor, wishes, NOON + phase)
    now = start = gone[-1][1] if gone else NOON
    asked = 0
    while at := governor.take(Kind.CANCEL, now):
        assert at > now
        now, asked = at, asked + 1
    assert asked < 8
    assert now - start <= MINUTE_NS + 2 * SECOND_NS


@given(wishes, st.integers(0, SECOND_NS))
@settings(deadline=None)
def test_the_lowest_rank_goes_once_the_higher_ones_stop(wishes, phase):
    governor = Governor(SMALL)
    high = [(pause, kind) for pause, kind in wishes if kind in (Kind.CANCEL, Kind.MODIFY)]
    now = start = granted(governor, high, NOON + phase)[-1][1] if high else NOON
    while at := governor.take(Kind.ENTRY, now):
        now = at
    assert now - start <= MINUTE_NS + 2 * SECOND_NS


@given(st.lists(st.integers(0, 400), max_size=200), st.integers(0, SECOND_NS))
@settings(deadline=None)
def test_what_risk_lets_through_is_never_a_second_late(pauses_ms, phase):
    """Risk approves eight orders in any second and 300 in a minute (core.rules.rate): with a tenth of them
    cancelled no entry grows old in the lane, whatever the phase of the bursts.
    """
    governor, approved, now = Governor(), [], NOON + phase
    ready = now
    for number, pause in enumerate(pauses_ms):
        now += pause * MILLISECOND
        approved = [at for at in approved if at > now - MINUTE_NS]
        if sum(at > now - SECOND_NS for at in approved) >= 8 or len(approved) >= 300:
            continue
        approved.append(now)
        ready = max(now, ready)
        while at := governor.take(Kind.ENTRY, ready):
            ready = at
        assert ready - now < 1.5 * SECOND_NS
        if number % 10 == 0:
            governor.take(Kind.CANCEL, ready)


@pytest.mark.parametrize(("bucket", "most"), [("quote", 1), ("historical", 3), ("other", 8)])
def test_each_bucket_of_calls_has_its_limit_in_a_second(bucket, most):
    governor = Governor()
    now, gone = NOON + 77 * MILLISECOND, []
    for _ in range(6 * most):
        while at := governor.call(bucket, now):
            now = at
        gone.append(now)
    for skew in (-SKEW, 0, SKEW):
        for delay in (0, DELAY):
            seconds = Counter((at + skew + delay * (each % 2)) // SECOND_NS for each, at in enumerate(gone))
            assert max(seconds.values()) <= most
    assert gone[-1] - gone[0] < 8 * SECOND_NS
    assert all(governor.call(other, gone[-1]) == 0 for other in BUCKETS if other != bucket)
    assert governor.take(Kind.ENTRY, gone[-1]) == 0


def test_after_a_429_the_bucket_waits_a_second_and_only_that_bucket():
    governor = Governor()
    governor.limited(Kind.CANCEL, NOON)
    governor.limited("quote", NOON)
    assert governor.take(Kind.ENTRY, NOON) == governor.call("quote", NOON) == NOON + SECOND_NS
    assert governor.call("other", NOON) == governor.call("historical", NOON) == 0
    assert governor.take(Kind.CANCEL, NOON + SECOND_NS - 1) == NOON + SECOND_NS
    assert governor.take(Kind.CANCEL, NOON + SECOND_NS) == governor.call("quote", NOON + SECOND_NS) == 0


def test_an_order_takes_25_changes():
    governor = Governor()
    assert [governor.modified("240415000000001") for _ in range(27)] == [True] * 25 + [False] * 2
    assert governor.modified("240415000000002")


def test_changes_are_forgotten_with_their_day_and_not_before():
    governor = Governor()
    governor.take(Kind.ENTRY, NOON)
    for _ in range(25):
        governor.modified("1")
    governor.take(Kind.ENTRY, NOON + MINUTE_NS)
    assert not governor.modified("1")
    governor.take(Kind.ENTRY, NOON + DAY_NS)
    assert governor.modified("1")


@given(wishes, st.integers(-3 * DAY_NS // 2, -1))
@settings(deadline=None)
def test_a_clock_that_is_put_back_does_not_shut_cancels_out(wishes, step):
    governor = Governor(SMALL)
    gone = granted(governor, wishes)
    before = gone[-1][1] if gone else NOON
    now = start = before + step
    while at := governor.take(Kind.CANCEL, now):
        assert at > now
        now = at
    assert now - start <= MINUTE_NS + 3 * SECOND_NS


def test_a_clock_that_is_put_back_is_no_second_helping():
    governor = Governor()
    while not governor.take(Kind.CANCEL, NOON + 300 * MILLISECOND):
        pass
    back = NOON + 260 * MILLISECOND - 3600 * SECOND_NS
    assert governor.take(Kind.CANCEL, back) == back + SECOND_NS
    assert governor.budgets(back)["orders_minute"]["used"] == 10


@pytest.mark.parametrize("days", [1, 30, 365])
def test_M53_a_day_that_was_skipped_by_mistake_is_counted_on_when_the_clock_is_put_right(days):  # noqa: N802 - the fault's name
    governor = Governor()
    governor.restore(4_799, DAY)
    assert governor.take(Kind.ENTRY, NOON + days * DAY_NS) == 0
    back = NOON + SECOND_NS
    while at := governor.take(Kind.ENTRY, back):
        back = at
    assert governor.budgets(back)["orders_day"]["used"] == 4_800
    assert governor.take(Kind.ENTRY, back + MINUTE_NS) >= start_of(DAY + 1), "entries have had their day"
    assert governor.take(Kind.EXIT, back + MINUTE_NS) == 0


def test_a_small_step_back_counts_seconds_as_they_are_called():
    """Within the margin both readings were right: a second that had its requests has had them."""
    governor = Governor()
    while not governor.take(Kind.CANCEL, NOON + 300 * MILLISECOND):
        pass
    assert governor.take(Kind.CANCEL, NOON + 200 * MILLISECOND) == NOON + SECOND_NS + SKEW


def test_budgets_are_what_was_used_and_what_there_is():
    governor = Governor()
    governor.restore(17, DAY)
    for kind in (Kind.ENTRY, Kind.CANCEL, Kind.MODIFY):
        assert governor.take(kind, NOON + 300 * MILLISECOND) == 0
    assert governor.budgets(NOON + 300 * MILLISECOND, waiting=2) == {
        "orders_second": {"used": 3, "limit": 10},
        "orders_minute": {"used": 3, "limit": 400},
        "orders_day": {"used": 18, "limit": 5_000},
        "waiting": 2,
    }
    later = governor.budgets(NOON + 2 * MINUTE_NS)
    assert [later[name]["used"] for name in ("orders_second", "orders_minute", "orders_day")] == [0, 0, 18]


def test_the_day_is_counted_anew_from_the_journal():
    ended = [order(sequence=number, status=status) for number, status in enumerate(OrderStatus)]
    day = day_of(ended[0].created_ns)
    assert placements_today(ended, day) == len(OrderStatus) - 1, "what was withheld never left"
    assert placements_today(ended, day + 1) == 0


def test_a_restart_within_the_minute_is_no_second_helping():
    orders = [order(sequence=number, created_ns=NOON - number * 100 * MILLISECOND) for number in range(400)]
    assert len(placed_lately(orders, NOON + 30 * SECOND_NS)) == 310, "those of the last 61 seconds"
    assert placed_lately(orders, NOON - MINUTE_NS) == []
    withheld = order(created_ns=NOON, status=OrderStatus.WITHHELD)
    assert placed_lately([withheld], NOON) == []
    governor = Governor()
    governor.restore(400, DAY, placed_lately(orders, NOON + SECOND_NS))
    at = governor.take(Kind.CANCEL, NOON + SECOND_NS)
    assert NOON + 20 * SECOND_NS < at <= NOON + MINUTE_NS
    assert governor.take(Kind.CANCEL, at) == 0


def test_a_storm_of_order_requests_meets_no_429_at_the_exchange(tmp_path):
    """A plain client over one connection, as fast as the governor lets it; every third one is a cancel."""
    governor, codes = Governor(), Counter()
    form = (
        "exchange=NSE&tradingsymbol=INFY&transaction_type=BUY&quantity=1&product=CNC&order_type=MARKET"
        "&validity=DAY&market_protection=-1"
    )
    headers = {"Authorization": "token rehearsal:today", "Content-Type": "application/x-www-form-urlencoded"}
    with exchange_server(tmp_path, "--access-token", "today", "--paused") as server:
        connection = server.connection()
        try:
            for number in range(STORM):
                kind = Kind.CANCEL if number % 3 == 2 else Kind.EXIT
                while at := governor.take(kind, now := time.time_ns()):
                    time.sleep((at - now) / SECOND_NS)
                if kind is Kind.CANCEL:
                    connection.request("DELETE", "/orders/regular/1", headers=headers)
                else:
                    connection.request("POST", "/orders/regular", form, headers)
                answer = connection.getresponse()
                answer.read()
                codes[answer.status] += 1
        finally:
            connection.close()
        replies = [line for line in server.history("reply") if line["call"].startswith("order.")]
        requests = [line["wall_ns"] // SECOND_NS for line in server.history("request")]
    assert codes.total() == len(replies) == STORM
    assert not [line for line in replies if line["status"] == 429]
    assert codes[429] == 0
    assert codes[200] == STORM - STORM // 3
    assert max(Counter(requests).values()) <= 10


@pytest.mark.parametrize(
    "limits",
    [
        {"orders_second": 2},
        {"orders_minute": 40},
        {"orders_day": 100},
        {"quote": 0},
        {"other": 0},
    ],
)
def test_limits_that_leave_nothing_to_wait_for_are_none(limits):
    with pytest.raises(ValueError, match=r"nothing is left|no calls at all"):
        Limits(**limits)
