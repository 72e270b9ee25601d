"""Orders that stay on their way for too long, each told once. Pure; `now_s` is the monotonic clock."""

from collections.abc import Iterable

from alphapanda.events import Order
from alphapanda.venues.zerodha.books import OrderRow
from alphapanda.venues.zerodha.cancels import RESTS

PATIENCE_S = 60.0


class Lingering:
    """An order keeps its exposure for as long as it takes; a person should look at Kite."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._since: dict[str, tuple[str, float]] = {}
        """Our order id -> its status, and since when."""
        self._told: set[tuple[str, str]] = set()

    def look(self, orders: Iterable[tuple[Order, OrderRow | None]], now_s: float) -> list[str]:
        """A sentence for each that has newly been too long in one status; `orders` are all that live."""
        alarms, before, self._since = [], self._since, {}
        for order, row in orders:
            status = row.status if row is not None else "in no book"
            if status in RESTS or order.broker_order_id is None or (row is not None and row.ended):
                continue
            known, since_s = before.get(order.order_id, (status, now_s))
            self._since[order.order_id] = status, since_s if known == status else now_s
            told = order.order_id, status
            if known == status and now_s - since_s >= self._patience_s and told not in self._told:
                self._told.add(told)
                alarms.append(
                    f"order {order.order_id} ({order.broker_order_id}, {order.instrument.key}) is {status} "
                    f"for over {self._patience_s:g} s: it counts as open; look at it in Kite"
                )
        return alarms
