"""The risk rules: one small class each, its limits as its fields, `RULES` as the list.

To add a rule write its class here, name it in `RULES`, and test its edge: `config.toml` and `risk` in the
README take the fields' names, defaults and descriptions from here. A rule's `code` is the configuration key
to change, so a refusal names it. Names and definitions: FIA best practices for automated trading (2015),
MiFID II RTS 6 article 15, SEC rule 15c3-5. A limit of 0 is off.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from alphapanda.core.money import HUNDRED, exact
from alphapanda.events import Book, Money, Order, PositionEffect, TradingSignal, TransactionType

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
IST_OFFSET = 19_800 * SECOND

Count = Annotated[int, Meta(ge=0)]
Rupees = Annotated[Money, Meta(ge=0)]
Seconds = Annotated[Money, Meta(ge=0)]
Percent = Annotated[Money, Meta(ge=0)]


class Mark(Struct, frozen=True):
    """The last price risk has seen of an instrument, and when."""

    price: float
    time_ns: int


class Approvals:
    """Which orders were approved at one broker, when: what throttles and the duplicate check count."""

    def __init__(self, past: Iterable[Order] = ()) -> None:
        self._times: list[int] = []
        self._last: dict[tuple[str, int, TransactionType, int], int] = {}
        for order in past:
            self.add(order)

    def add(self, order: Order) -> None:
        insort(self._times, order.created_ns)  # rows of one file may step back between instruments
        self._last[_likeness(order)] = order.created_ns
        del self._times[: bisect_left(self._times, order.created_ns - DAY)]

    def between(self, start_ns: int, end_ns: int) -> int:
        """How many approvals are younger than `start_ns` and older than `end_ns`.

        Later ones are not counted: the store may know orders of a feed that walked later dates.
        """
        return max(0, bisect_left(self._times, end_ns) - bisect_right(self._times, start_ns))

    def last_like(self, order: Order) -> int | None:
        """When an order of the same strategy, instrument, side and quantity was last approved."""
        return self._last.get(_likeness(order))


def _likeness(order: Order) -> tuple[str, int, TransactionType, int]:
    return order.strategy_id, order.instrument.instrument_token, order.transaction_type, order.quantity


class View:
    """What a rule may look at: the broker's book, approvals it does not include yet, marks, the time."""

    def __init__(
        self,
        *,
        now_ns: int,
        signal: TradingSignal,
        book: Book,
        in_flight: Mapping[str, Order],
        mark: Mark | None,
        approvals: Approvals,
    ) -> None:
        self.now_ns = now_ns
        self.signal = signal
        self.book = book
        self.mark = mark
        self.approvals = approvals
        self._in_flight = in_flight

    def pending_orders(self) -> Iterable[Order]:
        """Everything that may still trade: open and UNKNOWN orders, and approvals on their way."""
        yield from self.book.orders.values()
        yield from self._in_flight.values()

    def worst_position(self, order: Order) -> int:
        """The largest position on the order's side if it and every pending order of that side fill.

        What other strategies hold on the other side is not set against it: exits are never held back by a
        limit on exposure, so what offsets this order may be gone first.
        """
        side, token = order.transaction_type, order.instrument.instrument_token
        reach = {order.strategy_id: side.sign * order.quantity}
        for (strategy_id, held), quantity in self.book.positions.items():
            if held == token:
                reach[strategy_id] = reach.get(strategy_id, 0) + quantity
        for other in self.pending_orders():
            if other.instrument.instrument_token == token and other.transaction_type is side:
                reach[other.strategy_id] = reach.get(other.strategy_id, 0) + other.signed_pending
        return side.sign * sum(max(0, side.sign * quantity) for quantity in reach.values())

    def free_cash(self) -> Money:
        """Cash that no position, open entry or entry on its way has claimed."""
        claimed = sum(
            (o.pending_value for o in self._in_flight.values() if o.position_effect is PositionEffect.OPEN),
            Money(0),
        )
        return self.book.free_cash - claimed


