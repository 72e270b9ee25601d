"""First in, first out."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.lots import Lot, closed_by
from alphapanda.events import Money

quantities = st.integers(-20, 20).filter(bool)
sizes = st.lists(st.integers(1, 20), max_size=8)


def test_the_oldest_lot_is_closed_first_and_the_last_one_in_part():
    lots = deque([Lot(5, Money(100), 1), Lot(5, Money(101), 2), Lot(5, Money(102), 3)])
    closed = list(closed_by(-7, lots))
    assert closed == [(Lot(5, Money(100), 1), 5), (Lot(5, Money(101), 2), 2)]
    assert lots == deque([Lot(3, Money(101), 2), Lot(5, Money(102), 3)])


@given(sizes, st.sampled_from([1, -1]), quantities)
def test_as_many_units_are_closed_as_there_are_on_the_other_side(sizes, side, quantity):
    lots = deque(Lot(side * size, Money(number)) for number, size in enumerate(sizes))
    before = list(lots)
    closed = list(closed_by(quantity, lots))
    units = sum(units for _, units in closed)
    against = abs(quantity) if quantity * side < 0 else 0
    assert units == side * min(sum(sizes), against)
    assert sum(lot.quantity for lot in lots) + units == side * sum(sizes)
    assert [lot for lot, _ in closed] == before[: len(closed)]
    assert all(units * lot.quantity > 0 and abs(units) <= abs(lot.quantity) for lot, units in closed)
