"""Cancels: asked for once, and again only when a later book shows that nothing came of it."""

import pytest
from builders import order

from alphapanda.events import OrderStatus
from alphapanda.venues.zerodha.book_rows import OrderRow
from alphapanda.venues.zerodha.cancels import PAUSES_S, Cancels

RESTING = order(status=OrderStatus.OPEN, broker_order_id="B1")
ID = RESTING.order_id


def row(status="OPEN"):
    return OrderRow(order_id="B1", status=status)


def wanted():
    cancels = Cancels()
    cancels.want(ID)
    return cancels


def test_it_waits_for_the_brokers_id_and_leaves_once():
    cancels = wanted()
    assert not cancels.ask(order(), None, 0.0, 0.0)
    assert cancels.ask(RESTING, None, 0.0, 0.0)
    cancels.want(ID)
    assert not cancels.ask(RESTING, row(), 100.0, 100.0)  # still under way
    assert cancels.wanted() == [ID]


@pytest.mark.parametrize(
    ("now_s", "asked_s", "shown", "again"),
    [
        (10.6, 10.5, row(), True),
        (10.6, 10.5, row("TRIGGER PENDING"), True),
        (10.4, 10.3, row(), False),  # too early
        (10.6, 10.0, row(), False),  # a book of before the answer
        (10.6, 10.5, row("CANCEL PENDING"), False),
        (10.6, 10.5, row("OPEN PENDING"), False),
        (10.6, 10.5, row("SOMETHING NEW"), False),
        (10.6, 10.5, None, False),
    ],
)
def test_it_is_asked_again_only_when_a_later_book_shows_the_order_at_rest(now_s, asked_s, shown, again):
    cancels = wanted()
    cancels.ask(RESTING, None, 0.0, 0.0)
    cancels.answered(ID, 10.0)
    assert cancels.ask(RESTING, shown, now_s, asked_s) is again


def test_one_that_found_no_turn_may_leave_at_once():
    cancels = wanted()
    cancels.ask(RESTING, None, 0.0, 0.0)
    cancels.answered(ID, 10.0, again=True)
    assert cancels.ask(RESTING, None, 10.0, 0.0)


def test_it_is_given_up_after_as_many_tries_as_there_are_pauses():
    cancels = wanted()
    for attempt in range(len(PAUSES_S)):
        now_s = 100.0 * (attempt + 1)
        assert cancels.ask(RESTING, row(), now_s, now_s)
        cancels.answered(ID, now_s)
    assert cancels.given_up(ID)
    assert not cancels.ask(RESTING, row(), 10_000.0, 10_000.0)
    cancels.forget(ID)
    cancels.answered(ID, 0.0)
    assert ID not in cancels
