import json
from types import SimpleNamespace

import pytest

from alphapanda.exchange.calls import Call, Refusal
from alphapanda.exchange.clock import Clock
from alphapanda.exchange.faults import Faults, Hands, Script, read_script
from alphapanda.exchange.faults.kinds import KINDS
from alphapanda.exchange.faults.wire import CLEAN
from alphapanda.exchange.history import History
from alphapanda.exchange.market.quote import Quote
from alphapanda.exchange.schedule import Schedule
from alphapanda.times import SECOND_NS, start_of

START = start_of(20_558) + 9 * 3600 * SECOND_NS + 15 * 60 * SECOND_NS
OWN = {
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "order_type": "MARKET",
    "quantity": 1,
    "product": "CNC",
}


class Bench:
    """Faults without an exchange: what they do with their hands is a list of words."""

    def __init__(self, *tables, seed=1):
        self.clock = Clock(START)
        self.history = History(lambda: 0)
        self.schedule = Schedule()
        self.did = []
        self.reached = True
        self.orders = {}
        self.faults = Faults(script(*tables), seed, self.history, self.clock)
        self.faults.begin(
            Hands(
                schedule=self.schedule,
                order=self.orders.get,
                kill=lambda now_ns, sockets: self.did.append(("kill", sockets)),
                by_hand=lambda fields, now_ns: self.did.append(("by hand", fields["tradingsymbol"])),
                square_off=lambda now_ns: self.did.append(("square off",)),
                strike=lambda fault, now_ns: self.did.append(("strike", fault.do)),
                in_reach=lambda fault: self.reached,
            )
        )

    def pass_time(self, seconds):
        until = self.clock.now_ns + int(seconds * SECOND_NS)
        while (due := self.schedule.next_ns) is not None and due <= until:
            self.clock.moved(due)
            self.schedule.run(due)
        self.clock.moved(until)

    def call(self, kind, number=1, path=None, query=(), **form):
        return self.faults.plan(
            Call(
                method="GET",
                url="/",
                kind=kind,
                number=number,
                path=path or {},
                query=query,
                form=tuple(form.items()),
                now_ns=self.clock.now_ns,
            )
        )

    @property
    def lines(self):
        return [json.loads(line) for line in self.history.lines()]

    @property
    def counts(self):
        return {row["fault"]: row["count"] for row in self.faults.report()["faults"]}


def script(*tables, **more):
    return read_script(json.dumps({"fault": list(tables), **more}), "faults.json")


def quote(**changes):
    return Quote(
        token=408_065, divisor=100, last=157_000, bids=[(5, 156_990, 1)], asks=[(9, 157_010, 3)], **changes
    )


def order(symbol="INFY", tag="AP1"):
    return SimpleNamespace(order_id="42", listed=SimpleNamespace(key=f"NSE:{symbol}"), tag=tag, status="OPEN")


def test_a_fault_that_fires_is_in_the_history_with_its_count_and_what_it_hit():
    bench = Bench({"on": "orders", "do": "down", "nth": [2, 3]})
    plans = [bench.call("orders", number) for number in (11, 12, 13, 14)]
    assert [plan is CLEAN for plan in plans] == [True, False, False, True]
    assert [
        (
            line["seq"],
            line["kind"],
            line["fault"],
            line["do"],
            line["on"],
            line["count"],
            line["request"],
            line["call"],
        )
        for line in bench.lines
    ] == [
        (1, "fault", 1, "down", "orders", 1, 12, "orders"),
        (2, "fault", 1, "down", "orders", 2, 13, "orders"),
    ]
    assert bench.counts == {1: 2}


def test_a_fault_that_never_fires_is_listed_with_nought():
    bench = Bench({"on": "trades", "do": "down"}, {"do": "square_off", "at": "15:20:00"})
    bench.call("orders")
    assert bench.counts == {1: 0, 2: 0}
    assert bench.lines == []


