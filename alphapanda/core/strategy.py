"""What a strategy is (`Strategy`, which authors subclass) and who hosts it (`StrategyRunner`).

A strategy sees prices and the fate of its own signals, and answers with signals; it keeps its state in
itself. One that raises is quarantined at once: it sees nothing more, while its orders and positions stay
managed by the stages after it. A strategy follows the first of its brokers: fills, updates and refusals of
the others are not shown to it, so that it never counts a position twice.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

import msgspec
from msgspec import Struct

from alphapanda.core.answers import checked
from alphapanda.events import (
    Fill,
    Halt,
    Instrument,
    MarketTick,
    Order,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderUpdated,
    PositionEffect,
    Refused,
    Resume,
    TickBatch,
    Timer,
    TradingSignal,
    TransactionType,
    Verdict,
)
from alphapanda.times import to_ist

MAX_UNANSWERED = 64
"""Signals of one strategy without a final word; what comes on top is dropped."""


class Strategy:
    """Subclass this, declare `Params`, and answer `on_market_data` with a list of signals.

    `strategy_id` names it in every row. `instruments` are instrument tokens. `params` is a mapping checked
    against `Params` (a bad one raises `msgspec.ValidationError` that names the key). The hooks are optional.
    """

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        """The strategy's own settings, with defaults."""

    params: Any

    def __init__(
        self,
        strategy_id: str,
        instruments: Sequence[int],
        brokers: Sequence[str],
        params: Mapping[str, Any] | Struct | None = None,
    ) -> None:
        self.strategy_id = strategy_id
        self.instruments = tuple(instruments)
        self.brokers = tuple(brokers)
        raw = msgspec.to_builtins(params) if isinstance(params, Struct) else dict(params or {})
        self.params = msgspec.convert(raw, type(self).Params)

    def on_market_data(self, tick: MarketTick) -> list[TradingSignal]:  # noqa: ARG002 - a hook
        """Answer a tick of one of the strategy's instruments. Always a list; never raises on a valid tick."""
        return []

    def on_start(self, positions: Mapping[int, int], orders: Sequence[Order]) -> None:
        """Trading begins, or begins again: signed quantity by token, and orders that may still trade."""

    def on_fill(self, fill: Fill) -> None:
        """A fill of one of its orders, at its first broker."""

    def on_order_update(self, order: Order) -> None:
        """An order of the strategy changed its state at the first broker."""

    def on_refused(self, signal: TradingSignal, rule: str, why: str) -> None:
        """A signal made no order at the first broker."""

    def on_timer(self, now: datetime) -> list[TradingSignal]:  # noqa: ARG002 - a hook
        """A second of the clock has passed (not called for seconds that a finite feed jumps over)."""
        return []

    def on_stop(self) -> None:
        """Trading ends."""

    def buy(
        self, tick: MarketTick, quantity: int, effect: PositionEffect = PositionEffect.OPEN, reason: str = ""
    ) -> TradingSignal:
        """A market order to buy, decided on `tick`."""
        return self._signal(tick, TransactionType.BUY, quantity, effect, reason)

    def sell(
        self, tick: MarketTick, quantity: int, effect: PositionEffect = PositionEffect.OPEN, reason: str = ""
    ) -> TradingSignal:
        """A market order to sell, decided on `tick`."""
        return self._signal(tick, TransactionType.SELL, quantity, effect, reason)

    def _signal(
        self, tick: MarketTick, side: TransactionType, quantity: int, effect: PositionEffect, reason: str
    ) -> TradingSignal:
        return TradingSignal(
            strategy_id=self.strategy_id,
            instrument_token=tick.instrument_token,
            transaction_type=side,
            quantity=quantity,
            position_effect=effect,
            last_price=tick.last_price,
            reason=reason,
        )

    def fresh(self) -> Self:
        """A new one with the same settings and no memory."""
        return type(self)(self.strategy_id, self.instruments, self.brokers, self.params)


class StrategyFailed(Struct, frozen=True):
    """A strategy raised and is quarantined. For the log and `status`."""

    strategy_id: str
    error: str
    time_ns: int


