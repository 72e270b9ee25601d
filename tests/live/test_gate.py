"""The flag that is read right before a byte leaves."""

import pytest
from builders import TEN_NS, order

from alphapanda.live.gate import Gate


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
