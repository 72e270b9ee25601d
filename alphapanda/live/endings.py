"""How a run ends: what is still written down, and which of many errors is the one to tell."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import anyio
from anyio.abc import TaskStatus
from loguru import logger

from alphapanda.errors import CannotStart, Fatal
from alphapanda.events import Order
from alphapanda.live.edges import CoreFailed
from alphapanda.live.logs import flush
from alphapanda.store import Store
from alphapanda.venues.contract import Broker

audit = logger.bind(channel="audit")
database = logger.bind(channel="database")

LAST_WORDS_S = 2.0
LEAVES_S = 10.0
"""From the failure that ends the process to its end, at the latest: the T of systemd's restart."""


@contextmanager
def killed_by(number: signal.Signals, kill: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """`kill` is the handler itself: it is called between two instructions of the main thread, also while the
    loop is stuck in somebody's busy loop or sleep.
    """
    before = signal.signal(number, kill)
    try:
        yield
    finally:
        signal.signal(number, before)


async def on_signals(stop: Callable[[], None], *, task_status: TaskStatus[None]) -> None:
    """The first stops, the second leaves at once."""
    asked = 0
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        task_status.started()
        async for number in received:
            asked += 1
            if asked > 1:
                leave("second signal")
            audit.info("{}: stopping, a second signal leaves at once", signal.Signals(number).name)
            stop()


def leave(why: str) -> NoReturn:
    """At once, with code 1. May be called from any thread; the log is given its moment."""
    audit.error("{}: leaving at once, the journal decides at the next start", why)
    flush()
    os._exit(1)


class Leaving:
    """A task that hangs in its cleanup does not keep a daemon that is ending: once a group of tasks is
    cancelled, the process has `within_s` to end by itself. A thread counts, for the loop may be stuck.

    Groups are known by their names. The time runs from the first of them; one that has ended, with others to
    go on, is `done`.
    """

    def __init__(self, within_s: float = LEAVES_S, leave: Callable[[str], None] = leave) -> None:
        self._within_s = within_s
        self._leave = leave
        self._ending: set[str] = set()
        self._timer: threading.Timer | None = None

    async def when_cancelled(self, group: str) -> None:
        """A task of the group: whatever cancels it, a failure or the wish to stop, cancels this first."""
        try:
            await anyio.sleep_forever()
        finally:
            self.begin(group)

    def begin(self, group: str) -> None:
        """In the loop."""
        self._ending.add(group)
        if self._timer is None:
            why = f"a task of {group} has not ended in {self._within_s:g} s"
            self._timer = threading.Timer(self._within_s, self._leave, [why])
            self._timer.daemon = True
            self._timer.start()

    def done(self, *groups: str) -> None:
        """They have ended, and the process goes on, or is ended by somebody else."""
        self._ending.difference_update(groups)
        if not self._ending and self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def last_words(store: Store) -> None:
    """What is tapped is written down even when the line has failed; a store that failed says so itself."""
    with anyio.move_on_after(LAST_WORDS_S, shield=True):
        try:
            await store.commit()
        except Fatal as error:
            database.error("{}", error)


def staying(orders: Iterable[Order], brokers: Mapping[str, Broker]) -> str:
    """A stop leaves at a live broker what rests there; nothing where nothing does."""
    left = [order for order in orders if not brokers[order.broker].matches]
    named = ", ".join(f"{order.order_id} ({order.instrument.key}, {order.status})" for order in left)
    return f"orders that stay at the broker, and may trade: {named}" if left else ""


def core_failure(error: Exception) -> str | None:
    """What ended a line that new cores may go on with; None where going on would be wrong."""
    leaf = first(error) if isinstance(error, ExceptionGroup) else error
    if isinstance(leaf, Fatal) or not isinstance(leaf, Exception):
        return None
    return str(leaf) if isinstance(leaf, CoreFailed) else f"{type(leaf).__name__}: {leaf}"


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that brought the others down: the first that means something to the operator."""
    leaves: list[BaseException] = []

    def collect(error: BaseException) -> None:
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                collect(inner)
        else:
            leaves.append(error)

    collect(group)
    for kind in (CannotStart, Fatal, Exception):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]
