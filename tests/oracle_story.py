"""A run made by hand: an order that is placed, acknowledged and filled, as store, exchange and wire have it.

A test changes one thing in it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from builders import BUY, INFY, SECOND, TEN_NS, fill, order, signal
from msgspec.structs import replace
from oracle.evidence import KILL_ON, Command, Evidence, Latencies, Life, Sample

from alphapanda.events import (
    AccountOpened,
    Approved,
    Balance,
    Booked,
    Halt,
    Money,
    Order,
    OrderClosed,
    OrderOpened,
    OrderStatus,
    OrderUpdated,
    Position,
)
from alphapanda.store import journal, schema
from alphapanda.times import to_ist

PREFIX = "APTEST0000"
CASH = Money(1_000_000)
ROW = dict[str, Any]


def at(seconds: float) -> int:
    """Both clocks: in these runs they show the same."""
    return TEN_NS + round(seconds * SECOND)


def ours(sequence: int = 1, **fields: Any) -> Order:
    return order(
        quantity=10,
        sequence=sequence,
        **{"broker": "zerodha", "tag": f"{PREFIX}{sequence:08d}"} | fields,
    )


def intent(wanted: Order) -> list[Any]:
    """Risk's word, and the order opened and sent."""
    sent = replace(wanted, status=OrderStatus.SENT)
    asked = signal(BUY, 10, signal_id=wanted.signal_id, brokers=("zerodha",))
    return [Approved(wanted, asked), OrderOpened(wanted), OrderUpdated(sent)]


def updated(wanted: Order, status: OrderStatus, **fields: Any) -> Any:
    changed = replace(wanted, status=status, **fields)
    return OrderClosed(changed) if status.ended else OrderUpdated(changed)


def booked(wanted: Order, trade: int = 1, quantity: int = 10, total: int = 10) -> Booked:
    """A fill of it, after which `total` of it has traded."""
    status = OrderStatus.FILLED if total == wanted.quantity else OrderStatus.PARTIAL
    value = Money(100 * total)
    after = replace(wanted, status=status, broker_order_id="B1", filled_quantity=total, filled_value=value)
    made = fill(quantity=quantity, trade=trade, order_id=wanted.order_id, broker="zerodha")
    position = Position(
        broker="zerodha",
        strategy_id=wanted.strategy_id,
        instrument=INFY,
        product="MIS",
        quantity=total,
        average_price=Money(100),
        last_price=Money(100),
        realized_pnl=Money(0),
        unrealized_pnl=Money(0),
    )
    return Booked(after, made, position, Balance(broker="zerodha", starting_cash=CASH, cash=CASH - value))


class Story:
    """`events` are the journal's; `history` and `wire` are lines; `more` is the rest of Evidence."""

    def __init__(self) -> None:
        one = ours()
        self.events: list[tuple[float, Any]] = [(0.0, AccountOpened("zerodha", CASH))]
        self.events += [(1.0, event) for event in intent(one)]
        self.events.append((1.1, updated(one, OrderStatus.OPEN, broker_order_id="B1")))
        self.events.append((1.2, booked(one)))
        self.history: list[ROW] = []
        self.ticker(0.2)
        for number, call in enumerate(("orders", "trades", "positions"), 1):
            self.call(0.3, number, call)
        self.place(1.05, 10, one)
        self.say(1.1, "order", **their_order(one, "B1", "OPEN"))
        self.say(1.15, "order", **their_order(one, "B1", "COMPLETE", 10))
        self.say(1.15, "trade", **their_trade())
        self.wire: list[ROW] = [on_the_wire(1.05, one, seq=4)]
        self.more: ROW = {"settled": True}

    def say(self, seconds: float, kind: str, **facts: Any) -> None:
        line = {"kind": kind, "at": to_ist(at(seconds)).isoformat(), **facts, "wall_ns": at(seconds)}
        self.history.append(line)
        self.history.sort(key=lambda each: each["wall_ns"])

    def ticker(self, seconds: float, connection: int = 1, *, subscribes: bool = True) -> None:
        self.say(seconds, "ws_connect", connection=connection)
        if subscribes:
            tokens = [INFY.instrument_token]
            self.say(seconds, "ws_message", connection=connection, a="subscribe", tokens=tokens)
            self.say(seconds + 0.1, "ticks", connection=connection, frames=1, packets=1, bytes=184)

    def call(self, seconds: float, number: int, call: str) -> None:
        self.say(seconds, "request", number=number, call=call, fields={})
        self.say(seconds + 0.01, "reply", number=number, call=call, status=200)

    def place(self, seconds: float, number: int, wanted: Order) -> None:
        fields = {"tag": wanted.tag}
        self.say(seconds, "request", number=number, call="order.place", fields=fields)

    def without(self, *kinds: str) -> None:
        """Lines of these kinds are not in the history."""
        self.history = [line for line in self.history if line["kind"] not in kinds]

    def evidence(self, folder: Path) -> Evidence:
        path = folder / "run.db"
        hashes = write_store(path, self.events)
        wire = [line | {"hash": hashes.get(line.get("seq"), line.get("hash"))} for line in self.wire]
        for number, line in enumerate(self.history, 1):
            line["seq"] = number
        return Evidence(stores=[path], history=self.history, wire=wire, **{"offset_ns": 0} | self.more)


