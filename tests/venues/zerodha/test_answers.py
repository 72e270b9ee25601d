"""What an answer proves: a table of what Kite and the things before it may say."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.venues.zerodha.answers import Lost, Outcome, Proof, Response, outcome_of

ACKED, REJECTED, UNKNOWN = Proof.ACKED, Proof.REJECTED, Proof.UNKNOWN
JSON, HTML = "application/json", "text/html"
MOCKS = Path(__file__).resolve().parents[4] / "shared" / "data" / "kite-mocks"
TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."
MARGIN = (
    "Insufficient funds. Required margin is 95417.84 but available margin is 74251.80. "
    "Check the orderbook for open orders."
)
TOKEN_WORDS = "Incorrect `api_key` or `access_token`."


def answer(status=200, document=None, content_type=JSON):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Response(status, content_type, body)


def success(data):
    return {"status": "success", "data": data}


def error(message, error_type="InputException", **more):
    return {"status": "error", "message": message, "error_type": error_type, "data": None} | more


@pytest.mark.parametrize("order_id", ["151220000000000", "1914227164488687616", 1914227164488687616, 7])
def test_only_an_id_in_an_envelope_of_success_acknowledges(order_id):
    """An id that comes as a whole number is read as its text."""
    outcome = outcome_of(answer(200, success({"order_id": order_id})))
    assert outcome == Outcome(proof=ACKED, broker_order_id=str(order_id))


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "text/json"])
def test_the_content_type_is_read_as_the_official_client_reads_it(content_type):
    assert outcome_of(answer(200, success({"order_id": "1"}), content_type)).proof is ACKED


@pytest.mark.parametrize(
    "reply",
    [
        answer(200, success({"order_id": "1"}), ""),
        answer(200, success({"order_id": "1"}), HTML),
        answer(200, success({"order_id": "1"}), "text/csv"),
        answer(200, {"status": "success"}),
        answer(200, {"data": {"order_id": "1"}}),
        answer(200, {"status": "SUCCESS", "data": {"order_id": "1"}}),
        answer(200, success(None)),
        answer(200, success("1")),
        answer(200, success({})),
        answer(200, success([])),
        *(
            answer(200, success({"order_id": odd}))
            for odd in ("", "  ", None, 0, -1, 1.5, 1e18, True, [], {"a": 1})
        ),
        answer(200, success({"order_id": "1"}) | {"error_type": "GeneralException"}),
        answer(200, error("Insufficient funds")),
        answer(200, [success({"order_id": "1"})]),
        answer(200, b""),
        answer(200, b'{"status":"success","data":{"order_'),
        answer(200, b'{"status":"success","data":{"order_id":NaN}}'),
        answer(200, b"\xff\xfe{}"),
        answer(200, b"[" * 100_000),
        answer(200, b"upstream connect error or disconnect/reset before headers"),
        *(
            answer(code, success({"order_id": "1"}))
            for code in (201, 202, 204, 301, 302, 307, 400, 403, 429, 500, 502)
        ),
        *(answer(code, error("no")) for code in (401, 404, 405, 408, 410, 499, 500, 502, 503, 504)),
        *(answer(code, b"<html>400</html>", HTML) for code in (200, 400, 403, 428, 429, 500, 502, 503, 504)),
        *(answer(code, b"", "") for code in (200, 400, 403, 428, 429, 500, 502)),
        answer(400, b"<html>", JSON),
        answer(400, {}),
        answer(400, error("")),
        answer(400, error("  ")),
        answer(400, error(None)),
        answer(400, error(["no"])),
        answer(400, error("no", [])),
        answer(400, error("no", {"a": 1})),
        answer(400, {"status": "success", "message": "no", "error_type": "InputException"}),
        answer(400, {"message": "no"}),
        answer(400, error("no", data={"order_id": "1"})),
        answer(400, error("no", data={"children": []})),
        answer(400, error("no", data=["1"])),
        answer(400, error(TIMED_OUT, "OrderException")),
        answer(400, error("ORDER REQUEST TIMED OUT", "InputException")),
        answer(403, error("Please Check The Order Book.", "OrderException")),
        answer(429, error("Request timeout", "NetworkException")),
        answer(400, error("Time-out at the exchange", "OrderException")),
        answer(400, error("Something unexpected happened.", "NetworkException")),
        answer(400, error("The reply of the OMS was not understood.", "DataException")),
        answer(403, error("Something unexpected happened.", "NetworkException")),
    ],
)
def test_whatever_is_not_proven_is_unknown(reply):
    outcome = outcome_of(reply)
    assert outcome.proof is UNKNOWN
    assert outcome.broker_order_id == ""
    assert outcome.reason
    assert outcome.limited == (reply.status == 429)
    assert not outcome.token_dead


@pytest.mark.parametrize(
    ("code", "error_type", "message"),
    [
        (400, "InputException", "Invalid `variety`: none."),
        (
            400,
            "InputException",
            "Invalid request (failed to decode market_protection, got: True (expected decimal))",
        ),
        (400, "InputException", "Market orders without market protection are not allowed via API."),
        (400, "InputException", "Order cannot be modified as it is being processed. Try later."),
        (400, "InputException", "Quantity should be greater than or equal to 3510 for order slicing."),
        (400, "MarginException", MARGIN),
        (400, "OrderException", "16346 : Order cannot be modified"),
        (400, "HoldingException", "Not enough holdings."),
        (400, "GeneralException", "Couldn't find that `order_id`."),
        (400, "UserException", "The account is blocked."),
        (400, "OfTomorrowException", "A type that nobody knows yet."),
        (400, "NetworkException", "Maximum allowed order requests exceeded."),
        (400, "NetworkException", "Maximum allowed order modifications exceeded."),
        (403, "PermissionException", "Insufficient permission for that call."),
        (428, "HoldingException", "10 quantity needs authorisation at depository."),
    ],
)
def test_what_kite_refuses_in_plain_words_is_rejected(code, error_type, message):
    outcome = outcome_of(answer(code, error(message, error_type)))
    assert outcome == Outcome(proof=REJECTED, reason=message)


def test_an_error_without_its_status_is_one_by_its_type():
    document = {"message": "no", "error_type": "InputException"}
    assert outcome_of(answer(400, document)) == Outcome(proof=REJECTED, reason="no")


def test_too_many_requests_are_rejected_and_to_be_heeded():
    outcome = outcome_of(answer(429, error("Too many requests", "NetworkException")))
    assert outcome == Outcome(proof=REJECTED, reason="Too many requests", limited=True)


def test_a_dead_token_is_rejected_and_told():
    outcome = outcome_of(answer(403, error(TOKEN_WORDS, "TokenException")))
    assert outcome == Outcome(proof=REJECTED, reason=TOKEN_WORDS, token_dead=True)


def test_a_dead_token_in_ambiguous_words_is_told_and_proves_nothing():
    outcome = outcome_of(answer(403, error("Session timed out.", "TokenException")))
    assert (outcome.proof, outcome.token_dead) == (UNKNOWN, True)


@pytest.mark.parametrize("code", [200, 400, 401, 500])
def test_a_token_error_of_another_code_does_not_end_the_session(code):
    assert not outcome_of(answer(code, error(TOKEN_WORDS, "TokenException"))).token_dead


@pytest.mark.parametrize("error_type", ["PermissionException", "InputException", "TokenException"])
@pytest.mark.parametrize(
    "words",
    [
        "Order requests are allowed only from the registered static IP address.",
        "Your IP is not allowed to place orders",
        "IPs must be registered",
        "This address is not whitelisted.",
    ],
)
def test_an_address_that_is_not_registered_is_rejected_and_the_session_lives(error_type, words):
    outcome = outcome_of(answer(403, error(words, error_type)))
    assert (outcome.proof, outcome.ip_refused, outcome.token_dead) == (REJECTED, True, False)
    assert outcome.reason.startswith(words)
    assert "must be registered with Kite" in outcome.reason


def test_words_that_hold_ip_inside_others_are_not_about_the_address():
    assert not outcome_of(answer(403, error("Multiple scrips in one trip.", "InputException"))).ip_refused


# slices

MADE, FAILED = {"order_id": "11"}, {"error": error(MARGIN, "MarginException", code=400)}
UNCLEAR = {"error": error(TIMED_OUT, "OrderException", code=400)}


@pytest.mark.parametrize(
    ("children", "proof", "made"),
    [
        ([], ACKED, ()),
        ([MADE, {"order_id": 12}], ACKED, ("11", "12")),
        ([MADE, FAILED], ACKED, ("11",)),
        ([FAILED, FAILED], REJECTED, ()),
        ([MADE, UNCLEAR], UNKNOWN, ("11",)),
        ([FAILED, UNCLEAR], UNKNOWN, ()),
        ([MADE, {"error": error("no", code=500)}], UNKNOWN, ("11",)),
        ([MADE, {"error": error("no")}], UNKNOWN, ("11",)),
        ([MADE, {"error": "no"}], UNKNOWN, ("11",)),
        ([MADE, {"error": error("no", [], code=400)}], UNKNOWN, ("11",)),
        ([MADE | FAILED], UNKNOWN, ("11",)),
        ([MADE, {}, "12", None], UNKNOWN, ("11",)),
        ({"order_id": "11"}, UNKNOWN, ()),
    ],
)
def test_slices_are_proven_one_by_one(children, proof, made):
    outcome = outcome_of(answer(200, success({"order_id": "10", "children": children})))
    assert (outcome.proof, outcome.children) == (proof, made)
    assert outcome.broker_order_id == ("10" if proof is ACKED else "")
    assert bool(outcome.reason) == (proof is not ACKED or len(made) < len(children))


def test_slices_without_a_parent_are_named_and_prove_nothing():
    """Kite's answer before 27 March 2026 was a bare list."""
    outcome = outcome_of(answer(200, success([MADE, FAILED])))
    assert (outcome.proof, outcome.children) == (UNKNOWN, ("11",))


