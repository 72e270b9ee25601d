"""A daemon that is killed with -9 again and again while it trades, and what is lost, doubled or broken by it.

The daemon is the installed one, its account is at an exchange on this machine with faults on, and a witness
stands between them. Kills come at random times, while it starts too, and at every fail point that such a
daemon comes by, in turn; a kill at a point of the start is a crash during recovery. Points that only a finite
feed, paper or Redis meets are not of this campaign. After the last kill it settles, and the oracle of the
tests judges what is left: the store, the exchange's history, the wire.
"""

import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError

from trial_children import TOKEN, ExchangeChild, exchange_child, quantile
from trial_journal import Past, make
from trial_lives import STORE, Plan, Run

from alphapanda.events import Instrument, Money
from alphapanda.fail_points import FailPoint, Met
from alphapanda.times import to_ns

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from oracle.evidence import Evidence
from oracle.judge import Judgement, judged
from oracle.witness import Witness, witness

INSTRUMENTS = 40
STRATEGY = "busy_1"
QUIET_S = 4.0
LATE_S = 2.0
"""So late an order may come into the books: within the quiet period."""
PART = 0.1
"""Of placements that have no clear answer."""
PASSAGES = 8
"""A point is passed up to so many times less one before it kills."""
WHILE_STARTING = 0.3
"""Of the random kills."""
STARTING_S, TRADING_S = 1.5, 4.0
"""The latest moment of a random kill, after the start and after READY."""
BY_HAND_EVERY = 12
"""Cycles between two orders of the account's owner."""
EVERY_S = 0.12
"""Between two signals."""
LIMITS = {"max_order_quantity": 10, "max_position_quantity": 1000, "max_orders_per_second": 10}
SHOWN = 20
MET = (Met.START, Met.ORDERS, Met.CANCELS, Met.KILL, Met.REARM, Met.DRAIN, Met.RENEWAL)
POINTS = tuple(point for point in FailPoint if point.met in MET)

PLACING: tuple[dict[str, Any], ...] = (
    {"do": "late", "reply": "given", "seconds": LATE_S},
    {"do": "late", "reply": "lost", "seconds": LATE_S},
    {"do": "status", "code": 500, "accepted": True},
    {"do": "status", "code": 500, "accepted": False},
    {"do": "down", "accepted": True},
    {"do": "timeout", "accepted": False},
    {"do": "reset_after"},
    {"do": "reset_before"},
    {"do": "truncated", "accepted": True},
    {"do": "cut_body"},
)
OTHERS: tuple[dict[str, Any], ...] = (
    {"do": "partial_fills", "on": "order.place", "pieces": 3, "p": 0.3},
    {"do": "reset_after", "on": "order.cancel", "p": 0.1},
    {"do": "status", "code": 502, "on": "orders", "p": 0.02},
    {"do": "truncated", "on": "trades", "p": 0.02},
    {"do": "duplicate_update", "on": "update", "p": 0.1},
    {"do": "reorder_updates", "on": "update", "p": 0.1},
    {"do": "lose_update", "on": "update", "p": 0.05},
)


class Trial(NamedTuple):
    """What is asked for."""

    cycles: int
    seed: int
    intents: int


def plans(trial: Trial) -> Iterator[Plan]:
    """Half of them at random, half at the points in turn, each round of them in another order."""
    chance = random.Random(trial.seed)
    points: list[FailPoint] = []
    for number in range(trial.cycles):
        if number % 2:
            starting = chance.random() < WHILE_STARTING
            yield Plan(starting=starting, pause_s=chance.uniform(0, STARTING_S if starting else TRADING_S))
            continue
        if not points:
            points = chance.sample(POINTS, len(POINTS))
        point = points.pop()
        yield Plan(point, chance.randint(1, PASSAGES) if point.met is Met.ORDERS else 1)


def shares_of(server: ExchangeChild) -> list[Instrument]:
    rows = server.get("/instruments/NSE").decode().splitlines()
    head = rows[0].split(",")
    listed = [dict(zip(head, row.split(","), strict=True)) for row in rows[1:]]
    return [
        Instrument(
            int(row["instrument_token"]), "NSE", row["tradingsymbol"], tick_size=Money(row["tick_size"])
        )
        for row in listed
        if row["segment"] == "NSE" and row["lot_size"] == "1"
    ][:INSTRUMENTS]


def config_of(server: ExchangeChild, wire: Witness, shares: Sequence[Instrument]) -> dict[str, Any]:
    """Prices and login come straight from the exchange's ticker; every call goes by the witness."""
    roots = {"api_root": wire.url, "ws_root": server.ws, "login_root": wire.url}
    return {
        "active_brokers": ["zerodha"],
        "feed": {"source": "zerodha"},
        "zerodha": {"enabled": True, "quiet_period_s": QUIET_S} | roots,
        "risk": {"max_orders_per_minute": 0, "max_orders_per_day": 0, "max_open_positions": 0} | LIMITS,
        "strategies": [
            {
                "id": STRATEGY,
                "class": "trial_strategies:Busy",
                "instruments": [share.key for share in shares],
                "brokers": ["zerodha"],
                "params": {"every_s": EVERY_S},
            }
        ],
    }


def held_at(server: ExchangeChild) -> list[dict[str, Any]]:
    """Positions of the day, and the shares that the account has had since before."""
    held = json.loads(server.get("/portfolio/holdings"))["data"]
    shares = [
        {"tradingsymbol": row["tradingsymbol"], "product": "CNC", "quantity": _began(row)} for row in held
    ]
    return [*json.loads(server.get("/portfolio/positions"))["data"]["net"], *shares]


def _began(row: dict[str, Any]) -> int:
    """Of a holding, as the day began."""
    return int(row["quantity"] + row["t1_quantity"] + row["used_quantity"])


