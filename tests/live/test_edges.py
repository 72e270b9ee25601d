"""The queues between stages: what is kept, what is folded, who waits, and that nobody waits for ever."""

import asyncio
from collections import deque

import pytest
from builders import INFY, TCS, TEN_NS, batch, tick
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.errors import Fatal
from alphapanda.events import Snapshot, TickBatch
from alphapanda.live.edges import YIELD_EVERY, Inbox, Overflow, Quiet

CAPACITY, BOUND = 3, 6


def run(main):
    return asyncio.run(main(), debug=True)


def small(quiet=None):
    return Inbox("risk", quiet or Quiet(), capacity=CAPACITY, bound=BOUND)


def emptied(inbox):
    found = []
    while (event := inbox.take()) is not None:
        found.append(event)
        inbox.done()
    return found


async def turns(count=5):
    """Let everybody who can run, run."""
    for _ in range(count):
        await asyncio.sleep(0)


class Model:
    """What an inbox is, in plain lists."""

    def __init__(self):
        self.items, self.cell, self.ticks, self.listed, self.folded = deque(), None, {}, (), 0
        self.last = None

    def put_latest(self, new):
        if self.last is None and sum(type(item) is TickBatch for item in self.items) < CAPACITY:
            self.items.append(new)
            return
        for one in new.ticks:
            self.folded += one.instrument_token in self.ticks
            self.ticks[one.instrument_token] = one
        self.listed, self.last = self.listed + new.listed, new

    def take(self):
        if self.cell is not None:
            found, self.cell = self.cell, None
        elif self.items:
            found = self.items.popleft()
        elif self.last is not None:
            found = (self.last.time_ns, self.last.row, tuple(self.ticks.values()), self.listed)
            self.last, self.ticks, self.listed = None, {}, ()
        else:
            found = None
        return found

    def __len__(self):
        return len(self.items) + (self.cell is not None) + (self.last is not None)


ticks = st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.floats(1, 9)), min_size=1, max_size=3)
moves = st.lists(
    st.one_of(
        st.tuples(st.just("latest"), ticks),
        st.tuples(st.just("bounded"), st.integers()),
        st.tuples(st.just("cell"), st.integers()),
        st.tuples(st.just("take"), st.none()),
    ),
    max_size=60,
)


@given(moves)
def test_an_inbox_is_a_list_a_cell_and_a_fold(moves):
    quiet = Quiet()
    inbox, model = small(quiet), Model()
    for number, (move, detail) in enumerate(moves, 1):
        match move:
            case "latest":
                new = batch(
                    *(tick(price, token) for token, price in detail),
                    at=number,
                    row=number,
                    received_ns=number,
                    listed=(INFY,) if number % 3 == 0 else (),
                )
                inbox.put_latest(new)
                model.put_latest(new)
            case "bounded":
                if len(model.items) >= BOUND:
                    with pytest.raises(Overflow):
                        inbox.put_bounded((number, detail))
                else:
                    inbox.put_bounded((number, detail))
                    model.items.append((number, detail))
            case "cell":
                inbox.put_cell(Snapshot({number: detail}))
                model.cell = Snapshot({number: detail})
            case _:
                found, expected = inbox.take(), model.take()
                if type(expected) is tuple and len(expected) == 4:
                    found = (found.time_ns, found.row, found.ticks, found.listed)
                assert found == expected
                if expected is not None:
                    inbox.done()
        assert len(inbox) == len(model) == quiet.busy
        assert inbox.folded == model.folded
        assert sum(type(item) is TickBatch for item in inbox._items) <= CAPACITY


def test_a_full_edge_folds_to_the_newest_tick_of_each_instrument():
    inbox = small()
    for number in range(1, CAPACITY + 1):
        inbox.put_latest(batch(tick(number), row=number))
    inbox.put_latest(batch(tick(10), tick(20, TCS.instrument_token), row=8, listed=(INFY,)))
    inbox.put_latest(batch(tick(11), row=9, at=3, received_ns=77, listed=(TCS,)))
    assert inbox.folded == 1
    *whole, folded = emptied(inbox)
    assert [one.row for one in whole] == [1, 2, 3]
    assert {one.instrument_token: one.last_price for one in folded.ticks} == {
        INFY.instrument_token: 11,
        TCS.instrument_token: 20,
    }
    assert (folded.row, folded.received_ns, folded.listed) == (9, 77, (INFY, TCS))
    assert folded.time_ns == TEN_NS + 3 * 10**9


