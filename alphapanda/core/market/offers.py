"""What the order book of a tick offers to an order.

Only what stands is taken: there is no model of the queue that an order of ours would wait in, nor of how the
book changes once we have taken from it. The next tick shows it anew.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import inf

from alphapanda.core.money import exact
from alphapanda.events import DepthLevel, MarketTick, Money, Order, TransactionType

Taken = dict[Money, int]
"""Price -> units that orders of ours have taken at it, on one tick."""


def offered(tick: MarketTick, side: TransactionType) -> Sequence[DepthLevel] | None:
    """The levels that an order of this side may take, best first; None where the tick has no usable book.

    A book is not used when nothing stands on either side, when its sides meet or cross, when a price is no
    price, or when the levels are out of order.
    """
    if tick.depth is None or tick.bar:
        return None
    bids = [level for level in tick.depth.buy if level.quantity > 0]
    asks = [level for level in tick.depth.sell if level.quantity > 0]
    # From the worst bid over the spread to the worst ask every price is above the one before it.
    rising = [level.price for level in [*reversed(bids), *asks]]
    if not rising or not rising[0] > 0 or not rising[-1] < inf:
        return None
    if not all(below < above for below, above in pairwise(rising)):
        return None
    return asks if side is TransactionType.BUY else bids


def walk(
    levels: Sequence[DepthLevel], order: Order, limit: Money | None, taken: Taken
) -> list[tuple[Money, int]]:
    """(price, quantity) of the order's trades, level by level, none worse than `limit`, in whole lots.

    What it takes is added to `taken`.
    """
    trades: list[tuple[Money, int]] = []
    sign, lot, left = order.transaction_type.sign, order.instrument.lot_size, order.pending_quantity
    for level in levels:
        price = exact(level.price)
        if left == 0 or (limit is not None and (price - limit) * sign > 0):
            break
        part = min(left, level.quantity - taken.get(price, 0)) // lot * lot
        if part > 0:
            trades.append((price, part))
            taken[price] = taken.get(price, 0) + part
            left -= part
    return trades
