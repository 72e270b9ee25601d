"""An order request's bytes: what Kite wants, whatever is in the order."""

import h11
import pytest
from builders import BUY, INFY, LIMIT, MARKET, SELL, SL, SL_M, TTL, order
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from order_peers import asked

from alphapanda.errors import Fatal
from alphapanda.events import Money, OrderType
from alphapanda.venues.zerodha.requests import Requests
from alphapanda.venues.zerodha.roots import Roots, roots_at
from alphapanda.venues.zerodha.session import Session

AUTO = Money(-1)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


def requests(token: str = "today", roots: Roots | None = None) -> Requests:
    return Requests(roots or Roots(), Session("key", token))


def placed(an_order, **options):
    return asked(requests().place(an_order, **({"market_protection": AUTO} | options))).fields


def test_a_market_order_is_these_bytes():
    assert requests().place(order(), market_protection=AUTO) == (
        b"POST /orders/regular HTTP/1.1\r\n"
        b"Host: api.kite.trade\r\n"
        b"X-Kite-Version: 3\r\n"
        b"Authorization: token key:today\r\n"
        b"User-Agent: alphapanda\r\n"
        b"Accept: */*\r\n"
        b"Accept-Encoding: identity\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 161\r\n"
        b"\r\n"
        b"variety=regular&exchange=NSE&tradingsymbol=INFY&transaction_type=BUY&quantity=10&product=MIS"
        b"&order_type=MARKET&validity=DAY&tag=test00000001&market_protection=-1"
    )


def test_a_cancel_is_these_bytes():
    assert requests().cancel(order(broker_order_id="2404150000001")) == (
        b"DELETE /orders/regular/2404150000001 HTTP/1.1\r\n"
        b"Host: api.kite.trade\r\n"
        b"X-Kite-Version: 3\r\n"
        b"Authorization: token key:today\r\n"
        b"User-Agent: alphapanda\r\n"
        b"Accept: */*\r\n"
        b"Accept-Encoding: identity\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    ("kind", "protection", "says"),
    [
        (MARKET, "-1", "-1"),
        (SL_M, "2.5", "2.5"),
        (MARKET, "0", "-1"),
        (SL_M, "0.00", "-1"),
        (MARKET, "1E+1", "10"),
    ],
)
def test_no_market_or_stop_market_order_leaves_without_its_protection(kind, protection, says):
    fields = placed(order(order_type=kind, trigger_price=Money(90)), market_protection=Money(protection))
    assert fields["market_protection"] == says


def test_an_order_carries_only_what_its_type_and_validity_know():
    prices = {"price": Money("101.5"), "trigger_price": Money("99.95"), "validity_ttl": 3}
    special = {"price", "trigger_price", "validity_ttl", "market_protection"}
    for kind, validity, carried in (
        (MARKET, None, {"market_protection"}),
        (LIMIT, None, {"price"}),
        (SL, None, {"price", "trigger_price"}),
        (SL_M, None, {"trigger_price", "market_protection"}),
        (LIMIT, TTL, {"price", "validity_ttl"}),
    ):
        fields = placed(order(order_type=kind, **prices, **({"validity": validity} if validity else {})))
        assert fields.keys() & special == carried


@pytest.mark.parametrize(
    ("price", "text"), [("1500", "1500"), ("1.5E+3", "1500"), ("0.0025", "0.0025"), ("2.5E-3", "0.0025")]
)
def test_prices_are_written_without_an_exponent(price, text):
    assert placed(order(order_type=LIMIT, price=Money(price)))["price"] == text


@given(
    price=st.decimals(min_value="0.0025", max_value="10000000", places=4),
    protection=st.decimals(min_value="0.01", max_value="100", places=2),
    quantity=st.integers(1, 10**9),
    kind=st.sampled_from(OrderType),
)
def test_numbers_come_back_as_they_were(price, protection, quantity, kind):
    an_order = order(quantity=quantity, order_type=kind, price=price, trigger_price=price)
    fields = placed(an_order, market_protection=protection)
    assert fields["quantity"] == str(quantity)
    for name, value in (("price", price), ("trigger_price", price), ("market_protection", protection)):
        if name in fields:
            assert Money(fields[name]) == value
            assert "E" not in fields[name].upper()


