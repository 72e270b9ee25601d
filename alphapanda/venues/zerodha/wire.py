"""The wire of order requests: a few warm HTTP/1.1 connections, one request at a time on each.

A request leaves whole, by one write, in the step in which it is sent, and never twice. Whoever sent it hears
exactly once: of the whole answer, or that there will be none. A connection is used only when nothing has come
on it since its last answer, its buffer is empty and it was used or opened lately; the one that rested longest
goes first, so that bytes nobody asked for have had time to show. No redirect is followed.

Certificates are checked before a connection can be used at all: no byte of a request meets an unproven peer.
"""

import asyncio
import select
import ssl
import sys
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import h11
from anyio.abc import TaskStatus
from loguru import logger

from alphapanda.errors import Fatal, Transient
from alphapanda.fail_points import FailPoint, reach
from alphapanda.venues.zerodha import reaching
from alphapanda.venues.zerodha.answers import Lost, Response
from alphapanda.venues.zerodha.roots import TIMEOUT_S, Roots, tls
from alphapanda.venues.zerodha.withdrawal import unconfirmed, withdraw

Answered = Callable[[Response | Lost], None]
"""Told once, never within `send`. It may not raise: that ends `run`."""

CONNECT_S = 5.0
STALE_S = 30.0
"""A connection that rested longer is not used: the other end, or something between, may have forgotten it."""
REPLACE_S = 25.0
"""It is replaced before that, the new one first."""
LATE_S = 60.0
"""How long an answer that came too late is still listened for, to be counted."""
PAUSES_S = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Between attempts to connect; a connection that ended at once and unused counts as one."""
PROVEN_S = 1.0
LARGEST_BODY = 1 << 20


class NoConnection(Transient):
    """Nothing was written: no connection is free."""


class NotTaken(Exception):  # noqa: N818 - names what happened
    """Whoever had asked raised at the answer."""


class Wire:
    """`run` keeps the connections; `idle` and `send` are for the same loop."""

    def __init__(self, roots: Roots, *, connections: int = 4, timeout_s: float = TIMEOUT_S) -> None:
        where = urlsplit(roots.api)
        self._host = where.hostname or ""
        self._port = where.port or (443 if where.scheme == "https" else 80)
        self._roots = roots
        self._wanted = connections
        self.timeout_s = timeout_s
        self.why = "not connected yet"
        """The last reason for which a connection could not be made; empty since one could."""
        self.resting: deque[_Connection] = deque()
        self.open: set[_Connection] = set()
        self.broken = anyio.Event()
        self.mistake: BaseException | None = None
        self.sent = self.answers = self.lost = self.late = self.strays = 0

    def summary(self) -> dict[str, Any]:
        """For `status`. `late` answers came after their time-out, `strays` without a request."""
        ready = sum(connection.usable() for connection in self.resting)
        return {
            "connections": {"wanted": self._wanted, "ready": ready},
            "sent": self.sent,
            "answers": self.answers,
            "lost": self.lost,
            "late": self.late,
            "strays": self.strays,
            "why": self.why,
        }

    def idle(self) -> bool:
        """Could a request be written now?"""
        return any(connection.usable() for connection in self.resting)

    def send(self, request: bytes, answered: Answered) -> None:
        """Write all of it now. Raises NoConnection, and then nothing was written."""
        for connection in self.resting:
            if connection.usable():
                self.resting.remove(connection)
                self.sent += 1
                reach(FailPoint.BEFORE_WRITE)
                connection.write(request, answered)
                reach(FailPoint.AFTER_WRITE)
                return
        raise NoConnection("no connection to Kite is free" + (f": {self.why}" if self.why else ""))

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the connections until cancelled; started once each was tried.

        Whoever waits for an answer at the end is told Lost.
        """
        self.broken, self.mistake = anyio.Event(), None
        context = tls(self._roots.api)  # reads all certificates of the machine: once
        try:
            async with anyio.create_task_group() as group:
                tried = [anyio.Event() for _ in range(self._wanted)]
                for number, one in enumerate(tried):
                    group.start_soon(self._keep, number, context, one)
                for one in tried:
                    await one.wait()
                task_status.started()
                await self.broken.wait()
                group.cancel_scope.cancel()
        finally:
            await self._close()
        kind = Fatal if isinstance(self.mistake, Fatal) else NotTaken
        raise kind(f"an answer to an order request could not be taken: {self.mistake!r}") from self.mistake

    async def _close(self) -> None:
        self.resting.clear()
        closing = list(self.open)
        with ExitStack() as each:  # all of them end, whatever is raised at one
            for connection in closing:
                each.callback(connection.end, "the daemon stopped before the answer")
        with anyio.CancelScope(shield=True), anyio.move_on_after(CONNECT_S):
            for connection in closing:
                await connection.closed.wait()

    async def _keep(self, number: int, context: ssl.SSLContext | None, tried: anyio.Event) -> None:
        """One of the connections: there is always one, or an attempt at one."""
        attempts, serving = 0, None
        while True:
            await anyio.sleep(PAUSES_S[min(attempts, len(PAUSES_S) - 1)] * (1 + number / 10))
            attempts += 1
            fresh = await self._connected(context)
            tried.set()
            if fresh is None:
                continue
            if serving is not None:
                serving.retire()
            serving = fresh
            if not fresh.spent.is_set():  # it may have ended in the very step in which it was made
                self.resting.append(fresh)
            await fresh.worn()
            if fresh.proven:
                attempts = 0

    async def _connected(self, context: ssl.SSLContext | None) -> "_Connection | None":
        """None where it cannot be; why is said once."""
        loop, name = asyncio.get_running_loop(), self._host if context else None
        try:
            with anyio.fail_after(CONNECT_S):
                made = await reaching.reach(self._host, self._port, CONNECT_S)
                _, connection = await loop.create_connection(
                    lambda: _Connection(self), sock=made, ssl=context, server_hostname=name
                )
        except (OSError, ValueError) as error:  # errors of TLS and certificates are both
            self._failed(error)
            return None
        if self.why:
            logger.bind(channel="api").info("connected to {} for orders", self._roots.api)
            self.why = ""
        return connection

    def _failed(self, error: Exception) -> None:
        if isinstance(error, ssl.SSLCertVerificationError):
            why = f"its certificate is not trusted: {error.verify_message}"
        elif isinstance(error, TimeoutError):
            why = f"no connection within {CONNECT_S:g} s"
        else:
            why = str(error) or f"the other end hung up while connecting ({type(error).__name__})"
        if why != self.why:
            self.why = why
            logger.bind(channel="api").error("orders cannot reach {}: {}", self._roots.api, why)


