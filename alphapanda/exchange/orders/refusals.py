"""Kite's words for no: every text of this room, in one place.

Two kinds. A `Refusal` is the answer to the call: what cannot be read, or cannot be an order at all, leaves no
row. A `Rejection` is the end of an order that was taken: the broker's risk checks (RMS) and the exchange
leave a REJECTED row, whose raw message is Kite's own where it is known and otherwise the same words.
"""

from typing import NamedTuple

from alphapanda.events import Money, OrderType, TransactionType
from alphapanda.exchange.calls import Refusal, invalid
from alphapanda.exchange.notation import spelt

MARGIN, HOLDING, NETWORK, GENERAL = (
    "MarginException",
    "HoldingException",
    "NetworkException",
    "GeneralException",
)
NO_PROTECTION = (
    "Market orders without market protection are not allowed via API. "
    "Please set market protection or use a Limit order."
)
MODIFY_LATER = "Order cannot be modified as it is being processed. Try later."
CANCEL_LATER = "Order cannot be cancelled as it is being processed. Try later."
TOO_MANY_CHANGES = "Maximum allowed order modifications exceeded."
NO_SUCH_ORDER = "Couldn't find that `order_id`."
NO_SUCH_INSTRUMENT = "The instrument you are placing an order for has either expired or does not exist."
WITHIN_RANGE = "Place an order within the daily range."
AMO_IN_SESSION = "After market orders (AMO) cannot be placed while the market is open. Place a regular order."
UNMATCHED = "Unmatched orders cancelled by the system."
EXPIRED = "The order was cancelled as its validity expired."
SESSION_ENDED = "The order was cancelled by the exchange at the end of the session."
SQUARED_OFF = "The MIS order was cancelled by RMS before the auto square-off."


class Rejection(NamedTuple):
    """`status_message` and `status_message_raw` of a REJECTED row."""

    message: str
    raw: str


def said(words: str) -> Rejection:
    return Rejection(words, words)


def undecodable(field: str, text: str, expected: str) -> Refusal:
    """As of 2026 a number that is none is told in these words (TradingQnA 193504)."""
    return invalid(f"Invalid request (failed to decode {field}, got: {text} (expected {expected}))")


def unknown(field: str, text: str) -> Refusal:
    return invalid(f"Invalid `{field}`: {text}.")


def not_found() -> Refusal:
    return Refusal(400, GENERAL, NO_SUCH_ORDER)


def ended(what: str, status: str) -> Refusal:
    """`what` is "modified" or "cancelled"."""
    return invalid(f"Order cannot be {what} as it is already {status}.")


def too_many_changes() -> Refusal:
    """Seen as a NetworkException (forum 9212); the code is that of the other limits."""
    return Refusal(429, NETWORK, TOO_MANY_CHANGES)


def unauthorised(message: str) -> Refusal:
    return Refusal(428, HOLDING, message)


def too_few_to_slice(least: int) -> Refusal:
    return invalid(f"Quantity should be greater than or equal to {least} for order slicing.")


def off_tick(tick: Money, *, trigger: bool = False) -> Rejection:
    what = "trigger price" if trigger else "price"
    return said(
        f"Tick size for this script is {spelt(tick)}. "
        f"Kindly enter {what} in the multiple of tick size for this script"
    )


def below_range(lower: Money) -> Rejection:
    return said(
        f"Your order price is lower than the current lower circuit limit of {spelt(lower)}. {WITHIN_RANGE}"
    )


def above_range(upper: Money) -> Rejection:
    return said(
        f"Your order price is higher than the current upper circuit limit of {spelt(upper)}. {WITHIN_RANGE}"
    )


def not_in_lots(quantity: int, lot: int) -> Rejection:
    return said(f"Quantity {quantity} is not a multiple of the lot size of {lot}.")


def over_freeze(quantity: int, most: int) -> Rejection:
    return said(f"Quantity {quantity} exceeds the freeze quantity of {most}. Slice the order.")


def over_value() -> Rejection:
    return said("Maximum value per order for Equity is Rs. 10 crore.")


def over_shares() -> Rejection:
    return said("Maximum quantity per order for Equity is 1,00,000")


def closed() -> Rejection:
    return said("Markets are closed right now. Place an after market order (AMO).")


def too_late_for_mis() -> Rejection:
    return said("MIS orders are blocked as the auto square-off time of the day has passed.")


def delivery_only(symbol: str) -> Rejection:
    return said(f"{symbol} is in the trade-to-trade segment: intraday (MIS) orders are not allowed. Use CNC.")


def beyond_trigger(side: TransactionType, last: Money) -> Rejection:
    buys = side is TransactionType.BUY
    return said(
        f"Trigger price for stoploss {'buy' if buys else 'sell'} orders should be "
        f"{'higher' if buys else 'lower'} than the last traded price of {spelt(last)}."
    )


def trigger_past_price(side: TransactionType) -> Refusal:
    return invalid(
        f"Trigger price can't be {'higher' if side is TransactionType.BUY else 'lesser'} than price."
    )


def without_trigger(order_type: OrderType) -> Refusal:
    return invalid(f"Trigger price is required for {order_type} orders.")


def not_modified() -> Rejection:
    """The exchange's own words (forum, comment 5480)."""
    return said("16346 : Order cannot be modified")
