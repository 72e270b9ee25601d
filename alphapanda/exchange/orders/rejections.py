"""Why an order that was taken is rejected: first by the broker's risk checks (RMS), then by the exchange.

RMS knows the account, the product, lots, the freeze quantity, the largest order and the hours; the exchange
knows ticks, circuit limits, triggers and, once more, the hours. Both leave a REJECTED row. Funds and holdings
are the account's to refuse, after these. A new order over the freeze quantity alone is not taken at all.
"""

from alphapanda.core.segments import segment_of
from alphapanda.events import MIS, PRICED, STOPS, Money
from alphapanda.exchange.calls import invalid
from alphapanda.exchange.market import Market
from alphapanda.exchange.order import Order
from alphapanda.exchange.orders import refusals
from alphapanda.exchange.orders.matching import triggers
from alphapanda.exchange.orders.refusals import Rejection
from alphapanda.tables import freeze

MOST_SHARES = 100_000
MOST_VALUE = Money(100_000_000)
"""Ten crore rupees in one equity order (Zerodha's RMS; secondary source)."""
TRADE_TO_TRADE = ("BE", "BZ", "T", "Z")
"""Series that are delivered only."""
RMS = "rms"


def most_of(order: Order, now_ns: int) -> int | None:
    """The largest quantity of one order in its instrument; None where none is known."""
    if not segment_of(order.listed.instrument).derivative:
        return MOST_SHARES
    return freeze().quantity(order.listed.instrument, now_ns)


def check_freeze(order: Order, now_ns: int) -> None:
    """More than the exchange takes in one order is refused at once, with the figure, and leaves no row.

    So says the forum, comment 46716. Raises Refusal.
    """
    most = most_of(order, now_ns)
    if most is not None and order.quantity > most and segment_of(order.listed.instrument).derivative:
        raise invalid(refusals.over_freeze(order.quantity, most).message)


def by_rms(order: Order, market: Market, now_ns: int) -> Rejection | None:
    """What the broker's checks say.

    RMS's own orders may be of any value, and MIS at any hour.
    """
    listed = order.listed
    if order.quantity % listed.lot:
        return refusals.not_in_lots(order.quantity, listed.lot)
    most = most_of(order, now_ns)
    derivative = segment_of(listed.instrument).derivative
    if most is not None and order.quantity > most:
        return refusals.over_freeze(order.quantity, most) if derivative else refusals.over_shares()
    price = order.limit or order.trigger_price or market.last_price(listed.token, now_ns)
    if not derivative and price * order.quantity > MOST_VALUE and order.by != RMS:
        return refusals.over_value()
    if not market.hours.may_enter(listed, now_ns):
        return refusals.closed()
    judged = order.product == MIS and order.by != RMS
    return _intraday(order, market, now_ns) if judged else None


def _intraday(order: Order, market: Market, now_ns: int) -> Rejection | None:
    symbol = order.listed.instrument.tradingsymbol
    if symbol.rpartition("-")[2] in TRADE_TO_TRADE and "-" in symbol:
        return refusals.delivery_only(symbol)
    square_off = market.hours.square_off_ns(order.listed, now_ns)
    if square_off is not None and now_ns >= square_off:
        return refusals.too_late_for_mis()
    return None


def by_exchange(order: Order, market: Market, now_ns: int) -> Rejection | None:
    """What the exchange finds wrong when the order, or its change, arrives."""
    listed = order.listed
    if not market.hours.may_enter(listed, now_ns):
        return refusals.closed()
    tick = listed.instrument.tick_size
    if order.order_type in PRICED:
        if order.price % tick:
            return refusals.off_tick(tick)
        lower, upper = market.circuit(listed.token, now_ns)
        if order.price < lower:
            return refusals.below_range(lower)
        if order.price > upper:
            return refusals.above_range(upper)
    if order.order_type in STOPS and not order.triggered:
        if order.trigger_price % tick:
            return refusals.off_tick(tick, trigger=True)
        last = market.last_price(listed.token, now_ns)
        if triggers(order, last):
            return refusals.beyond_trigger(order.transaction_type, last)
    return None
