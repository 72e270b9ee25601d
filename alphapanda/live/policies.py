"""How often each task may fail, and what follows beyond that. Values and decisions: time comes in.

The innermost level is a task, the next a life of the line (its cores are never used again), the outermost
systemd (`StartLimitBurst`). No level gives another more restarts than its own budget has: the budgets are
those of the process, a new life of the line does not renew them.
"""

from collections import deque
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from alphapanda.pipeline import Stage


class Beyond(StrEnum):
    """What follows when a task has failed too often."""

    EXIT = "exit"
    """The process leaves with code 1, and systemd decides."""
    HALT = "halt"
    """The kill switch goes on. The task stays failed, and the daemon up, for the operator."""
    HOLD = "hold"
    """No entries leave, exits go on. The task stays failed until the operator starts it."""
    NEVER = "never"
    """It may fail for ever: nothing that trades depends on it."""


class Supervision(Struct, frozen=True):
    """At most `restarts` within `within_s` seconds, each after a jittered, doubling pause (s)."""

    restarts: int | None
    """None: as often as it takes."""
    within_s: float
    pause_s: float = 0.1
    longest_pause_s: float = 30.0
    may_end: bool = False
    by_hand: bool = False
    """The operator may restart it alone while it runs: nothing else depends on its state."""
    beyond: Beyond = Beyond.EXIT
    holds: bool = False
    """While it is down no entry leaves."""
    says_up: bool = False
    """It says itself when it is up again; another is up when it is started."""


class Budget:
    """The restarts of one task in the last `within_s` seconds. All times are monotonic seconds."""

    def __init__(self, policy: Supervision) -> None:
        self.policy = policy
        self._again: deque[float] = deque()
        """When it is started again, the last pause included."""

    def failed(self, now_s: float, jitter: float = 1.0) -> float | Beyond:
        """The pause before it is started again, or what follows. `jitter` (0 to 1) shortens the pause by up
        to a half. Restarts are counted, not failures: a pause moves none of them out of a window.
        """
        policy, again = self.policy, self._again
        while again and again[0] <= now_s - policy.within_s:
            again.popleft()
        if policy.restarts is not None and len(again) >= policy.restarts:
            return policy.beyond
        longest = min(policy.longest_pause_s, policy.pause_s * float(1 << min(len(again), 30)))
        pause = longest * (1 + jitter) / 2
        again.append(now_s + pause)
        return pause

    @property
    def lately(self) -> int:
        """Restarts that are still counted."""
        return len(self._again)

    def forgive(self) -> None:
        """The operator has looked at it."""
        self._again.clear()


class Tree:
    """The budgets of all tasks of a process, by the names they have in `status`."""

    def __init__(self, policies: Mapping[str, Supervision]) -> None:
        self.budgets = {str(name): Budget(policy) for name, policy in policies.items()}

    def failed(self, name: str, now_s: float, jitter: float = 1.0) -> float | Beyond:
        """As `Budget.failed`."""
        return self.budgets[name].failed(now_s, jitter)


FINITE = Supervision(restarts=0, within_s=600, may_end=True)
"""A walk through data that ends. Its rows are read once: one that raised cannot go on where it was."""

FOR_EVER = Supervision(restarts=None, within_s=600, longest_pause_s=60, by_hand=True, beyond=Beyond.NEVER)

CORE = "core"
"""The stages that share their state, and all that goes with them: a life of the line."""

POLICIES = {
    "control": Supervision(restarts=5, within_s=60, holds=True, says_up=True),
    "store": Supervision(restarts=0, within_s=60),
    Stage.FEED: Supervision(restarts=10, within_s=600, by_hand=True, beyond=Beyond.HOLD, holds=True),
    CORE: Supervision(restarts=1, within_s=300, pause_s=0.0),
    "zerodha": Supervision(restarts=3, within_s=60, beyond=Beyond.HALT, holds=True),
    "token": FOR_EVER,
    "pulse": FOR_EVER,
    "health": FOR_EVER,
    "redis": FOR_EVER,
}
"""How often each task may fail. Cores that raised may be half changed: `core` is a life of the line, the next
begins from the journal. The feed's policy is that of a live one."""
