"""The rules that hold at one broker, by when they are asked."""

from collections.abc import Callable, Iterable

from alphapanda.core.rules.contract import Rule, View
from alphapanda.core.rules.rate import (
    OrdersPerDay,
    OrdersPerMinute,
    OrdersPerSecond,
    RefusedInARow,
    room_for,
)
from alphapanda.core.rules.size import Freeze, FreezeQuantity, slices_of
from alphapanda.events import Order, PositionEffect

OPEN = PositionEffect.OPEN
Kind = tuple[str, str, PositionEffect, bool]
Refuses = tuple[tuple[Callable[[Order, View], str | None], ...], tuple[Rule, ...]]
"""The `refuse` of each rule, and the rules."""


class Asked:
    """`rules` are those of every broker that are not off."""

    def __init__(self, broker: str, rules: Iterable[Rule]) -> None:
        found = [rule for rule in rules if rule.scope.broker in ("", broker)]
        self._in_a_row = [rule for rule in found if isinstance(rule, RefusedInARow)]
        self._rules = [rule for rule in found if not isinstance(rule, RefusedInARow)]
        self._freezes = [rule for rule in found if isinstance(rule, FreezeQuantity)]
        throttles = (OrdersPerSecond, OrdersPerMinute, OrdersPerDay)
        self._throttles = [rule for rule in found if isinstance(rule, throttles)]
        self._known: dict[Kind, Refuses] = {}

    def of_signals(self, view: View) -> tuple[Rule, str] | None:
        """Of the rule that is asked before there is an order: what is refused for another reason each time
        would never come to it. An exit goes through.
        """
        if self._in_a_row and view.signal.position_effect is OPEN:
            for rule in self._in_a_row:
                if rule.scope.strategy in ("", view.signal.strategy_id):
                    why = rule.meets(view)
                    if why is not None:
                        return rule, f"{why}{rule.within()}"
        return None

    def of_orders(self, order: Order, view: View) -> tuple[Rule, str] | None:
        """The first that refuses, and why."""
        refuses, rules = self._of(order)
        for refuse in refuses:
            why = refuse(order, view)
            if why is not None:
                rule = rules[refuses.index(refuse)]
                return rule, f"{why}{rule.within()}"
        return None

    def _of(self, order: Order) -> Refuses:
        """Looked up once for all orders of a kind."""
        kind = order.strategy_id, order.instrument.key, order.position_effect, bool(order.by)
        known = self._known.get(kind)
        if known is None:
            rules = tuple(rule for rule in self._rules if _is_asked(rule, order))
            known = self._known[kind] = tuple(rule.refuse for rule in rules), rules
        return known

    def slices(self, order: Order, view: View, freeze: Freeze) -> list[int]:
        """The quantities it is sent in; one, where no rule asks for the freeze quantity."""
        if not self._freezes:
            return [order.quantity]
        view.freeze_quantity = most = freeze.quantity(order.instrument, view.now_ns)
        if most is None or order.quantity <= most:
            return [order.quantity]
        asked = [rule for rule in self._freezes if rule.covers(order)]
        if not asked or not all(rule.cuts(order) for rule in asked):
            return [order.quantity]
        quantities = slices_of(order, most)
        if order.position_effect is not OPEN:
            return quantities[: room_for(order, view, self._throttles)]
        return quantities


def _is_asked(rule: Rule, order: Order) -> bool:
    """The house's own closes are not the strategy's doing: they take nobody out."""
    if rule.quarantines and order.by:
        return False
    return rule.covers(order) and (order.position_effect is OPEN or not rule.entries_only)
