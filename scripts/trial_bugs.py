"""The daemon with one mistake in it, to see that the judge of the tests notices.

    python scripts/trial_bugs.py BUG run --feed replay ...

What follows BUG is what `alphapanda` takes. The mistake is made in this process alone, by changing classes of
the installed package after their import; the package itself knows nothing of it.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alphapanda.cli.app import main
from alphapanda.events import Halt
from alphapanda.live import edges, stages
from alphapanda.store import store
from alphapanda.venues.zerodha import broker, connection, follow
from alphapanda.venues.zerodha.answers import Lost

LATE_S = 0.5
"""So late a commit is that nobody waits for: no machine is so slow that it comes first all the same."""


def send_before_commit() -> None:
    """The order leaves, and its intent is committed some time later."""
    make = stages.Execution.__init__

    async def at_once() -> None:
        """Nobody waits for the commit."""

    def made(self: Any, core: Any, line: Any, gate: Any, brokers: Any, commit: Any, **more: Any) -> None:
        del commit
        make(self, core, line, gate, brokers, at_once, **more)

    stages.Execution.__init__ = made
    store.LINGER_S = LATE_S


def retry_of_a_post() -> None:
    """A placement without an answer is sent once more."""
    placed = broker.ZerodhaBroker._placed  # noqa: SLF001 - a bug is put there
    repeated = set[str]()

    def placed_again(self: Any, order: Any, answer: Any, sent: Any) -> None:
        if isinstance(answer, Lost) and order.order_id not in repeated:
            repeated.add(order.order_id)
            self.place(order)
        else:
            placed(self, order, answer, sent)

    broker.ZerodhaBroker._placed = placed_again  # noqa: SLF001 - a bug is put there


def no_quiet_period() -> None:
    """The first book without the order is taken for proof that there is none."""
    make = follow.Follower.__init__

    def made(self: Any, *given: Any, quiet_period_s: float = 0.0, **more: Any) -> None:
        del quiet_period_s
        make(self, *given, quiet_period_s=0.0, **more)

    follow.Follower.__init__ = made


def forgotten_resubscribe() -> None:
    """After a reconnect the ticker is not told again what is wanted."""
    subscribe = connection.Connection._subscribe  # noqa: SLF001 - a bug is put there
    told = set[int]()

    async def once(self: Any, socket: Any) -> None:
        if self.number not in told:
            told.add(self.number)
            await subscribe(self, socket)

    connection.Connection._subscribe = once  # noqa: SLF001 - a bug is put there


def kill_only_in_memory() -> None:
    """The kill switch works, and nothing of it is written down."""
    tap = store.Store.tap

    def tapped(self: Any, event: object) -> None:
        if not isinstance(event, Halt):
            tap(self, event)

    store.Store.tap = tapped


def unbounded_queue() -> None:
    """A full edge takes more all the same: nobody waits, and nothing is folded."""

    async def put_all(self: Any, event: object) -> None:
        self.put_bounded(event)

    def put_latest(self: Any, batch: Any) -> None:
        self._batches += 1
        self.put_bounded(batch)

    edges.Inbox.put_all = put_all
    edges.Inbox.put_latest = put_latest


BUGS: dict[str, Callable[[], None]] = {
    "send-before-commit": send_before_commit,
    "retry-of-a-post": retry_of_a_post,
    "no-quiet-period": no_quiet_period,
    "forgotten-resubscribe": forgotten_resubscribe,
    "kill-only-in-memory": kill_only_in_memory,
    "unbounded-queue": unbounded_queue,
}

if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in BUGS:
        sys.exit(f"trial_bugs: name one of {', '.join(BUGS)}, then what `alphapanda` takes")
    BUGS[sys.argv.pop(1)]()
    sys.argv[0] = str(Path(sys.executable).with_name("alphapanda"))
    main()
