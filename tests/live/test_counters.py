"""Counts and latencies: near enough, and never growing."""

import sys
from math import ceil
from time import perf_counter_ns, time_ns

import pytest
from builders import TCS, batch, fill, order, signal, tick
from hypothesis import given
from hypothesis import strategies as st
from sessions import refused

from alphapanda.events import Approved, OrderFilled, OrderOpened, OrderStatus, OrderUpdated
from alphapanda.live.counters import STEPS, Counters, Latency, _bucket, _edge

elapsed = st.integers(STEPS, 10**12) | st.integers(STEPS, 10**4)


def latency(*measured):
    made = Latency()
    for one in measured:
        made.add(one)
    return made


@given(st.lists(elapsed, min_size=1, max_size=200), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_within_seven_percent_of_the_exact_one(measured, share):
    exact = sorted(measured)[ceil(share * len(measured)) - 1]
    assert exact <= latency(*measured).percentile(share) <= exact * 1.07


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=200))
def test_the_summary_is_in_order_and_the_largest_is_exact(measured):
    summary = latency(*measured).summary()
    assert summary["p50"] <= summary["p99"] <= summary["max"] == max(measured) / 1000
    assert summary["count"] == len(measured)


@given(st.integers(0, 10**15))
def test_every_duration_has_one_bucket_that_reaches_just_over_it(duration):
    bucket = _bucket(duration)
    assert duration < _edge(bucket)
    assert bucket == 0 or _edge(bucket - 1) <= duration


def test_nothing_measured_is_zero():
    assert Latency().summary() == {"p50": 0.0, "p99": 0.0, "max": 0.0, "count": 0}


def test_memory_does_not_grow_with_what_is_measured():
    made = Latency()
    for exponent in range(50):
        for step in range(100):
            made.add((1 << exponent) + step * (1 << exponent) // 100)
    assert len(made._buckets) <= 51 * STEPS
    size = sys.getsizeof(made._buckets)
    for exponent in range(50):
        for step in range(100):
            made.add((1 << exponent) + step * (1 << exponent) // 100)
    assert sys.getsizeof(made._buckets) == size


def test_ticks_and_instruments_are_counted():
    counters = Counters()
    assert counters.ticks_summary() == {
        "received": 0, "per_second": 0.0, "last_age_s": None, "instruments": 0
    }  # fmt: skip
    counters.tick(batch(tick(1), tick(2, TCS.instrument_token)))
    counters.tick(batch(tick(3)))
    summary = counters.ticks_summary()
    assert (summary["received"], summary["instruments"]) == (3, 2)
    assert 0 <= summary["last_age_s"] < 60


def test_the_rate_is_of_the_last_second_or_more():
    counters = Counters()
    then, _ = counters._sampled
    counters.tick(batch(*(tick(1) for _ in range(500))))
    counters.second()
    assert counters.per_second == 0.0
    counters._sampled = (then - 2.0, 0)
    counters.second()
    assert 0 < counters.per_second <= 250
    counters._sampled = (counters._sampled[0] - 5.0, counters.ticks)
    counters.second()
    assert counters.per_second == 0.0


def test_the_way_from_tick_to_signal_and_to_the_first_byte_is_timed():
    counters = Counters()
    now = perf_counter_ns()
    counters.tap(signal(received_ns=now - 5_000_000))
    counters.tap(OrderUpdated(order(status=OrderStatus.SENT, received_ns=now - 9_000_000)))
    assert counters.tick_to_signal.summary()["count"] == 1
    assert 5_000 <= counters.tick_to_signal.summary()["max"] < 60_000_000
    assert counters.tick_to_order.summary()["count"] == 1
    assert 9_000 <= counters.tick_to_order.summary()["max"] < 60_000_000


@pytest.mark.parametrize(
    "event",
    [
        signal(received_ns=0),
        OrderUpdated(order(status=OrderStatus.OPEN, received_ns=5)),
        OrderOpened(order(received_ns=5)),
        OrderUpdated(order(status=OrderStatus.SENT, received_ns=0)),
    ],
    ids=["a signal of no tick", "an answer", "an intent", "an order of no tick"],
)
def test_what_has_no_latency_is_not_timed(event):
    counters = Counters()
    counters.tap(event)
    assert counters.tick_to_signal.count == counters.tick_to_order.count == 0


def passed(counters):
    return {
        (stage, broker): count.number
        for stage, by_broker in counters.passed.items()
        for broker, count in by_broker.items()
    }


PASSES = {
    "a signal at each of its brokers": (
        signal(brokers=("paper", "zerodha")),
        "signals",
        ["paper", "zerodha"],
    ),
    "an approval": (Approved(order(broker="zerodha"), signal()), "signals_validated", ["zerodha"]),
    "a verdict that is no approval": (refused(), "signals_rejected", ["paper"]),
    "an order that was sent": (OrderUpdated(order(status=OrderStatus.SENT)), "orders", ["paper"]),
    "a fill": (OrderFilled(order(status=OrderStatus.FILLED), fill()), "fills", ["paper"]),
}


@pytest.mark.parametrize("what", PASSES)
def test_what_passes_is_counted_for_its_broker_with_its_time(what):
    event, stage, brokers = PASSES[what]
    counters = Counters()
    before = time_ns()
    counters.tap(event)
    first = {broker: counters.passed[stage][broker].last_ns for broker in brokers}
    assert all(before <= last_ns <= time_ns() for last_ns in first.values())
    counters.tap(event)
    assert passed(counters) == {(stage, broker): 2 for broker in brokers}
    assert all(counters.passed[stage][broker].last_ns >= last_ns for broker, last_ns in first.items())


@pytest.mark.parametrize(
    "event",
    [OrderOpened(order()), OrderUpdated(order(status=OrderStatus.OPEN)), batch(tick(1))],
    ids=["an intent", "an answer", "a tick"],
)
def test_what_is_nothing_of_these_is_not_counted(event):
    counters = Counters()
    counters.tap(event)
    assert passed(counters) == {}


def test_the_time_of_the_last_tick_is_by_the_wall_clock():
    counters = Counters()
    assert counters.last_tick_ns() == 0
    before = time_ns()
    counters.tick(batch(tick(1)))
    assert abs(counters.last_tick_ns() - before) < 60e9
