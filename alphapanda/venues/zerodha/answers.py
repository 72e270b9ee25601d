"""What an answer to an order request proves. Kite, documentation and staff: see each rule.

ACKED: the order has an id. REJECTED: it is proven that no order was made, or that nothing was changed.
UNKNOWN: everything else. No answer is not a rejection.

| answer | proof | why |
|---|---|---|
| 200, JSON envelope of success, an order id | ACKED | documented; a whole number is read as its text |
| the same with children, all made or refused for good | ACKED | a part of an autoslice order is normal |
| the same, every child refused for good | REJECTED | the parent's id is no order: nothing was made |
| 400, 403, 428, 429 with a JSON envelope of error | REJECTED | Kite looked at the request and says no |
| the same in words of AMBIGUOUS, or in none | UNKNOWN | after a 400 "timed out" the order came 8 s later |
| 400, 403, 428 of the UNCLEAR_TYPES | UNKNOWN | the order system did not answer, or not clearly |
| the same in words of LIMITS | REJECTED | a counter before the order system refused it |
| these codes with a page (HTML), or nothing | UNKNOWN | a gateway's word: is it before Kite or behind? |
| any other code; no id; unreadable | UNKNOWN | staff: look at the order book for all but a 400 |
| nothing, or less than a whole answer | UNKNOWN | unless no byte left: then REJECTED |
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

PROVEN_CODES = frozenset((400, 403, 428, 429))
AMBIGUOUS = re.compile(r"time[ds]?[ -]?out|check the order book", re.IGNORECASE)
"""Not "Check the orderbook for open orders.", which ends the words of a margin that does not suffice."""
UNCLEAR_TYPES = frozenset(("NetworkException", "DataException"))
"""Documented: the API could not reach the order system, or did not understand its answer."""
LIMITS = re.compile(r"maximum allowed order (requests|modifications) exceeded", re.IGNORECASE)
"""Seen as a NetworkException (forum 9212, 7679)."""
ADDRESS = re.compile(r"\bips?\b|\bip[ -]?address|whitelist", re.IGNORECASE)
"""Kite's own words for a caller whose address is not registered are not known."""
TOKEN, TOO_MANY, FORBIDDEN = "TokenException", 429, 403

LONGEST_REASON = 300


class Response(Struct, frozen=True):
    """A whole HTTP answer."""

    status: int
    content_type: str
    body: bytes


class Lost(Struct, frozen=True):
    """No whole answer. `wrote` False: it is proven that no byte left."""

    why: str
    wrote: bool = True


class Proof(StrEnum):
    ACKED = "acked"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Outcome(Struct, frozen=True, kw_only=True):
    """`reason` is Kite's own message, or what went wrong. `token_dead`: HTTP 403 TokenException. `limited`:
    HTTP 429. `children`: ids of the slices of an autoslice order, as far as they were made. `ip_refused`:
    this machine's address is not registered with Kite, which takes no order request from it.
    """

    proof: Proof
    broker_order_id: str = ""
    reason: str = ""
    token_dead: bool = False
    limited: bool = False
    children: tuple[str, ...] = ()
    ip_refused: bool = False


def outcome_of(answer: Response | Lost) -> Outcome:
    """By HTTP code, error_type and message, never by the class of an exception."""
    if isinstance(answer, Lost):
        return Outcome(proof=Proof.UNKNOWN if answer.wrote else Proof.REJECTED, reason=_brief(answer.why))
    envelope = _envelope(answer)
    if envelope is None:
        return _unknown(answer, "no JSON answer of Kite")
    if answer.status == 200:
        return _of_success(answer, envelope)
    return _of_error(answer, envelope)


def _of_success(answer: Response, envelope: Mapping[str, Any]) -> Outcome:
    if envelope.get("status") != "success" or envelope.get("error_type"):
        return _unknown(answer, _message(envelope) or "not an envelope of success")
    data = envelope.get("data")
    if isinstance(data, list):  # an autoslice answer before 27 March 2026: slices, and no parent
        made, _, _ = _children(data)
        return Outcome(proof=Proof.UNKNOWN, reason="slices without an order id of the whole", children=made)
    fields = data if isinstance(data, Mapping) else {}
    order_id, children = _id(fields.get("order_id")), fields.get("children")
    if not order_id:
        return _unknown(answer, "success without an order id")
    if not children:
        return Outcome(proof=Proof.ACKED, broker_order_id=order_id)
    return _of_slices(order_id, children)


