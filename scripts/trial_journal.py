"""A store with a past: so many intents of earlier days and of today, made by the cores and the store.

Each order goes the way it goes in the daemon (approval, intent, sent, the broker's reports, the book), and
every day ends flat, so that an exchange which knows nothing of it agrees. What is of today never came to the
exchange: refused at its door, withheld, or not found.

    .venv/bin/python scripts/trial_journal.py FILE [--intents 10000] [--seed 7]
"""

import argparse
import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from alphapanda.core.execution import TradingEngine
from alphapanda.core.portfolio import PortfolioManager
from alphapanda.events import (
    Approved,
    ChargesCompared,
    Compared,
    Instrument,
    MarketTick,
    Money,
    Order,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderType,
    OrderUpdated,
    PlaceOrder,
    PositionEffect,
    Refused,
    Report,
    ReportKind,
    TickBatch,
    TradingSignal,
    TransactionType,
    Verdict,
)
from alphapanda.plan import zerodha_charges
from alphapanda.store import Store
from alphapanda.times import IST, MINUTE_NS, SECOND_NS, day_of, start_of, to_ist, to_ns

K = ReportKind
BUY, SELL = TransactionType.BUY, TransactionType.SELL
OPEN, CLOSE = PositionEffect.OPEN, PositionEffect.CLOSE
UNTIL = datetime(2026, 4, 15, 9, 15, tzinfo=IST)
"""Where nobody says until when: the first moment of an exchange on this machine."""
OPENS_MINUTE = 9 * 60 + 20
MINUTES = 350
A_DAY = 500
"""Intents of one earlier day."""
TODAY = 500
"""At most so many are of today."""
FEW = 20
"""Of today, where there are few altogether."""
BEFORE_OPEN_MINUTE = 9 * 60
AT_ONCE = 200
"""Intents whose events are committed together."""


class Past(NamedTuple):
    """Whose past, and until when. `now_ns` is the market's time; `owner` as the daemon names the account."""

    intents: int
    seed: int
    now_ns: int
    owner: str
    cash: Money
    instruments: Sequence[Instrument]
    strategy: str = "busy_1"
    broker: str = "zerodha"


class Made(NamedTuple):
    """What there is now."""

    intents: int
    today: int
    fills: int
    seconds: float


