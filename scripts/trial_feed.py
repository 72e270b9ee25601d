"""Our live feed alone, in the process of a trial."""

import time
from collections.abc import Sequence

from alphapanda.events import Instrument
from alphapanda.venues.zerodha.books import Books
from alphapanda.venues.zerodha.calls import Calls
from alphapanda.venues.zerodha.clock import MarketClock
from alphapanda.venues.zerodha.governor import Governor
from alphapanda.venues.zerodha.roots import Roots
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.ticker import KiteFeed


def feed_of(roots: Roots, session: Session, instruments: Sequence[Instrument]) -> tuple[KiteFeed, Books]:
    """With REST for what is silent; close the books when it has ended."""
    books = Books(roots, session, Calls(Governor()))
    feed = KiteFeed(
        roots,
        session,
        instruments,
        MarketClock(time.monotonic_ns),
        quotes=books.quote,
        on_order_update=lambda: None,
    )
    return feed, books
