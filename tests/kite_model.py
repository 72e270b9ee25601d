"""A model of an account at Kite, and our side of its books: the pure parts, composed as the daemon does.

The model's clock stands still unless it is moved. What the journal keeps is a prefix of what was tapped: a
crash may cut the rest.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from builders import INFY, SECOND, TEN_NS, batch, signal, tick
from msgspec.structs import replace

from alphapanda.core.charges import flat
from alphapanda.core.comparison import Key, held_by, key_of
from alphapanda.events import (
    AccountOpened,
    Approved,
    ExternalHeld,
    Fill,
    Instrument,
    Money,
    Order,
    OrderAdopted,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderUpdated,
    PlaceOrder,
    Report,
    ReportKind,
    Snapshot,
    TransactionType,
)
from alphapanda.pipeline import Plan, build_cores
from alphapanda.store.projections import PROJECTION
from alphapanda.store.recovery import Recovered, fold
from alphapanda.times import DAY_NS, to_ist
from alphapanda.venues.zerodha.book_rows import BookRead, HoldingRow, OrderRow, PositionRow, TradeRow
from alphapanda.venues.zerodha.comparing import Comparer
from alphapanda.venues.zerodha.follow import UNANSWERED
from alphapanda.venues.zerodha.holds import Holds
from alphapanda.venues.zerodha.reconciliation import Reconciliation
from alphapanda.venues.zerodha.settling import Settling

BROKER = "zerodha"
QUIET_S = 10.0
ITC = Instrument(424961, "NSE", "ITC")
OURS, SHARES = key_of("NSE", "INFY", "MIS"), key_of("NSE", "ITC", "CNC")
CASH = Money(10**9)
Books = tuple[list[OrderRow], list[TradeRow]]


class Kite:
    """What the account has, and what its books said at every moment of the day. Seconds count from 0."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.day = 0
        self.net: dict[Key, int] = {SHARES: 40}
        self.carried = 40
        self.rows: dict[str, list[tuple[float, OrderRow]]] = {}
        self.trades: list[tuple[float, TradeRow]] = []
        self._made = 0

    @property
    def time_ns(self) -> int:
        return TEN_NS + self.day * DAY_NS

    def take(self, order: Order, lag_s: float, status: str = "PUT ORDER REQ RECEIVED") -> str:
        """An order of ours: it can be seen `lag_s` later."""
        where = {"exchange": "NSE", "tradingsymbol": order.instrument.tradingsymbol}
        side, units = order.transaction_type.value, order.quantity
        return self._open(lag_s, status, where, side, units, tag=order.tag, product=order.product)

    def by_hand(self, side: str, units: int, *, shares: bool = False, by: str = "RH0001") -> str:
        where = {"exchange": "NSE", "tradingsymbol": ITC.tradingsymbol if shares else INFY.tradingsymbol}
        return self._open(0, "OPEN", where, side, units, product="CNC" if shares else "MIS", placed_by=by)

    def _open(
        self, lag_s: float, status: str, where: dict[str, str], side: str, units: int, **fields: Any
    ) -> str:
        self._made += 1
        row = OrderRow(
            order_id=f"B{self._made}",
            status=status,
            transaction_type=side,
            quantity=units,
            order_timestamp=f"{to_ist(self.time_ns):%Y-%m-%d %H:%M:%S}",
            **where,
            **fields,
        )
        self.rows[row.order_id] = [(self.now_s + lag_s, row)]
        return row.order_id

    def newest(self, broker_id: str) -> OrderRow:
        return self.rows[broker_id][-1][1]

    def living(self) -> list[str]:
        """Ids of orders that the books show, and that have not ended."""
        seen = [broker_id for broker_id, rows in self.rows.items() if rows[0][0] <= self.now_s]
        return [broker_id for broker_id in seen if not self.newest(broker_id).ended]

    def change(self, broker_id: str, status: str, filled: int | None = None) -> None:
        before = self.newest(broker_id)
        done = before.filled_quantity if filled is None else filled
        self.rows[broker_id].append((self.now_s, replace(before, status=status, filled_quantity=done)))

    def fill(self, broker_id: str, units: int) -> None:
        row = self.newest(broker_id)
        units = min(units, row.quantity - row.filled_quantity)
        self._made += 1
        stamp = f"{to_ist(self.time_ns):%Y-%m-%d %H:%M:%S}"
        price = Decimal(100) + Decimal(self._made) / 20
        trade = TradeRow(
            trade_id=f"T{self._made}",
            order_id=broker_id,
            quantity=units,
            average_price=price,
            fill_timestamp=stamp,
        )
        self.trades.append((self.now_s, trade))
        key = key_of(row.exchange, row.tradingsymbol, row.product)
        sign = TransactionType(row.transaction_type).sign
        self.net[key] = self.net.get(key, 0) + sign * units
        done = row.filled_quantity + units
        self.change(broker_id, "COMPLETE" if done == row.quantity else "OPEN", done)

    def square_off(self) -> None:
        """What rests in MIS is cancelled, and its positions are closed by the broker."""
        for broker_id in self.living():
            if self.newest(broker_id).product == "MIS":
                self.change(broker_id, "CANCELLED")
        if units := self.net.get(OURS, 0):
            self.fill(self.by_hand("SELL" if units > 0 else "BUY", abs(units), by="RMS"), abs(units))

    def next_day(self, given: int) -> None:
        """Books forget; `given` shares come to the owner over night."""
        self.day += 1
        self.now_s += 1000
        self.rows.clear()
        self.trades.clear()
        self.net[SHARES] = self.carried = self.net[SHARES] + given

    def books(self, then_s: float) -> Books:
        shown = [[row for since, row in rows if since <= then_s] for rows in self.rows.values()]
        return [rows[-1] for rows in shown if rows], [row for since, row in self.trades if since <= then_s]


