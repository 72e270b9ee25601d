"""How Kite wraps an answer."""

import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.exchange.calls import JSON, Refusal
from alphapanda.exchange.rest.envelope import plain, refused, success


def test_an_answer_has_its_envelope():
    reply = success({"order_id": "1"})
    assert (reply.status, reply.content_type) == (200, JSON)
    assert json.loads(reply.body) == {"status": "success", "data": {"order_id": "1"}}


def test_a_refusal_has_its_code_its_type_and_its_words():
    reply = refused(Refusal(403, "TokenException", "Incorrect `api_key` or `access_token`."))
    assert reply.status == 403
    assert json.loads(reply.body) == {
        "status": "error",
        "message": "Incorrect `api_key` or `access_token`.",
        "data": None,
        "error_type": "TokenException",
    }


def test_numbers_are_written_as_kite_writes_them():
    data = {"a": Decimal("1412.950"), "b": [Decimal("100.00"), 7.0, -0.5, 0.0], "c": (True, None, "1.0", 3)}
    assert success(data).body == (
        b'{"status":"success","data":{"a":1412.95,"b":[100,7,-0.5,0],"c":[true,null,"1.0",3]}}'
    )


@settings(max_examples=200, deadline=None)
@given(st.decimals(-(10**10), 10**10, places=4))
def test_no_amount_changes_on_its_way(amount):
    written = json.loads(success(amount).body)["data"]
    assert Decimal(str(written)) == amount
    assert isinstance(written, int) == (amount == int(amount))


def test_what_is_no_number_stays_as_it_is():
    assert plain({"text": "1", "flag": False, "nothing": None}) == {
        "text": "1",
        "flag": False,
        "nothing": None,
    }
