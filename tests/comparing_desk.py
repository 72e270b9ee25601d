"""A day at the exchange with our side of the books: follower, execution, and the comparer between them.

What the broker and the daemon do with the same parts is done here by hand, one step at a time.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

import anyio
from builders import MARKET, order
from feeding import NoLimits
from kite_trader import KEY, USER

from alphapanda.core.charges import ZerodhaCharges
from alphapanda.core.comparison import Reconciled, held_by
from alphapanda.core.execution import TradingEngine
from alphapanda.errors import Transient
from alphapanda.events import (
    ChargesCompared,
    Compared,
    ExternalSeen,
    Fill,
    Instrument,
    Order,
    OrderFilled,
    TransactionType,
)
from alphapanda.tables import tariff
from alphapanda.times import to_ns
from alphapanda.venues.zerodha.books import Books
from alphapanda.venues.zerodha.charging import Charging, beside_of
from alphapanda.venues.zerodha.comparing import Comparer
from alphapanda.venues.zerodha.official import Official
from alphapanda.venues.zerodha.reconciliation import Reconciliation
from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.session import Session

BROKER = "zerodha"
NUMBERS = itertools.count(1)
"""Of orders: tags are unique for ever, and several desks may share an exchange."""
PATIENCE_S = 60.0


async def facts(fact):
    while not fact():  # noqa: ASYNC110 - the exchange is another process: it sets no event
        await anyio.sleep(0.01)


class Journal:
    """What a restart finds: orders, fills, and what was found beside them. `events` are the comparer's."""

    def __init__(self):
        self.orders: dict[str, Order] = {}
        self.fills: list[Fill] = []
        self.events: list[Compared | ChargesCompared | ExternalSeen] = []
        self.known = Reconciled()

    def publish(self, event):
        self.events.append(event)
        self.known.on(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


class Desk:
    """One run over a journal. `held` and `halts` are what the gate and the kill switch were told."""

    def __init__(self, trader, journal, **options):
        self.trader = trader
        self.journal = journal
        self.held: dict[str, str] = {}
        self.halts: list[str] = []
        session = Session(KEY, trader.kite.access_token, USER)
        self.books = Books(roots_at(trader.url), session, NoLimits())
        self.official = Official(roots_at(trader.url), session, timeout_s=PATIENCE_S)
        orders, fills = list(journal.orders.values()), journal.fills
        charges = ZerodhaCharges(tariff(), fills)
        self.reconciliation = Reconciliation(BROKER, charges, orders=orders, fills=fills, known=journal.known)
        self.external = self.reconciliation.external
        self.engine = TradingEngine(orders, [(each.broker, each.trade_id) for each in fills])
        self.charging = Charging(
            self.official.order_charges,
            broker=BROKER,
            publish=journal.publish,
            now_ns=self.now_ns,
            beside=beside_of(charges),
            known=journal.known.charged,
            orders=orders,
            fills=fills,
        )
        self.comparer = Comparer(
            self.books,
            self.reconciliation,
            refresh=self.refresh,
            now_ns=self.now_ns,
            publish=journal.publish,
            hold=self.held.__setitem__,
            release=lambda symbol: self.held.pop(symbol, None),
            halt=self.halts.append,
            charging=self.charging,
            ours=lambda: held_by(self.journal.fills),
            **{"interval_s": 0.05, "again_s": 0.02} | options,
        )
        self.comparer.report = self.on_report

    def now_ns(self):
        return to_ns(datetime.fromisoformat(self.trader.clock()["now"]))

    async def refresh(self):
        """As the broker reads its books."""
        orders, trades = await self.books.orders(), await self.books.trades()
        now_ns = self.now_ns()
        resolutions = self.reconciliation.reconcile(orders, trades, now_ns)
        followed = resolutions.followed
        for after, report in zip(followed.after, followed.reports, strict=True):
            self.on_report(report)
            self.reconciliation.told(after, report)
            self.comparer.on_report(after, report)
        self.comparer.on_book(resolutions)
        self.reconciliation.all_told(now_ns)

    def on_report(self, report):
        for event in self.engine.on(report):
            self.journal.orders[event.order.order_id] = event.order
            if isinstance(event, OrderFilled):
                self.journal.fills.append(event.fill)

    def place(self, key, side="BUY", quantity=10, strategy_id="momentum_1", product="MIS"):
        """An order of ours, traded at the exchange; our books hear of it when they are read."""
        number = next(NUMBERS)
        row = self.trader.listed(key)
        made = order(
            TransactionType(side),
            quantity,
            number,
            broker=BROKER,
            strategy_id=strategy_id,
            product=product,
            order_type=MARKET,
            instrument=Instrument(row["instrument_token"], *key.split(":")),
            created_ns=self.now_ns(),
        )
        self.engine = TradingEngine(
            [*self.journal.orders.values(), made],
            [(each.broker, each.trade_id) for each in self.journal.fills],
        )
        self.journal.orders[made.order_id] = made
        self.reconciliation.placed(made)
        self.comparer.touched(made)
        self.trader.filled(key, side, quantity, product=product, tag=made.tag)
        return made

    async def until(self, fact: Callable[[], object]):
        """The comparer runs until the fact is there."""
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.comparer.run)
                await facts(fact)
                tasks.cancel_scope.cancel()

    def ours(self):
        return held_by(self.journal.fills)

    def adopted(self):
        return [each for each in self.journal.orders.values() if each.order_id.startswith("X")]


def by_hand(trader, key, side="SELL", quantity=1, product="MIS"):
    """The owner trades in Kite's app."""
    exchange, symbol = key.split(":")
    fields = {"exchange": exchange, "tradingsymbol": symbol, "transaction_type": side, "quantity": quantity}
    more = {"order_type": "MARKET", "product": product, "variety": "regular", "market_protection": -1}
    found = trader.admin("orders", fields | more)
    return trader.until(found["order_id"], "COMPLETE")


def at_desk(trader, act: Callable[[Desk], Awaitable[None]], journal=None, **options) -> Journal:
    """`act` at a desk of its own; the journal that it leaves."""
    journal = journal or Journal()

    async def main():
        desk = Desk(trader, journal, **options)
        try:
            await act(desk)
        finally:
            await desk.books.close()
            with suppress(Transient):
                desk.official.close()

    asyncio.run(main())
    return journal
