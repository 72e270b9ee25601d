"""What books and answers have taught of our orders: reports for execution, and what else is to be done."""

from collections.abc import Mapping

from msgspec import Struct, field

from alphapanda.events import Order, OrderStatus, Report, ReportKind
from alphapanda.venues.zerodha.book_rows import OrderRow

S, K = OrderStatus, ReportKind

AFTER: Mapping[ReportKind, OrderStatus] = {
    K.ACCEPTED: S.OPEN,
    K.TRIGGERED: S.OPEN,
    K.FOUND: S.OPEN,
    K.REJECTED: S.REJECTED,
    K.CANCELLED: S.CANCELLED,
    K.NO_ANSWER: S.UNKNOWN,
    K.ABSENT: S.NOT_FOUND,
    K.WITHHELD: S.WITHHELD,
}
"""What a report makes of the order; a fill apart. Execution has the whole table, which no report from here
contradicts."""


class Life(Struct):
    """One of our orders, as execution has it by what was reported.

    `doubt_s`: since when nobody knows whether it is at the broker. `proofs`: books in a row that lack it.
    `ended` is the row of its end, until that is told.
    """

    order: Order
    doubt_s: float | None = None
    proofs: int = 0
    ended: OrderRow | None = None


class Followed(Struct):
    """`reports` are in the order of their truth; `after` has the order as each of them leaves it.

    `settled` are ids of orders that are in doubt no more; `found` are orders that had ended and live, with
    what they had ended as; `others` are all rows of a book that are not ours; `alarms` are sentences for the
    operator.
    """

    reports: list[Report] = field(default_factory=list)
    after: list[Order] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    found: list[tuple[Order, str]] = field(default_factory=list)
    others: list[OrderRow] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    def twice(self, order: Order, broker_order_id: str) -> None:
        self.alarms.append(
            f"order {order.order_id} is at Zerodha twice, as {order.broker_order_id} and as "
            f"{broker_order_id}: the second one is not followed; look at it in Kite"
        )
