"""The ticker's end at `/ws`: the handshake, a reader and a sender for each connection, and how it ends."""

from struct import Struct
from time import monotonic

import anyio
from aiohttp import WSMessage, WSMsgType, web

from alphapanda.exchange.calls import Refusal, invalid
from alphapanda.exchange.rest.envelope import refused
from alphapanda.exchange.serving.http import reset, response
from alphapanda.exchange.serving.pump import PUMP, Pump
from alphapanda.exchange.stream import Connection, Ending

HEARTBEAT_S = 1.0
"""Nothing sent for so long, and a heartbeat goes out: wall time, whether the exchange's clock runs or not."""
STALLED_S = 5.0
"""A frame has waited so long for its reader: the exchange's clock does not wait for that reader any more."""
CLOSING_S = 2.0
"""How long the peer may take to answer a close frame."""
MOST_SAID = 1 << 20
"""Bytes of one message from a client: 3,000 tokens are 33,000."""
LONGEST_REASON = 123
"""Bytes, in a close frame."""
LOST = "connection lost"
NOT_A_TICKER = invalid("This is a WebSocket.")

_BINARY = 0x82
_SHORT, _LONG = Struct(">BBH"), Struct(">BBQ")


async def ticker(request: web.Request) -> web.StreamResponse:
    """One client of the ticker, from its handshake to its end."""
    pump = request.app[PUMP]
    # Pings and closes are answered here: a connection that a fault made mute does not.
    ws = web.WebSocketResponse(
        compress=False, autoping=False, autoclose=False, max_msg_size=MOST_SAID, timeout=CLOSING_S
    )
    if not ws.can_prepare(request):
        return response(refused(NOT_A_TICKER))
    pump.catch_up()
    exchange, query = pump.exchange, request.query
    try:
        connection = exchange.stream.connect(
            query.get("api_key", ""), query.get("access_token", ""), exchange.clock.now_ns
        )
    except Refusal as refusal:
        return response(refused(refusal))
    pump.wake()
    why = LOST
    try:
        await ws.prepare(request)
        why = await Socket(pump, connection, ws, request).run()
    except ConnectionError:
        return web.Response()  # it went while its hand was shaken
    finally:
        pump.catch_up()
        exchange.stream.disconnect(connection, exchange.clock.now_ns, why)
        pump.wake()
    return ws


class Socket:
    """The sender sends what waits; the reader hands on what is said. Either may be the one that ends it."""

    def __init__(
        self, pump: Pump, connection: Connection, ws: web.WebSocketResponse, request: web.Request
    ) -> None:
        self._pump = pump
        self._connection = connection
        self._ws = ws
        self._transport = request.transport
        self._ready = anyio.Event()
        self._sending_since: float | None = None

    async def run(self) -> str:
        """Serve it to its end, and say why it ended."""
        self._connection.wake = self._wake
        why = LOST
        async with anyio.create_task_group() as group:
            group.start_soon(self._send_all, group.cancel_scope)
            group.start_soon(self._watch)
            why = await self._read_all()
            # Where the exchange ends it, the sender still has something to do.
            wait_s = 0.0 if self._connection.ending is None else CLOSING_S
            group.cancel_scope.deadline = anyio.current_time() + wait_s
        return why

    def _wake(self) -> None:
        self._ready.set()

    async def _read_all(self) -> str:
        pump, connection = self._pump, self._connection
        while True:
            message = await self._ws.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                pump.catch_up()
                pump.exchange.stream.receive(connection, _text(message), pump.exchange.clock.now_ns)
                pump.wake()
            elif message.type is WSMsgType.PING:
                if connection.answers and not await self._pong(message.data):
                    return LOST
            elif message.type is WSMsgType.CLOSE:
                if connection.hush == "mute":
                    self._abort()
                return f"closed by the client with {message.data}"
            elif message.type is not WSMsgType.PONG:
                return LOST

    async def _pong(self, payload: bytes) -> bool:
        """False when the peer has gone in the meantime."""
        try:
            await self._ws.pong(payload)
        except ConnectionError:
            return False
        return True

    async def _send_all(self, whole: anyio.CancelScope) -> None:
        connection, ws = self._connection, self._ws
        try:
            while (item := await self._next()) is not None:
                self._sending_since = monotonic()
                if isinstance(item, str):
                    await ws.send_str(item)
                else:
                    await ws.send_bytes(item)
                self._sending_since = None
            if connection.ending is not None:
                await self._end(connection.ending)
        except ConnectionError:
            pass  # the peer is gone
        whole.cancel()

    async def _next(self) -> bytes | str | None:
        """What is to be sent, as soon as there is something; None when the connection is to end."""
        connection = self._connection
        while True:
            item = connection.take()
            if item is not None or connection.ending is not None:
                return item
            self._ready = anyio.Event()
            with anyio.move_on_after(HEARTBEAT_S) as waited:
                await self._ready.wait()
            if waited.cancelled_caught and (heartbeat := connection.heartbeat()) is not None:
                return heartbeat

    async def _watch(self) -> None:
        while True:
            since = self._sending_since
            self._connection.stalled = since is not None and monotonic() - since > STALLED_S
            if self._connection.stalled and self._connection.ending is not None:
                self._abort()  # what it should be told first, it will never read
            await anyio.sleep(HEARTBEAT_S)

    async def _end(self, ending: Ending) -> None:
        if ending.how == "close":
            await self._ws.close(code=ending.code, message=_reason(ending.reason))
        elif ending.how == "cut" and self._transport is not None:
            self._transport.write(_head(len(ending.part)) + ending.part[: len(ending.part) // 2])
            self._transport.close()
        elif ending.how == "reset":
            if self._transport is not None:
                reset(self._transport)
        else:
            self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _text(message: WSMessage) -> str:
    data = message.data
    return data.decode(errors="replace") if isinstance(data, bytes) else str(data)


def _reason(words: str) -> bytes:
    """What of the words fits a close frame."""
    return words.encode()[:LONGEST_REASON].decode(errors="ignore").encode()


def _head(length: int) -> bytes:
    """The head of a whole binary message of the server's (RFC 6455, 5.2)."""
    if length < 126:
        return bytes((_BINARY, length))
    if length < 1 << 16:
        return _SHORT.pack(_BINARY, 126, length)
    return _LONG.pack(_BINARY, 127, length)
