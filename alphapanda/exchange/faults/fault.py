"""One fault of a script, as it was read: where it strikes, what it does, when, and with which numbers."""

from collections.abc import Mapping
from datetime import time

from msgspec import Struct


class When(Struct, frozen=True, kw_only=True):
    """Which of the matching calls a fault strikes; all of them without `nth`, `every` and `p`.

    A fault counts its own matching calls from 1: those at its point, with its symbol and tag, inside its
    window. The window opens at `at` (IST) or `after_s` exchange seconds after the script came in, and closes
    at `until` (IST) or `for_s` exchange seconds after it opened. What happens by the clock alone happens when
    the window opens, tomorrow where `at` is past.
    """

    nth: tuple[int, ...] = ()
    every: int = 0
    p: float | None = None
    times: int = 0
    """At most so many; 0 has no limit."""
    at: time | None = None
    after_s: float | None = None
    until: time | None = None
    for_s: float | None = None


class Fault(Struct, frozen=True, kw_only=True):
    """A fault. `on` is "" for one that happens by the clock alone. Which of the fields from `seconds` on mean
    anything depends on the kind: `kinds.KINDS` has the table.
    """

    do: str
    number: int = 0
    """From 1, over everything that was ever added."""
    on: str = ""
    when: When = When()
    symbols: frozenset[str] = frozenset()
    """"INFY" or "NSE:INFY"; empty for all."""
    tags: frozenset[str] = frozenset()
    seconds: float = 0.0
    code: int = 0
    error_type: str = ""
    message: str = ""
    accepted: bool = True
    """The call is handled before the reply is spoilt."""
    reply: str = "given"
    """What the caller of a late order hears: "given", "lost" or "ambiguous"."""
    pieces: int = 0
    part: float = 1.0
    factor: float = 1.0
    sort: str = ""
    """Which of several sorts of the kind."""
    sockets: str = "close"
    """Of a dead session: "close", "silent" (nothing but heartbeats and pongs) or "mute" (nothing at all)."""
    connection: int = 0
    """The number of the WebSocket connection that is struck; 0 for all."""
    order: Mapping[str, str] = {}
    """Of an order by hand, as POST /orders has it."""


def fits(wanted: frozenset[str], names: frozenset[str]) -> bool:
    """Whether one of these instruments ("NSE:INFY") is wanted; a wish may leave out the exchange."""
    return not wanted or any(name in wanted or name.partition(":")[2] in wanted for name in names)
