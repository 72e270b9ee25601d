"""MarketSimulator: the exchange behind the paper broker and the backtest.

A market order never trades on the row that caused it: it fills whole on the next tick of its instrument, at
that tick's price (a bar's open) moved by the slippage against the trader and rounded to the tick size against
the trader. A limit order fills at its price or better once a price reaches it.
"""

from collections.abc import Iterable
from math import isfinite

from alphapanda.core.charges import Charges
from alphapanda.core.money import HUNDRED, down_to_tick, exact, up_to_tick
from alphapanda.events import (
    CancelOrder,
    MarketTick,
    Money,
    Order,
    OrderType,
    PlaceOrder,
    Report,
    ReportKind,
    TickBatch,
    TransactionType,
)


class MarketSimulator:
    """`slippage_percent` of the price. `orders` (resting) and `trades_made` are what recovery found."""

    def __init__(
        self,
        slippage_percent: Money,
        charges: Charges,
        *,
        orders: Iterable[Order] = (),
        trades_made: int = 0,
    ) -> None:
        self._factor = {
            TransactionType.BUY: 1 + slippage_percent / HUNDRED,
            TransactionType.SELL: 1 - slippage_percent / HUNDRED,
        }
        self._charges = charges
        self._trades = trades_made
        self._resting: dict[int, list[Order]] = {}
        for order in orders:
            self._rest(order)

    def on(self, event: object) -> list[Report]:
        match event:
            case TickBatch():
                return self.on_ticks(event)
            case PlaceOrder(order):
                self._rest(order)
                return [self._accepted(order)]
            case CancelOrder(order):
                return self._cancel(order)
        raise TypeError(f"MarketSimulator does not take {type(event).__name__}")

    def resting(self) -> list[Order]:
        return [order for orders in self._resting.values() for order in orders]

    def _rest(self, order: Order) -> None:
        self._resting.setdefault(order.instrument.instrument_token, []).append(order)

    def _accepted(self, order: Order) -> Report:
        return Report(
            order_id=order.order_id,
            kind=ReportKind.ACCEPTED,
            time_ns=order.created_ns,
            broker_order_id=f"PAPER-{order.sequence}",
        )

    def _cancel(self, order: Order) -> list[Report]:
        token = order.instrument.instrument_token
        resting = self._resting.get(token, [])
        kept = [other for other in resting if other.order_id != order.order_id]
        if len(kept) == len(resting):
            return []
        self._keep(token, kept)
        return [Report(order_id=order.order_id, kind=ReportKind.CANCELLED, time_ns=order.updated_ns)]

    def _keep(self, token: int, orders: list[Order]) -> None:
        if orders:
            self._resting[token] = orders
        else:
            self._resting.pop(token, None)

    def on_ticks(self, batch: TickBatch) -> list[Report]:
        reports: list[Report] = []
        if not self._resting:
            return reports
        for tick in batch.ticks:
            orders = self._resting.get(tick.instrument_token)
            if orders is not None:
                reports += self._match(tick, orders, batch)
        return reports

    def _match(self, tick: MarketTick, orders: list[Order], batch: TickBatch) -> list[Report]:
        reports, kept = [], []
        for order in orders:
            price = None if _caused(order, batch) else self._price(order, tick)
            if price is None:
                kept.append(order)
            else:
                reports.append(self._fill(order, price, batch.time_ns))
        self._keep(tick.instrument_token, kept)
        return reports

    def _price(self, order: Order, tick: MarketTick) -> Money | None:
        """What the order would trade at on this tick; None when it does not."""
        traded = tick.open if tick.bar else tick.last_price
        if not isfinite(traded) or traded <= 0:
            return None
        if order.order_type is OrderType.LIMIT:
            return _limit_fill(order, tick, exact(traded))
        slipped = exact(traded) * self._factor[order.transaction_type]
        if order.transaction_type is TransactionType.BUY:
            return up_to_tick(slipped, order.instrument.tick_size)
        return down_to_tick(slipped, order.instrument.tick_size)

    def _fill(self, order: Order, price: Money, time_ns: int) -> Report:
        self._trades += 1
        return Report(
            order_id=order.order_id,
            kind=ReportKind.FILL,
            time_ns=time_ns,
            trade_id=f"T{self._trades:06d}",
            quantity=order.pending_quantity,
            price=price,
            charges=self._charges(order, price, order.pending_quantity),
        )


def _caused(order: Order, batch: TickBatch) -> bool:
    """A row that is walked again after a crash must not fill an order that it caused before it."""
    return 0 < batch.row <= order.row


def _limit_fill(order: Order, tick: MarketTick, traded: Money) -> Money | None:
    limit = order.price if order.price is not None else traded
    if order.transaction_type is TransactionType.BUY:
        if traded <= limit:
            return traded
        return limit if tick.bar and tick.low > 0 and exact(tick.low) <= limit else None
    if traded >= limit:
        return traded
    return limit if tick.bar and isfinite(tick.high) and exact(tick.high) >= limit else None
