"""Forced disconnects of many kinds: how long until everything that is wanted ticks again, and what ticks.

The feed runs in this process; the exchange is the installed one, behind a proxy that breaks connections in
the ways of networks; some kinds are faults of the exchange itself. A disconnect counts from the moment the
connection is lost; of one that falls silent, from the moment the feed gives it up, and how long that took is
told beside. Every tick is held against the day's open and the close before of its instrument, which REST had
said: in full mode a packet carries both, and few instruments share them.
"""

import csv
import io
import json
import random
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from time import perf_counter
from typing import Any
from urllib.parse import quote, urlsplit

import anyio
from flaky_proxy import Link, Proxy, proxied
from loguru import logger
from trial_children import API_KEY, TOKEN, ExchangeChild, exchange_child, quantile
from trial_feed import feed_of

from alphapanda.events import Instrument, TickBatch
from alphapanda.venues.zerodha.roots import Roots
from alphapanda.venues.zerodha.session import Session

WITHIN_S = 3.0
GIVE_UP_S = 60.0
SETTLED_S = (0.2, 1.5)
"""Between two disconnects."""
POLL_S = 0.005
AWAY_S = 0.4
INDICES = 50
QUOTES_AT_ONCE = 500
SILENT = ("stall", "ws mute")
"""A connection that these strike is lost when the feed says so."""
BY_THE_EXCHANGE = {
    "close frame": "ws_close",
    "ws reset": "ws_reset",
    "ws cut": "ws_cut",
    "ws mute": "ws_mute",
}
KINDS = ("reset", "finish", "cut", "stall", "away", "all reset", *BY_THE_EXCHANGE)


class Watch:
    """What the feed has published: when each token ticked last, and whether the tick was its own."""

    def __init__(self, marks: dict[int, tuple[float, float]]) -> None:
        self._marks = marks
        self._seen = dict.fromkeys(marks, 0.0)
        self._waiting: set[int] = set(marks)
        self._since_s = 0.0
        self.all_s: float | None = None
        """When the last of all had ticked since the moment that was named."""
        self.ticks = 0
        self.wrong = 0
        self.first_wrong = ""

    def since(self, moment_s: float) -> None:
        """From now on `all_s` counts ticks after this moment."""
        self._waiting = {token for token, seen in self._seen.items() if seen <= moment_s}
        self._since_s = moment_s
        self.all_s = None if self._waiting else max(self._seen.values())

    def publish(self, batch: TickBatch) -> None:
        at_s = batch.received_ns / 1e9
        for tick in batch.ticks:
            token = tick.instrument_token
            expected, came = self._marks.get(token), (tick.open, tick.close)
            if came != expected:
                self.wrong += 1
                self.first_wrong = self.first_wrong or f"{token} came with open, close {came}, not {expected}"
                continue
            self._seen[token] = at_s
            if at_s > self._since_s:
                self._waiting.discard(token)
        self.ticks += len(batch.ticks)
        if self.all_s is None and not self._waiting:
            self.all_s = at_s


def wanted(server: ExchangeChild, count: int) -> tuple[list[Instrument], dict[int, tuple[float, float]]]:
    """The first so many that are traded; open and close before of each."""
    rows = csv.DictReader(io.StringIO(server.get("/instruments").decode()))
    listed = [row for row in rows if row["segment"] != "INDICES"][:count]
    if len(listed) < count:
        raise SystemExit(f"campaign: only {len(listed)} instruments are listed, {count} are wanted")
    instruments = [
        Instrument(int(row["instrument_token"]), row["exchange"], row["tradingsymbol"]) for row in listed
    ]
    marks = {}
    for at in range(0, count, QUOTES_AT_ONCE):
        some = instruments[at : at + QUOTES_AT_ONCE]
        query = "&".join(f"i={quote(each.key)}" for each in some)
        answered = json.loads(server.get(f"/quote?{query}"))["data"]
        for row in answered.values():
            marks[row["instrument_token"]] = row["ohlc"]["open"], row["ohlc"]["close"]
    return instruments, marks


async def until(fact: Callable[[], bool], within_s: float = GIVE_UP_S) -> bool:
    deadline = perf_counter() + within_s
    while not fact():
        if perf_counter() > deadline:
            return False
        await anyio.sleep(POLL_S)
    return True


async def disconnect(kind: str, proxy: Proxy, server: ExchangeChild, chance: random.Random) -> None:
    if kind in BY_THE_EXCHANGE:
        fault = {"do": BY_THE_EXCHANGE[kind]}
        await anyio.to_thread.run_sync(server.admin, "faults", {"clear": True, "fault": [fault]})
        return
    strike = {
        "reset": Link.reset,
        "all reset": Link.reset,
        "away": Link.reset,
        "finish": Link.finish,
        "cut": Link.cut,
        "stall": Link.stall,
    }[kind]
    proxy.away = kind == "away"
    for link in proxy.whole if kind in ("all reset", "away") else [chance.choice(proxy.whole)]:
        strike(link)
    if proxy.away:
        await anyio.sleep(AWAY_S)
        proxy.away = False


