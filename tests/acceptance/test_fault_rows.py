"""Rows of the fault table that limits answer: absurd prices, and a strategy that floods."""

from bisect import bisect_left
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import running

from alphapanda.times import SECOND_NS

LIMITS = {
    "max_orders_per_second": 8,
    "max_orders_per_minute": 60,
    "max_position_quantity": 40,
    "prevent_self_match": True,
    "duplicate_window_s": 0.0,
    "max_price_jump_percent": 5.0,
    "max_frozen_s": 10.0,
}
TRIED = [{"id": "tried_1", "class": "strategies.tried:Tried", "instruments": ["NSE:INFY"]}]


def outcome(folder: Path, code: str, prices: list[tuple[float, float]], **limits: Any) -> dict[str, Any]:
    """What a replay of (seconds after 09:15, price) leaves of the strategy `Tried` in `code`."""
    (folder / "strategies").mkdir()
    (folder / "strategies" / "tried.py").write_text(dedent(code))
    running.write_config(folder, risk=LIMITS | limits, strategies=TRIED)
    running.write_ticks(folder, [(at, "INFY", price) for at, price in prices])
    done = running.run(folder, "run", "--feed", "replay", "--speed", "max", "--until-end")
    assert done.code == 0, done.stderr
    return {
        "signals": running.answer(folder, "signals"),
        "created": [
            at for (at,) in running.select(folder, "SELECT created_ns FROM orders ORDER BY created_ns")
        ],
        "strategies": running.run(folder, "strategies", "list").stdout,
    }


FLOOD = """
    from alphapanda.core.strategy import Strategy

    class Tried(Strategy):
        def on_market_data(self, tick):
            sides = (self.buy, self.sell)
            return [sides[number % 2](tick, 1 + number % 7) for number in range(50)]
"""


@pytest.mark.parametrize("repeats", [0, 25])
def test_M59_a_strategy_that_floods_is_throttled_and_taken_out(tmp_path, repeats):  # noqa: N802 - the fault's name
    """A thousand signals a second, both ways at once, for ten seconds."""
    prices = [(0.05 * row, 100.0 + 0.05 * (row % 3)) for row in range(200)]
    said = outcome(tmp_path, FLOOD, prices, max_repeated_orders=repeats)
    created, signals = said["created"], said["signals"]
    in_second = [bisect_left(created, start + SECOND_NS) - place for place, start in enumerate(created)]
    assert max(in_second) == 8
    assert len(created) <= 60
    verdicts = [row["rule"] or row["verdict"] for row in signals]
    assert {"approved", "max_orders_per_second"} <= set(verdicts)
    assert ("quarantined" in said["strategies"]) == bool(repeats)
    if repeats:
        assert "approved" not in verdicts[verdicts.index("max_repeated_orders") :]
    else:
        assert len(signals) == 10_000


BUYER = """
    from alphapanda.core.strategy import Strategy

    class Tried(Strategy):
        def on_market_data(self, tick):
            return [self.buy(tick, 1)]
"""


def test_M37_no_order_comes_of_a_spike_or_of_a_price_that_is_frozen(tmp_path):  # noqa: N802 - the fault's name
    """Crossed books and prices that no file may hold are in the tests of the rules."""
    spike = [(0.0, 100.0), (2.0, 1000.0), (4.0, 100.0)]
    frozen = [(10.0 + 2 * row, 101.0) for row in range(10)]
    said = outcome(tmp_path, BUYER, [*spike, *frozen])
    verdicts = [row["rule"] or row["verdict"] for row in said["signals"]]
    jumps, still = "max_price_jump_percent", "max_frozen_s"
    assert verdicts == ["approved", jumps, jumps, *["approved"] * 6, *[still] * 4]
