"""A broker that has orders of ours and is not active any more: nothing can be asked of it, which is said."""

from typing import Any

from loguru import logger

from alphapanda.events import Order, Report, ReportKind, TickBatch
from alphapanda.venues.contract import Lets, Reporter

trading = logger.bind(channel="trading")


class AbsentBroker:
    """Its orders stay as the journal has them: the kill switch names them, and an operator looks."""

    matches = False

    def __init__(self, name: str) -> None:
        self.name = name
        self._report: Reporter

    def attach(self, report: Reporter, lets: Lets) -> None:  # noqa: ARG002 - nothing leaves from here
        self._report = report

    def place(self, order: Order) -> None:
        """Nothing leaves: it is withheld, and so it ends."""
        why = f"{self.name} is not in active_brokers"
        self._report(
            Report(order_id=order.order_id, kind=ReportKind.WITHHELD, time_ns=order.updated_ns, reason=why)
        )

    def cancel(self, order: Order) -> None:
        trading.error("order {} cannot be cancelled: {} is not in active_brokers", order.order_id, self.name)

    def on_ticks(self, batch: TickBatch) -> None:
        """It sees none."""

    async def answered(self) -> None:
        """At once: nothing was asked."""

    def summary(self) -> dict[str, Any]:
        return {"connected": False, "trouble": f"{self.name} is not in active_brokers"}
