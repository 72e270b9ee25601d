"""The ticker on real sockets: the installed command, and a WebSocket client that knows nothing of Kite."""

import json
import socket
import struct

import pytest
from kite_trader import KEY, trading
from running import FINISH_S, eventually
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from alphapanda.kite.decode import Decoder

KEYS = ("NSE:INFY", "NSE:TCS", "NSE:NIFTY 50")
HEARTBEAT = b"\x00"


@pytest.fixture(scope="module")
def trader(tmp_path_factory):
    """The clock of its exchange stands: nothing is sent that a test has not asked for, but heartbeats."""
    with trading(tmp_path_factory.mktemp("sockets")) as one:
        yield one


@pytest.fixture(scope="module")
def tokens(trader):
    contracts = (trader.first(exchange, "FUT") for exchange in ("NFO", "CDS"))
    return {key: trader.listed(key)["instrument_token"] for key in (*KEYS, *contracts)}


def client(trader, key=KEY, token=None, query=None):
    where = trader.url.replace("http", "ws", 1)
    asked = f"api_key={key}&access_token={token or trader.kite.access_token}"
    return connect(
        f"{where}/ws?{asked if query is None else query}",
        compression=None,
        ping_interval=None,
        proxy=None,
        open_timeout=FINISH_S,
        close_timeout=FINISH_S,
        max_size=None,
    )


def still_open(trader):
    return len(trader.history("ws_connect")) - len(trader.history("ws_close"))


@pytest.fixture
def one(trader):
    """A client that has heard its greeting; when it has gone, the exchange knows."""
    with client(trader) as connected:
        assert json.loads(connected.recv(FINISH_S))["type"] == "instruments_meta"
        assert json.loads(connected.recv(FINISH_S))["type"] == "app_code"
        yield connected
    eventually(lambda: still_open(trader) == 0)


def say(connected, action, value):
    connected.send(json.dumps({"a": action, "v": value}))


def frame(connected):
    """The next message that is no heartbeat."""
    while (message := connected.recv(FINISH_S)) == HEARTBEAT:
        pass
    return message


def fault(trader, do, on="ws.message", **keys):
    """The next message of a client meets this, and only that one."""
    trader.admin("faults", {"clear": True, "fault": [{"on": on, "do": do, "times": 1, **keys}]})


def test_a_wrong_token_is_refused_at_the_handshake_in_kites_envelope(trader):
    with pytest.raises(InvalidStatus) as refused, client(trader, token="stale"):
        pass
    reply = refused.value.response
    assert reply.status_code == 403
    assert json.loads(reply.body) == {
        "status": "error",
        "message": "Incorrect `api_key` or `access_token`.",
        "data": None,
        "error_type": "TokenException",
    }


def test_no_key_at_all_is_refused_too(trader):
    with pytest.raises(InvalidStatus) as refused, client(trader, query=""):
        pass
    assert refused.value.response.status_code == 403


def test_a_request_that_is_no_handshake_is_a_bad_request(trader):
    reply = trader.owner.get(f"{trader.url}/ws?api_key={KEY}&access_token={trader.kite.access_token}")
    assert reply.status_code == 400
    assert reply.json()["error_type"] == "InputException"


def test_the_fourth_connection_is_refused_with_429(trader, one):
    with client(trader), client(trader):
        with pytest.raises(InvalidStatus) as refused, client(trader):
            pass
        reply = refused.value.response
        assert reply.status_code == 429
        assert json.loads(reply.body)["error_type"] == "NetworkException"
    eventually(lambda: still_open(trader) == 1)


