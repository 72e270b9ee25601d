"""Fault rows M15 to M22: what may become of an order request and its answer."""

import anyio
import pytest
from exchange_server import exchange_server
from zerodha_desk import TOKEN, K, S, log_in, on_desk, open_desk

PLACE = "order.place"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    words = ("--access-token", TOKEN, "--no-rate-limits", "--speed", "20")
    with exchange_server(tmp_path_factory.mktemp("exchange"), *words) as running:
        yield running


def last(server):
    """The number of the newest line of the history."""
    return server.history()[-1]["seq"]


def struck(server, *faults, becomes, **options):
    """One order that is struck by these; how it went, once it has become this."""
    since = last(server)

    async def act(desk):
        desk.strike(*({"on": PLACE} | fault for fault in faults))
        order_id = await desk.place(quantity=3)
        await desk.broker.answered()
        await desk.becomes(order_id, becomes)

    desk = on_desk(server, act, **options)
    for fault in faults:
        assert desk.fired(fault["do"], since) == 1  # not re-sent: it would have struck again
    return desk, desk.kinds(desk.mine[0])


def test_M15_an_order_whose_reply_comes_after_the_time_out_is_found_by_its_tag(server):  # noqa: N802 - the fault's name
    late = {"do": "delay_after", "seconds": 1.2}
    _, kinds = struck(server, late, becomes=S.FILLED, timeout_s=0.3, quiet_period_s=5)
    assert kinds[0] is K.NO_ANSWER
    assert K.ABSENT not in kinds


@pytest.mark.parametrize("do", ["reset_after", "drop_after", "cut_body"])
def test_M16_an_order_whose_connection_ends_before_the_reply_is_found_by_its_tag(server, do):  # noqa: N802 - the fault's name
    _, kinds = struck(server, {"do": do}, becomes=S.FILLED)
    assert (kinds[0], K.ABSENT in kinds) == (K.NO_ANSWER, False)


@pytest.mark.parametrize("do", ["reset_before", "drop_before"])
def test_M17_an_order_that_is_lost_before_the_broker_is_not_found_and_not_sent_again(server, do):  # noqa: N802 - the fault's name
    desk, kinds = struck(server, {"do": do}, becomes=S.NOT_FOUND, quiet_period_s=0.3)
    assert kinds == [K.NO_ANSWER, K.ABSENT]
    assert desk.order(desk.mine[0]).tag not in desk.theirs()
    assert desk.held == {}


@pytest.mark.parametrize("reply", ["given", "lost", "ambiguous"])
def test_M18_an_order_that_registers_late_is_never_given_up_before_the_quiet_period(server, reply):  # noqa: N802 - the fault's name
    late = {"do": "late", "seconds": 0.6, "reply": reply}
    _, kinds = struck(server, late, becomes=S.FILLED, quiet_period_s=2.0)
    assert K.ABSENT not in kinds
    assert (kinds[0] is K.ACCEPTED) == (reply == "given")


def test_M18_an_order_that_registers_after_it_was_not_found_is_adopted_with_an_alarm(server):  # noqa: N802 - the fault's name
    found = []

    async def act(desk):
        desk.broker.on_found = lambda order, was: found.append((order.order_id, was))
        desk.strike({"on": PLACE, "do": "late", "seconds": 0.9, "reply": "lost"})
        order_id = await desk.place(quantity=3)
        await desk.becomes(order_id, S.NOT_FOUND)
        await desk.becomes(order_id, S.FILLED)
        assert "was NOT_FOUND" in desk.held["NSE:INFY"]

    desk = on_desk(server, act, quiet_period_s=0.1)
    assert desk.kinds(desk.mine[0])[:3] == [K.NO_ANSWER, K.ABSENT, K.FOUND]
    assert found == [(desk.mine[0], "NOT_FOUND")]


ODD = [
    *({"do": "status", "code": code} for code in (500, 502, 503, 504)),
    *({"do": do} for do in ("html", "empty", "truncated", "keyless", "not_json", "ambiguous")),
    {"do": "empty", "code": 502},
]


@pytest.mark.parametrize(
    "fault", [*ODD, {"do": "no_content_type"}], ids=lambda fault: " ".join(map(str, fault.values()))
)
def test_M19_an_odd_answer_to_an_order_that_was_taken_is_no_rejection(server, fault):  # noqa: N802 - the fault's name
    accepted = {} if fault["do"] in ("no_content_type", "truncated") else {"accepted": True}
    _, kinds = struck(server, fault | accepted, becomes=S.FILLED)
    assert kinds[0] is K.NO_ANSWER


