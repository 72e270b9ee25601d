"""Each ended order's charges as Kite calculates them, beside what our fills were charged.

Ours are rounded to the paisa a fill, Kite's hardly at all; the difference is stored as exact as both are. It
is only stored: the book keeps its own charges, and the contract note has the last word.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

from loguru import logger
from msgspec import Struct

from alphapanda.core.charges import ZerodhaCharges
from alphapanda.core.comparison import NOTABLE
from alphapanda.core.market import FEE, RMS
from alphapanda.errors import Transient
from alphapanda.events import ChargesCompared, Fill, Money, Order, Report, ReportKind, fill_of
from alphapanda.times import day_of
from alphapanda.venues.zerodha.external_trade import WHY
from alphapanda.venues.zerodha.official import Refused

MOST_ROWS = 100
"""Orders asked about at once. Kite names no limit."""
ZERO = Money(0)

api = logger.bind(channel="api")


class Answer(Protocol):
    """One order of Kite's answer."""

    @property
    def exchange(self) -> str: ...
    @property
    def tradingsymbol(self) -> str: ...
    @property
    def transaction_type(self) -> str: ...
    @property
    def quantity(self) -> int: ...
    @property
    def total(self) -> Money: ...


Ask = Callable[[Sequence[dict[str, Any]]], Awaitable[Sequence[Answer]]]
"""POST /charges/orders: one answer a row, in their order. Raises Transient."""
Beside = Callable[[Order, int], Money]
"""(order, when it traded) -> what of our charges no contract note has."""


def beside_of(charges: ZerodhaCharges) -> Beside:
    """The depository's charge, and the fee for each of the broker's own orders."""

    def beside(order: Order, time_ns: int) -> Money:
        return charges.depository(order, time_ns) + (FEE if order.by == RMS else ZERO)

    return beside


class Bill(Struct):
    """One order of the broker's as our book has it. `order` is the first that stands for it."""

    order: Order
    broker_order_id: str
    time_ns: int
    quantity: int = 0
    value: Money = ZERO
    charged: Money = ZERO
    ended: bool = False

    def row(self) -> dict[str, Any]:
        """As the official client wants it: JSON numbers."""
        order = self.order
        return {
            "order_id": self.broker_order_id,
            "exchange": order.instrument.exchange,
            "tradingsymbol": order.instrument.tradingsymbol,
            "transaction_type": order.transaction_type.value,
            "variety": "regular",
            "product": order.product,
            "order_type": order.order_type.value,
            "quantity": self.quantity,
            "average_price": float(self.value / self.quantity),
        }

    def is_answered_by(self, answer: Answer) -> bool:
        instrument = self.order.instrument
        return (answer.exchange, answer.tradingsymbol, answer.transaction_type, answer.quantity) == (
            *(instrument.exchange, instrument.tradingsymbol),
            *(self.order.transaction_type.value, self.quantity),
        )


class Charging:
    """`known` are the broker's order ids that were compared before, `orders` and `fills` all that was ours.

    Kite calculates with the rates of today: an order of an earlier day is not asked about any more.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        broker: str,
        publish: Callable[[ChargesCompared], None],
        now_ns: Callable[[], int],
        beside: Beside = lambda _order, _time_ns: ZERO,
        known: Iterable[str] = (),
        orders: Iterable[Order] = (),
        fills: Iterable[Fill] = (),
    ) -> None:
        self._ask = ask
        self._broker = broker
        self._publish = publish
        self._now_ns = now_ns
        self._beside = beside
        self._done = set(known)
        self._bills: dict[str, Bill] = {}
        self._notable = 0
        of = {order.order_id: order for order in orders if order.broker == broker}
        for fill in fills:
            order = of.get(fill.order_id)
            if order is not None and order.broker_order_id is not None:
                self._add(order, order.broker_order_id, fill)
        for order in of.values():
            self._end(order, order.broker_order_id)

    def on_report(self, order: Order, report: Report) -> None:
        """`order` as it is after the report, one of our book."""
        order_id = report.broker_order_id or order.broker_order_id
        if report.kind is ReportKind.FILL and order_id is not None:
            self._add(order, order_id, fill_of(order, report))
        self._end(order, order_id)

    def waiting(self, *, end_of_day: bool = False) -> list[Bill]:
        """Orders of today that Kite has not been asked about."""
        today = day_of(self._now_ns())
        return [
            bill
            for order_id, bill in self._bills.items()
            if order_id not in self._done and (bill.ended or end_of_day) and day_of(bill.time_ns) == today
        ]

    async def compare(self, *, end_of_day: bool = False) -> None:
        """Ask about what waits. What Kite cannot say now is asked again at the next call."""
        today = day_of(self._now_ns())
        self._bills = {id_: bill for id_, bill in self._bills.items() if day_of(bill.time_ns) >= today}
        bills = self.waiting(end_of_day=end_of_day)
        try:
            for start in range(0, len(bills), MOST_ROWS):
                await self._compare(bills[start : start + MOST_ROWS])
        except Transient as error:
            api.debug("charges are not compared now: {}", error)
        if end_of_day and self._notable:
            api.warning(
                "{} orders were charged otherwise than Kite says; see `alphapanda reconcile show`",
                self._notable,
            )
            self._notable = 0

    async def _compare(self, bills: Sequence[Bill]) -> None:
        """Where Kite refuses the list, each order alone: one that it does not know must not hide the rest."""
        try:
            answers = await self._ask([bill.row() for bill in bills])
        except Refused as error:
            if error.token_dead:
                raise
            if len(bills) == 1:
                self._give_up(bills[0], str(error))
                return
            for bill in bills:
                await self._compare([bill])
            return
        for bill, answer in zip(bills, answers, strict=True):
            if bill.is_answered_by(answer):
                self._take(bill, answer.total)
            else:
                self._give_up(bill, f"Kite answered about another order: {answer}")

    def _take(self, bill: Bill, theirs: Money) -> None:
        order = bill.order
        compared = ChargesCompared(
            broker=self._broker,
            broker_order_id=bill.broker_order_id,
            exchange=order.instrument.exchange,
            tradingsymbol=order.instrument.tradingsymbol,
            ours=bill.charged,
            theirs=theirs,
            beside=self._beside(order, bill.time_ns),
            time_ns=self._now_ns(),
        )
        self._done.add(bill.broker_order_id)
        self._publish(compared)
        if abs(compared.difference) > NOTABLE:
            self._notable += 1
            if self._notable == 1:  # wrong rates are wrong for every order
                api.warning(
                    "order {}: our charges are {} rupees, Kite says {}: look at the rates of {}",
                    *(order.order_id, compared.ours - compared.beside, theirs, order.instrument.key),
                )

    def _give_up(self, bill: Bill, why: str) -> None:
        self._done.add(bill.broker_order_id)
        api.warning("the charges of order {} cannot be compared: {}", bill.order.order_id, why)

    def _add(self, order: Order, order_id: str, fill: Fill) -> None:
        bill = self._bills.get(order_id)
        if bill is None:
            bill = self._bills[order_id] = Bill(order, order_id, fill.traded_ns)
        bill.quantity += fill.quantity
        bill.value += fill.price * fill.quantity
        bill.charged += fill.charges

    def _end(self, order: Order, order_id: str | None) -> None:
        """An order that was adopted may trade on at the broker: it waits for the end of the day."""
        bill = self._bills.get(order_id or "")
        if bill is not None and order.status.ended and order.by not in WHY:
            bill.ended = True
