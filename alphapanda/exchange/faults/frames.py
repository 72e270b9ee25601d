"""Binary messages that lie or break off. A good one: a count, then each packet behind its length."""

from collections.abc import Callable

MOST = 0xFFFF
"""What a count or a length can say."""
BY = 7
"""How far a lying count or length is off."""
ODD_SIZE = 61
"""The length of no packet that Kite sends."""
GARBAGE = "<html>upstream connect error</html>"


def malform(frame: bytes, sort: str) -> bytes | str:
    """The message spoilt in one of the sorts of `kinds.MALFORMED`."""
    return _SORTS[sort](frame)


def _with_count(frame: bytes, change: int) -> bytes:
    count = int.from_bytes(frame[:2], "big") + change
    return max(0, min(count, MOST)).to_bytes(2, "big") + frame[2:]


def _with_length(frame: bytes, change: int) -> bytes:
    """The length of the first packet is off."""
    length = int.from_bytes(frame[2:4], "big") + change
    return frame[:2] + max(0, min(length, MOST)).to_bytes(2, "big") + frame[4:]


def _strange(frame: bytes) -> bytes:
    """A packet of a size that means nothing stands before the true ones, each whole."""
    packet = frame[4:8].ljust(ODD_SIZE, b"\0")
    return _with_count(frame[:2] + len(packet).to_bytes(2, "big") + packet + frame[2:], 1)


_SORTS: dict[str, Callable[[bytes], bytes | str]] = {
    "count_too_high": lambda frame: _with_count(frame, BY),
    "count_too_low": lambda frame: _with_count(frame, -1),
    "length_too_long": lambda frame: _with_length(frame, len(frame)),
    "length_too_short": lambda frame: _with_length(frame, -BY),
    "truncated": lambda frame: frame[: len(frame) - BY],
    "unknown_size": _strange,
    "empty": lambda _: b"",
    "text": lambda _: GARBAGE,
}
