"""One wish, several orders: slices of a quantity over the freeze limit, and the legs of an iceberg."""

from typing import Any

from alphapanda.core.rules.size import largest_slice
from alphapanda.exchange.calls import invalid
from alphapanda.exchange.order import Order
from alphapanda.exchange.orders import refusals
from alphapanda.exchange.orders.asked import Asked

MOST_SLICES = 10
FEWEST_SLICES = 2
"""3,510 in Kite's refusal is twice the largest slice of NIFTY: fewer than two are no slicing."""
ICEBERG = "iceberg"


def cut(order: Order, most: int | None) -> list[int]:
    """The quantities of the orders that an autoslice order becomes; raises Refusal."""
    symbol = order.listed.instrument.tradingsymbol
    slice_ = _slice(order, most)
    if not slice_:
        raise invalid(f"Order slicing is not available for {symbol}.")
    if order.quantity < FEWEST_SLICES * slice_:
        raise refusals.too_few_to_slice(FEWEST_SLICES * slice_)
    quantities = pieces(order.quantity, slice_)
    if len(quantities) > MOST_SLICES:
        raise invalid(f"Quantity should be less than or equal to {MOST_SLICES * slice_}.")
    return quantities


def largest(order: Order, most: int | None) -> int:
    """The most of it that one order may carry."""
    return _slice(order, most) or order.quantity


def pieces(quantity: int, slice_: int) -> list[int]:
    whole, rest = divmod(quantity, slice_)
    return [slice_] * whole + ([rest] if rest else [])


def _slice(order: Order, most: int | None) -> int:
    if most is None:
        return 0
    return most if order.listed.lot == 1 else largest_slice(order.listed.instrument, most)


def slice_tags(tag: str | None, parent: str) -> list[str]:
    return [*([tag] if tag else []), "autoslice", f"autoslice:{parent}"]


def first_leg(asked: Asked) -> dict[str, Any]:
    return _leg(1, asked.legs, asked.leg_quantity, asked.quantity)


def next_leg(order: Order) -> tuple[int, dict[str, Any]] | None:
    """Quantity and meta of the leg after this one; None after the last, and where there are no legs."""
    meta = order.meta.get(ICEBERG)
    if meta is None or meta["leg"] == meta["legs"]:
        return None
    following = _leg(meta["leg"] + 1, meta["legs"], meta["leg_quantity"], meta["total_quantity"])
    return min(meta["leg_quantity"], meta["remaining_quantity"]), following


def _leg(leg: int, legs: int, quantity: int, total: int) -> dict[str, Any]:
    return {
        ICEBERG: {
            "leg": leg,
            "legs": legs,
            "leg_quantity": quantity,
            "total_quantity": total,
            "remaining_quantity": max(0, total - leg * quantity),
        }
    }
