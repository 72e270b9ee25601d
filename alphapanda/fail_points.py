"""Named places at which a test makes the daemon die, raise or stall. Nothing happens unless it is armed.

`ALPHAPANDA_FAIL_AT` arms them, for tests alone: `after_commit` ends the process there as kill -9 does,
`after_commit:3` at the third passage, `after_commit:*` at each; `after_commit:3=raise` raises instead,
`=stall:2` blocks for two seconds. Points of tasks also take `=return`, `=hang` and `=linger`, which does not
even end when it is cancelled, and are passed whenever the task is started. Several are divided by commas.
`alphapanda fail-points` lists them.
"""

import os
import signal
import time
from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Self

from msgspec import Struct

from alphapanda.errors import CannotStart

VARIABLE = "ALPHAPANDA_FAIL_AT"


class Met(Enum):
    """What a daemon has to do to come by."""

    START = "start"
    """Open the account of a broker elsewhere, and make ready."""
    ORDERS = "orders"
    """Trade at a broker elsewhere."""
    CANCELS = "cancels"
    """Take back an order that rests there."""
    TURNS = "turns"
    """Walk a finite feed, and trade on paper."""
    KILL = "kill"
    """Be stopped by the kill switch."""
    REARM = "rearm"
    """Be allowed to trade again."""
    DRAIN = "drain"
    """Be told to stop."""
    RENEWAL = "renewal"
    """Lose a core, and go on with new ones."""
    TASK = "task"
    """Start that task."""


class FailPoint(StrEnum):
    """In the order of a life: the start, an order's way, the switch, the end; then the tasks."""

    met: Met
    when: str

    def __new__(cls, name: str, met: Met, when: str) -> Self:
        point = str.__new__(cls, name)
        point._value_ = name
        point.met = met
        point.when = when
        return point

    STORE_OPENED = "store_opened", Met.START, "the store is open and its schema current, nothing is folded"
    STORE_FOLDED = "store_folded", Met.START, "the journal is folded"
    ACCOUNT_OPENED = "account_opened", Met.START, "the broker has taken the token, nothing is asked of it yet"
    CORES_BUILT = "cores_built", Met.START, "cores and brokers are made from the journal"
    DOUBTED_AT_START = "doubted_at_start", Met.START, "what was under way is in doubt, no book is read"
    BOOKS_READ_AT_START = "books_read_at_start", Met.START, "the first books are applied, and not compared"
    COMPARED_AT_START = "compared_at_start", Met.START, "positions are compared, nobody is told yet"
    BEFORE_READY = "before_ready", Met.START, "all is put right, and the gate is still closed"
    AFTER_READY = "after_ready", Met.START, "the gate is open, and nothing has left"

    INTENT_DECIDED = "intent_decided", Met.ORDERS, "orders are decided, their intents not committed"
    BEFORE_COMMIT = "before_commit", Met.ORDERS, "a transaction of the journal is about to begin"
    INSIDE_COMMIT = "inside_commit", Met.ORDERS, "its rows are written, and not committed"
    AFTER_COMMIT = "after_commit", Met.ORDERS, "it is durable, and nobody knows yet"
    INTENT_COMMITTED = "intent_committed", Met.ORDERS, "intents are durable, and the gate is not asked yet"
    BEFORE_WRITE = "before_write", Met.ORDERS, "the gate has said yes, no byte has left"
    AFTER_WRITE = "after_write", Met.ORDERS, "all bytes of a request are with the kernel"
    ANSWER_RECEIVED = "answer_received", Met.ORDERS, "an answer has come, or its loss; it is not read yet"
    ANSWER_BOOKED = "answer_booked", Met.ORDERS, "what an answer proves is on the line"
    BOOK_READ = "book_read", Met.ORDERS, "the broker's books are read, and not applied"
    BOOK_APPLIED = "book_applied", Met.ORDERS, "what they say is on the line"
    REPORT_BOOKED = "report_booked", Met.ORDERS, "execution has a report, the journal may not have it"
    BEFORE_ORDER_TOLD = "before_order_told", Met.ORDERS, "portfolio has booked news, the journal has not"
    CANCEL_ASKED = "cancel_asked", Met.CANCELS, "an order is wanted back, and its cancel has not left"

    BEFORE_PAPER = "before_paper", Met.TURNS, "paper is about to take an order"
    AFTER_PAPER = "after_paper", Met.TURNS, "paper has taken it"
    TURN_FILLED = "turn_filled", Met.TURNS, "the fills of a row are booked, strategies have not seen it"
    TURN_DONE = "turn_done", Met.TURNS, "nothing of a row is on the line, and it is not marked as taken"
    TURN_TAKEN = "turn_taken", Met.TURNS, "it is marked, and the mark may not be durable"

    KILL_FLAGGED = "kill_flagged", Met.KILL, "the flag is set, and not committed"
    KILL_COMMITTED = "kill_committed", Met.KILL, "it is durable, and not acknowledged"
    KILL_SWEPT = "kill_swept", Met.KILL, "cancels of what rests are asked for"
    REARM_ASKED = "rearm_asked", Met.REARM, "the line stands still, the kill file is still there"
    REARM_FILE_REMOVED = "rearm_file_removed", Met.REARM, "the kill file is gone, and the journal says killed"
    REARM_COMMITTED = "rearm_committed", Met.REARM, "the journal says resumed, and the gate is closed"

    DRAIN_BEGUN = "drain_begun", Met.DRAIN, "the feed stands, events are on the line"
    DRAIN_ANSWERED = "drain_answered", Met.DRAIN, "no request waits for its answer"
    DRAIN_TOLD = "drain_told", Met.DRAIN, "strategies have ended, the last marks are not committed"
    DRAIN_COMMITTED = "drain_committed", Met.DRAIN, "the store is complete"

    LIFE_ENDED = "life_ended", Met.RENEWAL, "a core has failed, and what was tapped is not committed"
    LIFE_COMMITTED = "life_committed", Met.RENEWAL, "it is committed, and the journal not read again"
    LIFE_REFOLDED = "life_refolded", Met.RENEWAL, "the journal is read again, nothing is built"

    TASK_CONTROL = "task_control", Met.TASK, "the control socket"
    TASK_STORE = "task_store", Met.TASK, "the store's writer"
    TASK_REDIS = "task_redis", Met.TASK, "the figures in Redis"
    TASK_TOKEN = "task_token", Met.TASK, "the watch for a new login and a new list"
    TASK_ZERODHA = "task_zerodha", Met.TASK, "the broker at Zerodha"
    TASK_FEED = "task_feed", Met.TASK, "the feed"
    TASK_STRATEGY = "task_strategy", Met.TASK, "the strategy stage"
    TASK_RISK = "task_risk", Met.TASK, "the risk stage"
    TASK_EXECUTION = "task_execution", Met.TASK, "the execution stage"
    TASK_PORTFOLIO = "task_portfolio", Met.TASK, "the portfolio stage"
    TASK_PULSE = "task_pulse", Met.TASK, "the pulse"
    TASK_HEALTH = "task_health", Met.TASK, "the look at queues and at the process"


