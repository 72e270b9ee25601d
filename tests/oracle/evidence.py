"""What a run leaves for the judge: the store, the exchange's history, the wire, and what was done to it.

Everything is optional but the store; what is missing makes invariants undecided, never passed.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

Row = dict[str, Any]

KILL_ON, KILL_OFF = "kill-switch on", "kill-switch off"


def wall_offset_ns() -> int:
    """What is to be added to CLOCK_MONOTONIC to come to the wall clock, now."""
    return time.time_ns() - time.monotonic_ns()


class Command(Struct, frozen=True, kw_only=True):
    """Something an operator asked for. Times are CLOCK_MONOTONIC in nanoseconds.

    `name` is the command without its options, such as KILL_ON, KILL_OFF, "strategies pause", "risk set".
    `acked_ns` is when it was known to have succeeded: its process had ended with code 0, or with the daemon's
    answer that the kill is on and something is left. None: it was not known.
    `document` is what it answered with --json, if it did. `allowed` False: by somebody who may not.
    """

    name: str
    sent_ns: int
    acked_ns: int | None = None
    code: int | None = 0
    document: Any = None
    allowed: bool = True


class Life(Struct, frozen=True, kw_only=True):
    """One process of the daemon. CLOCK_MONOTONIC in nanoseconds; None: it never came to that."""

    pid: int
    started_ns: int
    ready_ns: int | None = None
    ended_ns: int | None = None
    code: int | None = None
    """Its exit code, -9 when it was killed."""


class Sample(Struct, frozen=True, kw_only=True):
    """A look at a running daemon. `status` is the document of `status --json`; the rest is the kernel's."""

    at_ns: int
    pid: int = 0
    status: Row = {}
    rss_bytes: int = 0
    fds: int = 0
    threads: int = 0


class Latencies(Struct, frozen=True, kw_only=True):
    """Tick to order, in microseconds, with the telemetry well and with it hurt."""

    calm_us: Sequence[float]
    hurt_us: Sequence[float]


class Evidence(Struct, frozen=True, kw_only=True):
    """Of one run, with any number of lives of the daemon.

    `stores` are the SQLite files that the daemon wrote; each is judged. `history` are the lines of the
    exchange (`/admin/history`), all of them, in their order. `wire` are the lines of the witness
    (`oracle.witness`). `settled`: the day is over, and no order may be in doubt or on its way any more.
    `broker` is the one whose orders go to that exchange. `quiet_period_s` and `max_price_age_s` are what the
    daemon was configured with, `limits` the numbers of its [risk] that I8 is to check. `positions` is
    what the account holds at the end: the exchange's net positions, and its holdings as CNC.
    `undisturbed` is the store of the same replay, left alone.
    Rows of a journal up to `since_seq` are of before: this exchange knows nothing of their orders.
    `outputs` are files in which none of `secrets` may be. `offset_ns`: see `wall_offset_ns`.
    `clock_moved`: the wall clock was not left alone, so that what goes by it is undecided.
    """

    stores: Sequence[Path]
    history: Sequence[Row] = ()
    wire: Sequence[Row] = ()
    commands: Sequence[Command] = ()
    lives: Sequence[Life] = ()
    samples: Sequence[Sample] = ()
    settled: bool = False
    broker: str = "zerodha"
    quiet_period_s: float | None = None
    max_price_age_s: float | None = None
    limits: Mapping[str, float] = {}
    positions: Sequence[Row] | None = None
    undisturbed: Path | None = None
    latencies: Latencies | None = None
    outputs: Sequence[Path] = ()
    secrets: Sequence[str] = ()
    offset_ns: int = field(default_factory=wall_offset_ns)
    clock_moved: bool = False
    since_seq: int = 0
