"""The simulated broker's own square-off: from its time on it cancels what rests in MIS, and closes positions.

Brokers call the desk that does it risk management (RMS). It asks nobody: its orders are new to us, and are
adopted. Each costs a fee, whatever it trades.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from alphapanda.core.charges import Charges
from alphapanda.core.market.account import Held, SimulatedAccount
from alphapanda.core.market.simulator import MarketSimulator
from alphapanda.core.square_off import Intraday
from alphapanda.events import (
    MIS,
    CancelOrder,
    Instrument,
    Money,
    Order,
    OrderAdopted,
    OrderStatus,
    OrderType,
    PlaceOrder,
    PositionEffect,
    Report,
    ReportKind,
    TickBatch,
    TransactionType,
)
from alphapanda.times import midnight_after, to_ist

RMS = "rms"
"""Who asked for the broker's own orders."""
FEE = Money("59.00")
"""Rs 50 and 18 % GST on it, an order: support.zerodha.com, "auto square-off charges"."""

Output = Report | OrderAdopted


def with_fee(charges: Charges) -> Charges:
    """`charges`, and the fee on the first fill of each of the broker's own orders."""

    def charge(order: Order, price: Money, quantity: int, time_ns: int) -> Money:
        fee = FEE if order.by == RMS and not order.filled_quantity else Money(0)
        return charges(order, price, quantity, time_ns) + fee

    return charge


class SquaringMarket:
    """A market whose broker squares off. `account` is that of `market`; `made` counts its orders so far."""

    def __init__(
        self,
        market: MarketSimulator,
        account: SimulatedAccount,
        intraday: Intraday,
        broker: str,
        *,
        made: int = 0,
    ) -> None:
        self._market = market
        self._account = account
        self._intraday = intraday
        self._broker = broker
        self._made = made
        self._wakes_ns = 0
        """Until then a row costs one comparison."""

    def on(self, event: object) -> list[Output]:
        if isinstance(event, TickBatch):
            return self.on_ticks(event)
        self._wakes_ns = 0
        return [*self._market.on(event)]

    def on_taken(self, batch: TickBatch) -> None:
        self._market.on_taken(batch)

    def resting(self) -> list[Order]:
        return self._market.resting()

    def on_ticks(self, batch: TickBatch) -> list[Output]:
        """Cancels come before the row's fills, closes after them: they trade at the next row."""
        if batch.time_ns < self._wakes_ns:
            reports = self._market.on_ticks(batch)
            if reports:
                self._wakes_ns = 0
            return [*reports]
        self._wakes_ns = midnight_after(batch.time_ns)
        outputs: list[Output] = [*self._cancels(batch.time_ns), *self._market.on_ticks(batch)]
        return outputs + list(self._closes(batch))

    def _since(self, now_ns: int, instrument: Instrument) -> int | None:
        """When the broker began to square it off; None when that is still to come, and then it wakes us."""
        hours = self._intraday.hours(now_ns, instrument)
        since = None if hours is None else self._intraday.broker_ns(self._broker, hours)
        if since is None or now_ns >= since:
            return since
        self._wakes_ns = min(self._wakes_ns, since)
        return None

    def _cancels(self, now_ns: int) -> Iterator[Output]:
        for order in self._market.resting():
            if order.product == MIS and order.by != RMS:
                since = self._since(now_ns, order.instrument)
                if since is not None:
                    why = f"cancelled by the broker, which squares off {MIS} {_from(since)}"
                    for report in self._market.on(CancelOrder(order)):
                        yield replace(report, time_ns=now_ns, reason=why)

    def _closes(self, batch: TickBatch) -> Iterator[Output]:
        resting = self._market.resting()
        for (strategy_id, token, product), held in list(self._account.held.items()):
            left = held.quantity + sum(
                order.signed_pending
                for order in resting
                if (order.strategy_id, order.instrument.instrument_token, order.by)
                == (strategy_id, token, RMS)
            )
            if product == MIS and held.quantity * left > 0:
                since = self._since(batch.time_ns, held.instrument)
                if since is not None:
                    yield from self._close(self._order(strategy_id, held, left, since, batch))

    def _order(self, strategy_id: str, held: Held, quantity: int, since: int, batch: TickBatch) -> Order:
        self._made += 1
        return Order(
            order_id=f"R{self._broker[0].upper()}{self._made:05d}",
            tag="",
            sequence=0,
            signal_id="",
            strategy_id=strategy_id,
            broker=self._broker,
            instrument=held.instrument,
            transaction_type=TransactionType.SELL if quantity > 0 else TransactionType.BUY,
            quantity=abs(quantity),
            position_effect=PositionEffect.CLOSE,
            order_type=OrderType.MARKET,
            product=MIS,
            reference_price=held.lots[-1].price,
            created_ns=batch.time_ns,
            updated_ns=batch.time_ns,
            status=OrderStatus.OPEN,
            broker_order_id=f"{self._broker.upper()}-RMS-{self._made}",
            reason=f"squared off by the broker, which does so {_from(since)} for Rs {FEE} an order",
            row=batch.row,
            by=RMS,
        )

    def _close(self, order: Order) -> Iterator[Output]:
        """It is accepted from the beginning, so only what else the market says of it is news."""
        yield OrderAdopted(order)
        for report in self._market.on(PlaceOrder(order)):
            if report.kind is not ReportKind.ACCEPTED:
                yield report


def _from(since: int) -> str:
    return f"from {to_ist(since):%H:%M}"
