"""The judge itself: a run in order breaks nothing, and each invariant is broken alone by a run for it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from builders import CLOSE, SECOND, SELL
from msgspec.structs import replace
from oracle.evidence import KILL_OFF, Command
from oracle.judge import INVARIANTS, judge, judged
from oracle_story import (
    Story,
    at,
    booked,
    intent,
    killed,
    latencies,
    lives,
    on_the_wire,
    ours,
    sample,
    their_order,
    their_trade,
    updated,
    write_store,
)

from alphapanda.events import Compared, OrderStatus, Resume

S = OrderStatus
BREACHES: dict[str, Callable[[Story], None]] = {}


def breaks(invariant: str) -> Callable[[Callable[[Story], None]], Callable[[Story], None]]:
    """The function changes a run in order so that it breaks this invariant, and no other."""

    def kept(change: Callable[[Story], None]) -> Callable[[Story], None]:
        BREACHES[f"{invariant} {change.__name__}"] = change
        return change

    return kept


@breaks("I1")
def sent_before_the_commit(story):
    story.wire[0] |= {"committed": False, "seq": 1}


@breaks("I1")
def sent_at_an_earlier_row(story):
    story.wire[0] |= {"seq": 1}


@breaks("I1")
def sent_without_an_intent(story):
    stranger = ours(9)
    story.place(1.3, 11, stranger)


@breaks("I2")
def two_orders_of_one_tag(story):
    story.say(1.3, "order", **their_order(ours(), "B2", "COMPLETE", 10))
    story.more["settled"] = False


@breaks("I2")
def placed_twice(story):
    story.wire.append(on_the_wire(1.3, ours(), seq=4))


@breaks("I3")
def an_order_of_ours_that_no_journal_has(story):
    story.say(1.3, "order", **their_order(ours(9), "B9", "OPEN"))


@breaks("I3")
def an_order_that_the_exchange_filled_and_we_think_open(story):
    story.events.pop()
    story.without("trade")


@breaks("I3")
def an_intent_that_is_neither_resolved_nor_unknown(story):
    story.events += [(2.0, event) for event in intent(ours(2))]


@breaks("I4")
def a_fill_that_was_lost(story):
    story.say(1.3, "trade", **their_trade(2))


@breaks("I4")
def a_fill_that_the_exchange_does_not_have(story):
    story.without("trade")


@breaks("I4")
def another_position_at_the_exchange(story):
    story.more["positions"] = [{"tradingsymbol": "INFY", "product": "MIS", "quantity": 9}]


def doubted(story: Story, seconds: float = 2.0) -> None:
    """A second order in doubt."""
    story.events += [(seconds, event) for event in intent(ours(2))]
    story.events.append((seconds + 0.1, updated(ours(2), S.UNKNOWN)))
    story.place(seconds + 0.05, 20, ours(2))
    story.more["quiet_period_s"] = 5.0


@breaks("I5")
def given_up_before_the_quiet_period(story):
    doubted(story)
    story.call(3.0, 21, "orders")
    story.events.append((3.1, updated(ours(2), S.NOT_FOUND)))


@breaks("I5")
def given_up_without_a_book(story):
    doubted(story)
    story.events.append((30.0, updated(ours(2), S.NOT_FOUND)))


@breaks("I5")
def settled_without_a_word_of_the_broker(story):
    doubted(story)
    story.events.append((2.3, updated(ours(2), S.REJECTED)))


@breaks("I6")
def sent_after_a_kill(story):
    killed(story)
    story.wire[0] |= {"monotonic_ns": at(10.2)}


@breaks("I6")
def opened_after_a_kill(story):
    killed(story)
    story.events += [(10.2, event) for event in intent(ours(2))]
    story.events.append((10.3, updated(ours(2), S.WITHHELD)))


@breaks("I6")
def changed_after_a_kill(story):
    killed(story)
    story.wire.append(on_the_wire(10.2, None, seq=4, method="PUT", committed=None))


@breaks("I7")
def left_open_after_a_kill(story):
    rests(story)
    killed(story)


def rests(story: Story) -> None:
    """A second order that rests at the exchange."""
    story.events += [(2.0, event) for event in intent(ours(2))]
    story.events.append((2.1, updated(ours(2), S.OPEN, broker_order_id="B2")))
    story.say(2.1, "order", **their_order(ours(2), "B2", "OPEN"))


@breaks("I8")
def opened_without_a_verdict(story):
    story.events = [each for each in story.events if type(each[1]).__name__ != "Approved"]
    story.wire[0] |= {"seq": 3}


@breaks("I8")
def over_the_limit_of_one_order(story):
    story.more["limits"] = {"max_order_quantity": 9}


@breaks("I8")
def over_the_limit_with_what_rests(story):
    rests(story)
    story.more["limits"] = {"max_position_quantity": 19}


@breaks("I8")
def more_placements_in_a_second_than_allowed(story):
    story.more["limits"] = {"max_orders_per_second": 1}
    rests(story)
    story.wire.append(on_the_wire(1.9, ours(2), seq=8))


@breaks("I9")
def entered_while_the_ticker_was_gone(story):
    story.say(1.3, "ws_close", connection=1, why="reset")
    doubted(story, 5.0)


@breaks("I9")
def entered_on_old_prices(story):
    story.more["max_price_age_s"] = 5.0
    doubted(story, 20.0)


@breaks("I9")
def connected_and_never_subscribed(story):
    story.say(1.3, "ws_close", connection=1, why="reset")
    story.ticker(1.4, connection=2, subscribes=False)
    story.say(9.0, "clock", do="pause")


@breaks("I10")
def a_queue_deeper_than_its_room(story):
    story.more["samples"] = [sample(1.0, depth=2000)]


@breaks("I10")
def more_descriptors_than_a_daemon_needs(story):
    story.more["samples"] = [sample(1.0, fds=5000)]


@breaks("I10")
def memory_that_grows(story):
    story.more["samples"] = [sample(1.0, rss_bytes=1 << 27), sample(2.0, rss_bytes=1 << 30)]


@breaks("I11")
def restarted_more_often_than_allowed(story):
    story.more["samples"] = [sample(1.0, "feed"), sample(60.0, "feed", restarts=13)]


@breaks("I12")
def open_again_after_its_end(story):
    one = booked(ours()).order
    story.events.append((1.3, updated(one, S.OPEN)))
    story.events.append((1.4, updated(one, S.FILLED)))


@breaks("I12")
def another_order_of_the_broker(story):
    story.events.insert(-1, (1.15, updated(ours(), S.OPEN, broker_order_id="B7")))


@breaks("I13")
def a_row_that_was_there_is_gone(story):
    story.wire[0] |= {"seq": 99, "hash": "00" * 16}


@breaks("I13")
def a_kill_that_was_forgotten(story):
    killed(story)
    story.events.pop()


@breaks("I15")
def two_at_once(story):
    story.more["lives"] = lives((0.0, 9.0), (5.0, None))


@breaks("I17")
def a_stranger_was_obeyed(story):
    stranger = Command(name=KILL_OFF, sent_ns=at(2), acked_ns=at(2.1), allowed=False)
    story.more["commands"] = [stranger]
    story.events.append((2.05, Resume("", "nobody", at(2))))


@breaks("I17")
def nobody_knows_who_it_was(story):
    story.more["commands"] = [Command(name="risk set", sent_ns=at(2), acked_ns=at(2.1))]


@breaks("I19")
def slower_without_telemetry(story):
    story.more["latencies"] = latencies(100, 6_000)


@breaks("I20")
def traded_before_the_books_were_read(story):
    story.more["lives"] = lives((0.5, None))


@breaks("I20")
def entered_in_a_frozen_symbol(story):
    frozen = Compared(broker="zerodha", occasion="running", time_ns=at(0), count=1, frozen=("NSE:INFY",))
    story.events.append((1.9, frozen))
    rests(story)


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_named_and_nothing_else_is(tmp_path, breach):
    story = Story()
    BREACHES[breach](story)
    found = judge(story.evidence(tmp_path))
    assert {each.invariant for each in found} == {breach.split()[0]}, found


def whole(tmp_path: Path) -> Story:
    """A run in order of which all is known: doubt that ended, a kill, a restart, and somebody who looked."""
    story = Story()
    doubted(story)
    story.call(7.5, 21, "orders")
    story.events.append((7.6, updated(ours(2), S.NOT_FOUND)))
    killed(story)
    undisturbed = tmp_path / "undisturbed.db"
    write_store(undisturbed, story.events)
    output = tmp_path / "log"
    output.write_text("nothing of interest")
    story.more |= {
        "lives": lives((0.0, 9.0), (9.1, None)),
        "samples": [sample(1.0), sample(2.0)],
        "latencies": latencies(100, 400),
        "limits": {"max_order_quantity": 10, "max_position_quantity": 20},
        "max_price_age_s": 5.0,
        "undisturbed": undisturbed,
        "outputs": [output],
        "secrets": ["a-secret"],
        "positions": [{"tradingsymbol": "INFY", "product": "MIS", "quantity": 10}],
    }
    return story


def test_a_run_in_order_of_which_all_is_known_is_decided_whole_and_clean(tmp_path):
    found = judged(whole(tmp_path).evidence(tmp_path))
    assert found.broken == []
    assert found.undecided == {}
    assert found.decided == INVARIANTS.keys() == {f"I{number}" for number in range(1, 21)}


def test_what_the_evidence_does_not_tell_is_undecided_and_can_be_asked_for(tmp_path):
    path = tmp_path / "empty.db"
    write_store(path, [])
    story = Story()
    story.events, story.history, story.wire = [], [], []
    run = story.evidence(tmp_path)
    assert judged(run).decided == set()
    assert judge(run) == []
    asked = judge(run, decided=("I1", "I7"))
    assert [each.invariant for each in asked] == ["I1", "I7"]
    assert all("undecided" in each.what for each in asked)


def test_a_secret_in_an_output_breaks_i16_and_is_not_repeated(tmp_path):
    story = whole(tmp_path)
    story.more["outputs"][0].write_text("token a-secret was refused")
    (broken,) = judge(story.evidence(tmp_path))
    assert broken.invariant == "I16"
    assert "a-secret" not in broken.what


def test_a_trade_too_many_breaks_i18(tmp_path):
    story = whole(tmp_path)
    path = tmp_path / "shorter.db"
    write_store(path, story.events[:5])
    story.more["undisturbed"] = path
    assert {each.invariant for each in judge(story.evidence(tmp_path))} == {"I18"}


@pytest.mark.parametrize(
    "hurt",
    [
        "UPDATE journal SET body = replace(body, 'NSE', 'BSE') WHERE seq = 3",
        "UPDATE orders SET reason = 'another'",
        "DELETE FROM ledger",
    ],
)
def test_a_store_that_was_changed_by_hand_breaks_i14(tmp_path, hurt):
    run = Story().evidence(tmp_path)
    with closing(sqlite3.connect(run.stores[0])) as connection, connection:
        connection.execute(hurt)
    assert "I14" in {each.invariant for each in judge(run)}


def test_leftovers_that_are_named_do_not_break_i7(tmp_path):
    for where in ("command", "status"):
        folder = tmp_path / where
        folder.mkdir()
        story = Story()
        rests(story)
        told = {"kill_switch": {"on": True, "leftovers": [{"order_id": ours(2).order_id, "why": "429"}]}}
        killed(story, document=told if where == "command" else None)
        story.more["samples"] = [replace(sample(12.0), status=told)] if where == "status" else []
        found = judged(story.evidence(folder))
        assert found.broken == []
        assert "I7" in found.decided


def test_what_a_kill_spares_does_not_break_i6(tmp_path):
    story = Story()
    killed(story)
    closing_order = ours(2, by="root", position_effect=CLOSE, transaction_type=SELL)
    story.events += [(10.2, event) for event in intent(closing_order)]
    story.events.append((10.3, updated(closing_order, S.REJECTED)))
    story.wire.append(on_the_wire(10.25, closing_order, seq=9))
    story.wire.append(on_the_wire(10.25, None, seq=9, method="DELETE", committed=None))
    found = judged(story.evidence(tmp_path))
    assert found.broken == []
    assert "I6" in found.decided


@pytest.mark.parametrize(("left", "invariants"), [(1.03, []), (1.046, ["I20"])])
def test_an_order_that_was_on_its_way_when_its_sender_died_does_not_break_i20(tmp_path, left, invariants):
    story = Story()
    story.more["lives"] = lives((0.0, 1.04), (1.045, None))
    story.wire[0] |= {"monotonic_ns": at(left), "wall_ns": at(left)}
    found = judged(story.evidence(tmp_path))
    assert [each.invariant for each in found.broken] == invariants
    assert "I20" in found.decided


def test_a_connection_that_has_just_died_does_not_break_i9(tmp_path):
    story = Story()
    story.say(1.0, "ws_close", connection=1, why="reset")
    found = judged(story.evidence(tmp_path))
    assert found.broken == []
    assert story.history[-1]["wall_ns"] - at(1.0) < SECOND
