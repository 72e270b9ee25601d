"""The daemon in this process: its doors are open before its store is, and until it is closed."""

import asyncio
import gc
import os
import signal
import sqlite3
import threading
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from builders import TEN_NS, batch, order, tick
from builders import signal as signal_
from journals import read, store_path, write
from msgspec.structs import replace
from running import write_config, write_ticks, zigzag
from sessions import CASH, DEADLINE_S, until

from alphapanda.config import load
from alphapanda.core.execution import KEPT_DAYS
from alphapanda.errors import CannotStart
from alphapanda.events import (
    AccountOpened,
    Approved,
    Halt,
    Order,
    OrderClosed,
    OrderOpened,
    OrderStatus,
    Resume,
    RowTaken,
)
from alphapanda.live import control, opening, warm_up
from alphapanda.live.daemon import Daemon
from alphapanda.live.options import Options
from alphapanda.store import journal, lock
from alphapanda.times import DAY_NS

ROWS = 6


@pytest.fixture
def folder(tmp_path):
    write_ticks(tmp_path, zigzag(ROWS))
    return tmp_path


@pytest.fixture
def brake(monkeypatch):
    """A journal that takes as long to fold as the test wants. `.begun` once its reader waits."""
    made = Brake()
    monkeypatch.setattr(journal, "read", made.read)
    yield made
    made.go.set()


class Brake:
    def __init__(self):
        self.begun, self.go, self.whole = threading.Event(), threading.Event(), journal.read

    def read(self, connection):
        self.begun.set()
        assert self.go.wait(DEADLINE_S)
        yield from self.whole(connection)


class Endless:
    """A finite feed of which nobody will see the end; its rows were all walked before."""

    identity = "endless"

    def __init__(self):
        self.shown = 0

    def continues(self, identity):
        return identity == self.identity

    def batches(self):
        while True:
            self.shown += 1
            yield batch(tick(100.0), at=self.shown, row=self.shown)

    def fraction_read(self):
        return 0.5

    def warnings(self):
        return []


@pytest.fixture
def endless(folder, monkeypatch):
    """A warm-up that does not end."""
    write(store_path(folder), AccountOpened("paper", CASH), RowTaken("endless", 10**15, 0))
    feed = Endless()
    monkeypatch.setattr(opening, "_open_feed", lambda _loaded, _book: feed)
    return feed


def words(folder):
    """What the journal says of the kill switch."""
    return [
        (type(event), event.reason, event.by)
        for event in read(store_path(folder))
        if isinstance(event, (Halt, Resume))
    ]


def daemon_of(folder, **options):
    loaded = load(write_config(folder), environ={}, cwd=folder)
    return Daemon(loaded, Options(calendar=False, **options))


