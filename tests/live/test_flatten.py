"""Closing what is held under the kill switch: one order at a time, a ladder, bounded tries, all named."""

from contextlib import suppress
from typing import NamedTuple

import pytest
from builders import BUY, CLOSE, INFY, SELL, TEN_NS, order, signal
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alphapanda.core.execution import ImpossibleReport, TradingEngine
from alphapanda.events import Approved, Money, OrderStatus, Position, Refused, Report, ReportKind, Verdict
from alphapanda.live.flatten import (
    FLATTEN,
    LADDER,
    LONGEST_PAUSE_S,
    REST_S,
    SETTLES_S,
    TRIES,
    Ask,
    Flatten,
    closing_of,
)
from alphapanda.live.sweep import Look, Sweep

HERE = {}
SWEPT = Look((), (), swept=True)
LAST = Money("1000.00")


def held(quantity=10, instrument=INFY, last=LAST):
    return Position(
        broker="paper",
        strategy_id="momentum_1",
        instrument=instrument,
        product="MIS",
        quantity=quantity,
        average_price=LAST,
        last_price=last,
        realized_pnl=Money(0),
        unrealized_pnl=Money(0),
    )


class Desk:
    """The real engine, and a clock of our own; a broker is what the test says."""

    def __init__(self, quantity=10):
        self.flatten, self.engine = Flatten(), TradingEngine()
        self.quantity, self.now_s, self.made = quantity, 1000.0, 0

    def look(self, after_s=0.0, away=HERE, found=SWEPT):
        self.now_s += after_s
        positions = [held(self.quantity)] if self.quantity else []
        return self.flatten.look(
            positions, self.engine.open_orders(), self.engine.order, self.now_s, away, found
        )

    def ask(self, closing):
        """As the line does it; the id of the order."""
        (ask,) = closing.asks
        self.flatten.asked(ask, self.now_s)
        self.made += 1
        close = closing_of(ask, INFY, None, TEN_NS, 0)
        made = order(close.transaction_type, close.quantity, self.made, position_effect=CLOSE, by=FLATTEN)
        approved = Approved(made, signal(close.transaction_type, close.quantity, by=FLATTEN))
        self.engine.on(approved)
        self.flatten.hear(approved)
        return made.order_id

    def tell(self, order_id, kind, **fields):
        self.engine.on(Report(order_id=order_id, kind=kind, time_ns=TEN_NS, **fields))

    def refuse(self, closing, rule="market_closed"):
        (ask,) = closing.asks
        self.flatten.asked(ask, self.now_s)
        self.flatten.hear(
            Refused(
                signal=signal(SELL, 10, by=FLATTEN),
                broker="paper",
                verdict=Verdict.REFUSED,
                rule=rule,
                why="closed",
                quantity=10,
            )
        )


def test_nothing_held_is_settled_at_once():
    assert Desk(0).look() == ([], [], [], True)


@pytest.mark.parametrize(("quantity", "side"), [(10, SELL), (-10, BUY)])
def test_a_position_is_closed_at_market_by_an_order_of_the_other_side(quantity, side):
    (ask,) = Desk(quantity).look().asks
    close = closing_of(ask, INFY, None, TEN_NS, 7)
    assert (close.transaction_type, close.quantity, close.price) == (side, 10, None)
    assert (close.by, close.row) == (FLATTEN, 7)


def test_the_sweep_of_its_instrument_comes_first_unless_what_rests_there_is_named():
    desk, rests = Desk(), replace(order(BUY, 5, 9), status=OrderStatus.OPEN)
    desk.engine = TradingEngine([rests])
    assert desk.look(found=Look((), (), swept=False)).asks == []
    sweep = Sweep()
    sweep.look([rests], 0.0, HERE)
    named = sweep.look([rests], 100.0, HERE)
    assert len(desk.look(found=named).asks) == 1


@pytest.mark.parametrize("kind", [ReportKind.SENT, ReportKind.NO_ANSWER, ReportKind.ACCEPTED])
def test_nothing_is_asked_for_while_a_closing_order_may_still_trade(kind):
    """UNKNOWN above all: a second one would sell what is not there."""
    desk = Desk()
    order_id = desk.ask(desk.look())
    desk.tell(order_id, kind)
    for _ in range(9):
        found = desk.look(after_s=1.0)
        assert (found.asks, found.cancels) == ([], [])
    (left,) = found.left
    assert order_id in left.why
    assert found.settled


def test_one_that_rests_too_long_is_taken_back_and_the_next_rung_is_tried():
    desk = Desk()
    order_id = desk.ask(desk.look())
    desk.tell(order_id, ReportKind.SENT)
    desk.tell(order_id, ReportKind.ACCEPTED)
    assert desk.look(after_s=REST_S - 0.1).cancels == []
    assert [each.order_id for each in desk.look(after_s=0.2).cancels] == [order_id]
    assert desk.look(after_s=0.1).cancels == []
    desk.tell(order_id, ReportKind.CANCELLED)
    assert desk.look().asks == []
    (ask,) = desk.look(after_s=0.5).asks
    assert ask.through == LADDER[1]


