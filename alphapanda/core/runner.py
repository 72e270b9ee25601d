"""StrategyRunner: hosts every strategy, and stands between it and the line.

One that raises, takes too long, or that risk takes out for repeating itself, is quarantined (`company`); its
positions stay managed by the stages after it. One that the operator paused goes on seeing prices and closing
what it holds; what it would open is refused.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from alphapanda.core.answers import checked
from alphapanda.core.company import Aside, Company
from alphapanda.core.hosted import PAUSED, RUNNING, Fate, Hosted, Update
from alphapanda.core.interrupted import Interrupted
from alphapanda.core.strategy import Strategy
from alphapanda.events import (
    SQUARE_OFF,
    ClosePosition,
    FeedRestarted,
    Halt,
    Instrument,
    Order,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderType,
    OrderUpdated,
    PositionEffect,
    Refused,
    Resume,
    StrategyPaused,
    StrategyQuarantined,
    StrategyResumed,
    TickBatch,
    Timer,
    TradingSignal,
)
from alphapanda.times import to_ist

Output = TradingSignal | Refused | Aside
NOTHING: Sequence[TradingSignal] = ()


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
        self.company = Company(strategies, positions or {}, orders, stood_down or {})
        self.hosted = self.company.hosted
        self._made = signals_made
        self._halted = halted
        self.interrupted = Interrupted()

    def strategies(self) -> list[Strategy]:
        return [hosted.strategy for hosted in self.hosted.values()]

    @property
    def timed(self) -> bool:
        """Has any strategy an `on_timer` of its own? If none has, no timer need be sent."""
        return bool(self.company.with_timers())

    def begin_warm_up(self, positions: Mapping[str, Mapping[int, int]]) -> None:
        """`positions` (strategy id -> token -> quantity) are those before the first row to be shown."""
        for strategy_id, held in positions.items():
            hosted = self.hosted[strategy_id]
            self.company.call(hosted, 0, hosted.strategy.on_start, held, [])

    def warm_up(self, batch: TickBatch, blind: Mapping[str, int] | None = None) -> None:
        """Show rows that were taken before a restart: windows fill, signals are dropped.

        `blind` (strategy id -> row) keeps what came up to that row from a strategy that was made anew there.
        """
        unseen = blind or {}
        for tick in batch.ticks:
            for hosted in self.company.by_token.get(tick.instrument_token, ()):
                if batch.row > unseen.get(hosted.strategy.strategy_id, -1):
                    self.company.call(hosted, batch.time_ns, hosted.strategy.on_market_data, tick)

    def warm_up_timer(self, time_ns: int, row: int, blind: Mapping[str, int]) -> None:
        """The second that passed before `row`."""
        for hosted in self.company.with_timers():
            if row > blind.get(hosted.strategy.strategy_id, -1):
                self.company.call(hosted, time_ns, hosted.strategy.on_timer, to_ist(time_ns))

    def remind(self, fate: Fate, row: int, blind: Mapping[str, int] | None = None) -> None:
        """Tell again, between the rows of a warm-up, what became of a signal. Positions know it already."""
        owner = fate.signal if isinstance(fate, Refused) else fate.order
        hosted = self.hosted.get(owner.strategy_id)
        if hosted is not None and row > (blind or {}).get(owner.strategy_id, -1):
            self._tell(hosted, fate)

    def start(self) -> list[Output]:
        """Set every strategy's view from its positions and open orders. Comes after the warm-up."""
        self.company.start()
        return self._with_aside([])

    def stop(self) -> list[Output]:
        for hosted in self.hosted.values():
            self.company.call(hosted, 0, hosted.strategy.on_stop)
        return self._with_aside([])

    def on(self, event: object) -> list[Output]:
        outputs: list[Output] = []
        match event:
            case TickBatch():
                return self.on_ticks(event)
            case OrderFilled():
                self._on_filled(event)
            case OrderOpened() | OrderUpdated() | OrderClosed():
                self._on_update(event)
            case Refused():
                self._on_refused(event)
            case Timer(time_ns):
                outputs = self._on_timer(time_ns)
            case Halt():
                self._halted = True
            case Resume() | FeedRestarted():
                self._renew_all(event)
            case StrategyQuarantined(strategy_id):
                self.company.stand_down(strategy_id)
            case ClosePosition() | StrategyPaused() | StrategyResumed():
                outputs = self._on_operator(event)
            case _:
                raise TypeError(f"StrategyRunner does not take {type(event).__name__}")
        return self._with_aside(outputs) if self.company.aside else outputs

    def _with_aside(self, outputs: list[Output]) -> list[Output]:
        outputs += self.company.aside
        self.company.aside.clear()
        return outputs

    def on_ticks(self, batch: TickBatch) -> list[Output]:
        outputs: list[Output] = []
        self._list(batch.listed)
        if self._halted:
            return outputs
        company, listeners = self.company, self.company.by_token.get
        begin, now_ns, look_ns = company.timing
        ended_ns = begin()
        due_ns = ended_ns + look_ns  # before it no call can have taken too long
        for tick in batch.ticks:
            for hosted in listeners(tick.instrument_token, ()):
                try:
                    answer = hosted.strategy.on_market_data(tick)
                    signals = checked(answer) if answer else NOTHING
                except BaseException as error:  # noqa: BLE001 - as in Company.call, which costs a call more
                    company.failed(hosted, batch.time_ns, error)
                    signals = NOTHING
                if look_ns:
                    began_ns, ended_ns = ended_ns, now_ns()
                    late = ended_ns > due_ns and ended_ns - began_ns > look_ns
                    if late and company.overran(hosted, batch.time_ns, began_ns):
                        signals = NOTHING
                if signals:
                    outputs += self._emit(hosted, signals, batch)
                    ended_ns = begin()
                    due_ns = ended_ns + look_ns
        return self._with_aside(outputs) if self.company.aside else outputs

    def _list(self, instruments: Iterable[Instrument]) -> None:
        for instrument in instruments:
            self._instruments[instrument.instrument_token] = instrument

    def _on_timer(self, time_ns: int) -> list[Output]:
        outputs: list[Output] = []
        if self._halted:
            return outputs
        for hosted in self.company.with_timers():
            signals = self.company.hear(hosted, time_ns, hosted.on_timer, to_ist(time_ns))
            outputs += self._emit(hosted, signals or (), TickBatch(time_ns=time_ns, ticks=()))
        return outputs

    def _emit(self, hosted: Hosted, signals: Sequence[TradingSignal], batch: TickBatch) -> list[Output]:
        outputs: list[Output] = []
        for signal in signals:
            hosted.signals += 1
            brokers = hosted.strategy.brokers
            if self.interrupted and not (brokers := self.interrupted.left(hosted.strategy, signal, batch)):
                continue
            made = msgspec.structs.replace(
                signal,
                strategy_id=hosted.strategy.strategy_id,
                signal_id=self._next_id(),
                brokers=brokers,
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
        if (refusal := hosted.turns_down(signal)) is None:
            return []
        verdict, rule, why = refusal
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
            self.company.resume(hosted)
        elif hosted.state == RUNNING:
            hosted.state = PAUSED
        return []

    def _close(self, event: ClosePosition) -> list[Output]:
        """The operator's word goes the way of every signal, in the name of the strategy that holds.

        So does a square-off, but not under the kill switch: then it is for the operator to close.
        """
        if self._halted and event.by == SQUARE_OFF:
            return []
        signal = TradingSignal(
            strategy_id=event.strategy_id,
            instrument_token=event.instrument_token,
            transaction_type=event.transaction_type,
            quantity=event.quantity,
            position_effect=PositionEffect.CLOSE,
            order_type=OrderType.MARKET if event.price is None else OrderType.LIMIT,
            price=event.price,
            reason=f"closed by {event.by}",
            signal_id=self._next_id(),
            brokers=(event.broker,),
            time_ns=event.time_ns,
            row=event.row,
            by=event.by,
        )
        hosted = self.hosted.get(event.strategy_id)
        return [signal] if hosted is None else self._sent(hosted, signal)

    def _on_filled(self, event: OrderFilled) -> None:
        hosted = self.hosted.get(event.order.strategy_id)
        if hosted is None:
            return
        hosted.follow(event.order)
        if hosted.sees(event.order.broker):
            hosted.book(event.fill)
        self._tell(hosted, event)

    def _on_update(self, event: Update) -> None:
        hosted = self.hosted.get(event.order.strategy_id)
        if hosted is not None:
            hosted.follow(event.order)
            self._tell(hosted, event)
            if not hosted.listens and isinstance(event, OrderOpened):
                self.company.cancel_entries(hosted)  # it was approved before the quarantine

    def _on_refused(self, event: Refused) -> None:
        hosted = self.hosted.get(event.signal.strategy_id)
        if hosted is not None:
            hosted.waiting.setdefault(event.broker, set()).discard(event.signal.signal_id)
            self._tell(hosted, event)

    def _tell(self, hosted: Hosted, fate: Fate) -> None:
        """The strategy hears what became of its signal at its first broker."""
        if hosted.hears_of(fate):
            time_ns, hook, said = hosted.hook_for(fate)
            self.company.hear(hosted, time_ns, hook, *said)

    def _renew_all(self, event: Resume | FeedRestarted) -> None:
        """After `kill-switch off`, or a feed that failed: nothing is compared across the gap. New strategies,
        empty windows.
        """
        if isinstance(event, Resume):
            self._halted = False
        for hosted in self.hosted.values():
            self.company.renew(hosted)
