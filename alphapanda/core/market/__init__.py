"""The exchange behind the paper broker and the backtest, and the account that a broker keeps there."""

from alphapanda.core.market.account import SimulatedAccount
from alphapanda.core.market.rms import FEE, RMS, SquaringMarket, with_fee
from alphapanda.core.market.simulator import MarketSimulator

Market = MarketSimulator | SquaringMarket

__all__ = ["FEE", "RMS", "Market", "MarketSimulator", "SimulatedAccount", "SquaringMarket", "with_fee"]
