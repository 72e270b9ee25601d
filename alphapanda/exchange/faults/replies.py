"""The broken answers that faults send, and how a good answer is broken."""

import re
from collections.abc import Callable, Mapping

import msgspec
from msgspec.structs import replace

from alphapanda.exchange.calls import HTML, Refusal, Reply
from alphapanda.exchange.faults.fault import Fault
from alphapanda.exchange.faults.wire import Spoiler
from alphapanda.exchange.rest.envelope import error

PAGE = b"""<html>\r
<head><title>%(code)d %(reason)s</title></head>\r
<body>\r
<center><h1>%(code)d %(reason)s</h1></center>\r
<hr><center>nginx</center>\r
</body>\r
</html>\r
"""
REASONS = {502: b"Bad Gateway", 503: b"Service Temporarily Unavailable", 504: b"Gateway Time-out"}
TEXT = b"upstream connect error or disconnect/reset before headers"
SUCCESS = b'{"status":"success"}'
LAST_PRICE = re.compile(rb'"last_price":\s*-?[0-9.]+(?:[eE][-+]?[0-9]+)?')

TYPES = {400: "InputException", 403: "TokenException", 502: "DataException"}
"""Kite's name of an error by its HTTP code, where a script says none."""


def refusal(fault: Fault) -> Refusal:
    """What a handshake or a call that is refused hears."""
    return Refusal(fault.code, _error_type(fault), fault.message)


def reply_of(fault: Fault) -> Reply | None:
    """The answer that takes the place of the true one; None where the true one is sent, or none."""
    whole = _WHOLE.get(fault.do)
    return whole(fault) if whole else None


def spoiler_of(fault: Fault) -> Spoiler | None:
    """How the true answer is broken; None where it is not."""
    if fault.do == "partial_book":
        return lambda reply: _partial(reply, fault.part)
    return _SPOILERS.get(fault.do)


def envelope(fault: Fault) -> Reply:
    return error(fault.code, _error_type(fault), fault.message)


def _error_type(fault: Fault) -> str:
    if fault.error_type:
        return fault.error_type
    return TYPES.get(fault.code, "GeneralException" if fault.code < 500 else "NetworkException")


def _page(fault: Fault) -> Reply:
    reason = REASONS.get(fault.code, b"Error")
    return Reply(status=fault.code, body=PAGE % {b"code": fault.code, b"reason": reason}, content_type=HTML)


def _without_type(reply: Reply) -> Reply:
    return replace(reply, content_type=None)


def _half(reply: Reply) -> Reply:
    return replace(reply, body=reply.body[: len(reply.body) // 2])


def _not_numbers(reply: Reply) -> Reply:
    return replace(reply, body=LAST_PRICE.sub(b'"last_price":NaN', reply.body))


def _partial(reply: Reply, part: float) -> Reply:
    """The first rows of a list, or of the lists that a book is made of; errors stay as they are."""
    if reply.status != 200:
        return reply
    answer = msgspec.json.decode(reply.body)
    data = answer.get("data")
    if isinstance(data, list):
        answer["data"] = _first(data, part)
    elif isinstance(data, Mapping):
        answer["data"] = {key: _first(rows, part) for key, rows in data.items()}
    return replace(reply, body=msgspec.json.encode(answer))


def _first(rows: list[object], part: float) -> list[object]:
    return rows[: int(len(rows) * part)]


_WHOLE: dict[str, Callable[[Fault], Reply]] = {
    **dict.fromkeys(
        (
            *("status", "too_many", "token_refused", "ip_refused", "oms_down", "down", "timeout"),
            "ambiguous",
        ),
        envelope,
    ),
    "html": _page,
    "empty": lambda fault: Reply(status=fault.code),
    "keyless": lambda _: Reply(body=SUCCESS),
    "not_json": lambda _: Reply(body=TEXT),
}
_SPOILERS: dict[str, Spoiler] = {
    "truncated": _half,
    "no_content_type": _without_type,
    "nan": _not_numbers,
}
