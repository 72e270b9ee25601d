"""What became of our orders, judged by Kite's books. Pure: no clock, no door; books and answers come in.

Rules, each of which a day on the real wire has needed:

 * An order is ours by the id that Kite gave it, else by its tag. What is not ours is left alone.
 * No answer is no rejection: the order is in doubt until a book shows it, or until its absence is proven: by
   two books in a row, asked after the quiet period, that lack nothing Kite ever showed us today, say nothing
   less than we know, and have no row that we cannot read.
 * Rows come late, twice and out of order. A row that says less than is known changes nothing, and its book
   proves no absence. A status that we do not know is of an order that still lives.
 * Only /trades makes fills, each trade of an order once. How an order ended is told when the trades that are
   known add up to what its row says has traded; the rest of its quantity is what did not trade.
 * What ended without a trade and is there after all (NOT_FOUND, or refused before) is FOUND: it lives again.
 * Kite forgets orders overnight. What was open on an earlier day and is in no book of today has ended; what
   it may have traded unseen, the comparison of positions shows. What ended is let go a day after.
"""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from alphapanda.core.charges import Charges
from alphapanda.events import STOPS, Fill, Order, OrderStatus, Report, ReportKind
from alphapanda.times import day_of
from alphapanda.venues.zerodha.book_rows import BookRead, OrderRow, TradeRow, stamp_ns
from alphapanda.venues.zerodha.followed import AFTER, Followed, Life

S, K = OrderStatus, ReportKind

TRADABLE = ("OPEN", "COMPLETE")
"""Statuses that a stop has only once its trigger was reached."""
UNANSWERED = (S.PREPARED, S.SENT, S.UNKNOWN)
"""Nothing is known yet of what the broker made of it."""
GONE = (S.NOT_FOUND, S.REJECTED, S.WITHHELD)
"""Ended, and never traded."""
PROOFS = 2
KEPT_DAYS = 1
"""So many days after its last news an order that has ended is still known, for an answer that comes late.
Execution keeps them longer.
"""


