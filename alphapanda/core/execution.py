"""TradingEngine: the life of an order, as a table.

An approval becomes an intent (PREPARED, tagged), which the shell commits before a byte leaves. From then on
only reports move an order, and only along `LIFE`. No answer is not a rejection: it makes the order UNKNOWN,
which counts as full exposure until the broker's evidence, proven absence or the operator ends it. A report
that changes nothing (a repeated trade id, an acceptance of an order that already trades) is ignored, so
duplicates and reordering are harmless; one that contradicts the table raises, and the shell halts. An order
that the broker made by itself, such as its square-off, is adopted: from then on it is like any other.

What ended some days ago is let go: no broker tells anything of it any more.
"""

from collections import Counter
from collections.abc import Iterable

from msgspec.structs import replace

from alphapanda.events import (
    Approved,
    CancelOrder,
    CancelResting,
    Halt,
    Order,
    OrderAdopted,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderStatus,
    OrderUpdated,
    PlaceOrder,
    Report,
    ReportKind,
    Resume,
    fill_of,
)
from alphapanda.times import day_of

S, K = OrderStatus, ReportKind

KEPT_DAYS = 2
"""So many days after its end an order is still here. Whoever follows orders at a broker forgets them sooner:
a report on an order that is not here would halt.
"""

NOT_THERE = (S.UNKNOWN, S.NOT_FOUND, S.REJECTED, S.WITHHELD)
"""As far as is known."""

LIFE: dict[tuple[OrderStatus, ReportKind], OrderStatus] = {
    (S.PREPARED, K.SENT): S.SENT,
    (S.PREPARED, K.WITHHELD): S.WITHHELD,
    (S.PREPARED, K.ABSENT): S.NOT_FOUND,
    (S.PREPARED, K.ACCEPTED): S.OPEN,
    (S.PREPARED, K.REJECTED): S.REJECTED,
    (S.PREPARED, K.CANCELLED): S.CANCELLED,
    (S.PREPARED, K.NO_ANSWER): S.UNKNOWN,
    (S.PREPARED, K.TRIGGERED): S.OPEN,
    (S.PREPARED, K.FILL): S.PARTIAL,
    (S.SENT, K.WITHHELD): S.WITHHELD,
    (S.SENT, K.ACCEPTED): S.OPEN,
    (S.SENT, K.REJECTED): S.REJECTED,
    (S.SENT, K.CANCELLED): S.CANCELLED,
    (S.SENT, K.NO_ANSWER): S.UNKNOWN,
    (S.SENT, K.ABSENT): S.NOT_FOUND,
    (S.SENT, K.TRIGGERED): S.OPEN,
    (S.SENT, K.FILL): S.PARTIAL,
    (S.OPEN, K.TRIGGERED): S.OPEN,
    (S.OPEN, K.FILL): S.PARTIAL,
    (S.OPEN, K.CANCELLED): S.CANCELLED,
    (S.OPEN, K.REJECTED): S.REJECTED,
    (S.PARTIAL, K.FILL): S.PARTIAL,
    (S.PARTIAL, K.CANCELLED): S.CANCELLED,
    (S.UNKNOWN, K.ACCEPTED): S.OPEN,
    (S.UNKNOWN, K.REJECTED): S.REJECTED,
    (S.UNKNOWN, K.CANCELLED): S.CANCELLED,
    (S.UNKNOWN, K.ABSENT): S.NOT_FOUND,
    (S.UNKNOWN, K.TRIGGERED): S.OPEN,
    (S.UNKNOWN, K.FILL): S.PARTIAL,
    (S.NOT_FOUND, K.ACCEPTED): S.OPEN,
    (S.NOT_FOUND, K.FILL): S.PARTIAL,
    (S.NOT_FOUND, K.REJECTED): S.REJECTED,
    (S.NOT_FOUND, K.CANCELLED): S.CANCELLED,
    (S.NOT_FOUND, K.FOUND): S.OPEN,
    (S.REJECTED, K.FOUND): S.OPEN,
    (S.WITHHELD, K.FOUND): S.OPEN,
    (S.CANCELLED, K.FILL): S.CANCELLED,
}
"""(state, report) -> state. A fill that completes the quantity leads to FILLED instead of PARTIAL.

PREPARED takes every answer because it always means "may have been sent". CANCELLED takes fills because a
cancel and a fill may cross: the fill is real whatever came first. SENT may still be WITHHELD: it waited for
its turn at the broker's door. FOUND is the way back of what had ended without a trade and is at the broker
after all; a rejected or withheld order trades only after it.
"""

STALE: frozenset[tuple[OrderStatus, ReportKind]] = frozenset(
    {
        (S.OPEN, K.ACCEPTED),
        (S.PARTIAL, K.ACCEPTED),
        (S.FILLED, K.ACCEPTED),
        (S.CANCELLED, K.ACCEPTED),
        (S.REJECTED, K.ACCEPTED),
        (S.CANCELLED, K.CANCELLED),
        (S.FILLED, K.CANCELLED),
        (S.REJECTED, K.CANCELLED),
        (S.REJECTED, K.REJECTED),
        (S.OPEN, K.NO_ANSWER),
        (S.PARTIAL, K.NO_ANSWER),
        (S.FILLED, K.NO_ANSWER),
        (S.CANCELLED, K.NO_ANSWER),
        (S.REJECTED, K.NO_ANSWER),
        (S.UNKNOWN, K.NO_ANSWER),
        (S.NOT_FOUND, K.ABSENT),
        (S.PARTIAL, K.TRIGGERED),
        (S.FILLED, K.TRIGGERED),
        (S.CANCELLED, K.TRIGGERED),
        (S.REJECTED, K.TRIGGERED),
        (S.OPEN, K.FOUND),
        (S.PARTIAL, K.FOUND),
        (S.FILLED, K.FOUND),
        (S.CANCELLED, K.FOUND),
    }
)
"""Late news: true when it was written, overtaken since. Changes nothing."""


