"""Exact rupees: the shortest text of a float, and rounding that never helps the trader."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.money import down_to_tick, exact, percent_of, slipped, to_average, to_paisa, up_to_tick
from alphapanda.events import Money, TransactionType

prices = st.floats(0.01, 1_000_000, allow_nan=False)
tick_sizes = st.sampled_from([Money(text) for text in ("0.01", "0.05", "0.0025", "0.03", "0.1", "1", "5")])


def test_a_float_becomes_the_decimal_that_prints_alike():
    assert exact(1573.7) == Money("1573.7")
    assert exact(0.1) + exact(0.2) == Money("0.3")


@given(prices)
def test_exact_and_float_are_each_others_inverse(price):
    assert float(exact(price)) == price


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        ("1.004", "1.00"),
        ("1.005", "1.01"),
        ("1.0049999999", "1.00"),
        ("-1.005", "-1.01"),
        ("-1.004", "-1.00"),
        ("0.125", "0.13"),
        ("0.135", "0.14"),
        ("7", "7.00"),
    ],
)
def test_a_half_paisa_is_rounded_away_from_zero(amount, rounded):
    assert str(to_paisa(Money(amount))) == rounded


@pytest.mark.parametrize(
    ("price", "tick_size", "down", "up"),
    [
        ("100.05", "0.05", "100.05", "100.05"),
        ("100.06", "0.05", "100.05", "100.10"),
        ("100.0999999999999", "0.05", "100.05", "100.10"),
        ("0.01", "0.05", "0", "0.05"),
        ("7", "0.03", "6.99", "7.02"),
    ],
)
def test_ticks_are_rounded_down_and_up_to_the_nearest_multiple(price, tick_size, down, up):
    assert down_to_tick(Money(price), Money(tick_size)) == Money(down)
    assert up_to_tick(Money(price), Money(tick_size)) == Money(up)


@given(prices.map(exact), tick_sizes)
def test_the_rounded_price_is_the_nearest_multiple_on_its_side_in_exact_arithmetic(price, tick_size):
    lower, upper = down_to_tick(price, tick_size), up_to_tick(price, tick_size)
    for rounded in (lower, upper):
        assert (Fraction(rounded) / Fraction(tick_size)).denominator == 1
    assert Fraction(price) - Fraction(tick_size) < Fraction(lower) <= Fraction(price)
    assert Fraction(price) <= Fraction(upper) < Fraction(price) + Fraction(tick_size)


@given(st.decimals("0", "100", places=4), st.decimals("0", "10000000", places=4))
def test_a_percentage_is_exact(percent, amount):
    assert Fraction(percent_of(percent, amount)) == Fraction(percent) * Fraction(amount) / 100
    assert isinstance(percent_of(percent, amount), Decimal)


@pytest.mark.parametrize("amount", ["1E+27", "-1E+40", "123456789012345678901234567890.125"])
def test_rounding_never_fails_for_want_of_digits(amount):
    assert abs(to_paisa(Money(amount)) - Money(amount)) <= Money("0.005")
    assert to_average(Money(amount)) == Money(amount)


@pytest.mark.parametrize(
    ("price", "side", "moved"),
    [("100", "BUY", "100.10"), ("100", "SELL", "99.90"), ("99.95", "BUY", "100.05")],
)
def test_slippage_and_the_tick_are_both_against_the_trader(price, side, moved):
    found = slipped(Money(price), TransactionType(side), Money("0.06"), Money("0.05"))
    assert found == Money(moved)
