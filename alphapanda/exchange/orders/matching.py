"""What the order book of a quote gives to an order of ours: level by level, no worse than its limit.

Only what stands is taken, in whole lots, and what was taken at a price is gone until the next tick shows the
book anew. There is no model of a queue, and our orders do not meet each other.
"""

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR

from alphapanda.events import Money, TransactionType, Validity
from alphapanda.exchange.order import Order, Status
from alphapanda.kite.encode import Level


def piece_of(order: Order, pieces: int) -> int:
    """An order in so many pieces: what one of them is, in whole lots."""
    lot = order.listed.lot
    return -(-order.quantity // (pieces * lot)) * lot


class Taken:
    """What our orders have taken from the books since their last ticks.

    Nobody tells of the ticks of what is not watched: there another book is a later one.
    """

    def __init__(self) -> None:
        self._at: dict[int, dict[TransactionType, tuple[list[Level], dict[int, int]]]] = {}

    def forget(self, token: int) -> None:
        """A tick shows the book anew."""
        self._at.pop(token, None)

    def of(self, token: int, side: TransactionType, levels: Sequence[Level]) -> dict[int, int]:
        """Price -> quantity, for orders of this side, of the book that shows these levels."""
        sides = self._at.setdefault(token, {})
        seen, taken = sides.get(side, ([], {}))
        if seen != list(levels):
            taken = {}
            sides[side] = list(levels), taken
        return taken


def walk(order: Order, levels: Sequence[Level], divisor: int, taken: dict[int, int]) -> list[tuple[int, int]]:
    """(price, quantity) of the order's trades, in wire units; what it takes is added to `taken`."""
    sign, lot, left = order.transaction_type.sign, order.listed.lot, order.pending_quantity
    if order.piece:
        left = min(left, order.piece)
    worst = None if order.limit is None else _units(order.limit, divisor, order.transaction_type)
    trades: list[tuple[int, int]] = []
    for quantity, price, _ in levels:
        if left == 0 or (worst is not None and (price - worst) * sign > 0):
            break
        part = min(left, quantity - taken.get(price, 0)) // lot * lot
        if part > 0 and price > 0:
            trades.append((price, part))
            taken[price] = taken.get(price, 0) + part
            left -= part
    return trades


def triggers(order: Order, last: Money) -> bool:
    """Whether the last price has reached the trigger."""
    return (last - order.trigger_price) * order.transaction_type.sign >= 0


def out_of_reach(order: Order, bid: Money | None, ask: Money | None, last: Money) -> bool:
    """Whether neither the best prices nor the last one do anything to an order that rests there."""
    if order.status is Status.TRIGGER_PENDING:
        return not triggers(order, last)
    if order.limit is None or order.validity is Validity.IOC:
        return False
    if order.transaction_type is TransactionType.BUY:
        return ask is None or ask > order.limit
    return bid is None or bid < order.limit


def _units(limit: Money, divisor: int, side: TransactionType) -> int:
    rounding = ROUND_FLOOR if side is TransactionType.BUY else ROUND_CEILING
    return int((limit * divisor).to_integral_value(rounding))
