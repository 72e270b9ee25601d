"""How much may be lost: net of charges, open positions at the last prices. Exits always pass.

What is said of the whole account is said of all strategies of a broker together.
"""

from functools import cached_property
from math import ceil
from typing import Annotated, ClassVar

from msgspec import Meta

from alphapanda.core.money import HUNDRED
from alphapanda.core.rules.contract import BILLIONTH, ZERO, Count, Percent, Rule, Rupees, Seconds, State, View
from alphapanda.events import Low, Money, Order, Performance
from alphapanda.times import SECOND_NS, day_of, week_of


class PeriodLoss(Rule, frozen=True):
    """What a day and a week have in common. Once the limit is passed it stays so until the period ends."""

    by_instrument: ClassVar[bool] = False
    period: ClassVar[str]

    def number(self, now_ns: int) -> int:
        """Of the period that `now_ns` is in."""
        raise NotImplementedError(type(self).__name__)

    def start_and_low(self, at: Performance) -> tuple[Money, Money]:
        """The net result before the period, and the lowest point of the curve since."""
        raise NotImplementedError(type(self).__name__)

    @cached_property
    def limit(self) -> Money:
        limit: Money = getattr(self, self.code)
        return limit

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        limit = self.limit
        if not limit:
            return None
        if view.desk.low(self.scope.strategy, self.period, self.number(view.now_ns)) is None:
            start, low = self.start_and_low(view.performance(self.scope))
            least = start - limit
            if low >= least and view.least_net(self.scope) > float(least):
                return None
        lost = self.used(view)
        if lost <= limit:
            return None
        return f"this {self.period} has lost {lost:.2f} after charges, the limit is {limit:.2f}"

    def used(self, state: State) -> Money:
        start, low = self.start_and_low(state.performance(self.scope))
        passed = state.desk.low(self.scope.strategy, self.period, self.number(state.now_ns))
        net = state.net(self.scope)
        return max(ZERO, start - min(low, net, net if passed is None else passed))

    def low(self, view: View) -> Low:
        """What is remembered of a refusal, so that prices which come back do not lift it."""
        return Low(self.scope.strategy, view.net(self.scope), view.now_ns)

    def blocks(self, used: Money | int) -> bool:
        return used > self.limit


class DailyLoss(PeriodLoss, frozen=True):
    """Post-trade credit control, loss limit of the IST day (FIA)."""

    code: ClassVar[str] = "max_daily_loss"
    period: ClassVar[str] = "day"
    max_daily_loss: Annotated[
        Rupees,
        Meta(description="no more entries on a day that has lost more, after charges, in rupees"),
    ] = Money(0)

    def number(self, now_ns: int) -> int:
        return day_of(now_ns)

    def start_and_low(self, at: Performance) -> tuple[Money, Money]:
        return at.day_start, at.day_low


class WeeklyLoss(PeriodLoss, frozen=True):
    """Post-trade credit control, loss limit of the week from Monday on (FIA)."""

    code: ClassVar[str] = "max_weekly_loss"
    period: ClassVar[str] = "week"
    max_weekly_loss: Annotated[
        Rupees,
        Meta(description="no more entries in a week that has lost more, after charges, in rupees"),
    ] = Money(0)

    def number(self, now_ns: int) -> int:
        return week_of(day_of(now_ns))

    def start_and_low(self, at: Performance) -> tuple[Money, Money]:
        return at.week_start, at.week_low


class Drawdown(Rule, frozen=True):
    """Post-trade credit control: the fall of equity from its top (FIA)."""

    code: ClassVar[str] = "max_drawdown_percent"
    by_instrument: ClassVar[bool] = False
    max_drawdown_percent: Annotated[
        Percent,
        Meta(le=100, description="no entry while equity is further below its top, after charges, in percent"),
    ] = Money(0)

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        if not self.max_drawdown_percent:
            return None
        starting, top = float(view.claims.book.starting_cash), float(view.performance(self.scope).top)
        most = float(self.max_drawdown_percent) / 100
        if view.least_net(self.scope) - top > -most * (starting + top) * (1 - BILLIONTH) and top >= 0:
            return None
        fallen = self.used(view)
        if fallen <= self.max_drawdown_percent:
            return None
        limit = self.max_drawdown_percent
        return f"equity is {fallen:.2f} % below its top, after charges, the limit is {limit} %"

    def used(self, state: State) -> Money:
        starting, net = state.claims.book.starting_cash, state.net(self.scope)
        top = starting + max(state.performance(self.scope).top, net)
        return (top - starting - net) / top * HUNDRED if top > 0 else ZERO

    def blocks(self, used: Money | int) -> bool:
        return used > self.max_drawdown_percent


class LossesInARow(Rule, frozen=True):
    """Loss-streak cool-down (FIA, post-trade credit control): a pause after so many lost round trips."""

    code: ClassVar[str] = "max_losses_in_a_row"
    by_instrument: ClassVar[bool] = False
    max_losses_in_a_row: Annotated[
        Count, Meta(description="so many round trips lost in a row stop entries for loss_cooldown_s")
    ] = 0
    loss_cooldown_s: Annotated[
        Seconds,
        Meta(
            description="how long entries wait after the last loss of such a row, in seconds",
            extra={"tighter": "up"},
        ),
    ] = Money("1800.0")

    @property
    def is_off(self) -> bool:
        return not self.max_losses_in_a_row

    @cached_property
    def cooldown_ns(self) -> int:
        return ceil(self.loss_cooldown_s * SECOND_NS)

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        if self.is_off:
            return None
        at = view.performance(self.scope)
        if at.losses_in_a_row < self.max_losses_in_a_row:
            return None
        since_ns = view.now_ns - at.last_loss_ns
        if since_ns >= self.cooldown_ns:
            return None
        return (
            f"{at.losses_in_a_row} losses in a row, the last {since_ns / SECOND_NS:.1f} s before;"
            f" entries wait {self.loss_cooldown_s} s"
        )

    def used(self, state: State) -> int:
        """Losses whose cool-down has passed no longer hold anything back."""
        at = state.performance(self.scope)
        if self.is_off:
            return at.losses_in_a_row
        waits = state.now_ns - at.last_loss_ns < self.cooldown_ns
        return at.losses_in_a_row if waits else min(at.losses_in_a_row, self.max_losses_in_a_row - 1)
