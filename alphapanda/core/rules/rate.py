"""How many orders in how much time, and what happens to a strategy that repeats itself."""

from collections.abc import Iterable
from functools import cached_property
from math import ceil
from typing import Annotated, ClassVar

from msgspec import Meta

from alphapanda.core.rules.contract import Count, Rule, Seconds, State, View
from alphapanda.core.rules.size import MOST_SLICES
from alphapanda.events import Money, Order, PositionEffect
from alphapanda.times import DAY_NS, MINUTE_NS, SECOND_NS, day_of, start_of

OPEN = PositionEffect.OPEN
HIGHEST_PER_SECOND = {"zerodha": 9}
"""From ten orders in a second on, NSE wants the algorithm registered. No setting goes over this."""


def over_the_threshold(view: View) -> str | None:
    """Threshold orders per second (NSE TOPS): for every order, also the operator's own."""
    highest = HIGHEST_PER_SECOND.get(view.broker)
    if highest is None:
        return None
    count = _in_second(view, "", 0)
    if count + view.slices <= highest:
        return None
    return f"{count} orders in this second, {view.broker} takes at most {highest}; ask again in a second"


def room_for(order: Order, view: View, throttles: Iterable[Rule]) -> int:
    """Into how many orders an exit may be cut now: one that needs more than a throttle has left would never
    leave. At least one, which the throttle then judges.
    """
    highest = HIGHEST_PER_SECOND.get(view.broker)
    rooms = [] if highest is None else [highest - _in_second(view, "", 0)]
    for rule in throttles if not view.signal.of_operator else ():
        used = rule.used(view)
        if rule.covers(order) and used is not None:
            rooms.append(int(getattr(rule, rule.code) - used))
    return max(1, min(rooms, default=MOST_SLICES))


class OrdersPerSecond(Rule, frozen=True):
    """Maximum messages limit (RTS 6 15(1)(d)); Kite refuses the eleventh order request in a second."""

    code: ClassVar[str] = "max_orders_per_second"
    entries_only: ClassVar[bool] = False
    max_orders_per_second: Annotated[Count, Meta(description="orders in any one second, at one broker")] = 8
    exit_reserve_per_second: Annotated[
        Count,
        Meta(
            description="so many of max_orders_per_second are kept for exits: entries never use them",
            extra={"tighter": "up"},
        ),
    ] = 0

    @property
    def is_off(self) -> bool:
        return not self.max_orders_per_second

    def refuse(self, order: Order, view: View) -> str | None:
        if self.is_off:
            return None
        kept = self.exit_reserve_per_second if order.position_effect is OPEN else 0
        if _has_room(self, view, self.max_orders_per_second - kept, view.now_ns - SECOND_NS):
            return None
        count = self.used(view)
        if count + view.slices <= self.max_orders_per_second - kept:
            return None
        why = _throttled(count, self.max_orders_per_second, "second", view)
        return f"{why}, {kept} of it kept for exits" if kept else why

    def used(self, state: State) -> int:
        return _in_second(state, self.scope.strategy, state.token_of(self.scope))


class OrdersPerMinute(Rule, frozen=True):
    """Maximum messages limit (RTS 6 15(1)(d)); Kite allows 400 order requests a minute."""

    code: ClassVar[str] = "max_orders_per_minute"
    entries_only: ClassVar[bool] = False
    max_orders_per_minute: Annotated[Count, Meta(description="orders in any one minute, at one broker")] = 300

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        limit = self.max_orders_per_minute
        if not limit or _has_room(self, view, limit, view.now_ns - MINUTE_NS):
            return None
        if (count := self.used(view)) + view.slices <= limit:
            return None
        return _throttled(count, limit, "minute", view)

    def used(self, state: State) -> int:
        now, token = state.now_ns, state.token_of(self.scope)
        return state.approvals.between(now - MINUTE_NS, now + MINUTE_NS, self.scope.strategy, token)


class OrdersPerDay(Rule, frozen=True):
    """Maximum messages limit of the IST day; Kite allows 5,000 orders a day, older pages say 3,000."""

    code: ClassVar[str] = "max_orders_per_day"
    entries_only: ClassVar[bool] = False
    max_orders_per_day: Annotated[Count, Meta(description="orders of one day (IST), at one broker")] = 3000

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        limit = self.max_orders_per_day
        if not limit or _has_room(self, view, limit, view.now_ns - DAY_NS):
            return None
        if (count := self.used(view)) + view.slices <= limit:
            return None
        return _throttled(count, limit, "day", view)

    def used(self, state: State) -> int:
        midnight = start_of(day_of(state.now_ns))
        token = state.token_of(self.scope)
        return state.approvals.between(midnight - 1, midnight + DAY_NS, self.scope.strategy, token)


