"""Of the process: bounded, restarted within its budget, alone, silent about secrets, unmoved by telemetry."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from oracle.evidence import Sample
from oracle.facts import Facts, Undecided

from alphapanda.times import SECOND_NS

UNANSWERED = 64
"""Signals of one strategy without a final word: as many refusals may wait for it at once."""
UPDATES = 16
"""Events of one order that may wait at once."""
MOST_FDS, MOST_THREADS = 256, 64
MOST_GROWTH = 200 << 20
"""Bytes by which the memory of one process may grow while it is looked at."""
ALWAYS = 72
"""A snapshot, a folded batch, commands of the operator, timers, and approvals that met a closed gate."""
OF_ORDERS = ("strategy", "execution", "portfolio")
"""Stages to which events of orders go without waiting: bounded by what is open."""
INTENSITY: dict[str, tuple[int, float]] = {
    "control": (5, 60.0),
    "zerodha": (3, 60.0),
    "strategy": (1, 300.0),
    "risk": (1, 300.0),
    "execution": (1, 300.0),
    "portfolio": (1, 300.0),
    "feed": (12, 600.0),  # ten of its own, and one with each new life of the line
}
"""Restarts in so many seconds, beyond which the failure goes up (faults, chapter 6)."""
SLOWER_US = 5_000.0


def i10(facts: Facts) -> Iterator[str]:
    """Every queue bounded, depth <= max, overflow policy explicit; tasks, fds, threads, RSS bounded."""
    samples = facts.run.samples
    if not samples:
        raise Undecided("nobody looked at the running daemon")
    for sample in samples:
        for name, stage in sample.status.get("stages", {}).items():
            queue = stage["queue"]
            most = queue["capacity"] + _beside(name, sample)
            if queue["capacity"] and queue["depth"] > most:
                yield f"{queue['depth']} events waited for {name}, and no more than {most} can"
        if sample.fds > MOST_FDS or sample.threads > MOST_THREADS:
            yield f"it had {sample.fds} descriptors and {sample.threads} threads"
    of_one: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.rss_bytes:
            of_one[sample.pid].append(sample)
    for pid, each in of_one.items():
        grown = each[-1].rss_bytes - each[0].rss_bytes
        if grown > MOST_GROWTH:
            yield f"process {pid} grew by {grown >> 20} MiB"


def _beside(name: str, sample: Sample) -> int:
    """What may wait beside that for which the queue has room: see the keep rules of the flow."""
    strategies = len(sample.status.get("strategies", ()))
    if name not in OF_ORDERS:
        return ALWAYS
    brokers = sample.status.get("brokers", {}).values()
    orders = sum(broker.get("orders_open", 0) for broker in brokers)
    return ALWAYS + 2 * UNANSWERED * strategies + UPDATES * (orders + UNANSWERED)


def i11(facts: Facts) -> Iterator[str]:
    """Restarts <= intensity per period; then safe state and exit in <= T."""
    if len(facts.run.samples) < 2:
        raise Undecided("nobody looked twice at the running daemon")
    samples = sorted(facts.run.samples, key=lambda sample: sample.at_ns)
    told = set[str]()
    for name, (most, period_s) in INTENSITY.items():
        for number, first in enumerate(samples):
            for later in samples[number + 1 :]:
                if later.pid != first.pid or later.at_ns - first.at_ns > period_s * SECOND_NS:
                    break
                times = _restarts(later, name) - _restarts(first, name)
                if times > most and name not in told:
                    told.add(name)
                    yield f"{name} was restarted {times} times within {period_s:g} s, {most} are allowed"


def _restarts(sample: Sample, name: str) -> int:
    return int(sample.status.get("stages", {}).get(name, {}).get("restarts", 0))


def i15(facts: Facts) -> Iterator[str]:
    """One live daemon per account."""
    ready = [life for life in facts.run.lives if life.ready_ns is not None]
    if len(facts.run.lives) < 2:
        raise Undecided("one start of the daemon, or none, is told")
    for before, after in pairwise(sorted(ready, key=lambda life: life.ready_ns or 0)):
        if before.ended_ns is None or before.ended_ns > (after.ready_ns or 0):
            yield f"{after.pid} was ready while {before.pid} was alive"


def i16(facts: Facts) -> Iterator[str]:
    """No secret in any output."""
    if not facts.run.outputs or not facts.run.secrets:
        raise Undecided("no outputs, or no secrets, are told")
    for path in facts.run.outputs:
        text = path.read_bytes()
        for number, secret in enumerate(facts.run.secrets, 1):
            if secret.encode() in text:
                yield f"secret {number} of {len(facts.run.secrets)} is in {path.name}"


def i19(facts: Facts) -> Iterator[str]:
    """Telemetry failure delays the order path < 5 ms."""
    latencies = facts.run.latencies
    if latencies is None or not latencies.calm_us or not latencies.hurt_us:
        raise Undecided("no latencies are told")
    calm, hurt = (sorted(each) for each in (latencies.calm_us, latencies.hurt_us))
    for share in (0.5, 0.99):
        before, after = (each[min(len(each) - 1, int(share * len(each)))] for each in (calm, hurt))
        if after - before >= SLOWER_US:
            yield f"p{share * 100:g} of tick to order went from {before:.0f} us to {after:.0f} us"
