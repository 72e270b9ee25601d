"""The paper broker: a simulated market behind the broker contract. It fills on the ticks it is shown."""

from alphapanda.core.market import Market
from alphapanda.events import CancelOrder, Order, PlaceOrder, TickBatch
from alphapanda.venues.contract import Reporter


class PaperBroker:
    name = "paper"

    def __init__(self, market: Market) -> None:
        self._market = market
        self._report: Reporter

    def attach(self, report: Reporter) -> None:
        self._report = report

    def place(self, order: Order) -> None:
        self._tell(PlaceOrder(order))

    def cancel(self, order: Order) -> None:
        self._tell(CancelOrder(order))

    def on_ticks(self, batch: TickBatch) -> None:
        self._tell(batch)

    def on_taken(self, batch: TickBatch) -> None:
        """A row that was walked before a restart, at which nothing trades again."""
        self._market.on_taken(batch)

    def resting(self) -> list[Order]:
        return self._market.resting()

    def _tell(self, event: PlaceOrder | CancelOrder | TickBatch) -> None:
        for report in self._market.on(event):
            self._report(report)
