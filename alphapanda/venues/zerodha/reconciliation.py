"""The journal beside the broker's books, and what follows: one step, from both to resolutions.

What it decides is made of three parts: `follow` (what became of our orders), `external` (trades that no order
of ours made) and `external_orders` (orders that are not ours, and what they may come to). Pure: no await, no
clock, no I/O. The broker tells what follows to the line, and the line writes it down; a reconciliation that
begins from that journal, with the same books, finds nothing new.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from msgspec import Struct

from alphapanda.core.charges import Charges
from alphapanda.core.comparison import Reconciled
from alphapanda.events import ExternalHeld, ExternalOrder, Fill, Order, Report
from alphapanda.times import day_of
from alphapanda.venues.zerodha.book_rows import BookRead, OrderRow, TradeRow
from alphapanda.venues.zerodha.external import External, Output
from alphapanda.venues.zerodha.external_orders import ExternalOrders
from alphapanda.venues.zerodha.external_trade import ExternalTrade
from alphapanda.venues.zerodha.follow import Follower
from alphapanda.venues.zerodha.followed import Followed
from alphapanda.venues.zerodha.reported import Reported


class Resolutions(Struct, frozen=True):
    """What follows from a pair of books, in the order in which it is told.

    `followed` is of our own orders. `over` ends what stood for a trade that is not ours and of an earlier
    day. `trades` are those that are not ours and were news, each with what it does to our book and beside it.
    `orders` are those that are not ours and are new, or have changed.
    """

    followed: Followed
    over: Sequence[Report]
    trades: Sequence[tuple[ExternalTrade, Sequence[Output]]]
    orders: Sequence[ExternalOrder]


class Reconciliation:
    """`orders`, `fills` and `known` are what the journal says of this broker; other brokers' are passed over.

    `charges` are the broker's own, one object for all: some are due once a day.
    """

    def __init__(
        self,
        broker: str,
        charges: Charges,
        *,
        quiet_period_s: float = 30.0,
        orders: Iterable[Order] = (),
        fills: Sequence[Fill] = (),
        known: Reconciled | None = None,
    ) -> None:
        orders, self.known = list(orders), known or Reconciled()
        self.broker = broker
        self.quiet_period_s = quiet_period_s
        self._follow = partial(Follower, broker, charges, quiet_period_s=quiet_period_s)
        self.follower = self._follow(orders=orders, fills=fills)
        self.external = External(broker, charges, orders, fills, self.known, self.follower.labels)
        self.others = ExternalOrders(broker, self.known)
        self._reported = Reported(orders, fills)
        self._telling = False

    @property
    def by_half(self) -> bool:
        """A step was taken, and not all of it was told: what became of trades that are not ours may be
        missing in the journal, and only a start from there puts it right.
        """
        return self._telling

    def placed(self, order: Order) -> None:
        """It is on its way to the wire."""
        self.follower.placed(order)
        self._reported.placed(order)

    def reconcile(self, orders: BookRead[OrderRow], trades: BookRead[TradeRow], now_ns: int) -> Resolutions:
        """/orders, and then /trades, asked for in this order. Any older or broken pair is safe.

        `all_told` has to follow, once it is.
        """
        followed = self.follower.apply(orders, trades, now_ns)
        self._telling = True
        for order, report in zip(followed.after, followed.reports, strict=True):
            self.external.on_report(order, report)
        return Resolutions(
            followed,
            self.external.over(day_of(now_ns)),
            self.external.on_book(followed.others, trades.rows, now_ns),
            self.others.on_book(followed.others, now_ns),
        )

    def told(self, order: Order, report: Report) -> None:
        """The line has heard of this order of ours, which the report leaves so."""
        self._reported.on_report(order, report)

    def all_told(self, now_ns: int) -> None:
        self._reported.let_go(self.follower.__contains__, now_ns)
        self._telling = False

    def exposure(self) -> ExternalHeld:
        """What is not ours, as limits of the account count it."""
        return self.others.exposure(self.external.units, self.external.held())

    def begin_anew(self) -> None:
        """The follower may be half changed by whatever raised: only what was told of our orders counts."""
        ids, labels = self.follower.ids, self.follower.labels
        self.follower = self._follow(orders=self._reported.orders.values(), fills=self._reported.fills)
        self.follower.ids |= ids
        labels |= self.follower.labels
        self.follower.labels = labels
