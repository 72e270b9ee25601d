"""What faults do to connections, ticks and order updates, without a socket."""

import pytest
from watching import Ticker, decoded, order, packets, shown, taken, token_of, updates

from alphapanda.exchange.calls import Refusal
from alphapanda.exchange.faults import read_script
from alphapanda.exchange.stream.connection import MOST_TEXTS, Ending


def watched(faults, *, count=3, mode="full", **options):
    """A ticker with one connection, which has subscribed when nothing went wrong yet."""
    ticker = Ticker(ticks_per_second=1, **options)
    connection = ticker.connect()
    ticker.subscribe(connection, ticker.tokens(count), mode)
    ticker.faults.add(read_script(faults, "test"))
    return ticker, connection


def script(on, do, **keys):
    lines = [f"{key} = {value!r}" for key, value in keys.items()]
    return "\n".join(["[[fault]]", f'on = "{on}"', f'do = "{do}"', *lines])


def test_a_handshake_can_be_refused_with_any_code():
    ticker = Ticker(script("ws.connect", "ws_refuse", code=503, nth=2))
    ticker.connect()
    with pytest.raises(Refusal) as refused:
        ticker.connect()
    assert refused.value.code == 503
    ticker.connect()
    assert len(ticker.stream.connections()) == 2
    assert [line["status"] for line in ticker.lines("ws_refused")] == [503]


def test_a_connection_is_closed_by_a_message_with_the_code_of_the_fault():
    ticker, connection = watched(script("ws.message", "ws_close", code=1012, message="restart"))
    ticker.say(connection, "subscribe", ticker.tokens(1))
    assert connection.ending == Ending("close", 1012, "restart")
    assert taken(connection) == []
    assert ticker.stream.tokens() == set()
    assert ticker.stream.connections() == ()
    assert [line["why"] for line in ticker.lines("ws_close")] == ["restart"]
    assert len(ticker.lines("fault")) == 1


def test_a_connection_is_reset_in_the_middle_of_its_ticks():
    ticker, connection = watched(script("frame", "ws_reset", nth=2))
    ticker.run(5)
    assert connection.ending is not None
    assert connection.ending.how == "reset"
    assert ticker.stream.connections() == ()


def test_the_frame_that_is_cut_is_the_one_of_the_moment():
    ticker, connection = watched(script("frame", "ws_cut", nth=2), count=1)
    ticker.run(5)
    assert len(shown(connection)) == 1
    assert connection.ending is not None
    assert connection.ending.how == "cut"
    assert [token_of(packet) for packet in packets(connection.ending.part)] == ticker.tokens(1)


def test_a_cut_at_a_message_goes_through_a_frame_of_what_is_subscribed():
    ticker, connection = watched(script("ws.message", "ws_cut"))
    ticker.say(connection, "unsubscribe", [])
    assert connection.ending is not None
    assert {token_of(packet) for packet in packets(connection.ending.part)} == set(ticker.tokens(3))


@pytest.mark.parametrize(("do", "heartbeat"), [("ws_mute", None), ("heartbeats_only", b"\x00")])
def test_a_connection_falls_silent_for_a_while_and_what_was_due_is_lost(do, heartbeat):
    ticker, connection = watched(script("ws.message", do, seconds=3, times=1))
    ticker.say(connection, "mode", ["ltp", ticker.tokens(3)])
    ticker.stream.on_order(order(ticker, 1), ticker.now_ns)
    ticker.run(2.5)
    assert taken(connection) == []
    assert connection.heartbeat() == heartbeat
    ticker.run(2)
    assert connection.heartbeat() == b"\x00"
    assert {size for frame in shown(connection) for size in frame.values()} == {8}


def test_of_two_silences_the_later_one_counts():
    ticker = Ticker(
        '[[fault]]\ndo = "ws_mute"\nafter_s = 1\nseconds = 2\n\n'
        '[[fault]]\ndo = "heartbeats_only"\nafter_s = 2\nseconds = 4\n'
    )
    connection = ticker.connect()
    heard = []
    for _ in range(7):
        ticker.run(1)
        heard.append(connection.hush)
    assert heard == ["mute", "silent", "silent", "silent", "silent", "", ""]


