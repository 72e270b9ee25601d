import msgspec
import pytest

from alphapanda.exchange.calls import Call, Effects, Refusal
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.faults import Script
from alphapanda.exchange.options import Options
from alphapanda.exchange.rest.orders import ROUTES
from alphapanda.times import SECOND_NS

HANDLERS = {route.kind: route for route in ROUTES}
FIELDS = {
    "variety": "regular",
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "quantity": "1",
    "product": "CNC",
    "order_type": "LIMIT",
    "validity": "DAY",
}


@pytest.fixture
def exchange():
    return Exchange(Options(), Script(()), wall=lambda: 0)


def ask(exchange, kind, *, form=None, query=(), effects=None, **path):
    call = Call(
        method=HANDLERS[kind].method,
        url=HANDLERS[kind].template,
        kind=kind,
        path=path,
        form=tuple((form or {}).items()),
        query=query,
        now_ns=exchange.clock.now_ns,
        effects=effects or Effects(),
    )
    data = HANDLERS[kind].handler(exchange, call)
    exchange.advance(exchange.clock.now_ns + SECOND_NS)
    return msgspec.json.decode(msgspec.json.encode(data))


def place(exchange, part=0.95, **fields):
    infy = exchange.market.listing.by_key("NSE:INFY")
    last = exchange.market.last_price(infy.token, exchange.clock.now_ns)
    price = round(float(last) * part, 0)
    form = FIELDS | {"price": str(price)} | fields
    return ask(exchange, "order.place", form=form, variety="regular")["order_id"]


def test_an_order_is_placed_changed_and_cancelled_by_its_path_with_the_same_in_the_form(exchange):
    order_id = place(exchange)
    form = {"variety": "regular", "order_id": order_id, "quantity": "2"}
    path = {"variety": "regular", "order_id": order_id}
    assert ask(exchange, "order.modify", form=form, **path) == {"order_id": order_id}
    assert ask(exchange, "orders")[0]["quantity"] == 2
    query = (("parent_order_id", ""),)
    assert ask(exchange, "order.cancel", query=query, **path) == {"order_id": order_id}
    assert ask(exchange, "orders")[0]["status"] == "CANCELLED"
    assert ask(exchange, "order.history", order_id=order_id)[-1]["status"] == "CANCELLED"


def test_trades_are_all_or_those_of_one_order(exchange):
    first, second = place(exchange, 1.01), place(exchange, 1.01)
    assert {row["order_id"] for row in ask(exchange, "trades")} == {first, second}
    assert {row["order_id"] for row in ask(exchange, "order.trades", order_id=second)} == {second}
    with pytest.raises(Refusal, match="Couldn't find"):
        ask(exchange, "order.trades", order_id="17")


def test_a_fault_shows_the_book_of_a_while_ago(exchange):
    first = place(exchange)
    exchange.advance(exchange.clock.now_ns + 10 * SECOND_NS)
    place(exchange)
    stale = ask(exchange, "orders", effects=Effects(stale_s=5))
    assert [row["order_id"] for row in stale] == [first]
    assert len(ask(exchange, "orders")) == 2


def test_a_fault_shows_the_trades_of_a_while_ago(exchange):
    first = place(exchange, 1.01)
    exchange.advance(exchange.clock.now_ns + 10 * SECOND_NS)
    place(exchange, 1.01)
    stale = ask(exchange, "trades", effects=Effects(stale_s=5))
    assert [row["order_id"] for row in stale] == [first]
    assert len(ask(exchange, "trades")) == 2


def test_what_changes_orders_is_counted_as_such():
    assert {route.kind for route in ROUTES if route.bucket == "order"} == {
        *("order.place", "order.modify"),
        "order.cancel",
    }
    assert all(route.needs_token for route in ROUTES)