@given(symbol=TEXTS, tag=TEXTS, product=TEXTS, order_id=TEXTS, other=TEXTS)
def test_no_text_breaks_out_of_its_place(symbol, tag, product, order_id, other):
    """One request each, as an HTTP server reads it, and every text comes back as it was."""
    an_order = order(
        instrument=replace(INFY, tradingsymbol=symbol), tag=tag, product=product, broker_order_id=order_id
    )
    ours = requests()
    for request in (
        ours.place(an_order, market_protection=AUTO, algo_id=other, auction_number=other),
        ours.modify(an_order, parent_order_id=other, quantity=1),
        ours.cancel(an_order, parent_order_id=other),
    ):
        server = h11.Connection(h11.SERVER)
        server.receive_data(request)
        assert isinstance(server.next_event(), h11.Request)
        while not isinstance(event := server.next_event(), h11.EndOfMessage):
            assert isinstance(event, h11.Data)
        assert server.trailing_data == (b"", False)
    fields = asked(ours.place(an_order, market_protection=AUTO, algo_id=other, auction_number=other)).fields
    texts = {
        "tradingsymbol": symbol,
        "tag": tag,
        "product": product,
        "algo_id": other,
        "auction_number": other,
    }
    assert fields | texts == fields
    target = asked(ours.cancel(an_order, parent_order_id=other)).target
    assert target.count("/") == 3
    assert target.count("?") == 1


def test_a_symbol_with_an_ampersand_or_a_space_is_escaped():
    an_order = order(instrument=replace(INFY, tradingsymbol="M&M"))
    assert b"tradingsymbol=M%26M&" in requests().place(an_order, market_protection=AUTO)
    assert placed(order(instrument=replace(INFY, tradingsymbol="NIFTY 50")))["tradingsymbol"] == "NIFTY 50"


def test_a_change_says_only_what_changes():
    an_order = order(broker_order_id="77", order_type=LIMIT, price=Money(100))
    request = asked(requests().modify(an_order, price=Money("101.5")))
    assert request.method == "PUT"
    assert request.target == "/orders/regular/77"
    assert request.fields == {"variety": "regular", "order_id": "77", "price": "101.5"}


@pytest.mark.parametrize(
    ("side", "price", "trigger"), [(BUY, "100.05", "100.05"), (SELL, "100.10", "100.10")]
)
def test_changed_prices_go_to_the_tick_and_never_beyond_what_was_asked(side, price, trigger):
    an_order = order(side, broker_order_id="77", order_type=SL, price=Money(100), trigger_price=Money(100))
    fields = asked(requests().modify(an_order, price=Money("100.07"), trigger_price=Money("100.07"))).fields
    assert (Money(fields["price"]), Money(fields["trigger_price"])) == (Money(price), Money(trigger))


def test_a_price_of_an_instrument_without_a_tick_stays():
    an_order = order(instrument=replace(INFY, tick_size=Money(0)), broker_order_id="77", order_type=LIMIT)
    assert asked(requests().modify(an_order, price=Money("100.07"))).fields["price"] == "100.07"


@pytest.mark.parametrize(
    ("kind", "protection", "says"),
    [
        (MARKET, None, "-1"),
        (SL_M, Money(0), "-1"),
        (MARKET, Money(2), "2"),
        (LIMIT, None, None),
        (None, None, None),
    ],
)
def test_an_order_becomes_a_market_order_with_protection_only(kind, protection, says):
    an_order = order(broker_order_id="77", order_type=LIMIT, price=Money(100))
    fields = asked(requests().modify(an_order, order_type=kind, market_protection=protection)).fields
    assert fields.get("market_protection") == says


def test_what_has_no_number_at_the_broker_cannot_be_changed_there():
    for ask in (requests().modify, requests().cancel):
        with pytest.raises(ValueError, match="O000001 has no number"):
            ask(order())


def test_a_new_token_is_in_the_next_request():
    session = Session("key", "first")
    ours = Requests(Roots(), session)
    for token in ("first", "second"):
        session.renew(token)
        for request in (
            ours.place(order(), market_protection=AUTO),
            ours.modify(order(broker_order_id="77"), quantity=1),
            ours.cancel(order(broker_order_id="77")),
        ):
            assert asked(request).headers["authorization"] == f"token key:{token}"


@pytest.mark.parametrize("token", ["to\r\nX: day", "to\nday", "tødày", "to day"])
def test_a_token_that_no_header_can_carry_is_told_and_not_shown(token):
    with pytest.raises(Fatal, match="alphapanda login") as told:
        requests(token).place(order(), market_protection=AUTO)
    assert "day" not in str(told.value)
    assert "day" not in repr(requests(token))


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "/orders/regular"),
        ("https://user:secret@kite.example.com", "kite.example.com", "/orders/regular"),
        ("http://[::1]:8000", "[::1]:8000", "/orders/regular"),
        ("https://sandbox.kite.trade/oms/", "sandbox.kite.trade", "/oms/orders/regular"),
    ],
)
def test_requests_go_to_the_root_that_is_named(url, host, path):
    request = asked(requests(roots=roots_at(url)).place(order(), market_protection=AUTO))
    assert (request.headers["host"], request.target) == (host, path)