def test_somebody_elses_close_is_waited_for_and_left_alone():
    desk = Desk()
    mine = replace(order(SELL, 10, 9, position_effect=CLOSE, by="uid 7"), status=OrderStatus.OPEN)
    desk.engine = TradingEngine([mine])
    for _ in range(30):
        found = desk.look(after_s=1.0)
        assert (found.asks, found.cancels) == ([], [])


def test_a_rejection_is_named_at_once_and_tried_on_the_next_rung_with_longer_pauses():
    desk, rungs, pauses = Desk(), [], []
    for _ in range(TRIES):
        found, waited = desk.look(), 0.0
        while not found.asks:
            found, waited = desk.look(after_s=0.25), waited + 0.25
        rungs.append(found.asks[0].through)
        pauses.append(waited)
        order_id = desk.ask(found)
        desk.tell(order_id, ReportKind.SENT)
        desk.tell(order_id, ReportKind.REJECTED, reason="no market orders here")
        (left,) = desk.look().left
        assert "no market orders here" in left.why
    assert rungs == list(LADDER) * 3
    assert pauses == sorted(pauses)
    assert pauses[:4] == [0.0, 0.5, 1.0, 2.0]
    assert max(pauses) <= LONGEST_PAUSE_S
    for _ in range(100):
        found = desk.look(after_s=60.0)
        assert (found.asks, found.settled) == ([], True)
    assert f"given up after {TRIES} tries" in found.left[0].why


def test_what_our_own_rules_refuse_costs_no_try_and_is_asked_again_for_ever():
    desk = Desk()
    for _ in range(3 * TRIES):
        found = desk.look(after_s=LONGEST_PAUSE_S)
        assert found.asks[0].through is None
        desk.refuse(found)
        (left,) = desk.look().left
    assert left.why == "no closing order left: market_closed: closed"


def test_a_broker_out_of_reach_is_named_at_once_and_asked_when_it_is_back():
    desk = Desk()
    away = desk.look(away={"paper": "the session is dead"})
    assert (away.asks, away.settled) == ([], True)
    assert away.left[0].why == "the session is dead"
    assert len(desk.look(after_s=0.1).asks) == 1


def test_a_slice_that_has_traded_is_followed_by_the_next_at_once():
    desk = Desk()
    order_id = desk.ask(desk.look())
    desk.tell(order_id, ReportKind.SENT)
    desk.tell(order_id, ReportKind.FILL, quantity=10, price=LAST, trade_id="T1")
    desk.quantity = 4
    (ask,) = desk.look().asks
    assert ask.through is None


def test_a_contract_goes_in_slices_of_whole_lots_under_the_freeze_quantity():
    future = replace(INFY, exchange="NFO", lot_size=75)
    ask = Ask(held(4500, future), None)
    assert closing_of(ask, future, 1800, TEN_NS, 0).quantity == 1800
    assert closing_of(ask, future, 1799, TEN_NS, 0).quantity == 1725
    assert closing_of(ask, future, 50, TEN_NS, 0).quantity == 4500  # not one lot fits: the broker decides


@pytest.mark.parametrize(
    ("quantity", "lower", "upper", "price"),
    [
        (10, None, None, "990.00"),
        (-10, None, None, "1010.00"),
        (10, "995", None, "995"),
        (-10, None, "1003", "1003"),
    ],
)
def test_a_limit_is_through_the_last_price_and_inside_the_circuit(quantity, lower, upper, price):
    limits = {
        "lower_circuit_limit": lower and Money(lower),
        "upper_circuit_limit": upper and Money(upper),
    }
    instrument = replace(INFY, **limits)
    ask = Ask(held(quantity, instrument), Money("0.01"))
    assert closing_of(ask, instrument, None, TEN_NS, 0).price == Money(price)


def test_without_a_price_it_goes_at_market():
    assert closing_of(Ask(held(last=Money(0)), Money("0.01")), INFY, None, TEN_NS, 0).price is None


class Act(NamedTuple):
    pause_s: float
    kind: ReportKind | None
    away: bool


acts = st.lists(
    st.builds(
        Act,
        st.floats(0, 3),
        st.sampled_from(
            [None, *(kind for kind in ReportKind if kind not in (ReportKind.FILL, ReportKind.FOUND))]
        ),
        st.booleans(),
    ),
    max_size=60,
)


@given(acts)
def test_whatever_the_broker_says_there_is_never_a_second_closing_order_and_tries_are_bounded(walk):
    desk = Desk()
    desk.look()
    reached = 0
    for pause_s, kind, away in walk:
        found = desk.look(after_s=pause_s, away={"paper": "away"} if away else HERE)
        if found.asks:
            assert not away
            assert not desk.engine.open_orders()
            last = desk.ask(found)
            desk.tell(last, ReportKind.SENT)
            reached += 1
        elif desk.now_s > 1000.0 + SETTLES_S and desk.made:
            assert found.left
        for each in desk.engine.open_orders():
            if kind is not None and (each.status, kind) != (OrderStatus.UNKNOWN, ReportKind.WITHHELD):
                with suppress(ImpossibleReport):  # no news
                    desk.tell(each.order_id, kind, reason="so")
    withheld = sum(
        desk.engine.order(f"O{number:06d}").status is OrderStatus.WITHHELD
        for number in range(1, desk.made + 1)
    )
    assert reached - withheld <= TRIES
