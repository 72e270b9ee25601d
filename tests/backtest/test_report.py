"""The equity curve of a backtest, and what it says of strategies that failed."""

import pytest
import running

from alphapanda.backtest import run_backtest
from alphapanda.config import load
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay import DataSet

STRATEGY = """
from alphapanda.core.strategy import Strategy

class BuysFirst(Strategy):
    bought = ()

    def on_market_data(self, tick):
        if tick.instrument_token in self.bought:
            return []
        self.bought = {*self.bought, tick.instrument_token}
        return [self.buy(tick, 10)]

class AsksForTooMuch(Strategy):
    def on_market_data(self, tick):
        return [self.buy(tick, 10, price=1e30)]

class BuysTooMany(Strategy):
    def on_market_data(self, tick):
        return [self.buy(tick, 2000)]

class FailsAtTheStart(Strategy):
    def on_start(self, positions, orders):
        raise RuntimeError("not today")

class FailsAtTheEnd(Strategy):
    def on_stop(self):
        raise RuntimeError("nor tomorrow")
"""


@pytest.fixture
def walked(tmp_path):
    """Run a class of STRATEGY over rows of (second, symbol, price), without slippage and charges."""

    def walk(name, rows, header="timestamp,symbol,ltp"):
        (tmp_path / "own.py").write_text(STRATEGY)
        lines = [f"2024-01-31 10:00:{second:02},{rest}" for second, rest in rows]
        (tmp_path / "prices.csv").write_text("\n".join([header, *lines, ""]))
        config = running.write_config(
            tmp_path,
            paper_trading={"slippage_percent": 0.0, "commission_percent": 0.0},
            risk={"max_price_deviation_percent": 0.0, "max_refused_in_a_row": 3},
            strategies=[{"id": "own_1", "class": f"own:{name}", "instruments": ["NSE:INFY", "NSE:SBIN"]}],
        )
        book = InstrumentBook()
        data = DataSet([str(tmp_path / "prices.csv")], book)
        return run_backtest(load(config, environ={}, cwd=tmp_path), data, book)

    return walk


def test_a_fill_after_a_gap_is_no_drawdown(walked):
    summary = walked("BuysFirst", [(0, "INFY,100"), (1, "INFY,110"), (2, "INFY,111")]).summary
    assert summary["net_profit"] == 10.0
    assert summary["max_drawdown"] == 0.0


def test_a_fall_after_the_highest_point_is_one(walked):
    rows = [(0, "INFY,100"), (1, "INFY,100"), (2, "INFY,103"), (3, "INFY,99"), (4, "INFY,101")]
    assert walked("BuysFirst", rows).summary["max_drawdown"] == 40.0


def test_a_bar_is_filled_at_its_open_and_valued_at_its_close(walked):
    rows = [(0, "INFY,100,100,100,100"), (1, "INFY,120,120,95,95")]
    summary = walked("BuysFirst", rows, header="timestamp,symbol,open,high,low,close").summary
    assert (summary["net_profit"], summary["max_drawdown"]) == (-250.0, 250.0)


def test_the_loss_of_a_fill_that_leaves_nothing_is_on_the_curve(walked):
    rows = [(0, "INFY,100"), (1, "INFY,110"), (2, "INFY,105")]
    assert walked("BuysFirst", rows).summary["max_drawdown"] == 50.0


@pytest.mark.parametrize(
    ("name", "words"), [("FailsAtTheStart", "not today"), ("FailsAtTheEnd", "nor tomorrow")]
)
def test_a_strategy_that_fails_at_either_end_is_told_of(walked, name, words):
    (remark,) = walked(name, [(0, "INFY,100")]).remarks()
    assert "own_1" in remark
    assert words in remark


def test_a_signal_that_no_order_could_hold_is_told_of(walked):
    result = walked("AsksForTooMuch", [(second, "INFY,100") for second in range(3)])
    (remark,) = result.remarks()
    assert remark == (
        "strategy own_1 raised and was quarantined at 2024-01-31 10:00:00+05:30:"
        " ValueError: price 1E+30 is over 1000000000"
    )


def test_a_strategy_that_risk_takes_out_is_told_of_and_asks_no_more(walked):
    result = walked("BuysTooMany", [(second, "INFY,100") for second in range(10)])
    assert [row["rule"] for row in result.signals] == ["max_order_quantity"] * 3
    (remark,) = result.remarks()
    assert remark == (
        "strategy own_1 was quarantined at 2024-01-31 10:00:02+05:30:"
        " max_refused_in_a_row: 3 signals in a row came to nothing, the limit is 3"
    )
