"""Of what trading stands on: fresh prices of this connection, and a book that agrees with the broker's."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime

from oracle.evidence import Row
from oracle.facts import Facts, Undecided, adds, let_through, named

from alphapanda.events import Compared, OrderOpened
from alphapanda.times import SECOND_NS

GRACE_NS = SECOND_NS
"""A request may have been on its way when the connection died."""
SUBSCRIBES_NS = 3 * SECOND_NS
"""A connection that is open so long has all that the one before had (fault row M34)."""
TALLY_S = 2.0
"""Ticks are told once a second, and requests take their time."""
BOOKS = ("orders", "trades", "positions")


def i9(facts: Facts) -> Iterator[str]:
    """No entry on data older than the limit, or before resubscribe and first tick."""
    facts.need_history()
    ticker = _Ticker()
    entries = 0
    for line in facts.run.history:
        ticker.on(line)
        if line["kind"] != "request" or line["call"] != "order.place":
            continue
        intent = facts.intent(line["fields"].get("tag"))
        if intent is None or not adds(intent.order) or let_through(intent.order):
            continue
        entries += 1
        token = intent.order.instrument.instrument_token
        yield from _blind(facts, ticker, line, token, named(intent.order))
    yield from ticker.never_subscribed(facts.run.history[-1]["wall_ns"])
    if not entries and ticker.fed is None:
        raise Undecided("no ticker was connected, and no entry came to the exchange")


def _blind(facts: Facts, ticker: "_Ticker", line: Row, token: int, name: str) -> Iterator[str]:
    closed_ns = ticker.blind_since(token)
    if closed_ns is not None and line["wall_ns"] - closed_ns > GRACE_NS:
        yield f"{name} came while no connection of the ticker had its instrument"
    limit_s = facts.run.max_price_age_s
    if limit_s and ticker.fed is not None:
        age_s = (_at(line) - ticker.fed).total_seconds()
        if age_s > limit_s + TALLY_S:
            yield f"{name} came {age_s:.1f} s after the last prices, the limit is {limit_s:g} s"


def _at(line: Row) -> datetime:
    return datetime.fromisoformat(line["at"])


class _Ticker:
    """What the exchange's connections have been told and have been sent, line by line."""

    def __init__(self) -> None:
        self.opened: dict[int, int] = {}
        """Connections that are open -> when they were opened."""
        self.tokens: dict[int, set[int]] = {}
        self.fed: datetime | None = None
        """When prices went out last, by frame or by quote: exchange time."""
        self._lost: dict[int, int] = {}
        """Token -> when the last connection that had it went away."""
        self._wanted = 0
        """How many instruments the largest subscription before had."""
        self._bare: list[str] = []

    def on(self, line: Row) -> None:
        number = line.get("connection", 0)
        match line["kind"]:
            case "ws_connect":
                self.opened[number] = line["wall_ns"]
                self.tokens[number] = set()
            case "ws_message" if number in self.tokens:
                asked = set(line.get("tokens", ()))
                gone = line.get("a") == "unsubscribe"
                self.tokens[number] = self.tokens[number] - asked if gone else self.tokens[number] | asked
                self._wanted = max(self._wanted, len(self.tokens[number]))
            case "ticks":
                self.fed = _at(line)
            case "reply" if line.get("call") in ("quote", "ohlc", "ltp") and line.get("status") == 200:
                self.fed = _at(line)
            case "ws_close":
                self._close(number, line["wall_ns"])

    def _close(self, number: int, wall_ns: int) -> None:
        self._look(number, wall_ns)
        self.opened.pop(number, None)
        for token in self.tokens.pop(number, set()):
            self._lost[token] = wall_ns

    def _look(self, number: int, wall_ns: int) -> None:
        """Was it open for long, and never told what is wanted?"""
        since_ns = self.opened.get(number, wall_ns)
        if self._wanted and not self.tokens.get(number) and wall_ns - since_ns > SUBSCRIBES_NS:
            open_s = (wall_ns - since_ns) / SECOND_NS
            self._bare.append(
                f"ticker connection {number} was open for {open_s:.1f} s without a subscription"
            )

    def blind_since(self, token: int) -> int | None:
        """When the last connection with it closed; None while one has it, or where none ever had."""
        if any(token in tokens for tokens in self.tokens.values()):
            return None
        return self._lost.get(token)

    def never_subscribed(self, end_ns: int) -> Iterator[str]:
        for number in list(self.opened):
            self._look(number, end_ns)
        yield from self._bare


def i20(facts: Facts) -> Iterator[str]:
    """No trading before reconciliation passes; drift gives HALT + alarm within one interval."""
    for ledger in facts.ledgers:
        frozen: dict[str, set[str]] = {}
        for row in ledger.rows:
            if isinstance(row.event, Compared):
                frozen[row.event.broker] = set(row.event.frozen)
            elif isinstance(row.event, OrderOpened):
                order = row.event.order
                held = order.instrument.key in frozen.get(order.broker, ())
                if held and adds(order) and not let_through(order):
                    yield f"row {row.seq}: {named(order)} was opened while {order.instrument.key} was frozen"
    facts.need_history()
    facts.need_the_clock()
    if not facts.run.lives:
        raise Undecided("no starts of the daemon are told")
    history = [line for line in facts.run.history if line["kind"] in ("request", "reply")]
    times = [line["wall_ns"] for line in history]
    for number, life in enumerate(facts.run.lives, 1):
        ended_ns = times[-1] if life.ended_ns is None and times else facts.wall_ns(life.ended_ns or 0)
        span = slice(bisect_left(times, facts.wall_ns(life.started_ns)), bisect_right(times, ended_ns))
        yield from _unread(facts, history[span], number, life.started_ns)


def _unread(facts: Facts, history: Sequence[Row], number: int, started_ns: int) -> Iterator[str]:
    """Between its start and its first order the daemon has read all books, and got them.

    A request that was on the wire before belongs to the life before, however late the exchange had it.
    """
    before = {line["tag"] for line in facts.placed if line["monotonic_ns"] < started_ns}
    asked: dict[int, str] = {}
    read: set[str] = set()
    for line in history:
        call = line.get("call")
        if line["kind"] == "request" and call in BOOKS:
            asked[line["number"]] = call
        elif line["kind"] == "reply" and line.get("status") == 200 and line["number"] in asked:
            read.add(asked[line["number"]])
        elif line["kind"] == "request" and call == "order.place":
            tag = line["fields"].get("tag")
            if facts.intent(tag) is not None and tag not in before:
                if missing := set(BOOKS) - read:
                    yield f"life {number} placed {tag} without having read {sorted(missing)}"
                return
