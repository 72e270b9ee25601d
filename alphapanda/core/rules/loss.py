"""How much may be lost: net of charges, open positions at the last prices. Exits always pass.

What is said of the whole account is said of all strategies of a broker together.
"""

from functools import cached_property
from math import ceil
from typing import Annotated, ClassVar

from msgspec import Meta

from alphapanda.core.money import HUNDRED
from alphapanda.core.rules.contract import BILLIONTH, ZERO, Count, Percent, Rule, Rupees, Seconds, State, View
from alphapanda.events import Low, Money, Order
from alphapanda.times import SECOND_NS, day_of, week_of


class DailyLoss(Rule, frozen=True):
    """Post-trade credit control, loss limit of the IST day (FIA). Once passed it stays so for the day."""

    code: ClassVar[str] = "max_daily_loss"
    by_instrument: ClassVar[bool] = False
    max_daily_loss: Annotated[
        Rupees,
        Meta(description="no more entries on a day that has lost more, after charges, in rupees"),
    ] = Money(0)

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        if not self.max_daily_loss:
            return None
        at, number = view.performance(self.scope), day_of(view.now_ns)
        if view.desk.low(self.scope.strategy, "day", number) is None:
            start, most = float(at.day_start), float(self.max_daily_loss)
            if start - float(at.day_low) < most and start - view.least_net(self.scope) < most:
                return None
        lost = self.used(view)
        return None if lost <= self.max_daily_loss else _lost(lost, "day", self.max_daily_loss)

    def used(self, state: State) -> Money:
        at, net = state.performance(self.scope), state.net(self.scope)
        passed = state.desk.low(self.scope.strategy, "day", day_of(state.now_ns))
        return max(ZERO, at.day_start - min(at.day_low, net, net if passed is None else passed))

    def low(self, view: View) -> Low:
        return _low(self, view)

    def blocks(self, used: Money | int) -> bool:
        return used > self.max_daily_loss


class WeeklyLoss(Rule, frozen=True):
    """Post-trade credit control, loss limit of the week from Monday on (FIA)."""

    code: ClassVar[str] = "max_weekly_loss"
    by_instrument: ClassVar[bool] = False
    max_weekly_loss: Annotated[
        Rupees,
        Meta(description="no more entries in a week that has lost more, after charges, in rupees"),
    ] = Money(0)

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        if not self.max_weekly_loss:
            return None
        at, number = view.performance(self.scope), week_of(day_of(view.now_ns))
        if view.desk.low(self.scope.strategy, "week", number) is None:
            start, most = float(at.week_start), float(self.max_weekly_loss)
            if start - float(at.week_low) < most and start - view.least_net(self.scope) < most:
                return None
        lost = self.used(view)
        return None if lost <= self.max_weekly_loss else _lost(lost, "week", self.max_weekly_loss)

    def used(self, state: State) -> Money:
        at, net = state.performance(self.scope), state.net(self.scope)
        passed = state.desk.low(self.scope.strategy, "week", week_of(day_of(state.now_ns)))
        return max(ZERO, at.week_start - min(at.week_low, net, net if passed is None else passed))

    def low(self, view: View) -> Low:
        return _low(self, view)

    def blocks(self, used: Money | int) -> bool:
        return used > self.max_weekly_loss


def _low(rule: Rule, view: View) -> Low:
    return Low(rule.scope.strategy, view.net(rule.scope), view.now_ns)


def _lost(lost: Money, period: str, limit: Money) -> str:
    return f"this {period} has lost {lost:.2f} after charges, the limit is {limit:.2f}"


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
