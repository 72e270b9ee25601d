"""A day of orders of which a part has no clear answer: nothing doubled, nothing lost, nothing left unknown.

The daemon is the installed one, with a strategy that asks for orders (trial_strategies.py); the exchange
takes a part of them and does not say so, or has not taken them, or takes them late. At the end its books are
held against the daemon's, row by row.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from trial_children import ExchangeChild, exchange_child
from trial_daemon import Daemon, roots_of, running

INSTRUMENTS = 40
EVERY_S = 0.2
"""Between two orders: Kite takes 400 requests a minute, and some of them are kept for cancels."""
ENDING_S = 240.0
"""After the last order: what rests ends after a minute, what is unknown after the quiet period."""
POLL_S = 1.0
STRATEGY = "asking_1"


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


def config(server: ExchangeChild, day: Day) -> dict[str, Any]:
    rows = server.get("/instruments/NSE").decode().splitlines()
    head = rows[0].split(",")
    listed = [dict(zip(head, row.split(","), strict=True)) for row in rows[1:]]
    shares = [row["tradingsymbol"] for row in listed if row["segment"] == "NSE" and row["lot_size"] == "1"]
    return {
        "active_brokers": ["zerodha"],
        "feed": {"source": "zerodha"},
        "zerodha": roots_of(server) | {"quiet_period_s": day.quiet_s},
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


def compared(
    server: ExchangeChild, orders: list[dict[str, Any]], trades: list[dict[str, Any]]
) -> dict[str, Any]:
    """The exchange's books beside the daemon's; a sentence for each thing that is wrong."""
    theirs = json.loads(server.get("/orders"))["data"]
    traded = json.loads(server.get("/trades"))["data"]
    wrong: list[str] = []
    tags = Counter(row["tag"] for row in theirs)
    doubled = [tag for tag, count in tags.items() if count > 1]
    wrong += [f"tag {tag} is on {tags[tag]} orders of the exchange" for tag in doubled]
    ours = {row["tag"]: row for row in orders}
    lost = 0
    for row in theirs:
        mine = ours.get(row["tag"])
        if mine is None or mine["broker_order_id"] != row["order_id"]:
            lost += 1
            wrong.append(f"{row['order_id']} ({row['tag']}, {row['status']}) is not in our journal: {mine}")
    for row in orders:
        if row["tag"] not in tags and row["status"] not in ("NOT_FOUND", "REJECTED", "WITHHELD"):
            lost += 1
            wrong.append(f"{row['order_id']} is {row['status']}, and the exchange has none with its tag")
    states = [
        f"{row['order_id']} is {row['status']} there, and {ours[row['tag']]['status']} in our journal"
        for row in theirs
        if row["tag"] in ours and not _agree(row, ours[row["tag"]])
    ]
    here = Counter(_trade(trade, _of(trade, orders)) for trade in trades)
    there = Counter(
        (
            trade["order_id"],
            trade["tradingsymbol"],
            trade["transaction_type"],
            trade["quantity"],
            _rupees(trade["average_price"]),
        )
        for trade in traded
    )
    differ = (here - there) + (there - here)
    wrong += states
    wrong += [f"trade {row} is on one side only" for row in differ]
    return {
        "orders": len(orders),
        "at_the_exchange": len(theirs),
        "doubled": len(doubled),
        "lost": lost,
        "unknown": sum(row["status"] in ("UNKNOWN", "SENT", "PREPARED") for row in orders),
        "states_differ": len(states),
        "trades": len(traded),
        "trades_differ": differ.total(),
        "wrong": wrong,
    }


ENDS = {
    "COMPLETE": ("FILLED",),
    "CANCELLED": ("CANCELLED",),
    "REJECTED": ("REJECTED",),
}


def _agree(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    ends = ENDS.get(theirs["status"], ("OPEN", "PARTIAL"))
    return ours["status"] in ends and ours["filled_quantity"] == theirs["filled_quantity"]


def _of(trade: dict[str, Any], orders: list[dict[str, Any]]) -> str:
    return next((str(row["broker_order_id"]) for row in orders if row["order_id"] == trade["order_id"]), "")


def _trade(trade: dict[str, Any], broker_order_id: str) -> tuple[Any, ...]:
    return (
        broker_order_id,
        trade["tradingsymbol"],
        trade["transaction_type"],
        trade["quantity"],
        _rupees(trade["price"]),
    )


def _rupees(price: float) -> Decimal:
    return Decimal(str(price)).quantize(Decimal("0.01"))


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
        with running(Path(name), config(server, day)) as daemon:
            walked(daemon, day.orders, tell)
            found = compared(server, daemon.answer("orders"), daemon.answer("trades"))
        faults = server.admin("faults")["faults"]
    kinds = Counter[str]()
    for fault in faults:
        kinds[fault["do"]] += fault["count"]
    document = {
        "orders": found["orders"],
        "ambiguous": kinds.total(),
        **{name: value for name, value in found.items() if name not in ("orders", "wrong")},
        "seconds": round(time.monotonic() - began),
        "kinds": dict(kinds.most_common()),
    }
    for sentence in found["wrong"][:20]:
        print(f"campaign: {sentence}", file=sys.stderr, flush=True)
    print(json.dumps(document))
    return 1 if found["wrong"] or document["unknown"] or found["orders"] < day.orders or not kinds else 0
