"""The sync shell: the same cores as the live line, called directly, one row a turn."""

from alphapanda.backtest.loop import Backtest
from alphapanda.backtest.report import Result, run_backtest

__all__ = ["Backtest", "Result", "run_backtest"]
