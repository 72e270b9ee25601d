"""One run of one side of the peers' comparison, in a process of its own: prints one JSON line.

    python scripts/bench_sides.py rows|csv|backtesting|backtrader --ticks 1000000 --seed 7

Every side trades the same momentum strategy on the same seeded ticks of one instrument: long or flat, one
share, an order made on a tick trades at the next one, 0.1 % commission. What `seconds` holds is said in each
function; making the ticks and importing packages is outside of it.

`rows` and `csv` are ours and need our environment, the others `.venv-peers`.
"""

import argparse
import json
import random
import resource
import tempfile
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

FIRST_DAY = datetime(2023, 1, 2, 9, 15)  # a Monday
"""Before the calendar begins every weekday is a trading day."""
TICKS_A_DAY = 22_500  # one a second from 09:15 up to 15:30, so that no throttle and no calendar refuses any
LOOKBACK, BUY, SELL = 5, 1.0022, 0.9978
CASH, COMMISSION = 1_000_000.0, 0.001
CONFIG = f"""
[paper_trading]
starting_cash = {CASH}
commission_percent = {COMMISSION * 100}
[[strategies]]
id = "momentum_1"
class = "strategies.momentum:MomentumStrategy"
instruments = ["NSE:INFY"]
params = {{ lookback_period = {LOOKBACK}, buy_threshold = {BUY}, sell_threshold = {SELL} }}
"""

Prices = list[tuple[datetime, float]]


class Run(NamedTuple):
    seconds: float
    cpu_s: float
    fills: int
    version: str


def prices(ticks: int, seed: int, zone: tzinfo | None = None) -> Iterator[tuple[datetime, float]]:
    """A random walk on a tick size of 0.05, over as many weekdays as it takes."""
    random_ = random.Random(seed)
    day, price = FIRST_DAY.replace(tzinfo=zone), 1500.0
    for number in range(ticks):
        if number and not number % TICKS_A_DAY:
            day += timedelta(days=3 if day.weekday() == 4 else 1)
        price = max(50.0, round(price * random_.gauss(1, 0.0004) * 20) / 20)
        yield day + timedelta(seconds=number % TICKS_A_DAY), price


def timed(run: Callable[[], Any]) -> tuple[Any, float, float]:
    """What `run` returns, its seconds by the clock, and its seconds of CPU."""
    started, cpu = perf_counter(), process_time()
    result = run()
    return result, perf_counter() - started, process_time() - cpu


def ours(ticks: int, seed: int, *, from_csv: bool = False) -> Run:
    """The whole of `run_backtest`: settings to cores, a MarketTick and its batch from every (time, price),
    matching with slippage and charges, every default risk rule, the exact book, the equity curve, the rows
    of the result. With `from_csv` the ticks are read from a file by the daemon's own reader.
    """
    from alphapanda import __version__
    from alphapanda.backtest import run_backtest
    from alphapanda.config import load
    from alphapanda.times import IST
    from alphapanda.venues.instruments import InstrumentBook
    from alphapanda.venues.replay import DataSet

    made = prices(ticks, seed, IST)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.toml"
        config.write_text(CONFIG)
        loaded, book = load(config), InstrumentBook()
        if from_csv:
            path = Path(folder) / "INFY.csv"
            with path.open("w") as out:
                out.write("timestamp,ltp\n")
                out.writelines(f"{moment:%Y-%m-%d %H:%M:%S},{price}\n" for moment, price in made)
            data = DataSet([path], book)
        else:
            data = Rows(list(made), book)
        result, seconds, cpu_s = timed(lambda: run_backtest(loaded, data, book))
    if result.summary["refused"]:
        raise SystemExit(f"{result.summary['refused']} signals were refused; the comparison needs none")
    return Run(seconds, cpu_s, len(result.trades), __version__)


class Rows:
    """A finite feed of (time, price) rows in memory; each tick is made when it is asked for."""

    identity = "rows in memory"

    def __init__(self, made: Prices, book: Any) -> None:
        self._rows = made
        self._instrument = book.by_key("NSE:INFY")

    def continues(self, identity: str) -> bool:
        return identity == self.identity

    def batches(self) -> Generator[Any]:
        from alphapanda.events import MarketTick, TickBatch
        from alphapanda.times import to_ns

        token, listed = self._instrument.instrument_token, (self._instrument,)
        for row, (moment, price) in enumerate(self._rows, 1):
            tick = MarketTick(instrument_token=token, timestamp=moment, last_price=price)
            yield TickBatch(time_ns=to_ns(moment), ticks=(tick,), row=row, listed=listed)
            listed = ()

    def fraction_read(self) -> float:
        return 1.0

    def warnings(self) -> list[str]:
        return []


def frame(made: Prices) -> Any:
    """The ticks as bars with one price: both peers take nothing smaller than a bar."""
    import pandas as pd

    last = [price for _, price in made]
    index = pd.DatetimeIndex([moment for moment, _ in made])
    return pd.DataFrame({"Open": last, "High": last, "Low": last, "Close": last, "Volume": 0}, index=index)


def backtesting(ticks: int, seed: int) -> Run:
    """`Backtest(...).run()` on a DataFrame in memory: its loop, commission and statistics; no risk rules."""
    from backtesting import Backtest, Strategy, __version__

    class Momentum(Strategy):
        def init(self) -> None:
            pass

        def next(self) -> None:
            close = self.data.Close
            if len(close) <= LOOKBACK:
                return
            change = close[-1] / close[-1 - LOOKBACK]
            if change >= BUY:
                if not self.position:
                    self.buy(size=1)
            elif change <= SELL and self.position:
                self.position.close()

    bars = frame(list(prices(ticks, seed)))
    stats, seconds, cpu_s = timed(
        lambda: Backtest(bars, Momentum, cash=CASH, commission=COMMISSION, trade_on_close=False).run()
    )
    strategy = stats["_strategy"]
    return Run(seconds, cpu_s, 2 * len(strategy.closed_trades) + len(strategy.trades), __version__)


def backtrader(ticks: int, seed: int) -> Run:
    """`Cerebro.run()` on a DataFrame in memory: its loop and commission; no observers, no risk rules."""
    import backtrader as bt

    class Momentum(bt.Strategy):
        fills = 0

        def notify_order(self, order: Any) -> None:
            self.fills += order.status == order.Completed

        def next(self) -> None:
            close = self.data.close
            if len(close) <= LOOKBACK:
                return
            change = close[0] / close[-LOOKBACK]
            if change >= BUY:
                if not self.position:
                    self.buy(size=1)
            elif change <= SELL and self.position:
                self.close()

    bars = frame(list(prices(ticks, seed)))

    def run() -> Any:
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(bt.feeds.PandasData(dataname=bars))
        cerebro.addstrategy(Momentum)
        cerebro.broker.setcash(CASH)
        cerebro.broker.setcommission(commission=COMMISSION)
        return cerebro.run()

    (strategy,), seconds, cpu_s = timed(run)
    return Run(seconds, cpu_s, strategy.fills, bt.__version__)


SIDES: dict[str, Callable[[int, int], Run]] = {
    "rows": ours,
    "csv": partial(ours, from_csv=True),
    "backtesting": backtesting,
    "backtrader": backtrader,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("--ticks", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    run = SIDES[arguments.side](arguments.ticks, arguments.seed)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(run._asdict() | {"peak_mib": peak_mib}))


if __name__ == "__main__":
    main()
