"""What was reported of our orders to the line. A follower that may be half changed is made anew from it."""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from alphapanda.events import Fill, Order, OrderStatus, Report, ReportKind, fill_of
from alphapanda.times import day_of


class Reported:
    """`orders` (by our id) and `fills` of one broker: the journal's, and what was reported since."""

    def __init__(self, orders: Iterable[Order], fills: Iterable[Fill]) -> None:
        self.orders = {order.order_id: order for order in orders}
        self.fills = list(fills)
        self._day = 0

    def placed(self, order: Order) -> None:
        """It is on its way to the wire."""
        self.orders[order.order_id] = replace(order, status=OrderStatus.SENT)

    def on_report(self, order: Order, report: Report) -> None:
        """`order` as it is after the report."""
        self.orders[order.order_id] = order
        if report.kind is ReportKind.FILL:
            self.fills.append(fill_of(order, report))

    def let_go(self, kept: Callable[[str], bool], now_ns: int) -> None:
        """Once a day, of all that its follower does not keep any more."""
        if self._day == day_of(now_ns):
            return
        self._day = day_of(now_ns)
        self.orders = {name: order for name, order in self.orders.items() if kept(name)}
        self.fills = [fill for fill in self.fills if fill.order_id in self.orders]