class _Connection(asyncio.Protocol):
    """Rests, or waits for one answer, or listens for one that is too late; then it is over (`spent`).

    `worn` returns when another must take its place.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._poll = select.poll()
        self._answered: Answered | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._reader = _Reader()
        self._late_since = 0.0
        self._retired = False
        self._made = self._used = 0.0
        self.spent = anyio.Event()
        self.closed = anyio.Event()

    @property
    def proven(self) -> bool:
        return self._used > self._made or self._loop.time() - self._made > PROVEN_S

    def usable(self) -> bool:
        """What can be read on one that rests is the peer's goodbye, or bytes that nobody asked for."""
        return (
            self._answered is None
            and not self.spent.is_set()
            and not self._transport.is_closing()
            and self._transport.get_write_buffer_size() == 0
            and self._loop.time() - self._used <= STALE_S
            and not self._poll.poll(0)
        )

    def write(self, request: bytes, answered: Answered) -> None:
        self._transport.write(request)
        self._answered = answered
        self._used = self._loop.time()
        self._deadline = self._loop.call_later(self._wire.timeout_s, self._overdue)

    async def worn(self) -> None:
        while not self.spent.is_set() and (rest := self._used + REPLACE_S - self._loop.time()) > 0:
            with anyio.move_on_after(rest):
                await self.spent.wait()

    def retire(self) -> None:
        """Another has taken its place: no new request, and over after the answer it waits for."""
        self._retired = True
        if self in self._wire.resting:
            self._wire.resting.remove(self)
        if self._answered is None and not self._late_since:
            self.end("")

    def end(self, why: str) -> None:
        """Over. Whoever waits is told Lost with this reason, and what has not arrived will not arrive."""
        self.spent.set()
        if self in self._wire.resting:
            self._wire.resting.remove(self)
        if self._answered is not None and unconfirmed(self._transport):
            withdraw(self._transport)
        self._transport.abort()
        self._tell(Lost(why))

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._made = self._used = self._loop.time()
        self._wire.open.add(self)

    def data_received(self, data: bytes) -> None:
        if self._answered is None and not self._late_since:
            self._wire.strays += 1
            self.end("")
        else:
            self._read(data, "the answer could not be read")

    def eof_received(self) -> None:
        """An answer without a length ends so."""
        if self._answered is not None or self._late_since:
            self._read(b"", "the connection was closed before the end of the answer")

    def connection_lost(self, error: Exception | None) -> None:
        self.end(f"the connection was lost before the end of the answer: {error or 'closed'}")
        if self._deadline is not None:
            self._deadline.cancel()
        self._wire.open.discard(self)
        self.closed.set()

    # answers

    def _read(self, data: bytes, unreadable: str) -> None:
        try:
            answer = self._reader.read(data)
        except h11.RemoteProtocolError:  # its words repeat what came, which may be anything
            self.end(unreadable)
            return
        if answer is not None and self._late_since:
            self._count_late(answer)
        elif answer is not None:
            self._answer(answer)

    def _answer(self, answer: Response) -> None:
        self._used = self._loop.time()
        self._wire.strays += self._reader.more_came
        self._tell(answer)
        if self._retired or not self._reader.may_go_on:
            self.end("")
        elif not self.spent.is_set():
            self._reader = _Reader()
            self._wire.resting.append(self)

    def _overdue(self) -> None:
        """No more requests here; but it is listened to, and a late answer is counted. A request that has
        not even arrived gets no answer, and may not come to Kite when nobody expects it any more.
        """
        why = f"no answer in {self._wire.timeout_s:g} s"
        if unconfirmed(self._transport):
            self.end(f"{why}, and the request had not arrived")
            return
        self._late_since = self._loop.time()
        self.spent.set()
        self._tell(Lost(why))
        self._deadline = self._loop.call_later(LATE_S, self.end, "")

    def _count_late(self, answer: Response) -> None:
        self._wire.late += 1
        since = self._loop.time() - self._late_since
        words = "an answer (HTTP {}) came {:.1f} s after its time-out; the order book decides"
        logger.bind(channel="api").warning(words, answer.status, since)
        self.end("")

    def _tell(self, answer: Response | Lost) -> None:
        if self._answered is None:
            return
        answered, self._answered = self._answered, None
        if self._deadline is not None:
            self._deadline.cancel()
        if isinstance(answer, Lost):
            self._wire.lost += 1
        else:
            self._wire.answers += 1
        taken = False
        try:
            answered(answer)
            taken = True
        finally:
            if not taken:  # asyncio would log what is raised here, and go on
                self._wire.mistake = sys.exc_info()[1]
                self._wire.broken.set()


