"""The operator's word: what is adopted is booked once, what is ignored is external; nothing is guessed."""

import asyncio

import pytest
from builders import INFY, TCS, order
from kite_model import BROKER, OURS, SHARES, Kite, Ours
from msgspec.structs import replace

from alphapanda.core.comparison import OPERATOR, key_of
from alphapanda.events import ExternalSeen, Money, OrderAdopted, OrderStatus, PositionEffect
from alphapanda.store.recovery import fold

SAID = {"by": "uid 7", "reason": "seen in Kite"}
GIVEN = {"product": None, "price": None} | SAID


@pytest.fixture
def ours():
    loop = asyncio.new_event_loop()
    started = Ours(Kite(), [], loop)
    started.start()
    yield started
    loop.close()


def again(ours):
    ours.commit()
    restarted = Ours(ours.kite, ours.journal, ours._loop)
    restarted.start()
    return restarted


def adopt(ours, instrument=INFY, strategy_id="a", **fields):
    outputs = ours.settling.adopted(ours.look(), instrument, strategy_id, **GIVEN | fields)
    ours.carry(*outputs)
    ours.compare()
    return outputs


def test_what_differs_is_a_strategys_once_it_is_adopted_and_stays_so(ours):
    ours.kite.net[OURS] = 5
    adopted, _ = adopt(ours)
    assert isinstance(adopted, OrderAdopted)
    order_ = ours.cores.execution.order(adopted.order.order_id)
    assert (order_.by, order_.reason, order_.status) == ("uid 7", "seen in Kite", OrderStatus.FILLED)
    assert order_.average_price == Money(100), "the broker's"
    ours.kite.net[OURS] = 3
    second, _ = adopt(ours)
    assert second.order.order_id != adopted.order.order_id, "in the same moment"
    assert second.order.position_effect is PositionEffect.CLOSE
    restarted = again(ours)
    assert restarted.book() == {OURS: 3}
    assert not restarted.halts
    assert not restarted.requests


def test_what_was_external_moves_with_it_and_the_journal_says_who_did_it(ours):
    ours.carry(ours.settling.ignored(_moved(ours, 4), INFY.key, None, **SAID))
    assert ours.external.units[OURS] == 4
    seen, adopted, _ = adopt(ours, price=Money("99.95"))
    assert isinstance(seen, ExternalSeen)
    assert (seen.why, seen.by, seen.reason, seen.quantity) == (OPERATOR, "uid 7", "seen in Kite", 0)
    assert adopted.order.reference_price == Money("99.95")
    assert (ours.book(), dict(ours.external.units)) == ({OURS: 4}, {SHARES: 40})


def _moved(ours, units):
    ours.kite.net[OURS] = units
    return ours.look()


def test_an_adoption_that_a_crash_cut_off_ends_and_can_be_asked_for_again(ours):
    outputs = ours.settling.adopted(_moved(ours, 5), INFY, "a", **GIVEN)
    (opened,) = ours.cores.execution.on(outputs[0])
    ours.tap(opened)
    restarted = again(ours)
    (cut,) = fold([*restarted.journal, *restarted.pending]).saved.orders
    assert cut.status is OrderStatus.CANCELLED
    assert "5, our book 0" in restarted.halts[0]
    adopt(restarted)
    assert restarted.book() == {OURS: 5}


def test_what_agrees_or_is_not_there_is_neither_ignored_nor_adopted(ours):
    with pytest.raises(ValueError, match="there is no position in it"):
        ours.settling.ignored(ours.look(), TCS.key, None, **SAID)
    with pytest.raises(ValueError, match="40 as CNC there, 0 in our book, 40 not ours"):
        ours.settling.ignored(ours.look(), "NSE:ITC", None, **SAID)
    with pytest.raises(ValueError, match="is held as CNC, and orders here are MIS"):
        adopt(ours, replace(INFY, tradingsymbol="ITC"))


def test_a_symbol_in_several_products_is_not_guessed(ours):
    look = ours.look()
    look.theirs[OURS] = 2
    look.theirs[key_of("NSE", "INFY", "CNC")] = 3
    with pytest.raises(ValueError, match="say --product, one of CNC, MIS"):
        ours.settling.ignored(look, INFY.key, None, **SAID)
    assert ours.settling.ignored(look, INFY.key, "MIS", **SAID).quantity == 2


def test_what_moves_just_now_is_not_decided_upon(ours):
    look = _moved(ours, 2)
    look.touched.add(OURS)
    with pytest.raises(ValueError, match="trades just now"):
        ours.settling.ignored(look, INFY.key, None, **SAID)


def test_without_a_price_of_the_brokers_the_operator_has_to_name_one(ours):
    look = _moved(ours, 2)._replace(worths={})
    with pytest.raises(ValueError, match="say --price"):
        ours.settling.adopted(look, INFY, "a", **GIVEN)


def test_at_night_the_books_are_not_read_for_it(ours):
    ours.kite.day = 1
    with pytest.raises(ValueError, match="from 09:00 to 20:00"):
        ours.look()


def test_an_order_that_was_found_holds_its_symbol_over_restarts_until_it_is_accepted(ours):
    for number in (1, 2):
        ours.settling.on_found(
            order(sequence=number, broker=BROKER, broker_order_id=f"B{number}"), "NOT_FOUND"
        )
    assert "O000002" in ours.held[INFY.key], "at once"
    restarted = again(ours)
    assert "O000002" in restarted.held[INFY.key]
    with pytest.raises(ValueError, match="those that were: O000001, O000002"):
        restarted.settling.accept("O000009", "uid 7", "?")
    assert restarted.settling.accept("O000002", "uid 7", "seen") == INFY.key
    assert "reconcile adopt O000001" in restarted.held[INFY.key], "the other one still waits"
    restarted.settling.accept("O000001", "uid 7", "seen")
    assert restarted.held == {}
    assert again(restarted).held == {}