def test_a_fault_by_the_clock_strikes_the_connection_that_it_names():
    ticker = Ticker('[[fault]]\ndo = "ws_mute"\nafter_s = 2\nconnection = 2\n')
    one, two = ticker.connect(), ticker.connect()
    ticker.run(1)
    assert (one.answers, two.answers) == (True, True)
    ticker.run(2)
    assert (one.answers, two.answers) == (True, False)


@pytest.mark.parametrize(
    ("sockets", "how", "hush"), [("close", "close", ""), ("silent", "", "silent"), ("mute", "", "mute")]
)
def test_a_session_that_dies_treats_its_connections_as_the_fault_says(sockets, how, hush):
    ticker = Ticker(f'[[fault]]\ndo = "token_death"\nafter_s = 2\nsockets = "{sockets}"\n')
    connection = ticker.connect()
    ticker.run(3)
    assert (connection.ending.how if connection.ending else "") == how
    assert connection.hush == hush
    with pytest.raises(Refusal):
        ticker.connect()


def test_a_zero_price_is_seen_by_whoever_subscribes_and_is_not_in_the_market():
    ticker, connection = watched(script("tick", "zero"), count=2)
    other = ticker.connect()
    ticker.subscribe(other, ticker.tokens(2), "ltp")
    ticker.run(3)
    for one in (connection, other):
        ticks = [tick for frame in taken(one) for tick in decoded(frame)]
        assert ticks
        assert {tick.last_price for tick in ticks} == {0}
    ticker.say(connection, "subscribe", ticker.tokens(2))
    assert [tick.last_price for frame in taken(connection) for tick in decoded(frame)] == [0, 0]
    assert ticker.market.quote(ticker.tokens(1)[0], ticker.now_ns).last > 0


def test_a_malformed_frame_takes_the_place_of_the_true_one():
    ticker, connection = watched(script("frame", "malformed", sort="truncated", nth=1), count=1)
    ticker.run(3)
    frames = taken(connection)
    assert len(frames) == 3
    assert decoded(frames[0]) == []
    assert all(decoded(frame) for frame in frames[1:])


def test_a_storm_sends_every_frame_many_times():
    ticker, connection = watched(script("frame", "storm", factor=7), count=1)
    ticker.run(2)
    frames = taken(connection)
    assert len(frames) == 14
    assert len(set(frames)) == 2


@pytest.mark.parametrize(
    ("do", "keys", "at_once", "later"),
    [
        ("duplicate_update", {}, [1, 1, 2], []),
        ("lose_update", {}, [2], []),
        ("late_update", {"seconds": 5}, [2], [1]),
        ("reorder_updates", {}, [2, 1], []),
    ],
)
def test_order_updates_are_doubled_lost_late_or_out_of_order(do, keys, at_once, later):
    ticker = Ticker(script("update", do, nth=1, **keys))
    connection = ticker.connect()
    for number in (1, 2):
        ticker.stream.on_order(order(ticker, number), ticker.now_ns)
    assert updates(connection) == at_once
    ticker.run(6)
    assert updates(connection) == later
    assert [int(line["order_id"]) for line in ticker.lines("ws_update")] == at_once + later


def test_a_peer_that_never_reads_its_updates_is_dropped_and_the_others_are_not():
    ticker = Ticker()
    one, two = ticker.connect(), ticker.connect()
    for number in range(MOST_TEXTS + 1):
        ticker.stream.on_order(order(ticker, number), ticker.now_ns)
        taken(two)
    assert one.ending is not None
    assert (one.ending.how, one.ending.reason) == ("drop", "too slow")
    assert two.ending is None
    assert ticker.stream.connections() == (two,)


def test_a_peer_that_never_reads_the_errors_it_is_told_is_dropped():
    ticker = Ticker()
    connection = ticker.connect()
    for _ in range(MOST_TEXTS + 1):
        assert connection.ending is None
        ticker.stream.receive(connection, "nonsense", ticker.now_ns)
    assert connection.ending == Ending("drop", reason="too slow")
    assert taken(connection) == []
