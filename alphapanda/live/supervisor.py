"""Restart what failed, within a budget; beyond it, do what its policy says.

A task that returns has failed unless it says it may end, and so has one that was cancelled by nobody. `Fatal`
is never restarted. What escalates to an exit leaves this function as an exception, cancels its siblings, and
ends the process with a code that systemd acts on.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import NamedTuple

import anyio
from loguru import logger

from alphapanda.errors import Fatal
from alphapanda.live.line import Gauge
from alphapanda.live.policies import Beyond, Budget, Supervision
from alphapanda.live.task_faults import as_told

monitoring = logger.bind(channel="monitoring")

SAY_EVERY_S = 60.0
"""A task that may fail for ever is named in the log so often."""


Run = Callable[[], Awaitable[None]]
"""A task."""


class GaveUp(Fatal):
    """A task failed more often than its budget allows."""


class Failed(NamedTuple):
    """It is started again after a pause."""

    name: str
    problem: str


class Started(NamedTuple):
    """It runs, for the first time or again."""

    name: str


class GivenUp(NamedTuple):
    """It is not started again, except by hand where it stays (HALT, HOLD)."""

    name: str
    problem: str
    beyond: Beyond


News = Failed | Started | GivenUp


def _nobody(_news: News) -> None:
    """Nobody listens."""


async def supervise(
    name: str,
    run: Callable[[], Awaitable[None]],
    policy: Supervision,
    gauge: Gauge,
    *,
    told: Callable[[News], None] = _nobody,
    budget: Budget | None = None,
) -> None:
    """Run a task until it is cancelled, ends as it may, or its budget is spent.

    `told` hears at once what happened, before anything else is done about it. `budget` is one that outlives
    this task; without it the task has its own. One that gave up without an exit stays here, failed, until
    `gauge.restart`. Raises GaveUp, and passes on what is Fatal.
    """
    budget = Budget(policy) if budget is None else budget
    said_s = -math.inf
    while True:
        try:
            problem = await _once(name, run, policy, gauge, told)
        except (Fatal, ExceptionGroup) as error:
            gauge.state = "failed"
            told(GivenUp(name, str(error), Beyond.EXIT))
            raise
        if problem is None:
            if gauge.state == "ended":
                return
            continue
        gauge.state = "failed"
        pause = budget.failed(monotonic(), random.random())  # noqa: S311 - jitter, not a secret
        if isinstance(pause, Beyond):
            await _stay(name, _sentence(name, problem, budget), pause, gauge, told)
            budget.forgive()
            gauge.restarts += 1
            continue
        gauge.restarts += 1
        told(Failed(name, problem))
        if policy.restarts is not None or monotonic() - said_s >= SAY_EVERY_S:
            said_s = monotonic()
            monitoring.warning("{} failed ({}), restart {} in {:.1f} s", name, problem, gauge.restarts, pause)
        with anyio.CancelScope() as waiting:
            gauge.restart = waiting.cancel if policy.by_hand else None
            await anyio.sleep(pause)


async def _once(
    name: str,
    run: Callable[[], Awaitable[None]],
    policy: Supervision,
    gauge: Gauge,
    told: Callable[[News], None],
) -> str | None:
    """One run of the task: what was wrong, None where nothing was. Raises what is Fatal, or a group of it."""
    asked = anyio.CancelScope()
    gauge.state = "running"
    gauge.restart = asked.cancel if policy.by_hand else None
    told(Started(name))
    try:
        with asked:
            await as_told(name, run)
    except Fatal:
        raise
    except Exception as error:  # whatever it was, the budget decides
        if isinstance(error, ExceptionGroup) and error.subgroup(Fatal):
            raise
        return f"{type(error).__name__}: {error}"
    except anyio.get_cancelled_exc_class():
        if _is_cancelled():
            raise
        return "it was cancelled, and nobody had asked for it"
    if asked.cancel_called:
        gauge.restarts += 1
        monitoring.info("{} is started anew, as the operator asked", name)
        return None
    if policy.may_end:
        gauge.state = "ended"
        return None
    return "it returned"


async def _stay(name: str, problem: str, beyond: Beyond, gauge: Gauge, told: Callable[[News], None]) -> None:
    """Failed, until the operator starts it again. Raises GaveUp where nobody can."""
    told(GivenUp(name, problem, beyond))
    if beyond not in (Beyond.HALT, Beyond.HOLD):
        raise GaveUp(problem)
    monitoring.error("{}; `alphapanda stages restart {}` starts it again", problem, name)
    asked = anyio.Event()
    gauge.restart = asked.set
    await asked.wait()
    monitoring.info("{} is started anew, as the operator asked", name)


def _sentence(name: str, problem: str, budget: Budget) -> str:
    times = budget.lately + 1
    return f"{name} failed {times} times in {budget.policy.within_s:g} s, last: {problem}"


def _is_cancelled() -> bool:
    """Has anybody asked this task to end? A task that merely raises the exception has failed."""
    task = asyncio.current_task()
    asked = task is not None and task.cancelling() > 0
    return asked or anyio.current_effective_deadline() == -math.inf