def test_M19_odd_answers_to_orders_that_were_not_taken_are_not_found_and_nothing_is_sent_again(server):  # noqa: N802 - the fault's name
    since = last(server)

    async def act(desk):
        for fault in ODD:
            desk.strike({"on": PLACE, "accepted": False, "nth": 1} | fault)
            desk_order = await desk.place(quantity=3)
            await desk.becomes(desk_order, S.UNKNOWN)
        await desk.settled()
        assert {desk.order(order_id).status for order_id in desk.mine} == {S.NOT_FOUND}

    desk = on_desk(server, act, quiet_period_s=0.2)
    assert len(desk.mine) == len(ODD)
    assert len(desk.server.history("fault", after=since)) == len(ODD)


def test_M20_an_order_that_met_429_is_rejected_and_a_cancel_that_did_is_asked_again(server):  # noqa: N802 - the fault's name
    since = last(server)

    async def act(desk):
        resting = await desk.place(part=0.97)
        await desk.becomes(resting, S.OPEN)
        desk.strike(
            {"on": PLACE, "do": "too_many", "nth": 1}, {"on": "order.cancel", "do": "too_many", "nth": 1}
        )
        refused = await desk.place()
        assert "Too many requests" in (await desk.becomes(refused, S.REJECTED)).reason
        desk.cancel(resting)
        await desk.becomes(resting, S.CANCELLED)

    desk = on_desk(server, act)
    assert desk.fired("too_many", since) == 2
    assert desk.theirs().get(desk.order(desk.mine[1]).tag) is None


@pytest.mark.parametrize("call", [PLACE, "order.cancel", "order.modify", "orders", "trades", "quote"])
def test_M21_a_token_that_dies_at_any_call_stops_new_orders_until_the_next_login(server, call):  # noqa: N802 - the fault's name
    since = last(server)

    async def act(desk):
        resting = await desk.place(part=0.97)
        await desk.becomes(resting, S.OPEN)
        desk.strike({"on": call, "do": "token_refused"})
        struck_order = ""
        if call == PLACE:
            struck_order = await desk.place(quantity=3)
        elif call == "order.cancel":
            desk.cancel(resting)
        elif call == "order.modify":
            desk.broker.modify(desk.order(resting), lambda _told: None, quantity=12)
        elif call == "quote":
            with pytest.raises(Exception, match="HTTP 403"):
                await desk.books.quote(["NSE:INFY"])
        else:
            desk.broker.wake()
        await desk.until(lambda: not desk.session.alive)
        assert "the session is dead" in desk.held[""]
        if struck_order:
            assert (await desk.becomes(struck_order, S.REJECTED)).reason
        fired = desk.fired("token_refused", since)
        assert fired == 1  # nothing is asked with a dead token
        desk.server.admin("faults", {"clear": True, "fault": []})
        desk.session.renew(log_in(server))
        await desk.until(lambda: "" not in desk.held, "released")
        if call == "order.cancel":
            await desk.becomes(resting, S.CANCELLED)
        await desk.becomes(await desk.place(quantity=3), S.FILLED)

    on_desk(server, act, token=log_in(server))


REFUSALS = [
    (400, "InputException", "Invalid `quantity`."),
    (400, "MarginException", "Insufficient funds. Required margin is 95417.84 but available margin is 1."),
    (400, "InputException", "Market orders without market protection are not allowed via API."),
    (428, "HoldingException", "10 quantity needs authorisation at depository."),
    (403, "PermissionException", "Order requests are allowed only from the registered static IP address."),
]


@pytest.mark.parametrize(("code", "error_type", "message"), REFUSALS)
def test_M22_a_refusal_in_kites_words_is_a_rejection_with_those_words(server, code, error_type, message):  # noqa: N802 - the fault's name
    fault = {"do": "status", "code": code, "error_type": error_type, "message": message, "accepted": False}
    desk, kinds = struck(server, fault, becomes=S.REJECTED, token=log_in(server))
    assert kinds == [K.REJECTED]
    assert message in desk.order(desk.mine[0]).reason


def test_a_restart_in_the_middle_of_doubt_settles_it_without_a_second_order(server):
    async def run():
        token = log_in(server)
        async with open_desk(server, token=token) as before:
            before.strike({"on": PLACE, "do": "late", "seconds": 0.5, "reply": "lost"})
            order_id = await before.place(quantity=3)
            await before.becomes(order_id, S.UNKNOWN)
        async with open_desk(server, token=token, journal=before, quiet_period_s=2) as after:
            await after.becomes(order_id, S.FILLED)
        after.judge()

    anyio.run(run)
