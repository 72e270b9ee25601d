"""Fault rows M23 to M29: updates, partial fills, races, changes, stuck orders, broken books."""

import anyio
import pytest
from exchange_server import exchange_server
from websockets.asyncio.client import connect
from zerodha_desk import KEY, TOKEN, K, S, on_desk

PLACE, CANCEL, MODIFY = "order.place", "order.cancel", "order.modify"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    words = ("--access-token", TOKEN, "--no-rate-limits", "--speed", "20")
    with exchange_server(tmp_path_factory.mktemp("exchange"), *words) as running:
        yield running


def last(server):
    return server.history()[-1]["seq"]


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "duplicate_update"},
        {"do": "reorder_updates"},
        {"do": "lose_update"},
        {"do": "late_update", "seconds": 5},
    ],
    ids=lambda fault: fault["do"],
)
def test_M23_updates_that_are_doubled_reordered_lost_or_late_change_nothing_in_the_end(server, fault):  # noqa: N802 - the fault's name
    since = last(server)

    async def act(desk):
        async with (
            connect(f"{server.ws}?api_key={KEY}&access_token={TOKEN}", proxy=None) as ticker,
            anyio.create_task_group() as group,
        ):

            async def listen():
                async for frame in ticker:
                    if isinstance(frame, str) and '"order"' in frame:
                        desk.broker.wake()

            group.start_soon(listen)
            desk.strike(fault | {"on": "update"}, {"on": PLACE, "do": "partial_fills", "pieces": 3})
            order_id = await desk.place(quantity=9, part=1.01)
            resting = await desk.place(part=0.97)
            await desk.becomes(resting, S.OPEN)
            desk.cancel(resting)
            await desk.becomes(order_id, S.FILLED)
            await desk.becomes(resting, S.CANCELLED)
            group.cancel_scope.cancel()

    desk = on_desk(server, act)
    assert desk.fired(fault["do"], since)


def test_M24_a_fill_that_comes_before_the_reply_is_applied_by_its_tag(server):  # noqa: N802 - the fault's name
    since = last(server)

    async def act(desk):
        desk.strike(
            {"on": PLACE, "do": "fill_before_reply"}, {"on": PLACE, "do": "delay_after", "seconds": 0.8}
        )
        order_id = await desk.place(quantity=3)
        assert desk.order(order_id).status is S.SENT
        await desk.becomes(order_id, S.FILLED)
        assert desk.broker.summary()["wire"]["answers"] == 0
        await desk.broker.answered()
        assert desk.broker.summary()["wire"]["answers"] == 1

    desk = on_desk(server, act)
    assert desk.fired("fill_before_reply", since) == 1
    assert desk.kinds(desk.mine[0]) == [K.ACCEPTED, K.FILL]


@pytest.mark.parametrize("pieces", [2, 5])
def test_M25_an_order_that_trades_in_parts_and_is_cancelled_has_exactly_what_traded(server, pieces):  # noqa: N802 - the fault's name
    since = last(server)

    async def act(desk):
        desk.strike({"on": PLACE, "do": "partial_fills", "pieces": pieces})
        server.admin("clock", {"pause": True})  # so that nothing trades while nobody looks
        try:
            order_id = await desk.place(quantity=10, part=1.01)
            await stepped(desk, order_id, S.PARTIAL)
            desk.cancel(order_id)
            await stepped(desk, order_id, S.CANCELLED, S.FILLED)  # the rest may be quicker
        finally:
            server.admin("clock", {"resume": True})

    async def stepped(desk, order_id, *statuses):
        for _ in range(1000):
            if desk.order(order_id).status in statuses:
                return
            server.admin("clock", {"step": 0.02})
            await desk.refreshed()
        raise AssertionError(desk.order(order_id))

    desk = on_desk(server, act)
    assert desk.fired("partial_fills", since) == 1
    assert desk.kinds(desk.mine[0]).count(K.FILL) >= 1


def test_M26_the_book_decides_between_a_cancel_and_a_fill(server):  # noqa: N802 - the fault's name
    since = last(server)

    async def act(desk):
        order_id = await desk.place(part=0.97)
        await desk.becomes(order_id, S.OPEN)
        desk.strike({"on": CANCEL, "do": "fill_on_cancel"})
        desk.cancel(order_id)
        await desk.becomes(order_id, S.FILLED)

    desk = on_desk(server, act)
    assert desk.fired("fill_on_cancel", since) == 1
    assert desk.requests(CANCEL, desk.mine[0]) == 1


