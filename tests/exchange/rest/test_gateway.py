"""What stands before the routes, without sockets."""

import json
import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.exchange.calls import Reply
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.faults import Script, WirePlan, read_script
from alphapanda.exchange.options import API_KEY, Options
from alphapanda.exchange.rest.gateway import Gateway
from alphapanda.exchange.rest.route import Route
from alphapanda.exchange.rest.routes import ROUTES
from alphapanda.times import SECOND_NS

TOKEN = "abcdefghijklmnop"
AUTHORIZATION = {"authorization": f"token {API_KEY}:{TOKEN}", "x-kite-version": "3"}


class Desk:
    """A gateway before an exchange of its own; `wall` is the machine's clock."""

    def __init__(self, script="", routes=ROUTES, rate_limits=True):
        self.wall = 0
        self.said = []
        faults = read_script(script, "test") if script else Script(())
        self.exchange = Exchange(
            Options(access_token=TOKEN, rate_limits=rate_limits), faults, wall=lambda: self.wall
        )
        self.gateway = Gateway(self.exchange, say=self.said.append, routes=routes)

    def ask(self, method, path, headers=AUTHORIZATION, **parts):
        """Status and decoded body, as it leaves."""
        call = self.gateway.receive(method, path, headers=headers, **parts)
        plan = self.gateway.meet(call)
        reply = plan.spoil(self.gateway.answer(call, plan))
        return reply.status, json.loads(reply.body)

    def lines(self, *kinds):
        return [json.loads(line) for line in self.exchange.history.lines(0, frozenset(kinds))]


def test_a_call_with_its_token_is_answered_and_both_are_in_the_history():
    desk = Desk()
    status, body = desk.ask("GET", "/user/profile", query=[("a", "1"), ("b", "2"), ("b", "3")])
    assert (status, body["data"]["user_id"]) == (200, "RH0001")
    (request,), (reply,) = desk.lines("request"), desk.lines("reply")
    assert (request["number"], request["method"], request["path"]) == (1, "GET", "/user/profile")
    assert (request["call"], request["fields"]) == ("profile", {"a": "1", "b": ["2", "3"]})
    assert (reply["number"], reply["status"]) == (1, 200)
    assert reply["bytes"] > 100


