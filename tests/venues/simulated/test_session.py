"""The simulated session as a feed: its rows, its day, and the same ticks for the same seed everywhere."""

import os
import subprocess
import sys
from datetime import datetime
from itertools import islice, pairwise
from pathlib import Path

import pytest
import simulation
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import first, session, ticks_of, written

from alphapanda.core.calendar import Calendar
from alphapanda.errors import DataError
from alphapanda.tables import calendar_table
from alphapanda.times import IST, to_ns
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.simulated import BUILT_IN, SimulatedSession, instrument_of

PINNED = "494d1e47ecea6c6ee80e0dffdf44b83fac35679448853e90d66f84b4d2b6d4f1"
"""The default session of seed 1. Other prices need another VERSION, or an old run would go on in them."""
TWO = ("NSE:INFY", "NSE:ITC")
names = st.from_regex(r"NSE:[A-Z][A-Z0-9&-]{0,8}", fullmatch=True)
keys = st.lists(st.sampled_from(BUILT_IN) | names, min_size=1, max_size=5, unique=True)


def test_the_default_session_is_the_same_in_every_process():
    ended = subprocess.run(
        [sys.executable, simulation.__file__],
        env=os.environ | {"PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ended.stdout == PINNED


def test_the_prices_come_from_nothing_that_differs_between_machines():
    """What could: the mathematical library, the hash of a text, and draws that Python may make otherwise."""
    folder = Path(sys.modules[SimulatedSession.__module__].__file__).parent
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    code = code.replace("isqrt(", "").replace("10**12", "")
    unsure = "hash( exp( log( sin( cos( sqrt( pow( ** gauss( choice( shuffle( randint( now( today("
    assert [word for word in unsure.split() if word in code] == []


@settings(max_examples=15, deadline=None)
@given(keys, st.integers(0, 10**12))
def test_every_walk_gives_the_same_rows_in_whatever_order_the_names_are_asked_for(chosen, seed):
    made = session(chosen, seed=seed)
    again = SimulatedSession(
        reversed(chosen), InstrumentBook(map(instrument_of, chosen)), seed=seed, volatility=made._volatility
    )
    walks = [made.batches(), made.batches(), again.batches()]
    for _ in range(200):
        rows = [next(walk, None) for walk in walks]
        assert rows[0] == rows[1] == rows[2]
    assert made.identity == again.identity


@settings(max_examples=15, deadline=None)
@given(keys, st.integers(0, 50))
def test_a_row_is_a_second_with_one_tick_at_most_of_each_name(chosen, seed):
    met = []
    rows = first(300, chosen, seed=seed)
    for number, row in enumerate(rows, 1):
        tokens = [tick.instrument_token for tick in row.ticks]
        assert row.row == number
        assert len(tokens) == len(set(tokens))
        assert {(to_ns(tick.timestamp), tick.timestamp.tzinfo) for tick in row.ticks} <= {(row.time_ns, IST)}
        assert not row.time_ns % 1_000_000_000
        new = [instrument.instrument_token for instrument in row.listed]
        assert set(new) == set(tokens) - set(met)
        met += new
    assert all(before.time_ns < after.time_ns for before, after in pairwise(rows))
    assert sorted(met) == sorted(instrument_of(key).instrument_token for key in chosen)


@settings(max_examples=10, deadline=None)
@given(names, st.integers(0, 50), st.sampled_from(["0", "1.5", "10"]))
def test_the_prices_of_a_name_do_not_depend_on_the_other_names(other, seed, volatility):
    chosen = {"seed": seed, "volatility": volatility}
    alone = list(ticks_of("NSE:ITC", first(400, ["NSE:ITC"], **chosen)))
    among = list(ticks_of("NSE:ITC", first(400, ["NSE:ITC", "NSE:TCS", other], **chosen)))
    seen = min(len(alone), len(among))
    assert seen > 50
    assert alone[:seen] == among[:seen]


def test_the_session_is_the_whole_of_one_trading_day():
    rows = list(simulation.whole(TWO))
    assert rows[0].time_ns == to_ns(datetime(2026, 4, 15, 9, 15, tzinfo=IST))
    assert rows[-1].time_ns // 10**9 == to_ns(datetime(2026, 4, 15, 15, 30, tzinfo=IST)) // 10**9 - 1
    calendar = Calendar(calendar_table())
    assert all(calendar.at(row.time_ns, instrument_of("NSE:INFY")).may_enter for row in rows)
    assert 10_000 < sum(1 for row in rows if row.ticks) < 22_500
    assert [row.row for row in rows] == list(range(1, 22_501))


def test_how_much_was_read_grows_to_one_and_begins_again():
    made = session(TWO)
    assert made.fraction_read() == 0.0
    walk = made.batches()
    fractions = [made.fraction_read() for _ in walk]
    assert fractions == sorted(fractions)
    assert 0.0 < fractions[0] < 0.001
    assert made.fraction_read() == 1.0
    next(made.batches())
    assert made.fraction_read() < 0.001
    assert made.warnings() == []


def test_identity_is_of_what_changes_the_prices():
    made = session(TWO, seed=3, volatility="1.5")
    assert made.identity == session(TWO, seed=3, volatility="1.50").identity
    others = [
        session(TWO, seed=4),
        session(TWO, seed=3, volatility="1.6"),
    ]
    assert len({made.identity, *(other.identity for other in others)}) == 3
    assert made.continues(made.identity)
    assert not any(made.continues(other.identity) for other in others)


def test_a_day_goes_on_with_other_names_in_the_same_second():
    made, more = session(TWO, seed=3), session([*TWO, "NSE:TCS"], seed=3)
    assert more.continues(made.identity)
    for one, other in islice(zip(made.batches(), more.batches(), strict=True), 500):
        assert (one.row, one.time_ns) == (other.row, other.time_ns)
        assert set(one.ticks) <= set(other.ticks)


@pytest.mark.parametrize("changed", [{"seed": 2}, {"volatility": "1.6"}], ids=["seed", "volatility"])
def test_another_seed_or_volatility_makes_other_prices(changed):
    usual = first(200, TWO)
    other = first(200, TWO, **changed)
    assert [written(row) for row in usual] != [written(row) for row in other]


def test_a_name_twice_is_one():
    assert len(session(["NSE:INFY", "nse:infy", "INFY"])._instruments) == 1


def test_the_token_that_was_traded_before_is_kept():
    book = InstrumentBook([instrument_of("NSE:INFY")])
    book.resolve("NSE", "INFY", 7)
    made = SimulatedSession(["NSE:INFY"], book, seed=1, volatility=session()._volatility)
    row = next(made.batches())
    assert {tick.instrument_token for tick in row.ticks} == {7}
    assert row.listed[0].tick_size == instrument_of("NSE:INFY").tick_size
    assert made.identity == session(["NSE:INFY"]).identity


def test_two_names_with_one_token_are_refused():
    book = InstrumentBook([instrument_of("NSE:INFY")])
    book.resolve("NSE", "OTHER", 408065)
    with pytest.raises(DataError, match="NSE:OTHER and NSE:INFY have the same instrument token 408065"):
        SimulatedSession(["NSE:INFY"], book, seed=1, volatility=session()._volatility)