def script() -> dict[str, Any]:
    each = 1 - (1 - PART) ** (1 / len(PLACING))
    return {"fault": [{"on": "order.place", "p": each} | fault for fault in PLACING] + list(OTHERS)}


def by_hand(server: ExchangeChild, shares: Sequence[Instrument], chance: random.Random) -> None:
    """The owner buys a share, or sells one that may be ours."""
    order = {
        "variety": "regular",
        "exchange": "NSE",
        "tradingsymbol": chance.choice(shares).tradingsymbol,
        "transaction_type": chance.choice(["BUY", "BUY", "SELL"]),
        "quantity": 1,
        "order_type": "MARKET",
        "product": "MIS",
        "market_protection": -1,
    }
    with suppress(HTTPError):  # the exchange may refuse it, as it may anybody's
        server.admin("orders", order)


@contextmanager
def at_work(trial: Trial, folder: Path, tell: Callable[[str], None]) -> Iterator[tuple[Run, Any]]:
    """The exchange, the witness, the store with its past; all the lives; then the judge may look."""
    words = ("--seed", trial.seed, "--ticks-per-second", 4, "--cash", 10**9, "--no-rate-limits")
    chance = random.Random(f"{trial.seed} by hand")
    with exchange_child(*words) as server, witness(server.url, folder / STORE, folder) as wire:
        shares = shares_of(server)
        clock = server.admin("clock")
        past = Past(
            intents=trial.intents,
            seed=trial.seed,
            now_ns=to_ns(datetime.fromisoformat(clock["now"])),
            owner=f"rehearsal {clock['exchange']}",
            cash=Money(10**9),
            instruments=shares,
            strategy=STRATEGY,
        )
        if trial.intents:
            tell(f"the past: {make(folder / STORE, past)}")
        run = Run(folder, config_of(server, wire, shares), tell)
        since = run.select("SELECT max(seq) FROM journal")[0][0] if trial.intents else 0
        server.admin("faults", script())
        for number, plan in enumerate(plans(trial), 1):
            run.live(plan, number)
            if number % BY_HAND_EVERY == 0:
                by_hand(server, shares, chance)
        faults = server.admin("faults")["faults"]
        server.admin("faults", {"clear": True, "fault": []})
        run.settle(trial.cycles + 1)
        evidence = Evidence(
            stores=[folder / STORE],
            history=[json.loads(line) for line in server.get("/admin/history").splitlines()],
            wire=wire.lines(),
            commands=run.commands,
            lives=run.lives,
            settled=True,
            quiet_period_s=QUIET_S,
            samples=run.samples,
            limits=LIMITS,
            positions=held_at(server),
            outputs=sorted(folder.glob("daemon-*.log")),
            secrets=[TOKEN],
            since_seq=since,
        )
    yield run, (evidence, faults)


def document(trial: Trial, run: Run, judgement: Judgement, faults: list[dict[str, Any]]) -> dict[str, Any]:
    """What the last line says."""
    times = sorted(each.took_s for each in run.recoveries)
    used = sorted(each.cpu_s for each in run.recoveries)
    waited = sorted(each.waited_s for each in run.recoveries)
    kinds: Counter[str] = Counter()
    for fault in faults:
        kinds[f"{fault['do']} {fault['on']}"] += fault["count"]
    broken = Counter(each.invariant for each in judgement.broken)
    intents, real = run.select("SELECT count(*), count(broker_order_id) FROM orders")[0]
    trades = run.select("SELECT count(*) FROM trades")[0][0]
    return {
        "cycles": trial.cycles,
        "lost": broken["I3"] + broken["I4"],
        "duplicate": broken["I2"],
        "invariants_broken": len(broken),
        "recovery_p50_s": quantile(times, 0.5),
        "recovery_p99_s": quantile(times, 0.99),
        "recovery_max_s": round(times[-1], 3) if times else None,
        "recoveries": len(times),
        "cpu_p50_s": quantile(used, 0.5),
        "cpu_p99_s": quantile(used, 0.99),
        "waited_for_a_core_p99_s": quantile(waited, 0.99),
        "wrong": len(run.wrong),
        "broken": dict(broken),
        "undecided": sorted(judgement.undecided),
        "intents": intents,
        "at_the_broker": real,
        "trades": trades,
        "killed_in_recovery": sum(life.ready_ns is None for life in run.lives),
        "points_fired": dict(sorted(run.fired.items())),
        "points_missed": sorted({point.value for point in POINTS} - run.fired.keys()),
        "faults_fired": dict(kinds.most_common()),
    }


def kill9(trial: Trial, keep: Path | None = None, *, silent: bool) -> int:
    """0 when nothing is lost, doubled, broken or wrong, faults have fired, and every point had its turn.

    What it wrote stays in the folder `keep`.
    """
    began = time.monotonic()

    def tell(sentence: str) -> None:
        if not silent:
            print(f"{time.monotonic() - began:7.1f} s  {sentence}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="kill9-") as name:
        folder = (keep or Path(name)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        with at_work(trial, folder, tell) as (run, (evidence, faults)):
            tell("the oracle judges")
            judgement = judged(evidence)
            found = document(trial, run, judgement, faults)
    found["seconds"] = round(time.monotonic() - began)
    for sentence in [*run.wrong, *map(str, judgement.broken)][:SHOWN]:
        print(f"campaign: {sentence}", file=sys.stderr, flush=True)
    print(json.dumps(found))
    had_their_turn = trial.cycles < 2 * len(POINTS) or not found["points_missed"]
    fired = sum(found["faults_fired"].values()) > 0 or trial.cycles < SHOWN
    return 0 if not (judgement.broken or run.wrong) and had_their_turn and fired else 1
