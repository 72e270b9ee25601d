"""Kite's limits on the rate of calls."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.exchange.calls import Call, Refusal
from alphapanda.exchange.limits import ORDERS_PER_DAY, ORDERS_PER_MINUTE, PER_SECOND, RateLimits
from alphapanda.times import DAY_NS, MINUTE_NS, SECOND_NS

WALL = 1_776_000_000 * SECOND_NS // MINUTE_NS * MINUTE_NS
NOW = 20_000 * DAY_NS


def call(wall_ns=WALL, now_ns=NOW, kind="order.place", **changes):
    return Call(method="POST", url="/", kind=kind, wall_ns=wall_ns, now_ns=now_ns, **changes)


def passes(limits, bucket, asked):
    try:
        limits.take(bucket, asked)
    except Refusal as refusal:
        return refusal.message if (refusal.code, refusal.error_type) == (429, "NetworkException") else "?"
    return ""


@pytest.mark.parametrize("bucket", PER_SECOND)
def test_each_bucket_has_its_calls_in_a_calendar_second(bucket):
    limits, most = RateLimits(), PER_SECOND[bucket]
    late = WALL + SECOND_NS - 1
    said = [
        passes(limits, bucket, call(WALL if number < most else late, kind="x")) for number in range(most + 2)
    ]
    assert said == [""] * most + ["Too many requests"] * 2
    assert passes(limits, bucket, call(WALL + SECOND_NS, kind="x")) == ""


def test_buckets_do_not_count_for_each_other():
    limits = RateLimits()
    assert passes(limits, "quote", call(kind="quote")) == ""
    assert passes(limits, "quote", call(kind="ltp")) == "Too many requests"
    assert passes(limits, "historical", call(kind="historical")) == ""


def orders(limits, number, wall_ns, kind="order.place", per_second=10, **changes):
    """So many calls, ten a second; what each is told."""
    return [
        passes(limits, "order", call(wall_ns + each // per_second * SECOND_NS, kind=kind, **changes))
        for each in range(number)
    ]


def test_orders_of_a_minute_are_placed_modified_and_cancelled_ones():
    limits = RateLimits()
    kinds = ("order.place", "order.modify", "order.cancel")
    said = [
        passes(limits, "order", call(WALL + each // 10 * SECOND_NS, kind=kinds[each % 3]))
        for each in range(ORDERS_PER_MINUTE + 1)
    ]
    assert said == [""] * ORDERS_PER_MINUTE + ["Maximum allowed order requests exceeded."]
    assert passes(limits, "order", call(WALL + MINUTE_NS)) == ""


def test_the_orders_of_a_day_are_those_of_the_exchanges_day():
    limits = RateLimits()
    for minute in range(ORDERS_PER_DAY // ORDERS_PER_MINUTE):
        assert not any(orders(limits, ORDERS_PER_MINUTE, WALL + minute * MINUTE_NS))
    rest = ORDERS_PER_DAY % ORDERS_PER_MINUTE
    then = WALL + 60 * MINUTE_NS
    assert not any(orders(limits, rest, then))
    then += MINUTE_NS
    assert passes(limits, "order", call(then)) == "Maximum allowed order requests exceeded."
    assert passes(limits, "order", call(then, kind="order.cancel")) == "", (
        "cancels are not counted by the day"
    )
    assert passes(limits, "order", call(then, NOW + DAY_NS)) == "", "another day of the exchange"


def test_each_leg_of_an_iceberg_is_an_order_of_the_day():
    limits = RateLimits()
    legs = {"path": {"variety": "iceberg"}, "form": [("iceberg_legs", "50")]}
    number = ORDERS_PER_DAY // 50
    assert not any(orders(limits, number, WALL, **legs))
    assert passes(limits, "order", call(WALL + MINUTE_NS)) == "Maximum allowed order requests exceeded."


@pytest.mark.parametrize("legs", ["", "0", "-1", "many", "99999999999999999999", "\u0665"])
def test_legs_that_make_no_sense_are_one_order(legs):
    limits = RateLimits()
    changes = {"path": {"variety": "iceberg"}, "form": [("iceberg_legs", legs)]}
    assert not any(orders(limits, ORDERS_PER_MINUTE, WALL, **changes))


def test_a_refused_order_counts_for_its_minute():
    limits = RateLimits()
    orders(limits, ORDERS_PER_MINUTE, WALL, per_second=ORDERS_PER_MINUTE)
    assert passes(limits, "order", call(WALL + 30 * SECOND_NS)) == "Maximum allowed order requests exceeded."


def test_a_client_that_straddles_a_calendar_minute_has_no_more_orders_than_another():
    limits, starts = RateLimits(), WALL + 30 * SECOND_NS
    assert not any(orders(limits, 300, starts))
    said = orders(limits, 101, starts + 30 * SECOND_NS)
    assert said == [""] * 100 + ["Maximum allowed order requests exceeded."]
    assert passes(limits, "order", call(starts + MINUTE_NS)) == ""


def test_only_what_is_a_minute_old_makes_room():
    limits = RateLimits()
    assert not any(orders(limits, 5, WALL))
    assert not any(orders(limits, ORDERS_PER_MINUTE - 5, WALL + 10 * SECOND_NS))
    said = orders(limits, 6, WALL + MINUTE_NS)
    assert said == [""] * 5 + ["Maximum allowed order requests exceeded."]


def test_who_tries_again_and_again_is_let_in_when_the_minute_has_room():
    limits = RateLimits()
    said = orders(limits, 10 * 120, WALL)
    assert said.count("") == 2 * ORDERS_PER_MINUTE
    assert said[600:1_000] == [""] * ORDERS_PER_MINUTE


def test_limits_can_be_off():
    limits = RateLimits(enabled=False)
    assert not any(orders(limits, 2 * ORDERS_PER_MINUTE, WALL, per_second=ORDERS_PER_MINUTE))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 5 * SECOND_NS), max_size=120))
def test_no_calendar_second_ever_has_more_than_its_calls(gaps):
    limits, now, passed = RateLimits(), WALL, {}
    for gap in gaps:
        now += gap // 20
        if not passes(limits, "other", call(now, kind="x")):
            passed[now // SECOND_NS] = passed.get(now // SECOND_NS, 0) + 1
    assert all(count <= 10 for count in passed.values())
