"""What a client sees of each kind of fault that strikes an HTTP call: a function a kind, in `SEEN`."""

import math
import socket
from collections.abc import Callable
from contextlib import contextmanager
from itertools import count
from urllib.parse import urlsplit

import pytest
import requests
from kite_trader import DEAR, KEY, PATIENCE_S, SHARE
from kiteconnect.exceptions import (
    DataException,
    GeneralException,
    InputException,
    NetworkException,
    OrderException,
    PermissionException,
    TokenException,
)
from running import eventually

SEEN: dict[str, Callable] = {}
FOR_EVER_S = 3_600
IMPATIENT_S = 0.5
TAGS = (f"fault{number}" for number in count())
OWN = {
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "order_type": "MARKET",
    "quantity": 3,
    "product": "CNC",
    "market_protection": -1,
}


def sees(do):
    """The function shows this kind of fault: it strikes a trader with it and looks."""

    def kept(function):
        assert do not in SEEN, do
        SEEN[do] = function
        return function

    return kept


def strike(trader, do, on=None, **more):
    """The only fault of the exchange from now on."""
    where = {} if on is None else {"on": on}
    trader.admin("faults", {"clear": True, "fault": [{"do": do, **where, **more}]})


def order(trader, **fields):
    """A limit order far from the market, as a call that was not made yet: its tag, and how to make it."""
    tag = next(TAGS)
    price = trader.price(DEAR, 0.95)
    words = {"order_type": "LIMIT", "price": price, "tag": tag} | fields
    return tag, lambda: trader.place(DEAR, **words)


def placed(trader, tag):
    """How many orders with this tag the book shows."""
    return sum(row["tag"] == tag for row in trader.kite.orders())


def raised(expected, call, *words, code=None, **fields):
    with pytest.raises(expected) as caught:
        call(*words, **fields)
    assert type(caught.value) is expected or code is None
    if code is not None:
        assert caught.value.code == code
    return caught.value


