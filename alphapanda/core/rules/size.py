"""How large one order may be."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from alphapanda.core.contracts import underlying_of
from alphapanda.core.rules.contract import Count, Rule, Rupees, View
from alphapanda.core.segments import segment_of
from alphapanda.events import Instrument, Money, Order, PositionEffect
from alphapanda.times import day_of, number_of

MOST_SLICES = 10
"""Kite cuts an order into at most so many."""


class FreezeRow(Struct, frozen=True, forbid_unknown_fields=True):
    """The most units of one order in the derivatives of `underlying`, until its next row."""

    underlying: str
    effective_from: date
    units: int
    source: str


class Freeze:
    """The exchange's largest order by underlying and day."""

    def __init__(self, rows: Iterable[FreezeRow] = ()) -> None:
        self._rows: dict[str, list[tuple[int, int]]] = {}
        for row in sorted(rows, key=lambda row: row.effective_from):
            since = number_of(row.effective_from)
            self._rows.setdefault(row.underlying, []).append((since, row.units))
        self._known: dict[int, tuple[Instrument, int, int | None]] = {}
        """token -> (the instrument as it was listed, day, the most on it)"""

    def quantity(self, instrument: Instrument, time_ns: int) -> int | None:
        """What holds on the day (IST) of `time_ns`; None where nothing is known."""
        day, token = day_of(time_ns), instrument.instrument_token
        known = self._known.get(token)
        if known is None or known[0] is not instrument or known[1] != day:
            known = self._known[token] = instrument, day, self._on(day, instrument)
        return known[2]

    def _on(self, day: int, instrument: Instrument) -> int | None:
        if not segment_of(instrument).derivative:
            return None
        most = None
        for since, units in self._rows.get(underlying_of(instrument), ()):
            if since <= day:
                most = units
        return most


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
        if not self.max_order_value:
            return None
        value = order.pending_value
        if value <= self.max_order_value:
            return None
        return f"value {value:.2f} is over the limit of {self.max_order_value:.2f}"


class FreezeQuantity(Rule, frozen=True):
    """Maximum order size of the exchange, its quantity freeze (FIA 1.1; NSE circulars)."""

    code: ClassVar[str] = "freeze_quantity"
    entries_only: ClassVar[bool] = False
    freeze_quantity: Annotated[
        bool,
        Meta(description="refuse entries over the exchange's freeze quantity; exits are sliced"),
    ] = False
    slice_orders: Annotated[
        bool,
        Meta(
            description="slice entries over the freeze quantity as well, in at most 10 orders",
            extra={"tighter": "neither"},
        ),
    ] = False

    @property
    def is_off(self) -> bool:
        return not (self.freeze_quantity or self.slice_orders)

    def refuse(self, order: Order, view: View) -> str | None:
        most = view.freeze_quantity
        if self.is_off or most is None or order.quantity <= most:
            return None
        if not self.cuts(order):
            return f"quantity {order.quantity} is over the exchange's freeze quantity of {most}"
        if view.slices <= MOST_SLICES and largest_slice(order.instrument, most):
            return None
        return f"quantity {order.quantity} is more than {MOST_SLICES} slices of the freeze quantity of {most}"

    def cuts(self, order: Order) -> bool:
        return self.slice_orders or order.position_effect is PositionEffect.CLOSE


def largest_slice(instrument: Instrument, most: int) -> int:
    """The largest multiple of the lot up to `most`; 0 when not even one lot is."""
    return most // instrument.lot_size * instrument.lot_size


def slices_of(order: Order, most: int) -> list[int]:
    """Quantities of the orders that it is sent in; an exit is cut to what the allowed slices carry."""
    slice_ = largest_slice(order.instrument, most)
    if not slice_:
        return [order.quantity]
    whole, rest = divmod(order.quantity, slice_)
    cut = [slice_] * whole + ([rest] if rest else [])
    return cut[:MOST_SLICES] if order.position_effect is PositionEffect.CLOSE else cut