async def one(
    kind: str, proxy: Proxy, server: ExchangeChild, watch: Watch, chance: random.Random
) -> dict[str, Any]:
    """Strike once, and wait until everything ticks on as many connections as before."""
    links, known, began_s = proxy.whole, len(proxy.links), perf_counter()
    await disconnect(kind, proxy, server, chance)
    row: dict[str, Any] = {"kind": kind, "noticed_s": None, "ticking_s": None}
    if not await until(lambda: any(not link.whole for link in links)):
        return row
    lost_s = min(link.lost_s for link in links if link.lost_s is not None)
    row["noticed_s"] = round(lost_s - began_s, 3)
    while watch.all_s is None or len(proxy.whole) < len(links) or len(proxy.links) == known:
        if not await until(lambda: len(proxy.whole) >= len(links) and len(proxy.links) > known):
            return row
        watch.since(max(link.opened_s for link in proxy.links))
        if not await until(lambda: watch.all_s is not None):
            return row
    row["ticking_s"] = round(watch.all_s - (lost_s if kind in SILENT else began_s), 3)
    return row


async def trial(
    server: ExchangeChild,
    instruments: int,
    count: int,
    chance: random.Random,
    tell: Callable[[str], None],
    said: deque[str],
) -> dict[str, Any]:
    """`said` are the feed's last words, told where it was slow."""
    listed, marks = await anyio.to_thread.run_sync(wanted, server, instruments)
    at = urlsplit(server.url)
    watch, rows = Watch(marks), []
    kinds = [KINDS[number % len(KINDS)] for number in range(count)]
    chance.shuffle(kinds)
    async with proxied(at.hostname or "", at.port or 0) as proxy, anyio.create_task_group() as group:
        roots = Roots(server.url, f"ws://127.0.0.1:{proxy.port}/ws", server.url)
        feed, books = feed_of(roots, Session(API_KEY, TOKEN), listed)
        group.start_soon(feed.run, watch.publish)
        if not await until(lambda: watch.all_s is not None):
            raise SystemExit(f"campaign: not everything ticks at the start: {feed.summary()}")
        connections = len(proxy.whole)
        for number, kind in enumerate(kinds, 1):
            await anyio.sleep(chance.uniform(*SETTLED_S))
            watch.all_s = None
            row = await one(kind, proxy, server, watch, chance)
            rows.append(row)
            took = row["ticking_s"]
            tell(f"{number:3} {kind:12} noticed {row['noticed_s']} s, all ticking again {took} s")
            if took is None or took >= WITHIN_S:
                tell("\n".join(said))
            if took is None:
                break
        summary = feed.summary()
        group.cancel_scope.cancel()
    with anyio.CancelScope(shield=True):
        await books.close()
    return {"rows": rows, "watch": watch, "summary": summary, "connections": connections, "marks": marks}


def reconnects(count: int, seed: int, instruments: int, *, silent: bool) -> int:
    """0 when everything ticked again in time after each, and no tick came as another instrument's."""
    logger.remove()
    words: deque[str] = deque(maxlen=12)
    logger.add(lambda line: words.append(line.rstrip()), format="      {time:mm:ss.SSS} {message}")

    def tell(sentence: str) -> None:
        if not silent:
            print(sentence, flush=True)

    load = ("--instruments", instruments + INDICES, "--ticks-per-second", 2, "--no-rate-limits")
    with exchange_child("--seed", seed, *load) as server:
        found = anyio.run(trial, server, instruments, count, random.Random(seed), tell, words)
        refused = Counter(line["status"] for line in server.history("ws_refused"))
    rows, watch = found["rows"], found["watch"]
    times = sorted(row["ticking_s"] for row in rows if row["ticking_s"] is not None)
    document = {
        "disconnects": len(rows),
        "never": sum(row["ticking_s"] is None for row in rows),
        "over_3_s": sum(took >= WITHIN_S for took in times),
        "median_s": quantile(times, 0.5),
        "slowest_s": quantile(times, 1.0),
        "wrong_instrument": watch.wrong,
        "ticks": watch.ticks,
        "instruments": instruments,
        "different_marks": len(set(found["marks"].values())),
        "connections": found["connections"],
        "reconnects": found["summary"]["reconnects"],
        "refused": dict(refused),
        "kinds": _by_kind(rows),
    }
    if not silent:
        print(_table(document))
    if watch.wrong:
        print(f"campaign: {watch.first_wrong}", file=sys.stderr)
    print(json.dumps(document))
    failed = document["never"] or document["over_3_s"] or watch.wrong or len(rows) < count
    return 1 if failed else 0


def _by_kind(rows: list[dict[str, Any]]) -> dict[str, Any]:
    of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        of[row["kind"]].append(row)
    found = {}
    for kind, some in sorted(of.items()):
        noticed = [row["noticed_s"] for row in some if row["noticed_s"] is not None]
        ticking = sorted(row["ticking_s"] for row in some if row["ticking_s"] is not None)
        found[kind] = {
            "count": len(some),
            "noticed_s": max(noticed, default=None),
            "median_s": quantile(ticking, 0.5),
            "slowest_s": quantile(ticking, 1.0),
        }
    return found


def _table(document: dict[str, Any]) -> str:
    wrong = f"{document['ticks']:,} ticks, {document['wrong_instrument']} of a wrong instrument"
    lines = [
        f"{document['instruments']:,} instruments on {document['connections']} connections, {wrong}",
        f"{'':12} {'count':>6} {'noticed':>9} {'ticking again, median':>22} {'slowest':>9}",
    ]
    for kind, some in document["kinds"].items():
        noticed = some["noticed_s"] if kind in SILENT else ""
        lines.append(
            f"{kind:12} {some['count']:>6} {noticed:>9} {some['median_s']:>20} s {some['slowest_s']:>7} s"
        )
    return "\n".join(lines)