def test_two_ticks_of_one_instrument_in_one_batch_are_folded_too():
    inbox = small()
    for number in range(CAPACITY):
        inbox.put_latest(batch(tick(number + 1.0)))
    inbox.put_latest(batch(tick(10), tick(11)))
    assert inbox.folded == 1
    assert [one.last_price for one in emptied(inbox)[-1].ticks] == [11]


def test_ticks_do_not_take_the_room_of_reports():
    inbox = Inbox("execution", Quiet(), capacity=1, bound=3)
    for number in range(9):
        inbox.put_latest(batch(tick(number + 1.0)))
    inbox.put_bounded("report")
    assert emptied(inbox)[:2] == [batch(tick(1.0)), "report"]


def test_an_overflow_says_where_and_is_fatal():
    inbox = small()
    for number in range(BOUND):
        inbox.put_bounded(number)
    with pytest.raises(Overflow, match="6 events wait for risk: more than can exist") as caught:
        inbox.put_bounded(BOUND)
    assert isinstance(caught.value, Fatal)
    assert emptied(inbox) == list(range(BOUND))


def test_the_newest_snapshot_comes_first_and_alone():
    inbox = small()
    inbox.put_bounded("before")
    inbox.put_cell(Snapshot({"paper": 1}))
    inbox.put_cell(Snapshot({"paper": 2}))
    assert len(inbox) == 2
    assert emptied(inbox) == [Snapshot({"paper": 2}), "before"]


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 3))
def test_an_edge_that_keeps_all_loses_nothing_and_never_holds_more_than_it_may(pauses, producers):
    """Whoever is slow, the producers or the reader."""
    got, longest = [], 0

    async def produce(inbox, name):
        for number, pause in enumerate(pauses):
            await turns(pause)
            await inbox.put_all((name, number))

    async def main():
        nonlocal longest
        inbox = Inbox("risk", Quiet(), capacity=2)
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            for name in range(producers):
                group.create_task(produce(inbox, name))
            for number in range(len(pauses) * producers):
                got.append(await inbox.get())
                longest = max(longest, len(inbox))
                await turns(pauses[number % len(pauses)])
                inbox.done()

    asyncio.run(main())
    assert longest <= 2
    assert len(got) == len(pauses) * producers
    for name in range(producers):
        assert [number for owner, number in got if owner == name] == list(range(len(pauses)))


def test_a_producer_waits_while_the_edge_is_full_and_goes_on_when_it_is_not():
    async def main():
        quiet = Quiet()
        inbox = small(quiet)
        for number in range(CAPACITY):
            await inbox.put_all(number)
        late = asyncio.create_task(inbox.put_all("late"))
        await turns()
        assert not late.done()
        assert quiet.busy == CAPACITY
        assert await inbox.get() == 0
        inbox.done()
        await late
        assert emptied(inbox) == [1, 2, "late"]
        assert quiet.busy == 0

    run(main)


def test_a_producer_that_is_cancelled_puts_nothing():
    async def main():
        inbox = small()
        for number in range(CAPACITY):
            await inbox.put_all(number)
        given_up, patient = (asyncio.create_task(inbox.put_all(name)) for name in ("given up", "patient"))
        await turns()
        given_up.cancel()
        await asyncio.wait([given_up])
        inbox.take()
        async with asyncio.timeout(20):
            await patient
        assert emptied(inbox) == [1, 2, "patient"]

    run(main)


