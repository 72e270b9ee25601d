"""The ticker's server side: connections and their subscriptions, ticks, order updates, the end of a session.

No socket is here: frames are put into each connection's outbox, and the shell sends them. Limits and
messages: Kite Connect documentation, "WebSocket streaming".
"""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice

from alphapanda.exchange.calls import Refusal
from alphapanda.exchange.clock import Clock
from alphapanda.exchange.faults import Fault, Faults
from alphapanda.exchange.history import History
from alphapanda.exchange.market import Market
from alphapanda.exchange.order import Order
from alphapanda.exchange.orders.rows import update_row
from alphapanda.exchange.schedule import Schedule
from alphapanda.exchange.sessions import Sessions, refuse_token
from alphapanda.exchange.stream import messages
from alphapanda.exchange.stream.connection import Connection, Ending
from alphapanda.exchange.stream.messages import Message, MessageError
from alphapanda.exchange.stream.tally import Tally
from alphapanda.kite.encode import frame
from alphapanda.times import SECOND_NS, to_ist

MOST_CONNECTIONS = 3
"""Of one api_key; the handshake of the next is answered with 429."""
MOST_TOKENS = 3_000
"""Of one connection; also the most packets in one frame."""
AT_DEATH = "silent"
"""What becomes of the connections of a session that ends, where no fault says otherwise: they stay open
without ticks. Nothing is documented, and this is what is hardest on a client.
"""
ENDED = Ending("close", 1000, "session ended")
STOPPED = Ending("close", 1001, "the exchange ends")
TOO_SLOW = Ending("drop", reason="too slow")
SHOWN = 200
"""Characters of a text that was no message, in the history."""


