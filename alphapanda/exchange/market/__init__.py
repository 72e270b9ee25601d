"""The exchange's market: what is listed, when it trades, and its prices, invented or replayed."""

from alphapanda.exchange.market.market import Market
from alphapanda.exchange.market.opening import open_market
from alphapanda.exchange.market.quote import Quote

__all__ = ["Market", "Quote", "open_market"]
