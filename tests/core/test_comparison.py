"""Our book against the broker's: what differs, and what follows from it."""

import pytest
from builders import BUY, INFY, SELL, TCS, TEN_NS, fill
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alphapanda.core.comparison import (
    MOST_FROZEN,
    NEVER,
    OPENING,
    OVERNIGHT,
    TRADE,
    Drift,
    Reconciled,
    compare,
    held_by,
    key_of,
    names_of,
    place_of,
    unwatched,
)
from alphapanda.events import ChargesCompared, Compared, Difference, ExternalSeen, Instrument, Money
from alphapanda.times import day_of

MIS, CNC = key_of("NSE", "INFY", "MIS"), key_of("NSE", "INFY", "CNC")
keys = st.builds(
    key_of, st.sampled_from(["NSE", "BSE"]), st.sampled_from(["INFY", "TCS"]), st.sampled_from(["MIS", "CNC"])
)
nets = st.dictionaries(keys, st.integers(-20, 20))


def difference(symbol="INFY", product="MIS", ours=0, theirs=1, external=0):
    exchange, _, _ = key_of("NSE", symbol, product)
    return Difference(
        exchange=exchange, tradingsymbol=symbol, product=product, ours=ours, external=external, theirs=theirs
    )


def test_delivery_shares_are_told_by_symbol_alone():
    assert key_of("NSE", "INFY", "CNC") == key_of("BSE", "INFY", "CNC") == ("", "INFY", "CNC")
    assert key_of("NSE", "INFY", "MIS") != key_of("BSE", "INFY", "MIS")
    assert names_of(CNC) == ("NSE:INFY", "BSE:INFY")
    assert names_of(MIS) == ("NSE:INFY",)


def test_what_is_held_is_the_sum_over_strategies_of_positions_as_of_fills():
    bse = Instrument(1, "BSE", "INFY")
    fills = [
        fill(BUY, 10, product="CNC"),
        fill(BUY, 5, product="CNC", instrument=bse, strategy_id="other"),
        fill(SELL, 4, product="MIS"),
        fill(BUY, 4, product="MIS", strategy_id="other"),
        fill(SELL, 3, product="MIS", instrument=TCS),
    ]
    assert held_by(fills) == {CNC: 15, key_of("NSE", "TCS", "MIS"): -3}


@given(nets, nets, nets, st.sets(keys))
def test_nothing_differs_exactly_where_ours_and_external_are_theirs(ours, theirs, external, left_out):
    found = {place_of(each): each for each in compare(ours, theirs, external, left_out)}
    for key in {*ours, *theirs, *external}:
        missing = theirs.get(key, 0) - ours.get(key, 0) - external.get(key, 0)
        assert (key in found) == (missing != 0 and key not in left_out)
        assert key not in found or found[key].missing == missing
    assert not found.keys() & left_out


@given(nets, nets, nets)
def test_what_is_taken_for_external_at_the_opening_leaves_nothing_that_differs(ours, theirs, external):
    changed = dict(external)
    for each in unwatched(compare(ours, theirs, external), OPENING):
        changed[place_of(each)] = changed.get(place_of(each), 0) + each.missing
    assert not compare(ours, theirs, changed)


def test_over_a_night_only_what_is_not_ours_may_have_changed():
    ours, not_ours = difference(ours=10, theirs=9), difference("TCS", theirs=5)
    assert unwatched([ours, not_ours], OVERNIGHT) == [not_ours]
    delivered = difference("INFY", product="CNC", theirs=9)  # what the broker could not square off
    assert unwatched([ours, not_ours, delivered], OVERNIGHT) == [not_ours]
    assert unwatched([ours, not_ours], OPENING) == [ours, not_ours]
    assert unwatched([ours, not_ours], "") == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (difference(ours=10, theirs=9), "NSE:INFY MIS: the broker has 9, our book 10"),
        (difference(product="CNC", external=3), "INFY CNC: the broker has 1, our book 0 and 3 not ours"),
    ],
)
def test_a_difference_is_said_with_its_figures(given, words):
    assert str(given) == words


def test_one_difference_is_a_race_and_two_in_a_row_freeze_the_symbol():
    drift = Drift()
    assert not drift.on([difference()]).hold
    assert drift.unsettled
    assert drift.on([difference()]).hold == {"NSE:INFY": str(difference())}
    assert drift.frozen == ("NSE:INFY",)
    assert not drift.unsettled
    assert not drift.on([difference()]).hold


