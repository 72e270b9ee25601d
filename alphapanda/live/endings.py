"""How a run ends: what is still written down, and which of many errors is the one to tell."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

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


async def on_signals(
    kill: Callable[[int, FrameType | None], None], stop: Callable[[], None], *, task_status: TaskStatus[None]
) -> None:
    """SIGUSR1 is the kill switch; the first of the others stops, the second leaves at once."""
    asked = 0
    with (
        killed_by(signal.SIGUSR1, kill),
        anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received,
    ):
        task_status.started()
        async for number in received:
            asked += 1
            if asked > 1:
                audit.warning("second signal: leaving at once, the journal decides at the next start")
                flush()
                os._exit(1)
            audit.info("{}: stopping, a second signal leaves at once", signal.Signals(number).name)
            stop()


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
