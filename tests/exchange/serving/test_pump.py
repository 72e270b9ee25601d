"""What keeps the exchange's time."""

from functools import partial
from time import monotonic_ns

import anyio
import pytest

from alphapanda.exchange.clock import MAX
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.faults import Script
from alphapanda.exchange.options import Options
from alphapanda.exchange.serving.pump import LONGEST_WAIT_S, Pump
from alphapanda.times import SECOND_NS

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
    exchange = Exchange(Options(), Script(()), wall=lambda: 0, speed=speed)
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
            with anyio.fail_after(60):
                await done.wait()
            tasks.cancel_scope.cancel()

    starts = exchange.clock.now_ns
    anyio.run(watch)
    assert happened == [starts + 10 * SECOND_NS]


def test_who_changes_what_is_due_wakes_it():
    pump, exchange = pumping()
    exchange.clock.pause(monotonic_ns())

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