class _Book:
    """Engine, portfolio and store joined by hand: what one says the others hear, and the journal keeps."""

    def __init__(self, store: Store, past: Past) -> None:
        self.past = past
        self.chance = random.Random(past.seed)
        self.engine = TradingEngine()
        self.portfolio = PortfolioManager({past.broker: past.cash})
        self.charges = zerodha_charges()
        self.intents = self.signals = self.fills = self.at_the_broker = 0
        self._store = store
        self._prices = {each.instrument_token: 500.0 for each in past.instruments}

    def minute(self, at_ns: int) -> None:
        """Prices of a minute."""
        moment = to_ist(at_ns)
        for token, price in self._prices.items():
            self._prices[token] = max(100.0, round(price * self.chance.gauss(1, 0.0005), 1))
        ticks = tuple(
            MarketTick(instrument_token=token, timestamp=moment, last_price=price)
            for token, price in self._prices.items()
        )
        self._keep(self.portfolio.on(TickBatch(time_ns=at_ns, ticks=ticks)))

    def signal(
        self, instrument: Instrument, side: TransactionType, at_ns: int, **terms: Any
    ) -> TradingSignal:
        self.signals += 1
        return TradingSignal(
            strategy_id=self.past.strategy,
            instrument_token=instrument.instrument_token,
            transaction_type=side,
            quantity=1,
            last_price=self._prices[instrument.instrument_token],
            signal_id=f"S{self.signals:06d}",
            brokers=(self.past.broker,),
            time_ns=at_ns,
            **terms,
        )

    def intent(
        self,
        instrument: Instrument,
        side: TransactionType,
        effect: PositionEffect,
        at_ns: int,
        price: Money | None = None,
    ) -> Order:
        """Approved, prepared and sent."""
        self.intents += 1
        kind = OrderType.MARKET if price is None else OrderType.LIMIT
        terms = {"position_effect": effect, "order_type": kind, "price": price}
        signal = self.signal(instrument, side, at_ns, **terms)
        order = Order(
            order_id=f"O{self.intents:06d}",
            tag=f"{self._store.tag_seed}{self.intents:08d}",
            sequence=self.intents,
            signal_id=signal.signal_id,
            strategy_id=signal.strategy_id,
            broker=self.past.broker,
            instrument=instrument,
            transaction_type=side,
            quantity=1,
            position_effect=effect,
            order_type=kind,
            product="MIS",
            reference_price=price or self._price(instrument),
            created_ns=at_ns,
            updated_ns=at_ns,
            price=price,
        )
        approved = Approved(order, signal)
        self._store.tap(approved)
        self._say(approved)
        return order

    def tell(self, order: Order, kind: ReportKind, **words: Any) -> None:
        self._say(Report(order_id=order.order_id, kind=kind, time_ns=order.created_ns, **words))

    def refuse(self, instrument: Instrument, at_ns: int) -> None:
        """By our own risk: no order."""
        refused = Refused(
            signal=self.signal(instrument, BUY, at_ns),
            broker=self.past.broker,
            verdict=Verdict.REFUSED,
            rule="duplicate_signal",
            why="the same signal was approved 0.2 s ago",
            quantity=1,
            instrument=instrument,
        )
        self._store.tap(refused)

    def accepted(self, order: Order) -> str:
        """The broker's id of it."""
        self.at_the_broker += 1
        broker_order_id = f"{day_of(order.created_ns):08d}{self.at_the_broker:07d}"
        self.tell(order, K.SENT)
        self.tell(order, K.ACCEPTED, broker_order_id=broker_order_id)
        return broker_order_id

    def fill(self, order: Order, broker_order_id: str) -> None:
        price = self._price(order.instrument)
        charges = self.charges(self.engine.order(order.order_id), price, 1, order.created_ns)
        self.fills += 1
        trade = {"trade_id": f"{self.fills:08d}", "quantity": 1, "price": price, "charges": charges}
        self.tell(order, K.FILL, broker_order_id=broker_order_id, **trade)
        compared = ChargesCompared(
            broker=order.broker,
            broker_order_id=broker_order_id,
            exchange=order.instrument.exchange,
            tradingsymbol=order.instrument.tradingsymbol,
            ours=charges,
            theirs=charges,
            beside=Money(0),
            time_ns=order.created_ns,
        )
        self._store.tap(compared)

    def compared(self, occasion: str, at_ns: int) -> None:
        """The positions of the account, which agree."""
        self._store.tap(Compared(broker=self.past.broker, time_ns=at_ns, occasion=occasion, count=0))

    def _price(self, instrument: Instrument) -> Money:
        return Money(repr(self._prices[instrument.instrument_token]))

    def _say(self, event: object) -> None:
        for output in self.engine.on(event):
            if isinstance(output, PlaceOrder):
                continue
            self._store.tap(output)
            if isinstance(output, OrderOpened | OrderUpdated | OrderFilled | OrderClosed):
                self._keep(self.portfolio.on(output))

    def _keep(self, outputs: Sequence[object]) -> None:
        for output in outputs:
            self._store.tap(output)


def _round_trip(book: _Book, instrument: Instrument, at_ns: int) -> None:
    """Two intents: in, and out; now and then it was in doubt meanwhile."""
    for number, (side, effect) in enumerate(((BUY, OPEN), (SELL, CLOSE))):
        order = book.intent(instrument, side, effect, at_ns + number * SECOND_NS)
        if book.chance.random() < 0.02:
            book.tell(order, K.SENT)
            book.tell(order, K.NO_ANSWER, reason="no answer in 5 s")
            id_ = f"{day_of(at_ns):08d}9{book.intents:06d}"
            book.tell(order, K.ACCEPTED, broker_order_id=id_)
        else:
            id_ = book.accepted(order)
        book.fill(order, id_)