class _Reader:
    """One answer, as it comes in; made before its request is written, which so is only a write."""

    def __init__(self) -> None:
        self._parser = h11.Connection(h11.CLIENT)
        self._parser.send(h11.Request(method="POST", target="/", headers=[("host", "kite")]))
        self._parser.send(h11.EndOfMessage())
        self._head: h11.Response | None = None
        self._body = bytearray()

    def read(self, data: bytes) -> Response | None:
        """`data` b"" is the end of the stream. Raises h11.RemoteProtocolError."""
        self._parser.receive_data(data)
        while True:
            event = self._parser.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return None
            if isinstance(event, h11.Response):
                self._head = event
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > LARGEST_BODY:
                    raise h11.RemoteProtocolError("larger than any answer to an order")
            elif isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("closed without an answer")
            elif isinstance(event, h11.EndOfMessage) and self._head is not None:
                return self._whole(self._head)

    @property
    def more_came(self) -> bool:
        """Bytes behind the answer: nobody asked for them."""
        return bool(self._parser.trailing_data[0])

    @property
    def may_go_on(self) -> bool:
        """Both sides may speak again."""
        states = self._parser.our_state, self._parser.their_state
        return states == (h11.DONE, h11.DONE) and not self.more_came

    def _whole(self, head: h11.Response) -> Response:
        fields = {name: value.decode("latin-1") for name, value in head.headers}
        body = bytes(self._body)
        if fields.get(b"content-encoding", "").strip().lower() in (
            "gzip",
            "x-gzip",
        ):  # though we ask for none
            body = _unzipped(body)
        return Response(head.status_code, fields.get(b"content-type", ""), body)


def _unzipped(body: bytes) -> bytes:
    unzipping = zlib.decompressobj(wbits=31)
    try:
        whole = unzipping.decompress(body, LARGEST_BODY)
    except zlib.error as error:
        raise h11.RemoteProtocolError("no gzip") from error
    if not unzipping.eof:
        raise h11.RemoteProtocolError("half of a gzip, or larger than any answer to an order")
    return whole
