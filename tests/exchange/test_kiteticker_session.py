"""The official KiteTicker, as it is, against the exchange."""

from contextlib import ExitStack
from datetime import datetime

import pytest
from kite_shapes import published, unlike
from kite_ticker import ticking
from kite_trader import INDEX, KEY, SHARE
from running import eventually
from websockets.sync.client import connect

RENAMED = {
    "last_quantity": "last_traded_quantity",
    "average_price": "average_traded_price",
    "volume": "volume_traded",
    "buy_quantity": "total_buy_quantity",
    "sell_quantity": "total_sell_quantity",
    "timestamp": "exchange_timestamp",
}
"""Kite's name of a figure -> what the client calls it."""
KINDS = ("a share", "a future", "a call", "a currency's future", "a commodity's future", "an index")


@pytest.fixture(scope="module")
def keys(trader):
    """One instrument of each kind that ticks, by key."""
    found = (SHARE, trader.first("NFO", "FUT"), trader.first("NFO", "CE"), trader.first("CDS", "FUT"))
    return dict(zip(KINDS, (*found, trader.first("MCX", "FUT"), INDEX), strict=True))


@pytest.fixture(scope="module")
def tokens(trader, keys):
    return {kind: trader.listed(key)["instrument_token"] for kind, key in keys.items()}


@pytest.fixture(scope="module")
def ticker(trader, tokens, tmp_path_factory):
    """Connected, with one instrument of each kind subscribed and in no mode but the one that Kite gives."""
    folder = tmp_path_factory.mktemp("ticker")
    with ticking(folder, trader.url, KEY, trader.kite.access_token) as one:
        eventually(lambda: one.of("open"), process=one.process)
        one.say("subscribe", list(tokens.values()))
        yield one


def latest(ticker, token, mode, after=0):
    """The newest tick of an instrument in this mode, once there is one."""

    def found():
        ticks = [tick for tick in ticker.ticks(after) if tick["instrument_token"] == token]
        return ticks[-1] if ticks and ticks[-1]["mode"] == mode else None

    return eventually(found, process=ticker.process)


def count(ticker):
    return len(ticker.lines)


def snapshot(ticker, token, mode):
    """The tick that a change to this mode brings at once; whatever was sent before it has been read too."""
    seen = count(ticker)
    for each in ("ltp" if mode != "ltp" else "quote", mode):
        ticker.say("set_mode", each, [token])
    return latest(ticker, token, mode, seen)


def by_the_wires_names(tick):
    """A tick with the names of Kite's payloads."""
    back = {ours: theirs for theirs, ours in RENAMED.items()}
    return {back.get(name, name): value for name, value in tick.items()}


def moment(text):
    return datetime.fromisoformat(text).replace(tzinfo=None)


def test_a_connection_is_made_without_a_subprotocol(ticker):
    assert [line["protocol"] for line in ticker.of("connect")][:1] == [None]