def raw(trader, path="/orders"):
    """All bytes that a GET of this path is answered with, until the connection ends."""
    place = urlsplit(trader.url)
    with socket.create_connection((place.hostname, place.port), timeout=PATIENCE_S) as tcp:
        token = f"Authorization: token {KEY}:{trader.kite.access_token}"
        tcp.sendall(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\n{token}\r\n\r\n".encode())
        answer = b""
        while piece := tcp.recv(65_536):
            answer += piece
    return answer


@contextmanager
def impatient(trader):
    """The client gives up soon."""
    trader.kite.timeout = IMPATIENT_S
    try:
        yield
    finally:
        trader.kite.timeout = PATIENCE_S


@sees("delay_before")
def delayed_before_it_is_taken(trader):
    tag, place = order(trader)
    strike(trader, "delay_before", "order.place", seconds=FOR_EVER_S)
    with impatient(trader):
        raised(requests.Timeout, place)
    assert placed(trader, tag) == 0
    strike(trader, "delay_before", "orders", seconds=0.2)
    trader.kite.orders()
    (fault,) = trader.history("fault")[-1:]
    (reply,) = trader.history("reply", after=fault["seq"])
    assert reply["wall_ns"] - fault["wall_ns"] > 100_000_000


@sees("delay_after")
def delayed_after_it_was_taken(trader):
    tag, place = order(trader)
    strike(trader, "delay_after", "order.place", seconds=FOR_EVER_S)
    with impatient(trader):
        raised(requests.Timeout, place)
    eventually(lambda: placed(trader, tag) == 1)


@sees("drop_before")
def dropped_before_it_is_taken(trader):
    tag, place = order(trader)
    strike(trader, "drop_before", "any", nth=[1, 2])
    assert raw(trader) == b""
    raised(requests.ConnectionError, place)
    assert placed(trader, tag) == 0


@sees("drop_after")
def dropped_after_it_was_taken(trader):
    tag, place = order(trader)
    strike(trader, "drop_after", "any", nth=[1, 2])
    assert raw(trader) == b""
    raised(requests.ConnectionError, place)
    assert placed(trader, tag) == 1


@sees("reset_before")
def reset_before_it_is_taken(trader):
    tag, place = order(trader)
    strike(trader, "reset_before", "any", nth=[1, 2])
    with pytest.raises(ConnectionResetError):
        raw(trader)
    raised(requests.ConnectionError, place)
    assert placed(trader, tag) == 0


@sees("reset_after")
def reset_after_it_was_taken(trader):
    tag, place = order(trader)
    strike(trader, "reset_after", "any", nth=[1, 2])
    with pytest.raises(ConnectionResetError):
        raw(trader)
    raised(requests.ConnectionError, place)
    assert placed(trader, tag) == 1


def refuses(do, expected, expected_code, **parameters):
    """An error envelope at an order, which is not taken."""

    def refused(trader):
        tag, place = order(trader)
        strike(trader, do, "order", **parameters)
        error = raised(expected, place, code=expected_code)
        assert trader.reply.headers["content-type"].startswith("application/json")
        assert trader.reply.json()["message"] == str(error)
        strike(trader, do, "orders", times=1, **parameters)
        raised(expected, trader.kite.orders, code=expected_code)
        assert placed(trader, tag) == 0

    sees(do)(refused)


refuses(
    "status", GeneralException, 418, code=418, error_type="TeapotException", message="I am none of Kite's."
)
refuses("too_many", NetworkException, 429)
refuses("token_refused", TokenException, 403)
refuses("ip_refused", PermissionException, 403)


def gives_up(do, expected, code):
    """A gateway's envelope, whatever became of the order."""

    def gave_up(trader):
        for accepted in (False, True):
            tag, place = order(trader)
            strike(trader, do, "order.place", accepted=accepted)
            raised(expected, place, code=code)
            assert placed(trader, tag) == accepted

    sees(do)(gave_up)


gives_up("oms_down", DataException, 502)
gives_up("down", NetworkException, 503)
gives_up("timeout", NetworkException, 504)
gives_up("ambiguous", OrderException, 400)


def spoils(do, expected, code=None, status=200, **parameters):
    """An answer that the official client chokes on; the order is there all the same."""

    def spoilt(trader):
        tag, place = order(trader)
        strike(trader, do, "order.place", **parameters)
        raised(expected, place, code=code)
        if trader.reply is not None:
            assert trader.reply.status_code == status
        assert placed(trader, tag) == 1
        strike(trader, do, "orders", times=1, **parameters)
        raised(expected, trader.kite.orders, code=code)

    sees(do)(spoilt)


spoils("html", DataException, 502, 502)
spoils("empty", DataException, 502)
spoils("truncated", DataException, 502)
spoils("keyless", KeyError)
spoils("no_content_type", KeyError)
spoils("not_json", DataException, 502)


@sees("cut_body")
def the_body_breaks_off(trader):
    tag, place = order(trader)
    strike(trader, "cut_body", "any", nth=[1, 2])
    head, _, body = raw(trader).partition(b"\r\n\r\n")
    promised = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert 0 < len(body) < promised
    raised(requests.exceptions.ChunkedEncodingError, place)
    assert placed(trader, tag) == 1


@sees("late")
def an_order_registers_late(trader):
    heard = {
        "given": lambda place: place(),
        "lost": lambda place: raised(requests.ConnectionError, place),
        "ambiguous": lambda place: raised(OrderException, place, code=400),
    }
    for reply, hears in heard.items():
        tag, place = order(trader)
        strike(trader, "late", "order.place", seconds=20, reply=reply)
        hears(place)
        assert placed(trader, tag) == 0
        trader.step(19)
        assert placed(trader, tag) == 0
        trader.step(2)
        assert placed(trader, tag) == 1


@sees("fill_before_reply")
def an_order_is_filled_before_its_answer_leaves(trader):
    before = len(trader.history())
    strike(trader, "fill_before_reply", "order.place")
    order_id = trader.place(SHARE)
    assert trader.row(order_id)["status"] == "COMPLETE"
    lines = trader.history("trade", "reply", after=before)
    (trade,) = (line["seq"] for line in lines if line["kind"] == "trade" and line["order_id"] == order_id)
    (reply,) = (line["seq"] for line in lines if line.get("call") == "order.place")
    assert trade < reply


@sees("stuck")
def an_order_stays_in_a_pending_state(trader):
    strike(trader, "stuck", "order", seconds=60)
    order_id = order(trader)[1]()
    trader.step(59)
    assert trader.row(order_id)["status"] == "OPEN PENDING"
    trader.until(order_id, "OPEN")
    trader.kite.modify_order("regular", order_id, quantity=2)
    trader.step(59)
    assert trader.row(order_id)["status"] == "MODIFY PENDING"
    trader.until(order_id, "OPEN")
    strike(trader, "stuck", "order.cancel")
    trader.kite.cancel_order("regular", order_id)
    trader.step(FOR_EVER_S)
    assert trader.row(order_id)["status"] == "CANCEL PENDING"


@sees("reject")
def an_order_and_a_change_are_rejected_after_they_were_taken(trader):
    strike(trader, "reject", "order.place", message="RMS:Blocked for nobody's sake", nth=1)
    row = trader.until(trader.place(SHARE), "REJECTED", "COMPLETE")
    assert (row["status"], row["status_message"]) == ("REJECTED", "RMS:Blocked for nobody's sake")
    order_id = order(trader)[1]()
    trader.until(order_id, "OPEN")
    strike(trader, "reject", "order.modify", message="16346 : Order cannot be modified")
    trader.kite.modify_order("regular", order_id, quantity=2)
    row = trader.until(order_id, "OPEN")
    assert (row["quantity"], row["status_message"]) == (1, "16346 : Order cannot be modified")
    assert "NOT MODIFIED" in {row["status"] for row in trader.kite.order_history(order_id)}


@sees("partial_fills")
def an_order_trades_in_pieces(trader):
    strike(trader, "partial_fills", "order.place", pieces=4)
    row = trader.filled(SHARE, quantity=10)
    quantities = [trade["quantity"] for trade in trader.kite.order_trades(row["order_id"])]
    assert (sum(quantities), max(quantities)) == (10, 3)
    assert len(quantities) >= 4
    order_id = trader.place(SHARE, quantity=1000)
    while not (row := trader.row(order_id))["filled_quantity"]:
        trader.step()
    assert 0 < row["filled_quantity"] < 1000
    trader.kite.cancel_order("regular", order_id)
    row = trader.until(order_id, "CANCELLED")
    assert row["filled_quantity"] + row["cancelled_quantity"] == 1000


@sees("fill_on_cancel")
def an_order_trades_while_its_cancel_is_on_the_way(trader):
    order_id = order(trader)[1]()
    price = trader.until(order_id, "OPEN")["price"]
    strike(trader, "fill_on_cancel", "order.cancel")
    assert trader.kite.cancel_order("regular", order_id) == order_id
    row = trader.until(order_id, "COMPLETE", "CANCELLED")
    assert (row["status"], row["filled_quantity"], row["average_price"]) == ("COMPLETE", 1, price)
    raised(InputException, trader.kite.cancel_order, "regular", order_id)


@sees("partial_book")
def a_book_shows_a_part_of_its_rows(trader):
    for _ in range(2):
        trader.filled(SHARE)
    whole = {call: getattr(trader.kite, call)() for call in ("orders", "trades")}
    net = trader.kite.positions()["net"]
    strike(trader, "partial_book", "book", part=0.5)
    for call, rows in whole.items():
        assert len(rows) > 1
        assert getattr(trader.kite, call)() == rows[: len(rows) // 2]
    assert len(trader.kite.positions()["net"]) == len(net) // 2


@sees("stale_book")
def a_book_is_as_it_was(trader):
    row = trader.filled(SHARE)
    order_id = row["order_id"]
    trader.step(60)
    for on, call in (("orders", trader.kite.orders), ("trades", trader.kite.trades)):
        strike(trader, "stale_book", on, seconds=10)
        assert order_id in {row["order_id"] for row in call()}
        strike(trader, "stale_book", on, seconds=FOR_EVER_S)
        assert order_id not in {row["order_id"] for row in call()}


@sees("disagree")
def positions_are_not_the_sum_of_the_trades(trader):
    trader.filled(SHARE)
    true = {row["tradingsymbol"]: row["quantity"] for row in trader.kite.positions()["net"]}
    strike(trader, "disagree", "positions")
    wrong = {row["tradingsymbol"]: row["quantity"] for row in trader.kite.positions()["net"]}
    assert wrong != true
    trader.kite.trades()


@sees("dump")
def the_instrument_list_is_not_todays(trader):
    true, futures = trader.kite.instruments("NSE"), trader.kite.instruments("NFO")
    strike(trader, "dump", "instruments", sort="missing")
    raised(GeneralException, trader.kite.instruments, "NSE", code=404)
    strike(trader, "dump", "instruments", sort="yesterday")
    assert trader.kite.instruments("NFO") != futures
    strike(trader, "dump", "instruments", sort="truncated")
    assert 0 < len(trader.kite.instruments("NSE")) < len(true)
    strike(trader, "dump", "instruments", sort="reused")
    reused = {row["instrument_token"]: row["tradingsymbol"] for row in trader.kite.instruments("NSE")}
    right = {row["instrument_token"]: row["tradingsymbol"] for row in true}
    assert any(reused[token] != symbol for token, symbol in right.items() if token in reused)


@sees("nan")
def a_quote_is_no_number(trader):
    strike(trader, "nan", "ltp")
    price = trader.kite.ltp(SHARE)[SHARE]["last_price"]
    assert math.isnan(price)


@sees("manual_order")
def the_owner_trades_by_hand(trader):
    before = {row["order_id"] for row in trader.kite.orders()}
    strike(trader, "manual_order", after_s=2, order=OWN)
    trader.step(1)
    assert {row["order_id"] for row in trader.kite.orders()} == before
    trader.step(5)
    (row,) = (row for row in trader.kite.orders() if row["order_id"] not in before)
    assert (row["tradingsymbol"], row["filled_quantity"], row["status"]) == ("INFY", 3, "COMPLETE")
    assert {line["by"] for line in trader.history("order") if line["order_id"] == row["order_id"]} == {
        "owner"
    }


@sees("square_off")
def the_broker_closes_intraday_positions(trader):
    trader.filled(DEAR, quantity=4, product="MIS")

    def held():
        rows = trader.kite.positions()["net"]
        return sum(row["quantity"] for row in rows if row["product"] == "MIS")

    assert held() == 4
    strike(trader, "square_off", after_s=1)
    trader.step(10)
    assert held() == 0
    assert any(line["by"] == "rms" for line in trader.history("order"))


@sees("token_death")
def the_session_dies(trader):
    strike(trader, "token_death", "positions", nth=2)
    trader.kite.positions()
    raised(TokenException, trader.kite.positions, code=403)
    raised(TokenException, trader.kite.orders, code=403)
    assert trader.history("session")[-1]["do"] == "death"
    trader.log_in()
    trader.kite.orders()
