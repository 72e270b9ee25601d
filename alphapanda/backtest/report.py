"""One run over price files, and what came of it: trades, orders, profit, drawdown, speed."""

from collections.abc import Callable, Container, Iterable
from datetime import date
from time import perf_counter
from typing import Any, NamedTuple

from alphapanda.backtest.loop import Backtest
from alphapanda.config import Loaded
from alphapanda.core.money import to_paisa
from alphapanda.core.portfolio import PortfolioManager, Standing
from alphapanda.events import (
    Approved,
    Booked,
    Money,
    Order,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderUpdated,
    Refused,
    StrategyFailed,
    StrategyQuarantined,
    TickBatch,
)
from alphapanda.pipeline import build_cores
from alphapanda.plan import calendar_remarks, market_of, old_rates, plan_of, unseen
from alphapanda.rows import Row, for_people, order_row, signal_rows, trade_row
from alphapanda.times import to_ist
from alphapanda.venues.contract import FiniteFeed
from alphapanda.venues.instruments import InstrumentBook

ZERO = Money(0)
PROGRESS_ROWS = 5_000


class Equity:
    """Equity after every row, kept by what the row changed; its highest point and deepest fall from one.

    Computed in floats: it judges a curve, the book stays exact.
    """

    def __init__(self, starting_cash: float) -> None:
        self.now = self.peak = starting_cash
        self.drawdown = self.drawdown_percent = 0.0
        self._filled = False
        self._held: dict[int, int] = {}
        self._last: dict[int, float] = {}

    def on_row(self, batch: TickBatch) -> None:
        """The row as a whole, after its fills: no moment between two of its ticks is a point of the curve."""
        moved, self._filled = self._filled, False
        for tick in batch.ticks:
            token, price = tick.instrument_token, tick.last_price
            held = self._held.get(token)
            if held:
                self.now += held * (price - self._last[token])
                moved = True
            self._last[token] = price
        if moved:
            self._note()

    def seen(self) -> Container[int]:
        """The tokens that had a row."""
        return self._last

    def on_fill(self, booked: Booked) -> None:
        """Valued at the price of the row before; `on_row` brings it to this row's."""
        fill = booked.fill
        token = fill.instrument.instrument_token
        price = float(fill.price)
        last = self._last.setdefault(token, price)
        self._held[token] = self._held.get(token, 0) + fill.signed_quantity
        self.now += fill.signed_quantity * (last - price) - float(fill.charges)
        self._filled = True

    def _note(self) -> None:
        if self.now > self.peak:
            self.peak = self.now
        elif self.peak - self.now > self.drawdown:
            self.drawdown = self.peak - self.now
            self.drawdown_percent = self.drawdown / self.peak * 100


class Ledger:
    """What the tap keeps of a run."""

    def __init__(self, starting_cash: Money) -> None:
        self.orders: dict[str, Order] = {}
        self.booked: list[Booked] = []
        self.verdicts: list[Approved | Refused] = []
        self.failures: list[StrategyFailed | StrategyQuarantined] = []
        self.equity = Equity(float(starting_cash))

    def tap(self, event: object) -> None:
        match event:
            case OrderOpened(order) | OrderUpdated(order) | OrderClosed(order) | OrderFilled(order):
                self.orders[order.order_id] = order
            case Approved() | Refused():
                self.verdicts.append(event)
            case Booked():
                self.booked.append(event)
                self.equity.on_fill(event)
            case StrategyFailed() | StrategyQuarantined():
                self.failures.append(event)

    def wins_and_closes(self) -> tuple[int, int]:
        """How many fills realised a profit, of how many that reduced a position."""
        before: dict[tuple[str, str, int], Money] = {}
        wins = closes = 0
        for booked in self.booked:
            position, fill = booked.position, booked.fill
            key = (position.broker, position.strategy_id, position.instrument.instrument_token)
            gained = position.realized_pnl - before.get(key, ZERO)
            before[key] = position.realized_pnl
            if (position.quantity - fill.signed_quantity) * fill.signed_quantity < 0:
                closes += 1
                wins += gained > 0
        return wins, closes


class Result:
    """What a run leaves: exact rows, and `document` for programs."""

    def __init__(self, ledger: Ledger, portfolio: PortfolioManager) -> None:
        self.ledger = ledger
        self.trades = [trade_row(booked.fill) for booked in ledger.booked]
        self.orders = [order_row(order) for order in ledger.orders.values()]
        self.signals = signal_rows(ledger.verdicts)
        positions = portfolio.positions()
        self.positions = positions
        self.standings = {b.broker: Standing(b, positions) for b in portfolio.balances()}
        self.summary: Row = {}
        self.warnings: list[str] = []

    def document(self) -> Row:
        """What `backtest --json` prints."""
        return {
            "summary": self.summary,
            "trades": [for_people(row) for row in self.trades],
            "orders": [for_people(row) for row in self.orders],
        }

    def remarks(self) -> list[str]:
        """What the user should know beside the figures."""
        return [_fallen(failure) for failure in self.ledger.failures] + self.warnings


