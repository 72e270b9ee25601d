"""The account at the exchange: its money, positions and holdings, and what it may still do with them."""

from alphapanda.exchange.account.account import Account

__all__ = ["Account"]
