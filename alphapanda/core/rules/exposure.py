"""How much may be at stake: positions, their value, their number, and the cash that pays for them.

Counted are what is held, every open and UNKNOWN order, and approvals on their way; for the whole account also
what it holds that is not ours, and the orders that somebody else has made.
"""

from typing import Annotated, ClassVar

from msgspec import Meta

from alphapanda.core.rules.contract import WIDER, ZERO, Count, Rule, Rupees, State, View
from alphapanda.events import Money, Order


class MaximumPositionQuantity(Rule, frozen=True):
    """Maximum intraday position, counting open, unknown and in-flight orders (FIA)."""

    code: ClassVar[str] = "max_position_quantity"
    max_position_quantity: Annotated[
        Count, Meta(description="largest position in one instrument at one broker, long or short, in units")
    ] = 5000

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_position_quantity:
            return None
        worst = view.worst_position(order, self.scope.strategy)
        if abs(worst) <= self.max_position_quantity:
            return None
        beside = _beside(order, view, self)
        return f"the position could reach {worst}{beside}, over the limit of {self.max_position_quantity}"

    def used(self, state: State) -> int:
        return max((quantity for _, quantity in _reaches(state, self)), default=0)


class MaximumPositionValue(Rule, frozen=True):
    """Maximum value of the position in one instrument, at the reference price (FIA; 15c3-5(c)(1)(i))."""

    code: ClassVar[str] = "max_position_value"
    max_position_value: Annotated[
        Rupees, Meta(description="largest value of the position in one instrument, in rupees")
    ] = Money(0)

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_position_value:
            return None
        worst = abs(view.worst_position(order, self.scope.strategy)) * order.reference_price
        if worst <= self.max_position_value:
            return None
        limit, beside = self.max_position_value, _beside(order, view, self)
        return f"the position could be worth {worst:.2f}{beside}, over the limit of {limit:.2f}"

    def used(self, state: State) -> Money:
        return max((q * (state.price(t) or ZERO) for t, q in _reaches(state, self)), default=ZERO)


def _beside(order: Order, view: View, rule: Rule) -> str:
    """How many units of it are not ours; nothing where all are, or only a strategy's count."""
    outside = view.claims.outside.get(order.instrument.instrument_token)
    if outside is None or rule.scope.strategy:
        return ""
    units = outside.longest if order.transaction_type.sign > 0 else outside.shortest
    return f" ({units} of it not ours)" if units else ""


def _reaches(state: State, rule: Rule) -> list[tuple[int, int]]:
    """By token: the units that its position could reach, on its larger side."""
    claims, only, strategy = state.claims, state.token_of(rule.scope), rule.scope.strategy
    return [
        (token, max(claims.worst(token, 1, strategy), -claims.worst(token, -1, strategy)))
        for token in claims.open_instruments(strategy)
        if only in (0, token)
    ]


class MaximumOpenPositions(Rule, frozen=True):
    """Maximum number of instruments with a position or an entry on its way (FIA)."""

    code: ClassVar[str] = "max_open_positions"
    by_instrument: ClassVar[bool] = False
    max_open_positions: Annotated[
        Count, Meta(description="how many instruments may have a position at one broker")
    ] = 50

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_open_positions:
            return None
        if view.claims.at_most_open() < self.max_open_positions:
            return None
        held = view.claims.open_instruments(self.scope.strategy)
        if order.instrument.instrument_token in held or len(held) < self.max_open_positions:
            return None
        owners = {token for _, token in view.claims.book.positions}
        apart = 0 if self.scope.strategy else len(view.claims.outside.keys() - owners)
        beside = f" ({apart} of them not ours)" if apart else ""
        return f"{len(held)} instruments are open{beside}, the limit is {self.max_open_positions}"

    def used(self, state: State) -> int:
        return len(state.claims.open_instruments(self.scope.strategy))


class MaximumGrossExposure(Rule, frozen=True):
    """Pre-set capital threshold over all positions, gross (SEC 15c3-5(c)(1)(i); RTS 6 15(4))."""

    code: ClassVar[str] = "max_gross_exposure"
    max_gross_exposure: Annotated[
        Rupees,
        Meta(description="largest sum of all positions and entries at one broker, long or short, in rupees"),
    ] = Money(0)

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.max_gross_exposure:
            return None
        value = order.pending_value
        if view.most_gross(self.scope) + float(value) * WIDER < float(self.max_gross_exposure):
            return None
        gross = view.gross(self.scope) + value
        if gross <= self.max_gross_exposure:
            return None
        others = view.not_ours(self.scope)
        beside = f" ({others:.2f} of it not ours)" if others else ""
        limit = self.max_gross_exposure
        return f"all positions could be worth {gross:.2f}{beside}, over the limit of {limit:.2f}"

    def used(self, state: State) -> Money:
        return state.gross(self.scope)


class AvailableCash(Rule, frozen=True):
    """Pre-set capital threshold (SEC 15c3-5(c)(1)(i)): an entry is paid from cash that nothing has claimed.

    A short sale claims its value as well, and the proceeds of a short position are not free. Slippage and
    charges are set aside too, as far as they can be known before the order trades.
    """

    code: ClassVar[str] = "available_cash"

    def refuse(self, order: Order, view: View) -> str | None:
        claims = view.claims
        free, needed, beside = claims.free_cash(), claims.claim(order), claims.reserved(order)
        if needed + beside <= free:
            return None
        if beside:
            needs = f"value {needed:.2f} with {beside:.2f} for slippage and charges"
        else:
            needs = f"value {needed:.2f}"
        return f"{needs} is more than the free cash of {free:.2f}"
