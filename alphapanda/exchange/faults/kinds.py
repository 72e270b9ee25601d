"""Every kind of fault: where it may strike, what its table must and may say, and what the client sees.

The README's table, the checks of a script and `GET /admin/faults` all come from here. Wall seconds are said
where a caller waits; all other seconds are the exchange's.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from alphapanda.exchange.faults.points import (
    BOOK,
    CALLS,
    CONNECT,
    FRAME,
    ORDER,
    PRICES,
    QUOTES,
    SOCKET,
    TICK,
    UPDATE,
)
from alphapanda.exchange.sessions import WRONG_TOKEN

MALFORMED = (
    *("count_too_high", "count_too_low", "length_too_long", "length_too_short", "truncated"),
    *("unknown_size", "empty", "text"),
)
DUMPS = ("missing", "yesterday", "truncated", "reused")
TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."


class Kind(NamedTuple):
    """`at` are the points it may strike; `timed` says that it can also happen by the clock, without a call.
    `needs` are keys that must be there, `takes` those that may. `presets` are values of a fault's fields
    where the script says nothing.
    """

    meaning: str
    at: frozenset[str]
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    presets: Mapping[str, Any] = {}
    sorts: tuple[str, ...] = ()
    timed: bool = False


_REFUSED: dict[str, Any] = {"accepted": False}
_UNKNOWN: dict[str, Any] = {"message": "Something unexpected happened. Please try again later."}
_WRONG_TOKEN: dict[str, Any] = {
    "code": 403,
    "error_type": "TokenException",
    "message": WRONG_TOKEN,
}
_WRONG_ADDRESS: dict[str, Any] = {
    "code": 403,
    "error_type": "PermissionException",
    "message": "Order requests are allowed only from the registered static IP address.",
}

KINDS: dict[str, Kind] = {
    "delay_before": Kind("the call waits so many wall seconds before it is handled", CALLS, ("seconds",)),
    "delay_after": Kind("handled at once, answered so many wall seconds later", CALLS, ("seconds",)),
    "drop_before": Kind("the connection is closed without a byte; nothing was handled", CALLS),
    "drop_after": Kind("handled, then the connection is closed without a byte", CALLS),
    "reset_before": Kind("the connection is reset (RST); nothing was handled", CALLS),
    "reset_after": Kind("handled, then the connection is reset (RST)", CALLS),
    "status": Kind(
        "an error envelope with this HTTP code",
        CALLS,
        ("code",),
        ("accepted", "error_type", "message"),
        _UNKNOWN | _REFUSED,
    ),
    "too_many": Kind(
        "HTTP 429, nothing handled",
        CALLS,
        presets={"code": 429, "error_type": "NetworkException", "message": "Too many requests"} | _REFUSED,
    ),
    "token_refused": Kind(
        "HTTP 403 TokenException for this call alone; the session lives",
        CALLS,
        presets=_WRONG_TOKEN | _REFUSED,
    ),
    "ip_refused": Kind(
        "HTTP 403 for a caller whose address is not registered (Kite's own words are not known)",
        CALLS,
        presets=_WRONG_ADDRESS | _REFUSED,
    ),
    "oms_down": Kind(
        "HTTP 502: the order system cannot be reached",
        CALLS,
        takes=("accepted",),
        presets={"code": 502, "error_type": "DataException", "message": "OMS is unreachable."} | _REFUSED,
    ),
    "down": Kind(
        "HTTP 503: the API is down",
        CALLS,
        takes=("accepted",),
        presets={"code": 503, "error_type": "NetworkException", "message": "Service unavailable."} | _REFUSED,
    ),
    "timeout": Kind(
        "HTTP 504: a gateway gave up",
        CALLS,
        takes=("accepted",),
        presets={"code": 504, "error_type": "NetworkException", "message": "Gateway timed out"} | _REFUSED,
    ),
    "ambiguous": Kind(
        "HTTP 400 that says to look in the order book; handled unless `accepted` is false",
        ORDER,
        takes=("accepted", "message", "error_type"),
        presets={"code": 400, "error_type": "OrderException", "message": TIMED_OUT},
    ),
    "html": Kind(
        "a gateway's HTML page in place of the answer (HTTP 502 or `code`)",
        CALLS,
        takes=("accepted", "code"),
        presets={"code": 502},
    ),
    "empty": Kind(
        "an answer without a body (HTTP 200 or `code`)",
        CALLS,
        takes=("accepted", "code"),
        presets={"code": 200},
    ),
    "truncated": Kind(
        "the first half of the body, with an honest Content-Length", CALLS, takes=("accepted",)
    ),
    "cut_body": Kind("Content-Length of the whole, half of the body, then the connection is closed", CALLS),
    "keyless": Kind("an envelope of success without `data`", CALLS, takes=("accepted",)),
    "no_content_type": Kind("the true answer without its Content-Type", CALLS),
    "not_json": Kind("HTTP 200 and Content-Type JSON with a body that is none", CALLS, takes=("accepted",)),
    "late": Kind(
        "the order is in the book only so many wall seconds later; the reply is given, lost or ambiguous",
        frozenset({"order.place"}),
        ("seconds",),
        ("reply",),
    ),
    "fill_before_reply": Kind(
        "the order lives its life, updates included, before the answer leaves", frozenset({"order.place"})
    ),
    "stuck": Kind(
        "the order stays in OPEN PENDING, MODIFY PENDING or CANCEL PENDING, for so many seconds or for ever",
        ORDER,
        takes=("seconds",),
    ),
    "reject": Kind(
        "taken, then rejected by RMS in these words: the order is REJECTED, the change NOT MODIFIED",
        frozenset({"order.place", "order.modify"}),
        ("message",),
    ),
    "partial_fills": Kind(
        "the order trades in so many pieces, at most one a tick", frozenset({"order.place"}), ("pieces",)
    ),
    "fill_on_cancel": Kind(
        "the cancel is taken, and the order trades whole before it arrives", frozenset({"order.cancel"})
    ),
    "partial_book": Kind(
        "only the first part of the rows (half, or `part`; 0 leaves none)",
        BOOK,
        takes=("part",),
        presets={"part": 0.5},
    ),
    "stale_book": Kind(
        "the orders or trades as they were so many seconds ago", frozenset({"orders", "trades"}), ("seconds",)
    ),
    "disagree": Kind("positions that are not the sum of the trades", frozenset({"positions"})),
    "dump": Kind(
        "an instrument list that is missing (HTTP 404), yesterday's, truncated, or with a token reused",
        frozenset({"instruments"}),
        ("sort",),
        sorts=DUMPS,
    ),
    "frozen": Kind("the quote stays as it was when the fault first struck, its times too", PRICES),
    "crossed": Kind("the best bid is above the best ask", frozenset({"quote", TICK})),
    "zero": Kind("last price and depth are 0", PRICES),
    "negative": Kind("last price and depth are below 0", PRICES),
    "absurd": Kind(
        "last price and depth are `factor` times what they are (10)",
        PRICES,
        takes=("factor",),
        presets={"factor": 10.0},
    ),
    "nan": Kind("NaN in place of every last price, which JSON does not know", QUOTES),
    "malformed": Kind(
        "a binary message that lies or breaks off", frozenset({FRAME}), ("sort",), sorts=MALFORMED
    ),
    "storm": Kind(
        "every binary message goes out `factor` times (10)",
        frozenset({FRAME}),
        takes=("factor",),
        presets={"factor": 10.0},
    ),
    "ws_refuse": Kind(
        "the WebSocket handshake is answered with this HTTP code (403)",
        frozenset({CONNECT}),
        takes=("code", "message"),
        presets=_WRONG_TOKEN,
    ),
    "ws_close": Kind(
        "a close frame with `code` (1011) and `message`",
        SOCKET,
        takes=("code", "message", "connection"),
        presets={"code": 1011},
        timed=True,
    ),
    "ws_reset": Kind(
        "the connection is reset (RST), no close frame", SOCKET, takes=("connection",), timed=True
    ),
    "ws_cut": Kind(
        "half of a binary message, then the connection is closed", SOCKET, takes=("connection",), timed=True
    ),
    "ws_mute": Kind(
        "TCP stays open and nothing at all is sent, no pong either, for so many seconds or for ever",
        SOCKET,
        takes=("seconds", "connection"),
        timed=True,
    ),
    "heartbeats_only": Kind(
        "heartbeats and pongs, but no ticks and no updates, for so many seconds or for ever",
        SOCKET,
        takes=("seconds", "connection"),
        timed=True,
    ),
    "duplicate_update": Kind("the order update is sent twice", frozenset({UPDATE})),
    "reorder_updates": Kind(
        "the update is held back until the next one has gone (or for so many seconds, 1)",
        frozenset({UPDATE}),
        takes=("seconds",),
        presets={"seconds": 1.0},
    ),
    "lose_update": Kind("the update is never sent", frozenset({UPDATE})),
    "late_update": Kind("the update is sent so many seconds later", frozenset({UPDATE}), ("seconds",)),
    "token_death": Kind(
        "the session ends; its sockets close, go silent or go mute", CALLS, takes=("sockets",), timed=True
    ),
    "manual_order": Kind("the owner places an order in the broker's app", CALLS, ("order",), timed=True),
    "square_off": Kind("the broker closes all MIS positions", CALLS, timed=True),
}