def test_a_difference_that_goes_by_itself_freezes_nothing():
    drift = Drift()
    for _ in range(3):
        drift.on([difference()])
        assert not drift.on([]).hold
    assert drift.frozen == ()
    assert not drift.unsettled


def test_what_was_left_out_says_nothing_either_way():
    drift = Drift()
    drift.on([difference()])
    drift.on([], {MIS})
    assert drift.on([difference()]).hold
    drift.on([])
    assert not drift.on([], {MIS}).release
    assert drift.on([]).release == ("NSE:INFY",)


def test_a_frozen_symbol_is_let_go_once_it_agreed_twice():
    drift = Drift()
    for _ in range(2):
        drift.on([difference()])
    assert not drift.on([]).release
    assert drift.unsettled
    assert not drift.on([difference()]).release
    assert not drift.on([]).release
    assert drift.on([]).release == ("NSE:INFY",)
    assert drift.frozen == ()


def test_a_symbol_is_let_go_when_the_last_of_its_products_agrees():
    drift = Drift()
    for _ in range(2):
        drift.on([difference(), difference(product="CNC")])
    assert drift.frozen == ("BSE:INFY", "NSE:INFY")
    for _ in range(2):
        step = drift.on([difference()])
    assert step.release == ("BSE:INFY",)


def test_three_frozen_symbols_halt_and_say_so_once():
    drift = Drift()
    differ = [difference(symbol) for symbol in ("A", "B", "C")]
    drift.on(differ)
    step = drift.on(differ)
    assert "3 symbols" in step.halt
    assert str(differ[0]) in step.halt
    assert not drift.on(differ).halt


def test_two_products_of_one_symbol_are_one_symbol():
    drift = Drift()
    differ = [difference(), difference(product="CNC"), difference("TCS")]
    for _ in range(3):
        assert not drift.on(differ).halt


symbols = st.sampled_from(["A", "B", "C", "D"])


@given(st.lists(st.tuples(st.sets(symbols), st.sets(symbols)), max_size=20))
def test_the_frozen_are_those_held_and_not_released(rounds):
    """By the rule itself: two in a row freeze or release, what was left out counts as neither."""
    drift, held, halts = Drift(), set(), 0
    streak, frozen = dict.fromkeys("ABCD", 0), set()
    for found, left_out in rounds:
        differing = found - left_out
        step = drift.on(
            [difference(symbol) for symbol in differing], {key_of("NSE", each, "MIS") for each in left_out}
        )
        for symbol in set("ABCD") - left_out:
            differs = symbol in differing
            if differs != (symbol in frozen):
                streak[symbol] += 1
            else:
                streak[symbol] = 0
            if streak[symbol] == 2:
                frozen ^= {symbol}
                streak[symbol] = 0
        held = (held | step.hold.keys()) - set(step.release)
        halts += bool(step.halt)
        assert held == set(drift.frozen) == {f"NSE:{symbol}" for symbol in frozen}
        assert drift.unsettled == any(streak.values())
        assert not step.halt or len(frozen) >= MOST_FROZEN
        assert halts or len(frozen) < MOST_FROZEN


def test_the_journal_says_what_is_external_and_which_trades_made_it_so():
    known = Reconciled()
    assert known.day == NEVER
    infy = {"broker": "zerodha", "exchange": "NSE", "tradingsymbol": "INFY", "time_ns": TEN_NS}
    seen = ExternalSeen(**infy, product="MIS", change=5, quantity=5, why=OPENING)
    known.on(seen)
    known.on(replace(seen, change=-3, quantity=2, why=TRADE, broker_order_id="1", trade_id="7"))
    known.on(Compared(broker="zerodha", occasion="start", time_ns=TEN_NS, count=1))
    known.on(ChargesCompared(**infy, broker_order_id="9", ours=Money(5), theirs=Money(4)))
    assert known == Reconciled(external={MIS: 2}, taken={("1", "7"): 3}, charged={"9"}, day=day_of(TEN_NS))


def test_no_position_is_external_that_strategies_hold():
    assert held_by([fill(BUY, 10), fill(SELL, 10)]) == {}
    assert held_by([fill(BUY, 10)]) == {key_of(INFY.exchange, INFY.tradingsymbol, fill().product): 10}