def test_M26_the_cancel_of_an_order_that_has_ended_changes_nothing(server):  # noqa: N802 - the fault's name
    async def act(desk):
        desk.strike({"on": "orders", "do": "down"})
        order_id = await desk.place(quantity=3)
        await desk.until(lambda: desk.theirs().get(desk.order(order_id).tag, {}).get("status") == "COMPLETE")
        await desk.becomes(order_id, S.OPEN)  # by the reply: no book has said more
        desk.cancel(order_id)
        await desk.broker.answered()
        assert desk.order(order_id).status is S.OPEN
        desk.strike()
        await desk.becomes(order_id, S.FILLED)

    desk = on_desk(server, act)
    assert desk.requests(CANCEL, desk.mine[0]) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"do": "reject", "message": "16346 : Order cannot be modified"}, ""),
        ({"do": "drop_after"}, ""),
        (
            {"do": "status", "code": 400, "message": "Order cannot be modified as it is being processed."},
            "processed",
        ),
    ],
    ids=lambda fault: fault["do"] if isinstance(fault, dict) else "",
)
def test_M27_a_change_that_is_refused_or_whose_reply_is_lost_leaves_the_order_as_the_book_has_it(  # noqa: N802 - the fault's name
    server, fault, words
):
    told, since = [], last(server)

    async def act(desk):
        order_id = await desk.place(part=0.97)
        made = await desk.becomes(order_id, S.OPEN)
        desk.strike({"on": MODIFY} | fault)
        desk.broker.modify(made, told.append, quantity=12)
        await desk.until(lambda: told)
        await desk.refreshed()
        assert desk.order(order_id).status is S.OPEN
        desk.cancel(order_id)
        await desk.becomes(order_id, S.CANCELLED)

    desk = on_desk(server, act)
    assert words in told[0]
    assert desk.fired(fault["do"], since) == 1
    assert desk.requests(MODIFY, desk.mine[0]) <= 1


@pytest.mark.parametrize("where", [PLACE, CANCEL])
def test_M28_a_stuck_order_stays_open_and_sees_no_storm_of_cancels(server, where):  # noqa: N802 - the fault's name
    since = last(server)

    async def act(desk):
        desk.strike({"on": where, "do": "stuck", "seconds": 16})
        order_id = await desk.place(part=0.97)
        await desk.becomes(order_id, S.OPEN)
        desk.cancel(order_id)
        for _ in range(5):
            await desk.refreshed()
        assert desk.order(order_id).status is S.OPEN
        assert desk.requests(CANCEL, order_id) == 1
        await desk.becomes(order_id, S.CANCELLED)

    desk = on_desk(server, act)
    assert desk.fired("stuck", since) == 1
    assert desk.requests(CANCEL, desk.mine[0]) <= 2


BROKEN = [
    {"on": "orders", "do": "down"},
    {"on": "orders", "do": "partial_book", "part": 0},
    {"on": "orders", "do": "partial_book", "part": 0.5},
    {"on": "orders", "do": "stale_book", "seconds": 3600},
    {"on": "trades", "do": "html"},
]


@pytest.mark.parametrize("fault", BROKEN, ids=lambda fault: " ".join(map(str, fault.values())))
@pytest.mark.parametrize("taken", [True, False])
def test_M29_broken_books_are_no_proof_of_absence(server, fault, taken):  # noqa: N802 - the fault's name
    since = last(server)

    async def act(desk):
        known = await desk.place(quantity=3)
        await desk.becomes(known, S.FILLED)
        desk.strike(fault, {"on": PLACE, "do": "drop_after" if taken else "drop_before"})
        doubtful = await desk.place(quantity=3)
        await desk.becomes(doubtful, S.UNKNOWN)
        for _ in range(5):
            desk.broker.wake()
            await anyio.sleep(0.05)
        assert desk.order(doubtful).status is S.UNKNOWN
        assert desk.held["NSE:INFY"] == f"order {doubtful} is in doubt"
        desk.strike()
        await desk.becomes(doubtful, S.FILLED if taken else S.NOT_FOUND)

    desk = on_desk(server, act, quiet_period_s=0.1)
    assert desk.fired(fault["do"], since) >= 2


MIXED = [
    *(
        {"on": PLACE, "do": do, "p": 0.05}
        for do in ("reset_after", "drop_before", "drop_after", "html", "truncated")
    ),
    {"on": PLACE, "do": "late", "seconds": 0.2, "reply": "lost", "p": 0.05},
    {"on": PLACE, "do": "partial_fills", "pieces": 3, "p": 0.1},
    {"on": PLACE, "do": "reject", "message": "RMS: no", "p": 0.05},
    {"on": CANCEL, "do": "drop_after", "p": 0.2},
    {"on": CANCEL, "do": "fill_on_cancel", "p": 0.2},
    *({"on": "orders", "do": do, "p": 0.1} for do in ("down", "partial_book")),
    *({"on": on, "do": "stale_book", "seconds": 30, "p": 0.1} for on in ("orders", "trades")),
]


def test_a_busy_moment_in_which_much_goes_wrong_ends_with_every_order_as_the_exchange_has_it(server):
    since = last(server)

    async def act(desk):
        await desk.becomes(await desk.place(quantity=1), S.FILLED)
        desk.strike(*MIXED)
        for number in range(60):
            order_id = await desk.place(quantity=1 + number % 7, part=(None, 0.97, 1.01)[number % 3])
            if number % 2:
                desk.cancel(order_id)
        desk.strike()
        for left in desk.engine.open_orders():
            desk.cancel(left.order_id)
        await desk.settled()

    desk = on_desk(server, act, quiet_period_s=0.5)
    assert len(desk.server.history("fault", after=since)) >= 10
    assert S.UNKNOWN not in {desk.order(order_id).status for order_id in desk.mine}
    assert desk.held == {}
