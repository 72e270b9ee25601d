from alphapanda.exchange.faults.fault import Fault
from alphapanda.exchange.faults.updates import Updates
from alphapanda.exchange.schedule import Schedule
from alphapanda.times import SECOND_NS

LATE, HELD = Fault(do="late_update", seconds=3), Fault(do="reorder_updates", seconds=1)
LOST, TWICE = Fault(do="lose_update"), Fault(do="duplicate_update")


def sent(*updates, until_s=0):
    """What goes out, as (text, second), of updates given as (text, second, faults); then time goes on."""
    passing, out = Updates(), []
    passing.schedule = schedule = Schedule()

    def send(text, now_ns):
        out.append((text, now_ns // SECOND_NS))

    for text, second, faults in updates:
        while schedule.run(second * SECOND_NS):
            pass
        passing.pass_on(faults, text, second * SECOND_NS, send)
    while schedule.run(until_s * SECOND_NS):
        pass
    return out


def test_an_update_without_a_fault_goes_at_once():
    assert sent(("a", 5, ())) == [("a", 5)]


def test_an_update_is_lost_or_doubled():
    assert sent(("a", 5, (LOST,)), ("b", 5, (TWICE,)), until_s=100) == [("b", 5), ("b", 5)]


def test_a_late_update_comes_after_those_that_came_later():
    assert sent(("a", 5, (LATE,)), ("b", 6, ()), until_s=100) == [("b", 6), ("a", 8)]


def test_two_updates_change_places_and_neither_is_sent_twice():
    assert sent(("a", 5, (HELD,)), ("b", 5, ()), ("c", 5, ()), until_s=100) == [("b", 5), ("a", 5), ("c", 5)]


def test_an_update_that_nobody_follows_comes_after_its_seconds():
    assert sent(("a", 5, (HELD,)), until_s=100) == [("a", 6)]
