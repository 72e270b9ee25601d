"""Counts and latencies for `status`, kept by the tap. Bounded, in memory, and never in the way."""

from collections import Counter
from time import monotonic, perf_counter_ns, time_ns
from typing import Any

from alphapanda.events import (
    Approved,
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    Refused,
    TickBatch,
    TradingSignal,
)

STEPS = 16
SIGNALS, VALIDATED, REJECTED, ORDERS, FILLS = (
    "signals", "signals_validated", "signals_rejected", "orders", "fills"
)  # fmt: skip


class Latency:
    """A histogram in steps of a sixteenth of an octave: p50 and p99 within 7 %, in constant memory."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.max_ns = 0

    def add(self, elapsed_ns: int) -> None:
        self.count += 1
        self.max_ns = max(self.max_ns, elapsed_ns)
        self._buckets[_bucket(elapsed_ns)] += 1

    def percentile(self, share: float) -> int:
        """The upper edge, in nanoseconds, of the bucket that holds this share of the measurements."""
        left = share * self.count
        for bucket in sorted(self._buckets):
            left -= self._buckets[bucket]
            if left <= 0:
                return min(_edge(bucket), self.max_ns)
        return self.max_ns

    def summary(self) -> dict[str, float]:
        """In microseconds."""
        return {
            "p50": self.percentile(0.5) / 1000,
            "p99": self.percentile(0.99) / 1000,
            "max": self.max_ns / 1000,
            "count": self.count,
        }


def _bucket(elapsed_ns: int) -> int:
    octave = max(elapsed_ns, STEPS).bit_length() - STEPS.bit_length()
    return octave * STEPS + (elapsed_ns >> octave)


def _edge(bucket: int) -> int:
    octave = max(0, bucket // STEPS - 1)
    return (bucket - octave * STEPS + 1) << octave


class Count:
    """How many passed, and when the last one did: the wall clock's nanoseconds, 0 when none has."""

    __slots__ = ("last_ns", "number")

    def __init__(self) -> None:
        self.number = 0
        self.last_ns = 0

    def add(self) -> None:
        self.number += 1
        self.last_ns = time_ns()


class Counters:
    """What the tap counts. `tick` is called by the feed for each batch, `second` by the pulse."""

    def __init__(self) -> None:
        self.tick_to_signal = Latency()
        self.tick_to_order = Latency()
        self.ticks = 0
        self.instruments: set[int] = set()
        self.last_tick = 0.0
        self.per_second = 0.0
        self.passed: dict[str, dict[str, Count]] = {
            stage: {} for stage in (SIGNALS, VALIDATED, REJECTED, ORDERS, FILLS)
        }
        """Stage -> broker -> what passed there. A signal counts at each of its brokers."""
        self._sampled = (monotonic(), 0)

    def tick(self, batch: TickBatch) -> None:
        self.ticks += len(batch.ticks)
        self.last_tick = monotonic()
        self.instruments.update([tick.instrument_token for tick in batch.ticks])

    def tap(self, event: object) -> None:
        match event:
            case TradingSignal():
                self._since(self.tick_to_signal, event.received_ns)
                for broker in event.brokers:
                    self._pass(SIGNALS, broker)
            case Approved():
                self._pass(VALIDATED, event.order.broker)
            case Refused():
                self._pass(REJECTED, event.broker)
            case OrderUpdated() if event.order.status is OrderStatus.SENT:
                self._since(self.tick_to_order, event.order.received_ns)
                self._pass(ORDERS, event.order.broker)
            case OrderFilled():
                self._pass(FILLS, event.order.broker)

    def _pass(self, stage: str, broker: str) -> None:
        by_broker = self.passed[stage]
        if broker not in by_broker:
            by_broker[broker] = Count()
        by_broker[broker].add()

    def last_tick_ns(self) -> int:
        """When the last tick was seen, by the wall clock; 0 when there was none."""
        return time_ns() - int((monotonic() - self.last_tick) * 1e9) if self.last_tick else 0

    def _since(self, latency: Latency, received_ns: int) -> None:
        if received_ns:
            latency.add(perf_counter_ns() - received_ns)

    def second(self) -> None:
        """Take a sample of the tick rate."""
        now, (before, ticks) = monotonic(), self._sampled
        if now - before >= 1.0:
            self.per_second = (self.ticks - ticks) / (now - before)
            self._sampled = (now, self.ticks)

    def ticks_summary(self) -> dict[str, Any]:
        return {
            "received": self.ticks,
            "per_second": round(self.per_second, 1),
            "last_age_s": round(monotonic() - self.last_tick, 3) if self.last_tick else None,
            "instruments": len(self.instruments),
        }
