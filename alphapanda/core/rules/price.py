"""Whether the price that an entry rests on can be believed. Where it is missing, nothing is entered."""

from functools import cached_property
from math import floor
from typing import Annotated, ClassVar

from msgspec import Meta

from alphapanda.core.money import HUNDRED, exact
from alphapanda.core.rules.contract import BILLIONTH, WIDER, Percent, Rule, Seconds, View
from alphapanda.events import Money, Order
from alphapanda.times import SECOND_NS, to_ns

LATE_NS = 2 * SECOND_NS
"""The exchange counts whole seconds, and its ticks take their time."""


class UntrustedPrice(Rule, frozen=True):
    """Market-data reasonability: no entry on a price that a live feed cannot vouch for (FIA). No setting."""

    code: ClassVar[str] = "price_not_trusted"

    def refuse(self, order: Order, view: View) -> str | None:
        trust = view.marks.trust
        if not trust.watched:
            return None
        tick = None if view.mark is None else view.mark.tick
        problem = trust.problem(order.instrument.instrument_token, tick)
        return None if problem is None else f"the price of {order.instrument.key} is not trusted: {problem}"


class StalePrice(Rule, frozen=True):
    """Market-data reasonability: no entry on a price that is missing or too old (FIA).

    Of a live feed the exchange's own time counts too: what repeats an old tick is frozen.
    """

    code: ClassVar[str] = "max_price_age_s"
    max_price_age_s: Annotated[
        Seconds, Meta(description="no entry when the instrument's last price is older, in seconds")
    ] = Money("5.0")

    @cached_property
    def limit_ns(self) -> int:
        return floor(self.max_price_age_s * SECOND_NS)

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_price_age_s:
            return None
        if view.mark is None:
            return unseen(order)
        age_ns = view.now_ns - view.mark.time_ns
        if age_ns <= self.limit_ns:
            tick = view.mark.tick
            if tick is None or not view.marks.trust.watched:
                return None
            age_ns = view.now_ns - to_ns(tick.timestamp) - LATE_NS
            if age_ns <= self.limit_ns:
                return None
        return f"the price is {age_ns / SECOND_NS:.1f} s old, the limit is {self.max_price_age_s} s"


class PriceDeviation(Rule, frozen=True):
    """Price tolerance, collar (RTS 6 15(1)(a)): the price decided upon against the last price seen."""

    code: ClassVar[str] = "max_price_deviation_percent"
    max_price_deviation_percent: Annotated[
        Percent, Meta(description="no entry when its price is further from the last price, in percent")
    ] = Money("5.0")

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_price_deviation_percent:
            return None
        mark = view.mark
        if mark is None:
            return unseen(order)
        if order.price is None:
            roughly = abs(view.signal.last_price / mark.price - 1) + BILLIONTH
            if roughly < float(self.max_price_deviation_percent) / 100:
                return None
        last, price = exact(mark.price), order.price
        if price is None:
            price = exact(view.signal.last_price)
        away = abs(price - last) / last * HUNDRED
        if away <= self.max_price_deviation_percent:
            return None
        limit = self.max_price_deviation_percent
        return f"price {price} is {away:.2f} % from the last price {last}, the limit is {limit} %"


class WideSpread(Rule, frozen=True):
    """Market-data reasonability: a crossed, one-sided or wide order book (FIA). No book, no question."""

    code: ClassVar[str] = "max_spread_percent"
    max_spread_percent: Annotated[
        Percent,
        Meta(description="no entry when best bid and offer are further apart, in percent, or crossed"),
    ] = Money(0)

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_spread_percent:
            return None
        mark = view.mark
        if mark is None or mark.tick is None:
            return unseen(order)
        depth = mark.tick.depth
        if depth is None:
            return None
        bid = depth.buy[0].price if depth.buy else 0.0
        offer = depth.sell[0].price if depth.sell else 0.0
        if not (bid > 0 and offer > 0):  # NaN too
            return "the order book has one side only, or none"
        if bid >= offer:
            return f"the order book is crossed: bid {bid}, offer {offer}"
        if (offer - bid) / bid * WIDER < float(self.max_spread_percent) / 100:
            return None
        apart = (exact(offer) - exact(bid)) / exact(bid) * HUNDRED
        if apart <= self.max_spread_percent:
            return None
        return (
            f"bid {bid} and offer {offer} are {apart:.2f} % apart, the limit is {self.max_spread_percent} %"
        )


class PriceJump(Rule, frozen=True):
    """Market-data reasonability: the last price against the one before it (FIA)."""

    code: ClassVar[str] = "max_price_jump_percent"
    max_price_jump_percent: Annotated[
        Percent, Meta(description="no entry on a price that is further from the one before it, in percent")
    ] = Money(0)

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_price_jump_percent:
            return None
        mark = view.mark
        if mark is None:
            return unseen(order)
        if mark.before is None or mark.before == mark.price:
            return None
        if abs(mark.price / mark.before - 1) + BILLIONTH < float(self.max_price_jump_percent) / 100:
            return None
        price, before = exact(mark.price), exact(mark.before)
        jump = abs(price - before) / before * HUNDRED
        if jump <= self.max_price_jump_percent:
            return None
        limit = self.max_price_jump_percent
        return f"the price went from {before} to {price}, {jump:.2f} %, in one step, the limit is {limit} %"


class FrozenPrice(Rule, frozen=True):
    """Market-data reasonability: a price that stands still while ticks go on coming (FIA)."""

    code: ClassVar[str] = "max_frozen_s"
    max_frozen_s: Annotated[
        Seconds, Meta(description="no entry when ticks came for longer than this at one price, in seconds")
    ] = Money(0)

    @cached_property
    def limit_ns(self) -> int:
        return floor(self.max_frozen_s * SECOND_NS)

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_frozen_s:
            return None
        mark = view.mark
        if mark is None:
            return unseen(order)
        if mark.changed_ns is None:
            return None
        still_ns = mark.time_ns - mark.changed_ns
        if still_ns <= self.limit_ns:
            return None
        still_s = still_ns / SECOND_NS
        return f"the price has stood still for {still_s:.1f} s, the limit is {self.max_frozen_s} s"


def unseen(order: Order) -> str:
    return f"no price of {order.instrument.key} has been seen"
