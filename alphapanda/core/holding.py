"""What one strategy holds in one instrument at one broker: open lots, first in first out, all exact.

A day is its number since 1970 in IST. Delivery shares (CNC) bought on the trading day before are on their way
to the demat account, T1 as Kite has it: they can be sold, and what they bring can be used the day after.
"""

from collections import deque
from typing import NamedTuple

from alphapanda.core.lots import Lot, closed_by
from alphapanda.core.margins import Margins
from alphapanda.events import CNC, Fill, Money, Position, TransactionType
from alphapanda.times import day_of

ZERO = Money(0)
NEVER = -1


class Days(NamedTuple):
    """The trading day, and the one before it; NEVER where no row told."""

    current: int = NEVER
    before: int = NEVER


UNDATED = Days()


class Closed(NamedTuple):
    """What a fill closed: the gross profit, and the proceeds that cannot be used before the next day."""

    realized: Money = ZERO
    unsettled: Money = ZERO


class Holding:
    """The open lots of one strategy in one instrument and product at one broker, oldest first."""

    def __init__(self, fill: Fill, margins: Margins) -> None:
        self.broker = fill.broker
        self.strategy_id = fill.strategy_id
        self.instrument = fill.instrument
        self.product = fill.product
        self.lots: deque[Lot] = deque()
        self.quantity = 0
        self.cost = ZERO
        """Signed quantity x price over the open lots."""
        self.claim = ZERO
        """What of the cash the lots claim beyond what they cost; below 0 where they need less."""
        self._of_day: dict[int, int] = {}
        """Signed open units by the day they were traded. Kept, as are the sums above, because a position may
        have a lot for each of thousands of fills."""
        self.realized = ZERO
        self.last_fill = fill.price
        self._margins = margins

    def book(self, fill: Fill, days: Days = UNDATED) -> Closed:
        """Add a fill; the answer is what it closed of the lots before it."""
        left, realized, unsettled = fill.signed_quantity, ZERO, ZERO
        for lot, units in closed_by(left, self.lots):
            self._count(lot, -1)
            if units != lot.quantity:
                self._count(self.lots[0], 1)
            realized += (fill.price - lot.price) * units
            left += units
            if units > 0 and self._is_t1(lot, days):
                unsettled += fill.price * units
        if left:
            self.lots.append(Lot(left, fill.price, fill.traded_ns))
            self._count(self.lots[-1], 1)
        self.quantity += fill.signed_quantity
        self.realized += realized
        self.last_fill = fill.price
        return Closed(realized, unsettled)

    def _count(self, lot: Lot, sign: int) -> None:
        """A lot comes (1) or goes (-1)."""
        cost = lot.quantity * lot.price
        self.cost += sign * cost
        self.claim += sign * (self._claimed(lot) - cost)
        day = day_of(lot.traded_ns)
        self._of_day[day] = self._of_day.get(day, 0) + sign * lot.quantity
        if not self._of_day[day]:
            del self._of_day[day]

    def _claimed(self, lot: Lot) -> Money:
        side = TransactionType.BUY if lot.quantity > 0 else TransactionType.SELL
        return self._margins(self.instrument, self.product, side, abs(lot.quantity), lot.price)

    def _is_t1(self, lot: Lot, days: Days) -> bool:
        return self.product == CNC and days.before != NEVER and day_of(lot.traded_ns) == days.before

    def position(self, last_price: Money, days: Days = UNDATED) -> Position:
        return Position(
            broker=self.broker,
            strategy_id=self.strategy_id,
            instrument=self.instrument,
            product=self.product,
            quantity=self.quantity,
            average_price=self.cost / self.quantity if self.quantity else ZERO,
            last_price=last_price,
            realized_pnl=self.realized,
            unrealized_pnl=self.quantity * last_price - self.cost,
            overnight_quantity=self._carried(days.current),
            t1_quantity=self._of_day.get(days.before, 0) if self.product == CNC else 0,
        )

    def _carried(self, current: int) -> int:
        """Units of earlier days."""
        if current == NEVER:
            return 0
        return self.quantity - self._of_day.get(current, 0)
