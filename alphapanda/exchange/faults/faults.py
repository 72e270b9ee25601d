"""The faults of a running exchange: which of them fire now, counted and written to the history."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from alphapanda.exchange.calls import Call, Refusal
from alphapanda.exchange.clock import Clock
from alphapanda.exchange.faults import frames, meeting, points, replies
from alphapanda.exchange.faults.armed import Armed
from alphapanda.exchange.faults.fault import Fault, fits
from alphapanda.exchange.faults.kinds import KINDS
from alphapanda.exchange.faults.plan import plan_of
from alphapanda.exchange.faults.prices import Prices, crossable
from alphapanda.exchange.faults.script import Script
from alphapanda.exchange.faults.updates import Updates
from alphapanda.exchange.faults.wire import CLEAN, WirePlan
from alphapanda.exchange.history import History
from alphapanda.exchange.market.quote import Quote
from alphapanda.exchange.order import Order
from alphapanda.exchange.schedule import Schedule

PRICE_KINDS = frozenset({"frozen", "crossed", "zero", "negative", "absurd"})
"""They strike single quotes, not the call that asks for them."""


class Hands(Struct, kw_only=True):
    """What faults reach for inside the exchange; the composition fills it in."""

    schedule: Schedule
    order: Callable[[str], Order | None]
    """The order with this id."""
    kill: Callable[[int, str], None]
    """End the session now; what becomes of its sockets: "close", "silent" or "mute"."""
    by_hand: Callable[[Mapping[str, str], int], Any]
    """An order of the account's owner, placed in the broker's app; may raise a Refusal."""
    square_off: Callable[[int], None]
    """The broker closes all MIS positions now."""
    strike: Callable[[Fault, int], None]
    """A socket fault on the connections that are open."""
    in_reach: Callable[[Fault], bool]
    """Whether there is a session for it to end, or a connection for it to strike."""


class Faults:
    """`plan` and the methods below it are asked by the parts of the exchange, each at its point."""

    def __init__(self, script: Script, seed: int, history: History, clock: Clock) -> None:
        self._seed = seed
        self._history = history
        self._clock = clock
        self._hands: Hands | None = None
        self._all: list[Armed] = []
        self._at: dict[str, list[Armed]] = {}
        self._number = 0
        self._prices = Prices()
        self._updates = Updates()
        self.add(script)

    def begin(self, hands: Hands) -> None:
        """The exchange is whole: the timed faults go on its schedule. Called once."""
        self._hands = hands
        self._updates.schedule = hands.schedule
        for armed in self._all:
            self._set(armed, at_once=False)

    def add(self, script: Script) -> dict[str, Any]:
        """More faults from now on. What POST /admin/faults answers: how many went, a row for each new one."""
        cleared = len(self._all) if script.clear else 0
        if script.clear:
            self._all, self._at = [], {}
        now_ns = self._clock.now_ns
        added = []
        for fault in script.faults:
            self._number += 1
            armed = Armed(replace(fault, number=self._number), self._seed, now_ns)
            added.append(armed)
            self._all.append(armed)
            for point in points.points_of(fault.on):
                self._at.setdefault(point, []).append(armed)
            self._set(armed, at_once=True)
        return {"cleared": cleared, "added": [armed.row(now_ns) for armed in added]}

    def report(self) -> dict[str, Any]:
        """What GET /admin/faults answers: each fault with its count, and the kinds that there are."""
        now_ns = self._clock.now_ns
        kinds = {
            name: {
                "meaning": kind.meaning,
                "on": "any call" if kind.at == points.CALLS else sorted(kind.at),
                "needs": list(kind.needs),
                "takes": list(kind.takes),
                **({"sorts": list(kind.sorts)} if kind.sorts else {}),
            }
            for name, kind in KINDS.items()
        }
        return {"faults": [armed.row(now_ns) for armed in self._all], "kinds": kinds}

    def plan(self, call: Call) -> WirePlan:
        """What the faults that strike this call do to it. Called once a call, before it is handled.

        Counted and written to the history here, but for those that are `inside`: see `answered`. A
        `token_death` at a call has ended the session when this returns, so that the call itself is refused.
        """
        if call.kind not in self._at:
            return CLEAN
        symbols, tag = self._about(call)
        due = [
            armed
            for armed in self._at[call.kind]
            if armed.fault.do not in PRICE_KINDS
            and fits(armed.fault.symbols, symbols)
            and (not armed.fault.tags or tag in armed.fault.tags)
            and armed.due(call.now_ns)
            and self._in_reach(armed.fault)
        ]
        struck, left = meeting.at_call(due)
        inside = tuple(armed for armed in struck if meeting.if_taken(armed.fault))
        for armed in struck:
            armed.strike()
            if armed not in inside:
                self._happened(armed, call.now_ns, request=call.number, call=call.kind)
                self._act(armed.fault, call.now_ns)
        plan = plan_of(call.kind, [armed.fault for armed in struck])
        if not {meeting.ANSWER, meeting.PRICES} <= left:
            plan = replace(plan, effects=replace(plan.effects, unseen=True))
        return replace(plan, inside=inside) if inside else plan

    def answered(self, call: Call, plan: WirePlan, status: int) -> None:
        """The exchange has answered a call: what a fault did inside has happened, unless it was refused."""
        taken = status < 400 or (status == 404 and plan.effects.dump == "missing")
        for armed in plan.inside:
            if taken:
                self._happened(armed, call.now_ns, request=call.number, call=call.kind)
            else:
                armed.lapse()

    @property
    def watches_ticks(self) -> bool:
        """False: nobody need call `tick`, the cheap and usual case."""
        return points.TICK in self._at

    @property
    def watches_frames(self) -> bool:
        """False: nobody need call `frames`."""
        return points.FRAME in self._at

    def connecting(self, connection: int, now_ns: int) -> tuple[Fault, ...]:
        """A client connects (point ws.connect; key and token were found good). A fault `ws_refuse` raises its
        Refusal; what is returned are the socket faults for the new connection: see `received`.
        """
        struck = self._on_socket(points.CONNECT, connection, now_ns)
        for fault in struck:
            if fault.do == "ws_refuse":
                raise replies.refusal(fault)
        return struck

    def received(self, connection: int, now_ns: int) -> tuple[Fault, ...]:
        """A text came from a client (point ws.message). The socket faults to do to this connection now.

        By `fault.do`: "ws_close" (close frame with `code`, `message`), "ws_reset" (RST, no close frame),
        "ws_cut" (half of a binary message's bytes, then the TCP connection ends), "ws_mute" (TCP stays open,
        nothing at all is sent, no pong either, for `seconds` exchange seconds or 0 for ever; what would have
        been sent then is lost), "heartbeats_only" (no ticks and no updates, only heartbeats and pongs, for
        `seconds` or 0 for ever).
        """
        return self._on_socket(points.MESSAGE, connection, now_ns)

    def tick(self, quote: Quote, name: str, now_ns: int) -> Quote:
        """The quote as ticks show it (point tick): the same one, or a spoilt copy. `name` is "NSE:INFY".

        Called once a tick of an instrument, before it is packed and fanned out.
        """
        return self.quoted(points.TICK, quote, name, now_ns)

    def quoted(self, point: str, quote: Quote, name: str, now_ns: int) -> Quote:
        """The quote as `quote`, `ohlc` or `ltp` over REST shows it: the same one, or a spoilt copy."""
        if point not in self._at:
            return quote
        due = [
            armed
            for armed in self._at[point]
            if armed.fault.do in PRICE_KINDS
            and fits(armed.fault.symbols, frozenset({name}))
            and (armed.fault.do != "crossed" or crossable(quote))
            and armed.due(now_ns)
        ]
        if not due:
            return quote
        due[0].strike()
        self._happened(due[0], now_ns, point=point, instrument=name)
        return self._prices.spoil(quote, due[0].fault, point)

    def frames(
        self, connection: int, frame: bytes, now_ns: int
    ) -> tuple[tuple[bytes | str, ...], tuple[Fault, ...]]:
        """What is sent to this connection in place of a binary message with ticks (point frame), and the
        socket faults to do to the connection after it.
        """
        sent: list[bytes | str] = [frame]
        struck = self._on_socket(points.FRAME, connection, now_ns)
        for fault in struck:
            if fault.do == "malformed":
                sent = [frames.malform(frame, fault.sort)]
            elif fault.do == "storm":
                sent *= max(1, int(fault.factor))
        return tuple(sent), struck

    def update(
        self, order: Order, text: str, now_ns: int, send: Callable[[str, int], None]
    ) -> tuple[Fault, ...]:
        """An order update is due (point update): `send(text, now_ns)` is called for what goes out, at once or
        later (from the schedule), once, twice or never. Called once an update, before it is fanned out to the
        connections. Returns socket faults to do to all open connections.
        """
        symbols = frozenset({order.listed.key})
        due = [
            armed
            for armed in self._at.get(points.UPDATE, ())
            if fits(armed.fault.symbols, symbols)
            and (not armed.fault.tags or order.tag in armed.fault.tags)
            and armed.due(now_ns)
            and self._in_reach(armed.fault)
        ]
        struck = meeting.at_update(due, held=self._updates.holding)
        for armed in struck:
            armed.strike()
            self._happened(armed, now_ns, order_id=order.order_id, status=str(order.status))
        faults = tuple(armed.fault for armed in struck)
        self._updates.pass_on(faults, text, now_ns, send)
        return faults

    def _on_socket(self, point: str, connection: int, now_ns: int) -> tuple[Fault, ...]:
        """The first of those that are due: one message, one connection, one fault."""
        due = [
            armed
            for armed in self._at.get(point, ())
            if armed.fault.connection in (0, connection) and armed.due(now_ns)
        ]
        for armed in due[:1]:
            armed.strike()
            self._happened(armed, now_ns, connection=connection)
        return tuple(armed.fault for armed in due[:1])

    def _about(self, call: Call) -> tuple[frozenset[str], str | None]:
        """The instruments that a call names, and the tag of its order."""
        fields = call.fields
        order_id = call.path.get("order_id")
        if order_id is not None and self._hands is not None:
            order = self._hands.order(order_id)
            return (frozenset(), None) if order is None else (frozenset({order.listed.key}), order.tag)
        if "tradingsymbol" in fields:
            return frozenset({f"{fields.get('exchange', '')}:{fields['tradingsymbol']}"}), fields.get("tag")
        return frozenset(call.every("i")), None

    def _set(self, armed: Armed, *, at_once: bool) -> None:
        """A fault without a point happens by the clock, unless it has been cleared until then. Where it says
        no time that is now: with the first step of the exchange, or `at_once`.
        """
        if armed.fault.on or self._hands is None:
            return

        def happen(now_ns: int) -> None:
            if armed not in self._all or not armed.due(now_ns) or not self._in_reach(armed.fault):
                return
            armed.strike()
            self._happened(armed, now_ns)
            self._act(armed.fault, now_ns)

        if at_once and armed.opens_ns <= self._clock.now_ns:
            happen(self._clock.now_ns)
        else:
            self._hands.schedule.at(armed.opens_ns, happen)

    def _in_reach(self, fault: Fault) -> bool:
        """Whether there is anything that it could be done to, where that is not the call itself."""
        many = KINDS[fault.do].at == points.SOCKET and fault.on in ("", points.UPDATE)
        bound = many or fault.do == "token_death"
        return not bound or self._hands is None or self._hands.in_reach(fault)

    def _act(self, fault: Fault, now_ns: int) -> None:
        """What a fault does inside the exchange by itself."""
        hands = self._hands
        if hands is None:
            return
        if fault.do == "token_death":
            hands.kill(now_ns, fault.sockets)
        elif fault.do == "manual_order":
            with suppress(Refusal):  # the owner's, and in the history
                hands.by_hand(fault.order, now_ns)
        elif fault.do == "square_off":
            hands.square_off(now_ns)
        elif not fault.on:
            hands.strike(fault, now_ns)

    def _happened(self, armed: Armed, now_ns: int, **hit: Any) -> None:
        """Counted, and written to the history with what it hit."""
        armed.happened()
        fault = armed.fault
        facts = {"fault": fault.number, "do": fault.do, "on": fault.on, "count": armed.fired, **hit}
        self._history.add("fault", now_ns, **facts)
