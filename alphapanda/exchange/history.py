"""Everything seen and done, numbered, in order, never changed: the judge of every test against the exchange.

A line is one JSON object: `seq` from 1, `kind`, `at` (exchange time, ISO 8601 with +05:30), what happened,
and last `wall_ns`, the machine's clock: the only field that two runs with the same seed and requests do not
share.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from alphapanda.times import to_ist

Written = Callable[[bytes], None]
KINDS = frozenset(
    {
        *("start", "end", "clock", "day", "failure"),
        *("request", "reply", "session", "fault", "faults"),
        *("order", "trade", "order_refused", "square_off", "gtt"),
        *("ws_connect", "ws_refused", "ws_close", "ws_message", "ws_update", "ws_orphaned", "ticks"),
    }
)
"""What a line can tell of; the README says of each what it means."""


class History:
    """`wall` is read for `wall_ns`; `write` gets each line with its newline, as it is made."""

    def __init__(self, wall: Callable[[], int], write: Written | None = None) -> None:
        self._wall = wall
        self._write = write
        self._lines: list[tuple[str, bytes]] = []
        self._encode = msgspec.json.Encoder().encode

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, kind: str, at_ns: int, **facts: Any) -> int:
        """Write a line and return its number. The facts are what JSON knows."""
        seq = len(self._lines) + 1
        line = {"seq": seq, "kind": kind, "at": to_ist(at_ns).isoformat(), **facts, "wall_ns": self._wall()}
        encoded = self._encode(line) + b"\n"
        self._lines.append((kind, encoded))
        if self._write is not None:
            self._write(encoded)
        return seq

    def lines(self, after: int = 0, kinds: frozenset[str] = frozenset()) -> Iterator[bytes]:
        """The lines with a number above `after`, of these kinds where any are named."""
        for number in range(max(0, after), len(self._lines)):
            kind, line = self._lines[number]
            if not kinds or kind in kinds:
                yield line
