"""The other end of the order wire on this machine: one that records, and one that does as it is told."""

import asyncio
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple
from urllib.parse import parse_qsl

import anyio
from builders import order

from alphapanda.events import Money
from alphapanda.venues.zerodha.answers import Response
from alphapanda.venues.zerodha.requests import Requests
from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.wire import Wire

PATIENCE_S = 60.0
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
JSON = b"Content-Type: application/json\r\n"


class Asked(NamedTuple):
    """A request as it came; names of headers in small letters."""

    method: str
    target: str
    headers: dict[str, str]
    fields: dict[str, str]


def asked(request: bytes) -> Asked:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    method, target, version = first.split(" ")
    assert version == "HTTP/1.1"
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert len(headers) == len(lines), "a header is there twice"
    assert int(headers["content-length"]) == len(body)
    pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body))
    assert len(dict(pairs)) == len(pairs), "a field is there twice"
    return Asked(method, target, headers, dict(pairs))


def success(order_id: str = "1") -> bytes:
    return b'{"status":"success","data":{"order_id":"%s"}}' % order_id.encode()


def reply(body: bytes = b"", *, headers: bytes = JSON, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, headers, len(body), body)


WHOLE = reply(success())
GOOD = Response(200, "application/json", success())
"""What is made of it."""


def _request_of(received: bytes) -> int:
    """The length of the whole request that it begins with; 0 while there is none."""
    head = received.find(b"\r\n\r\n") + 4
    if head < 4:
        return 0
    length = LENGTH.search(received, 0, head)
    whole = head + (int(length[1]) if length else 0)
    return whole if len(received) >= whole else 0


class Recorder:
    """Answers each request with success, and keeps it."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []

    def accept(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(peer,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: socket.socket) -> None:
        received = b""
        with peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := peer.recv(65536):
                received += data
                while whole := _request_of(received):
                    self.requests.append(received[:whole])
                    received = received[whole:]
                    peer.sendall(reply(success()))

    def close(self) -> None:
        """Its callers have closed their connections before."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)


@contextmanager
def recorder() -> Iterator[Recorder]:
    server = Recorder()
    accepting = threading.Thread(target=server.accept)
    accepting.start()
    try:
        yield server
    finally:
        server.close()
        accepting.join(PATIENCE_S)


Does = Callable[["Peer", bytes], Awaitable[None]]
"""What is done about a request."""


class Peer(NamedTuple):
    """One connection, as its server has it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """RST, no FIN."""
        self.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
        )
        self.writer.transport.abort()


async def well(peer: Peer, request: bytes) -> None:
    await peer.say(reply(success()))


class Nasty:
    """Does with the n-th request what `plan` says, and answers well when the plan is at its end."""

    def __init__(self, *plan: Does) -> None:
        self.plan = list(plan)
        self.requests: list[bytes] = []
        self.peers: list[Peer] = []
        self.greets: Callable[[Peer], Awaitable[None]] | None = None
        """Before any request, for every connection."""
        self.url = ""

    def gone(self) -> bool:
        """Hang up; a connection may still come that was on its way."""
        for peer in self.peers:
            peer.writer.transport.abort()
        return True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer, received = Peer(reader, writer), b""
        self.peers.append(peer)
        try:
            if self.greets:
                await self.greets(peer)
            while data := await reader.read(65536):
                received += data
                while whole := _request_of(received):
                    request, received = received[:whole], received[whole:]
                    self.requests.append(request)
                    await (self.plan.pop(0) if self.plan else well)(peer, request)
        except ConnectionError:
            pass
        finally:
            writer.close()


def says(*parts, then=None):
    """A way of Nasty to answer: these bytes, and then what is done to the connection."""

    async def does(peer, _):
        for part in parts:
            await peer.say(part)
        if then:
            getattr(peer, then)()

    return does


@asynccontextmanager
async def serving(nasty: Nasty, *, port: int = 0, **options):
    """On this machine; `options` go to asyncio's server, such as `ssl`."""
    server = await asyncio.start_server(nasty.serve, "127.0.0.1", port, **options)
    scheme = "https" if options.get("ssl") else "http"
    nasty.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield nasty
    finally:
        server.close()
        await fact(lambda: nasty.gone() and not any(map(_serves, asyncio.all_tasks())))


def _serves(task: asyncio.Task[None]) -> bool:
    """A task of the server's side, which asyncio has for each handshake too."""
    return "Nasty.serve" in repr(task) or "_accept_connection2" in repr(task)


@asynccontextmanager
async def wired(url: str, **options):
    """A wire that runs; at the end it is over, and has left nothing behind."""
    wire = Wire(roots_at(url), **({"timeout_s": PATIENCE_S} | options))
    before = asyncio.all_tasks()
    async with anyio.create_task_group() as group:
        await group.start(wire.run)
        yield wire
        group.cancel_scope.cancel()
    assert not wire.open
    assert not wire.resting
    assert all(map(_serves, asyncio.all_tasks() - before))


async def fact(check: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE_S):
        while not check():  # noqa: ASYNC110 - a fact of another process or thread, or of a counter
            await anyio.sleep(0.002)


def placing(url: str, number: int = 1, **fields) -> bytes:
    """The request of an entry."""
    ours = Requests(roots_at(url), Session("rehearsal", "today"))
    return ours.place(order(sequence=number, **fields), market_protection=Money(-1))


async def answer_to(wire, request):
    """The one answer, once the wire has a connection for the request."""
    answers = []
    await fact(wire.idle)
    wire.send(request, answers.append)
    assert not answers, "told within send"
    await fact(lambda: answers)
    return answers