class Rule(Struct, frozen=True):
    """One control. `refuse` returns the sentence that says why, with the figures, or None."""

    code: ClassVar[str]
    entries_only: ClassVar[bool] = True
    """An order that only reduces exposure is not held back by a limit on exposure."""

    def refuse(self, order: Order, view: View) -> str | None:
        raise NotImplementedError(type(self).__name__)  # every rule in RULES has its own


class MaximumOrderQuantity(Rule, frozen=True):
    """Maximum order size (FIA 1.1; RTS 6 15(1)(c))."""

    code: ClassVar[str] = "max_order_quantity"
    max_order_quantity: Annotated[Count, Meta(description="largest quantity of one order, in units")] = 1000

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        if not self.max_order_quantity or order.quantity <= self.max_order_quantity:
            return None
        return f"quantity {order.quantity} is over the limit of {self.max_order_quantity}"


class MaximumOrderValue(Rule, frozen=True):
    """Maximum order value, fat-finger notional (RTS 6 15(1)(b))."""

    code: ClassVar[str] = "max_order_value"
    max_order_value: Annotated[Rupees, Meta(description="largest value of one order, in rupees")] = Money(
        500000
    )

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        if not self.max_order_value or order.pending_value <= self.max_order_value:
            return None
        return f"value {order.pending_value:.2f} is over the limit of {self.max_order_value:.2f}"


class MaximumPositionQuantity(Rule, frozen=True):
    """Maximum intraday position, counting open, unknown and in-flight orders (FIA)."""

    code: ClassVar[str] = "max_position_quantity"
    max_position_quantity: Annotated[
        Count, Meta(description="largest position in one instrument at one broker, long or short, in units")
    ] = 5000

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_position_quantity:
            return None
        worst = view.worst_position(order)
        if abs(worst) <= self.max_position_quantity:
            return None
        return f"the position could reach {worst}, over the limit of {self.max_position_quantity}"


class MaximumPositionValue(Rule, frozen=True):
    """Maximum value of the position in one instrument, at the reference price."""

    code: ClassVar[str] = "max_position_value"
    max_position_value: Annotated[
        Rupees, Meta(description="largest value of the position in one instrument, in rupees")
    ] = Money(0)

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_position_value:
            return None
        worst = abs(view.worst_position(order)) * order.reference_price
        if worst <= self.max_position_value:
            return None
        return f"the position could be worth {worst:.2f}, over the limit of {self.max_position_value:.2f}"


class MaximumOpenPositions(Rule, frozen=True):
    """Maximum number of instruments with a position or an entry on its way."""

    code: ClassVar[str] = "max_open_positions"
    max_open_positions: Annotated[
        Count, Meta(description="how many instruments may have a position at one broker")
    ] = 50

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_open_positions:
            return None
        held = {token for _, token in view.book.positions}
        held |= {o.instrument.instrument_token for o in view.pending_orders()}
        if order.instrument.instrument_token in held or len(held) < self.max_open_positions:
            return None
        return f"{len(held)} instruments are open, the limit is {self.max_open_positions}"


class AvailableCash(Rule, frozen=True):
    """Pre-set capital threshold (SEC 15c3-5(c)(1)(i)): an entry is paid from cash that nothing has claimed.

    A short sale claims its value as well, and the proceeds of a short position are not free.
    """

    code: ClassVar[str] = "available_cash"

    def refuse(self, order: Order, view: View) -> str | None:
        free = view.free_cash()
        if order.pending_value <= free:
            return None
        return f"value {order.pending_value:.2f} is more than the free cash of {free:.2f}"


class StalePrice(Rule, frozen=True):
    """Market-data reasonability: no entry on a price that is missing or too old (FIA)."""

    code: ClassVar[str] = "max_price_age_s"
    max_price_age_s: Annotated[
        Seconds, Meta(description="no entry when the instrument's last price is older, in seconds")
    ] = Money("5.0")

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_price_age_s:
            return None
        if view.mark is None:
            return f"no price of {order.instrument.key} has been seen"
        age_ns = view.now_ns - view.mark.time_ns
        if age_ns <= self.max_price_age_s * SECOND:
            return None
        return f"the price is {age_ns / SECOND:.1f} s old, the limit is {self.max_price_age_s} s"