def test_each_fault_counts_its_own_calls():
    bench = Bench(
        {"on": "any", "do": "down", "nth": 3},
        {"on": "order", "do": "delay_after", "seconds": 1, "nth": 2},
    )
    for kind in ("orders", "order.place", "order.cancel", "order.history"):
        bench.call(kind)
    assert [(line["fault"], line["call"]) for line in bench.lines] == [
        (1, "order.cancel"),
        (2, "order.cancel"),
    ]


PAIRS = [
    ("drop_before", "ambiguous"),
    ("too_many", "html"),
    ("empty", "truncated"),
    ("html", "empty"),
    ("truncated", "cut_body"),
    ("reset_after", "no_content_type"),
    ("no_content_type", "drop_after"),
    ("down", "stuck"),
    ("stuck", "down"),
    ("drop_before", "late"),
    ("fill_before_reply", "reset_before"),
    ("stuck", "stuck"),
    ("stuck", "reject"),
    ("reject", "partial_fills"),
    ("partial_fills", "stuck"),
    ("stuck", "fill_before_reply"),
    ("token_death", "token_death"),
]
TOGETHER = [
    ("delay_before", "drop_before"),
    ("delay_after", "delay_after"),
    ("drop_after", "delay_after"),
    ("ambiguous", "late"),
    ("stuck", "drop_after"),
    ("late", "fill_before_reply"),
    ("html", "no_content_type"),
    ("token_death", "down"),
    ("manual_order", "manual_order"),
]
NEEDED = {"late": {"seconds": 1}, "delay_before": {"seconds": 1}, "delay_after": {"seconds": 1}}
NEEDED |= {"manual_order": {"order": OWN}, "reject": {"message": "No."}, "partial_fills": {"pieces": 2}}


def met_at_one_order(*kinds):
    bench = Bench(*({"on": "order.place", "do": do, **NEEDED.get(do, {})} for do in kinds))
    plan = bench.call("order.place")
    bench.faults.answered(SimpleNamespace(now_ns=START, number=1, kind="order.place"), plan, 200)
    assert sum(bench.counts.values()) == len(bench.lines)
    return plan, bench.counts


@pytest.mark.parametrize("kinds", PAIRS)
def test_of_two_faults_that_exclude_each_other_the_first_happens_and_is_counted(kinds):
    plan, counts = met_at_one_order(*kinds)
    assert counts == {1: 1, 2: 0}
    alone, _ = met_at_one_order(kinds[0])
    assert (plan.accepts, plan.cut, plan.reply) == (alone.accepts, alone.cut, alone.reply)


@pytest.mark.parametrize("kinds", TOGETHER)
def test_faults_that_combine_are_both_counted(kinds):
    _, counts = met_at_one_order(*kinds)
    assert counts == {1: 1, 2: 1}


def test_a_fault_that_did_not_happen_has_matched_and_may_still_have_its_times():
    bench = Bench(
        {"on": "orders", "do": "down", "nth": 1},
        {"on": "orders", "do": "html", "times": 1},
        {"on": "orders", "do": "timeout", "nth": 2},
    )
    for _ in range(4):
        bench.call("orders")
    assert [(row["matched"], row["count"]) for row in bench.faults.report()["faults"]] == [
        (4, 1),
        (4, 1),
        (4, 0),
    ]


def test_what_a_fault_does_to_an_order_counts_only_where_the_order_is_taken():
    bench = Bench({"on": "order.place", "do": "stuck", "times": 1})
    for status in (400, 200, 200):
        call = SimpleNamespace(now_ns=START, number=1, kind="order.place")
        bench.faults.answered(call, bench.call("order.place"), status)
        if status == 400:
            assert bench.counts == {1: 0}
            assert bench.lines == []
    assert bench.counts == {1: 1}


def test_prices_that_nobody_sees_are_not_spoilt():
    bench = Bench({"on": "quote", "do": "html", "nth": 1}, {"on": "quote", "do": "nan", "nth": 2})
    assert [bench.call("quote").effects.unseen for _ in range(3)] == [True, True, False]