@pytest.mark.parametrize("headers", [{}, {"authorization": "token rehearsal:wrong"}])
def test_a_call_without_the_token_is_refused_in_kites_words(headers):
    desk = Desk()
    status, body = desk.ask("GET", "/orders", headers=headers)
    assert (status, body["error_type"]) == (403, "TokenException")
    assert body["message"] == "Incorrect `api_key` or `access_token`."
    assert desk.lines("reply")[0]["message"] == body["message"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/no/where", 404), ("PATCH", "/orders", 405)])
def test_what_there_is_not_has_kites_envelope(method, path, status):
    desk = Desk()
    code, body = desk.ask(method, path)
    assert (code, body["status"], body["error_type"]) == (status, "error", "GeneralException")
    assert desk.lines("request")[0]["call"] == ""


def test_calls_beyond_the_limit_are_429_until_the_next_second_of_the_wall():
    desk = Desk()
    answers = [desk.ask("GET", "/user/profile")[0] for _ in range(11)]
    assert answers == [200] * 10 + [429]
    status, body = desk.ask("GET", "/orders")
    assert (status, body["error_type"], body["message"]) == (429, "NetworkException", "Too many requests")
    desk.wall += SECOND_NS
    assert desk.ask("GET", "/orders")[0] == 200


def test_limits_can_be_off_for_load():
    desk = Desk(rate_limits=False)
    assert {desk.ask("GET", "/user/profile")[0] for _ in range(30)} == {200}


def test_the_answer_to_an_order_is_in_the_history_whole():
    desk = Desk()
    order = {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "quantity": "1",
        "product": "CNC",
        "order_type": "MARKET",
        "market_protection": "-1",
        "variety": "regular",
    }
    status, body = desk.ask("POST", "/orders/regular", form=list(order.items()))
    assert status == 200
    assert desk.lines("reply")[0]["body"] == body
    assert desk.lines("request")[0]["fields"] == order
    assert desk.lines("order")[0]["order_id"] == body["data"]["order_id"]


def test_no_secret_reaches_the_history():
    desk = Desk()
    secrets = {
        "request_token": "R" * 32,
        "checksum": "C" * 64,
        "access_token": TOKEN,
        "refresh_token": "F" * 32,
    }
    desk.ask("POST", "/session/token", form=[("api_key", API_KEY), *secrets.items()])
    desk.ask("DELETE", "/session/token", query=[("api_key", API_KEY), ("access_token", TOKEN)])
    text = b"".join(desk.exchange.history.lines()).decode()
    assert not [secret for secret in secrets.values() if secret in text]
    assert desk.lines("request")[0]["fields"]["checksum"] == "CCCC…"


@cache
def broken():
    def handler(exchange, call):
        raise KeyError("a mistake\nof ours")

    return (Route("GET", "/broken", "profile", handler), *ROUTES)


def test_a_mistake_of_ours_is_a_500_a_line_for_a_person_and_a_line_of_the_history():
    desk = Desk(routes=broken())
    status, body = desk.ask("GET", "/broken")
    assert (status, body["error_type"]) == (500, "GeneralException")
    (said,) = desk.said
    assert "\n" not in said
    assert "GET /broken" in said
    assert "KeyError" in said
    assert "test_gateway.py:" in said
    (line,) = desk.lines("failure")
    assert (line["number"], line["error"]) == (1, "KeyError")
    assert desk.lines("reply")[0]["status"] == 500
    assert desk.ask("GET", "/user/profile")[0] == 200


NAMES = st.sampled_from(
    [
        *("exchange", "tradingsymbol", "transaction_type", "quantity", "product", "order_type", "price"),
        *("trigger_price", "validity", "validity_ttl", "market_protection", "disclosed_quantity", "tag"),
        *("iceberg_legs", "iceberg_quantity", "autoslice", "i", "from", "to", "oi", "continuous", "mode"),
        *("type", "condition", "orders", "old_product", "new_product", "position_type", "isin", "api_key"),
        *("request_token", "checksum", "access_token", "redirect_params", "consider_positions"),
    ]
)
WORDS = st.sampled_from(
    [
        *("NSE", "NFO", "INFY", "NSE:INFY", "408065", "BUY", "SELL", "CNC", "MIS", "LIMIT", "MARKET", "SL"),
        *("DAY", "IOC", "TTL", "day", "minute", "regular", "iceberg", "amo", "true", "1", "2", "-1", "0"),
        *("0.05", "1320", "1e999", "nan", "-inf", "9" * 30, "\u0663", "", " ", "\n", "\0", "%", "x" * 3000),
        *("[]", "{}", "[1]", "null", '[{"exchange": "NSE"}]', '{"exchange": "NSE", "trigger_values": [1]}'),
        *("single", "two-leg", "2026-04-15 09:15:00", "2026-04-15", "9999-99-99", API_KEY, "equity"),
    ]
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=6),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def desk():
    return Desk(rate_limits=False)


@settings(max_examples=300, deadline=None)
@given(
    route=st.sampled_from(ROUTES),
    places=st.lists(WORDS, min_size=3, max_size=3),
    fields=st.lists(st.tuples(NAMES, WORDS), max_size=14),
    body=JSON_VALUES,
)
def test_nothing_that_is_asked_is_more_than_an_answer_or_a_refusal(desk, route, places, fields, body):
    words = iter(place or "x" for place in places)
    path = re.sub(r"{\w+}", lambda _: next(words), route.template)
    desk.exchange.sessions._access_token = TOKEN
    call = desk.gateway.receive(
        route.method, path, query=fields, form=fields, body=body, headers=AUTHORIZATION
    )
    reply = desk.gateway.answer(call, WirePlan())
    assert reply.status in (200, 302, 303, 400, 403, 404, 405, 428), desk.said
    desk.exchange.advance(desk.exchange.clock.now_ns + SECOND_NS // 10)


def test_a_call_that_a_fault_keeps_from_us_is_not_handled():
    desk = Desk('[[fault]]\non = "profile"\ndo = "down"\nnth = 1')
    assert desk.ask("GET", "/user/profile")[0] == 503
    assert desk.ask("GET", "/user/profile")[0] == 200
    first, second = desk.lines("reply")
    assert first["accepted"] is False
    assert second["status"] == 200
    assert desk.lines("fault")[0]["request"] == 1


def test_the_history_has_what_was_answered_inside_whatever_a_fault_makes_of_it():
    desk = Desk('[[fault]]\non = "profile"\ndo = "html"')
    call = desk.gateway.receive("GET", "/user/profile", headers=AUTHORIZATION)
    plan = desk.gateway.meet(call)
    reply = desk.gateway.answer(call, plan)
    assert desk.lines("reply")[0]["status"] == reply.status == 200
    assert "html" in plan.spoil(reply).content_type


def test_what_a_fault_does_to_an_order_is_counted_once_the_order_is_taken():
    desk = Desk('[[fault]]\non = "order.place"\ndo = "stuck"\ntimes = 1')
    fields = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "product": "CNC"}
    fields |= {"order_type": "MARKET", "market_protection": "-1"}
    assert desk.ask("POST", "/orders/regular", form=list(fields.items()))[0] == 400
    assert desk.lines("fault") == []
    fields["quantity"] = "1"
    for _ in range(2):
        assert desk.ask("POST", "/orders/regular", form=list(fields.items()))[0] == 200
    assert [(line["count"], line["request"]) for line in desk.lines("fault")] == [(1, 2)]


def test_a_price_that_nobody_sees_is_not_counted_as_spoilt():
    desk = Desk('[[fault]]\non = "ltp"\ndo = "drop_after"\nnth = 1\n[[fault]]\non = "ltp"\ndo = "zero"')
    for second in range(2):
        desk.wall = second * SECOND_NS
        desk.ask("GET", "/quote/ltp", query=[("i", "NSE:INFY")])
    assert [(line["do"], line["count"]) for line in desk.lines("fault")] == [("drop_after", 1), ("zero", 1)]


def test_a_call_is_handled_at_the_time_it_is_answered():
    desk = Desk()
    call = desk.gateway.receive("GET", "/user/profile", headers=AUTHORIZATION)
    later = desk.exchange.clock.now_ns + 5 * SECOND_NS
    desk.exchange.advance(later)
    desk.wall = 7 * SECOND_NS
    desk.gateway.answer(call, WirePlan())
    request, reply = desk.lines("request")[0], desk.lines("reply")[0]
    assert (request["wall_ns"], reply["wall_ns"]) == (0, 7 * SECOND_NS)
    assert request["at"] < reply["at"]


def test_a_plan_that_has_no_reply_for_what_it_keeps_says_that_the_service_is_down():
    desk = Desk()
    call = desk.gateway.receive("GET", "/user/profile", headers=AUTHORIZATION)
    assert desk.gateway.answer(call, WirePlan(accepts=False)).status == 503
    given = Reply(status=502)
    assert desk.gateway.answer(call, WirePlan(accepts=False, reply=given)) is given