def _limit(book: _Book, instrument: Instrument, at_ns: int) -> None:
    """One that rests and is taken back."""
    order = book.intent(instrument, BUY, OPEN, at_ns, Money("99.0"))
    id_ = book.accepted(order)
    book.tell(order, K.CANCELLED, broker_order_id=id_)


def _never_there(book: _Book, instrument: Instrument, at_ns: int) -> None:
    """Refused at the broker's door, held back, or lost on its way."""
    order = book.intent(instrument, BUY, OPEN, at_ns)
    match book.chance.random():
        case part if part < 0.5:
            book.tell(order, K.SENT)
            book.tell(order, K.REJECTED, reason="insufficient funds")
        case part if part < 0.8:
            book.tell(order, K.WITHHELD, reason="the kill switch is on")
        case _:
            book.tell(order, K.SENT)
            book.tell(order, K.NO_ANSWER, reason="no answer in 5 s")
            book.tell(order, K.ABSENT, reason="no book of Zerodha has had it in 30 s")


def _days(past: Past, today: int) -> Iterator[tuple[int, int]]:
    """(start of the day, how many intents by its end) for working days before today, oldest first."""
    days, day = [], day_of(past.now_ns)
    while len(days) * A_DAY < past.intents - today:
        day -= 1
        if (to_ist(start_of(day)) + timedelta(hours=12)).weekday() < 5:
            days.append(day)
    for number, each in enumerate(reversed(days), 1):
        yield start_of(each), min(number * A_DAY, past.intents - today)


async def _made(store: Store, past: Past) -> Made:
    began = time.monotonic()
    store.open_accounts({past.broker: past.cash}, {past.broker: past.owner})
    book, today = _Book(store, past), max(FEW, min(TODAY, past.intents // 10))
    today = min(today, past.intents)
    for start_ns, until in _days(past, today):
        written = book.intents
        for minute in range(MINUTES):
            at_ns = start_ns + (OPENS_MINUTE + minute) * MINUTE_NS
            book.minute(at_ns)
            due = written + (until - written) * (minute + 1) // MINUTES
            while book.intents < due:
                _something(book, at_ns)
            if book.intents % AT_ONCE < 2:
                await store.commit()
        book.compared("end_of_day", start_ns + (OPENS_MINUTE + MINUTES) * MINUTE_NS)
        await store.commit()
    at_ns = start_of(day_of(past.now_ns)) + BEFORE_OPEN_MINUTE * MINUTE_NS
    while book.intents < past.intents:
        at_ns += SECOND_NS
        _never_there(book, book.chance.choice(past.instruments), at_ns)
    await store.commit()
    return Made(book.intents, today, book.fills, time.monotonic() - began)


def _something(book: _Book, at_ns: int) -> None:
    instrument, part = book.chance.choice(book.past.instruments), book.chance.random()
    if part < 0.15:
        book.refuse(instrument, at_ns)
    if part < 0.7:
        _round_trip(book, instrument, at_ns)
    elif part < 0.9:
        _limit(book, instrument, at_ns)
    else:
        _never_there(book, instrument, at_ns)


async def _written(path: Path, past: Past) -> Made:
    async with Store(path) as store:
        writer = asyncio.create_task(store.run())
        try:
            return await _made(store, past)
        finally:
            writer.cancel()
            await asyncio.wait([writer])


def make(path: Path, past: Past) -> Made:
    """A new store at `path`; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_written(path, past))


def main() -> None:
    as_it_is = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_it_is)
    parser.add_argument("file", type=Path)
    parser.add_argument("--intents", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    past = Past(
        intents=given.intents,
        seed=given.seed,
        now_ns=to_ns(UNTIL),
        owner="rehearsal made",
        cash=Money(10**9),
        instruments=tuple(Instrument(number, "NSE", f"S{number}") for number in range(1, 41)),
    )
    print(make(given.file, past))


if __name__ == "__main__":
    main()