def read(
    orders: Sequence[OrderRow], trades: Sequence[TradeRow], now_s: float, unreadable: int = 0
) -> tuple[BookRead[OrderRow], BookRead[TradeRow]]:
    """The pair of books, as one reading has it."""
    return (
        BookRead(rows=tuple(orders), asked_s=now_s, answered_s=now_s, unreadable=unreadable),
        BookRead(rows=tuple(trades), asked_s=now_s, answered_s=now_s),
    )


class Portfolio:
    """The positions door of the model. What `meanwhile` does happens between the request and its answer."""

    def __init__(self, kite: Kite) -> None:
        self.meanwhile: Callable[[], None] | None = None
        self._kite = kite

    async def positions(self) -> BookRead[PositionRow]:
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
        kite = self._kite
        moved = {OURS: kite.net.get(OURS, 0), SHARES: kite.net[SHARES] - kite.carried}
        rows = tuple(
            PositionRow(
                exchange="NSE", tradingsymbol=key[1], product=key[2], quantity=units,
                average_price=Decimal(100), last_price=Decimal(101),
            )
            for key, units in moved.items()
        )  # fmt: skip
        return BookRead(rows=rows, asked_s=kite.now_s, answered_s=kite.now_s)

    async def holdings(self) -> BookRead[HoldingRow]:
        row = HoldingRow(exchange="NSE", tradingsymbol="ITC", quantity=self._kite.carried)
        return BookRead(rows=(row,), asked_s=self._kite.now_s, answered_s=self._kite.now_s)


def begun(recovered: Recovered) -> Reconciliation:
    """From what is written down, and nothing else."""
    return Reconciliation(
        BROKER,
        flat(Money("0.1")),
        quiet_period_s=QUIET_S,
        orders=recovered.saved.orders,
        fills=recovered.saved.fills,
        known=recovered.reconciled.get(BROKER),
    )


