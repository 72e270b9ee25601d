"""What the sweep asks for and names: time comes in, so none is waited for."""

import pytest
from builders import BUY, CLOSE, INFY, OPEN, SELL, TCS, order
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alphapanda.events import OrderStatus
from alphapanda.live.sweep import AGAIN_S, GRACE_S, ORDERS_PER_S, Sweep

HERE = {}
AWAY = {"paper": "the session is dead: expired"}


def resting(number=1, status=OrderStatus.OPEN, **fields):
    known = {"broker_order_id": f"B{number}"} | fields
    return replace(order(BUY, 3, number), status=status, **known)


def test_each_order_is_asked_for_at_once_and_again_only_after_a_while():
    sweep, rests = Sweep(), [resting(1), resting(2)]
    assert sweep.look(rests, 100.0, HERE).cancels == rests
    assert sweep.look(rests, 100.0 + AGAIN_S - 0.1, HERE).cancels == []
    assert sweep.look(rests, 100.0 + AGAIN_S, HERE).cancels == rests


def test_it_is_swept_when_nothing_is_open():
    sweep = Sweep()
    assert not sweep.look([resting()], 100.0, HERE).swept
    done = sweep.look([], 100.1, HERE)
    assert (done.cancels, done.left, done.swept) == ([], [], True)


def test_thirty_orders_have_n_tenths_and_five_seconds_then_each_is_named():
    sweep, rests = Sweep(), [resting(number) for number in range(1, 31)]
    bound_s = 30 / ORDERS_PER_S + GRACE_S
    assert bound_s == 8.0
    sweep.look(rests, 100.0, HERE)
    before = sweep.look(rests[:2], 100.0 + bound_s - 0.01, HERE)
    assert (before.left, before.swept) == ([], False)
    after = sweep.look(rests[:2], 100.0 + bound_s, HERE)
    assert [each.order_id for each in after.left] == ["O000001", "O000002"]
    assert after.swept
    (first, _) = after.left
    assert (first.broker_order_id, first.symbol, first.quantity) == ("B1", "NSE:INFY", 3)
    assert "was not done in time" in first.why


def test_an_order_whose_broker_is_out_of_reach_is_named_at_once_and_asked_for_all_the_same():
    found = Sweep().look([resting()], 100.0, AWAY)
    assert [each.why for each in found.left] == ["the session is dead: expired"]
    assert len(found.cancels) == 1
    assert found.swept


def test_once_its_broker_is_back_an_order_is_no_leftover_while_it_has_time():
    sweep = Sweep()
    sweep.look([resting()], 100.0, AWAY)
    again = sweep.look([resting()], 101.0, HERE)
    assert (again.left, again.swept) == ([], False)


def test_an_order_that_is_found_late_has_time_of_its_own():
    sweep = Sweep()
    sweep.look([resting(1)], 100.0, HERE)
    assert sweep.look([], 101.0, HERE).swept
    late = sweep.look([resting(2)], 500.0, HERE)
    assert [each.order_id for each in late.cancels] == ["O000002"]
    assert (late.left, late.swept) == ([], False)
    assert sweep.look([resting(2)], 500.1 + GRACE_S, HERE).left


@pytest.mark.parametrize(
    ("status", "number", "why"),
    [
        (OrderStatus.UNKNOWN, None, "nobody knows whether it is at the broker"),
        (OrderStatus.SENT, None, "has not given it a number"),
        (OrderStatus.PARTIAL, "B1", "cancel it in the broker's own application"),
    ],
)
def test_what_is_left_says_why(status, number, why):
    sweep, one = Sweep(), resting(status=status, broker_order_id=number)
    sweep.look([one], 100.0, HERE)
    (left,) = sweep.look([one], 200.0, HERE).left
    assert why in left.why
    assert left.status == status.value


def test_the_operators_own_closes_are_spared():
    mine = replace(order(SELL, 3, 1, position_effect=CLOSE), status=OrderStatus.OPEN, by="uid 7")
    found = Sweep().look([mine], 100.0, HERE)
    assert (found.cancels, found.left, found.swept) == ([], [], True)


looks = st.lists(
    st.tuples(st.floats(0, 4), st.sets(st.integers(1, 12)), st.booleans()), min_size=1, max_size=40
)


@given(looks)
def test_whatever_comes_and_goes_each_open_order_is_named_in_its_time_and_no_cancel_storms(walk):
    """Never named before its time but for a broker out of reach; never open and unnamed after it."""
    sweep, now_s = Sweep(), 1000.0
    since, asked = {}, {}
    for pause_s, numbers, away in walk:
        now_s += pause_s
        rests = [
            replace(resting(number), instrument=TCS if number % 2 else INFY, position_effect=OPEN)
            for number in sorted(numbers)
        ]
        since = {each: since.get(each, (now_s, len(numbers))) for each in numbers}
        asked = {each: asked.get(each, float("-inf")) for each in numbers}
        found = sweep.look(rests, now_s, AWAY if away else HERE)
        named = {int(each.order_id[1:]) for each in found.left}
        due = {each for each, (at_s, count) in since.items() if now_s >= at_s + count / 10 + GRACE_S}
        assert named == (numbers if away else due)
        assert found.swept is (named == numbers)
        for number in (int(each.order_id[1:]) for each in found.cancels):
            assert now_s - asked[number] >= AGAIN_S
            asked[number] = now_s
        assert all(now_s - at_s < AGAIN_S for at_s in asked.values())
