"""Orders that stay in between for too long, each told once. Pure; `now_s` is the monotonic clock."""

from collections.abc import Iterable

from alphapanda.events import Order, OrderStatus
from alphapanda.venues.zerodha.book_rows import OrderRow
from alphapanda.venues.zerodha.cancels import RESTS

PATIENCE_S = 60.0


class Lingering:
    """An order keeps its exposure for as long as it takes; a person should look at Kite.

    It is on its way at Zerodha, or in doubt because no book proves anything, or has ended there and its
    trades are in no book.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._since: dict[str, tuple[str, float]] = {}
        """Our order id -> how it stands, and since when."""
        self._told: set[tuple[str, str]] = set()

    def look(self, orders: Iterable[tuple[Order, OrderRow | None]], now_s: float) -> list[str]:
        """A sentence for each that has newly been too long as it is; `orders` are all that live."""
        alarms, before, self._since = [], self._since, {}
        for order, row in orders:
            stands = _stands(order, row)
            if not stands:
                continue
            known, since_s = before.get(order.order_id, (stands, now_s))
            self._since[order.order_id] = stands, since_s if known == stands else now_s
            told = order.order_id, stands
            if known == stands and now_s - since_s >= self._patience_s and told not in self._told:
                self._told.add(told)
                alarms.append(
                    f"order {order.order_id} ({order.broker_order_id or 'no id'}, {order.instrument.key}) is "
                    f"{stands} for over {self._patience_s:g} s: it counts as open; look at it in Kite"
                )
        self._told = {told for told in self._told if told[0] in self._since}
        return alarms


def _stands(order: Order, row: OrderRow | None) -> str:
    """Empty where nothing is wrong with waiting."""
    if order.broker_order_id is None:
        return "in doubt" if order.status is OrderStatus.UNKNOWN else ""
    if row is None:
        return "in no book"
    if row.ended:
        return f"{row.status} without all of its trades"
    return "" if row.status in RESTS else row.status