class PriceDeviation(Rule, frozen=True):
    """Price tolerance, collar (RTS 6 15(1)(a)): the price decided upon against the last price seen."""

    code: ClassVar[str] = "max_price_deviation_percent"
    max_price_deviation_percent: Annotated[
        Percent, Meta(description="no entry when its price is further from the last price, in percent")
    ] = Money("5.0")

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_price_deviation_percent:
            return None
        if view.mark is None:
            return f"no price of {order.instrument.key} has been seen"
        price = order.price if order.price is not None else exact(view.signal.last_price)
        last = exact(view.mark.price)
        away = abs(price - last) / last * HUNDRED
        if away <= self.max_price_deviation_percent:
            return None
        limit = self.max_price_deviation_percent
        return f"price {price} is {away:.2f} % from the last price {last}, the limit is {limit} %"


class OrdersPerSecond(Rule, frozen=True):
    """Maximum messages limit (RTS 6 15(1)(d)); Kite refuses the eleventh order request in a second."""

    code: ClassVar[str] = "max_orders_per_second"
    entries_only: ClassVar[bool] = False
    max_orders_per_second: Annotated[Count, Meta(description="orders in any one second, at one broker")] = 8

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        count = view.approvals.between(view.now_ns - SECOND, view.now_ns + SECOND)
        return _throttled(self.max_orders_per_second, count, "second")


class OrdersPerMinute(Rule, frozen=True):
    """Maximum messages limit; Kite allows 400 order requests a minute."""

    code: ClassVar[str] = "max_orders_per_minute"
    entries_only: ClassVar[bool] = False
    max_orders_per_minute: Annotated[Count, Meta(description="orders in any one minute, at one broker")] = 300

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        count = view.approvals.between(view.now_ns - 60 * SECOND, view.now_ns + 60 * SECOND)
        return _throttled(self.max_orders_per_minute, count, "minute")


class OrdersPerDay(Rule, frozen=True):
    """Maximum messages limit of the IST day; Kite allows 5,000 orders a day, older pages say 3,000."""

    code: ClassVar[str] = "max_orders_per_day"
    entries_only: ClassVar[bool] = False
    max_orders_per_day: Annotated[Count, Meta(description="orders of one day (IST), at one broker")] = 3000

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        midnight = (view.now_ns + IST_OFFSET) // DAY * DAY - IST_OFFSET
        count = view.approvals.between(midnight - 1, midnight + DAY)
        return _throttled(self.max_orders_per_day, count, "day")


def _throttled(limit: int, count: int, period: str) -> str | None:
    if not limit or count < limit:
        return None
    return f"{count} orders in this {period}, the limit is {limit}"


class DuplicateSignal(Rule, frozen=True):
    """Duplicative-order check (SEC 15c3-5(c)(1)(ii)): strategy, instrument, side and quantity repeat."""

    code: ClassVar[str] = "duplicate_window_s"
    entries_only: ClassVar[bool] = False
    duplicate_window_s: Annotated[
        Seconds,
        Meta(description="the same order of the same strategy again within this time is refused, in seconds"),
    ] = Money("1.0")

    def refuse(self, order: Order, view: View) -> str | None:
        last = view.approvals.last_like(order)
        if not self.duplicate_window_s or last is None:
            return None
        gap_ns = abs(view.now_ns - last)
        if gap_ns >= self.duplicate_window_s * SECOND:
            return None
        window = self.duplicate_window_s
        return f"the same order was approved {gap_ns / SECOND:.3f} s before, the window is {window} s"


RULES: tuple[type[Rule], ...] = (
    MaximumOrderQuantity,
    MaximumOrderValue,
    MaximumPositionQuantity,
    MaximumPositionValue,
    MaximumOpenPositions,
    AvailableCash,
    StalePrice,
    PriceDeviation,
    OrdersPerSecond,
    OrdersPerMinute,
    OrdersPerDay,
    DuplicateSignal,
)
"""Every rule, in the order they are asked; the first that refuses names the refusal."""
