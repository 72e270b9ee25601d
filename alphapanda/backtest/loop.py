"""The loop: one row a turn, every event carried to its stages by the flow table, nothing awaited.

A turn: (1) the market sees the row and its fills are booked; (2) risk and portfolio take the price, the
strategies see the row, every signal gets its verdict and every approval rests at the market.
"""

from collections import deque
from collections.abc import Callable, Mapping

from alphapanda.core.market import MarketSimulator
from alphapanda.events import (
    CancelOrder,
    PlaceOrder,
    Report,
    ReportKind,
    TickBatch,
    Timer,
)
from alphapanda.pipeline import FLOW, Cores, Stage

Tap = Callable[[object], None]
SECOND = 1_000_000_000


class Backtest:
    """`markets` is the simulated market of each broker; `tap` sees every event."""

    def __init__(self, cores: Cores, markets: Mapping[str, MarketSimulator], tap: Tap) -> None:
        self._cores = cores
        self._markets = markets
        self._tap = tap
        self._queue: deque[object] = deque()
        self._second = 0
        stages = {
            Stage.STRATEGY: cores.strategy.on,
            Stage.RISK: cores.risk.on,
            Stage.EXECUTION: cores.execution.on,
            Stage.PORTFOLIO: cores.portfolio.on,
        }
        self._routes: dict[type, list[Callable[[object], list[object]]]] = {}
        for edge in FLOW:
            self._routes.setdefault(edge.event, []).append(stages[edge.to])  # type: ignore[arg-type]  # lists of outputs
        self._row = self._routes.pop(TickBatch)

    def start(self) -> None:
        self._cores.strategy.start()

    def turn(self, batch: TickBatch) -> None:
        if batch.time_ns // SECOND > self._second:
            self._tick_over(batch.time_ns)
        queue = self._queue
        for market in self._markets.values():
            queue.extend(market.on(batch))
        if queue:
            self._drain()
        for on in self._row:
            queue.extend(on(batch))
        if queue:
            self._drain()

    def _tick_over(self, time_ns: int) -> None:
        """A second of the rows' clock has passed: timers run between turns."""
        self._second = time_ns // SECOND
        self._queue.extend(self._cores.strategy.on(Timer(self._second * SECOND)))
        self._drain()

    def finish(self) -> None:
        """The data has ended: what still rests is cancelled."""
        for market in self._markets.values():
            for order in market.resting():
                self._queue.extend(market.on(CancelOrder(order)))
        self._drain()
        self._cores.strategy.stop()

    def _drain(self) -> None:
        queue = self._queue
        while queue:
            event = queue.popleft()
            self._tap(event)
            if isinstance(event, PlaceOrder):
                self._place(event)
            elif isinstance(event, CancelOrder):
                queue.extend(self._markets[event.order.broker].on(event))
            for on in self._routes.get(type(event), ()):
                queue.extend(on(event))

    def _place(self, event: PlaceOrder) -> None:
        order = event.order
        sent = Report(order_id=order.order_id, kind=ReportKind.SENT, time_ns=order.created_ns)
        self._queue.append(sent)
        self._queue.extend(self._markets[order.broker].on(event))
