import json
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.errors import DataError
from alphapanda.exchange.faults import read_script
from alphapanda.exchange.faults.fault import When
from alphapanda.exchange.faults.kinds import KINDS
from alphapanda.exchange.faults.points import CALLS, FRAME, ORDER, points_of
from alphapanda.exchange.rest.routes import ROUTES

GOOD = {
    "seconds": 2.5,
    "code": 500,
    "message": "No.",
    "pieces": 3,
    "sort": None,
    "order": {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "order_type": "MARKET",
        "quantity": 1,
        "product": "CNC",
    },
}
"""A value for each key that some kind needs; a sort is the kind's own first."""


def table(do):
    """The shortest fault of a kind."""
    kind = KINDS[do]
    needs = {key: GOOD[key] or kind.sorts[0] for key in kind.needs}
    return {"on": min(kind.at), "do": do, **needs}


def read(*tables, **more):
    return read_script(json.dumps({"fault": list(tables), **more}), "faults.json")


def mistake(*tables, **more):
    with pytest.raises(DataError) as caught:
        read(*tables, **more)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("faults.json: ")
    return message


def test_a_script_is_read_from_toml_with_everything_in_it():
    script = read_script(
        """
        [[fault]]
        on = "order.place"
        do = "late"
        nth = [1, 5]
        times = 1
        symbol = "NSE:INFY"
        tag = ["AP1", "AP2"]
        seconds = 8
        reply = "lost"

        [[fault]]
        do = "ws_mute"
        at = 10:15:00
        seconds = 30

        [[fault]]
        on = "order"
        do = "too_many"
        p = 0.25
        at = "11:00:00"
        until = "11:05:00"
        """,
        "faults.toml",
    )
    late, mute, many = script.faults
    assert (late.number, late.do, late.on, late.seconds, late.reply) == (
        1,
        "late",
        "order.place",
        8.0,
        "lost",
    )
    assert late.when.nth == (1, 5)
    assert late.when.times == 1
    assert (late.symbols, late.tags) == ({"NSE:INFY"}, {"AP1", "AP2"})
    assert (mute.on, mute.when.at, mute.seconds) == ("", time(10, 15), 30.0)
    assert (many.when.p, many.when.at, many.when.until) == (0.25, time(11), time(11, 5))
    assert (many.code, many.error_type, many.message) == (429, "NetworkException", "Too many requests")
    assert not script.clear


def test_json_has_the_same_keys():
    toml = '[[fault]]\non = "orders"\ndo = "delay_after"\nevery = 10\nseconds = 0.5\n'
    same = read({"on": "orders", "do": "delay_after", "every": 10, "seconds": 0.5})
    assert read_script(toml, "faults.toml") == same


def test_an_empty_script_and_one_that_clears_are_scripts():
    assert read_script("", "none.toml").faults == ()
    assert read(clear=True).clear


@pytest.mark.parametrize("do", KINDS)
def test_the_shortest_fault_of_each_kind_is_read(do):
    (fault,) = read(table(do)).faults
    assert fault.do == do
    for key, preset in KINDS[do].presets.items():
        assert getattr(fault, key) == preset


@pytest.mark.parametrize("do", [do for do, kind in KINDS.items() if kind.timed])
def test_what_can_happen_by_the_clock_needs_no_call(do):
    by_clock = {key: value for key, value in table(do).items() if key != "on"}
    later, now = read({**by_clock, "after_s": 5}, by_clock).faults
    assert (later.on, later.when.after_s) == ("", 5.0)
    assert (now.on, now.when) == ("", When())


@pytest.mark.parametrize("do", [do for do, kind in KINDS.items() if not kind.timed])
def test_what_strikes_calls_only_needs_one(do):
    by_clock = {key: value for key, value in table(do).items() if key != "on"}
    assert f"fault 1: {do} needs on: " in mistake({**by_clock, "after_s": 5})


@pytest.mark.parametrize("do", [do for do, kind in KINDS.items() if kind.needs])
def test_a_needed_key_that_is_not_there_is_named_with_what_it_may_say(do):
    for key in KINDS[do].needs:
        without = {name: value for name, value in table(do).items() if name != key}
        message = mistake(table(do), without)
        assert f"fault 2: {do} needs {key}: " in message


