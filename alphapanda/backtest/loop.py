"""The loop: one row a turn, every event carried to its stages by the flow table, nothing awaited.

A turn: (1) the market sees the row and its fills are booked; (2) risk and portfolio take the price, the
strategies see the row, every signal gets its verdict and every approval rests at the market.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alphapanda.core.market import Market
from alphapanda.events import (
    CancelOrder,
    PlaceOrder,
    Report,
    ReportKind,
    TickBatch,
    Timer,
)
from alphapanda.pipeline import FLOW, Cores, Stage
from alphapanda.times import SECOND_NS

Tap = Callable[[object], None]
Take = Callable[[Any], Sequence[object]]
TakeRow = Callable[[TickBatch], Sequence[object]]
"""Rows come by the million and mostly lead to nothing, so they go straight to what takes ticks."""


class Backtest:
    """`markets` is the simulated market of each broker; `tap` sees every event."""

    def __init__(self, cores: Cores, markets: Mapping[str, Market], tap: Tap) -> None:
        self._cores = cores
        self._markets = markets
        self._tap = tap
        self._queue: deque[object] = deque()
        self._timed = cores.strategy.timed
        self._second = 0
        stages: dict[Stage, Take] = {
            Stage.STRATEGY: cores.strategy.on,
            Stage.RISK: cores.risk.on,
            Stage.EXECUTION: cores.execution.on,
            Stage.PORTFOLIO: cores.portfolio.on,
        }
        rows: dict[Stage, TakeRow] = {
            Stage.STRATEGY: cores.strategy.on_ticks,
            Stage.RISK: cores.risk.on_ticks,
            Stage.PORTFOLIO: cores.portfolio.on_ticks,
        }
        # What this shell performs itself: it crosses no edge.
        self._routes: dict[type, list[Take]] = {PlaceOrder: [self._place], CancelOrder: [self._cancel]}
        self._row_to_markets: list[TakeRow] = [market.on_ticks for market in markets.values()]
        self._row_to_stages: list[TakeRow] = []
        for edge in FLOW:
            if edge.event is TickBatch:
                self._row_to_stages.append(rows[edge.to])
            else:
                self._routes.setdefault(edge.event, []).append(stages[edge.to])

    def start(self) -> None:
        self._queue.extend(self._cores.strategy.start())
        self._drain()

    def turn(self, batch: TickBatch) -> None:
        if self._timed and batch.time_ns // SECOND_NS > self._second:
            self._tick_over(batch.time_ns)
        queue = self._queue
        for take in self._row_to_markets:
            if outputs := take(batch):
                queue.extend(outputs)
        if queue:
            self._drain()
        for take in self._row_to_stages:
            if outputs := take(batch):
                queue.extend(outputs)
        if queue:
            self._drain()

    def _tick_over(self, time_ns: int) -> None:
        """A second of the rows' clock has passed: timers run between turns."""
        self._second = time_ns // SECOND_NS
        self._queue.extend(self._cores.strategy.on(Timer(self._second * SECOND_NS)))
        self._drain()

    def finish(self) -> None:
        """The data has ended: what still rests is cancelled."""
        for market in self._markets.values():
            for order in market.resting():
                self._queue.extend(market.on(CancelOrder(order)))
        self._drain()
        self._queue.extend(self._cores.strategy.stop())
        self._drain()

    def _drain(self) -> None:
        queue = self._queue
        while queue:
            event = queue.popleft()
            self._tap(event)
            for take in self._routes.get(type(event), ()):
                queue.extend(take(event))

    def _place(self, event: PlaceOrder) -> list[object]:
        order = event.order
        sent = Report(order_id=order.order_id, kind=ReportKind.SENT, time_ns=order.created_ns)
        return [sent, *self._markets[order.broker].on(event)]

    def _cancel(self, event: CancelOrder) -> Sequence[object]:
        return self._markets[event.order.broker].on(event)
