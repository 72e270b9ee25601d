"""The Zerodha broker against the installed exchange, when nothing goes wrong."""

import anyio
import pytest
from builders import CLOSE, IOC, SELL, SL_M, order
from exchange_server import exchange_server
from zerodha_desk import TOKEN, K, S, on_desk, open_desk

from alphapanda.errors import CannotStart, Fatal
from alphapanda.events import Money
from alphapanda.venues.zerodha.answers import Outcome, Proof
from alphapanda.venues.zerodha.governor import Limits


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    words = ("--access-token", TOKEN, "--no-rate-limits", "--speed", "20")
    with exchange_server(tmp_path_factory.mktemp("exchange"), *words) as running:
        yield running


def test_orders_of_every_fate_end_as_the_exchange_has_them_to_the_paisa(server):
    async def act(desk):
        bought = await desk.place(quantity=7)
        await desk.becomes(bought, S.FILLED)
        sold = await desk.place(side=SELL, quantity=7, position_effect=CLOSE)
        resting = await desk.place(part=0.97)
        refused = await desk.place(part=0.5)  # below the circuit limit
        at_once = await desk.place(part=0.97, validity=IOC)
        stop = await desk.place("NSE:SBIN", SELL, 5, order_type=SL_M, trigger_price=Money(1))
        await desk.becomes(resting, S.OPEN)
        desk.cancel(resting)
        for order_id, status in ((resting, S.CANCELLED), (refused, S.REJECTED), (at_once, S.CANCELLED)):
            assert (await desk.becomes(order_id, status)).filled_quantity == 0
        assert "circuit" in desk.order(refused).reason
        await desk.becomes(sold, S.FILLED)
        await desk.becomes(stop, S.OPEN, S.REJECTED)

    desk = on_desk(server, act)
    assert desk.held == {}
    assert desk.broker.summary()["connected"] is False  # its connections are closed
    assert all(desk.requests("order.place", order_id) == 1 for order_id in desk.mine)


def test_a_cancel_that_is_wanted_before_the_id_is_known_leaves_as_soon_as_it_is(server):
    async def act(desk):
        desk.strike({"on": "order.place", "do": "delay_after", "seconds": 0.3})
        order_id = await desk.place(part=0.97)
        desk.cancel(order_id)
        await desk.becomes(order_id, S.CANCELLED)
        assert desk.order(order_id).reason == "the test wants it back"

    desk = on_desk(server, act)
    assert desk.requests("order.cancel", desk.mine[0]) in (1, 2)  # "being processed", and then taken


def test_an_order_that_waits_for_its_turn_is_taken_back_without_a_byte(server):
    async def act(desk):
        while not desk.broker.summary()["budgets"]["waiting"]:  # one entry a second may leave
            order_id = await desk.place(part=0.97)
        desk.cancel(order_id)
        assert desk.order(order_id).status is S.WITHHELD
        await desk.broker.answered()
        await desk.becomes(desk.mine[0], S.OPEN)

    desk = on_desk(server, act, limits=Limits(orders_second=3, other=500, quote=100))
    assert desk.requests("order.place", desk.mine[-1]) == 0


def test_an_order_that_the_gate_does_not_let_go_is_withheld(server):
    async def act(desk):
        desk.lets = False
        order_id = await desk.place()
        assert desk.order(order_id).status is S.WITHHELD

    desk = on_desk(server, act)
    assert desk.requests("order.place", desk.mine[0]) == 0


def test_a_restart_finds_what_was_under_way_by_its_tag_and_what_was_open_by_its_id(server):
    async def first(desk):
        resting = await desk.place(part=0.97)
        await desk.becomes(resting, S.OPEN)
        await desk.place(quantity=3)  # its answer is not waited for

    async def run():
        async with open_desk(server) as before:
            await first(before)
            before.server.admin("faults", {"clear": True, "fault": []})
        async with open_desk(server, journal=before) as after:
            resting, sent = after.mine
            assert before.order(sent).status in (S.SENT, S.UNKNOWN, S.OPEN, S.FILLED)
            await after.becomes(sent, S.FILLED)
            after.cancel(resting)
            await after.becomes(resting, S.CANCELLED)
        after.judge()
        assert after.requests("order.place", sent) == 1

    anyio.run(run)