def _fallen(failure: StrategyFailed | StrategyQuarantined) -> str:
    name, at = failure.strategy_id, to_ist(failure.time_ns)
    if isinstance(failure, StrategyFailed):
        return f"strategy {name} raised and was quarantined at {at}: {failure.error}"
    return f"strategy {name} was quarantined at {at}: {failure.rule}: {failure.why}"


def run_backtest(
    loaded: Loaded,
    data: FiniteFeed,
    book: InstrumentBook,
    *,
    calendar: bool = True,
    only: tuple[str, ...] = (),
    first: date | None = None,
    last: date | None = None,
    progress: Callable[[float, int, int], Any] = lambda _fraction, _row, _time_ns: None,
) -> Result:
    """Walk the data once. `progress` is told the fraction read and the rows walked, now and then."""
    plan = plan_of(loaded, book, tag_seed="BT", calendar=calendar, only=only)
    cores = build_cores(plan)
    ledger = Ledger(sum(plan.starting_cash.values(), ZERO))
    markets = {
        broker: market_of(loaded.settings, plan.starting_cash[broker], broker=broker, intraday=plan.intraday)
        for broker in plan.products
    }
    line = Backtest(cores, markets, ledger.tap)
    started = perf_counter()
    walked = _walk(line, data, ledger, first=first, last=last, progress=progress)
    line.finish()
    result = Result(ledger, cores.portfolio)
    strategies = plan.strategies if walked.rows else ()
    result.warnings = [
        *(calendar_remarks(plan.calendar, walked.first_ns) if walked.rows else ()),
        *data.warnings(),
        *unseen(strategies, ledger.equity.seen()),
        *old_rates(loaded.settings, (booked.fill for booked in ledger.booked)),
    ]
    result.summary = _summary(result, walked, perf_counter() - started)
    return result


class Walked(NamedTuple):
    """How many rows were taken, and from when to when."""

    rows: int
    first_ns: int
    last_ns: int


def _walk(
    line: Backtest,
    data: FiniteFeed,
    ledger: Ledger,
    *,
    first: date | None,
    last: date | None,
    progress: Callable[[float, int, int], Any],
) -> Walked:
    turn, on_row = line.turn, ledger.equity.on_row
    batches: Iterable[TickBatch] = data.batches()
    if first or last:
        batches = (batch for batch in batches if _within(batch, first, last))
    rows = first_ns = last_ns = 0
    line.start()
    for rows, batch in enumerate(batches, 1):
        turn(batch)
        on_row(batch)
        last_ns = batch.time_ns
        first_ns = first_ns or last_ns
        if not rows % PROGRESS_ROWS:
            progress(data.fraction_read(), rows, last_ns)
    progress(1.0, rows, last_ns)
    return Walked(rows, first_ns, last_ns)


def _within(batch: TickBatch, first: date | None, last: date | None) -> bool:
    day = to_ist(batch.time_ns).date()
    return (first is None or day >= first) and (last is None or day <= last)


def _summary(result: Result, walked: Walked, seconds: float) -> Row:
    standings = result.standings.values()
    starting = sum((s.starting_cash for s in standings), ZERO)
    equity = sum((s.equity for s in standings), ZERO)
    charges = sum((s.charges for s in standings), ZERO)
    wins, closes = result.ledger.wins_and_closes()
    curve = result.ledger.equity
    return {
        "rows": walked.rows,
        "from": to_ist(walked.first_ns).isoformat() if walked.rows else None,
        "to": to_ist(walked.last_ns).isoformat() if walked.rows else None,
        "signals": len(result.signals),
        "refused": sum(1 for row in result.signals if row["verdict"] != "approved"),
        "orders": len(result.orders),
        "trades": len(result.trades),
        "starting_cash": float(starting),
        "equity": float(equity),
        "gross_profit": float(equity - starting + charges),
        "charges": float(charges),
        "net_profit": float(equity - starting),
        "realized_pnl": float(sum((s.realized_pnl for s in standings), ZERO)),
        "unrealized_pnl": float(sum((s.unrealized_pnl for s in standings), ZERO)),
        "max_drawdown": float(to_paisa(Money(curve.drawdown))),
        "max_drawdown_percent": round(curve.drawdown_percent, 4),
        "win_rate": round(wins / closes, 4) if closes else None,
        "seconds": round(seconds, 3),
        "events_per_second": round(walked.rows / seconds) if seconds else None,
    }
