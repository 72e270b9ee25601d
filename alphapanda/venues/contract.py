"""What the line asks of a market: a broker, and two kinds of feed. Every venue is tested against it."""

from collections.abc import Callable, Generator
from typing import Protocol

from alphapanda.events import Order, OrderAdopted, Report, TickBatch

Reporter = Callable[[Report | OrderAdopted], None]
"""How a broker says what became of an order, or that it made one itself. Never blocks."""


class Broker(Protocol):
    """Takes orders. Whatever it learns of them it reports; no answer is a report too (NO_ANSWER)."""

    name: str

    def attach(self, report: Reporter) -> None:
        """Where reports go from now on."""

    def place(self, order: Order) -> None:
        """Write the request. Synchronous, so that the kill switch is read in the same step."""

    def cancel(self, order: Order) -> None:
        """Ask for a cancel; the outcome is a report."""

    def on_ticks(self, batch: TickBatch) -> None:
        """Prices, for a broker that matches orders itself. Others ignore them."""


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
