"""Funds, positions, holdings and their authorisation, as the gateway answers them."""

import json
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.faults import Script
from alphapanda.exchange.options import API_KEY, Options
from alphapanda.exchange.rest.gateway import Gateway
from alphapanda.exchange.rest.portfolio import convert
from alphapanda.times import DAY_NS, SECOND_NS

TOKEN = "abcdefghijklmnop"
AUTHORIZATION = {"authorization": f"token {API_KEY}:{TOKEN}", "x-kite-version": "3"}
ITC = "INE154A01025"


@pytest.fixture
def exchange():
    options = Options(access_token=TOKEN, rate_limits=False, needs_authorisation=True)
    return Exchange(options, Script(()), wall=lambda: 0)


@pytest.fixture
def gateway(exchange):
    return Gateway(exchange)


def reply(gateway, method, path, headers=AUTHORIZATION, **parts):
    call = gateway.receive(method, path, headers=headers, **parts)
    return gateway.answer(call, gateway.meet(call))


def ask(gateway, method, path, **parts):
    """Status, and the data or the message."""
    answer = reply(gateway, method, path, **parts)
    body = json.loads(answer.body)
    return answer.status, body["data"] if body["status"] == "success" else body["message"]


def sale(quantity):
    words = {
        "exchange": "NSE", "tradingsymbol": "ITC", "transaction_type": "SELL", "quantity": quantity,
        "product": "CNC", "order_type": "LIMIT", "price": 300,
    }  # fmt: skip
    return [(name, str(word)) for name, word in words.items()]


def test_shares_are_sold_once_the_page_of_the_request_was_opened(gateway):
    status, message = ask(gateway, "POST", "/orders/regular", form=sale(10))
    assert (status, message) == (428, "10 quantity needs authorisation at depository.")
    form = [("isin", ITC), ("quantity", "10.0"), ("isin", "INE081A01020"), ("quantity", "5")]
    status, data = ask(gateway, "POST", "/portfolio/holdings/authorise", form=form)
    assert status == 200
    page = f"/connect/portfolio/authorise/holdings/{API_KEY}/{data['request_id']}"
    assert ask(gateway, "POST", "/orders/regular", form=sale(10))[0] == 428
    opened = reply(gateway, "GET", page, headers={})
    assert (opened.status, opened.headers["Location"]) == (302, f"{page}/finish?status=success")
    assert reply(gateway, "GET", urlsplit(opened.headers["Location"]).path, headers={}).status == 200
    _, rows = ask(gateway, "GET", "/portfolio/holdings")
    assert [(row["tradingsymbol"], row["authorised_quantity"]) for row in rows] == [
        ("ITC", 10),
        ("TATASTEEL", 5),
    ]
    assert ask(gateway, "POST", "/orders/regular", form=sale(11))[0] == 428
    assert ask(gateway, "POST", "/orders/regular", form=sale(10))[0] == 200


def test_the_page_of_no_request_is_not_found(gateway):
    for page in (f"{API_KEY}/{1:032d}", f"wrong/{1:032d}"):
        assert reply(gateway, "GET", f"/connect/portfolio/authorise/holdings/{page}").status == 404


def test_holdings_are_told_in_short_and_summed_up(gateway):
    _, rows = ask(gateway, "GET", "/portfolio/holdings")
    _, short = ask(gateway, "GET", "/portfolio/holdings/compact")
    names = ("exchange", "tradingsymbol", "instrument_token", "t1_quantity", "quantity")
    assert short == [{name: row[name] for name in names} for row in rows]
    _, summary = ask(gateway, "GET", "/portfolio/holdings/summary")
    assert summary["current_value"] == pytest.approx(
        sum(row["last_price"] * (row["quantity"] + row["t1_quantity"]) for row in rows)
    )
    assert set(summary) == {
        *("total_pnl", "total_pnl_percent", "today_pnl", "today_pnl_percent"),
        *("invested_amount", "current_value"),
    }


def test_funds_are_told_together_or_by_segment(gateway):
    _, both = ask(gateway, "GET", "/user/margins")
    for segment in ("equity", "commodity"):
        assert ask(gateway, "GET", f"/user/margins/{segment}") == (200, both[segment])
    status, message = ask(gateway, "GET", "/user/margins/currency")
    assert (status, "segment" in message) == (400, True)


def test_what_was_carried_and_is_made_intraday_is_squared_off_though_nobody_has_ordered_it_today():
    exchange = Exchange(Options(access_token=TOKEN), Script(()), wall=lambda: 0)
    gateway = Gateway(exchange)
    future = next(each for each in exchange.market.listing.all() if each.segment == "NFO-FUT")
    words = {
        "exchange": "NFO",
        "tradingsymbol": future.instrument.tradingsymbol,
        "transaction_type": "BUY",
        "quantity": str(future.lot),
    }
    bought = words | {"product": "NRML", "order_type": "MARKET", "market_protection": "-1"}
    exchange.desk.place("regular", bought, exchange.clock.now_ns)
    exchange.advance(exchange.clock.now_ns + DAY_NS)
    asked = {"position_type": "overnight", "old_product": "NRML", "new_product": "MIS"}
    call = gateway.receive("PUT", "/portfolio/positions", form=list((words | asked).items()))
    assert convert(exchange, replace(call, now_ns=exchange.clock.now_ns)) is True
    assert [product for _, product, _ in exchange.account.open_positions()] == ["MIS"]
    at_ns = exchange.market.hours.square_off_ns(future, exchange.clock.now_ns)
    exchange.advance(at_ns + 60 * SECOND_NS)
    assert exchange.account.open_positions() == []


def test_a_days_trades_come_back_as_positions_and_funds(exchange, gateway):
    """Bought and sold through the desk: the row is the sum of the trades, the funds are less the results."""
    words = dict(sale(3)) | {"transaction_type": "BUY", "product": "MIS", "price": "310"}
    for side, price in (("BUY", "320"), ("SELL", "290")):
        words |= {"transaction_type": side, "price": price}
        status, _ = ask(gateway, "POST", "/orders/regular", form=list(words.items()))
        assert status == 200
        for _ in range(50):
            exchange.advance(exchange.clock.now_ns + 100_000_000)
    _, trades = ask(gateway, "GET", "/trades")
    value = sum(
        (1 if row["transaction_type"] == "SELL" else -1) * row["quantity"] * row["average_price"]
        for row in trades
    )
    _, positions = ask(gateway, "GET", "/portfolio/positions")
    (row,) = positions["net"]
    assert (row["buy_quantity"], row["sell_quantity"], row["quantity"]) == (3, 3, 0)
    assert row["pnl"] == row["value"] == pytest.approx(value)
    _, equity = ask(gateway, "GET", "/user/margins/equity")
    assert equity["net"] == pytest.approx(1_000_000 + value)
    assert equity["utilised"]["m2m_realised"] == pytest.approx(value)