def test_it_is_started_when_the_first_books_are_read_not_when_doubts_are_settled(server):
    async def run():
        async with open_desk(server) as before:
            before.strike({"on": "order.place", "do": "drop_before"})
            lost = await before.place()
            await before.becomes(lost, S.UNKNOWN)
        async with open_desk(server, journal=before, quiet_period_s=0.5) as after:
            assert after.order(lost).status is S.UNKNOWN
            assert after.held == {"NSE:INFY": f"order {lost} is in doubt"}
            await after.becomes(lost, S.NOT_FOUND)
            assert after.held == {}

    anyio.run(run)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ({"on": "orders", "do": "token_refused"}, CannotStart, "run `alphapanda login`"),
        ({"on": "trades", "do": "html"}, Fatal, "books cannot be read"),  # of another start they may be
    ],
)
def test_it_does_not_start_without_its_books(server, fault, kind, words):
    async def run():
        async with open_desk(server, faults=[fault], start_s=0.2):
            pass

    with pytest.raises(BaseExceptionGroup) as caught:
        anyio.run(run)
    error = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert type(error) is kind
    assert words in str(error)


def ids_of(seen):
    return {row.order_id for resolutions in seen for row in resolutions.followed.others}


def test_a_hand_order_is_not_ours_and_left_alone(server):
    seen = []

    async def act(desk):
        desk.broker.on_book = seen.append
        form = {"exchange": "NSE", "tradingsymbol": "TCS", "transaction_type": "BUY", "quantity": 2}
        made = server.admin(
            "orders", form | {"product": "CNC", "order_type": "MARKET", "market_protection": -1}
        )
        desk.broker.wake()
        await desk.until(lambda: made["order_id"] in ids_of(seen), "it is shown")
        assert desk.reports == []

    on_desk(server, act)
    assert not any(resolutions.followed.reports for resolutions in seen)


def test_a_change_at_the_door_is_taken_and_the_twenty_sixth_is_not_sent(server):
    told = []

    async def act(desk):
        order_id = await desk.place(part=0.97)
        made = await desk.becomes(order_id, S.OPEN)
        for number in range(26):
            desk.broker.modify(made, told.append, quantity=11 + number)
            await desk.broker.answered()
            await desk.until(lambda: len(told) > number)  # noqa: B023 - within this round
            await anyio.sleep(0.01)  # a change needs its way to the exchange: the next one comes too early

    desk = on_desk(server, act)
    assert "cancel it, and place a new one" in told[-1]
    assert desk.requests("order.modify", desk.mine[0]) == 25


def test_an_adopted_order_is_not_ours_to_cancel(server):
    """The end of the data asks for a cancel of all that is open; a crash has kept this one from its fill."""

    async def act(desk):
        before = len(desk.server.history("request"))
        desk.broker.cancel(order(sequence=0, order_id="X1", broker_order_id="1", by="external"))
        await desk.broker.answered()
        cancels = [line["call"] == "order.cancel" for line in desk.server.history("request")[before:]]
        assert not any(cancels)

    on_desk(server, act)


def test_an_answer_that_names_another_order_of_ours_is_no_answer(server, monkeypatch):
    async def act(desk):
        first = await desk.place(part=0.98)
        known = await desk.becomes(first, S.OPEN)
        wrong = Outcome(proof=Proof.ACKED, broker_order_id=known.broker_order_id or "")
        monkeypatch.setattr("alphapanda.venues.zerodha.broker.outcome_of", lambda _answer: wrong)
        second = await desk.place(part=0.97)
        found = await desk.becomes(second, S.OPEN)
        monkeypatch.undo()
        assert desk.kinds(second) == [K.NO_ANSWER, K.ACCEPTED]
        assert found.broker_order_id != known.broker_order_id

    on_desk(server, act)
