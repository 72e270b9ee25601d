"""Connections, subscriptions, ticks and order updates, as Kite's documentation has them."""

import json
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watching import TOKEN, Ticker, decoded, errors, order, packets, shown, taken, texts, token_of, updates

from alphapanda.exchange.calls import Refusal
from alphapanda.exchange.market import open_market
from alphapanda.exchange.options import API_KEY, API_SECRET, Options
from alphapanda.kite.layout import is_index

MARKET_OF_ALL = open_market(Options())
"""For the tests in which time stands."""


@pytest.fixture
def ticker():
    return Ticker(market=MARKET_OF_ALL)


def test_a_connection_is_greeted_with_what_is_listed(ticker):
    greeting = texts(ticker.connect(greeting=True))
    assert [text["type"] for text in greeting] == ["instruments_meta", "app_code"]
    assert greeting[0]["data"]["count"] == len(ticker.market.listing.all())
    assert greeting[0]["data"]["etag"].startswith('W/"')
    assert greeting[1]["timestamp"] == "2026-04-15T09:15:00+05:30"


@pytest.mark.parametrize(("key", "token"), [("another", TOKEN), ("rehearsal", "stale"), ("", "")])
def test_a_wrong_key_or_token_is_refused_with_403(ticker, key, token):
    with pytest.raises(Refusal) as refused:
        ticker.connect(key, token)
    assert (refused.value.code, refused.value.error_type) == (403, "TokenException")
    assert refused.value.message == "Incorrect `api_key` or `access_token`."
    assert [line["status"] for line in ticker.lines("ws_refused")] == [403]


def test_the_fourth_connection_is_refused_with_429_until_one_has_gone(ticker):
    three = [ticker.connect() for _ in range(3)]
    with pytest.raises(Refusal) as refused:
        ticker.connect()
    assert (refused.value.code, refused.value.message) == (429, "Too many requests")
    ticker.stream.disconnect(three[0], ticker.now_ns, "gone")
    ticker.connect()
    assert [line["connection"] for line in ticker.lines("ws_connect")] == [1, 2, 3, 4]
    assert [(line["connection"], line["why"]) for line in ticker.lines("ws_close")] == [(1, "gone")]


def test_a_subscription_is_answered_with_a_frame_in_quote_mode(ticker):
    connection = ticker.connect()
    tokens = [*ticker.tokens(2), *ticker.tokens(1, indices=True)]
    ticker.say(connection, "subscribe", tokens)
    assert shown(connection) == [{tokens[0]: 44, tokens[1]: 44, tokens[2]: 28}]


def test_a_mode_is_answered_with_a_frame_in_it_even_if_it_was_so_before(ticker):
    connection = ticker.connect()
    tokens = [*ticker.tokens(2), *ticker.tokens(1, indices=True)]
    ticker.subscribe(connection, tokens)
    ticker.say(connection, "mode", ["full", tokens])
    assert shown(connection) == [{tokens[0]: 184, tokens[1]: 184, tokens[2]: 32}]
    ticker.say(connection, "mode", ["ltp", tokens[:1]])
    assert shown(connection) == [{tokens[0]: 8}]
    ticker.say(connection, "mode", ["ltp", tokens[:2]])
    assert shown(connection) == [{tokens[0]: 8, tokens[1]: 8}]


def test_another_subscription_is_in_quote_mode_again(ticker):
    connection = ticker.connect()
    token = ticker.tokens(1)[0]
    ticker.subscribe(connection, [token], "full")
    ticker.say(connection, "subscribe", [token])
    assert shown(connection) == [{token: 44}]


def test_the_mode_of_what_is_not_subscribed_means_nothing(ticker):
    connection = ticker.connect()
    ticker.say(connection, "mode", ["full", ticker.tokens(2)])
    assert taken(connection) == []
    assert ticker.stream.tokens() == set()


