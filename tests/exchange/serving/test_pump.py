"""What keeps the exchange's time."""

import json
from functools import partial
from time import monotonic_ns

import anyio
import pytest

from alphapanda.exchange.clock import FASTEST, MAX
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.faults import Script
from alphapanda.exchange.options import API_KEY, Options
from alphapanda.exchange.serving.pump import LONGEST_WAIT_S, Pump
from alphapanda.exchange.stream.connection import FULL_HOUSE
from alphapanda.times import SECOND_NS

TOKEN = "t"
ORDER = {
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "quantity": "1",
    "product": "CNC",
    "order_type": "LIMIT",
    "price": "1250",
}


def pumping(speed=1.0):
    exchange = Exchange(Options(access_token=TOKEN), Script(()), wall=lambda: 0, speed=speed)
    return Pump(exchange), exchange


def test_it_sleeps_until_the_next_thing_is_due():
    pump, exchange = pumping()
    pump.catch_up()
    due_s = (exchange.schedule.next_ns - exchange.clock.now_ns) / SECOND_NS
    assert 0 <= pump._go_on() <= due_s


@pytest.mark.parametrize("speed", [1.0, MAX])
def test_a_clock_that_stands_lets_it_sleep(speed):
    pump, exchange = pumping(speed)
    if speed != MAX:
        exchange.clock.pause(monotonic_ns())
    before = exchange.clock.now_ns
    assert pump._go_on() == LONGEST_WAIT_S
    assert exchange.clock.now_ns == before


def test_at_the_highest_speed_it_goes_on_at_once_while_somebody_watches():
    pump, exchange = pumping(MAX)
    exchange.desk.place("regular", ORDER, exchange.clock.now_ns)
    before = exchange.clock.now_ns
    assert pump._go_on() == 0
    assert exchange.clock.now_ns > before


def test_what_is_due_happens_without_anybody_asking():
    pump, exchange = pumping(100.0)
    happened = []

    async def watch():
        async with anyio.create_task_group() as tasks:
            done = anyio.Event()
            exchange.schedule.at(exchange.clock.now_ns + 10 * SECOND_NS, happened.append)
            exchange.schedule.at(exchange.clock.now_ns + 10 * SECOND_NS, lambda _: done.set())
            tasks.start_soon(pump.run)
            pump.catch_up()
            with anyio.fail_after(60):
                await done.wait()
            tasks.cancel_scope.cancel()

    starts = exchange.clock.now_ns
    anyio.run(watch)
    assert happened == [starts + 10 * SECOND_NS]


def test_a_speed_that_is_too_high_for_the_machine_slips_and_lets_others_have_their_turn(monkeypatch):
    pump, exchange = pumping(FASTEST)
    pump.catch_up()

    def work(now_ns):
        exchange.schedule.at(now_ns + 1, work)

    exchange.schedule.at(exchange.clock.now_ns, work)
    monkeypatch.setattr("alphapanda.exchange.serving.pump.LONGEST_LATE_NS", SECOND_NS // 100)
    pump.catch_up()
    (slip,) = [json.loads(line) for line in exchange.history.lines(kinds=frozenset({"clock"}))]
    assert slip["do"] == "slip"
    assert slip["seconds"] > 0
    assert exchange.clock.wall_of(exchange.schedule.next_ns) <= monotonic_ns()


def test_time_begins_with_whoever_comes_first():
    pump, exchange = pumping(1_000_000.0)
    starts = exchange.clock.now_ns

    async def nobody_then_a_pause():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pump.run)
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            exchange.clock.pause(pump.catch_up())
            tasks.cancel_scope.cancel()

    anyio.run(nobody_then_a_pause)
    assert exchange.clock.now_ns == starts


def test_a_reader_that_is_behind_holds_up_nobody_while_time_runs_by_the_wall_clock():
    pump, exchange = pumping(10_000.0)
    exchange.desk.place("regular", ORDER, exchange.clock.now_ns)
    behind = exchange.stream.connect(API_KEY, TOKEN, exchange.clock.now_ns)
    for _ in range(FULL_HOUSE):
        behind.say("unread")

    async def watch():
        async with anyio.create_task_group() as tasks:
            done = anyio.Event()
            exchange.schedule.at(exchange.clock.now_ns + 100 * SECOND_NS, lambda _: done.set())
            tasks.start_soon(pump.run)
            pump.catch_up()
            with anyio.fail_after(20):
                await done.wait()
            tasks.cancel_scope.cancel()

    anyio.run(watch)
    assert exchange.stream.behind


def test_after_a_pause_it_walks_a_little_at_a_time_so_that_sockets_have_their_turns():
    pump, exchange = pumping(1.0)
    exchange.desk.place("regular", ORDER, exchange.clock.now_ns)
    pump.catch_up()
    starts = exchange.clock.now_ns
    exchange.clock.set_speed(1e9, monotonic_ns())
    assert pump._go_on() == 0
    assert 0 < exchange.clock.now_ns - starts < 60 * SECOND_NS


def test_who_changes_what_is_due_wakes_it():
    pump, exchange = pumping()
    exchange.clock.pause(pump.catch_up())

    async def watch(done):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pump.run)
            await anyio.wait_all_tasks_blocked()
            event = anyio.Event()
            exchange.schedule.at(exchange.clock.now_ns + 1, lambda _: event.set())
            exchange.clock.resume(monotonic_ns())
            pump.wake()
            with anyio.fail_after(LONGEST_WAIT_S / 2):
                await event.wait()
            done.append(True)
            tasks.cancel_scope.cancel()

    done = []
    anyio.run(partial(watch, done))
    assert done
