"""Every order and trade of the day, each with the rows that it left, and the numbers they get."""

from collections.abc import Iterable

from msgspec import Struct, field

from alphapanda.exchange.order import Order, Trade
from alphapanda.exchange.orders.rows import Row, history_row, order_row, trade_row

FIRST_ORDER = 1_953_341_975_595_868_161
FIRST_EXCHANGE_ORDER = 1_300_000_000_000_001
FIRST_TRADE = 10_000_001


class Entry(Struct):
    """An order and its rows, each with the time from which it holds."""

    order: Order
    rows: list[tuple[int, Row]] = field(default_factory=list)


class Book:
    """Numbers are counted for the exchange's whole life: a new day goes on where the last one ended."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._open: dict[str, Order] = {}
        """those that have not ended"""
        self._trades: list[Trade] = []
        self._orders_numbered = 0
        self._exchange_orders_numbered = 0
        self._trades_numbered = 0

    def order_id(self) -> str:
        self._orders_numbered += 1
        return str(FIRST_ORDER + self._orders_numbered - 1)

    def exchange_order_id(self) -> str:
        self._exchange_orders_numbered += 1
        return str(FIRST_EXCHANGE_ORDER + self._exchange_orders_numbered - 1)

    def trade_id(self) -> str:
        self._trades_numbered += 1
        return str(FIRST_TRADE + self._trades_numbered - 1)

    def add(self, order: Order) -> None:
        self._entries[order.order_id] = Entry(order)
        self._open[order.order_id] = order

    def write(self, order: Order, now_ns: int) -> Row:
        """The order's row as it is now; it stands until the next one."""
        row = order_row(order)
        self._entries[order.order_id].rows.append((now_ns, row))
        if order.ended:
            del self._open[order.order_id]
        return row

    def book(self, trade: Trade) -> Row:
        self._trades.append(trade)
        return trade_row(trade)

    def get(self, order_id: str, now_ns: int | None = None) -> Order | None:
        """None where there is no such order, or it is not to be seen yet at `now_ns`."""
        entry = self._entries.get(order_id)
        if entry is None or (now_ns is not None and entry.order.visible_ns > now_ns):
            return None
        return entry.order

    def living(self, order: Order) -> bool:
        """Whether anything may still happen to it: a new day ends what the last one left."""
        return order.order_id in self._open

    def open_orders(self) -> list[Order]:
        """Those that have not ended, in the order of placing."""
        return list(self._open.values())

    def rows(self, then_ns: int) -> list[Row]:
        """The order book as it was at that time, in the order of placing."""
        return [
            row
            for entry in self._entries.values()
            if entry.order.visible_ns <= then_ns and (row := _as_of(entry, then_ns)) is not None
        ]

    def life(self, order_id: str, now_ns: int) -> list[Row] | None:
        """An order's history, oldest first; None where there is no such order to be seen."""
        if self.get(order_id, now_ns) is None:
            return None
        return [history_row(row) for _, row in self._entries[order_id].rows]

    def trades(self, then_ns: int, order_id: str | None = None) -> list[Row]:
        """The trades up to that time, of all orders or of one."""
        return [
            trade_row(trade)
            for trade in self._trades
            if order_id in (None, trade.order_id)
            and max(trade.traded_ns, self._entries[trade.order_id].order.visible_ns) <= then_ns
        ]

    def clear(self, kept: Iterable[Order]) -> None:
        """A new day: only these orders are still there."""
        self._open = {order.order_id: order for order in kept}
        self._entries = {order_id: self._entries[order_id] for order_id in self._open}
        self._trades.clear()


def _as_of(entry: Entry, then_ns: int) -> Row | None:
    for time_ns, row in reversed(entry.rows):
        if time_ns <= then_ns:
            return row
    return None
