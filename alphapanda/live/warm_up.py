"""After a restart: the rows that were taken are shown again, with what became of them, and nothing trades.

A strategy then stands where it would stand undisturbed, counters and all: it begins with what it held, and
hears of the refusals, orders and fills that the journal has of a row where it heard of them before. What it
answers is dropped.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

import anyio
import anyio.lowlevel
from loguru import logger

from alphapanda.core.runner import StrategyRunner
from alphapanda.events import OrderFilled, TickBatch
from alphapanda.pipeline import Cores
from alphapanda.store import Recovered
from alphapanda.store.recovery import Fates, OfMarket
from alphapanda.times import SECOND_NS, to_ist
from alphapanda.venues.contract import FiniteFeed

prices = logger.bind(channel="market_data")

ROWS_AT_ONCE = 2_000
"""Rows shown to the strategies before the loop may look at anything else."""


def furthest(feed: FiniteFeed, marks: Mapping[str, int]) -> int:
    """The row or time that this data had come to, under any identity it may be known by."""
    return max((mark for identity, mark in marks.items() if feed.continues(identity)), default=0)


async def warm_up(
    cores: Cores,
    feed: FiniteFeed,
    rows: Iterator[TickBatch],
    recovered: Recovered,
    taken: int,
    shown: Callable[[], None],
    matching: Sequence[Callable[[TickBatch], None]] = (),
) -> None:
    """Rows up to `taken`: prices for all cores, windows for strategies, days for the orders that rest
    (`matching`). `shown` is called now and then.
    """
    blind = _blind(cores.strategy, feed, recovered, taken)
    fates = [of_feed for identity, of_feed in recovered.fates.items() if feed.continues(identity)]
    cores.strategy.begin_warm_up(_held_before(cores.strategy, fates, recovered.unmarked))
    second = 0

    def time_passes(time_ns: int, row: int) -> None:
        nonlocal second
        if cores.strategy.timed and time_ns // SECOND_NS > second:
            second = time_ns // SECOND_NS
            cores.strategy.warm_up_timer(second * SECOND_NS, row, blind)

    for batch in rows:
        time_passes(batch.time_ns, batch.row)
        _remind_of_market(cores.strategy, fates, batch, blind)
        for see in matching:
            see(batch)
        cores.risk.on(batch)
        cores.portfolio.warm_up(batch)
        cores.strategy.warm_up(batch, blind)
        for of_feed in fates:
            for fate in of_feed.after.get(batch.row, ()):
                cores.strategy.remind(fate, batch.row, blind)
        if batch.row % ROWS_AT_ONCE == 0:
            shown()
            await anyio.lowlevel.checkpoint()
        if batch.row >= taken:
            break
    else:
        return
    # The timer of the next row may have run, and that row not yet.
    time_passes(furthest(feed, recovered.clock), taken + 1)
    for fate in recovered.unmarked:
        cores.strategy.remind(fate, taken + 1, blind)
    prices.info("going on after row {} of {}", batch.row, to_ist(batch.time_ns).isoformat())


def _blind(runner: StrategyRunner, feed: FiniteFeed, recovered: Recovered, taken: int) -> dict[str, int]:
    """Strategy id -> the last row that it must not see: made anew there, it has empty windows."""
    all_of_them = taken if recovered.halt is not None else furthest(feed, recovered.blind)
    return {
        strategy_id: max(all_of_them, furthest(feed, recovered.renewed.get(strategy_id, {})))
        for strategy_id in runner.hosted
    }


def _held_before(
    runner: StrategyRunner, fates: Sequence[Fates], unmarked: Iterable[OfMarket]
) -> dict[str, dict[int, int]]:
    """Strategy id -> token -> what it held before the fills that it will be reminded of."""
    held = {strategy_id: dict(hosted.positions) for strategy_id, hosted in runner.hosted.items()}
    told = chain(unmarked, *(met for of_feed in fates for met in of_feed.before.values()))
    for fate in told:
        hosted = runner.hosted.get(fate.order.strategy_id)
        if isinstance(fate, OrderFilled) and hosted is not None and hosted.sees(fate.order.broker):
            mine, fill = held[fate.order.strategy_id], fate.fill
            token = fill.instrument.instrument_token
            mine[token] = mine.get(token, 0) - fill.signed_quantity
    return {strategy_id: {token: q for token, q in mine.items() if q} for strategy_id, mine in held.items()}


def _remind_of_market(
    runner: StrategyRunner, fates: Sequence[Fates], batch: TickBatch, blind: Mapping[str, int]
) -> None:
    for of_feed in fates:
        for token in (0, *(tick.instrument_token for tick in batch.ticks)) if of_feed.before else ():
            waiting = of_feed.before.get((batch.time_ns, token), [])
            for fate in [each for each in waiting if each.order.row < batch.row]:
                waiting.remove(fate)
                runner.remind(fate, batch.row, blind)