def _of_slices(order_id: str, rows: Any) -> Outcome:
    if not isinstance(rows, list):
        return Outcome(proof=Proof.UNKNOWN, reason="slices that cannot be read")
    made, refused, unclear = _children(rows)
    reason = (
        f"{len(rows) - len(made)} of {len(rows)} slices were not made: {(unclear or refused)[0]}"
        if (unclear or refused)
        else ""
    )
    if unclear:
        return Outcome(proof=Proof.UNKNOWN, reason=_brief(reason), children=made)
    if not made:
        return Outcome(proof=Proof.REJECTED, reason=_brief(reason))
    return Outcome(proof=Proof.ACKED, broker_order_id=order_id, reason=_brief(reason), children=made)


def _children(rows: list[Any]) -> tuple[tuple[str, ...], list[str], list[str]]:
    """Ids of the slices made; the words of those refused for good; the words of all others."""
    made, refused, unclear = [], [], []
    for row in rows:
        fields = row if isinstance(row, Mapping) else {}
        error = fields.get("error")
        if order_id := _id(fields.get("order_id")):
            made.append(order_id)
            if error:
                unclear.append("a slice with an order id and an error")
        elif isinstance(error, Mapping) and _definite(error.get("code"), error):
            refused.append(_message(error))
        else:
            unclear.append(
                (_message(error) if isinstance(error, Mapping) else "") or "a slice without its id"
            )
    return tuple(made), refused, unclear


def _of_error(answer: Response, envelope: Mapping[str, Any]) -> Outcome:
    message = _message(envelope)
    forbidden = answer.status == FORBIDDEN and _is_error(envelope)
    elsewhere = forbidden and ADDRESS.search(message) is not None
    if not message:
        reason = _unknown(answer, "an error without words").reason
    elif elsewhere:
        reason = f"{message} (the static IP address of this machine must be registered with Kite)"
    else:
        reason = message
    definite = _is_error(envelope) and not _names_an_order(envelope) and _definite(answer.status, envelope)
    return Outcome(
        proof=Proof.REJECTED if definite else Proof.UNKNOWN,
        reason=reason,
        token_dead=forbidden and not elsewhere and envelope.get("error_type") == TOKEN,
        limited=answer.status == TOO_MANY,
        ip_refused=elsewhere,
    )


def _definite(code: Any, error: Mapping[str, Any]) -> bool:
    """Does it say, with a code and in words that leave no doubt, that nothing was done?"""
    message = _message(error)
    if not isinstance(code, int) or code not in PROVEN_CODES or not message or AMBIGUOUS.search(message):
        return False
    if code == TOO_MANY or LIMITS.search(message):
        return True
    kind = error.get("error_type", "")
    return isinstance(kind, str) and kind not in UNCLEAR_TYPES


def _is_error(envelope: Mapping[str, Any]) -> bool:
    """As the official client has it, but a `status` of success beside an error_type proves nothing."""
    return envelope.get("status") == "error" or (
        "status" not in envelope and bool(envelope.get("error_type"))
    )


def _names_an_order(envelope: Mapping[str, Any]) -> bool:
    data = envelope.get("data")
    return bool(data) and not (isinstance(data, Mapping) and not data.keys() & {"order_id", "children"})


def _envelope(answer: Response) -> Mapping[str, Any] | None:
    """The JSON object, None where it is none. The official client too goes by the Content-Type."""
    if "json" not in answer.content_type.lower():
        return None
    try:
        document = msgspec.json.decode(answer.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return document if isinstance(document, Mapping) else None


def _unknown(answer: Response, what: str) -> Outcome:
    """HTTP 429 is heeded whoever says it. The body is not repeated: it may say anything."""
    kind = _brief(answer.content_type)[:60] or "no Content-Type"
    return Outcome(
        proof=Proof.UNKNOWN,
        reason=_brief(f"HTTP {answer.status} ({kind}): {what}"),
        limited=answer.status == TOO_MANY,
    )


def _id(value: Any) -> str:
    """Ids are strings; a whole number is read as its text. A fraction has lost digits, and is none."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def _message(fields: Mapping[str, Any]) -> str:
    message = fields.get("message")
    return _brief(message) if isinstance(message, str) else ""


def _brief(text: str) -> str:
    """One line of what may be much."""
    return " ".join(text.split())[:LONGEST_REASON]
