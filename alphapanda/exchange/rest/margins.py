"""Funds, and what orders would claim and cost."""

from typing import Any

from alphapanda.exchange.calls import Call, invalid
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.rest.route import Route


def margins(exchange: Exchange, call: Call) -> Any:
    return exchange.account.margins(call.now_ns)


def margins_of_segment(exchange: Exchange, call: Call) -> Any:
    segments = exchange.account.margins(call.now_ns)
    if call.path["segment"] not in segments:
        raise invalid("Invalid `segment`. It should be equity or commodity.")
    return segments[call.path["segment"]]


def order_margins(exchange: Exchange, call: Call) -> Any:
    return exchange.account.estimates.order_margins(call.body, call.now_ns, compact=_compact(call))


def basket_margins(exchange: Exchange, call: Call) -> Any:
    """The official client sends `consider_positions=True`."""
    held = call.fields.get("consider_positions", "true").lower() in ("true", "1")
    return exchange.account.estimates.basket_margins(
        call.body, call.now_ns, held=held, compact=_compact(call)
    )


def charges(exchange: Exchange, call: Call) -> Any:
    return exchange.account.estimates.charges(call.body, call.now_ns)


def _compact(call: Call) -> bool:
    return call.fields.get("mode") == "compact"


ROUTES: tuple[Route, ...] = (
    Route("GET", "/user/margins", "margins", margins),
    Route("GET", "/user/margins/{segment}", "margins", margins_of_segment),
    Route("POST", "/margins/orders", "order.margins", order_margins),
    Route("POST", "/margins/basket", "basket.margins", basket_margins),
    Route("POST", "/charges/orders", "charges", charges),
)
