"""What a client of the ticker says, and the texts it is told.

`{"a": "subscribe", "v": [408065]}`, `{"a": "unsubscribe", "v": [408065]}`, `{"a": "mode", "v": ["full",
[408065]]}`: there is no other, and none is acknowledged (Kite Connect documentation, "WebSocket streaming").
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from alphapanda.kite.layout import FULL, INDEX_FULL, INDEX_QUOTE, LTP, QUOTE, is_index

SUBSCRIBE, UNSUBSCRIBE, MODE = "subscribe", "unsubscribe", "mode"
ACTIONS = (SUBSCRIBE, UNSUBSCRIBE, MODE)
DEFAULT_MODE = "quote"

_SIZES = {"ltp": (LTP, LTP), "quote": (QUOTE, INDEX_QUOTE), "full": (FULL, INDEX_FULL)}
"""Mode -> bytes of its packet: of what is traded, of an index."""


class MessageError(ValueError):
    """The text is no message; the words are for its sender."""


class Message(Struct, frozen=True):
    """One message. `tokens` as they came, once each; `odd` counts what is no whole number: it gets no ticks.

    `mode` is set only in a change of mode.
    """

    action: str
    tokens: tuple[int, ...]
    odd: int = 0
    mode: str = ""


def read(text: str) -> Message:
    """The message in a text frame; raises `MessageError`."""
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise MessageError("Invalid message: it is not JSON.") from None
    if not isinstance(said, dict) or said.get("a") not in ACTIONS:
        raise MessageError(f"Invalid message: `a` has to be one of {', '.join(ACTIONS)}.")
    mode, named = "", said.get("v")
    if said["a"] == MODE:
        mode, named = _mode_and_tokens(named)
    if not isinstance(named, list):
        raise MessageError("Invalid message: `v` has to be a list of instrument tokens.")
    # JSON's true is no whole number, though Python's is.
    tokens = tuple(dict.fromkeys(token for token in named if type(token) is int))
    return Message(said["a"], tokens, sum(type(token) is not int for token in named), mode)


def _mode_and_tokens(value: Any) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) != 2:
        raise MessageError('Invalid message: `v` has to be [mode, [tokens]], such as ["full", [408065]].')
    if not isinstance(value[0], str) or value[0] not in _SIZES:
        raise MessageError(f"Invalid mode: it has to be one of {', '.join(_SIZES)}.")
    return value


def packet_size(token: int, mode: str) -> int:
    """Bytes of this instrument's packet in this mode."""
    return _SIZES[mode][is_index(token)]


def error(words: str) -> str:
    """An error as the ticker sends it: the official client gives it to `on_error` with code 0."""
    return text("error", words)


def app_code(timestamp: str) -> str:
    """What Kite's ticker says at connect beside `instruments_meta`; its use is not documented."""
    return msgspec.json.encode({"type": "app_code", "timestamp": timestamp}).decode()


def text(kind: str, data: Any) -> str:
    return msgspec.json.encode({"type": kind, "data": data}).decode()
