"""The session as it passes: three lines that stay in place on a terminal, a line a second elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from alphapanda.cli.output import profit

LINE_EVERY_S = 1.0
BAR = 30


class View:
    """`show` is given the fraction of the session and the daemon's status; `write` puts a line above it."""

    def __init__(self, title: str, live: Any = None) -> None:
        self._title = title
        self._live = live
        self._said = monotonic()

    def show(self, fraction: float, time_ns: int, status: dict[str, Any]) -> None:
        from alphapanda.times import to_ist

        clock = to_ist(time_ns).strftime("%H:%M:%S") if time_ns else "--:--:--"
        if self._live is not None:
            self._live.update("\n".join([self._title, _bar(clock, fraction), _counts(status)]), refresh=True)
        elif monotonic() - self._said >= LINE_EVERY_S:
            self._said = monotonic()
            sys.stderr.write(f"{clock} IST · {_counts(status)}\n")

    def write(self, line: str) -> None:
        if self._live is None:
            sys.stderr.write(line)
        else:
            self._live.console.print(line, end="", markup=False, highlight=False, soft_wrap=True)


def _bar(clock: str, fraction: float) -> str:
    done = round(fraction * BAR)
    return f"{clock} IST  {'━' * done}{'╌' * (BAR - done)} {fraction:4.0%}"


def _counts(status: dict[str, Any]) -> str:
    brokers = status["brokers"].values()
    signals = sum(strategy["signals"] for strategy in status["strategies"].values())
    orders = sum(broker["orders_total"] for broker in brokers)
    earned = sum(b["realized_pnl"] + b["unrealized_pnl"] - b["charges"] for b in brokers)
    ticks = status["ticks"]["received"]
    return f"ticks {ticks:,} · signals {signals:,} · orders {orders:,} · profit {profit(earned)}"


@contextmanager
def watching(seed: int) -> Iterator[View]:
    title = f"Alpha Panda trades a simulated session on paper (seed {seed})"
    if not sys.stderr.isatty():
        sys.stderr.write(title + "\n")
        yield View(title)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False, markup=False)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield View(title, live)