class Ours:
    """One run of the daemon over a journal: nothing else is left of the runs before."""

    def __init__(self, kite: Kite, journal: list[object], loop: asyncio.AbstractEventLoop) -> None:
        self.kite = kite
        self.journal = journal
        self.pending: list[object] = []
        self.held: dict[str, str] = {}
        self.halts: list[str] = []
        self.fills: list[Fill] = []
        self.reports: list[Report] = []
        self.requests: list[str] = []
        """Tags of what was written to the wire."""
        self.exposed = ExternalHeld(BROKER, ())
        self._queue: deque[object] = deque()
        self._loop = loop
        if not journal:
            journal.append(AccountOpened(BROKER, CASH))
        self.recovered: Recovered = fold(journal)
        saved = self.recovered.saved
        plan = Plan(
            strategies=(), rules=(), starting_cash={BROKER: CASH}, products={BROKER: "MIS"}, tag_seed="seed",
            instruments=(INFY, ITC),
        )  # fmt: skip
        self.cores = build_cores(plan, saved)
        self.cores.risk.on(batch(tick(), at=kite.day * 86_400))
        self.reconciliation = begun(self.recovered)
        self.follower, self.external = self.reconciliation.follower, self.reconciliation.external
        self.portfolio = Portfolio(kite)
        self.holds = Holds(self.held.__setitem__, self.held.pop)
        self.comparer = Comparer(
            self.portfolio,  # type: ignore[arg-type]  # it has the two doors that are asked
            self.reconciliation,
            refresh=self._refresh,
            now_ns=lambda: kite.time_ns,
            publish=self.tap,
            hold=lambda symbol, why: self.holds.hold("comparison", symbol, why),
            release=lambda symbol: self.holds.release("comparison", symbol),
            halt=self.halts.append,
            ours=self.book,
            again_s=0.0,
            start_s=0.0,
        )
        self.comparer.report = self.comparer.expose = self._queue.append
        self.settling = Settling(
            self.comparer,
            self.reconciliation,
            self.holds,
            product="MIS",
            now_ns=lambda: kite.time_ns,
            publish=self.tap,
        )
        for order in self.follower.living():
            if order.status in UNANSWERED:
                self.take(self.follower.in_doubt(order.order_id, kite.now_s, kite.time_ns, "a restart"))

    def book(self) -> dict[Key, int]:
        return held_by(self.cores.portfolio.positions())

    # the line

    def tap(self, event: object) -> None:
        if type(event) in PROJECTION:
            self.pending.append(event)

    def carry(self, *events: object) -> None:
        """Until the line is quiet."""
        self._queue.extend(events)
        while self._queue:
            event = self._queue.popleft()
            match event:
                case Report() | OrderAdopted() | Approved():
                    if isinstance(event, Report):
                        self.reports.append(event)
                    self._queue.extend(self.cores.execution.on(event))
                case OrderOpened() | OrderUpdated() | OrderFilled() | OrderClosed():
                    for output in self.cores.portfolio.on(event):  # tapped before it, as the line does
                        if isinstance(output, Snapshot):
                            self.cores.risk.on(output)
                        self.tap(output)
                case ExternalHeld():
                    self.exposed = event
                    self.cores.risk.on(event)
                case PlaceOrder(order):
                    self._place(order)
            if isinstance(event, OrderFilled):
                self.fills.append(event.fill)
            self.tap(event)

    def commit(self) -> None:
        self.journal += self.pending
        self.pending.clear()

    def ask(self, strategy_id: str, side: TransactionType, units: int, number: int) -> Order:
        """A signal, its approval, the committed intent, and the first byte."""
        asked = {"strategy_id": strategy_id, "brokers": (BROKER,), "signal_id": f"S{number:06d}"}
        wanted = signal(side, units, **asked, time_ns=self.kite.time_ns + number * SECOND)
        (approved,) = self.cores.risk.on(wanted)
        assert isinstance(approved, Approved)
        self.tap(approved)
        self.carry(approved)
        return approved.order

    def _place(self, order: Order) -> None:
        self.commit()
        sent = Report(order_id=order.order_id, kind=ReportKind.SENT, time_ns=order.created_ns)
        self._queue.append(sent)
        self.requests.append(order.tag)
        self.reconciliation.placed(order)
        self.comparer.touched(order)

    # what is learnt

    def take(self, followed: Any) -> None:
        """As the broker tells it."""
        for after, report in zip(followed.after, followed.reports, strict=True):
            self._queue.append(report)
            self.reconciliation.told(after, report)
            self.comparer.on_report(after, report)
        for order, was in followed.found:
            self.settling.on_found(order, was)

    def apply(self, orders: Sequence[OrderRow], trades: Sequence[TradeRow], unreadable: int = 0) -> None:
        pair = read(orders, trades, self.kite.now_s, unreadable)
        resolutions = self.reconciliation.reconcile(*pair, self.kite.time_ns)
        self.take(resolutions.followed)
        self.comparer.on_book(resolutions)
        self.reconciliation.all_told(self.kite.time_ns)
        self.carry()

    async def _refresh(self) -> None:
        self.kite.now_s += 0.25
        self.apply(*self.kite.books(self.kite.now_s))

    def start(self) -> None:
        """The first good books, and the comparison: only then it is ready."""
        self.apply(*self.kite.books(self.kite.now_s))
        self.compare_at_start()

    def compare_at_start(self) -> None:
        self._loop.run_until_complete(self.comparer.at_start())
        self.carry()

    def compare(self, meanwhile: Callable[[], None] | None = None) -> None:
        self.portfolio.meanwhile = meanwhile
        self._loop.run_until_complete(self.comparer.settle())
        self.carry()

    def look(self) -> Any:
        return self._loop.run_until_complete(self.comparer.look())

    def end_of_day(self) -> None:
        self._loop.run_until_complete(self.comparer.at_end_of_day())
        self.carry()
