"""Market protection: a market order goes out as a limit order at a price somewhat worse than the last.

Prices are rupees. The table is Zerodha's (support, market price protection); which row a price on a boundary
belongs to is not documented: here it is the higher one. The limit is rounded towards the last price, so that
it is never further than the percentage, and is held within the circuit limits.
"""

from alphapanda.core.money import down_to_tick, percent_of, up_to_tick
from alphapanda.core.segments import segment_of
from alphapanda.events import Money, TransactionType
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.orders.asked import AUTOMATIC

SHARES_AND_FUTURES = (
    (Money(100), Money(2)),
    (Money(500), Money(1)),
    (None, Money("0.5")),
)
OPTIONS = (
    (Money(10), Money(5)),
    (Money(100), Money(3)),
    (Money(500), Money(2)),
    (None, Money(1)),
)
"""(below which last price, percent)."""


def percent(listed: Listed, last: Money, asked: Money) -> Money:
    """What `asked` comes to: itself, or the table's where it is -1."""
    if asked != AUTOMATIC:
        return asked
    table = OPTIONS if segment_of(listed.instrument).option else SHARES_AND_FUTURES
    return next(share for below, share in table if below is None or last < below)


def limit(
    listed: Listed, side: TransactionType, last: Money, share: Money, circuit: tuple[Money, Money]
) -> Money:
    """The worst price at which an order with a protection of `share` percent may trade."""
    tick = listed.instrument.tick_size
    lower, upper = circuit
    if side is TransactionType.BUY:
        return min(down_to_tick(last + percent_of(share, last), tick), upper)
    return max(up_to_tick(last - percent_of(share, last), tick), lower)


def tags(share: Money) -> list[str]:
    return ["mktp", f"mktp:{share:.2f}"]