def _has_room(rule: Rule, view: View, limit: int, start_ns: int) -> bool:
    """Is `limit` clearly not met, since so few are younger than `start_ns`? Else they are to be counted."""
    scope = rule.scope
    times = view.approvals.times(scope.strategy, view.signal.instrument_token if scope.instrument else 0)
    return times.fewer(limit - view.slices + 1, start_ns)


def _in_second(state: State, strategy: str, token: int) -> int:
    return state.approvals.between(state.now_ns - SECOND_NS, state.now_ns + SECOND_NS, strategy, token)


def _throttled(count: int, limit: int, period: str, view: View) -> str:
    more = f" and {view.slices} slices more" if view.slices > 1 else ""
    return f"{count} orders in this {period}{more}, the limit is {limit}"


class DuplicateSignal(Rule, frozen=True):
    """Duplicative-order check (SEC 15c3-5(c)(1)(ii)): strategy, instrument, side and quantity repeat."""

    code: ClassVar[str] = "duplicate_window_s"
    entries_only: ClassVar[bool] = False
    duplicate_window_s: Annotated[
        Seconds,
        Meta(
            description="the same order of the same strategy again within this time is refused, in seconds",
            extra={"tighter": "up"},
        ),
    ] = Money("1.0")

    @cached_property
    def window_ns(self) -> int:
        return ceil(self.duplicate_window_s * SECOND_NS)

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.duplicate_window_s:
            return None
        last = view.approvals.nearest_like(order, view.now_ns)
        if last is None:
            return None
        gap_ns = abs(view.now_ns - last)
        if gap_ns >= self.window_ns:
            return None
        window = self.duplicate_window_s
        return f"the same order was approved {gap_ns / SECOND_NS:.3f} s before, the window is {window} s"


class RepeatedOrders(Rule, frozen=True):
    """Repeated automated execution throttle (RTS 6 15(3)): the strategy is out until someone resumes it.

    An exit is counted and goes through: a loop of exits ends with the position.
    """

    code: ClassVar[str] = "max_repeated_orders"
    quarantines: ClassVar[bool] = True
    max_repeated_orders: Annotated[
        Count,
        Meta(description="a strategy is quarantined that wants more orders of one kind in repeat_window_s"),
    ] = 0
    repeat_window_s: Annotated[
        Seconds,
        Meta(
            description="the kind is instrument, side and effect; the time, in seconds",
            extra={"tighter": "up"},
        ),
    ] = Money("60.0")

    @property
    def is_off(self) -> bool:
        return not self.max_repeated_orders

    @cached_property
    def window_ns(self) -> int:
        return int(self.repeat_window_s * SECOND_NS)

    def refuse(self, order: Order, view: View) -> str | None:
        if self.is_off:
            return None
        now_ns, window_ns, times = view.now_ns, self.window_ns, view.approvals.like(order)
        if times.fewer(self.max_repeated_orders, now_ns - window_ns):
            return None
        count = times.between(now_ns - window_ns, now_ns + window_ns)
        if count < self.max_repeated_orders:
            return None
        side, effect = order.transaction_type, order.position_effect
        return (
            f"{count} orders {side} {order.instrument.key} to {effect.lower()} in {self.repeat_window_s} s,"
            f" the limit is {self.max_repeated_orders}"
        )

    def used(self, state: State) -> int:
        scope, start, end = self.scope, state.now_ns - self.window_ns, state.now_ns + self.window_ns
        return state.approvals.most_repeats(start, end, scope.strategy, state.token_of(scope))


class RefusedInARow(Rule, frozen=True):
    """Repeated automated execution throttle (RTS 6 15(3)) for what comes to nothing again and again."""

    code: ClassVar[str] = "max_refused_in_a_row"
    by_instrument: ClassVar[bool] = False
    quarantines: ClassVar[bool] = True
    max_refused_in_a_row: Annotated[
        Count,
        Meta(description="a strategy is quarantined after so many refusals and rejections without a fill"),
    ] = 0

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        return self.meets(view)

    def meets(self, view: View) -> str | None:
        """Asked before there is an order: most signals that come to nothing never become one."""
        if not self.max_refused_in_a_row:
            return None
        count = view.refusals.count(view.signal.strategy_id, view.claims.book)
        if count < self.max_refused_in_a_row:
            return None
        return f"{count} signals in a row came to nothing, the limit is {self.max_refused_in_a_row}"

    def used(self, state: State) -> int:
        book = state.claims.book
        known = state.refusals.strategies() | book.performance.keys()
        names = {self.scope.strategy} if self.scope.strategy else known
        return max((state.refusals.count(name, book) for name in names - {""}), default=0)