@asynccontextmanager
async def running(folder, **options):
    """A daemon that does not outlive the block; a start that fails fails the block."""
    daemon = daemon_of(folder, **options)
    task = asyncio.create_task(daemon.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield daemon, task
            await asyncio.wait([task])
            task.result()
    finally:
        daemon.stop()
        if not task.done():
            task.cancel()
        await asyncio.wait([task])


def socket_of(daemon):
    return Path(daemon.settings.control.socket)


def kill_file_of(daemon):
    return Path(daemon.settings.control.kill_file)


async def ask(daemon, command, **more):
    """Over the socket, as the command does it."""
    path = socket_of(daemon)
    while True:
        try:
            return await asyncio.to_thread(control.ask, path, {"command": command} | more, DEADLINE_S)
        except control.Unreachable:  # not yet: the deadline is that of `running`
            await asyncio.sleep(0)


def run(main):
    return asyncio.run(main(), debug=True)


def test_status_answers_while_the_journal_is_folded(folder, brake):
    async def main():
        async with running(folder, until_end=True) as (daemon, _):
            said = (await ask(daemon, "status"))["result"]
            assert (said["state"], said["trading_enabled"], said["pid"]) == ("starting", False, os.getpid())
            assert (said["brokers"], said["strategies"]) == ({}, {})
            await until(brake.begun.is_set)
            assert (await ask(daemon, "status"))["result"]["state"] == "starting"
            assert lock.holder(store_path(folder)) == os.getpid()
            refused = await ask(daemon, "kill_switch_off", reason="over")
            assert refused == {"ok": False, "error": "the daemon is still starting; try again in a moment"}
            brake.go.set()

    run(main)
    assert [event.row for event in read(store_path(folder)) if isinstance(event, RowTaken)][-1] == ROWS
    assert lock.holder(store_path(folder)) is None


@pytest.mark.parametrize("how", ["the method", "the command", "SIGTERM", "SIGINT"])
def test_a_daemon_that_is_stopped_while_the_journal_is_folded_leaves_with_zero(folder, brake, how, logged):
    async def main():
        async with running(folder) as (daemon, task):
            await until(brake.begun.is_set)
            await stopped(daemon, how)
            brake.go.set()
            assert await task == 0
            assert daemon.opened is None
            assert not socket_of(daemon).exists()

    run(main)
    assert not [line for line in logged if line.startswith("ready")]
    assert [event for event in read(store_path(folder)) if isinstance(event, RowTaken)] == []
    assert lock.holder(store_path(folder)) is None


async def stopped(daemon, how):
    match how:
        case "the method":
            daemon.stop()
        case "the command":
            assert (await ask(daemon, "stop"))["result"] == {"pid": os.getpid()}
        case _:
            os.kill(os.getpid(), signal.Signals[how])
            await until(lambda: daemon.stopping)


def test_a_stop_while_the_journal_is_folded_is_not_forgotten_when_a_long_warm_up_follows(
    folder, brake, endless
):
    async def main():
        async with running(folder) as (daemon, task):
            await until(brake.begun.is_set)
            daemon.stop()
            brake.go.set()
            assert await task == 0

    run(main)
    assert endless.shown == 0


@pytest.mark.parametrize("how", ["the method", "the command", "SIGTERM"])
def test_a_long_warm_up_is_answered_and_stopped(folder, endless, how, logged):
    async def main():
        async with running(folder) as (daemon, task):
            await until(lambda: endless.shown > warm_up.ROWS_AT_ONCE)
            assert (await ask(daemon, "status"))["result"]["state"] == "starting"
            await stopped(daemon, how)
            assert await task == 0
            assert daemon.opened is None

    before = read(store_path(folder))
    run(main)
    assert read(store_path(folder)) == before
    assert not [line for line in logged if line.startswith("ready")]
    assert lock.holder(store_path(folder)) is None


@pytest.mark.parametrize("door", ["the socket", "SIGUSR1"])
def test_a_kill_during_the_start_is_journaled_once_the_store_is_open(folder, brake, door):
    async def main():
        async with running(folder) as (daemon, _):
            await until(brake.begun.is_set)
            if door == "the socket":
                said = (await ask(daemon, "kill_switch_on", reason="news", by="uid 7"))["result"]
                assert said["kill_switch"]["on"]
            else:
                os.kill(os.getpid(), signal.SIGUSR1)
                await until(kill_file_of(daemon).exists)  # the flag comes first
            assert kill_file_of(daemon).read_text() == f"{reason}\n"
            brake.go.set()
            await until(lambda: daemon.state == "running")
            assert (await ask(daemon, "status"))["result"]["state"] == "halted"
            assert words(folder) == [(Halt, reason, by)]
            daemon.stop()

    reason, by = ("news", "uid 7") if door == "the socket" else ("SIGUSR1", "signal")
    run(main)
    assert words(folder) == [(Halt, reason, by)]
    assert not any(type(event).__name__ == "Approved" for event in read(store_path(folder)))


def test_a_kill_during_a_start_that_is_stopped_holds_for_the_next_one(folder, endless, monkeypatch):
    async def killed():
        async with running(folder) as (daemon, task):
            await until(lambda: endless.shown > warm_up.ROWS_AT_ONCE)
            assert (await ask(daemon, "kill_switch_on", reason="news"))["ok"]
            daemon.stop()
            assert await task == 0

    async def next_one():
        async with running(folder) as (daemon, _):
            await until(lambda: daemon.state == "running")
            assert not daemon.gate.is_open
            assert (await ask(daemon, "kill_switch_off", reason="over", by="uid 7"))["ok"]
            assert daemon.gate.is_open
            assert not kill_file_of(daemon).exists()
            daemon.stop()

    run(killed)
    assert words(folder) == []
    monkeypatch.undo()
    run(next_one)
    assert words(folder) == [(Halt, "news", "kill file"), (Resume, "over", "uid 7")]


def test_a_second_daemon_is_refused_with_the_pid_of_the_first_and_disturbs_nothing(folder):
    async def main():
        async with running(folder) as (daemon, _):
            await until(lambda: daemon.state == "running")
            with pytest.raises(
                CannotStart, match=rf"is in use by the daemon with pid {os.getpid()}; stop it"
            ):
                await daemon_of(folder).run()
            assert (await ask(daemon, "status"))["result"]["state"] == "running"
            assert lock.holder(store_path(folder)) == os.getpid()
            daemon.stop()

    run(main)


def test_a_start_that_is_refused_keeps_neither_lock_nor_socket(folder):
    write(store_path(folder), AccountOpened("paper", CASH))
    with pytest.raises(CannotStart, match="--from-start needs an empty store"):
        run(daemon_of(folder, from_start=True).run)
    assert lock.holder(store_path(folder)) is None
    assert not (folder / "var" / "control.sock").exists()
    assert len(read(store_path(folder))) == 1


def test_a_damaged_journal_stops_the_start_though_the_doors_were_open(folder):
    write(store_path(folder), AccountOpened("paper", CASH))
    with closing(sqlite3.connect(store_path(folder))) as connection:
        connection.execute("UPDATE journal SET at_ns = at_ns + 1")
        connection.commit()
    with pytest.raises(CannotStart, match="journal row 1 does not follow from the row before"):
        run(daemon_of(folder).run)
    assert lock.holder(store_path(folder)) is None


def test_a_daemon_goes_on_where_it_was_stopped(folder):
    async def main():
        async with running(folder, until_end=True):
            pass

    run(main)
    first = read(store_path(folder))
    assert [event.row for event in first if isinstance(event, RowTaken)][-1] == ROWS
    write_ticks(folder, zigzag(ROWS + 3))
    run(main)
    later = [event.row for event in read(store_path(folder))[len(first) :] if isinstance(event, RowTaken)]
    assert later[-1] == ROWS + 3
    assert min(later) >= ROWS


def test_what_ended_long_ago_is_not_kept_while_it_trades(folder):
    """One order a day: of a long past only the last days are still in memory."""
    days = 60
    past = [
        order(strategy_id="of_the_past", sequence=day, created_ns=at_ns, updated_ns=at_ns)
        for day in range(1, days + 1)
        for at_ns in (TEN_NS + (day - days) * DAY_NS,)
    ]
    rejected = [OrderClosed(replace(each, status=OrderStatus.REJECTED)) for each in past]
    pairs = zip(map(OrderOpened, past), rejected, strict=True)
    write(store_path(folder), AccountOpened("paper", CASH), *(event for pair in pairs for event in pair))
    del past, rejected, pairs

    def alive():
        gc.collect()
        found = [each for each in gc.get_objects() if type(each) is Order]
        return {each.order_id for each in found if each.strategy_id == "of_the_past"}

    async def main():
        async with running(folder) as (daemon, _):
            await until(lambda: daemon.state == "running")
            kept = alive()
            assert kept == {f"O{day:06d}" for day in range(days - KEPT_DAYS, days + 1)}
            assert daemon.status()["brokers"]["paper"]["orders_total"] == days
            daemon.stop()

    run(main)


def test_orders_at_a_broker_that_is_not_active_any_more_are_named_and_end_nothing(folder, logged):
    """The kill switch cannot reach them, and says so; what it can reach it does."""
    opened = order(broker="zerodha", status=OrderStatus.OPEN, broker_order_id="77")
    write(
        store_path(folder),
        AccountOpened("paper", CASH),
        AccountOpened("zerodha", CASH),
        Approved(order(broker="zerodha"), signal_()),
        OrderOpened(opened),
    )

    async def main():
        async with running(folder, speed=0.001) as (daemon, task):
            await until(lambda: daemon.state == "running")
            first = daemon._life
            assert (await ask(daemon, "kill_switch_on", reason="news"))["ok"]
            await until(lambda: daemon.switch.state()["leftovers"])
            (left,) = daemon.switch.state()["leftovers"]
            assert "zerodha is not in active_brokers" in str(left)
            assert (await ask(daemon, "close"))["result"]["closing"] == []
            assert daemon._life is first, "no core has failed"
            daemon.stop()
            assert await task == 0

    run(main)
    assert any("nobody follows it" in line for line in logged)