class ImpossibleReport(Exception):  # noqa: N818 - names the fact
    """A report contradicts the order's life: our picture or the broker's is wrong, so trading must halt."""


Output = OrderOpened | OrderUpdated | OrderFilled | OrderClosed | PlaceOrder | CancelOrder


class TradingEngine:
    """Holds every order of which a report may still come. `orders` are those that recovery found, `trade_ids`
    what is booked already.
    """

    def __init__(self, orders: Iterable[Order] = (), trade_ids: Iterable[tuple[str, str]] = ()) -> None:
        self._orders = {order.order_id: order for order in orders}
        self._opened = Counter(order.broker for order in self._orders.values())
        self._today = 0
        self._day_is(max((day_of(order.created_ns) for order in self._orders.values()), default=0))
        self._trade_ids = set(trade_ids)
        self._cancelling: dict[str, str] = {}
        """order id -> why the house wants it back"""

    def order(self, order_id: str) -> Order:
        return self._orders[order_id]

    def total(self, broker: str) -> int:
        """Orders ever opened at a broker."""
        return self._opened[broker]

    def open_orders(self) -> list[Order]:
        """Orders whose quantity may still trade."""
        return [order for order in self._orders.values() if not order.status.ended]

    def on(self, event: object) -> list[Output]:
        match event:
            case Approved(order):
                self._day_is(day_of(order.created_ns))
                self._open(order)
                return [OrderOpened(order), PlaceOrder(order)]
            case Report():
                return self._on_report(event)
            case CancelResting(order, reason):
                return self._take_back(order, reason)
            case OrderAdopted(order):
                return self._adopt(order)
            case Halt():
                return [CancelOrder(order) for order in self.open_orders() if not order.closed_by_hand]
            case Resume():
                return []
        raise TypeError(f"TradingEngine does not take {type(event).__name__}")

    def _take_back(self, wanted: Order, reason: str) -> list[Output]:
        """A cancel once, and only of what may still trade; its end then says why."""
        order = self._orders.get(wanted.order_id)
        if order is None or order.status.ended or order.order_id in self._cancelling:
            return []
        self._cancelling[order.order_id] = reason
        return [CancelOrder(order)]

    def _adopt(self, order: Order) -> list[Output]:
        """The broker's own order joins ours. Tags are unique for ever, so one without gets its id as tag."""
        if order.order_id in self._orders:
            return []
        adopted = replace(order, tag=order.tag or order.order_id)
        self._open(adopted)
        return [OrderOpened(adopted)]

    def _open(self, order: Order) -> None:
        self._orders[order.order_id] = order
        self._opened[order.broker] += 1

    def _day_is(self, today: int) -> None:
        """With the first order of a day, what ended before `KEPT_DAYS` goes."""
        if today > self._today:
            self._today = today
            self._orders = {
                order_id: kept
                for order_id, kept in self._orders.items()
                if not kept.status.ended or day_of(kept.updated_ns) >= today - KEPT_DAYS
            }

    def _on_report(self, report: Report) -> list[Output]:
        order = self._orders.get(report.order_id)
        if order is None:
            raise ImpossibleReport(f"{report.kind} for order {report.order_id}, which was never opened")
        if report.kind is K.FILL and (order.broker, report.trade_id) in self._trade_ids:
            return []
        status = LIFE.get((order.status, report.kind))
        if status is None:
            if (order.status, report.kind) in STALE:
                return []
            raise ImpossibleReport(f"{report.kind} for order {order.order_id}, which is {order.status}")
        if report.kind is K.FILL:
            return [self._fill(order, report, status)]
        return [self._move(order, report, status)]

    def _move(self, order: Order, report: Report, status: OrderStatus) -> Output:
        asked = self._cancelling.pop(order.order_id, "") if status.ended else ""
        moved = replace(
            order,
            status=status,
            broker_order_id=report.broker_order_id or order.broker_order_id,
            reason=report.reason or asked or _still(order, status),
            updated_ns=report.time_ns,
            triggered=order.triggered or report.kind is K.TRIGGERED,
        )
        self._orders[order.order_id] = moved
        return OrderClosed(moved) if status.ended else OrderUpdated(moved)

    def _fill(self, order: Order, report: Report, status: OrderStatus) -> Output:
        filled = order.filled_quantity + report.quantity
        if report.quantity <= 0 or filled > order.quantity:
            raise ImpossibleReport(
                f"fill {report.trade_id} of {report.quantity} would bring order {order.order_id} "
                f"to {filled} of {order.quantity}"
            )
        self._trade_ids.add((order.broker, report.trade_id))
        moved = replace(
            order,
            status=OrderStatus.FILLED if filled == order.quantity else status,
            broker_order_id=report.broker_order_id or order.broker_order_id,
            reason=_still(order, status),
            filled_quantity=filled,
            filled_value=order.filled_value + report.price * report.quantity,
            updated_ns=report.time_ns,
        )
        self._orders[order.order_id] = moved
        if moved.status.ended:
            self._cancelling.pop(order.order_id, None)
        return OrderFilled(moved, fill_of(moved, report))


def _still(order: Order, status: OrderStatus) -> str:
    """The reason it had: why an order was in doubt, or was not there, is over once it is there."""
    return "" if order.status in NOT_THERE and status not in NOT_THERE else order.reason
