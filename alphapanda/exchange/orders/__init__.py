"""Orders: asked for, checked, on their way, at the exchange, changed, and gone."""

from alphapanda.exchange.orders.desk import Desk

__all__ = ["Desk"]