def test_one_quote_one_message_and_one_connection_have_one_fault_each():
    bench = Bench(
        {"on": "tick", "do": "frozen"},
        {"on": "tick", "do": "zero"},
        {"on": "frame", "do": "malformed", "sort": "empty"},
        {"on": "frame", "do": "ws_reset"},
        {"on": "ws.connect", "do": "ws_mute"},
        {"on": "ws.connect", "do": "ws_refuse"},
    )
    assert bench.faults.tick(quote(), "NSE:INFY", START).last == 157_000
    assert bench.faults.frames(1, b"abcd", START)[0] == (b"",)
    assert [fault.do for fault in bench.faults.connecting(1, START)] == ["ws_mute"]
    assert bench.counts == {1: 1, 2: 0, 3: 1, 4: 0, 5: 1, 6: 0}


@pytest.mark.parametrize(
    ("kinds", "counts"),
    [
        (("duplicate_update", "late_update"), {1: 1, 2: 1}),
        (("reorder_updates", "duplicate_update"), {1: 1, 2: 1}),
        (("lose_update", "duplicate_update"), {1: 1, 2: 0}),
        (("late_update", "reorder_updates"), {1: 1, 2: 0}),
        (("duplicate_update", "ws_reset"), {1: 1, 2: 0}),
        (("late_update", "late_update"), {1: 1, 2: 0}),
    ],
)
def test_an_update_is_lost_or_late_or_twice_and_late(kinds, counts):
    needed = {"late_update": {"seconds": 1}}
    bench = Bench(*({"on": "update", "do": do, **needed.get(do, {})} for do in kinds))
    bench.faults.update(order(), "a", START, lambda text, now_ns: None)
    assert bench.counts == counts


def test_updates_that_are_all_reordered_change_places_in_pairs_of_which_one_was_held():
    bench, sent = Bench({"on": "update", "do": "reorder_updates"}), []
    for text in "abcde":
        bench.faults.update(order(), text, bench.clock.now_ns, lambda text, now_ns: sent.append(text))
    bench.pass_time(5)
    assert sent == ["b", "a", "d", "c", "e"]
    bench.faults.update(order(), "f", bench.clock.now_ns, lambda text, now_ns: sent.append(text))
    assert bench.counts == {1: 4}


def test_what_finds_no_session_and_no_connection_has_not_happened():
    bench = Bench({"do": "ws_close", "after_s": 1}, {"on": "orders", "do": "token_death"})
    bench.reached = False
    bench.pass_time(2)
    bench.call("orders")
    assert (bench.counts, bench.did, bench.lines) == ({1: 0, 2: 0}, [], [])


def test_without_a_point_and_a_time_it_happens_at_once():
    bench = Bench({"do": "square_off"})
    assert bench.did == []
    bench.pass_time(0)
    assert bench.did == [("square off",)]
    added = bench.faults.add(script({"do": "token_death"}))
    assert bench.did == [("square off",), ("kill", "close")]
    assert [row["count"] for row in added["added"]] == [1]


def test_a_fault_wants_its_symbol_and_its_tag():
    bench = Bench(
        {"on": "order.place", "do": "drop_after", "symbol": "INFY"},
        {"on": "order.place", "do": "too_many", "symbol": ["NSE:TCS", "BSE:INFY"], "tag": "AP9"},
        {"on": "order.cancel", "do": "down", "symbol": "NSE:INFY", "tag": ["AP1", "AP2"]},
        {"on": "quote", "do": "timeout", "symbol": "INFY"},
    )
    bench.orders["42"] = order()
    bench.call("order.place", 1, exchange="NSE", tradingsymbol="INFY")
    bench.call("order.place", 2, exchange="NSE", tradingsymbol="TCS")
    bench.call("order.place", 3, exchange="NSE", tradingsymbol="TCS", tag="AP9")
    bench.call("order.cancel", 4, {"order_id": "42"})
    bench.call("order.cancel", 5, {"order_id": "43"})
    bench.call("quote", 6, query=(("i", "NSE:TCS"), ("i", "NSE:INFY")))
    bench.call("quote", 7, query=(("i", "NSE:TCS"),))
    assert [(line["fault"], line["request"]) for line in bench.lines] == [(1, 1), (2, 3), (3, 4), (4, 6)]


