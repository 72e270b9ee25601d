"""What a live feed's prices may be believed."""

from math import inf, nan

import pytest
from builders import BUY, CLOSE, INFY, OPEN, SELL, TCS, batch, book_of, signal, tick
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.risk import RiskManager
from alphapanda.core.rules import Marks, RefusedInARow, StalePrice, UntrustedPrice
from alphapanda.core.trust import FAR, HELD_NS
from alphapanda.events import Approved, Book, Snapshot
from alphapanda.times import SECOND_NS

TOKEN = INFY.instrument_token
HELD_S = HELD_NS / SECOND_NS


def marks_of(*batches):
    """The prices of a live feed that has just begun, and then these."""
    made = Marks()
    for each in (batch(lost=(TOKEN,)), *batches):
        made.take(each)
    return made


def problem(marks):
    found = marks.mark(TOKEN)
    return marks.trust.problem(TOKEN, None if found is None else found.tick)


def test_a_feed_that_says_nothing_is_believed_whatever_its_rows_have():
    marks = Marks()
    for price in (100.0, 1000.0, 1.0):
        marks.take(batch(tick(price)))
        assert (problem(marks), marks.mark(TOKEN).price) == (None, price)
    assert not marks.trust.watched


def test_nothing_is_believed_before_the_first_tick_of_a_connection():
    marks = marks_of()
    assert "not ticked" in problem(marks)
    marks.take(batch(tick(100.0, TCS.instrument_token)))
    assert "not ticked" in problem(marks)
    marks.take(batch(tick(100.0)))
    assert problem(marks) is None


def test_a_lost_connection_takes_the_trust_of_its_instruments_alone_and_the_next_tick_gives_it_back():
    marks = marks_of(batch(tick(100.0), tick(50.0, TCS.instrument_token)), batch(lost=(TOKEN,)))
    assert "not ticked" in problem(marks)
    assert marks.trust.problem(TCS.instrument_token, None) is None
    assert marks.mark(TOKEN).price == 100.0, "what is held is still worth the last price"
    marks.take(batch(tick(101.0)))
    assert problem(marks) is None


def test_what_rest_says_is_a_price_and_no_tick():
    marks = marks_of(batch(tick(100.0), lost=(TOKEN,)))
    assert "not ticked" in problem(marks)
    assert marks.mark(TOKEN).price == 100.0


@pytest.mark.parametrize("price", [0.0, -5.0, nan, inf])
def test_what_is_no_price_is_neither_taken_nor_followed_by_trust_until_there_is_one(price):
    marks = marks_of(batch(tick(100.0)), batch(tick(price)))
    assert "had the price" in problem(marks)
    assert marks.mark(TOKEN).price == 100.0
    marks.take(batch(tick(100.5)))
    assert (problem(marks), marks.mark(TOKEN).price) == (None, 100.5)


@pytest.mark.parametrize("price", [1000.0, 10.0, 100.0 * FAR, 100.0 / FAR])
def test_a_spike_is_no_mark_and_gone_with_the_next_true_price(price):
    marks = marks_of(batch(tick(100.0)), batch(tick(price), at=1))
    assert "believed once it has held" in problem(marks)
    assert marks.mark(TOKEN).price == 100.0
    marks.take(batch(tick(101.0), at=2))
    assert (problem(marks), marks.mark(TOKEN).price) == (None, 101.0)


def test_the_first_price_of_all_is_held_against_the_close_of_the_day_before():
    assert "believed once" in problem(marks_of(batch(tick(1000.0, close=100.0))))
    assert problem(marks_of(batch(tick(110.0, close=100.0)))) is None
    assert problem(marks_of(batch(tick(1000.0)))) is None


def test_a_new_price_is_believed_once_it_has_held_for_a_minute():
    spiked = [batch(tick(1000.0 + at), at=at) for at in range(int(HELD_S))]
    marks = marks_of(batch(tick(100.0)), *spiked)
    assert problem(marks) is not None
    marks.take(batch(tick(1000.0), at=HELD_S))
    assert (problem(marks), marks.mark(TOKEN).price) == (None, 1000.0)


def test_prices_that_leap_about_are_never_believed():
    leaps = [batch(tick(10_000.0 if at % 2 else 1_000.0), at=at * HELD_S) for at in range(10)]
    assert problem(marks_of(batch(tick(100.0)), *leaps)) is not None


@given(st.floats(1.0, 4.9), st.booleans())
def test_a_step_that_happens_is_never_doubted(factor, up):
    price = 100.0 * factor if up else 100.0 / factor
    marks = marks_of(batch(tick(100.0)), batch(tick(price)))
    assert (problem(marks), marks.mark(TOKEN).price) == (None, price)


def test_the_others_of_a_batch_with_a_spike_are_taken():
    marks = marks_of(
        batch(tick(100.0), tick(50.0, TCS.instrument_token)),
        batch(tick(1000.0), tick(51.0, TCS.instrument_token)),
    )
    assert marks.mark(TCS.instrument_token).price == 51.0
    assert marks.trust.untrusted == {TOKEN}


@pytest.mark.parametrize(("bid", "offer", "crossed"), [(101.0, 100.0, True), (100.0, 100.0, False)])
def test_a_crossed_book_is_not_believed(bid, offer, crossed):
    marks = marks_of(batch(tick(100.0, depth=book_of([(bid, 1)], [(offer, 1)]))))
    assert ("crossed" in (problem(marks) or "")) is crossed


# asked by risk


TRUSTED = (UntrustedPrice(),)


def risk_of(*batches, rules=TRUSTED):
    made = RiskManager(list(rules), {"paper": "MIS"}, tag_seed="AP", instruments=[INFY])
    for each in batches:
        made.on(each)
    return made


LIVE = (batch(lost=(TOKEN,)), batch(tick(100.0)))
LOST = batch(lost=(TOKEN,), at=1)


def verdict(risk, asked):
    (made,) = risk.on(asked)
    return "approved" if isinstance(made, Approved) else made.rule


def test_an_entry_waits_for_the_first_tick_and_an_exit_does_not():
    risk = risk_of(*LIVE, LOST)
    risk.on(Snapshot({"paper": Book(positions={("momentum_1", TOKEN): 5})}))
    assert verdict(risk, signal(BUY, 1, position_effect=OPEN)) == "price_not_trusted"
    assert verdict(risk, signal(SELL, 5, position_effect=CLOSE)) == "approved"
    risk.on(batch(tick(100.0), at=2))
    assert verdict(risk, signal(BUY, 1, position_effect=OPEN)) == "approved"


def test_the_exchange_s_own_time_ages_a_price_that_is_said_again_and_again():
    """A frozen quote: the same tick, its time included, over and over."""
    stale = StalePrice()
    again = [batch(tick(100.0), at=at) for at in range(20)]
    for live, said in ((True, "max_price_age_s"), (False, "approved")):
        risk = risk_of(*(LIVE if live else ()), *again, rules=(stale,))
        assert verdict(risk, signal(BUY, 1)) == said


def test_what_the_feed_lost_is_not_the_strategy_s_fault():
    risk = risk_of(*LIVE, LOST, rules=(UntrustedPrice(), RefusedInARow(max_refused_in_a_row=3)))
    for _ in range(10):
        assert verdict(risk, signal(BUY, 1)) == "price_not_trusted"
