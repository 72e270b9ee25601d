"""Orders and trades as Kite's JSON has them: keys, types and times of its answers and its updates.

Times are IST without an offset. A whole amount is written as a whole number, as Kite does. (Mocks: orders,
order_info, trades, postback.)
"""

from typing import Any

from alphapanda.core.money import to_average
from alphapanda.exchange.notation import number, stamp
from alphapanda.exchange.options import USER_ID
from alphapanda.exchange.order import Order, Trade
from alphapanda.exchange.orders.life import SETTLED, STANDING
from alphapanda.times import to_ist

APP_ID = 1234
UPDATE = "UPDATE"
"""The status of an update on a change or a partial fill (Kite Connect documentation, postbacks)."""
HISTORY = (
    *("average_price", "cancelled_quantity", "disclosed_quantity", "exchange", "exchange_order_id"),
    *("exchange_timestamp", "filled_quantity", "instrument_token", "order_id", "order_timestamp"),
    *("order_type", "parent_order_id", "pending_quantity", "placed_by", "price", "product", "quantity"),
    *("status", "status_message", "tag", "tradingsymbol", "transaction_type", "trigger_price", "validity"),
    *("variety", "modified"),
)
"""The keys of a row of an order's history."""
NOT_IN_UPDATES = ("account_id", "modified", "validity_ttl")
Row = dict[str, Any]


def order_row(order: Order) -> Row:
    """A row of the order book."""
    instrument = order.listed.instrument
    row: Row = {
        "account_id": USER_ID,
        "placed_by": order.placed_by,
        "order_id": order.order_id,
        "exchange_order_id": order.exchange_order_id,
        "parent_order_id": order.parent_order_id,
        "status": str(order.status),
        "status_message": order.status_message,
        "status_message_raw": order.status_message_raw,
        "order_timestamp": stamp(order.order_ns),
        "exchange_update_timestamp": _when(order.exchange_update_ns),
        "exchange_timestamp": _when(order.exchange_ns),
        "variety": order.variety,
        "modified": order.modified,
        "exchange": instrument.exchange,
        "tradingsymbol": instrument.tradingsymbol,
        "instrument_token": order.listed.token,
        "order_type": order.order_type.value,
        "transaction_type": order.transaction_type.value,
        "validity": order.validity.value,
        "validity_ttl": order.validity_ttl,
        "product": order.product,
        "quantity": order.quantity,
        "disclosed_quantity": order.disclosed_quantity,
        "price": number(order.price),
        "trigger_price": number(order.trigger_price),
        "average_price": number(to_average(order.average_price)),
        "filled_quantity": order.filled_quantity,
        "pending_quantity": order.pending_quantity,
        "cancelled_quantity": order.cancelled_quantity,
        "market_protection": 0,
        "meta": dict(order.meta),
        "tag": order.tag,
        "guid": None,
    }
    if order.tags:
        row["tags"] = list(order.tags)
    return row


def history_row(row: Row) -> Row:
    """The part of an order's row that its history shows."""
    return {key: row[key] for key in HISTORY}


def update_row(order: Order) -> Row:
    """What Kite sends over the WebSocket; the checksum is for HTTP postbacks and blank here."""
    row = order_row(order)
    for key in NOT_IN_UPDATES:
        del row[key]
    changed = order.modified or order.filled_quantity > 0
    if changed and order.status in STANDING | SETTLED:
        row["status"] = UPDATE
    return {
        "user_id": USER_ID,
        "unfilled_quantity": order.quantity - order.filled_quantity,
        "app_id": APP_ID,
        "checksum": "",
        **row,
        "guid": f"{APP_ID}X{order.order_id}",
    }


def trade_row(trade: Trade) -> Row:
    return {
        "trade_id": trade.trade_id,
        "order_id": trade.order_id,
        "exchange": trade.listed.instrument.exchange,
        "tradingsymbol": trade.listed.instrument.tradingsymbol,
        "instrument_token": trade.listed.token,
        "product": trade.product,
        "average_price": number(trade.price),
        "quantity": trade.quantity,
        "exchange_order_id": trade.exchange_order_id,
        "transaction_type": trade.transaction_type.value,
        "fill_timestamp": stamp(trade.traded_ns),
        "order_timestamp": f"{to_ist(trade.order_ns):%H:%M:%S}",
        "exchange_timestamp": stamp(trade.traded_ns),
    }


def _when(time_ns: int | None) -> str | None:
    return None if time_ns is None else stamp(time_ns)
