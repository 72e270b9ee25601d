"""A day of orders of which a part has no clear answer: nothing doubled, nothing lost, nothing left unknown.

The daemon is the installed one, with a strategy that asks for orders (trial_strategies.py); the exchange
takes a part of them and does not say so, or has not taken them, or takes them late. At the end the judge of
the tests holds its history and the wire against the daemon's journal.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from oracle.evidence import Evidence
from oracle.judge import Broken, judge
from oracle.witness import Witness, witness
from trial_children import ExchangeChild, exchange_child
from trial_daemon import Daemon, roots_of, running

INSTRUMENTS = 40
EVERY_S = 0.2
"""Between two orders: Kite takes 400 requests a minute, and some of them are kept for cancels."""
ENDING_S = 240.0
"""After the last order: what rests ends after a minute, what is unknown after the quiet period."""
POLL_S = 1.0
STRATEGY = "asking_1"
DECIDED = ("I1", "I2", "I3", "I4", "I12", "I13", "I14")
"""Of these the evidence of such a day must be enough."""


class Day(NamedTuple):
    """`part` of all answers are struck; late ones by `late_s`. `speed`: exchange seconds in a second."""

    orders: int
    seed: int
    part: float
    late_s: float
    quiet_s: float
    speed: float
    rate_limits: bool


FAULTS: tuple[dict[str, Any], ...] = (
    {"do": "delay_after"},
    {"do": "delay_before"},
    {"do": "reset_after"},
    {"do": "reset_before"},
    {"do": "drop_after"},
    {"do": "drop_before"},
    {"do": "cut_body"},
    {"do": "truncated", "accepted": True},
    {"do": "status", "code": 500, "accepted": True},
    {"do": "status", "code": 500, "accepted": False},
    {"do": "oms_down", "accepted": False},
    {"do": "down", "accepted": True},
    {"do": "timeout", "accepted": True},
    {"do": "html", "accepted": True},
    {"do": "empty", "accepted": True},
    {"do": "keyless", "accepted": True},
    {"do": "not_json", "accepted": True},
    {"do": "no_content_type"},
    {"do": "ambiguous", "accepted": True},
    {"do": "ambiguous", "accepted": False},
    {"do": "late", "reply": "lost"},
    {"do": "late", "reply": "ambiguous"},
    {"do": "late", "reply": "given"},
)


def script(part: float, late_s: float) -> dict[str, Any]:
    """Each kind is as likely as the others; of all placements about so large a part is struck."""
    each = 1 - (1 - part) ** (1 / len(FAULTS))
    faults = [{"on": "order.place", "p": each} | fault for fault in FAULTS]
    for fault in faults:
        if fault["do"] in ("delay_after", "delay_before", "late"):
            fault["seconds"] = late_s
    return {"fault": faults}


def config(server: ExchangeChild, wire: Witness, day: Day) -> dict[str, Any]:
    rows = server.get("/instruments/NSE").decode().splitlines()
    head = rows[0].split(",")
    listed = [dict(zip(head, row.split(","), strict=True)) for row in rows[1:]]
    shares = [row["tradingsymbol"] for row in listed if row["segment"] == "NSE" and row["lot_size"] == "1"]
    return {
        "active_brokers": ["zerodha"],
        "feed": {"source": "zerodha"},
        "zerodha": roots_of(server) | {"api_root": wire.url, "quiet_period_s": day.quiet_s},
        "risk": {"max_orders_per_minute": 0, "max_orders_per_day": 0, "max_open_positions": 0},
        "strategies": [
            {
                "id": STRATEGY,
                "class": "trial_strategies:Asking",
                "instruments": [f"NSE:{symbol}" for symbol in shares[:INSTRUMENTS]],
                "brokers": ["zerodha"],
                "params": {"orders": day.orders, "every_s": EVERY_S, "seed": day.seed},
            }
        ],
    }


def walked(daemon: Daemon, orders: int, tell: Any) -> None:
    """Until all have been asked for and none can change any more."""
    deadline = time.monotonic() + orders * EVERY_S * 4 + ENDING_S
    said = 0.0
    while time.monotonic() < deadline:
        if daemon.process.poll() is not None:
            raise SystemExit(f"campaign: the daemon ended: {daemon.log[-3000:]}")
        states = Counter(row["status"] for row in daemon.answer("orders"))
        if time.monotonic() - said > 10 * POLL_S:
            said = time.monotonic()
            tell(f"{states.total()} orders: {dict(states)}")
        moving = sum(states[state] for state in ("PREPARED", "SENT", "OPEN", "PARTIAL", "UNKNOWN"))
        if states.total() >= orders and not moving:
            return
        time.sleep(POLL_S)


def judged_by(server: ExchangeChild, wire: Witness, store: Path, day: Day) -> list[Broken]:
    """What the judge of the tests says of the store, the exchange's history and the wire."""
    run = Evidence(
        stores=[store],
        history=[json.loads(line) for line in server.get("/admin/history").splitlines()],
        wire=wire.lines(),
        settled=True,
        quiet_period_s=day.quiet_s,
    )
    return judge(run, decided=DECIDED)


def ambiguous(day: Day, *, silent: bool) -> int:
    """0 when the books agree."""

    def tell(sentence: str) -> None:
        if not silent:
            print(sentence, file=sys.stderr, flush=True)

    limits = () if day.rate_limits else ("--no-rate-limits",)
    words = ("--seed", day.seed, "--ticks-per-second", 4, "--speed", day.speed, "--cash", 10**9, *limits)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ambiguous-") as name, exchange_child(*words) as server:
        server.admin("faults", script(day.part, day.late_s))
        store = Path(name) / "var/alphapanda.db"
        with (
            witness(server.url, store, Path(name)) as wire,
            running(Path(name), config(server, wire, day)) as daemon,
        ):
            walked(daemon, day.orders, tell)
            orders = daemon.answer("orders")
            broken = judged_by(server, wire, store, day)
        faults, server_orders = server.admin("faults")["faults"], server.get("/orders")
    kinds = Counter[str]()
    for fault in faults:
        kinds[fault["do"]] += fault["count"]
    caught = Counter(each.invariant for each in broken)
    unknown = sum(row["status"] in ("UNKNOWN", "SENT", "PREPARED") for row in orders)
    document = {
        "orders": len(orders),
        "ambiguous": kinds.total(),
        "at_the_exchange": len(json.loads(server_orders)["data"]),
        "doubled": caught["I2"],
        "lost": caught["I3"],
        "trades_differ": caught["I4"],
        "invariants_broken": len(caught),
        "unknown": unknown,
        "seconds": round(time.monotonic() - began),
        "kinds": dict(kinds.most_common()),
    }
    for each in broken[:20]:
        print(f"campaign: {each}", file=sys.stderr, flush=True)
    print(json.dumps(document))
    return 1 if broken or unknown or len(orders) < day.orders or not kinds else 0
