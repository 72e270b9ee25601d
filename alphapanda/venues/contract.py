"""What the line asks of a market: a broker, and two kinds of feed. Every venue is tested against it."""

from collections.abc import Callable, Generator
from typing import Any, Protocol

from anyio.abc import TaskStatus

from alphapanda.events import Order, OrderAdopted, Report, TickBatch

Reporter = Callable[[Report | OrderAdopted], None]
"""How a broker says what became of an order, or that it made one itself. Never blocks."""

Lets = Callable[[Order], bool]
"""The gate: may this order leave now? Asked in the same step as the write, also by an order that waited."""


class Broker(Protocol):
    """Takes orders. Whatever it learns of them it reports; no answer is a report too (NO_ANSWER)."""

    name: str
    matches: bool
    """It fills orders on the ticks it is shown."""

    def attach(self, report: Reporter, lets: Lets) -> None:
        """Where reports go from now on, and whom to ask before a byte leaves."""

    def place(self, order: Order) -> None:
        """Write the request. Synchronous, so that the kill switch is read in the same step."""

    def cancel(self, order: Order) -> None:
        """Ask for a cancel; the outcome is a report."""

    def on_ticks(self, batch: TickBatch) -> None:
        """Prices, for a broker that matches orders itself. Others ignore them."""

    async def answered(self) -> None:
        """Until no request of ours waits for its answer any more."""


class LiveBroker(Broker, Protocol):
    """A broker elsewhere: it has tasks, and may be out of reach."""

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Its tasks, until cancelled. Started once its book is read, ours put right by it, and compared.

        Raises CannotStart where that cannot be; returning is a failure.
        """

    def summary(self) -> dict[str, Any]:
        """What `status` says of it beside the book: connected, session, budgets."""


class FiniteFeed(Protocol):
    """Rows that end: walked one a turn. The same rows, in the same order, at every start."""

    @property
    def identity(self) -> str:
        """What the progress of this data is stored under."""

    def continues(self, identity: str) -> bool:
        """Is this the data of a stored identity, perhaps with rows added at its end?"""

    def batches(self) -> Generator[TickBatch]:
        """One row each, numbered from 1; closing it lets go of the files."""

    def fraction_read(self) -> float:
        """0 to 1, for a progress bar."""

    def warnings(self) -> list[str]:
        """What the operator should know of the data, one sentence each."""


class LiveFeed(Protocol):
    """Prices as they come. Publishing never blocks: edges fold when they are full."""

    async def run(self, publish: Callable[[TickBatch], None]) -> None:
        """Until cancelled. Returning is a failure."""

    def now_ns(self) -> int:
        """The market's clock, for timers: never behind the newest batch."""

    def summary(self) -> dict[str, Any]:
        """What `status` says of it: connections, instruments wanted and ticking, reconnects."""
