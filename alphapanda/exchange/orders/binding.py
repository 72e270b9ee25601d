"""Open orders that bind margin or holdings, by instrument and product.

A group is a new tuple whenever one of its orders has changed: who has reckoned with a group may keep what he
found for as long as he is shown the same one.
"""

from collections.abc import Iterator, Mapping

from alphapanda.exchange.order import Order, Status

Key = tuple[str, str]
"""exchange:tradingsymbol and product."""


class Binding:
    def __init__(self) -> None:
        self._orders: dict[Key, dict[str, Order]] = {}
        self._groups: dict[Key, tuple[Order, ...]] = {}
        self._doomed: set[str] = set()
        """Orders that RMS will reject."""

    def __iter__(self) -> Iterator[Order]:
        for group in self._groups.values():
            yield from group

    def groups(self) -> Mapping[Key, tuple[Order, ...]]:
        """Of what may still trade all but those that only wait; none of them empty."""
        return self._groups

    def changed(self, order: Order) -> None:
        """To be told of each change of an order that is in the book."""
        key = order.position_key
        orders = self._orders.setdefault(key, {})
        if order.ended or order.status is Status.AMO_RECEIVED or order.order_id in self._doomed:
            orders.pop(order.order_id, None)
        else:
            orders[order.order_id] = order
        if orders:
            self._groups[key] = tuple(orders.values())
        else:
            self._groups.pop(key, None)
            del self._orders[key]

    def doom(self, order: Order) -> None:
        """It will be rejected: it binds nothing."""
        self._doomed.add(order.order_id)
        self.changed(order)

    def clear(self) -> None:
        """A new day: what is left waits for the open."""
        self._orders.clear()
        self._groups.clear()
        self._doomed.clear()
