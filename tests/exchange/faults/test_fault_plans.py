"""What a fault does to one call: the plan for its wire and the effects inside."""

import json

import pytest

from alphapanda.exchange.calls import Effects, Reply
from alphapanda.exchange.faults.fault import Fault
from alphapanda.exchange.faults.kinds import KINDS, TIMED_OUT
from alphapanda.exchange.faults.plan import plan_of
from alphapanda.exchange.faults.wire import CLEAN

TRUE = Reply(
    body=b'{"status":"success","data":[{"last_price":1.5,"n":1},{"n":2},{"n":3},{"last_price":-2e3}]}'
)


def plan(do, kind="order.place", **parameters):
    return plan_of(kind, [Fault(do=do, **{**KINDS[do].presets, **parameters})])


def test_no_fault_is_the_clean_plan():
    assert plan_of("orders", []) is CLEAN
    assert CLEAN.accepts
    assert CLEAN.spoil(TRUE) is TRUE


@pytest.mark.parametrize(
    ("do", "accepts", "cut"),
    [
        ("drop_before", False, "drop"),
        ("drop_after", True, "drop"),
        ("reset_before", False, "reset"),
        ("reset_after", True, "reset"),
        ("cut_body", True, "truncate"),
    ],
)
def test_a_connection_ends_before_or_after_the_order_is_taken(do, accepts, cut):
    assert (plan(do).accepts, plan(do).cut, plan(do).reply) == (accepts, cut, None)


@pytest.mark.parametrize(
    ("do", "code", "error_type"),
    [
        ("too_many", 429, "NetworkException"),
        ("token_refused", 403, "TokenException"),
        ("ip_refused", 403, "PermissionException"),
        ("oms_down", 502, "DataException"),
        ("down", 503, "NetworkException"),
        ("timeout", 504, "NetworkException"),
    ],
)
def test_a_refusal_is_an_envelope_and_nothing_is_taken(do, code, error_type):
    refused = plan(do)
    assert not refused.accepts
    assert refused.spoil(TRUE).status == code
    body = json.loads(refused.spoil(TRUE).body)
    assert (body["status"], body["error_type"], body["data"]) == ("error", error_type, None)
    assert body["message"]


def test_a_gateway_may_give_up_on_an_order_that_was_taken():
    assert plan("timeout", accepted=True).accepts


@pytest.mark.parametrize(
    ("code", "error_type"),
    [(400, "InputException"), (403, "TokenException"), (418, "GeneralException"), (500, "NetworkException")],
)
def test_a_status_without_a_name_gets_that_of_its_code(code, error_type):
    body = json.loads(plan("status", code=code, accepted=False).spoil(TRUE).body)
    assert body["error_type"] == error_type


def test_a_status_says_what_the_script_says():
    said = plan("status", code=428, error_type="HoldingException", message="no holding").spoil(TRUE)
    assert said.status == 428
    assert json.loads(said.body)["message"] == "no holding"


def test_the_ambiguous_answer_is_a_400_for_an_order_that_was_taken():
    ambiguous = plan("ambiguous")
    assert ambiguous.accepts
    assert ambiguous.spoil(TRUE).status == 400
    assert json.loads(ambiguous.spoil(TRUE).body)["message"] == TIMED_OUT
    assert not plan("ambiguous", accepted=False).accepts


def test_bodies_are_broken_each_in_its_way():
    page = plan("html").spoil(TRUE)
    assert (page.status, page.content_type) == (502, "text/html; charset=utf-8")
    assert b"502 Bad Gateway" in page.body
    assert plan("empty").spoil(TRUE) == Reply(status=200)
    assert json.loads(plan("keyless").spoil(TRUE).body) == {"status": "success"}
    assert plan("truncated").spoil(TRUE).body == TRUE.body[: len(TRUE.body) // 2]
    untyped = plan("no_content_type").spoil(TRUE)
    assert (untyped.content_type, untyped.body) == (None, TRUE.body)
    with pytest.raises(json.JSONDecodeError):
        json.loads(plan("not_json").spoil(TRUE).body)
    assert plan("nan", "quote").spoil(TRUE).body.count(b'"last_price":NaN') == 2


def test_a_partial_book_has_its_first_rows():
    rows = json.loads(plan("partial_book", "orders").spoil(TRUE).body)["data"]
    assert rows == [{"last_price": 1.5, "n": 1}, {"n": 2}]
    both = Reply(body=b'{"status":"success","data":{"net":[1,2,3,4],"day":[5]}}')
    assert json.loads(plan("partial_book", "orders", part=0.0).spoil(TRUE).body)["data"] == []
    assert json.loads(plan("partial_book", "positions", part=0.75).spoil(both).body)["data"] == {
        "net": [1, 2, 3],
        "day": [],
    }
    refusal = Reply(status=403, body=b"{}")
    assert plan("partial_book", "orders").spoil(refusal) is refusal


@pytest.mark.parametrize(
    ("do", "kind", "effects"),
    [
        ("late", "order.place", Effects(late_s=8.0)),
        ("fill_before_reply", "order.place", Effects(fill_first=True)),
        ("stuck", "order.place", Effects(stuck="OPEN PENDING", stuck_s=8.0)),
        ("stuck", "order.modify", Effects(stuck="MODIFY PENDING", stuck_s=8.0)),
        ("stuck", "order.cancel", Effects(stuck="CANCEL PENDING", stuck_s=8.0)),
        ("fill_on_cancel", "order.cancel", Effects(raced=True)),
        ("stale_book", "orders", Effects(stale_s=8.0)),
        ("disagree", "positions", Effects(disagree=True)),
    ],
)
def test_what_happens_inside_travels_with_the_call(do, kind, effects):
    assert plan(do, kind, seconds=8.0).effects == effects


def test_words_and_pieces_travel_too():
    assert plan("reject", "order.modify", message="No.").effects == Effects(rejected="No.")
    assert plan("partial_fills", pieces=4).effects == Effects(pieces=4)


@pytest.mark.parametrize("sort", KINDS["dump"].sorts)
def test_an_instrument_list_has_one_thing_wrong_with_it(sort):
    assert plan("dump", "instruments", sort=sort).effects.dump == sort


def test_a_late_order_may_be_answered_lost_or_ambiguous():
    assert (plan("late", seconds=1.0).cut, plan("late", seconds=1.0).reply) == ("", None)
    assert plan("late", seconds=1.0, reply="lost").cut == "drop"
    ambiguous = plan("late", seconds=1.0, reply="ambiguous")
    assert (ambiguous.accepts, ambiguous.spoil(TRUE).status) == (True, 400)


def test_faults_that_meet_at_one_call_all_have_their_way():
    struck = [
        Fault(do="delay_before", seconds=1.0),
        Fault(do="delay_before", seconds=0.5),
        Fault(do="delay_after", seconds=2.0),
        Fault(do="late", seconds=3.0),
        Fault(do="html", code=502),
        Fault(do="no_content_type"),
    ]
    met = plan_of("order.place", struck)
    assert (met.before_s, met.after_s, met.accepts, met.cut) == (1.5, 2.0, True, "")
    assert met.effects.late_s == 3.0
    assert (met.spoil(TRUE).status, met.spoil(TRUE).content_type) == (502, None)
