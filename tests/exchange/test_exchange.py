"""The exchange as a whole: how its time is walked, and how its parts hear of each other."""

import json

import pytest

from alphapanda.exchange.clock import MAX
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.faults import Script, read_script
from alphapanda.exchange.options import API_KEY, Options
from alphapanda.times import SECOND_NS, to_ist

TOKEN = "abcdefgh"
ORDER = {
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "quantity": "1",
    "product": "CNC",
    "order_type": "MARKET",
    "market_protection": "-1",
}


def opened(script="", speed=1.0):
    faults = read_script(script, "test") if script else Script(())
    return Exchange(Options(access_token=TOKEN), faults, wall=lambda: 0, speed=speed)


def lines(exchange, *kinds):
    return [json.loads(line) for line in exchange.history.lines(0, frozenset(kinds))]


def now(exchange):
    return to_ist(exchange.clock.now_ns).isoformat()


def subscribed(exchange):
    connection = exchange.stream.connect(API_KEY, TOKEN, exchange.clock.now_ns)
    token = exchange.market.listing.by_key("NSE:INFY").token
    exchange.stream.receive(connection, json.dumps({"a": "subscribe", "v": [token]}), exchange.clock.now_ns)
    return connection


def test_it_opens_at_the_start_of_the_session():
    exchange = opened()
    assert now(exchange) == "2026-04-15T09:15:00+05:30"
    share = exchange.market.listing.by_key("NSE:INFY")
    assert exchange.market.hours.may_enter(share, exchange.clock.now_ns)


def test_what_is_due_happens_on_the_way_and_nothing_after_it():
    exchange, happened = opened(), []
    start = exchange.clock.now_ns
    for seconds in (3, 1, 2):
        exchange.schedule.at(start + seconds * SECOND_NS, happened.append)
    exchange.advance(start + 2 * SECOND_NS)
    assert happened == [start + SECOND_NS, start + 2 * SECOND_NS]
    assert exchange.clock.now_ns == start + 2 * SECOND_NS


@pytest.mark.parametrize("stride_s", [0.1, 7.0])
def test_the_way_to_a_moment_does_not_change_what_happens(stride_s):
    """In many small steps, or in one."""
    walked, jumped = opened(), opened()
    until = walked.clock.now_ns + 30 * SECOND_NS
    for exchange in (walked, jumped):
        subscribed(exchange)
        exchange.desk.place("regular", ORDER, exchange.clock.now_ns)
    while walked.clock.now_ns < until:
        walked.advance(min(until, walked.clock.now_ns + int(stride_s * SECOND_NS)))
    jumped.advance(until)
    assert list(walked.history.lines()) == list(jumped.history.lines())


def test_a_walk_in_parts_comes_to_the_same_end():
    exchange = opened()
    until = exchange.clock.now_ns + 60 * SECOND_NS
    parts = 0
    while exchange.step_towards(until):
        parts += 1
    assert parts
    assert exchange.clock.now_ns == until


def test_at_the_highest_speed_the_clock_stands_while_nobody_watches():
    exchange = opened(speed=MAX)
    assert not exchange.leap(0)
    assert now(exchange) == "2026-04-15T09:15:00+05:30"


def test_at_the_highest_speed_an_order_lives_its_life_and_then_the_clock_stands():
    exchange = opened(speed=MAX)
    exchange.desk.place("regular", ORDER, exchange.clock.now_ns)
    while exchange.leap(0):
        pass
    assert lines(exchange, "order")[-1]["status"] == "COMPLETE"
    assert "2026-04-15T09:15:00.1" < now(exchange) < "2026-04-15T09:20"
    assert not exchange.clock.paused


def test_at_the_highest_speed_the_day_ends_with_a_pause_and_the_next_one_too():
    exchange = opened(speed=MAX)
    connection = subscribed(exchange)
    for day in ("2026-04-15", "2026-04-16"):
        while exchange.leap(0):
            connection.outbox.clear()
        assert exchange.clock.paused
        last = max(
            exchange.market.hours.closes_ns(listed, exchange.clock.now_ns)
            for listed in exchange.market.listing.all()
        )
        assert exchange.clock.now_ns == last + 60 * SECOND_NS
        assert now(exchange).startswith(day)
        exchange.clock.resume(0)
        assert [line["do"] for line in lines(exchange, "clock")][-1] == "pause"


def test_the_owners_order_of_a_fault_is_placed_or_its_refusal_is_written_down():
    order = "exchange='NSE', tradingsymbol='INFY', transaction_type='BUY', product='CNC'"
    exchange = opened(
        f"""
        [[fault]]
        do = "manual_order"
        at = "09:15:01"
        order = {{ {order}, quantity=1, order_type='MARKET', market_protection=-1 }}
        [[fault]]
        do = "manual_order"
        at = "09:15:01"
        order = {{ {order}, quantity=1, order_type='LIMIT' }}
        """
    )
    exchange.advance(exchange.clock.now_ns + 5 * SECOND_NS)
    rows = lines(exchange, "order")
    assert {row["by"] for row in rows} == {"owner"}
    assert rows[-1]["status"] == "COMPLETE"
    assert len(lines(exchange, "order_refused")) == 1


def test_a_new_day_ends_the_session_and_empties_the_book():
    exchange = opened()
    exchange.desk.place("regular", ORDER, exchange.clock.now_ns)
    exchange.advance(exchange.clock.now_ns + 5 * SECOND_NS)
    assert exchange.desk.book(exchange.clock.now_ns)
    exchange.advance(exchange.clock.now_ns + 21 * 3600 * SECOND_NS)
    assert [line["at"] for line in lines(exchange, "day")] == ["2026-04-16T06:00:00+05:30"]
    assert not exchange.sessions.valid(API_KEY, TOKEN)
    assert exchange.desk.book(exchange.clock.now_ns) == []