def write_store(path: Path, events: list[tuple[float, Any]]) -> dict[int, str]:
    """The hash of each row, by its number."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        schema.prepare(connection, str(path))
        connection.execute("INSERT INTO meta (key, value) VALUES ('tag_seed', ?)", (PREFIX,))
        journal.Journal(connection).append([(at(seconds), event) for seconds, event in events])
        rows = connection.execute("SELECT seq, hash FROM journal").fetchall()
    return {seq: bytes(digest).hex() for seq, digest in rows}


def on_the_wire(seconds: float, wanted: Order | None, seq: int, **changes: Any) -> ROW:
    """A request as the witness writes it: committed with row `seq` of the journal, and not killed."""
    tag = wanted.tag if wanted else None
    return {
        "n": 1,
        "kind": "request",
        "monotonic_ns": at(seconds),
        "wall_ns": at(seconds),
        "method": "POST",
        "path": "/orders/regular",
        "tag": tag,
        "fields": {},
        "committed": True,
        "killed": False,
        "seq": seq,
    } | changes


def their_order(wanted: Order, order_id: str, status: str, filled: int = 0) -> ROW:
    return {"order_id": order_id, "tag": wanted.tag, "status": status, "filled_quantity": filled}


def their_trade(trade: int = 1, order_id: str = "B1", quantity: int = 10) -> ROW:
    return {
        "order_id": order_id,
        "trade_id": f"T{trade:06d}",
        "transaction_type": "BUY",
        "tradingsymbol": "INFY",
        "quantity": quantity,
        "average_price": 100,
    }


def killed(story: Story, seconds: float = 10.0, **changes: Any) -> None:
    """The operator uses the kill switch, and is answered a tenth of a second later; the day goes on."""
    story.events.append((seconds + 0.05, Halt("a test", "root", at(seconds))))
    command = {"name": KILL_ON, "sent_ns": at(seconds), "acked_ns": at(seconds + 0.1)} | changes
    story.more["commands"] = [Command(**command)]
    story.say(seconds + 20, "clock", do="pause")


def lives(*spans: tuple[float, float | None]) -> list[Life]:
    """Processes by when they started and ended; each is ready a tenth of a second after its start."""
    return [
        Life(
            pid=100 + number,
            started_ns=at(began),
            ready_ns=at(began + 0.1),
            ended_ns=None if ended is None else at(ended),
        )
        for number, (began, ended) in enumerate(spans)
    ]


def sample(seconds: float, stage: str = "risk", depth: int = 0, restarts: int = 0, **fields: Any) -> Sample:
    queue = {"depth": depth, "capacity": 1024, "folded": 0}
    status = {"stages": {stage: {"restarts": restarts, "queue": queue}}}
    return Sample(**{"at_ns": at(seconds), "pid": 100, "status": status} | fields)


def latencies(calm_us: float, hurt_us: float) -> Latencies:
    return Latencies(calm_us=[calm_us] * 100, hurt_us=[hurt_us] * 100)
