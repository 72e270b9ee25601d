"""The row that a crash interrupted is walked again; what a strategy had asked for by then is not asked for
twice.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from alphapanda.core.strategy import Strategy
from alphapanda.events import TickBatch, TradingSignal


class Asked(NamedTuple):
    """A signal of the row for which a broker has an order."""

    signal: TradingSignal
    broker: str


class Interrupted:
    """What is left of it: each signal that comes again is met once. Empty as soon as another row has come."""

    def __init__(self, asked: Iterable[Asked] = ()) -> None:
        self._asked = Counter(Asked(_wish(each.signal), each.broker) for each in set(asked))
        self._at = {(each.signal.time_ns, each.signal.row) for each in self._asked}

    def __bool__(self) -> bool:
        return bool(self._asked)

    def left(self, strategy: Strategy, signal: TradingSignal, batch: TickBatch) -> tuple[str, ...]:
        """The brokers that have no order of it yet. A signal of another row ends it."""
        if (batch.time_ns, batch.row) not in self._at:
            self._asked.clear()
            return strategy.brokers
        left, name = [], strategy.strategy_id
        wish = _wish(replace(signal, strategy_id=name, time_ns=batch.time_ns, row=batch.row, by=""))
        for broker in strategy.brokers:
            asked = Asked(wish, broker)
            if self._asked[asked]:
                self._asked[asked] -= 1
            else:
                left.append(broker)
        self._asked += Counter()  # what is met is gone
        return tuple(left)


def _wish(signal: TradingSignal) -> TradingSignal:
    """What it asks for, without what it was given on its way."""
    return replace(signal, signal_id="", brokers=(), received_ns=0)
