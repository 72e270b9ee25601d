"""What follows when a task is down, and when it gave up."""

import pytest
from builders import CLOSE, SELL, order

from alphapanda.live.escalation import Escalation
from alphapanda.live.gate import Gate
from alphapanda.live.policies import Beyond, Supervision
from alphapanda.live.supervisor import Failed, GivenUp, Started

POLICIES = {
    "needed": Supervision(restarts=5, within_s=60, holds=True),
    "door": Supervision(restarts=5, within_s=60, holds=True, says_up=True),
    "numbers": Supervision(restarts=None, within_s=60),
}
ENTRY, EXIT = order(), order(SELL, position_effect=CLOSE)


@pytest.fixture
def desk():
    gate, halts = Gate(), []
    gate.ready = True
    return Escalation(gate, POLICIES, lambda why, by: halts.append((why, by))), gate, halts


def test_no_entry_leaves_while_a_task_is_down_that_trading_needs(desk):
    escalation, gate, halts = desk
    escalation.told(Failed("needed", "ValueError: no"))
    assert gate.closed(ENTRY) == ("entries_held", "no entries: needed is down: ValueError: no")
    assert gate.closed(EXIT) is None
    escalation.told(Started("needed"))
    assert gate.closed(ENTRY) is None
    assert halts == []


def test_a_door_that_is_started_is_not_open_before_it_says_so(desk):
    escalation, gate, _ = desk
    escalation.told(Failed("door", "OSError: no"))
    escalation.told(Started("door"))
    assert gate.closed(ENTRY) is not None
    escalation.up("door")
    assert gate.closed(ENTRY) is None


def test_telemetry_may_fail_without_an_order_noticing(desk):
    escalation, gate, halts = desk
    escalation.told(Failed("numbers", "ConnectionError: no"))
    assert gate.closed(ENTRY) is None
    assert halts == []


def test_two_tasks_that_are_down_are_both_waited_for(desk):
    escalation, gate, _ = desk
    escalation.told(Failed("needed", "a"))
    escalation.told(Failed("door", "b"))
    escalation.told(Started("needed"))
    assert gate.closed(ENTRY) == ("entries_held", "no entries: door is down: b")


@pytest.mark.parametrize(
    ("beyond", "entry", "out", "halted"),
    [
        (Beyond.HALT, False, True, [("needed failed often", "supervisor")]),
        (Beyond.HOLD, False, True, []),
        (Beyond.EXIT, False, False, []),
        (Beyond.NEVER, True, True, []),
    ],
)
def test_what_follows_when_a_task_gave_up(desk, beyond, entry, out, halted):
    """HALT is for the kill switch to do, which closes the gate itself; its end repairs no task."""
    escalation, gate, halts = desk
    escalation.told(GivenUp("needed", "needed failed often", beyond))
    assert gate.lets(ENTRY) is entry
    assert gate.lets(EXIT) is out
    assert halts == halted


def test_what_was_held_when_it_gave_up_goes_on_when_the_operator_starts_it(desk):
    escalation, gate, _ = desk
    escalation.told(GivenUp("needed", "needed failed often", Beyond.HOLD))
    escalation.told(Started("needed"))
    assert gate.closed(ENTRY) is None
