"""Reasons to hold a symbol: the gate opens when the last owner lets go."""

from alphapanda.venues.zerodha.holds import EVERYTHING, Holds


def holding():
    gate: dict[str, str] = {}
    return gate, Holds(gate.__setitem__, gate.__delitem__)


def test_the_gate_opens_when_the_last_owner_lets_go():
    gate, holds = holding()
    holds.hold("doubt", "NSE:INFY", "in doubt")
    holds.hold("comparison", "NSE:INFY", "differs")
    holds.release("comparison", "NSE:INFY")
    assert gate == {"NSE:INFY": "in doubt"}
    holds.release("doubt", "NSE:INFY")
    holds.release("doubt", "NSE:INFY")
    holds.release("nobody", "NSE:TCS")
    assert gate == {}


def test_of_one_owner_exactly_what_is_wanted_is_held():
    gate, holds = holding()
    holds.hold("session", EVERYTHING, "dead")
    holds.only("doubt", {"NSE:INFY": "a", "NSE:TCS": "b"})
    holds.only("doubt", {"NSE:TCS": "b"})
    assert gate == {EVERYTHING: "dead", "NSE:TCS": "b"}
    holds.only("doubt", {})
    assert gate == {EVERYTHING: "dead"}
