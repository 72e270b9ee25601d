"""What a client sees of each kind of fault on the ticker and on prices: a function a kind, in `SEEN`."""

import json
from contextlib import contextmanager

import pytest
from faults_seen_on_calls import SEEN, order, raised, sees, strike
from kite_trader import DEAR, KEY, SHARE
from kiteconnect.exceptions import TokenException
from raw_ticker import BINARY, CLOSE, PING, PONG, TEXT, Broken, raw_ticker
from running import eventually
from watching import packets
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from alphapanda.exchange.faults.kinds import MALFORMED

__all__ = ["SEEN"]


def token(trader, key=SHARE):
    return trader.listed(key)["instrument_token"]


@contextmanager
def watching(trader, *keys):
    """A client that is subscribed, in full mode, to these instruments, and has had their snapshots."""
    with raw_ticker(trader.url, trader.kite.access_token) as client:
        for key in keys:
            client.say("subscribe", [token(trader, key)])
            client.ticks()
            client.say("mode", ["full", [token(trader, key)]])
            client.ticks()
        yield client


def again(client, trader, key=SHARE):
    """Leads to one binary message, a snapshot."""
    client.say("unsubscribe", [token(trader, key)])
    client.say("subscribe", [token(trader, key)])


def price(packet, at=4):
    return int.from_bytes(packet[at : at + 4], "big")


def next_packet(client, trader):
    """The instrument's packet in full mode, at its next tick."""
    for _ in range(100):
        trader.step(1)
        for opcode, payload in client.so_far():
            if opcode == BINARY:
                return packets(payload)[-1]
    raise AssertionError("no tick in 100 seconds")


def updates(frames, order_id):
    """The statuses in the updates of an order, of those that came in these frames."""
    told = [json.loads(payload) for opcode, payload in frames if opcode == TEXT]
    return [
        one["data"]["status"]
        for one in told
        if one["type"] == "order" and one["data"]["order_id"] == order_id
    ]


def well_formed(message):
    """Whether it is one whole packet of a share in quote mode, behind the right count and length."""
    return (message[:2], message[2:4], len(message)) == (b"\x00\x01", b"\x00\x2c", 4 + 44)


def to_the_end(receive):
    """Until there is nothing more to receive, which is what is raised."""
    while True:
        receive()


def address(trader):
    return f"{trader.url.replace('http', 'ws', 1)}/ws?api_key={KEY}&access_token={trader.kite.access_token}"


@sees("ws_refuse")
def a_handshake_is_refused(trader):
    for more, code in (({}, 403), ({"code": 429, "message": "Too many requests"}, 429)):
        strike(trader, "ws_refuse", "ws.connect", **more)
        with pytest.raises(InvalidStatus) as refused, connect(address(trader)):
            pass
        assert refused.value.response.status_code == code


@sees("ws_close")
def a_connection_is_closed(trader):
    strike(trader, "ws_close", after_s=1, code=1012, message="restart")
    with connect(address(trader)) as client:
        trader.step(2)
        with pytest.raises(ConnectionClosed) as closed:
            to_the_end(client.recv)
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "restart")
    strike(trader, "ws_close", "ws.message", nth=2)
    with watching(trader) as client:
        client.say("subscribe", [token(trader)])
        client.say("mode", ["full", [token(trader)]])
        while (frame := client.frame())[0] != CLOSE:
            pass
        assert int.from_bytes(frame[1][:2], "big") == 1011


@sees("ws_reset")
def a_connection_is_reset(trader):
    for where in ({"on": "ws.connect"}, {"after_s": 1}):
        strike(trader, "ws_reset", **where)
        with watching(trader) as client:
            trader.step(2)
            with pytest.raises(ConnectionResetError):
                to_the_end(client.frame)


@sees("ws_cut")
def a_message_is_cut_in_the_middle(trader):
    with watching(trader, SHARE) as client:
        strike(trader, "ws_cut", "frame")
        again(client, trader)
        with pytest.raises(Broken) as broken:
            to_the_end(client.frame)
        assert 0 < broken.value.came < broken.value.promised


@sees("ws_mute")
def a_connection_says_nothing_at_all(trader):
    with watching(trader, SHARE) as client:
        strike(trader, "ws_mute", "ws.message", nth=1, seconds=30)
        client.say("unsubscribe", [token(trader)])
        client.send(PING, b"nobody there")
        client.say("subscribe", [token(trader)])
        eventually(lambda: trader.history("ws_message")[-1]["a"] == "subscribe")
        trader.step(31)
        frames = client.until_pong(b"back again")
        assert (PONG, b"nobody there") not in frames
        next_packet(client, trader)


@sees("heartbeats_only")
def a_connection_has_heartbeats_only(trader):
    with watching(trader, SHARE) as client:
        strike(trader, "heartbeats_only", after_s=1, seconds=60)
        trader.step(1.5)
        client.until_heartbeat()
        order_id = order(trader)[1]()
        trader.until(order_id, "OPEN")
        trader.kite.cancel_order("regular", order_id)
        trader.until(order_id, "CANCELLED")
        trader.step(40)
        assert client.until_heartbeat() == []
        trader.step(60)
        frames = client.so_far()
        assert updates(frames, order_id) == []
        assert any(opcode == BINARY for opcode, _ in frames)