class Follower:
    """`orders` and `fills` are the journal's of every day: tags and trades are known by them. Those that the
    broker made by itself (sequence 0) have no approval of ours behind them, and are external here too.
    """

    def __init__(
        self,
        broker: str,
        charges: Charges,
        *,
        quiet_period_s: float = 30.0,
        orders: Iterable[Order] = (),
        fills: Iterable[Fill] = (),
    ) -> None:
        self.broker = broker
        self._charges = charges
        self._quiet_period_s = quiet_period_s
        self._lives: dict[str, Life] = {}
        self._living: dict[str, Life] = {}
        """Those whose end is not told, by our id."""
        self._by_tag: dict[str, Life] = {}
        self._by_id: dict[str, Life] = {}
        """By the broker's id."""
        self._rows: dict[str, OrderRow] = {}
        """The newest row of every order of the day, ours or not."""
        self._expected: dict[str, int] = {}
        """The broker's ids that a whole book of their day must have."""
        self._booked: set[tuple[str, str]] = set()
        """(our order id, Kite's trade id)"""
        self.labels: set[str] = set()
        """Trade ids that are in our book, of whomever: there each is one trade."""
        self.ids: set[str] = set()  # the broker's, of all that was ever ours: none becomes external
        self._asked_s = float("-inf")
        self._today = 0
        for order in orders:
            if order.broker == broker and order.sequence:
                self._keep(order)
        for fill in fills:
            self.labels.add(fill.trade_id)
            if (life := self._lives.get(fill.order_id)) is not None:
                suffix = f"-{life.order.broker_order_id}"
                self._booked.add((fill.order_id, fill.trade_id.removesuffix(suffix)))

    # what there is

    def order(self, order_id: str) -> Order:
        """As execution has it once it has taken all reports."""
        return self._lives[order_id].order

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._lives

    def is_anothers(self, broker_order_id: str, order_id: str) -> bool:
        """Kite gave this id to an order of ours that is not this one."""
        life = self._by_id.get(broker_order_id)
        return life is not None and life.order.order_id != order_id

    def living(self) -> list[Order]:
        """Orders that may still trade, those in doubt too."""
        return [life.order for life in self._living.values()]

    def doubted(self) -> list[Order]:
        return [life.order for life in self._living.values() if life.doubt_s is not None]

    def row(self, order_id: str) -> OrderRow | None:
        """The newest that Kite has shown of one of our orders."""
        return self._rows.get(self._lives[order_id].order.broker_order_id or "")

    @property
    def unsettled(self) -> bool:
        """An end is waiting for its trades, or an order is in doubt."""
        return any(life.doubt_s is not None or life.ended is not None for life in self._living.values())

    # what we did, and what was answered

    def placed(self, order: Order) -> None:
        """It is on its way to the wire."""
        self._keep(replace(order, status=S.SENT))

    def withheld(self, order_id: str, reason: str, now_ns: int) -> Followed:
        """It never left."""
        out = Followed()
        life = self._lives[order_id]
        if life.order.status in (S.PREPARED, S.SENT):
            self._tell(out, life, K.WITHHELD, now_ns, reason)
        return out

    def acked(self, order_id: str, broker_order_id: str, now_ns: int) -> Followed:
        """Kite gave it an id: from now on a book without it is not whole."""
        out = Followed()
        life = self._lives[order_id]
        self._expected[broker_order_id] = day_of(now_ns)
        known = life.order.broker_order_id
        if known is not None:  # a book was quicker, and knows more
            if known != broker_order_id:
                out.twice(life.order, broker_order_id)
            return out
        self._bind(life, broker_order_id)
        if life.order.status in UNANSWERED:
            self._tell(out, life, K.ACCEPTED, now_ns)
        elif life.order.status in GONE:
            self._find(out, life, now_ns)
        return out

    def rejected(self, order_id: str, reason: str, now_ns: int) -> Followed:
        """Proven by the answer; but what a book has shown is there, whatever the answer says."""
        out = Followed()
        life = self._lives[order_id]
        if life.order.status in UNANSWERED and life.order.broker_order_id is None:
            self._tell(out, life, K.REJECTED, now_ns, reason)
        return out

    def in_doubt(self, order_id: str, at_s: float, now_ns: int, reason: str = "") -> Followed:
        """Nobody knows whether it is at the broker; the quiet period begins at `at_s`."""
        out = Followed()
        life = self._lives[order_id]
        if life.order.status in UNANSWERED and life.order.broker_order_id is None:
            life.doubt_s, life.proofs = at_s, 0
            if life.order.status is not S.UNKNOWN:
                self._tell(out, life, K.NO_ANSWER, now_ns, reason)
        return out

    # what the books say

    def apply(self, orders: BookRead[OrderRow], trades: BookRead[TradeRow], now_ns: int) -> Followed:
        """/orders, and then /trades, asked for in this order. Any older or broken pair is safe to apply."""
        out = Followed()
        fresh = orders.asked_s > self._asked_s
        self._asked_s = max(self._asked_s, orders.asked_s)
        present = {row.order_id for row in orders.rows}
        self._roll(day_of(now_ns))
        whole = self._whole(orders, trades, present)
        for row in orders.rows:
            known = self._rows.get(row.order_id)
            if known is row:
                continue
            if known is not None and row.says_less_than(known):
                whole = False
            elif row != known:
                self._learn(out, row, now_ns)
        out.others += [row for row in orders.rows if row.order_id not in self.ids]
        for trade, life in self._news(trades.rows):
            self._trade(out, life, trade, now_ns)
        for life in [life for life in self._living.values() if life.ended is not None]:
            self._end(out, life, now_ns)
        if fresh:
            self._look_for_the_absent(out, orders.asked_s if whole else None, present, now_ns)
        return out

    def _roll(self, today: int) -> None:
        """What is of an earlier day need not be in a book any more. All labels of trades stay."""
        if today > self._today:
            self._today = today
            self._expected = {id_: day for id_, day in self._expected.items() if day >= today}
            self._rows = {id_: row for id_, row in self._rows.items() if id_ in self._expected}
            self._let_go(today - KEPT_DAYS)

    def _let_go(self, first_day: int) -> None:
        """Of what was last heard of before `first_day` only those stay whose end is not told."""
        kept = self._lives = {
            order_id: life
            for order_id, life in self._lives.items()
            if order_id in self._living or day_of(life.order.updated_ns) >= first_day
        }
        self._by_tag = {tag: life for tag, life in self._by_tag.items() if life.order.order_id in kept}
        self._by_id = {id_: life for id_, life in self._by_id.items() if life.order.order_id in kept}
        self._booked = {trade for trade in self._booked if trade[0] in kept}

    def _whole(self, orders: BookRead[OrderRow], trades: BookRead[TradeRow], present: set[str]) -> bool:
        """Whether a book may prove that something is absent, as far as its ids tell."""
        if orders.unreadable or trades.unreadable or self._expected.keys() - present:
            return False
        return all(trade.order_id in present for trade in trades.rows)

    def _learn(self, out: Followed, row: OrderRow, now_ns: int) -> None:
        """News of an order, ours or not."""
        self._rows[row.order_id] = row
        if day_of(stamp_ns(row.order_timestamp, now_ns)) >= self._today:
            self._expected[row.order_id] = self._today
        life = self._by_id.get(row.order_id) or self._claimed(out, row)
        if life is None:
            return
        if life.order.broker_order_id is None:
            self._bind(life, row.order_id)
        if life.order.status in UNANSWERED and not row.refused:
            self._tell(out, life, K.ACCEPTED, now_ns)
        elif life.order.status in GONE:
            self._return(out, life, row, now_ns)
        order = life.order
        waits = order.order_type in STOPS and not order.triggered and order.status is S.OPEN
        if waits and (row.status in TRADABLE or row.filled_quantity):
            self._tell(out, life, K.TRIGGERED, now_ns)
        if row.ended and order.status not in GONE:
            life.ended = row
            self._living[order.order_id] = life

    def _claimed(self, out: Followed, row: OrderRow) -> Life | None:
        """Ours by its tag: the one order that this tag was sent with, and no second one."""
        for tag in (row.tag, *(row.tags or ())):
            life = self._by_tag.get(tag or "")
            if life is None:
                continue
            order = life.order
            if order.broker_order_id is not None:
                out.twice(order, row.order_id)
            elif (order.instrument.tradingsymbol, order.transaction_type) != (
                *(row.tradingsymbol, row.transaction_type),
            ):
                out.alarms.append(
                    f"Zerodha's order {row.order_id} bears the tag of {order.order_id}, and is another: "
                    f"{row.transaction_type} {row.tradingsymbol}"
                )
            else:
                return life
        return None

    def _return(self, out: Followed, life: Life, row: OrderRow, now_ns: int) -> None:
        """It had ended without a trade, and here it is."""
        if row.refused:
            if life.order.status is S.NOT_FOUND:
                self._tell(out, life, K.REJECTED, now_ns, row.status_message or "")
        elif life.order.status is S.NOT_FOUND and row.ended and not row.filled_quantity:
            self._tell(out, life, K.CANCELLED, now_ns, row.status_message or "")
        else:
            self._find(out, life, now_ns)

    def _find(self, out: Followed, life: Life, now_ns: int) -> None:
        was = life.order.status
        self._tell(out, life, K.FOUND, now_ns)
        out.found.append((life.order, was.value))

    def _news(self, trades: Iterable[TradeRow]) -> list[tuple[TradeRow, Life]]:
        """Trades of ours that are not booked, the oldest first."""
        news = {
            (life.order.order_id, trade.trade_id): (trade, life)
            for trade in trades
            if (life := self._by_id.get(trade.order_id)) is not None
            and (life.order.order_id, trade.trade_id) not in self._booked
        }
        return sorted(news.values(), key=lambda each: (each[0].fill_timestamp or "", each[0].trade_id))

    def _trade(self, out: Followed, life: Life, trade: TradeRow, now_ns: int) -> None:
        order = life.order
        self._booked.add((order.order_id, trade.trade_id))
        filled = order.filled_quantity + trade.quantity
        if trade.quantity <= 0 or filled > order.quantity:
            out.alarms.append(
                f"trade {trade.trade_id} of {trade.quantity} would bring order {order.order_id} to {filled} "
                f"of {order.quantity}: it is not booked; compare the positions"
            )
            return
        if order.status in GONE:
            self._find(out, life, now_ns)
            order = life.order
        time_ns = stamp_ns(trade.fill_timestamp or trade.exchange_timestamp, now_ns)
        out.reports.append(
            Report(
                order_id=order.order_id,
                kind=K.FILL,
                time_ns=time_ns,
                broker_order_id=order.broker_order_id,
                trade_id=self._label(trade),
                quantity=trade.quantity,
                price=trade.price,
                charges=self._charges(order, trade.price, trade.quantity, time_ns),
            )
        )
        crossed = S.CANCELLED if order.status is S.CANCELLED else S.PARTIAL
        status = S.FILLED if filled == order.quantity else crossed
        value = order.filled_value + trade.price * trade.quantity
        self._become(out, life, status, filled_quantity=filled, filled_value=value)

    def _label(self, trade: TradeRow) -> str:
        """Kite's trade id; with the order's where another trade has had it: ours are unique for ever."""
        taken = trade.trade_id in self.labels
        label = f"{trade.trade_id}-{trade.order_id}" if taken else trade.trade_id
        self.labels.add(label)
        return label

    def _end(self, out: Followed, life: Life, now_ns: int) -> None:
        """Tell how it ended, once all its trades are known."""
        row, order = life.ended, life.order
        if row is None or (order.filled_quantity < row.filled_quantity and order.pending_quantity):
            return
        life.ended = None
        if order.status.ended:
            self._living.pop(order.order_id, None)
        elif row.refused and not order.filled_quantity:
            self._tell(out, life, K.REJECTED, now_ns, row.status_message or "")
        else:
            self._tell(out, life, K.CANCELLED, now_ns, row.status_message or "")

    def _look_for_the_absent(
        self, out: Followed, asked_s: float | None, present: set[str], now_ns: int
    ) -> None:
        """`asked_s` is None for a book that proves nothing."""
        today = day_of(now_ns)
        for life in list(self._living.values()):
            order = life.order
            if asked_s is None or order.broker_order_id in present:
                life.proofs = 0
            elif life.doubt_s is not None:
                life.proofs += asked_s >= life.doubt_s + self._quiet_period_s
            elif order.broker_order_id is not None and day_of(order.created_ns) < today:
                life.proofs += 1
            if life.proofs < PROOFS:
                continue
            if day_of(order.created_ns) < today:
                life.ended = None
                self._tell(
                    out, life, K.CANCELLED, now_ns, "its day is over: Zerodha keeps no order overnight"
                )
            else:
                words = f"no book of Zerodha has had it in {self._quiet_period_s:g} s"
                self._tell(out, life, K.ABSENT, now_ns, words)

    # keeping

    def _keep(self, order: Order) -> None:
        life = self._lives[order.order_id] = Life(order)
        self._by_tag[order.tag or order.order_id] = life
        if order.broker_order_id is not None:
            self._by_id[order.broker_order_id] = life
            self.ids.add(order.broker_order_id)
            self._expected[order.broker_order_id] = day_of(order.created_ns)
        if not order.status.ended:
            self._living[order.order_id] = life

    def _bind(self, life: Life, broker_order_id: str) -> None:
        life.order = replace(life.order, broker_order_id=broker_order_id)
        self._by_id[broker_order_id] = life
        self.ids.add(broker_order_id)

    def _tell(self, out: Followed, life: Life, kind: ReportKind, now_ns: int, reason: str = "") -> None:
        order = life.order
        out.reports.append(
            Report(
                order_id=order.order_id,
                kind=kind,
                time_ns=now_ns,
                broker_order_id=order.broker_order_id,
                reason=reason,
            )
        )
        triggered = order.triggered or kind is K.TRIGGERED
        self._become(out, life, AFTER[kind], triggered=triggered)

    def _become(self, out: Followed, life: Life, status: OrderStatus, **changed: Any) -> None:
        life.order = replace(life.order, status=status, **changed)
        out.after.append(life.order)
        if status is not S.UNKNOWN and life.doubt_s is not None:
            life.doubt_s, life.proofs = None, 0
            out.settled.append(life.order.order_id)
        if status.ended and life.ended is None:
            self._living.pop(life.order.order_id, None)
        elif not status.ended:
            self._living[life.order.order_id] = life
