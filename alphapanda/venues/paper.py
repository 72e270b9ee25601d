"""The paper broker: a simulated market behind the broker contract. It fills on the ticks it is shown."""

from alphapanda.core.market import Market
from alphapanda.events import CancelOrder, Order, PlaceOrder, TickBatch
from alphapanda.fail_points import FailPoint, reach
from alphapanda.venues.contract import Lets, Reporter


class PaperBroker:
    name = "paper"
    matches = True

    def __init__(self, market: Market) -> None:
        self._market = market
        self._report: Reporter

    def attach(self, report: Reporter, lets: Lets) -> None:  # noqa: ARG002 - nothing waits here before it leaves
        self._report = report

    def place(self, order: Order) -> None:
        reach(FailPoint.BEFORE_PAPER)
        self._tell(PlaceOrder(order))
        reach(FailPoint.AFTER_PAPER)

    def cancel(self, order: Order) -> None:
        self._tell(CancelOrder(order))

    def on_ticks(self, batch: TickBatch) -> None:
        self._tell(batch)

    async def answered(self) -> None:
        """At once: it answers in the same step."""

    def on_taken(self, batch: TickBatch) -> None:
        """A row that was walked before a restart, at which nothing trades again."""
        self._market.on_taken(batch)

    def resting(self) -> list[Order]:
        return self._market.resting()

    def _tell(self, event: PlaceOrder | CancelOrder | TickBatch) -> None:
        for report in self._market.on(event):
            self._report(report)
