"""RiskManager: every signal gets a verdict, and only here is an approval made.

The snapshot that portfolio sends is always a little old, so risk counts its own approvals in flight: each
carries a sequence number, the snapshot says up to which one it has accounted, and risk keeps those above it.
The worst case of a decision is therefore position + open orders + approvals on their way.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf, isfinite

from alphapanda.core.money import down_to_tick, exact, up_to_tick
from alphapanda.core.rules import Approvals, Mark, Rule, View
from alphapanda.events import (
    Approved,
    Book,
    Halt,
    Instrument,
    Money,
    Order,
    OrderStatus,
    OrderType,
    PositionEffect,
    Refused,
    Resume,
    Snapshot,
    TickBatch,
    TradingSignal,
    TransactionType,
    Verdict,
    Voided,
)

Output = Approved | Refused


class RiskManager:
    """`products` maps each broker to its product (MIS, CNC, …). `tag_seed` makes tags unique for ever.

    `may_trade` answers whether the market of `time_ns` is open; None lets every row trade. `past` are the
    orders that recovery found, which throttles remember; `sequence` is the last number ever used.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        products: Mapping[str, str],
        *,
        tag_seed: str,
        instruments: Iterable[Instrument] = (),
        may_trade: Callable[[int], bool] | None = None,
        past: Sequence[Order] = (),
        sequence: int = 0,
        books: Mapping[str, Book] | None = None,
        halted: bool = False,
    ) -> None:
        self._rules = tuple(rules)
        self._products = dict(products)
        self._tag_seed = tag_seed
        self._may_trade = may_trade
        self._instruments = {instrument.instrument_token: instrument for instrument in instruments}
        self._prices: dict[int, float] = {}
        self._priced_ns: dict[int, int] = {}
        self._books = dict(books or {})
        self._in_flight: dict[str, dict[str, Order]] = {broker: {} for broker in products}
        self._approvals = {broker: _approvals(past, broker) for broker in products}
        self._sequence = max([sequence, *(order.sequence for order in past)])
        self._now = 0
        self.halted = halted

    def on(self, event: object) -> list[Output]:
        match event:
            case TickBatch():
                return self.on_ticks(event)
            case Snapshot(books):
                self._on_snapshot(books)
            case TradingSignal():
                return [self._decide(event, broker) for broker in event.brokers]
            case Halt():
                self.halted = True
            case Resume():
                self.halted = False
            case Voided(order):
                self._in_flight[order.broker].pop(order.order_id, None)
            case _:
                raise TypeError(f"RiskManager does not take {type(event).__name__}")
        return []

    def on_ticks(self, batch: TickBatch) -> list[Output]:
        self._now = time_ns = batch.time_ns
        for instrument in batch.listed:
            self._instruments[instrument.instrument_token] = instrument
        for tick in batch.ticks:
            if 0 < tick.last_price < inf:
                token = tick.instrument_token
                self._prices[token] = tick.last_price
                self._priced_ns[token] = time_ns
        return []

    def _on_snapshot(self, books: Mapping[str, Book]) -> None:
        for broker, book in books.items():
            self._books[broker] = book
            in_flight = self._in_flight.get(broker, {})
            for order_id in [o.order_id for o in in_flight.values() if o.sequence <= book.accounted]:
                del in_flight[order_id]

    def _decide(self, signal: TradingSignal, broker: str) -> Output:
        now_ns = max(self._now, signal.time_ns)
        impossible = self._impossible(signal, now_ns)
        if impossible is not None:
            return self._refused(signal, broker, *impossible)
        view = self._view(signal, broker, now_ns)
        quantity = (
            _closable(signal, view) if signal.position_effect is PositionEffect.CLOSE else signal.quantity
        )
        if quantity == 0:
            return self._refused(
                signal,
                broker,
                "nothing_to_close",
                f"{signal.strategy_id} holds nothing at {broker} that this would reduce",
                Verdict.NOTHING_TO_CLOSE,
            )
        order = self._order(signal, broker, quantity, now_ns)
        for rule in () if _of_operator(signal) else self._rules:
            if rule.entries_only and signal.position_effect is PositionEffect.CLOSE:
                continue
            why = rule.refuse(order, view)
            if why is not None:
                return self._refused(signal, broker, rule.code, why)
        return self._approve(order, signal)

    def _impossible(self, signal: TradingSignal, now_ns: int) -> tuple[str, str] | None:
        """What no limit need be asked about: (rule, why)."""
        if self.halted and not _of_operator(signal):
            return "kill_switch", "the kill switch is on; `alphapanda kill-switch off --reason …` ends it"
        if self._may_trade is not None and not self._may_trade(now_ns):
            return "market_closed", "outside the continuous session"
        if signal.instrument_token not in self._instruments:
            return "unknown_instrument", f"instrument token {signal.instrument_token} is not listed"
        if signal.quantity <= 0:
            return "invalid_signal", f"quantity {signal.quantity} is not positive"
        if not isfinite(signal.last_price):
            return "invalid_signal", f"the price decided upon is {signal.last_price}"
        if signal.order_type is OrderType.LIMIT:
            return self._impossible_limit(signal)
        if self._last_price(signal) <= 0:
            return "no_price", f"no price of instrument token {signal.instrument_token} has been seen"
        return None

    def _impossible_limit(self, signal: TradingSignal) -> tuple[str, str] | None:
        price = signal.price
        if price is None or not price.is_finite() or price <= 0:
            return "invalid_signal", f"a LIMIT order needs a positive price, not {price}"
        instrument = self._instruments[signal.instrument_token]
        if _limit_price(signal, instrument) == 0:
            return "invalid_signal", f"the price {price} is below one tick of {instrument.tick_size}"
        return None

    def _view(self, signal: TradingSignal, broker: str, now_ns: int) -> View:
        return View(
            now_ns=now_ns,
            signal=signal,
            book=self._books.get(broker, Book()),
            in_flight=self._in_flight[broker],
            mark=self._mark(signal.instrument_token),
            approvals=self._approvals[broker],
        )

    def _last_price(self, signal: TradingSignal) -> Money:
        return exact(self._prices.get(signal.instrument_token, signal.last_price))

    def _mark(self, token: int) -> Mark | None:
        """Made when a rule asks: most ticks are never decided upon."""
        return Mark(self._prices[token], self._priced_ns[token]) if token in self._prices else None

    def _order(self, signal: TradingSignal, broker: str, quantity: int, now_ns: int) -> Order:
        """The order this signal would become; it exists only once approved."""
        number = self._sequence + 1
        instrument = self._instruments[signal.instrument_token]
        limit = _limit_price(signal, instrument)
        return Order(
            order_id=f"O{number:06d}",
            tag=f"{self._tag_seed}{number:08d}",
            sequence=number,
            signal_id=signal.signal_id,
            strategy_id=signal.strategy_id,
            broker=broker,
            instrument=instrument,
            transaction_type=signal.transaction_type,
            quantity=quantity,
            position_effect=signal.position_effect,
            order_type=signal.order_type,
            product=self._products[broker],
            reference_price=self._last_price(signal) if limit is None else limit,
            created_ns=now_ns,
            updated_ns=now_ns,
            price=limit,
            row=signal.row,
            received_ns=signal.received_ns,
            by=signal.by,
        )

    def _refused(
        self, signal: TradingSignal, broker: str, rule: str, why: str, verdict: Verdict = Verdict.REFUSED
    ) -> Refused:
        return Refused(
            signal=signal,
            broker=broker,
            verdict=verdict,
            rule=rule,
            why=why,
            quantity=signal.quantity,
            instrument=self._instruments.get(signal.instrument_token),
        )

    def _approve(self, order: Order, signal: TradingSignal) -> Approved:
        self._sequence = order.sequence
        self._in_flight[order.broker][order.order_id] = order
        self._approvals[order.broker].add(order)
        return Approved(order, signal)