@pytest.mark.parametrize("kind", KINDS)
def test_who_subscribes_gets_a_snapshot_in_quote_mode(trader, ticker, tokens, kind):
    tick = latest(ticker, tokens[kind], "quote")
    assert tick["tradable"] is (kind != "an index")
    if kind == "an index":
        assert set(tick) == {"tradable", "mode", "instrument_token", "last_price", "ohlc", "change"}
    else:
        assert unlike(by_the_wires_names(tick), [published("ticker_quote")]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_prices_alone_in_ltp_mode(trader, ticker, tokens, keys, kind):
    tick = snapshot(ticker, tokens[kind], "ltp")
    assert set(tick) == {"tradable", "mode", "instrument_token", "last_price"}
    assert tick["last_price"] == trader.kite.ltp(keys[kind])[keys[kind]]["last_price"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_tick_is_the_quote_that_rest_gives(trader, ticker, tokens, keys, kind):
    trader.step(5)
    tick = by_the_wires_names(snapshot(ticker, tokens[kind], "full"))
    quote = trader.kite.quote(keys[kind])[keys[kind]]
    if kind == "an index":
        assert tick["ohlc"] == quote["ohlc"]
        assert tick["last_price"] == quote["last_price"]
        assert moment(tick["timestamp"]) == quote["timestamp"]
        return
    assert unlike(tick | {"change": 1}, [published("ticker_full")], null=("last_trade_time",)) == [
        f"data.{name} is a moment ({tick[name]!r}), not a text" for name in ("last_trade_time", "timestamp")
    ]
    for name in set(tick) & set(quote) - {"timestamp", "last_trade_time"}:
        assert tick[name] == quote[name], name
    assert moment(tick["timestamp"]) == quote["timestamp"]
    assert moment(tick["last_trade_time"]) == quote["last_trade_time"]
    assert tick["change"] == pytest.approx(
        (tick["last_price"] - tick["ohlc"]["close"]) * 100 / tick["ohlc"]["close"]
    )


def test_each_second_brings_ticks_of_what_is_subscribed_and_of_nothing_else(trader, ticker, tokens):
    snapshot(ticker, tokens["a share"], "full")
    seen = count(ticker)

    def watched():
        """Another second has passed: what ticked so far, and at how many different seconds."""
        trader.step(1)
        ticks = ticker.ticks(seen)
        seconds = {tick["exchange_timestamp"] for tick in ticks if "exchange_timestamp" in tick}
        assert {tick["instrument_token"] for tick in ticks} <= set(tokens.values())
        return len({tick["instrument_token"] for tick in ticks}) == len(tokens) and len(seconds) >= 5

    eventually(watched, process=ticker.process)


def test_who_unsubscribes_gets_no_more_ticks(trader, ticker, tokens):
    ticker.say("unsubscribe", [tokens["a future"]])
    snapshot(ticker, tokens["a share"], "full")  # so it has been heard
    seen = count(ticker)
    for _ in range(5):
        trader.step(1)
    snapshot(ticker, tokens["a share"], "full")
    assert tokens["a future"] not in {tick["instrument_token"] for tick in ticker.ticks(seen)}
    ticker.say("subscribe", [tokens["a future"]])


def updates(ticker, order_id, after=0):
    return [line["data"] for line in ticker.of("order", after) if line["data"]["order_id"] == order_id]


def test_an_order_is_told_of_when_it_changes_and_not_when_it_is_placed(trader, ticker):
    order_id = trader.place(SHARE, order_type="LIMIT", price=trader.price(SHARE, 0.95), tag="watched")
    trader.until(order_id, "OPEN")
    trader.kite.modify_order("regular", order_id, quantity=2)
    trader.step(3)
    trader.kite.cancel_order("regular", order_id)
    trader.until(order_id, "CANCELLED")
    eventually(lambda: "CANCELLED" in [update["status"] for update in updates(ticker, order_id)])
    told = updates(ticker, order_id)
    example = published("postback") | {"tag": "a tag"}
    assert unlike(told, [[example]], more=("account_id", "tags", "validity_ttl", "modified")) == []
    assert {update["checksum"] for update in told} == {""}  # only the postbacks over HTTP carry it
    assert {update["tag"] for update in told} == {"watched"}
    statuses = [update["status"] for update in told]
    assert "PUT ORDER REQ RECEIVED" not in statuses
    assert statuses[-1] == "CANCELLED"
    assert len(statuses) >= 2  # the modification is told of too


def test_a_trade_is_told_of(trader, ticker):
    row = trader.filled(SHARE, quantity=3)
    eventually(lambda: "COMPLETE" in [update["status"] for update in updates(ticker, row["order_id"])])
    told = updates(ticker, row["order_id"])[-1]
    assert (told["filled_quantity"], told["pending_quantity"], told["unfilled_quantity"]) == (3, 0, 0)
    assert told["average_price"] == row["average_price"]


def test_a_client_that_is_cut_off_comes_back_and_subscribes_again(trader, ticker, tokens):
    watched = tokens["a share"], tokens["an index"]
    for token in watched:
        snapshot(ticker, token, "full")
    seen = count(ticker)
    trader.admin("faults", {"fault": [{"do": "ws_reset", "after_s": 1}]})
    trader.step(2)
    eventually(lambda: ticker.of("close", seen), process=ticker.process)
    eventually(lambda: ticker.of("open", seen), process=ticker.process)
    opened = next(
        number for number, line in enumerate(ticker.lines) if number >= seen and line["on"] == "open"
    )
    for token in watched:
        assert latest(ticker, token, "full", opened)["last_price"] > 0


def test_a_connection_too_many_is_refused(trader, ticker):
    """Kite takes three of an application; the ticker has one."""
    url = f"{trader.url.replace('http', 'ws', 1)}/ws?api_key={KEY}&access_token={trader.kite.access_token}"
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(connect(url))
        with pytest.raises(Exception, match="429"), connect(url):
            pass


def test_a_session_that_has_ended_has_no_ticker(trader, ticker, tokens, tmp_path):
    """What is connected hears nothing more; who connects is refused, and the client says with which code."""
    dead = trader.kite.access_token
    snapshot(ticker, tokens["a share"], "full")
    seen = count(ticker)
    trader.kite.invalidate_access_token()
    try:
        with ticking(tmp_path, trader.url, KEY, dead) as one:
            error = eventually(lambda: one.of("error"), process=one.process)[0]
            assert "403" in error["reason"]
            assert one.of("open") == []
        for _ in range(5):
            trader.step(1)
        stepped = count(ticker)
        eventually(lambda: ticker.of("heartbeat", stepped), process=ticker.process)
        assert ticker.ticks(seen) == []
    finally:
        trader.log_in()
