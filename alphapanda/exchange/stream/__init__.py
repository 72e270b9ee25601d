"""The ticker: who is connected, what each has subscribed to, and what waits to be sent to them."""

from alphapanda.exchange.stream.connection import Connection, Ending
from alphapanda.exchange.stream.stream import Stream

__all__ = ["Connection", "Ending", "Stream"]