def test_tokens_as_strings_and_unknown_ones_get_no_ticks_and_no_error(ticker):
    connection = ticker.connect()
    known = ticker.tokens(2)
    ticker.say(connection, "subscribe", [str(known[0]), known[1], 4, -1, 2**70])
    assert shown(connection) == [{known[1]: 44}]
    ticker.run(2)
    assert {token for frame in shown(connection) for token in frame} == {known[1]}
    assert ticker.lines("ws_message")[0]["ignored"] == 4


def test_what_is_no_message_is_answered_with_an_error_and_nothing_changes(ticker):
    connection = ticker.connect()
    token = ticker.tokens(1)[0]
    ticker.subscribe(connection, [token])
    for text in ("", "{", "[]", '{"a": "mode", "v": ["deep", [408065]]}'):
        ticker.stream.receive(connection, text, ticker.now_ns)
    found = errors(connection)
    assert len(found) == 4
    assert all(isinstance(words, str) and words for words in found)
    assert ticker.stream.tokens() == {token}
    assert [line["text"] for line in ticker.lines("ws_message")[1:3]] == ["", "{"]


def test_a_connection_takes_3000_tokens_and_no_more():
    ticker = Ticker(instruments=3_100)
    connection = ticker.connect()
    tokens = ticker.tokens(3_010)
    ticker.say(connection, "subscribe", tokens[:2_990])
    ticker.say(connection, "subscribe", tokens)
    items = taken(connection)
    assert [json.loads(item)["type"] for item in items if isinstance(item, str)] == ["error"]
    frames = [item for item in items if isinstance(item, bytes)]
    assert [len(packets(frame)) for frame in frames] == [2_990, 3_000]
    assert ticker.stream.tokens() == set(tokens[:3_000])
    ticker.say(connection, "unsubscribe", tokens[:1])
    ticker.subscribe(connection, tokens[3_009:])
    assert ticker.stream.tokens() == {*tokens[1:3_000], tokens[3_009]}


def test_tokens_that_are_not_listed_count_too():
    ticker = Ticker()
    connection = ticker.connect()
    token = ticker.tokens(1)[0]
    ticker.say(connection, "subscribe", [*range(4_000_000_000, 4_000_003_000), token])
    assert len(errors(connection)) == 1
    assert ticker.stream.tokens() == set()


def test_nothing_comes_of_what_was_unsubscribed():
    ticker = Ticker(ticks_per_second=2)
    connection = ticker.connect()
    first, second = ticker.tokens(2)
    ticker.subscribe(connection, [first, second])
    ticker.say(connection, "unsubscribe", [first])
    assert taken(connection) == []
    ticker.run(2)
    assert {token for frame in shown(connection) for token in frame} == {second}
    assert ticker.stream.tokens() == {second}


def test_each_connection_gets_the_ticks_of_its_own_instruments_in_its_own_mode():
    ticker = Ticker(ticks_per_second=4)
    one, two, none = ticker.connect(), ticker.connect(), ticker.connect()
    first, second, third = ticker.tokens(3)
    ticker.subscribe(one, [first, second], "full")
    ticker.subscribe(two, [second, third], "ltp")
    ticker.run(5)
    counts = {}
    for name, connection in (("one", one), ("two", two)):
        for frame in shown(connection):
            for token, size in frame.items():
                counts[name, token, size] = counts.get((name, token, size), 0) + 1
    expected = {
        *(("one", first, 184), ("one", second, 184)),
        *(("two", second, 8), ("two", third, 8)),
    }
    assert set(counts) == expected
    assert all(19 <= number <= 21 for number in counts.values()), counts
    assert taken(none) == []


def test_a_frame_says_what_the_quote_says():
    ticker = Ticker()
    connection = ticker.connect()
    tokens = [*ticker.tokens(5), *ticker.tokens(1, indices=True)]
    ticker.subscribe(connection, tokens, "full")
    ticker.run(10)
    ticker.say(connection, "mode", ["quote", tokens])
    ticker.say(connection, "mode", ["full", tokens])
    ticks = {tick.instrument_token: tick for tick in decoded(taken(connection)[-1])}
    assert set(ticks) == set(tokens)
    for token in tokens:
        quote, tick = ticker.market.quote(token, ticker.now_ns), ticks[token]
        assert tick.last_price == quote.last / quote.divisor
        assert tick.close == quote.close / quote.divisor
        if not is_index(token):
            assert tick.volume_traded == quote.volume


