"""Trades of the account that no order of ours made: by hand in Kite's app, or the broker's own square-off.

Such a trade first reduces what the account holds beside ours; then what strategies hold, the strategy with
the oldest open lot first, as an order that is adopted and filled, so that its book follows; what is left
changes the external position. So ours and external together are the broker's net position after every trade,
whatever comes between. Nothing is done at the broker: the owner is not fought.

No await, no clock, no I/O. A trade that is told again changes nothing, over a restart too: what became of it
is in the journal, as `ExternalSeen` and as fills of adopted orders.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from alphapanda.core.charges import Charges
from alphapanda.core.comparison import OPERATOR, TRADE, Key, Net, Reconciled, key_of
from alphapanda.core.lots import Lot, closed_by
from alphapanda.core.market import with_fee
from alphapanda.events import (
    Difference,
    ExternalSeen,
    Fill,
    Instrument,
    Money,
    Order,
    OrderAdopted,
    OrderStatus,
    OrderType,
    PositionEffect,
    Report,
    ReportKind,
    fill_of,
)
from alphapanda.times import day_of
from alphapanda.venues.zerodha.book_rows import OrderRow, TradeRow
from alphapanda.venues.zerodha.external_trade import WHY, ExternalTrade, external_trade

Output = ExternalSeen | OrderAdopted | Report
MILLISECOND_NS = 1_000_000


class Held(Struct):
    """The open lots of one strategy in one instrument and product, oldest first."""

    strategy_id: str
    instrument: Instrument
    product: str
    lots: deque[Lot]

    @property
    def quantity(self) -> int:
        return sum(lot.quantity for lot in self.lots)

    def book(self, quantity: int, price: Money, traded_ns: int) -> None:
        left = quantity
        for _, units in closed_by(quantity, self.lots):
            left += units
        if left:
            self.lots.append(Lot(left, price, traded_ns))


class External:
    """`orders` and `fills` are all that were ever ours at this broker, `known` what the journal says beside.

    `labels` are the trade ids that the book has, shared with whoever else adds to it. `ours` has to be told
    of every fill of an order that we placed, in the order in which they are reported. `charges` are the
    broker's own, the same object: some are due once a day. The square-off fee is added.
    """

    def __init__(
        self,
        broker: str,
        charges: Charges,
        orders: Iterable[Order] = (),
        fills: Sequence[Fill] = (),
        known: Reconciled | None = None,
        labels: set[str] | None = None,
    ) -> None:
        known, orders = known or Reconciled(), list(orders)
        self._labels = {fill.trade_id for fill in fills} if labels is None else labels
        self._broker = broker
        self._charges = with_fee(charges)
        self._held: dict[Key, dict[tuple[str, int], Held]] = {}
        self._external = dict(known.external)
        self._done = dict(known.taken)
        """(broker's order id, its trade id) -> units that are accounted for"""
        self._day = 0
        self._cut = [
            order
            for order in orders
            if order.broker == broker and not (order.sequence or order.broker_order_id or order.status.ended)
        ]
        """Given to a strategy by the operator, and a crash came before the fill."""
        self._labels.update(order.order_id for order in self._cut)
        self._orders: dict[str, OrderRow] = {}
        """Orders of the day that are not ours, by the broker's id."""
        self._adopted: dict[str, list[Order]] = {}
        """Broker's order id -> the orders that stand for it in our book, as they are now."""
        for order in orders:
            if order.broker == broker and order.by in WHY and order.broker_order_id is not None:
                self._adopted.setdefault(order.broker_order_id, []).append(order)
        of = {order.order_id: id_ for id_, adopted in self._adopted.items() for order in adopted}
        for fill in fills:
            if fill.broker == broker:
                self.ours(fill)
                if fill.order_id in of:
                    trade = of[fill.order_id], fill.trade_id.partition("/")[0]
                    self._done[trade] = self._done.get(trade, 0) + fill.quantity

    @property
    def units(self) -> Net:
        return {key: quantity for key, quantity in self._external.items() if quantity}

    def held(self) -> dict[Key, int]:
        """What of the account is ours, by the fills told."""
        sums = {key: sum(held.quantity for held in owners.values()) for key, owners in self._held.items()}
        return {key: quantity for key, quantity in sums.items() if quantity}

    def held_of(self, key: Key, strategy_id: str) -> int:
        owners = self._held.get(key, {}).values()
        return sum(held.quantity for held in owners if held.strategy_id == strategy_id)

    def adopted(self, broker_order_id: str) -> Sequence[Order]:
        """The orders of our book that stand for an order which was not ours."""
        return self._adopted.get(broker_order_id, ())

    def ours(self, fill: Fill) -> None:
        instrument = fill.instrument
        owners = self._held.setdefault(
            key_of(instrument.exchange, instrument.tradingsymbol, fill.product), {}
        )
        owner = fill.strategy_id, instrument.instrument_token
        if owner not in owners:
            owners[owner] = Held(fill.strategy_id, instrument, fill.product, deque())
        owners[owner].book(fill.signed_quantity, fill.price, fill.traded_ns)
        if not owners[owner].lots:
            del owners[owner]

    def on_report(self, order: Order, report: Report) -> None:
        """Of an order that we placed."""
        if report.kind is ReportKind.FILL:
            self.ours(fill_of(order, report))

    def on_book(
        self, orders: Iterable[OrderRow], trades: Iterable[TradeRow], now_ns: int
    ) -> list[tuple[ExternalTrade, list[Output]]]:
        """`orders` are new or changed ones that are not ours, `trades` all trades of the day.

        To be called after `on_report` of what the same book says of our own orders. The answer has the trades
        that were news; `now_ns` stands in for a time that the broker left out.
        """
        self._orders |= {order.order_id: order for order in orders}
        told = []
        for row in trades:
            order = self._orders.get(row.order_id)
            trade = None if order is None else external_trade(order, row, now_ns)
            if trade is not None and (outputs := self.theirs(trade)):
                told.append((trade, outputs))
        return told

    def over(self, today: int) -> list[Report]:
        """A day begins: what a crash kept from its fill before is in no book any more. It has ended, and the
        comparison of positions shows what that leaves open.
        """
        if today <= self._day:
            return []
        self._day = today
        self._orders.clear()
        reports = [_cut_off(order) for order in self._cut]
        self._cut.clear()
        for adopted in self._adopted.values():
            for number, order in enumerate(adopted):
                if not order.status.ended and day_of(order.created_ns) < today:
                    adopted[number] = replace(order, status=OrderStatus.CANCELLED)
                    reports.append(
                        Report(
                            order_id=order.order_id,
                            kind=ReportKind.CANCELLED,
                            time_ns=order.updated_ns,
                            broker_order_id=order.broker_order_id,
                            reason="its day is over, and its trade was not booked",
                        )
                    )
        return reports

    def theirs(self, trade: ExternalTrade) -> list[Output]:
        """What follows in our books from a trade that is not ours; nothing when it was told before."""
        left = trade.quantity - self._done.get((trade.order_id, trade.trade_id), 0)
        outputs: list[Output] = []
        for order in [each for each in self.adopted(trade.order_id) if each.pending_quantity]:
            if left > 0:  # a crash came between its adoption and its fill
                units = min(left, order.pending_quantity)
                outputs.append(self._fill(order, trade, units))
                left -= units
        if left <= 0:
            return outputs
        sign = trade.transaction_type.sign
        external = self._external.get(trade.key, 0)
        beside = min(left, abs(external)) if external * sign < 0 else 0
        shares = list(self._shares(trade, left - beside))
        beside = left - sum(units for _, units in shares)
        if beside:
            outputs.append(self._move(trade, beside))
        for held, units in shares:
            order = self._adopt(held, trade, units)
            outputs += [OrderAdopted(order), self._fill(order, trade, units)]
        return outputs

    def found(
        self, differences: Iterable[Difference], why: str, time_ns: int, *, by: str = "", reason: str = ""
    ) -> list[ExternalSeen]:
        """Positions whose difference is taken for external, although no trade of today says so."""
        seen = []
        for each in differences:
            key = each.exchange, each.tradingsymbol, each.product
            self._external[key] = self._external.get(key, 0) + each.missing
            seen.append(
                ExternalSeen(
                    broker=self._broker,
                    exchange=each.exchange,
                    tradingsymbol=each.tradingsymbol,
                    product=each.product,
                    change=each.missing,
                    quantity=self._external[key],
                    why=why,
                    time_ns=time_ns,
                    by=by,
                    reason=reason,
                )
            )
        return seen

    def name_at(self, time_ns: int) -> str:
        """Of an order that the operator makes of a position: told by its time, and unlike any other."""
        number = time_ns // MILLISECOND_NS
        while f"XR{number}" in self._labels:
            number += 1
        return f"XR{number}"

    def give(self, order: Order, price: Money) -> list[Output]:
        """What is not ours, or nobody knows of, is a strategy's from now on: `order`, filled at `price`, is
        what the operator makes of it. No order is sent, and no charges are due.
        """
        key = key_of(order.instrument.exchange, order.instrument.tradingsymbol, order.product)
        outputs: list[Output] = []
        if external := self._external.pop(key, 0):
            outputs.append(
                ExternalSeen(
                    broker=self._broker,
                    exchange=key[0],
                    tradingsymbol=key[1],
                    product=key[2],
                    change=-external,
                    quantity=0,
                    why=OPERATOR,
                    time_ns=order.created_ns,
                    by=order.by,
                    reason=order.reason,
                )
            )
        report = Report(
            order_id=order.order_id,
            kind=ReportKind.FILL,
            time_ns=order.created_ns,
            trade_id=order.order_id,
            quantity=order.quantity,
            price=price,
        )
        self._labels.add(report.trade_id)
        self.ours(fill_of(order, report))
        return [*outputs, OrderAdopted(order), report]

    def _shares(self, trade: ExternalTrade, quantity: int) -> Iterator[tuple[Held, int]]:
        """Who holds the other side, and how much of it the trade closes: all of one before the next."""
        sign = trade.transaction_type.sign
        owners = [held for held in self._held.get(trade.key, {}).values() if held.quantity * sign < 0]
        for held in sorted(owners, key=lambda each: each.lots[0].traded_ns):
            units = min(quantity, abs(held.quantity))
            if units:
                yield held, units
            quantity -= units

    def _move(self, trade: ExternalTrade, units: int) -> ExternalSeen:
        exchange, tradingsymbol, product = key = trade.key
        change = trade.transaction_type.sign * units
        self._external[key] = self._external.get(key, 0) + change
        self._count(trade, units)
        return ExternalSeen(
            broker=self._broker,
            exchange=exchange,
            tradingsymbol=tradingsymbol,
            product=product,
            change=change,
            quantity=self._external[key],
            why=TRADE,
            time_ns=trade.time_ns,
            broker_order_id=trade.order_id,
            trade_id=trade.trade_id,
        )

    def _adopt(self, held: Held, trade: ExternalTrade, units: int) -> Order:
        """It is filled whole at once. Its tag is its id: the engine gives it that."""
        before = self._adopted.setdefault(trade.order_id, [])
        number = f"-{len(before) + 1}" if before else ""
        order = Order(
            order_id=f"X{trade.order_id}{number}",
            tag="",
            sequence=0,
            signal_id="",
            strategy_id=held.strategy_id,
            broker=self._broker,
            instrument=held.instrument,
            transaction_type=trade.transaction_type,
            quantity=units,
            position_effect=PositionEffect.CLOSE,
            order_type=OrderType.MARKET,
            product=held.product,
            reference_price=trade.price,
            created_ns=trade.time_ns,
            updated_ns=trade.time_ns,
            status=OrderStatus.OPEN,
            broker_order_id=trade.order_id,
            reason=WHY[trade.by],
            by=trade.by,
        )
        before.append(order)
        return order

    def _fill(self, order: Order, trade: ExternalTrade, units: int) -> Report:
        charges = self._charges(self._so_far(order), trade.price, units, trade.time_ns)
        report = Report(
            order_id=order.order_id,
            kind=ReportKind.FILL,
            time_ns=trade.time_ns,
            broker_order_id=trade.order_id,
            trade_id=self._label(trade, order, units),
            quantity=units,
            price=trade.price,
            charges=charges,
        )
        adopted = self._adopted[trade.order_id]
        filled = order.filled_quantity + units
        adopted[adopted.index(order)] = replace(
            order,
            filled_quantity=filled,
            filled_value=order.filled_value + trade.price * units,
            status=OrderStatus.FILLED if filled == order.quantity else OrderStatus.PARTIAL,
        )
        self._count(trade, units)
        self.ours(fill_of(order, report))
        return report

    def _label(self, trade: ExternalTrade, order: Order, units: int) -> str:
        """The broker's trade id; with our order's where several share it, or another trade has had it."""
        shared = units != trade.quantity or trade.trade_id in self._labels
        label = f"{trade.trade_id}/{order.order_id}" if shared else trade.trade_id
        self._labels.add(label)
        return label

    def _so_far(self, order: Order) -> Order:
        """The broker's order as one, for charges that are capped, or asked, once an order."""
        parts = self._adopted[str(order.broker_order_id)]
        return replace(
            order,
            order_id=parts[0].order_id,
            filled_quantity=sum(part.filled_quantity for part in parts),
            filled_value=sum((part.filled_value for part in parts), Money(0)),
        )

    def _count(self, trade: ExternalTrade, units: int) -> None:
        known = trade.order_id, trade.trade_id
        self._done[known] = self._done.get(known, 0) + units


def _cut_off(order: Order) -> Report:
    return Report(
        order_id=order.order_id,
        kind=ReportKind.CANCELLED,
        time_ns=order.updated_ns,
        reason="it was adopted, and not booked: ask again",
    )