def test_a_producer_cancelled_in_the_moment_it_is_let_in_leaves_its_place_to_the_next():
    async def main():
        inbox = Inbox("risk", Quiet(), capacity=1)
        await inbox.put_all("first")
        given_up, patient = (asyncio.create_task(inbox.put_all(name)) for name in ("given up", "patient"))
        await turns()
        assert inbox.take() == "first"
        given_up.cancel()
        async with asyncio.timeout(20):
            await patient
        assert emptied(inbox) == ["patient"]
        await asyncio.wait([given_up])
        assert given_up.cancelled()

    run(main)


@pytest.mark.parametrize("put", ["put_latest", "put_bounded", "put_cell", "put_all"])
def test_whatever_comes_wakes_the_reader(put):
    async def main():
        inbox = small()
        reader = asyncio.create_task(inbox.get())
        await turns()
        assert not reader.done()
        event = {"put_latest": batch(tick(1)), "put_cell": Snapshot({})}.get(put, "event")
        done = getattr(inbox, put)(event)
        if done is not None:
            await done
        async with asyncio.timeout(20):
            assert await reader == event

    run(main)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_reader_that_is_cancelled_loses_nothing(moment):
    """Even in the moment in which it was woken."""

    async def main():
        inbox = small()
        reader = asyncio.create_task(inbox.get())
        await turns()
        if moment == "after":
            inbox.put_bounded("event")
        reader.cancel()
        await asyncio.wait([reader])
        assert reader.cancelled()
        if moment == "before":
            inbox.put_bounded("event")
        async with asyncio.timeout(20):
            assert await inbox.get() == "event"

    run(main)


def test_a_stage_with_a_backlog_lets_the_others_run():
    async def main():
        inbox = Inbox("risk", Quiet(), bound=1000)
        ran = 0

        async def other():
            nonlocal ran
            while True:
                ran += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        for number in range(10 * YIELD_EVERY):
            inbox.put_bounded(number)
        for _ in range(10 * YIELD_EVERY):
            await inbox.get()
        task.cancel()
        await asyncio.wait([task])
        assert ran >= 9

    run(main)


def test_quiet_is_when_nothing_is_queued_and_nobody_is_at_work():
    async def main():
        quiet = Quiet()
        inbox = small(quiet)
        await quiet.wait()
        inbox.put_bounded("event")
        waiters = [asyncio.create_task(quiet.wait()) for _ in range(3)]
        inbox.take()
        await turns()
        assert not any(waiter.done() for waiter in waiters)
        inbox.put_bounded("what it led to")
        inbox.done()
        await turns()
        assert not any(waiter.done() for waiter in waiters)
        inbox.take()
        inbox.done()
        async with asyncio.timeout(20):
            await asyncio.gather(*waiters)
        assert quiet.busy == 0

    run(main)


def test_quiet_that_is_over_before_its_waiter_ran_is_waited_for_again():
    async def main():
        quiet = Quiet()
        inbox = small(quiet)
        inbox.put_bounded("first")
        waiter = asyncio.create_task(quiet.wait())
        await turns()
        inbox.take()
        inbox.done()
        inbox.put_bounded("second")
        await turns()
        assert not waiter.done()
        inbox.take()
        inbox.done()
        async with asyncio.timeout(20):
            await waiter

    run(main)


def test_a_waiter_for_quiet_that_gives_up_disturbs_nobody():
    async def main():
        quiet = Quiet()
        inbox = small(quiet)
        inbox.put_bounded("event")
        given_up, patient = (asyncio.create_task(quiet.wait()) for _ in range(2))
        await turns()
        given_up.cancel()
        await asyncio.wait([given_up])
        inbox.take()
        inbox.done()
        async with asyncio.timeout(20):
            await patient

    run(main)


def test_a_folded_batch_and_an_overwritten_snapshot_are_one_event_each_for_quiet():
    quiet = Quiet()
    inbox = small(quiet)
    for number in range(CAPACITY + 4):
        inbox.put_latest(batch(tick(number + 1.0)))
        inbox.put_cell(Snapshot({"paper": number}))
    assert quiet.busy == len(inbox) == CAPACITY + 2
    emptied(inbox)
    assert quiet.busy == 0
