"""GTT: triggers that place an order when a price is reached."""

from typing import Any

from alphapanda.exchange.calls import Call
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.rest.route import Route


def place(exchange: Exchange, call: Call) -> Any:
    return {"trigger_id": exchange.gtt.place(call.fields, call.now_ns)}


def modify(exchange: Exchange, call: Call) -> Any:
    return {"trigger_id": exchange.gtt.modify(call.path["trigger_id"], call.fields, call.now_ns)}


def delete(exchange: Exchange, call: Call) -> Any:
    return {"trigger_id": exchange.gtt.delete(call.path["trigger_id"], call.now_ns)}


def show(exchange: Exchange, call: Call) -> Any:
    return exchange.gtt.row(call.path["trigger_id"])


def every(exchange: Exchange, call: Call) -> Any:
    return exchange.gtt.rows(call.now_ns)


_ONE = "/gtt/triggers/{trigger_id}"

ROUTES: tuple[Route, ...] = (
    Route("POST", "/gtt/triggers", "gtt.place", place),
    Route("GET", "/gtt/triggers", "gtt.list", every),
    Route("GET", _ONE, "gtt.get", show),
    Route("PUT", _ONE, "gtt.modify", modify),
    Route("DELETE", _ONE, "gtt.delete", delete),
)
