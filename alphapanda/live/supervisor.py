"""Restart what failed, within a budget; beyond it, escalate.

A task that returns has failed unless it says it may end. `Fatal` is never restarted. What escalates leaves
this function as an exception, cancels its siblings, and ends the process with a code that systemd acts on.
"""

import random
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic

import anyio
from loguru import logger
from msgspec import Struct

from alphapanda.errors import Fatal
from alphapanda.live.line import Gauge

monitoring = logger.bind(channel="monitoring")


class Supervision(Struct, frozen=True):
    """At most `restarts` within `within_s` seconds, each after a jittered, doubling pause."""

    restarts: int
    within_s: float
    pause_s: float = 0.1
    longest_pause_s: float = 30.0
    may_end: bool = False
    by_hand: bool = False
    """The operator may restart it alone: nothing else depends on its state."""


class GaveUp(Fatal):
    """A task failed more often than its budget allows."""


async def supervise(
    name: str,
    run: Callable[[], Awaitable[None]],
    policy: Supervision,
    gauge: Gauge,
) -> None:
    """Run a task until it is cancelled, ends as it may, or its budget is spent."""
    failures: deque[float] = deque()
    while True:
        gauge.state = "running"
        asked = anyio.CancelScope()
        gauge.restart = asked.cancel if policy.by_hand else None
        try:
            with asked:
                await run()
            if asked.cancelled_caught:
                gauge.restarts += 1
                monitoring.info("{} is started anew, as the operator asked", name)
                continue
        except Fatal:
            gauge.state = "failed"
            raise
        except Exception as error:  # whatever it was, the budget decides
            if isinstance(error, ExceptionGroup) and error.subgroup(Fatal):
                gauge.state = "failed"
                raise
            problem = f"{type(error).__name__}: {error}"
        else:
            if policy.may_end:
                gauge.state = "ended"
                return
            problem = "it returned"
        gauge.state = "failed"
        _within_budget(name, problem, policy, failures)
        gauge.restarts += 1
        pause = _pause(policy, len(failures))
        monitoring.warning("{} failed ({}), restart {} in {:.1f} s", name, problem, gauge.restarts, pause)
        with anyio.CancelScope() as waiting:
            gauge.restart = waiting.cancel if policy.by_hand else None
            await anyio.sleep(pause)


def _within_budget(name: str, problem: str, policy: Supervision, failures: deque[float]) -> None:
    now = monotonic()
    failures.append(now)
    while failures[0] < now - policy.within_s:
        failures.popleft()
    if len(failures) > policy.restarts:
        raise GaveUp(f"{name} failed {len(failures)} times in {policy.within_s:g} s, last: {problem}")


def _pause(policy: Supervision, failures: int) -> float:
    longest = min(policy.longest_pause_s, policy.pause_s * 2 ** min(failures - 1, 30))
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter, not a secret
