"""What may be traded, and against whom not."""

from typing import Annotated, ClassVar

from msgspec import Meta

from alphapanda.core.rules.contract import Rule, View
from alphapanda.events import INDEX, PRICED, STOPS, Money, Order, OrderType, PositionEffect
from alphapanda.times import date_of, day_of


class SelfMatch(Rule, frozen=True):
    """Self-match (wash trade) prevention (FIA): over all strategies of one account, exits too.

    A market order meets at the last price. A stop rests in no book before its trigger is reached.
    """

    code: ClassVar[str] = "prevent_self_match"
    entries_only: ClassVar[bool] = False
    prevent_self_match: Annotated[
        bool, Meta(description="refuse an order that would trade against another of the same account")
    ] = False

    def refuse(self, order: Order, view: View) -> str | None:
        if not self.prevent_self_match:
            return None
        token, side = order.instrument.instrument_token, order.transaction_type
        against = [other for other in view.claims.orders(token) if other.transaction_type is not side]
        if not against:
            return None
        last, sign = view.marks.price(token), side.sign
        price = _meets_at(order, last)
        if price is None:
            return None
        for other in against:
            at = _meets_at(other, last)
            if at is None:
                continue
            if sign * price >= sign * at:
                return (
                    f"it would trade at {price} against {other.order_id} of {other.strategy_id},"
                    f" which waits at {at}"
                )
        return None

    def blocks(self, used: Money | int) -> bool:  # noqa: ARG002 - nothing accumulates
        return False


def _meets_at(order: Order, last: Money | None) -> Money | None:
    """The price at which it would trade now; None while it sleeps."""
    if order.order_type in STOPS and order.trigger_price is not None and not order.triggered:
        sign = order.transaction_type.sign
        if last is None or sign * last < sign * order.trigger_price:
            return None
    if order.price is not None and order.order_type in PRICED:
        return order.price
    return order.reference_price if last is None else last


class AllowedInstruments(Rule, frozen=True):
    """Restricted instruments, permissions (SEC 15c3-5(c)(2)(ii)): what is not named is not entered."""

    code: ClassVar[str] = "allowed_instruments"
    allowed_instruments: Annotated[
        tuple[str, ...],
        Meta(description='what may be entered, as "EXCHANGE:SYMBOL" or "EXCHANGE:*"; none: everything'),
    ] = ()

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        allowed, instrument = self.allowed_instruments, order.instrument
        if not allowed or f"{instrument.exchange}:*" in allowed or instrument.key in allowed:
            return None
        return f"{instrument.key} is not among the {len(allowed)} that are allowed"


class AllowedProducts(Rule, frozen=True):
    """Restricted products, permissions (SEC 15c3-5(c)(2)(ii))."""

    code: ClassVar[str] = "allowed_products"
    allowed_products: Annotated[
        tuple[str, ...],
        Meta(description="products that may be entered: MIS, CNC, NRML; none: every one"),
    ] = ()

    def refuse(self, order: Order, view: View) -> str | None:  # noqa: ARG002 - as Rule has it
        if not self.allowed_products or order.product in self.allowed_products:
            return None
        return f"product {order.product} is not one of {', '.join(self.allowed_products)}"


def unprotected(order: Order, protection: Money | None) -> str | None:
    """Market order protection: Kite rejects MARKET and SL-M with 0 since April 2026. None: not asked."""
    if protection != 0 or order.order_type not in (OrderType.MARKET, OrderType.SL_M):
        return None
    what = f"a {order.order_type} order needs market protection"
    return f"{what}; set zerodha.market_protection to -1 or a percentage"


IN_LOTS = frozenset(("CDS", "BCD", "MCX", "NCO"))
"""Exchanges on which Kite counts a quantity in lots, with a multiplier; ours are in units."""


def not_listed(order: Order, now_ns: int) -> tuple[str, str] | None:
    """(rule, why) of an entry at a broker that lists its instruments daily: tokens, lots and ticks change
    overnight, so without today's row nobody knows what would be bought. Exits pass.
    """
    if order.position_effect is not PositionEffect.OPEN:
        return None
    instrument, today = order.instrument, date_of(day_of(now_ns))
    if instrument.exchange in IN_LOTS:
        what = f"{instrument.exchange} counts quantities in lots with a multiplier"
        return "instrument_not_supported", f"{what}, which {order.broker} orders do not support yet"
    if instrument.instrument_type == INDEX:
        return "instrument_not_supported", f"{instrument.key} is an index: it is quoted, not traded"
    if instrument.listed_on == today:
        return None
    since = "" if instrument.listed_on is None else f", but on that of {instrument.listed_on}"
    why = f"{instrument.key} is not on {order.broker}'s instrument list of {today}{since}"
    return "instrument_not_listed", f"{why}; `alphapanda instruments sync` reads the list"