@sees("malformed")
def a_message_is_malformed(trader):
    with watching(trader, SHARE) as client:
        for sort in MALFORMED:
            strike(trader, "malformed", "frame", sort=sort, nth=1)
            again(client, trader)
            (told,) = client.so_far()
            assert told[0] == (TEXT if sort == "text" else BINARY)
            assert sort == "text" or not well_formed(told[1])
            again(client, trader)
            ((_, good),) = client.so_far()
            assert well_formed(good)


@sees("storm")
def a_message_comes_many_times(trader):
    with watching(trader, SHARE) as client:
        strike(trader, "storm", "frame", factor=25, nth=1)
        again(client, trader)
        frames = client.so_far()
        assert len(frames) == 25
        assert len(set(frames)) == 1


def orders_told(trader, on, **more):
    """A client is told of an order that is opened and cancelled, under a fault: what it heard."""
    with watching(trader) as client:
        order_id = order(trader)[1]()
        trader.until(order_id, "OPEN")
        client.so_far()
        strike(trader, on, "update", **more)
        trader.kite.modify_order("regular", order_id, quantity=2)
        trader.until(order_id, "OPEN")
        trader.kite.cancel_order("regular", order_id)
        trader.until(order_id, "CANCELLED")
        at_once = updates(client.so_far(), order_id)
        trader.step(120)
        later = updates(client.so_far(), order_id)
    return at_once, later


@sees("duplicate_update")
def an_update_comes_twice(trader):
    told, _ = orders_told(trader, "duplicate_update")
    assert told[::2] == told[1::2]
    assert told[-2:] == ["CANCELLED"] * 2


@sees("reorder_updates")
def updates_change_places(trader):
    told, later = orders_told(trader, "reorder_updates", nth=1, seconds=60)
    assert (told[0], later) == ("CANCELLED", [])
    assert "CANCELLED" not in told[1:]
    assert told[1:]


@sees("lose_update")
def an_update_is_lost(trader):
    told, later = orders_told(trader, "lose_update", nth=1)
    assert (told, later) == (["CANCELLED"], [])


@sees("late_update")
def an_update_comes_late(trader):
    told, later = orders_told(trader, "late_update", nth=1, seconds=60)
    assert told == ["CANCELLED"]
    assert len(later) == 1
    assert later != ["CANCELLED"]


@sees("frozen")
def a_price_is_frozen(trader):
    strike(trader, "frozen", "prices", symbol=SHARE)
    first = trader.kite.quote(SHARE)[SHARE]
    with watching(trader, SHARE) as client:
        ticks = {bytes(next_packet(client, trader)) for _ in range(3)}
    trader.step(60)
    assert len(ticks) == 1
    assert trader.kite.quote(SHARE)[SHARE] == first
    assert trader.kite.ltp(SHARE)[SHARE]["last_price"] == first["last_price"]
    assert price(ticks.pop()) == round(first["last_price"] * 100)


@sees("crossed")
def a_book_is_crossed(trader):
    for on in ("quote", "tick"):
        strike(trader, "crossed", on, symbol=SHARE)
        depth = trader.kite.quote(SHARE)[SHARE]["depth"]
        assert (depth["buy"][0]["price"] > depth["sell"][0]["price"]) == (on == "quote")
    with watching(trader, SHARE) as client:
        packet = next_packet(client, trader)
        assert price(packet, 64 + 4) > price(packet, 124 + 4)


def shows(do, quoted, ticked, **parameters):
    """A wrong price over REST and in a tick, of one instrument alone; `quoted` makes it of the right one."""

    def shown(trader):
        right = trader.kite.ltp(SHARE)[SHARE]["last_price"]
        strike(trader, do, "prices", symbol=SHARE, **parameters)
        for ask in (trader.kite.ltp, trader.kite.ohlc, trader.kite.quote):
            prices = ask(SHARE, DEAR)
            assert prices[SHARE]["last_price"] == pytest.approx(quoted(right))
            assert prices[DEAR]["last_price"] > 0
        with watching(trader, SHARE) as client:
            wire = price(next_packet(client, trader))
        assert ticked(wire, right * 100)

    sees(do)(shown)


shows("zero", lambda right: 0, lambda wire, _: wire == 0)
shows("negative", lambda right: -right, lambda wire, right: 2**32 - 2 * right < wire < 2**32)
shows("absurd", lambda right: 50 * right, lambda wire, right: wire > 40 * right, factor=50)


def a_dead_session_closes_its_socket(trader):
    with watching(trader, SHARE) as client:
        strike(trader, "token_death", after_s=1)
        trader.step(2)
        raised(TokenException, trader.kite.orders, code=403)
        while client.frame()[0] != CLOSE:
            pass
    trader.log_in()


def a_dead_session_leaves_its_socket_silent(trader):
    with watching(trader, SHARE) as client:
        strike(trader, "token_death", after_s=1, sockets="silent")
        trader.step(2)
        client.until_heartbeat()
        trader.step(60)
        assert client.until_heartbeat() == []
    trader.log_in()