def test_scripts_that_come_later_are_numbered_on_and_count_from_when_they_came():
    bench = Bench({"on": "orders", "do": "down", "times": 1})
    bench.pass_time(60)
    added = bench.faults.add(script({"on": "orders", "do": "timeout", "after_s": 10, "for_s": 5}))
    assert added["cleared"] == 0
    assert [(row["fault"], row["from"], row["until"]) for row in added["added"]] == [
        (2, "2026-04-15T09:16:10+05:30", "2026-04-15T09:16:15+05:30")
    ]
    for _ in range(4):
        bench.call("orders")
        bench.pass_time(4)
    assert bench.counts == {1: 1, 2: 1}


def test_clearing_takes_away_all_that_came_before_the_timed_ones_too():
    bench = Bench({"on": "orders", "do": "down"}, {"do": "square_off", "after_s": 5})
    assert bench.faults.watches_ticks is False
    answer = bench.faults.add(script({"on": "tick", "do": "zero"}, clear=True))
    assert answer["cleared"] == 2
    assert bench.faults.watches_ticks is True
    bench.pass_time(10)
    assert bench.call("orders") is CLEAN
    assert bench.did == []
    assert bench.counts == {3: 0}


def test_what_happens_by_the_clock_happens_then_and_is_counted():
    bench = Bench(
        {"do": "manual_order", "at": "09:15:01", "order": OWN},
        {"do": "square_off", "after_s": 2},
        {"do": "token_death", "after_s": 3, "sockets": "mute"},
        {"do": "ws_reset", "after_s": 4, "connection": 2},
    )
    bench.pass_time(0.9)
    assert bench.did == []
    bench.pass_time(10)
    assert bench.did == [("by hand", "INFY"), ("square off",), ("kill", "mute"), ("strike", "ws_reset")]
    assert [line["at"][17:19] for line in bench.lines] == ["01", "02", "03", "04"]
    assert [line["on"] for line in bench.lines] == [""] * 4
    assert bench.counts == {1: 1, 2: 1, 3: 1, 4: 1}


def test_what_happens_by_the_clock_may_also_be_hung_on_a_call():
    bench = Bench(
        {"on": "orders", "do": "token_death", "nth": 2},
        {"on": "order.place", "do": "manual_order", "order": OWN},
    )
    assert bench.call("orders").accepts
    assert bench.did == []
    assert bench.call("orders").accepts
    bench.call("order.place")
    assert bench.did == [("kill", "close"), ("by hand", "INFY")]


def test_a_handshake_is_refused_with_the_code_of_the_script():
    bench = Bench(
        {"on": "ws.connect", "do": "ws_refuse", "code": 429, "message": "Too many requests", "nth": 2}
    )
    assert bench.faults.connecting(1, START) == ()
    with pytest.raises(Refusal) as refused:
        bench.faults.connecting(2, START)
    assert (refused.value.code, refused.value.message) == (429, "Too many requests")
    assert [line["connection"] for line in bench.lines] == [2]


def test_socket_faults_may_want_one_connection():
    bench = Bench({"on": "ws.message", "do": "ws_mute", "connection": 2, "seconds": 5})
    assert bench.faults.received(1, START) == ()
    (fault,) = bench.faults.received(2, START)
    assert (fault.do, fault.seconds) == ("ws_mute", 5.0)