_NAMED = {str(point): point for point in FailPoint}


class Injected(Exception):  # noqa: N818 - names what happened
    """A fail point raised, as it was told to."""


class Armed(Struct):
    """`passage` 1 is the next; 0 is each."""

    passage: int = 1
    action: str = "kill"

    def __str__(self) -> str:
        return f"{self.action} at passage {self.passage or 'each'}"


def armed_by(environ: Mapping[str, str]) -> dict[str, Armed]:
    """What the variable asks for. Raises ValueError, one line, for what is no fail point or no action."""
    found: dict[str, Armed] = {}
    for word in filter(None, map(str.strip, environ.get(VARIABLE, "").split(","))):
        place, _, action = word.partition("=")
        name, _, passage = place.partition(":")
        point = _NAMED.get(name)
        if point is None:
            raise ValueError(f"{VARIABLE}: {name!r} is no fail point; `alphapanda fail-points` lists them")
        if passage not in ("", "*") and not (passage.isdecimal() and int(passage)):
            raise ValueError(f"{VARIABLE}: {word!r}: a passage is a number from 1, or *")
        action = action or "kill"
        if not _known(point, action):
            more = ", =return, =hang or =linger" if point.met is Met.TASK else " or =stall:SECONDS"
            raise ValueError(f"{VARIABLE}: {word!r}: {name} takes =kill, =raise{more}")
        found[point] = Armed(0 if passage == "*" else int(passage or 1), action)
    return found


def _known(point: FailPoint, action: str) -> bool:
    if action in ("kill", "raise"):
        return True
    if point.met is Met.TASK:
        return action in ("return", "hang", "linger")
    what, _, seconds = action.partition(":")
    return what == "stall" and seconds.replace(".", "", 1).isdecimal()


class _Arms:
    """What this process is told to do. A mistake in the variable is kept until somebody can be told."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.problem = ""
        self.points: dict[str, Armed] = {}
        try:
            self.points = armed_by(environ)
        except ValueError as error:
            self.problem = str(error)


_ARMS = _Arms(os.environ)
_POINTS = _ARMS.points


def armed() -> list[str]:
    """One sentence for each that is armed. Raises CannotStart for a variable that makes no sense."""
    if _ARMS.problem:
        raise CannotStart(_ARMS.problem)
    return [f"{name}: {each}" for name, each in _POINTS.items()]


def reach(point: FailPoint) -> None:
    """Called where the point is. Costs a look at an empty table in every run but a test's."""
    if _POINTS and (action := told(point)):
        fail(point, action)


def told(point: FailPoint) -> str:
    """It is passed: what to do at this passage, or nothing."""
    found = _POINTS.get(point)
    if found is None:
        return ""
    if found.passage == 0:
        return found.action
    found.passage -= 1
    if found.passage:
        return ""
    del _POINTS[point]
    return found.action


def fail(point: FailPoint, action: str) -> None:
    """Die, raise Injected, or stall."""
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action.startswith("stall"):
        time.sleep(float(action.partition(":")[2]))
        return
    raise Injected(f"fail point {point}")