class Stream:
    def __init__(
        self,
        market: Market,
        sessions: Sessions,
        history: History,
        faults: Faults,
        clock: Clock,
        schedule: Schedule,
    ) -> None:
        self._market = market
        self._sessions = sessions
        self._history = history
        self._faults = faults
        self._clock = clock
        self._schedule = schedule
        self._tally = Tally(history, schedule)
        self._made = 0
        self._open: dict[int, Connection] = {}
        self._watched: dict[int, int] = {}
        self._at_death = AT_DEATH
        sessions.on_death.append(self._session_ended)

    def connect(self, api_key: str, access_token: str, now_ns: int) -> Connection:
        """A new connection, greeted; raises Refusal: 403 for a key or token that is not good, 429 for one
        connection too many.
        """
        number = self._made + 1
        try:
            struck = self._admit(number, api_key, access_token, now_ns)
        except Refusal as refusal:
            self._history.add("ws_refused", now_ns, status=refusal.code, message=refusal.message)
            raise
        self._made = number
        connection = self._open[number] = Connection(number, api_key, access_token)
        self._history.add("ws_connect", now_ns, connection=number)
        listed = len(self._market.listing.all())
        etag = f'W/"{self._market.starts_ns // SECOND_NS:x}-{listed:x}"'
        connection.say(messages.text("instruments_meta", {"count": listed, "etag": etag}))
        connection.say(messages.app_code(to_ist(now_ns).isoformat(timespec="seconds")))
        self._strike(connection, struck, now_ns)
        return connection

    def receive(self, connection: Connection, text: str, now_ns: int) -> None:
        """The client said something; what is no message is answered with an error."""
        if connection.ending is not None:
            return
        self._strike(connection, self._faults.received(connection.number, now_ns), now_ns)
        if connection.number not in self._open:
            return
        try:
            message = messages.read(text)
        except MessageError as wrong:
            self._history.add(
                "ws_message",
                now_ns,
                connection=connection.number,
                text=text[:SHOWN],
                error=str(wrong),
            )
            self._say(connection, messages.error(str(wrong)), now_ns)
            return
        known = [token for token in message.tokens if self._market.listing.by_token(token) is not None]
        taken = self._obey(connection, message, known, now_ns)
        self._history.add(
            "ws_message",
            now_ns,
            connection=connection.number,
            a=message.action,
            **({"mode": message.mode} if message.mode else {}),
            tokens=taken,
            ignored=len(message.tokens) + message.odd - len(taken),
        )
        if message.action != messages.UNSUBSCRIBE:
            self._send(connection, self._packets(taken, now_ns), now_ns)

    def disconnect(self, connection: Connection, now_ns: int, why: str) -> None:
        """The socket is gone."""
        self._close(connection, now_ns, why)

    def connections(self) -> Sequence[Connection]:
        """Those that are open, in the order they came."""
        return tuple(self._open.values())

    @property
    def behind(self) -> bool:
        """Some reader should be given time, where exchange time need not go on."""
        return any(connection.behind for connection in self._open.values())

    def tokens(self) -> set[int]:
        """The instruments that anybody watches."""
        return set(self._watched)

    def on_quotes(self, tokens: Iterable[int], now_ns: int) -> None:
        """These instruments have ticked: each connection gets its own of them, in one frame."""
        packets = self._packets((token for token in tokens if token in self._watched), now_ns)
        for connection in self.connections():
            if connection.sends and connection.sizes:
                self._send(connection, packets, now_ns)

    def on_order(self, order: Order, now_ns: int) -> None:
        """An order update is due to everybody."""
        order_id, status = order.order_id, str(order.status)

        def send(text: str, then_ns: int) -> None:
            self._deliver(text, order_id, status, then_ns)

        text = messages.text("order", update_row(order))
        for fault in self._faults.update(order, text, now_ns, send):
            self.strike(fault, now_ns)

    def strike(self, fault: Fault, now_ns: int) -> None:
        """A socket fault on one connection or, with number 0, on all that are open."""
        for connection in self.connections():
            if fault.connection in (0, connection.number):
                self._strike(connection, (fault,), now_ns)

    def stop(self, now_ns: int) -> None:
        """The exchange ends."""
        for connection in self.connections():
            self._end(connection, STOPPED, now_ns)

    def kill(self, now_ns: int, sockets: str) -> None:
        """A fault ends the session; its connections are closed ("close") or left "silent" or "mute"."""
        self._at_death = sockets
        self._sessions.kill(now_ns, "fault")
        self._at_death = AT_DEATH

    def _admit(self, number: int, api_key: str, access_token: str, now_ns: int) -> Sequence[Fault]:
        if not self._sessions.valid(api_key, access_token):
            refuse_token()
        counted = (other for other in self._open.values() if other.api_key == api_key and not other.orphaned)
        if sum(1 for _ in counted) >= MOST_CONNECTIONS:
            raise Refusal(429, "NetworkException", "Too many requests")
        return self._faults.connecting(number, now_ns)

    def _obey(self, connection: Connection, message: Message, known: Sequence[int], now_ns: int) -> list[int]:
        """The listed tokens that the message is obeyed for; a mode or an end mean only those subscribed."""
        sizes = connection.sizes
        if message.action == messages.UNSUBSCRIBE:
            gone = [token for token in known if token in sizes]
            for token in gone:
                del sizes[token]
                self._unwatch(token)
            return gone
        if message.action == messages.MODE:
            wanted = {token: messages.packet_size(token, message.mode) for token in known if token in sizes}
            sizes.update(wanted)
            return list(wanted)
        new = [token for token in dict.fromkeys(message.tokens) if token not in sizes]  # unlisted ones count
        over = set(new[max(0, MOST_TOKENS - len(sizes)) :])
        taken = [token for token in known if token not in over]
        for token in taken:
            if token not in sizes:
                self._watched[token] = self._watched.get(token, 0) + 1
            sizes[token] = messages.packet_size(token, messages.DEFAULT_MODE)
        if over:
            words = f"Maximum {MOST_TOKENS} tokens are allowed per connection."
            self._say(connection, messages.error(words), now_ns)
        return taken

    def _unwatch(self, token: int) -> None:
        self._watched[token] -= 1
        if not self._watched[token]:
            del self._watched[token]

    def _packets(self, tokens: Iterable[int], now_ns: int) -> dict[int, bytes]:
        """Each instrument's full packet, made once for all connections, as ticks show it."""
        quote = self._market.quote
        if not self._faults.watches_ticks:
            return {token: quote(token, now_ns).packet() for token in tokens}
        listing, tick = self._market.listing, self._faults.tick
        return {
            token: tick(quote(token, now_ns), listed.key, now_ns).packet()
            for token in tokens
            if (listed := listing.by_token(token)) is not None
        }

    def _send(self, connection: Connection, packets: dict[int, bytes], now_ns: int) -> None:
        """Of these packets those that the connection wants, as long as it wants them."""
        sizes = connection.sizes
        wanted = (packet[: sizes[token]] for token, packet in packets.items() if token in sizes)
        while batch := list(islice(wanted, MOST_TOKENS)):
            made = frame(batch)
            if connection.sends:
                self._tally.add(connection.number, len(batch), len(made), now_ns)
            if self._faults.watches_frames:
                self._send_watched(connection, made, now_ns)
            else:
                connection.show(made)

    def _send_watched(self, connection: Connection, made: bytes, now_ns: int) -> None:
        if not connection.sends:
            return
        items, struck = self._faults.frames(connection.number, made, now_ns)
        if any(fault.do == "ws_cut" for fault in struck):
            items = ()  # this very frame is the one that breaks off
        for item in items:
            if isinstance(item, str):
                self._say(connection, item, now_ns)
            else:
                connection.show(item)
        self._strike(connection, struck, now_ns, part=made)

    def _deliver(self, text: str, order_id: str, status: str, now_ns: int) -> None:
        reached = [connection for connection in self._open.values() if connection.sends]
        self._history.add(
            "ws_update",
            now_ns,
            order_id=order_id,
            status=status,
            connections=[connection.number for connection in reached],
        )
        for connection in reached:
            self._say(connection, text, now_ns)

    def _say(self, connection: Connection, text: str, now_ns: int) -> None:
        connection.say(text)
        if connection.choked:
            self._end(connection, TOO_SLOW, now_ns)

    def _strike(
        self, connection: Connection, faults: Iterable[Fault], now_ns: int, part: bytes | None = None
    ) -> None:
        """What socket faults do to a connection. `part` is the frame that a cut goes through."""
        for fault in faults:
            if fault.do == "ws_close":
                self._end(connection, Ending("close", fault.code, fault.message), now_ns)
            elif fault.do == "ws_reset":
                self._end(connection, Ending("reset", reason="reset"), now_ns)
            elif fault.do == "ws_cut":
                half = self._snapshot(connection, now_ns) if part is None else part
                self._end(connection, Ending("cut", reason="cut in mid-frame", part=half), now_ns)
            elif fault.do in ("ws_mute", "heartbeats_only"):
                connection.fall("mute" if fault.do == "ws_mute" else "silent")
                if fault.seconds:
                    rises = now_ns + int(fault.seconds * SECOND_NS)
                    self._schedule.at(rises, partial(_rise, connection, connection.falls))

    def _snapshot(self, connection: Connection, now_ns: int) -> bytes:
        packets = self._packets(connection.sizes, now_ns)
        return frame([packet[: connection.sizes[token]] for token, packet in packets.items()])

    def _session_ended(self, now_ns: int) -> None:
        for connection in self.connections():
            if self._sessions.valid(connection.api_key, connection.access_token):
                continue
            connection.orphaned = True
            self._history.add("ws_orphaned", now_ns, connection=connection.number, sockets=self._at_death)
            if self._at_death == "close":
                self._end(connection, ENDED, now_ns)
            else:
                connection.fall(self._at_death)

    def _end(self, connection: Connection, ending: Ending, now_ns: int) -> None:
        """We end it: from here on it does not count, whenever the socket follows."""
        connection.end(ending)
        self._close(connection, now_ns, ending.reason or ending.how)

    def _close(self, connection: Connection, now_ns: int, why: str) -> None:
        if self._open.pop(connection.number, None) is None:
            return
        for token in connection.sizes:
            self._unwatch(token)
        connection.sizes.clear()
        self._tally.ended(connection.number, now_ns)
        dropped = {"dropped": connection.dropped} if connection.dropped else {}
        self._history.add("ws_close", now_ns, connection=connection.number, why=why, **dropped)


def _rise(connection: Connection, fall: int, _now_ns: int) -> None:
    """It speaks again, unless another fault has silenced it since."""
    if connection.falls == fall and not connection.orphaned:
        connection.fall("")