def test_price_faults_strike_single_quotes_and_not_the_call():
    bench = Bench({"on": "prices", "do": "zero", "symbol": "INFY", "times": 2})
    assert bench.call("quote", query=(("i", "NSE:INFY"),)) is CLEAN
    assert bench.faults.tick(quote(), "NSE:TCS", START).last == 157_000
    assert bench.faults.tick(quote(), "NSE:INFY", START).last == 0
    assert bench.faults.quoted("ltp", quote(), "NSE:INFY", START).last == 0
    assert bench.faults.quoted("ltp", quote(), "NSE:INFY", START).last == 157_000
    assert [(line["point"], line["instrument"]) for line in bench.lines] == [
        ("tick", "NSE:INFY"),
        ("ltp", "NSE:INFY"),
    ]


def test_a_book_that_cannot_cross_is_not_counted_as_crossed():
    bench = Bench({"on": "tick", "do": "crossed"})
    index = Quote(token=256_265, divisor=100, last=2_500_000)
    assert bench.faults.tick(index, "NSE:NIFTY 50", START) is index
    assert bench.lines == []


def test_a_frame_is_spoilt_or_sent_many_times():
    bench = Bench(
        {"on": "frame", "do": "malformed", "sort": "empty", "nth": 1},
        {"on": "frame", "do": "storm", "factor": 3, "nth": 2},
        {"on": "frame", "do": "ws_cut", "nth": 3},
    )
    assert bench.faults.watches_frames
    assert bench.faults.frames(1, b"abcd", START)[0] == (b"",)
    assert bench.faults.frames(1, b"abcd", START)[0] == (b"abcd",) * 3
    sent, struck = bench.faults.frames(1, b"abcd", START)
    assert sent == (b"abcd",)
    assert [fault.do for fault in struck] == ["ws_cut"]
    assert bench.faults.frames(1, b"abcd", START) == ((b"abcd",), ())


def test_an_update_of_a_wanted_order_is_sent_as_the_faults_want():
    bench = Bench(
        {"on": "update", "do": "duplicate_update", "symbol": "INFY", "tag": "AP1", "nth": 1},
        {"on": "update", "do": "late_update", "symbol": "TCS", "seconds": 2},
        {"on": "update", "do": "ws_close", "tag": "AP7"},
    )
    sent = []

    def send(text, now_ns):
        sent.append((text, (now_ns - START) // SECOND_NS))

    bench.faults.update(order(), "a", START, send)
    bench.faults.update(order(), "b", START, send)
    assert sent == [("a", 0), ("a", 0), ("b", 0)]
    bench.faults.update(order("TCS"), "c", START, send)
    bench.pass_time(3)
    assert sent[3:] == [("c", 2)]
    (fault,) = bench.faults.update(order(tag="AP7"), "d", START, send)
    assert (fault.do, fault.code) == ("ws_close", 1011)
    assert [line["order_id"] for line in bench.lines] == ["42"] * 3


def test_the_same_seed_and_calls_give_the_same_history():
    tables = (
        {"on": "any", "do": "down", "p": 0.3},
        {"on": "orders", "do": "html", "p": 0.5, "times": 20},
        {"on": "tick", "do": "absurd", "p": 0.2},
    )

    def run(seed):
        bench = Bench(*tables, seed=seed)
        for number in range(200):
            bench.call("orders" if number % 3 else "trades", number)
            bench.faults.tick(quote(), "NSE:INFY", bench.clock.now_ns)
            bench.pass_time(0.5)
        return list(bench.history.lines())

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_the_report_has_every_kind_with_what_it_takes():
    report = Faults(Script(), 1, History(lambda: 0), Clock(START)).report()
    assert report["faults"] == []
    assert report["kinds"]["late"] == {
        "meaning": KINDS["late"].meaning,
        "on": ["order.place"],
        "needs": ["seconds"],
        "takes": ["reply"],
    }
    assert report["kinds"]["down"]["on"] == "any call"
    assert report["kinds"]["dump"]["sorts"] == ["missing", "yesterday", "truncated", "reused"]