def test_what_several_have_subscribed_is_one_and_the_same_packet():
    ticker = Ticker(ticks_per_second=1)
    one, two = ticker.connect(), ticker.connect()
    tokens = ticker.tokens(20)
    ticker.subscribe(one, tokens, "full")
    ticker.subscribe(two, tokens, "full")
    ticker.run(3)
    assert taken(one) == taken(two)


def test_an_order_update_goes_to_all_connections_once(ticker):
    connections = [ticker.connect() for _ in range(2)]
    ticker.stream.on_order(order(ticker, 17), ticker.now_ns)
    assert [updates(connection) for connection in connections] == [[17], [17]]
    line = ticker.lines("ws_update")[0]
    assert (line["order_id"], line["status"], line["connections"]) == ("17", "COMPLETE", [1, 2])


def test_the_history_counts_what_was_sent_in_each_second():
    ticker = Ticker(ticks_per_second=4)
    connection = ticker.connect()
    tokens = ticker.tokens(10)
    ticker.say(connection, "subscribe", tokens)
    ticker.run(3.5)
    ticker.stream.disconnect(connection, ticker.now_ns, "gone")
    frames = [item for item in taken(connection) if isinstance(item, bytes)]
    lines = ticker.lines("ticks")
    assert len(lines) == 4
    assert sum(line["frames"] for line in lines) == len(frames)
    assert sum(line["packets"] for line in lines) == sum(len(packets(frame)) for frame in frames)
    assert sum(line["bytes"] for line in lines) == sum(map(len, frames))
    assert {line["connection"] for line in lines} == {1}
    assert [line["at"][11:19] for line in lines[:3]] == ["09:15:01", "09:15:02", "09:15:03"]


def test_the_line_of_a_second_comes_at_its_end_and_once(ticker):
    connection = ticker.connect()
    ticker.say(connection, "subscribe", ticker.tokens(2))
    ticker.say(connection, "unsubscribe", ticker.tokens(2))
    ticker.run(3)
    assert [(line["at"][11:19], line["packets"]) for line in ticker.lines("ticks")] == [("09:15:01", 2)]
    ticker.say(connection, "subscribe", ticker.tokens(1))
    ticker.stream.disconnect(connection, ticker.now_ns, "gone")
    ticker.run(3)
    assert [line["packets"] for line in ticker.lines("ticks")] == [2, 1]


def test_when_one_of_two_has_enough_of_an_instrument_the_other_is_still_served():
    ticker = Ticker(ticks_per_second=1)
    one, two = ticker.connect(), ticker.connect()
    token = ticker.tokens(1)[0]
    for connection in (one, two):
        ticker.subscribe(connection, [token])
    ticker.say(one, "unsubscribe", [token])
    ticker.run(2)
    assert (len(shown(one)), len(shown(two))) == (0, 2)
    ticker.stream.disconnect(two, ticker.now_ns, "gone")
    assert ticker.stream.tokens() == set()


def test_300_instruments_tick_four_times_a_second_in_few_frames():
    """A small one of `scripts/bench exchange`, by the exchange's time."""
    ticker = Ticker(instruments=300, ticks_per_second=4)
    three = [ticker.connect() for _ in range(3)]
    tokens = ticker.tokens(300)
    for number, connection in enumerate(three):
        ticker.subscribe(connection, tokens[number * 100 : number * 100 + 100], "full")
    ticker.run(1)
    for connection in three:
        taken(connection)
    ticker.run(10)
    for number, connection in enumerate(three):
        frames = taken(connection)
        counts = dict.fromkeys(tokens[number * 100 : number * 100 + 100], 0)
        for frame in frames:
            for packet in packets(frame):
                assert len(packet) == 184
                counts[token_of(packet)] += 1
        assert set(counts.values()) == {40}
        assert len(frames) <= 400


