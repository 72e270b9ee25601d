"""Orders on their way: each event moves an order along the table, leaves its rows, and tells who must know.

An order that a fault has stuck shows the status it stuck in and takes part in nothing until it is let go.
"""

from collections.abc import Callable

from msgspec.structs import replace

from alphapanda.exchange.calls import Effects
from alphapanda.exchange.clock import Clock
from alphapanda.exchange.history import History
from alphapanda.exchange.order import Order, Status, Trade
from alphapanda.exchange.orders.binding import Binding
from alphapanda.exchange.orders.book import Book
from alphapanda.exchange.orders.life import Delays, Event, after
from alphapanda.exchange.orders.refusals import Rejection
from alphapanda.exchange.schedule import Schedule
from alphapanda.times import SECOND_NS

Step = Callable[[Order, int, Effects], None]
"""What happens to an order next; it is told the time, and what a fault does to it."""
Told = Callable[[Order, int], None]


def nobody(_order: Order) -> None:
    """Who hears of an end until somebody wants to."""


class Lives:
    def __init__(self, schedule: Schedule, history: History, clock: Clock, seed: int) -> None:
        self.book = Book()
        self.binding = Binding()
        self.on_update: list[Told] = []
        self.on_end: Callable[[Order], None] = nobody
        self._schedule = schedule
        self._history = history
        self._clock = clock
        self._delays = Delays(seed)
        self._stuck: set[str] = set()
        """Ids of orders."""

    def begin(self, order: Order, status: Status, now_ns: int, effects: Effects) -> None:
        """The order gets its number and its first row; `late_s` hides it for so many wall seconds."""
        order.order_id = self.book.order_id()
        order.status = status
        order.visible_ns = now_ns + self._clock.waits(effects.late_s) if effects.late_s else now_ns
        self.book.add(order)
        self.write(order, now_ns)

    def move(self, order: Order, event: Event, now_ns: int) -> None:
        """One event of the table, and the row it leaves."""
        order.status = after(order.status, event)
        self.write(order, now_ns)

    def write(self, order: Order, now_ns: int) -> None:
        self._history.add("order", now_ns, **self.book.write(order, now_ns), by=order.by)
        self.binding.changed(order)
        if order.ended:
            self.on_end(order)

    def traded(self, trade: Trade, by: str) -> None:
        self._history.add("trade", trade.traded_ns, **self.book.book(trade), by=by)

    def noted(self, kind: str, now_ns: int, **facts: object) -> None:
        self._history.add(kind, now_ns, **facts)

    def tell(self, order: Order, now_ns: int) -> None:
        """What Kite sends as an order update."""
        for told in self.on_update:
            told(order, now_ns)

    def reject(self, order: Order, why: Rejection, now_ns: int) -> None:
        order.status_message, order.status_message_raw = why
        self.move(order, Event.REJECT, now_ns)
        self.tell(order, now_ns)

    def end(self, order: Order, now_ns: int, words: str | None = None, *, tell: bool = True) -> None:
        """What has not traded is cancelled; words of an earlier change that was refused are gone."""
        order.status_message = order.status_message_raw = words
        order.cancelled_quantity = order.quantity - order.filled_quantity
        if order.exchange_order_id is not None:
            order.exchange_update_ns = now_ns
        self.move(order, Event.END, now_ns)
        if tell:
            self.tell(order, now_ns)

    def at(self, time_ns: int, order: Order, happens: Callable[[Order, int], None]) -> None:
        """It happens to the order at that time, if anything still can."""

        def then(now_ns: int) -> None:
            if self.book.living(order) and not self.stuck(order):
                happens(order, now_ns)

        self._schedule.at(time_ns, then)

    def later(self, order: Order, step: Step, now_ns: int, effects: Effects) -> None:
        """The order's next step: after a small delay, or at once where a fault will have it so.

        An order that registers late lives late.
        """
        if self.holds(order, step, now_ns, effects):
            return
        if effects.fill_first:
            step(order, now_ns, effects)
            return
        starts_ns = max(now_ns, order.visible_ns)
        due_ns = starts_ns + self._delays.next_ns()
        self.at(due_ns, order, lambda each, then_ns: step(each, then_ns, effects))

    def holds(self, order: Order, step: Step, now_ns: int, effects: Effects) -> bool:
        """Whether the order is stuck here, in the fault's status."""
        if effects.stuck != order.status:
            return False
        self._stuck.add(order.order_id)
        if effects.stuck_s:
            until_ns = now_ns + int(effects.stuck_s * SECOND_NS)
            self._schedule.at(until_ns, lambda then_ns: self._release(order, step, then_ns, effects))
        return True

    def stuck(self, order: Order) -> bool:
        return order.order_id in self._stuck

    def _release(self, order: Order, step: Step, now_ns: int, effects: Effects) -> None:
        if self.book.living(order):
            self._stuck.discard(order.order_id)
            step(order, now_ns, replace(effects, stuck=""))

    def clear(self, kept: list[Order]) -> None:
        self.book.clear(kept)
        self.binding.clear()
        self._stuck = {each.order_id for each in kept if self.stuck(each)}
