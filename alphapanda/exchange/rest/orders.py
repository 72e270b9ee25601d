"""The order calls: place, change, cancel, the order book, an order's history, and trades.

A fault may show the order book or the trades of a while ago.
"""

from typing import Any

from alphapanda.exchange.calls import Call
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.rest.route import Route
from alphapanda.times import SECOND_NS

Rows = list[dict[str, Any]]


def place(exchange: Exchange, call: Call) -> dict[str, Any]:
    return exchange.desk.place(call.path["variety"], call.fields, call.now_ns, effects=call.effects)


def modify(exchange: Exchange, call: Call) -> dict[str, str]:
    variety, order_id = call.path["variety"], call.path["order_id"]
    return exchange.desk.modify(variety, order_id, call.fields, call.now_ns, call.effects)


def cancel(exchange: Exchange, call: Call) -> dict[str, str]:
    variety, order_id = call.path["variety"], call.path["order_id"]
    return exchange.desk.cancel(variety, order_id, call.now_ns, call.effects)


def orders(exchange: Exchange, call: Call) -> Rows:
    return exchange.desk.book(_as_of(call))


def order_history(exchange: Exchange, call: Call) -> Rows:
    return exchange.desk.order_history(call.path["order_id"], call.now_ns)


def trades(exchange: Exchange, call: Call) -> Rows:
    return exchange.desk.trades(_as_of(call))


def order_trades(exchange: Exchange, call: Call) -> Rows:
    return exchange.desk.trades(call.now_ns, call.path["order_id"])


def _as_of(call: Call) -> int:
    """Now, or under a fault a while ago."""
    return call.now_ns - int(call.effects.stale_s * SECOND_NS)


ROUTES = (
    Route("POST", "/orders/{variety}", "order.place", place, bucket="order"),
    Route("PUT", "/orders/{variety}/{order_id}", "order.modify", modify, bucket="order"),
    Route("DELETE", "/orders/{variety}/{order_id}", "order.cancel", cancel, bucket="order"),
    Route("GET", "/orders", "orders", orders),
    Route("GET", "/orders/{order_id}", "order.history", order_history),
    Route("GET", "/orders/{order_id}/trades", "order.trades", order_trades),
    Route("GET", "/trades", "trades", trades),
)