class Hosted:
    """A strategy and what its host knows of it."""

    def __init__(self, strategy: Strategy, positions: Mapping[int, int], orders: Iterable[Order]) -> None:
        self.strategy = strategy
        self.positions = dict(positions)
        self.orders: dict[str, Order] = {}
        self.waiting: dict[str, set[str]] = {broker: set() for broker in strategy.brokers}
        self.signals = 0
        self.errors = 0
        self.state = "running"
        for order in orders:
            self.follow(order)

    def follow(self, order: Order) -> None:
        """Keep what may still trade at the first broker, and which signals wait for a final word anywhere."""
        waiting = self.waiting.setdefault(order.broker, set())
        if order.status.ended:
            waiting.discard(order.signal_id)
            self.orders.pop(order.order_id, None)
            return
        waiting.add(order.signal_id)
        if self.sees(order.broker):
            self.orders[order.order_id] = order

    def sees(self, broker: str) -> bool:
        return broker == self.strategy.brokers[0]

    def full(self) -> bool:
        return any(len(signals) >= MAX_UNANSWERED for signals in self.waiting.values())


Output = TradingSignal | Refused | StrategyFailed


class StrategyRunner:
    """Hosts every strategy: ticks, timers and the fate of their orders in, signals out.

    `signals_made` continues the count of signal ids. `positions` (strategy id -> token -> signed quantity at
    the first broker) and `orders` are what recovery found.
    """

    def __init__(
        self,
        strategies: Iterable[Strategy],
        *,
        signals_made: int = 0,
        positions: Mapping[str, Mapping[int, int]] | None = None,
        orders: Sequence[Order] = (),
        instruments: Iterable[Instrument] = (),
        halted: bool = False,
    ) -> None:
        self._instruments = {instrument.instrument_token: instrument for instrument in instruments}
        self.hosted: dict[str, Hosted] = {}
        for strategy in strategies:
            held = (positions or {}).get(strategy.strategy_id, {})
            own = [order for order in orders if order.strategy_id == strategy.strategy_id]
            self.hosted[strategy.strategy_id] = Hosted(strategy, held, own)
        self._made = signals_made
        self._halted = halted
        self._failures: list[StrategyFailed] = []
        self._subscribe()

    def strategies(self) -> list[Strategy]:
        return [hosted.strategy for hosted in self.hosted.values()]

    def _subscribe(self) -> None:
        """Token -> the strategies that trade it, quarantined ones left out."""
        self._by_token: dict[int, list[Hosted]] = {}
        for hosted in self.hosted.values():
            if hosted.state == "running":
                for token in hosted.strategy.instruments:
                    self._by_token.setdefault(token, []).append(hosted)

    def warm_up(self, batch: TickBatch) -> None:
        """Show rows that were taken before a restart: windows fill, signals are dropped."""
        for tick in batch.ticks:
            for hosted in self._by_token.get(tick.instrument_token, ()):
                self._call(hosted, batch.time_ns, hosted.strategy.on_market_data, tick)

    def start(self) -> list[Output]:
        """Set every strategy's view from its positions and open orders. Comes after the warm-up."""
        for hosted in self.hosted.values():
            self._begin(hosted)
        return self._with_failures([])

    def _begin(self, hosted: Hosted) -> None:
        positions, orders = dict(hosted.positions), list(hosted.orders.values())
        self._call(hosted, 0, hosted.strategy.on_start, positions, orders)

    def stop(self) -> list[Output]:
        for hosted in self.hosted.values():
            self._call(hosted, 0, hosted.strategy.on_stop)
        return self._with_failures([])

    def on(self, event: object) -> list[Output]:
        outputs: list[Output] = []
        match event:
            case TickBatch():
                outputs = self._on_ticks(event)
            case OrderFilled(order, fill):
                self._on_filled(order, fill)
            case OrderOpened(order) | OrderUpdated(order) | OrderClosed(order):
                self._on_update(order)
            case Refused():
                self._on_refused(event)
            case Timer(time_ns):
                outputs = self._on_timer(time_ns)
            case Halt():
                self._halted = True
            case Resume():
                self._resume()
            case _:
                raise TypeError(f"StrategyRunner does not take {type(event).__name__}")
        return self._with_failures(outputs) if self._failures else outputs

    def _with_failures(self, outputs: list[Output]) -> list[Output]:
        outputs += self._failures
        self._failures = []
        return outputs

    def _on_ticks(self, batch: TickBatch) -> list[Output]:
        outputs: list[Output] = []
        for instrument in batch.listed:
            self._instruments[instrument.instrument_token] = instrument
        if self._halted:
            return outputs
        for tick in batch.ticks:
            for hosted in self._by_token.get(tick.instrument_token, ()):
                try:
                    answer = hosted.strategy.on_market_data(tick)
                    signals = checked(answer) if answer else ()
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # noqa: BLE001 - its mistake, even sys.exit(), is its own
                    self._quarantine(hosted, batch.time_ns, error)
                    continue
                if signals:
                    outputs += self._emit(hosted, signals, batch)
        return outputs

    def _on_timer(self, time_ns: int) -> list[Output]:
        outputs: list[Output] = []
        if self._halted:
            return outputs
        for hosted in self.hosted.values():
            if type(hosted.strategy).on_timer is not Strategy.on_timer:
                signals = self._call(hosted, time_ns, _timed, hosted.strategy, to_ist(time_ns))
                outputs += self._emit(hosted, signals or (), TickBatch(time_ns=time_ns, ticks=()))
        return outputs

    def _emit(self, hosted: Hosted, signals: Sequence[TradingSignal], batch: TickBatch) -> list[Output]:
        outputs: list[Output] = []
        for signal in signals:
            self._made += 1
            hosted.signals += 1
            made = msgspec.structs.replace(
                signal,
                strategy_id=hosted.strategy.strategy_id,
                signal_id=f"S{self._made:06d}",
                brokers=hosted.strategy.brokers,
                time_ns=batch.time_ns,
                row=batch.row,
                received_ns=batch.received_ns,
            )
            outputs += self._drop(made) if hosted.full() else self._send(hosted, made)
        return outputs

    def _send(self, hosted: Hosted, signal: TradingSignal) -> list[Output]:
        for waiting in hosted.waiting.values():
            waiting.add(signal.signal_id)
        return [signal]

    def _drop(self, signal: TradingSignal) -> list[Output]:
        """The strategy hears of it as of any refusal, on the edge that brings those."""
        rule = "unanswered_signals"
        why = f"{MAX_UNANSWERED} signals of {signal.strategy_id} wait for a final word"
        return [
            Refused(
                signal=signal,
                broker=broker,
                verdict=Verdict.DROPPED,
                rule=rule,
                why=why,
                quantity=signal.quantity,
                instrument=self._instruments.get(signal.instrument_token),
            )
            for broker in signal.brokers
        ]

    def _on_filled(self, order: Order, fill: Fill) -> None:
        hosted = self.hosted.get(order.strategy_id)
        if hosted is None:
            return
        hosted.follow(order)
        if hosted.sees(order.broker):
            token = fill.instrument.instrument_token
            hosted.positions[token] = hosted.positions.get(token, 0) + fill.signed_quantity
            self._call(hosted, fill.traded_ns, hosted.strategy.on_fill, fill)

    def _on_update(self, order: Order) -> None:
        hosted = self.hosted.get(order.strategy_id)
        if hosted is None:
            return
        hosted.follow(order)
        if hosted.sees(order.broker):
            self._call(hosted, order.updated_ns, hosted.strategy.on_order_update, order)

    def _on_refused(self, refused: Refused) -> None:
        signal = refused.signal
        hosted = self.hosted.get(signal.strategy_id)
        if hosted is None:
            return
        hosted.waiting[refused.broker].discard(signal.signal_id)
        if hosted.sees(refused.broker):
            self._call(hosted, signal.time_ns, hosted.strategy.on_refused, signal, refused.rule, refused.why)

    def _resume(self) -> None:
        """After `kill-switch off` nothing is compared across the gap: new strategies, empty windows."""
        self._halted = False
        for hosted in self.hosted.values():
            hosted.strategy = self._call(hosted, 0, hosted.strategy.fresh) or hosted.strategy
            self._begin(hosted)

    def _call(self, hosted: Hosted, time_ns: int, hook: Callable[..., Any], *args: object) -> Any:
        if hosted.state != "running":
            return None
        try:
            return hook(*args)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - as in _on_ticks
            self._quarantine(hosted, time_ns, error)
            return None

    def _quarantine(self, hosted: Hosted, time_ns: int, error: BaseException) -> None:
        hosted.state = "quarantined"
        hosted.errors += 1
        self._subscribe()
        self._failures.append(
            StrategyFailed(hosted.strategy.strategy_id, f"{type(error).__name__}: {error}", time_ns)
        )


def _timed(strategy: Strategy, now: datetime) -> Sequence[TradingSignal]:
    answer = strategy.on_timer(now)
    return checked(answer) if answer else ()
