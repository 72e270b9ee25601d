"""Random days with real cores: no limit is ever passed, crashes and unknown outcomes included."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_days import Exceeded, RandomDay

from alphapanda.core.rules import Claims
from alphapanda.events import Order

MET = {
    *("max_order_quantity", "max_order_value", "max_position_quantity", "max_open_positions"),
    *("max_gross_exposure", "available_cash", "max_daily_loss", "max_orders_per_second"),
    *("duplicate_window_s", "prevent_self_match"),
}


def test_no_day_passes_a_limit_and_most_limits_are_met():
    met: Counter[str] = Counter()
    crashes = fills = 0
    for seed in range(300):
        day = RandomDay(seed)
        day.run()
        met += day.refused
        crashes += day.crashes
        fills += len(day.fills)
    assert met.keys() >= MET
    assert min(crashes, fills) > 300


@settings(max_examples=60, deadline=None)
@given(st.integers(10**6, 10**12))
def test_no_seed_finds_a_day_that_passes_a_limit(seed):
    RandomDay(seed).run()


def run_all(seeds):
    for seed in seeds:
        RandomDay(seed).run()


def test_a_day_notices_when_what_is_on_its_way_is_not_counted(monkeypatch):
    """The trial itself: it must be able to fail."""
    real = Claims.__init__

    def forgetful(self, book, in_flight: dict[str, Order], *rest):
        real(self, book, {}, *rest)

    monkeypatch.setattr(Claims, "__init__", forgetful)
    with pytest.raises(Exceeded):
        run_all(range(300))
