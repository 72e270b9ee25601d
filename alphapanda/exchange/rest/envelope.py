"""How Kite wraps an answer: the envelope of what it says, and of an error."""

from typing import Any

import msgspec

from alphapanda.exchange.calls import Refusal, Reply
from alphapanda.exchange.notation import plain

_encode = msgspec.json.Encoder().encode


def success(data: Any) -> Reply:
    return Reply(body=_encode({"status": "success", "data": plain(data)}))


def error(code: int, error_type: str, message: str) -> Reply:
    body = {"status": "error", "message": message, "data": None, "error_type": error_type}
    return Reply(status=code, body=_encode(body))


def refused(refusal: Refusal) -> Reply:
    return error(refusal.code, refusal.error_type, refusal.message)
