"""How Kite wraps an answer."""

import json

from alphapanda.exchange.calls import JSON, Refusal
from alphapanda.exchange.rest.envelope import refused, success


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
