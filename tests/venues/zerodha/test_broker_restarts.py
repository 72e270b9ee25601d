"""The broker's tasks fail, and are run again: that is a restart, in the same process."""

from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from exchange_server import exchange_server
from msgspec.structs import replace
from zerodha_desk import TOKEN, Desk, K, S, log_in

from alphapanda import fail_points
from alphapanda.errors import Fatal
from alphapanda.fail_points import VARIABLE, Injected, armed_by
from alphapanda.venues.zerodha.wire import NotTaken


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    words = ("--access-token", TOKEN, "--no-rate-limits", "--speed", "20")
    with exchange_server(tmp_path_factory.mktemp("exchange"), *words) as running:
        yield running


@pytest.fixture
def arm(monkeypatch):
    def armed(words):
        monkeypatch.setattr(fail_points, "_POINTS", armed_by({VARIABLE: words}))

    return armed


def leaves(error):
    """The errors within a group."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in leaves(inner)]


def ids(desk, fill):
    return desk.order(fill.order_id).broker_order_id


class Runs:
    """The broker's `run`, again and again; `failures` has what each ended with."""

    def __init__(self, desk):
        self.desk = desk
        self.failures = []
        self.may = anyio.Event()
        self.may.set()

    async def run(self, *, task_status):
        while True:
            with suppress(Injected, NotTaken):
                try:
                    if not self.failures:
                        await self.desk.broker.run(task_status=task_status)
                    else:
                        await self.desk.broker.run()
                except ExceptionGroup as group:
                    self.failures.append(leaves(group)[0])
                    raise leaves(group)[0] from group
            await self.may.wait()


@asynccontextmanager
async def run_again_and_again(server, **options):
    server.admin("faults", {"clear": True, "fault": []})
    desk = Desk(server, **options)
    runs = Runs(desk)
    try:
        async with anyio.create_task_group() as group:
            await group.start(runs.run)
            yield desk, runs
            group.cancel_scope.cancel()
    finally:
        await desk.books.close()


PLACES = [
    ("answer_received", NotTaken),
    ("answer_booked", NotTaken),
    ("book_read", Injected),
    ("book_applied", Injected),
    ("report", Injected),
]


@pytest.mark.parametrize(("place", "kind"), PLACES)
def test_what_was_under_way_when_it_failed_ends_as_the_exchange_has_it(server, arm, place, kind, monkeypatch):
    """`report`: of what one reading says the first is told, and the fill behind it is not."""

    async def main():
        async with run_again_and_again(server) as (desk, runs):
            resting = await desk.place(part=0.97)
            await desk.becomes(resting, S.OPEN)
            if place == "report":
                desk.strike(
                    {"on": "order.place", "do": "fill_before_reply", "times": 1},
                    {"on": "order.place", "do": "drop_after", "times": 1},
                )

                def fails_once(_order, report):
                    if report.kind is K.ACCEPTED and not runs.failures:
                        raise Injected

                desk.broker.on_report = fails_once
            else:
                arm(f"{place}=raise")
            before = await desk.place(quantity=3)
            await desk.until(lambda: runs.failures)
            await desk.becomes(before, S.FILLED)
            await desk.until(lambda: not desk.held)
            after = await desk.place(quantity=4)
            await desk.becomes(after, S.FILLED)
            desk.cancel(resting)
            await desk.becomes(resting, S.CANCELLED)
            for fill in desk.fills:  # one that nobody had heard of is told with a longer id
                assert fill.trade_id in (tid := fill.trade_id.partition("-")[0], f"{tid}-{ids(desk, fill)}")
            desk.fills = [replace(fill, trade_id=fill.trade_id.partition("-")[0]) for fill in desk.fills]
            desk.judge()
            assert [type(each) for each in runs.failures] == [kind]
            assert all(desk.requests("order.place", order_id) == 1 for order_id in desk.mine)

    monkeypatch.setattr("alphapanda.venues.zerodha.reading.Need.NONE._value_", (0.2, 0.5))
    anyio.run(main)


def test_an_order_whose_loss_could_not_be_booked_is_looked_for_and_not_found(server, arm):
    async def main():
        async with run_again_and_again(server) as (desk, runs):
            desk.strike({"on": "order.place", "do": "drop_before"})
            arm("answer_received=raise")
            lost = await desk.place()
            await desk.until(lambda: runs.failures)
            await desk.becomes(lost, S.NOT_FOUND)
            assert K.NO_ANSWER in desk.kinds(lost)
            desk.judge()

    anyio.run(main)


def test_until_its_books_are_read_again_it_holds_everything_and_withholds_what_waited(server, arm):
    async def main():
        async with run_again_and_again(server) as (desk, runs):
            desk.strike({"on": "order.place", "do": "delay_after", "seconds": 2})
            waited = [await desk.place(part=0.97) for _ in range(5)]  # three entries may be under way
            assert desk.broker.summary()["budgets"]["waiting"] == 2
            runs.may = anyio.Event()
            arm("book_read=raise")
            desk.broker.wake()
            await desk.until(lambda: runs.failures)
            arm("")
            assert set(desk.held) == {"", "NSE:INFY"}
            assert [desk.order(each).status for each in waited] == [S.UNKNOWN] * 3 + [S.WITHHELD] * 2
            desk.strike()
            runs.may.set()
            for order_id in waited[:3]:
                await desk.becomes(order_id, S.OPEN)
            await desk.until(lambda: not desk.held)
            desk.judge()

    anyio.run(main)


def test_a_cancel_whose_answer_was_lost_with_the_tasks_is_asked_for_again(server, arm):
    async def main():
        async with run_again_and_again(server) as (desk, runs):
            resting = await desk.place(part=0.97)
            await desk.becomes(resting, S.OPEN)
            desk.strike({"on": "order.cancel", "do": "drop_before"})
            runs.may = anyio.Event()
            desk.cancel(resting)
            arm("book_read=raise")
            desk.broker.wake()
            await desk.until(lambda: runs.failures)
            arm("")
            desk.strike()
            runs.may.set()
            await desk.becomes(resting, S.CANCELLED)
            desk.judge()

    anyio.run(main)


def test_what_is_fatal_stays_fatal(server):
    async def main():
        async with run_again_and_again(server) as (desk, _):

            def fails(_order, _report):
                raise Fatal("the line is full")

            desk.broker.on_report = fails
            await desk.place()
            await desk.until(lambda: False)

    with pytest.raises(ExceptionGroup) as told:
        anyio.run(main)
    assert {type(each) for each in leaves(told.value)} == {Fatal}


def test_with_a_dead_session_it_waits_for_the_next_login_instead_of_giving_up(server, arm):
    """The last of those who come here with the first token."""

    async def main():
        async with run_again_and_again(server) as (desk, runs):
            arm("book_applied=raise")
            runs.may = anyio.Event()
            desk.broker.wake()
            await desk.until(lambda: runs.failures)
            desk.session.died(desk.session.epoch, "the test says so")
            runs.may.set()
            await anyio.sleep(0.3)
            assert len(runs.failures) == 1
            desk.session.renew(log_in(server))
            await desk.until(lambda: not desk.held)
            bought = await desk.place()
            await desk.becomes(bought, S.FILLED)
            desk.judge()

    anyio.run(main)