def _of_operator(signal: TradingSignal) -> bool:
    """The operator may always reduce a position: past the kill switch, and past every limit."""
    return bool(signal.by) and signal.position_effect is PositionEffect.CLOSE


def _approvals(past: Sequence[Order], broker: str) -> Approvals:
    """What throttles remember. An order that never reached its broker does not count, nor does it repeat."""
    never = (OrderStatus.NOT_FOUND, OrderStatus.WITHHELD)
    return Approvals(order for order in past if order.broker == broker and order.status not in never)


def _closable(signal: TradingSignal, view: View) -> int:
    """The strategy's position at this broker less what may still trade against it, at most what was asked.

    An entry of the other direction counts too: filled first, it would leave the exit nothing to reduce.
    """
    token, side = signal.instrument_token, signal.transaction_type
    held = -side.sign * view.book.positions.get((signal.strategy_id, token), 0)
    resting = sum(
        order.pending_quantity
        for order in view.pending_orders()
        if order.strategy_id == signal.strategy_id
        and order.instrument.instrument_token == token
        and order.transaction_type is side
    )
    return max(0, min(signal.quantity, held - resting))


def _limit_price(signal: TradingSignal, instrument: Instrument) -> Money | None:
    """Rounded to the tick so that the order is never worse than asked: a buy down, a sale up."""
    if signal.price is None or signal.order_type is not OrderType.LIMIT:
        return None
    if signal.transaction_type is TransactionType.BUY:
        return down_to_tick(signal.price, instrument.tick_size)
    return up_to_tick(signal.price, instrument.tick_size)