def test_a_client_that_goes_while_its_hand_is_shaken_leaves_nothing_behind(standing):
    """It is not a fault of the exchange, and no place of the three is lost. Every other one goes at once, and
    may or may not be noticed before; the others have seen the first byte of the answer.
    """
    shake = (
        f"GET /ws?api_key={KEY}&access_token=today HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    connected = len(standing.history("ws_connect"))
    for number in range(50):
        with socket.create_connection(("127.0.0.1", standing.port), FINISH_S) as tcp:
            tcp.sendall(shake)
            if number % 2:
                assert tcp.recv(1)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert len(standing.history("ws_connect")) > connected
    eventually(lambda: still_open(standing) == 0)
    assert "RuntimeError" not in standing.stderr


def test_what_ticks_say_is_what_the_quotes_say(trader, one, tokens):
    """At the moment at which the clock stands; prices exactly, the depth too."""
    trader.step(30)
    say(one, "subscribe", list(tokens.values()))
    frame(one)
    say(one, "mode", ["full", list(tokens.values())])
    ticks = {tick.instrument_token: tick for tick in Decoder().decode(frame(one))}
    quotes = trader.kite.quote(*tokens)
    for key, token in tokens.items():
        tick, quote = ticks[token], quotes[key]
        assert tick.last_price == quote["last_price"]
        assert {name: getattr(tick, name) for name in quote["ohlc"]} == quote["ohlc"]
        assert tick.exchange_timestamp.replace(tzinfo=None) == quote["timestamp"]
        if key != "NSE:NIFTY 50":
            assert tick.volume_traded == quote["volume"]
            assert tick.average_traded_price == quote["average_price"]
            assert tick.oi == quote["oi"]
            for side in ("buy", "sell"):
                assert [each["price"] for each in quote["depth"][side]] == [
                    level.price for level in getattr(tick.depth, side)
                ]


def test_ticks_come_as_time_goes_on(trader, one, tokens):
    say(one, "subscribe", [tokens["NSE:INFY"]])
    first = frame(one)
    trader.step(5)
    second = frame(one)
    assert second != first
    assert [tick.instrument_token for tick in Decoder().decode(second)] == [tokens["NSE:INFY"]]


def test_heartbeats_come_though_the_clock_stands(one):
    assert [one.recv(FINISH_S) for _ in range(2)] == [HEARTBEAT, HEARTBEAT]


def test_pings_are_answered(one):
    assert one.ping().wait(FINISH_S)


def test_nonsense_is_answered_with_an_error_and_the_connection_lives_on(one, tokens):
    for nonsense in ("{", b"\xff\xfe"):
        one.send(nonsense)
        error = json.loads(frame(one))
        assert error["type"] == "error"
        assert error["data"].startswith("Invalid message")
    say(one, "subscribe", [tokens["NSE:INFY"]])
    assert len(frame(one)) == 2 + 2 + 44


def test_a_close_by_the_exchange_has_its_code_and_words(trader, one):
    fault(trader, "ws_close", code=1012, message="restarting")
    say(one, "subscribe", [])
    with pytest.raises(ConnectionClosed) as closed:
        frame(one)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "restarting")


@pytest.mark.parametrize("do", ["ws_reset", "ws_cut"])
def test_a_reset_or_a_cut_comes_without_a_close_frame(trader, one, tokens, do):
    say(one, "subscribe", list(tokens.values()))
    frame(one)
    fault(trader, do)
    say(one, "unsubscribe", [])
    with pytest.raises(ConnectionClosed) as closed:
        frame(one)
    assert closed.value.rcvd is None


def test_a_mute_connection_is_open_and_sends_nothing_and_answers_no_ping(trader, tokens):
    with client(trader) as one:
        for _ in range(2):
            one.recv(FINISH_S)
        fault(trader, "ws_mute")
        say(one, "subscribe", list(tokens.values()))
        eventually(lambda: trader.history("fault"))
        answered = one.ping()
        with pytest.raises(TimeoutError):
            one.recv(2.5)
        assert not answered.is_set()
        one.socket.close()
    eventually(lambda: still_open(trader) == 0)


def test_at_the_highest_speed_no_tick_is_lost_to_a_client_that_reads(tmp_path):
    with trading(tmp_path, "--ticks-per-second", 4) as trader, client(trader) as one:
        token = trader.listed("NSE:INFY")["instrument_token"]
        say(one, "subscribe", [token])
        trader.admin("clock", {"speed": "max"})
        trader.admin("clock", {"resume": True})
        frames = [message for _ in range(3_000) if isinstance(message := frame(one), bytes)]
        trader.admin("clock", {"pause": True})
        frames += until_quiet(one)
        one.close()
        eventually(lambda: still_open(trader) == 0)
        (closed,) = trader.history("ws_close")
        sent = sum(line["frames"] for line in trader.history("ticks"))
    assert len(frames) == sent
    assert sent > 2_900
    assert "dropped" not in closed


def until_quiet(connected):
    """What is still on its way: heartbeats come one after the other when there is nothing else."""
    came, beats = [], 0
    while beats < 2:
        message = connected.recv(FINISH_S)
        beats = beats + 1 if message == HEARTBEAT else 0
        came += [message] if message != HEARTBEAT else []
    return came
