"""How a broker's strategies stand against their own past: points of the equity curve become `Performance`.

The same class hears the same events live and when the journal is folded, so a restart knows what the run
before it knew.
"""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from alphapanda.events import Booked, DayRolled, Money, Order, OrderStatus, Performance, Valued
from alphapanda.times import day_of, week_of

ZERO = Money(0)
ACCOUNT = ""
"""Under this name stands the whole account, all strategies of the broker together."""


class Trip(Struct, frozen=True):
    """A holding on its way from flat to flat: what it made so far, after charges."""

    quantity: int = 0
    realized: Money = ZERO
    """The position's realised profit after its last fill."""
    result: Money = ZERO


class EquityTracker(Struct):
    """One broker's. `net` is the net result at the last point, by strategy and for the account."""

    performance: dict[str, Performance] = {}
    """Replaced when anything changes, never changed in place: who has it may keep it."""
    net: dict[str, Money] = {}
    trips: dict[tuple[str, str, str], Trip] = {}
    """(strategy_id, EXCHANGE:SYMBOL, product) -> since it was last flat; flat ones of the day too. By the
    next day a token may be another symbol's.
    """
    week: int = 0
    last_ns: int = 0
    """The time of the last point."""

    def copy(self) -> "EquityTracker":
        return EquityTracker(self.performance, dict(self.net), dict(self.trips), self.week, self.last_ns)

    def on_booked(self, event: Booked) -> None:
        """A trip that ends by crossing zero bears the whole fill's charges."""
        fill, position = event.fill, event.position
        key = fill.strategy_id, fill.instrument.key, fill.product
        trip = self.trips.get(key, Trip())
        before = position.quantity - fill.signed_quantity
        gained = position.realized_pnl - trip.realized - fill.charges
        result = trip.result + gained
        ended = position.quantity == 0 or before * position.quantity < 0
        self.trips[key] = Trip(position.quantity, position.realized_pnl, ZERO if ended else result)
        changed = {}
        for name, standing in self._of(fill.strategy_id):
            changes = {"booked": standing.booked + gained, "rejected_in_a_row": 0}
            if ended and result < 0:
                losses = {
                    "losses_in_a_row": standing.losses_in_a_row + 1,
                    "last_loss_ns": fill.traded_ns,
                }
                changes |= losses
            elif ended:
                changes["losses_in_a_row"] = 0
            changed[name] = replace(standing, **changes)
            self.net[name] = changed[name].booked  # until the point that follows; stores of before have none
        self.performance = self.performance | changed

    def on_valued(self, event: Valued) -> None:
        """A point of the curve."""
        self.last_ns = event.time_ns
        changed = {}
        for name, figures in ((ACCOUNT, event.figures), *event.strategies.items()):
            net = self.net[name] = figures.net_pnl
            standing = self.performance.get(name)
            if standing is None:
                changed[name] = standing = Performance()
            if net > standing.top or net < standing.day_low or net < standing.week_low:
                changed[name] = replace(
                    standing,
                    day_low=min(net, standing.day_low),
                    week_low=min(net, standing.week_low),
                    top=max(net, standing.top),
                )
        if changed:
            self.performance = self.performance | changed

    def on_rolled(self, event: DayRolled) -> None:
        """The day, and with it perhaps the ISO week, begins where the last point was."""
        week = week_of(day_of(event.time_ns))
        changed = {}
        for name, standing in self.performance.items():
            net = self.net.get(name, ZERO)
            changes = {"day_start": net, "day_low": net}
            if week != self.week:
                changes |= {"week_start": net, "week_low": net}
            changed[name] = replace(standing, **changes)
        self.performance, self.week = changed, week
        self.trips = {key: trip for key, trip in self.trips.items() if trip.quantity}

    def on_closed(self, order: Order) -> None:
        """An order that the broker rejected, one more since the last fill."""
        if order.status is OrderStatus.REJECTED:
            self.performance = self.performance | {
                name: replace(standing, rejected_in_a_row=standing.rejected_in_a_row + 1)
                for name, standing in self._of(order.strategy_id)
            }

    def _of(self, strategy_id: str) -> Iterable[tuple[str, Performance]]:
        return [(name, self.performance.get(name) or Performance()) for name in (strategy_id, ACCOUNT)]
