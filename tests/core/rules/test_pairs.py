"""Limits that another key makes pointless: what is one, and what is none."""

import pytest
from judging import all_limits

from alphapanda.core.rules import EVERYWHERE
from alphapanda.events import Money, Scope

MOMENTUM = Scope(strategy="momentum_1")
REPEATS, WINDOW = "max_repeated_orders", "repeat_window_s"
LOSSES, COOLDOWN = "max_losses_in_a_row", "loss_cooldown_s"
KEPT, MOST = "exit_reserve_per_second", "max_orders_per_second"


@pytest.mark.parametrize(("said", "key", "other", "words"), [
    ({REPEATS: 3, WINDOW: Money(0)}, REPEATS, WINDOW, "is 3, and does nothing because repeat_window_s is 0"),
    ({REPEATS: 3, WINDOW: Money("1e-10")}, REPEATS, WINDOW, "make repeat_window_s longer"),
    ({LOSSES: 2, COOLDOWN: Money(0)}, LOSSES, COOLDOWN, "does nothing because loss_cooldown_s is 0"),
    ({KEPT: 8, MOST: 8}, KEPT, MOST, "lets no entry pass because max_orders_per_second is 8"),
    ({KEPT: 9, MOST: 8}, KEPT, MOST, "make exit_reserve_per_second less than max_orders_per_second"),
    ({KEPT: 1, MOST: 0}, KEPT, MOST, "does nothing because max_orders_per_second is 0"),
], ids=str)  # fmt: skip
def test_what_is_pointless_names_both_keys_and_what_to_do(said, key, other, words):
    ((place, found),) = all_limits(said).pointless().items()
    assert place == (found.key, EVERYWHERE) == (key, EVERYWHERE)
    assert found.other == other
    assert words in found.problem


@pytest.mark.parametrize("said", [
    {},
    {WINDOW: Money(0), COOLDOWN: Money(0)},
    {REPEATS: 1, WINDOW: Money("0.001"), LOSSES: 1, COOLDOWN: Money("0.001")},
    {KEPT: 7, MOST: 8},
    {KEPT: 0, MOST: 0},
], ids=str)  # fmt: skip
def test_what_is_off_or_can_do_something_is_not(said):
    assert all_limits(said).pointless() == {}


def test_a_scope_is_judged_by_what_it_takes_over():
    said = {WINDOW: Money(0)}
    assert set(all_limits(said, [(MOMENTUM, {REPEATS: 3})]).pointless()) == {(REPEATS, MOMENTUM)}
    assert all_limits(said, [(MOMENTUM, {REPEATS: 3, WINDOW: Money(9)})]).pointless() == {}
