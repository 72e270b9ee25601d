import pytest
from desk_floor import SHARE, Floor

from alphapanda.exchange.order import Status
from alphapanda.exchange.orders.life import (
    LIFE,
    LONGEST_US,
    MICROSECOND_NS,
    SETTLED,
    SHORTEST_US,
    STANDING,
    Delays,
    Event,
    ImpossibleStep,
    after,
)

NEVER_REACHED = {Status.NOT_CANCELLED}
"""Kite's word for a cancel that the exchange refuses; here an order that trades meanwhile is COMPLETE."""
FIRST = {Status.RECEIVED, Status.AMO_RECEIVED}


def test_every_status_is_reached_and_every_one_but_the_last_leads_on():
    assert set(LIFE.values()) | FIRST == set(Status) - NEVER_REACHED
    assert {status for status, _ in LIFE} == {s for s in Status if not s.ended} - NEVER_REACHED


def test_nothing_happens_to_what_has_ended():
    for status in (status for status in Status if status.ended):
        for event in Event:
            with pytest.raises(ImpossibleStep, match="cannot"):
                after(status, event)


def test_from_anywhere_there_is_a_way_to_the_end():
    ends = {status for status in Status if status.ended}
    for _ in Status:
        ends |= {status for (status, _), then in LIFE.items() if then in ends}
    assert ends == set(Status) - NEVER_REACHED


def test_what_stands_at_the_exchange_can_trade_and_what_is_settled_can_be_changed():
    assert {status for status, event in LIFE if event is Event.FILL} == STANDING
    assert {status for status, event in LIFE if event is Event.MODIFY} == SETTLED
    assert {status for status, event in LIFE if event is Event.CANCEL} == SETTLED


def test_delays_come_from_the_seed_and_stay_within_their_bounds():
    delays, again, others = Delays(3), Delays(3), Delays(4)
    drawn = [delays.next_ns() for _ in range(500)]
    assert drawn == [again.next_ns() for _ in range(500)]
    assert drawn != [others.next_ns() for _ in range(500)]
    assert SHORTEST_US * MICROSECOND_NS <= min(drawn) <= max(drawn) <= LONGEST_US * MICROSECOND_NS
    assert len(set(drawn)) > 400


def test_an_order_is_open_ten_to_a_hundred_milliseconds_after_it_came_in():
    floor = Floor()
    for _ in range(20):
        order_id = floor.send(SHARE, price=99)["order_id"]
        floor.pass_(0.010)
        assert floor.row(order_id)["status"] != "OPEN"
        floor.pass_(0.090)
        assert floor.statuses(order_id) == [
            "PUT ORDER REQ RECEIVED",
            "VALIDATION PENDING",
            "OPEN PENDING",
            "OPEN",
        ]
