"""How Kite wraps an answer: the envelope, its errors, and its numbers."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from alphapanda.exchange.calls import Refusal, Reply

_encode = msgspec.json.Encoder().encode


def success(data: Any) -> Reply:
    return Reply(body=_encode({"status": "success", "data": plain(data)}))


def error(code: int, error_type: str, message: str) -> Reply:
    body = {"status": "error", "message": message, "data": None, "error_type": error_type}
    return Reply(status=code, body=_encode(body))


def refused(refusal: Refusal) -> Reply:
    return error(refusal.code, refusal.error_type, refusal.message)


def plain(value: Any) -> Any:
    """Decimals become numbers; a number without a fraction has no decimal point, as Kite writes it."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
