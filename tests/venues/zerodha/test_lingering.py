"""An order that stays on its way is told of once."""

from builders import order

from alphapanda.events import OrderStatus
from alphapanda.venues.zerodha.book_rows import OrderRow
from alphapanda.venues.zerodha.lingering import Lingering

ON_ITS_WAY = order(status=OrderStatus.OPEN, broker_order_id="B1")


def alarms(status, *moments, order=ON_ITS_WAY):
    lingering = Lingering(60.0)
    row = OrderRow(order_id="B1", status=status) if status else None
    return [alarm for now_s in moments for alarm in lingering.look([(order, row)], now_s)]


def test_a_stuck_order_and_one_that_no_book_shows_are_told_of_once():
    for status, words in (("OPEN PENDING", "is OPEN PENDING"), ("", "in no book")):
        (alarm,) = alarms(status, 0.0, 59.0, 61.0, 500.0)
        assert words in alarm
        assert "NSE:INFY" in alarm


def test_an_order_that_rests_or_waits_to_be_sent_is_nothing_to_tell_of():
    for status in ("OPEN", "TRIGGER PENDING"):
        assert alarms(status, 0.0, 500.0) == []
    assert alarms("", 0.0, 500.0, order=order()) == []


def test_a_doubt_that_no_book_ends_is_told_of_once():
    unknown = order(status=OrderStatus.UNKNOWN)
    assert alarms("", 0.0, 59.0, order=unknown) == []
    (alarm,) = alarms("", 0.0, 59.0, 61.0, 500.0, order=unknown)
    assert "is in doubt for over 60 s" in alarm


def test_an_order_that_has_ended_and_whose_trades_do_not_come_is_told_of_once():
    assert alarms("COMPLETE", 0.0, 59.0) == []
    (alarm,) = alarms("COMPLETE", 0.0, 61.0, 500.0)
    assert "is COMPLETE without all of its trades" in alarm


def test_an_order_that_moves_on_begins_anew():
    lingering = Lingering(60.0)
    for number, status in enumerate(("OPEN PENDING", "MODIFY PENDING", "CANCEL PENDING")):
        row = OrderRow(order_id="B1", status=status)
        assert lingering.look([(ON_ITS_WAY, row)], 50.0 * number) == []
