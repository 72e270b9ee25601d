"""The flag that is read right before a byte leaves."""

import pytest
from builders import CLOSE, OPEN, TEN_NS, order

from alphapanda.live.gate import EVERYTHING, Gate


class Taker:
    def __init__(self):
        self.placed = []

    def place(self, order):
        self.placed.append(order)


def gate(*, ready=True):
    made = Gate()
    made.ready = ready
    return made


def test_it_is_closed_until_the_daemon_is_ready():
    made, broker = Gate(), Taker()
    assert not made.is_open
    assert made.send(order(), broker) is False
    made.ready = True
    assert made.is_open
    assert made.send(order(), broker) is True
    assert broker.placed == [order()]


def test_a_kill_closes_it_at_once_and_says_why():
    made, broker = gate(), Taker()
    made.kill("news", "uid 7", TEN_NS)
    assert not made.is_open
    assert made.send(order(), broker) is False
    assert broker.placed == []
    assert (made.reason, made.by, made.since_ns) == ("news", "uid 7", TEN_NS)


def test_being_ready_does_not_open_what_was_killed():
    made = gate(ready=False)
    made.kill("news", "uid 7", TEN_NS)
    made.ready = True
    assert not made.is_open


def test_rearming_opens_it_only_for_a_daemon_that_is_ready():
    made = gate()
    made.kill("news", "uid 7", TEN_NS)
    made.rearm("over", "uid 8", TEN_NS + 1)
    assert made.is_open
    assert (made.reason, made.by, made.since_ns) == ("over", "uid 8", TEN_NS + 1)
    made.ready = False
    assert not made.is_open


def test_an_error_of_the_broker_is_not_hidden():
    class Broken:
        def place(self, order):
            raise ConnectionError("reset")

    with pytest.raises(ConnectionError):
        gate().send(order(), Broken())


def test_the_operators_closing_order_passes_the_kill_switch_and_no_other_does():
    made, broker = gate(), Taker()
    made.kill("news", "uid 7", TEN_NS)
    by_hand = order(position_effect=CLOSE, by="uid 7")
    assert made.send(by_hand, broker) is True
    for other in (order(position_effect=CLOSE), order(position_effect=OPEN, by="uid 7")):
        assert made.send(other, broker) is False
    made.ready = False
    assert made.send(by_hand, broker) is False
    assert broker.placed == [by_hand]


def test_a_broker_that_is_held_takes_no_order_of_any_kind():
    made, broker = gate(), Taker()
    made.hold("paper", EVERYTHING, "the session is dead")
    for effect in (OPEN, CLOSE):
        assert made.send(order(position_effect=effect), broker) is False
    assert made.send(order(position_effect=CLOSE, by="uid 7"), broker) is False
    assert made.closed(order()) == ("broker_held", "paper takes no orders: the session is dead")
    assert made.lets(order(broker="other"))
    made.release("paper", EVERYTHING)
    assert made.send(order(), broker) is True


def test_a_symbol_that_is_held_may_be_left_and_not_entered():
    made = gate()
    made.hold("paper", order().instrument.key, "it differs")
    assert made.lets(order(position_effect=CLOSE))
    assert made.closed(order(position_effect=OPEN)).rule == "symbol_held"
    made.release("paper", order().instrument.key)
    assert made.lets(order(position_effect=OPEN))


def test_the_kill_switch_has_the_first_word():
    made = gate()
    made.hold("paper", EVERYTHING, "the session is dead")
    made.kill("news", "uid 7", TEN_NS)
    assert made.closed(order()) == ("kill_switch", "the kill switch is on: news")
    assert made.closed(order(position_effect=CLOSE, by="uid 7")).rule == "broker_held"
