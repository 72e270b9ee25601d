"""StrategyRunner: hosts every strategy, and stands between it and the line.

One that raises is quarantined at once: it sees nothing more, while its orders and positions stay managed by
the stages after it. One that the operator paused goes on seeing prices and closing what it holds; what it
would open is refused.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from alphapanda.core.answers import checked
from alphapanda.core.strategy import Strategy
from alphapanda.events import (
    ClosePosition,
    Fill,
    Halt,
    Instrument,
    Order,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderUpdated,
    PositionEffect,
    Refused,
    Resume,
    StrategyFailed,
    StrategyPaused,
    StrategyResumed,
    TickBatch,
    Timer,
    TradingSignal,
    Verdict,
)
from alphapanda.times import to_ist

MAX_UNANSWERED = 64
"""Signals of one strategy without a final word; what comes on top is dropped."""
RUNNING, PAUSED, QUARANTINED = "running", "paused", "quarantined"


class Hosted:
    """A strategy and what its host knows of it."""

    def __init__(self, strategy: Strategy, positions: Mapping[int, int], orders: Iterable[Order]) -> None:
        self.strategy = strategy
        self.positions = dict(positions)
        self.orders: dict[str, Order] = {}
        self.waiting: dict[str, set[str]] = {broker: set() for broker in strategy.brokers}
        self.signals = 0
        self.errors = 0
        self.state = RUNNING
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

    @property
    def listens(self) -> bool:
        return self.state != QUARANTINED

    def sees(self, broker: str) -> bool:
        return broker == self.strategy.brokers[0]

    def full(self) -> bool:
        return any(len(signals) >= MAX_UNANSWERED for signals in self.waiting.values())


Output = TradingSignal | Refused | StrategyFailed


class StrategyRunner:
    """Hosts every strategy: ticks, timers and the fate of their orders in, signals out.

    `signals_made` continues the count of signal ids. `positions` (strategy id -> token -> signed quantity at
    the first broker), `orders` and `stood_down` (strategy id -> paused or quarantined) come from recovery.
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
        stood_down: Mapping[str, str] | None = None,
    ) -> None:
        self._instruments = {instrument.instrument_token: instrument for instrument in instruments}
        self.hosted: dict[str, Hosted] = {}
        for strategy in strategies:
            held = (positions or {}).get(strategy.strategy_id, {})
            own = [order for order in orders if order.strategy_id == strategy.strategy_id]
            hosted = self.hosted[strategy.strategy_id] = Hosted(strategy, held, own)
            hosted.state = (stood_down or {}).get(strategy.strategy_id, RUNNING)
        self._made = signals_made
        self._halted = halted
        self._failures: list[StrategyFailed] = []
        self._subscribe()

    def strategies(self) -> list[Strategy]:
        return [hosted.strategy for hosted in self.hosted.values()]

    @property
    def timed(self) -> bool:
        """Does any strategy have an `on_timer` of its own? If none has, no timer need be sent."""
        return any(type(strategy).on_timer is not Strategy.on_timer for strategy in self.strategies())

    def _subscribe(self) -> None:
        """Token -> the strategies that trade it, quarantined ones left out."""
        self._by_token: dict[int, list[Hosted]] = {}
        for hosted in self.hosted.values():
            if hosted.listens:
                for token in hosted.strategy.instruments:
                    self._by_token.setdefault(token, []).append(hosted)

    def warm_up(self, batch: TickBatch, blind: Mapping[str, int] | None = None) -> None:
        """Show rows that were taken before a restart: windows fill, signals are dropped.

        `blind` (strategy id -> row) keeps what came up to that row from a strategy that was made anew there.
        """
        unseen = blind or {}
        for tick in batch.ticks:
            for hosted in self._by_token.get(tick.instrument_token, ()):
                if batch.row > unseen.get(hosted.strategy.strategy_id, -1):
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
                return self.on_ticks(event)
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
            case ClosePosition() | StrategyPaused() | StrategyResumed():
                outputs = self._on_operator(event)
            case _:
                raise TypeError(f"StrategyRunner does not take {type(event).__name__}")
        return self._with_failures(outputs) if self._failures else outputs

    def _with_failures(self, outputs: list[Output]) -> list[Output]:
        outputs += self._failures
        self._failures = []
        return outputs

    def on_ticks(self, batch: TickBatch) -> list[Output]:
        outputs: list[Output] = []
        for instrument in batch.listed:
            self._instruments[instrument.instrument_token] = instrument
        if self._halted:
            return outputs
        for tick in batch.ticks:
            for hosted in self._by_token.get(tick.instrument_token, ()):
                try:
                    answer = hosted.strategy.on_market_data(tick)
                    if not answer:
                        continue
                    signals = checked(answer)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # noqa: BLE001 - its mistake, even sys.exit(), is its own
                    self._quarantine(hosted, batch.time_ns, error)
                    continue
                outputs += self._emit(hosted, signals, batch)
        return self._with_failures(outputs) if self._failures else outputs

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
            hosted.signals += 1
            made = msgspec.structs.replace(
                signal,
                strategy_id=hosted.strategy.strategy_id,
                signal_id=self._next_id(),
                brokers=hosted.strategy.brokers,
                time_ns=batch.time_ns,
                row=batch.row,
                received_ns=batch.received_ns,
                by="",
            )
            outputs += self._turned_down(hosted, made) or self._sent(hosted, made)
        return outputs

    def _next_id(self) -> str:
        self._made += 1
        return f"S{self._made:06d}"

    def _sent(self, hosted: Hosted, signal: TradingSignal) -> list[Output]:
        for broker in signal.brokers:
            hosted.waiting.setdefault(broker, set()).add(signal.signal_id)
        return [signal]

    def _turned_down(self, hosted: Hosted, signal: TradingSignal) -> list[Output]:
        """The strategy hears of it as of any refusal, on the edge that brings those."""
        if hosted.state == PAUSED and signal.position_effect is PositionEffect.OPEN:
            why = (
                f"{signal.strategy_id} is paused; `alphapanda strategies resume {signal.strategy_id}` ends it"
            )
            return self._refused(signal, Verdict.REFUSED, "strategy_paused", why)
        if hosted.full():
            why = f"{MAX_UNANSWERED} signals of {signal.strategy_id} wait for a final word"
            return self._refused(signal, Verdict.DROPPED, "unanswered_signals", why)
        return []

    def _refused(self, signal: TradingSignal, verdict: Verdict, rule: str, why: str) -> list[Output]:
        return [
            Refused(
                signal=signal,
                broker=broker,
                verdict=verdict,
                rule=rule,
                why=why,
                quantity=signal.quantity,
                instrument=self._instruments.get(signal.instrument_token),
            )
            for broker in signal.brokers
        ]

    def _on_operator(self, event: ClosePosition | StrategyPaused | StrategyResumed) -> list[Output]:
        if isinstance(event, ClosePosition):
            return self._close(event)
        hosted = self.hosted.get(event.strategy_id)
        if hosted is None:
            return []
        if isinstance(event, StrategyResumed):
            self._resume_strategy(hosted)
        elif hosted.state == RUNNING:
            hosted.state = PAUSED
        return []

    def _close(self, event: ClosePosition) -> list[Output]:
        """The operator's word goes the way of every signal, in the name of the strategy that holds."""
        signal = TradingSignal(
            strategy_id=event.strategy_id,
            instrument_token=event.instrument_token,
            transaction_type=event.transaction_type,
            quantity=event.quantity,
            position_effect=PositionEffect.CLOSE,
            reason=f"closed by {event.by}",
            signal_id=self._next_id(),
            brokers=(event.broker,),
            time_ns=event.time_ns,
            row=event.row,
            by=event.by,
        )
        hosted = self.hosted.get(event.strategy_id)
        return [signal] if hosted is None else self._sent(hosted, signal)

    def _resume_strategy(self, hosted: Hosted) -> None:
        """A quarantined one may be half changed: a new one takes its place, with empty windows."""
        quarantined, hosted.state = not hosted.listens, RUNNING
        if quarantined:
            self._subscribe()
            self._renew(hosted)

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
        hosted.waiting.setdefault(refused.broker, set()).discard(signal.signal_id)
        if hosted.sees(refused.broker) and not signal.by:  # what the operator asked was not its own
            self._call(hosted, signal.time_ns, hosted.strategy.on_refused, signal, refused.rule, refused.why)

    def _resume(self) -> None:
        """After `kill-switch off` nothing is compared across the gap: new strategies, empty windows."""
        self._halted = False
        for hosted in self.hosted.values():
            self._renew(hosted)

    def _renew(self, hosted: Hosted) -> None:
        hosted.strategy = self._call(hosted, 0, hosted.strategy.fresh) or hosted.strategy
        self._begin(hosted)

    def _call(self, hosted: Hosted, time_ns: int, hook: Callable[..., Any], *args: object) -> Any:
        if not hosted.listens:
            return None
        try:
            return hook(*args)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - as in on_ticks
            self._quarantine(hosted, time_ns, error)
            return None

    def _quarantine(self, hosted: Hosted, time_ns: int, error: BaseException) -> None:
        hosted.state = QUARANTINED
        hosted.errors += 1
        self._subscribe()
        self._failures.append(StrategyFailed(hosted.strategy.strategy_id, _told(error), time_ns))


def _told(error: BaseException) -> str:
    """One line that the journal can hold; an error of somebody else's may not even have words."""
    try:
        words = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - as in _on_ticks
        words = "what cannot be put into words"
    line = f"{type(error).__name__}: {words}"
    return " ".join(line.encode(errors="replace").decode().split())


def _timed(strategy: Strategy, now: datetime) -> Sequence[TradingSignal]:
    answer = strategy.on_timer(now)
    return checked(answer) if answer else ()
