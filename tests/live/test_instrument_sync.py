"""What a start makes of a new instrument list: the past goes on under the tokens of today."""

from datetime import date, datetime

from builders import BUY, CLOSE, INFY, SELL, TCS, batch, fill, order, signal, tick
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sessions import plan

from alphapanda.events import Approved, Instrument, KnownDump, Money
from alphapanda.live.instruments import Synced, came_out, follow
from alphapanda.pipeline import Saved, build_cores
from alphapanda.times import IST, to_ns

NEW = replace(INFY, instrument_token=7_000_001, tick_size=Money("0.1"))
OLD = INFY.instrument_token
REUSED = replace(TCS, instrument_token=OLD)
"""Another symbol has the token that INFY had."""


def bought(instrument=INFY, quantity=3, number=1):
    """An order that was filled, and its fill."""
    made = order(BUY, quantity, number, instrument=instrument, filled_quantity=quantity)
    return made, fill(BUY, quantity, trade=number, order_id=made.order_id, instrument=instrument)


def saved(*pairs, marks=None):
    return Saved(
        orders=tuple(made for made, _ in pairs), fills=tuple(done for _, done in pairs), marks=marks or {}
    )


def held(past, *listed):
    """key -> quantity of the cores that are built of it."""
    cores = build_cores(plan(instruments=listed), past)
    return {each.instrument.key: each.quantity for each in cores.portfolio.positions() if each.quantity}


def test_what_is_held_is_valued_and_sold_under_its_new_token():
    past = follow(saved(bought(), marks={OLD: Money(104)}), [NEW, REUSED])
    cores = build_cores(plan(instruments=(NEW, REUSED)), past)
    (position,) = cores.portfolio.positions()
    assert (position.instrument, position.quantity, position.last_price) == (NEW, 3, Money(104))
    cores.risk.on(batch(tick(105.0, NEW.instrument_token)))
    asked = {"instrument_token": NEW.instrument_token, "position_effect": CLOSE}
    (approved,) = cores.risk.on(signal(SELL, 5, **asked))
    assert isinstance(approved, Approved)
    assert (approved.order.instrument, approved.order.quantity) == (NEW, 3)


def test_a_symbol_whose_token_was_anothers_gets_nothing_of_what_that_other_holds():
    assert held(follow(saved(bought()), [REUSED]), REUSED) == {"NSE:INFY": 3}
    (old,) = follow(saved(bought()), [REUSED]).orders
    assert old.instrument.instrument_token not in (OLD, 0)


def test_two_symbols_that_had_one_token_one_after_the_other_are_two():
    past = saved(bought(INFY, 3, 1), bought(REUSED, 5, 2), marks={OLD: Money(90)})
    followed = follow(past, [])
    assert held(followed) == {"NSE:INFY": 3, "NSE:TCS": 5}
    assert followed.marks == {}
    assert followed.orders[1].instrument == REUSED


def test_one_symbol_that_had_two_tokens_is_one_position():
    past = saved(
        bought(INFY, 3, 1), bought(NEW, 2, 2), marks={OLD: Money(90), NEW.instrument_token: Money(91)}
    )
    followed = follow(past, [])
    assert held(followed) == {"NSE:INFY": 5}
    assert followed.marks == {NEW.instrument_token: Money(91)}


def test_without_news_nothing_changes():
    past = saved(bought(INFY, 3, 1), bought(TCS, 5, 2), marks={OLD: Money(90), 5: Money(1)})
    assert follow(past, []) == past
    assert follow(past, [INFY, TCS]) == past


symbols = st.sampled_from(["A", "B", "C", "D"])
instruments = st.builds(lambda symbol, token: Instrument(token, "NSE", symbol), symbols, st.integers(1, 5))


@given(st.lists(instruments, max_size=12), st.lists(instruments, max_size=4, unique_by=lambda each: each.key))
def test_every_symbol_has_one_token_and_every_token_one_symbol(traded, listed):
    listed = list({each.instrument_token: each for each in listed}.values())
    past = saved(*(bought(each, number, number) for number, each in enumerate(traded, 1)))
    followed = follow(past, listed)
    tokens = {order.instrument.key: order.instrument for order in followed.orders}
    assert [each.instrument.key for each in followed.orders] == [each.key for each in traded]
    assert [each.quantity for each in followed.fills] == list(range(1, len(traded) + 1))
    assert all(tokens[each.instrument.key] == each.instrument for each in (*followed.orders, *followed.fills))
    everyone = {each.key: each.instrument_token for each in [*tokens.values(), *listed]}
    assert len(set(everyone.values())) == len(everyone)
    assert all(tokens.get(each.key, each) == each for each in listed)
    assert follow(followed, listed) == followed


def test_what_somebody_should_know_of_a_list_is_a_sentence_each():
    known = KnownDump(date(2026, 4, 15), True, 8, 100, "ab", 0, {})
    many = tuple(f"NSE:S{number} had 1, has 2" for number in range(7))
    assert Synced(dump=known, last=None).remarks() == []
    assert Synced(dump=known, last=known, moved=many[:1]).remarks() == [
        "symbols with a new token: NSE:S0 had 1, has 2"
    ]
    before = replace(known, day=date(2026, 4, 14))
    said = Synced(dump=known, last=before, moved=many, reused=("3 was NSE:A, is NSE:B",)).remarks()
    assert said[0].endswith("NSE:S4 had 1, has 2; and 2 more")
    assert said[1:] == [
        "tokens that are another symbol's now: 3 was NSE:A, is NSE:B",
        "it is word for word that of 2026-04-14: today's may not be out yet",
    ]


def test_a_list_that_was_read_before_half_past_eight_is_read_once_more():
    def at(day, hour, minute):
        return to_ns(datetime(2026, 4, day, hour, minute, tzinfo=IST))

    early, out, noon = at(16, 7, 40), at(16, 8, 30), at(16, 12, 0)
    assert [came_out(early, now) for now in (early, out - 1, out, noon)] == [False, False, True, True]
    assert not came_out(out, noon)
    assert not came_out(noon, at(17, 8, 29))
    assert came_out(noon, at(17, 8, 30))
