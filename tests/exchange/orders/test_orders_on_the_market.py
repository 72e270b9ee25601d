"""Orders on the exchange's own market, whose books move by themselves."""

from collections import Counter

import msgspec
import pytest

from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.faults import Script
from alphapanda.exchange.options import Options
from alphapanda.times import SECOND_NS


def opened(seed=1, **options):
    return Exchange(Options(seed=seed, **options), Script(()), wall=lambda: 0)


def place(exchange, listed, side="BUY", **fields):
    instrument = listed.instrument
    shares = listed.segment in ("NSE", "BSE")
    form = {
        "exchange": instrument.exchange,
        "tradingsymbol": instrument.tradingsymbol,
        "transaction_type": side,
        "order_type": "LIMIT" if "price" in fields else "MARKET",
        "product": "MIS" if shares else "NRML",
        "quantity": 1 if instrument.exchange in ("CDS", "BCD", "MCX", "NCO") else instrument.lot_size,
        "market_protection": -1,
    } | fields
    texts = {name: str(value) for name, value in form.items()}
    return exchange.desk.place("regular", texts, exchange.clock.now_ns)["order_id"]


def wait(exchange, seconds):
    exchange.advance(exchange.clock.now_ns + int(seconds * SECOND_NS))


def row(exchange, order_id):
    return next(r for r in exchange.desk.book(exchange.clock.now_ns) if r["order_id"] == order_id)


def one_of_each_segment(exchange):
    segments = {}
    for listed in exchange.market.listing.all():
        if listed.tradable:
            segments.setdefault(listed.segment, listed)
    return segments


def test_a_protected_market_order_trades_in_every_segment():
    exchange = opened(cash=1_000_000_000)
    for segment, listed in one_of_each_segment(exchange).items():
        order_id = place(exchange, listed)
        wait(exchange, 30)
        found = row(exchange, order_id)
        assert found["status"] == "COMPLETE", (segment, listed.key, found)


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_an_order_at_the_front_of_its_side_trades_in_time(side):
    exchange = opened()
    infy = exchange.market.listing.by_key("NSE:INFY")
    quote = exchange.market.quote(infy.token, exchange.clock.now_ns)
    best = (quote.bids if side == "BUY" else quote.asks)[0]
    order_id = place(exchange, infy, side, price=quote.money(best[1]), quantity=20)
    wait(exchange, 1)
    assert row(exchange, order_id)["status"] == "OPEN"
    wait(exchange, 1800)
    found = row(exchange, order_id)
    assert found["filled_quantity"] > 0
    limit, paid = found["price"], found["average_price"]
    assert paid <= limit if side == "BUY" else paid >= limit


def lived(seed):
    """A quarter of an hour of orders, as the exchange wrote it down."""
    exchange = opened(seed)
    infy = exchange.market.listing.by_key("NSE:INFY")
    for number in range(15):
        order_id = place(exchange, infy, "SELL" if number % 3 else "BUY", quantity=10 * (number + 1))
        wait(exchange, 60)
        if row(exchange, order_id)["status"] == "OPEN":
            exchange.desk.cancel("regular", order_id, exchange.clock.now_ns)
    wait(exchange, 1)
    return exchange


def test_the_same_orders_at_the_same_times_have_the_same_fate():
    first, second = (b"".join(lived(5).history.lines()) for _ in range(2))
    assert first == second
    assert first != b"".join(lived(6).history.lines())


def test_positions_are_the_sum_of_the_trades():
    exchange = lived(5)
    lines = [msgspec.json.decode(line) for line in exchange.history.lines(kinds=frozenset({"trade"}))]
    signed = Counter()
    for line in lines:
        sign = 1 if line["transaction_type"] == "BUY" else -1
        signed[line["tradingsymbol"]] += sign * line["quantity"]
    held = {
        listed.instrument.tradingsymbol: quantity for listed, _, quantity in exchange.account.open_positions()
    }
    assert held == {symbol: quantity for symbol, quantity in signed.items() if quantity}
    assert len(lines) >= 15