def test_the_end_of_the_session_leaves_connections_open_and_silent_and_out_of_the_count(ticker):
    connection = ticker.connect()
    ticker.subscribe(connection, ticker.tokens(1))
    ticker.sessions.kill(ticker.now_ns, "a new day")
    ticker.run(2)
    ticker.stream.on_order(order(ticker), ticker.now_ns)
    assert taken(connection) == []
    assert connection.ending is None
    assert connection.heartbeat() is not None
    with pytest.raises(Refusal):
        ticker.connect()
    assert [line["sockets"] for line in ticker.lines("ws_orphaned")] == ["silent"]


def test_the_connections_of_a_session_that_ended_leave_room_for_those_of_the_next(ticker):
    old = [ticker.connect() for _ in range(3)]
    request_token = ticker.sessions.login(API_KEY, ticker.now_ns)
    checksum = sha256(f"{API_KEY}{request_token}{API_SECRET}".encode()).hexdigest()
    fields = {"api_key": API_KEY, "request_token": request_token, "checksum": checksum}
    token = ticker.sessions.exchange_token(fields, ticker.now_ns)["access_token"]
    new = [ticker.connect(token=token) for _ in range(3)]
    with pytest.raises(Refusal) as refused:
        ticker.connect(token=token)
    assert refused.value.code == 429
    assert [connection.hush for connection in (*old, *new)] == ["silent"] * 3 + [""] * 3


def test_a_connection_that_has_gone_is_watched_for_no_more(ticker):
    connection = ticker.connect()
    ticker.subscribe(connection, ticker.tokens(3))
    ticker.stream.disconnect(connection, ticker.now_ns, "gone")
    ticker.stream.disconnect(connection, ticker.now_ns, "gone again")
    assert ticker.stream.tokens() == set()
    assert len(ticker.lines("ws_close")) == 1


ACTIONS = st.one_of(
    st.tuples(
        st.sampled_from(["subscribe", "unsubscribe"]),
        st.lists(st.integers(0, 6), max_size=7),
        st.just(""),
    ),
    st.tuples(
        st.just("mode"), st.lists(st.integers(0, 6), max_size=7), st.sampled_from(["ltp", "quote", "full"])
    ),
    st.tuples(st.just("wait"), st.just([]), st.just("")),
)
"""What a client says; the numbers are places in its list of tokens, of which the last is unknown."""
SIZES = {"ltp": (8, 8), "quote": (44, 28), "full": (184, 32)}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), ACTIONS), max_size=12))
def test_whatever_clients_say_each_is_sent_what_it_has_asked_for(said):
    ticker = Ticker(ticks_per_second=1)
    clients = [ticker.connect(), ticker.connect()]
    tokens = [*ticker.tokens(4), *ticker.tokens(2, indices=True), 999]
    wanted: list[dict[int, str]] = [{}, {}]
    for who, (action, places, mode) in said:
        named = list(dict.fromkeys(tokens[place] for place in places))
        known = [token for token in named if token != 999]
        mine = wanted[who]
        if action == "wait":
            ticker.run(1)
            for client, modes in zip(clients, wanted, strict=True):
                assert everything(client) == expected(modes, modes)
            continue
        ticker.say(clients[who], action, [mode, named] if mode else named)
        if action == "subscribe":
            answered = known
            mine |= dict.fromkeys(known, "quote")
        elif action == "mode":
            answered = [token for token in known if token in mine]
            mine |= dict.fromkeys(answered, mode)
        else:
            answered = []
            for token in known:
                mine.pop(token, None)
        assert everything(clients[who]) == expected(mine, answered)
        assert taken(clients[1 - who]) == []
    assert ticker.stream.tokens() == {*wanted[0], *wanted[1]}


def everything(client):
    """Token -> bytes, over all frames: each instrument once."""
    frames = shown(client)
    merged = {token: size for frame in frames for token, size in frame.items()}
    assert len(merged) == sum(map(len, frames))
    return merged


def expected(modes, tokens):
    return {token: SIZES[modes[token]][is_index(token)] for token in tokens}
