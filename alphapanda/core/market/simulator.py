"""MarketSimulator: takes orders as Kite would and matches them against the ticks it is shown.

A market order never trades on the row that caused it, but from the next tick of its instrument on. Where
that tick has an order book it takes what stands there, best price first, one trade a level, and what is left
goes on at the next tick. Without a book it fills whole at that tick's price (a bar's open) moved by the
slippage against the trader and rounded to the tick size against the trader. A limit order takes what stands
at its price or better; without a book it fills at its price or better once a price reaches it. A stop order
sleeps until the price reaches its trigger, and is a limit or market order from that tick on.
"""

from collections.abc import Iterable, Sequence
from math import isfinite

from alphapanda.core.charges import Charges
from alphapanda.core.market.account import SimulatedAccount
from alphapanda.core.market.offers import Taken, offered, walk
from alphapanda.core.market.rejections import malformed, uncovered
from alphapanda.core.market.resting import NEVER, Resting
from alphapanda.core.money import exact, slipped
from alphapanda.events import (
    PRICED,
    CancelOrder,
    Fill,
    MarketTick,
    Money,
    Order,
    PlaceOrder,
    Report,
    ReportKind,
    TickBatch,
    TransactionType,
    Validity,
)


class MarketSimulator:
    """`slippage_percent` of the price; `depth` False never looks at order books. Without an `account` orders
    are not rejected for want of funds or holdings. `orders` (resting) and `fills` (all, oldest first) are
    what recovery found.
    """

    def __init__(
        self,
        slippage_percent: Money,
        charges: Charges,
        *,
        depth: bool = True,
        account: SimulatedAccount | None = None,
        orders: Iterable[Order] = (),
        fills: Sequence[Fill] = (),
    ) -> None:
        self._slippage = slippage_percent
        self._charges = charges
        self._depth = depth
        self._account = account
        self._trades = len(fills)
        self._resting: dict[int, list[Resting]] = {}
        self._ends_ns = NEVER
        self._restored: list[Resting] = []
        self._seen: TickBatch | None = None
        self._taken_ns, self._taken = _taken_last(fills)
        for order in orders:
            self._restore(order)

    def on(self, event: object) -> list[Report]:
        match event:
            case TickBatch():
                return self.on_ticks(event)
            case PlaceOrder(order):
                return [self._place(order)]
            case CancelOrder(order):
                return self._cancel(order)
        raise TypeError(f"MarketSimulator does not take {type(event).__name__}")

    def resting(self) -> list[Order]:
        return [one.order for each in self._resting.values() for one in each]

    def on_taken(self, batch: TickBatch) -> None:
        """A row that was walked before a restart: its prices are the last, its day that of who met it."""
        self._seen = batch
        for tick in batch.ticks if self._resting else ():
            for one in self._resting.get(tick.instrument_token, ()):
                if _follows(one.order, batch) and _traded(tick) is not None:
                    self._meet(one, batch.time_ns)

    def _restore(self, order: Order) -> None:
        one = self._rest(order)
        if order.filled_quantity or order.triggered:
            self._meet(one, order.updated_ns)
        else:
            self._restored.append(one)

    def _meet_restored(self) -> None:
        """A live feed has no rows to show again. Its prices come all day: orders met those of their own."""
        for one in self._restored:
            self._meet(one, one.order.created_ns)
        self._restored.clear()

    def _rest(self, order: Order) -> Resting:
        one = Resting(order)
        self._resting.setdefault(order.instrument.instrument_token, []).append(one)
        self._ends_ns = min(self._ends_ns, one.ends_ns)
        return one

    def _place(self, order: Order) -> Report:
        why = malformed(order, self._last_price(order.instrument.instrument_token))
        if why is None and self._account is not None:
            why = uncovered(order, self._account, self.resting())
        if why is None:
            self._rest(order)
        return Report(
            order_id=order.order_id,
            kind=ReportKind.ACCEPTED if why is None else ReportKind.REJECTED,
            time_ns=order.created_ns,
            broker_order_id=f"PAPER-{order.sequence}",
            reason=why or "",
        )

    def _last_price(self, token: int) -> Money | None:
        """Of the batch seen last, which is the one that caused an order; None where it has no price."""
        ticks = self._seen.ticks if self._seen is not None else ()
        prices = [tick.last_price for tick in ticks if tick.instrument_token == token]
        return exact(prices[-1]) if prices and isfinite(prices[-1]) and prices[-1] > 0 else None

    def _cancel(self, order: Order) -> list[Report]:
        token = order.instrument.instrument_token
        resting = self._resting.get(token, [])
        kept = [other for other in resting if other.order.order_id != order.order_id]
        if len(kept) == len(resting):
            return []
        self._keep(token, kept)
        seen_ns = self._seen.time_ns if self._seen is not None else 0
        return [_cancelled(order, max(order.updated_ns, seen_ns))]

    def _keep(self, token: int, resting: list[Resting]) -> None:
        if resting:
            self._resting[token] = resting
        else:
            self._resting.pop(token, None)

    def on_ticks(self, batch: TickBatch) -> list[Report]:
        self._seen = batch
        reports: list[Report] = []
        if not self._resting:
            return reports
        if self._restored and not batch.row:
            self._meet_restored()
        if batch.time_ns >= self._ends_ns:
            reports += self._end(batch.time_ns)
        for tick in batch.ticks:
            resting = self._resting.get(tick.instrument_token)
            if resting is not None:
                reports += self._match(tick, resting, batch)
        return reports

    def _end(self, time_ns: int) -> list[Report]:
        """Those whose validity is over."""
        reports: list[Report] = []
        for token, resting in list(self._resting.items()):
            over = [one for one in resting if one.ends_ns <= time_ns]
            reports += [_cancelled(one.order, time_ns, one.end(time_ns)) for one in over]
            if over:
                self._keep(token, [one for one in resting if one.ends_ns > time_ns])
        self._ends_ns = min((one.ends_ns for each in self._resting.values() for one in each), default=NEVER)
        return reports

    def _match(self, tick: MarketTick, resting: list[Resting], batch: TickBatch) -> list[Report]:
        reports: list[Report] = []
        traded = _traded(tick)
        if traded is None:
            return reports
        kept: list[Resting] = []
        taken: dict[TransactionType, Taken] = {}
        for one in resting:
            if _caused(one.order, batch):
                kept.append(one)
                continue
            side = one.order.transaction_type
            if side not in taken:
                taken[side] = self._taken_before(tick.instrument_token, side, batch.time_ns)
            self._meet(one, batch.time_ns)
            reports += self._trade(one, tick, traded, taken[side], batch.time_ns)
            if one.order.pending_quantity == 0:
                continue
            if one.order.validity is Validity.IOC:
                left, asked = one.order.pending_quantity, one.order.quantity
                why = f"IOC: {left} of {asked} did not trade at once"
                reports.append(_cancelled(one.order, batch.time_ns, why))
            else:
                kept.append(one)
        self._keep(tick.instrument_token, kept)
        return reports

    def _meet(self, one: Resting, time_ns: int) -> None:
        one.meet(time_ns)
        self._ends_ns = min(self._ends_ns, one.ends_ns)

    def _taken_before(self, token: int, side: TransactionType, time_ns: int) -> Taken:
        """After a crash within a row it is walked again: what was taken of its books is not there twice."""
        return self._taken.get((token, side), {}) if time_ns == self._taken_ns else {}

    def _trade(
        self, one: Resting, tick: MarketTick, traded: float, taken: Taken, time_ns: int
    ) -> list[Report]:
        asleep, price = not one.awake, exact(traded)
        if asleep:
            woken = _woken(one.order, tick, price)
            if woken is None:
                return []
            price = woken
        trades = self._trades_of(one.order, tick, price, taken)
        reports = [self._fill(one, *trade, time_ns) for trade in trades]
        if asleep and not reports:  # a fill says as much
            one.wake(time_ns)
            reports.append(Report(order_id=one.order.order_id, kind=ReportKind.TRIGGERED, time_ns=time_ns))
        return reports

    def _trades_of(
        self, order: Order, tick: MarketTick, price: Money, taken: Taken
    ) -> list[tuple[Money, int]]:
        """(price, quantity) of what the order trades on this tick, at whose `price` it meets the market."""
        limit = (order.price if order.price is not None else price) if order.order_type in PRICED else None
        levels = offered(tick, order.transaction_type) if self._depth else None
        if levels is not None:
            return walk(levels, order, limit, taken)
        if limit is None:
            tick_size = order.instrument.tick_size
            filled_at: Money | None = slipped(price, order.transaction_type, self._slippage, tick_size)
        else:
            filled_at = _limit_fill(order, tick, price, limit)
        return [] if filled_at is None else [(filled_at, order.pending_quantity)]

    def _fill(self, one: Resting, price: Money, quantity: int, time_ns: int) -> Report:
        self._trades += 1
        charges = self._charges(one.order, price, quantity, time_ns)
        if self._account is not None:
            self._account.book(one.order, quantity, price, charges)
        one.fill(quantity, price, time_ns)
        return Report(
            order_id=one.order.order_id,
            kind=ReportKind.FILL,
            time_ns=time_ns,
            trade_id=f"T{self._trades:06d}",
            quantity=quantity,
            price=price,
            charges=charges,
        )


