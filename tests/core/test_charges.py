"""Flat charges: a percentage of the fill's value, half up to the paisa."""

from fractions import Fraction
from math import floor

import pytest
from builders import SELL, order
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.charges import flat
from alphapanda.events import Money


@pytest.mark.parametrize(
    ("percent", "price", "quantity", "charged"),
    [
        ("0.1", "1573.70", 10, "15.74"),
        ("0.1", "100", 1, "0.10"),
        ("0.1", "5", 1, "0.01"),
        ("0.1", "4.95", 1, "0.00"),
        ("0.1", "1005", 1, "1.01"),
        ("0", "1573.70", 10, "0.00"),
    ],
)
def test_a_fill_is_charged_half_up_to_the_paisa(percent, price, quantity, charged):
    assert str(flat(Money(percent))(order(), Money(price), quantity)) == charged


def test_a_sale_is_charged_as_a_purchase():
    charge = flat(Money("0.1"))
    assert charge(order(SELL), Money(100), 7) == charge(order(), Money(100), 7) == Money("0.70")


@given(st.decimals("0", "5", places=4), st.decimals("0.05", "100000", places=2), st.integers(1, 100_000))
def test_charges_equal_the_exact_percentage_rounded_half_up(percent, price, quantity):
    paise = Fraction(percent) * Fraction(price) * quantity
    assert Fraction(flat(percent)(order(), price, quantity)) * 100 == floor(paise + Fraction(1, 2))