@pytest.mark.skipif(not MOCKS.is_dir(), reason="Kite's example payloads are not beside the repository")
def test_kites_own_examples_are_read():
    def outcome(name):
        return outcome_of(Response(200, JSON, (MOCKS / name).read_bytes()))

    for name in ("order_response.json", "order_modify.json", "order_cancel.json"):
        assert outcome(name) == Outcome(proof=ACKED, broker_order_id="151220000000000")
    sliced = outcome("autoslice_response.json")
    assert (sliced.proof, sliced.broker_order_id) == (ACKED, "1914227164488687616")
    assert sliced.children == ("1914227164534824960", "1914227164580962304", "1914227164681625600")
    assert sliced.reason.startswith("1 of 4 slices were not made: Insufficient funds.")


# no answer


def test_no_answer_is_no_rejection():
    assert outcome_of(Lost("no answer in 7 s")) == Outcome(proof=UNKNOWN, reason="no answer in 7 s")


def test_what_never_left_is_none():
    assert outcome_of(Lost("no connection", wrote=False)) == Outcome(proof=REJECTED, reason="no connection")


# whatever comes

JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["status", "data", "order_id", "children", "error", "error_type", "message", "code", "x"]
            ),
            inner | st.sampled_from(["success", "error", "TokenException", "1", "timed out", 400, 403]),
            max_size=6,
        )
    ),
    max_leaves=20,
)
CODES = st.integers(100, 599) | st.sampled_from([200, 400, 403, 428, 429])
TYPES = st.sampled_from([JSON, HTML, ""]) | st.text(max_size=10)


@given(CODES, TYPES, st.binary(max_size=300) | JSONS.map(lambda document: json.dumps(document).encode()))
def test_no_answer_makes_it_raise_and_only_what_is_proven_is_said(code, content_type, body):
    outcome = outcome_of(Response(code, content_type, body))
    assert outcome == outcome_of(Response(code, content_type, body))
    assert "\n" not in outcome.reason
    assert len(outcome.reason) < 400
    assert outcome.limited == (code == 429)
    assert bool(outcome.broker_order_id) == (outcome.proof is ACKED)
    if outcome.proof is ACKED:
        assert code == 200
        assert outcome.broker_order_id.encode() in body
    if outcome.proof is REJECTED:
        assert code in (400, 403, 428, 429) or (code == 200 and b"children" in body)
    if outcome.proof is not UNKNOWN:
        assert "json" in content_type.lower()
    if outcome.token_dead:
        assert code == 403


@given(st.text())
def test_long_or_broken_words_become_one_short_line(words):
    outcome = outcome_of(answer(400, error(words)))
    assert len(outcome.reason.splitlines()) == 1
    assert len(outcome.reason) <= 300
