"""Cancels that are wanted, and when one is asked for. Pure: the monotonic clock comes in as seconds.

What became of a cancel only the book says. One is asked for again only when a book that was asked for after
its answer shows the order as if nobody had wanted it back: neither an order on its way nor CANCEL PENDING is
asked twice, so that a stuck exchange sees no storm.
"""

from msgspec import Struct

from alphapanda.events import Order
from alphapanda.venues.zerodha.book_rows import OrderRow

RESTS = ("OPEN", "TRIGGER PENDING")
"""Statuses in which a cancel is taken, and none is on its way."""
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""After each answer; as many cancels are asked for, and then an operator must look."""


class _Cancel(Struct):
    asked: int = 0
    under_way: bool = False
    answered_s: float = float("-inf")


class Cancels:
    def __init__(self) -> None:
        self._wanted: dict[str, _Cancel] = {}

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._wanted

    def wanted(self) -> list[str]:
        return list(self._wanted)

    def want(self, order_id: str) -> None:
        """Once; whoever wants it again after it was given up is heard."""
        self._wanted.setdefault(order_id, _Cancel())

    def forget(self, order_id: str) -> None:
        self._wanted.pop(order_id, None)

    def ask(self, order: Order, row: OrderRow | None, now_s: float, asked_s: float) -> bool:
        """May its cancel leave now? Then it counts as under way. `row` is the newest, of a book asked for at
        `asked_s`; the first cancel needs none, only the broker's id.
        """
        cancel = self._wanted[order.order_id]
        if cancel.under_way or order.broker_order_id is None or self.given_up(order.order_id):
            return False
        if cancel.asked:
            due_s = cancel.answered_s + PAUSES_S[cancel.asked - 1]
            if now_s < due_s or asked_s <= cancel.answered_s or row is None or row.status not in RESTS:
                return False
        cancel.under_way = True
        cancel.asked += 1
        return True

    def answered(self, order_id: str, now_s: float, *, again: bool = False) -> None:
        """`again`: it was not taken for want of a turn, and may leave at once."""
        cancel = self._wanted.get(order_id)
        if cancel is not None:
            cancel.under_way = False
            cancel.answered_s = now_s
            cancel.asked -= again

    def given_up(self, order_id: str) -> bool:
        """It was asked for as often as is sensible, and the last one is answered."""
        cancel = self._wanted[order_id]
        return cancel.asked >= len(PAUSES_S) and not cancel.under_way