DROP = {"on": "order.place", "do": "drop_after"}
DELAY = {"on": "orders", "do": "delay_after", "seconds": 1}
OWN = {"do": "manual_order", "after_s": 1}
WRONG = [
    ({**DROP, "when": 3}, "when means nothing to drop_after; allowed: after_s, at, do, every"),
    ({**DROP, "seconds": 3}, "seconds means nothing to drop_after"),
    ({**DROP, "do": "explode"}, "do = 'explode'; allowed: delay_before, delay_after, drop_before"),
    ({"on": "order.place"}, "do = None; allowed: "),
    ({**DROP, "do": ["drop_after"]}, "do = ['drop_after']; allowed: "),
    ({**DROP, "on": "order.plaice"}, "on = 'order.plaice'; allowed: any, basket, basket.margins, book"),
    ({**DROP, "on": ""}, "on = ''; allowed: "),
    ({**DROP, "on": 3}, "on = 3; allowed: "),
    ({**DROP, "on": "tick"}, "on = 'tick': drop_after does not strike at tick; allowed: any call"),
    (
        {**DROP, "on": "order", "do": "late", "seconds": 1},
        "does not strike at order.cancel; allowed: order.place",
    ),
    ({**DROP, "nth": 0}, "nth = 0; allowed: a whole number from 1, or a list"),
    ({**DROP, "nth": []}, "nth = []; allowed: "),
    ({**DROP, "nth": [2, 2]}, "nth = [2, 2]; allowed: a whole number from 1, or a list of different ones"),
    ({**DROP, "nth": True}, "nth = True; allowed: "),
    ({**DROP, "nth": 1.5}, "nth = 1.5; allowed: "),
    ({**DROP, "every": 0}, "every = 0; allowed: a whole number from 1"),
    ({**DROP, "p": 0}, "p = 0; allowed: a number above 0, at most 1"),
    ({**DROP, "p": 1.1}, "p = 1.1; allowed: "),
    ({**DROP, "p": "0.5"}, "p = '0.5'; allowed: "),
    ({**DROP, "times": -1}, "times = -1; allowed: "),
    ({**DROP, "nth": 3, "p": 0.5}, "nth and p contradict each other; allowed: one of them"),
    ({**DROP, "nth": 3, "every": 2}, "nth and every contradict each other"),
    ({**DROP, "nth": 3, "times": 1}, "times = 1 adds nothing to nth"),
    ({**DROP, "at": "10:00:00", "after_s": 5}, "at and after_s contradict each other"),
    ({**DROP, "until": "10:00:00", "for_s": 5}, "until and for_s contradict each other"),
    ({**DROP, "at": "10:00:00", "until": "10:00:00"}, "until = 10:00:00 is not after at = 10:00:00"),
    ({**DROP, "at": "10:00"}, "at = '10:00'; allowed: an IST time of day as \"HH:MM:SS\""),
    ({**DROP, "at": "25:00:00"}, "at = '25:00:00'; allowed: "),
    ({**DROP, "at": 36_000}, "at = 36000; allowed: "),
    ({**DROP, "for_s": 0}, "for_s = 0; allowed: seconds above 0, at most 86400"),
    ({**DELAY, "seconds": -1}, "seconds = -1; allowed: seconds above 0, at most 86400"),
    ({**DELAY, "seconds": 86_401}, "seconds = 86401; allowed: "),
    ({**DELAY, "seconds": "1"}, "seconds = '1'; allowed: "),
    ({**DELAY, "symbol": "INFY"}, "symbol: orders has none; allowed where on is "),
    ({**DROP, "on": "quote", "tag": "AP1"}, "tag: quote has none; allowed where on is order.cancel"),
    ({**DROP, "symbol": ""}, "symbol = ''; allowed: an instrument"),
    ({**DROP, "symbol": []}, "symbol = []; allowed: "),
    ({**DROP, "tag": [1]}, "tag = [1]; allowed: an order's tag"),
    ({"on": "orders", "do": "status", "code": 200}, "code = 200; allowed: an HTTP code from 400 to 599"),
    ({"on": "orders", "do": "html", "code": 100}, "code = 100; allowed: an HTTP code from 200 to 599"),
    ({"on": "frame", "do": "ws_close", "code": 999}, "code = 999; allowed: a close code from 1000 to 4999"),
    ({"on": "orders", "do": "status", "code": 500, "message": "a\nb"}, "allowed: one line of text"),
    ({"on": "orders", "do": "html", "accepted": 1}, "accepted = 1; allowed: true or false"),
    (
        {**DROP, "do": "late", "seconds": 1, "reply": "maybe"},
        "reply = 'maybe'; allowed: given, lost, ambiguous",
    ),
    ({"on": "order.place", "do": "partial_fills", "pieces": 1}, "pieces = 1; allowed: a whole number from 2"),
    (
        {"on": "orders", "do": "partial_book", "part": 1},
        "part = 1; allowed: a part of the rows from 0, below 1",
    ),
    ({"on": "orders", "do": "partial_book", "part": -0.1}, "part = -0.1; allowed: a part of the rows"),
    ({"on": "orders", "do": "partial_book", "part": False}, "part = False; allowed: a part of the rows"),
    ({"on": "tick", "do": "absurd", "factor": 0}, "factor = 0; allowed: a number above 0"),
    (
        {"on": "frame", "do": "malformed", "sort": "odd"},
        "sort = 'odd'; allowed: count_too_high, count_too_low",
    ),
    (
        {"on": "instruments", "do": "dump", "sort": "odd"},
        "sort = 'odd'; allowed: missing, yesterday, truncated",
    ),
    ({"on": "any", "do": "token_death", "sockets": "open"}, "sockets = 'open'; allowed: close, silent, mute"),
    (
        {"on": "frame", "do": "ws_reset", "connection": 0},
        "connection = 0; allowed: the number of a connection",
    ),
    ({"on": "update", "do": "ws_reset", "connection": 1}, "connection: an update goes to all of them"),
    (
        {"do": "square_off", "at": "15:00:00", "times": 2},
        "times counts calls, and square_off without on has none",
    ),
    (
        {"do": "square_off", "after_s": 1, "for_s": 2},
        "for_s counts calls, and square_off without on has none",
    ),
    ({**OWN, "order": "buy"}, "order = 'buy'; allowed: a table with exchange, tradingsymbol"),
    ({**OWN, "order": {"exchange": "NSE"}}, "allowed: a table with exchange, tradingsymbol"),
    ({**OWN, "order": {**GOOD["order"], "colour": "red"}}, "allowed: a table with exchange"),
    ({**OWN, "order": {**GOOD["order"], "quantity": [1]}}, "allowed: a table with exchange"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_a_mistake_names_the_fault_the_key_and_what_is_allowed(wrong, said):
    message = mistake(DROP, wrong)
    assert "faults.json: fault 2: " in message
    assert said in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[fault]", "neither TOML nor JSON"),
        ("{", "neither TOML nor JSON"),
        ('{"faults": []}', "unknown key 'faults'; a script has [[fault]] tables, and `clear`"),
        ("fault = 3", "fault is not a list of tables"),
        ("[fault]\ndo = 'down'", "fault is not a list of tables"),
        ('{"fault": [3]}', "fault is not a list of tables"),
        ('{"clear": 1}', "clear = 1; allowed: true or false"),
    ],
)
def test_text_that_is_no_script_is_refused_with_the_name_of_its_file(text, said):
    with pytest.raises(DataError) as caught:
        read_script(text, "faults.json")
    assert str(caught.value).startswith("faults.json: ")
    assert said in str(caught.value)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from(
    sorted(
        {key for kind in KINDS.values() for key in (*kind.needs, *kind.takes)}
        | {"on", "nth", "p", "at", "symbol"}
    )
)