def _traded(tick: MarketTick) -> float | None:
    """The price at which an order meets this tick; None when it is none."""
    traded = tick.open if tick.bar else tick.last_price
    return traded if isfinite(traded) and traded > 0 else None


def _caused(order: Order, batch: TickBatch) -> bool:
    """A row that is walked again after a crash must not fill an order that it caused before it."""
    return 0 < batch.row <= order.row


def _follows(order: Order, batch: TickBatch) -> bool:
    """The row comes after the order; what a timer asked for has no row, but the time of the next one."""
    return batch.row > order.row if order.row else batch.time_ns >= order.created_ns


def _cancelled(order: Order, time_ns: int, reason: str = "") -> Report:
    return Report(order_id=order.order_id, kind=ReportKind.CANCELLED, time_ns=time_ns, reason=reason)


def _woken(order: Order, tick: MarketTick, price: Money) -> Money | None:
    """The price at which the trigger of a stop order is reached; None when it is not.

    Within a bar that is the trigger itself, unless the bar opens beyond it.
    """
    trigger, buys = order.trigger_price, order.transaction_type is TransactionType.BUY
    if trigger is None or (price - trigger) * order.transaction_type.sign >= 0:
        return price
    furthest = tick.high if buys else tick.low
    if not tick.bar or not isfinite(furthest) or furthest <= 0:
        return None
    return trigger if (exact(furthest) - trigger) * order.transaction_type.sign >= 0 else None


def _limit_fill(order: Order, tick: MarketTick, price: Money, limit: Money) -> Money | None:
    """An IOC order meets a bar at its open only: it does not wait for the bar's high or low."""
    within = tick.bar and order.validity is not Validity.IOC
    if order.transaction_type is TransactionType.BUY:
        if price <= limit:
            return price
        return limit if within and tick.low > 0 and exact(tick.low) <= limit else None
    if price >= limit:
        return price
    return limit if within and isfinite(tick.high) and exact(tick.high) >= limit else None


def _taken_last(fills: Sequence[Fill]) -> tuple[int, dict[tuple[int, TransactionType], Taken]]:
    """When the latest fills were made, and what they took: (token, side) -> price -> quantity."""
    time_ns = max((fill.traded_ns for fill in fills), default=0)
    taken: dict[tuple[int, TransactionType], Taken] = {}
    for fill in fills:
        if fill.traded_ns == time_ns:
            at = taken.setdefault((fill.instrument.instrument_token, fill.transaction_type), {})
            at[fill.price] = at.get(fill.price, 0) + fill.quantity
    return time_ns, taken