@given(st.sampled_from(sorted(KINDS)), st.dictionaries(keys, json_values, max_size=4))
def test_whatever_a_fault_says_it_is_read_or_refused_with_its_number(do, changes):
    try:
        (fault,) = read({**table(do), **changes}).faults
    except DataError as error:
        assert str(error).startswith("faults.json: fault 1: ")  # noqa: PT017 - either way is right
    else:
        assert fault.do == do
        assert not fault.on or points_of(fault.on) <= KINDS[do].at


@given(st.text())
def test_any_text_is_a_script_or_a_data_error(text):
    try:
        read_script(text, "faults.toml")
    except DataError as error:
        assert "\n" not in str(error).split(": ", 1)[0]  # noqa: PT017 - either way is right


def test_every_call_of_the_exchange_can_be_struck():
    assert {route.kind for route in ROUTES} == CALLS


def test_a_word_for_several_points_means_all_of_them():
    assert points_of("any") == CALLS
    assert points_of("order") == ORDER == {"order.place", "order.modify", "order.cancel"}
    assert points_of("order.*") == {*ORDER, "order.history", "order.trades", "order.margins"}
    assert points_of("gtt") == {"gtt.place", "gtt.list", "gtt.get", "gtt.modify", "gtt.delete"}
    assert points_of("positions") == {"positions"}
    assert points_of("positions.*") == {"positions.convert"}
    assert points_of(FRAME) == {FRAME}
    assert points_of("prices") == {"tick", "quote", "ohlc", "ltp"}
    assert points_of("nonsense") == frozenset()
