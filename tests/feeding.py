"""The live feed at work in a test: what it publishes and says, and servers that it can be set against."""

import asyncio
import csv
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import anyio
from loguru import logger
from running import FINISH_S, POLL_S

from alphapanda.events import Instrument, MarketTick, TickBatch
from alphapanda.venues.zerodha.books import Books
from alphapanda.venues.zerodha.clock import MarketClock
from alphapanda.venues.zerodha.patience import Patience
from alphapanda.venues.zerodha.roots import Roots, roots_at
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.ticker import KiteFeed

KEY, TOKEN = "rehearsal", "canary-of-the-access-token"
HASTE = Patience(
    silence_s=5.0,
    tick_s=0.25,
    open_s=10.0,
    first_s=0.02,
    hurried_s=0.04,
    longest_s=0.2,
    settled_s=1.0,
    asked_s=1.0,
)


class NoLimits:
    """Everybody's turn: the exchange counts no requests."""

    async def turn(self, bucket: str) -> None:
        """At once."""

    def limited(self, bucket: str) -> None:
        raise AssertionError(f"HTTP 429 at {bucket}")


async def nothing(_keys: Sequence[str]) -> dict[str, Any]:
    """What REST says where nobody is to ask it."""
    return {}


class Watched:
    """A feed that runs. `ticks` are the last of each instrument."""

    def __init__(
        self, roots: Roots, instruments: Sequence[Instrument], session: Session, **options: Any
    ) -> None:
        self.session = session
        self.clock = MarketClock(lambda: int(monotonic() * 1e9))
        self.batches: list[TickBatch] = []
        self.ticks: dict[int, MarketTick] = {}
        self.lost: list[str] = []
        self.whole = 0
        """How often all began to tick."""
        self.wake_ups = 0
        self.tokens = {instrument.instrument_token for instrument in instruments}
        told = {"quotes": nothing, "patience": HASTE} | options
        self.feed = KiteFeed(
            roots,
            session,
            instruments,
            self.clock,
            on_order_update=self._wake_up,
            on_lost=self.lost.append,
            on_ticking=self._all,
            **told,
        )

    def publish(self, batch: TickBatch) -> None:
        self.batches.append(batch)
        self.ticks.update({tick.instrument_token: tick for tick in batch.ticks})

    @property
    def summary(self) -> dict[str, Any]:
        return self.feed.summary()

    async def whole_again(self, times: int) -> None:
        """Until everything has begun to tick so often."""
        await until(lambda: self.whole >= times)

    def _wake_up(self) -> None:
        self.wake_ups += 1

    def _all(self) -> None:
        self.whole += 1


@asynccontextmanager
async def feeding(
    roots: Roots, instruments: Sequence[Instrument], session: Session | None = None, **options: Any
) -> AsyncIterator[Watched]:
    watched = Watched(roots, instruments, session or Session(KEY, TOKEN), **options)
    async with anyio.create_task_group() as group:
        group.start_soon(watched.feed.run, watched.publish)
        try:
            yield watched
        finally:
            group.cancel_scope.cancel()


async def until(fact: Callable[[], Any], within_s: float = FINISH_S) -> Any:
    """`fact()` as soon as it is true."""
    deadline = monotonic() + within_s
    while not (found := fact()):
        assert monotonic() < deadline, f"not true within {within_s} s"
        await anyio.sleep(POLL_S)
    return found


@asynccontextmanager
async def books_at(url: str, session: Session) -> AsyncIterator[Books]:
    books = Books(roots_at(url), session, NoLimits())
    try:
        yield books
    finally:
        await books.close()


async def listed(books: Books, count: int) -> list[Instrument]:
    """So many instruments, from all over the list: shares, indices, contracts of every market."""
    rows = list(csv.DictReader((await books.instruments()).decode().splitlines()))
    assert len(rows) >= count
    every = [Instrument(int(row["instrument_token"]), row["exchange"], row["tradingsymbol"]) for row in rows]
    return every[:: len(every) // count][:count]


@asynccontextmanager
async def log_lines(level: str = "TRACE") -> AsyncIterator[list[str]]:
    """Everything that is logged in the block, exceptions too."""
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{level} {message}", level=level)
    try:
        yield lines
    finally:
        logger.remove(sink)


class Proxy:
    """A TCP proxy on this machine. `cut` lets so many bytes of the server's through, then resets."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.connections = 0
        self.stalled = False

    @property
    def roots(self) -> Roots:
        return roots_at(f"http://127.0.0.1:{self.port}")

    def reset(self) -> None:
        """Every connection, with RST."""
        for writer in tuple(self._open):
            tcp = writer.get_extra_info("socket")
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, back = await asyncio.open_connection("127.0.0.1", self._behind)
        self._open |= {writer, back}
        async with anyio.create_task_group() as group:
            group.start_soon(self._pump, reader, back, group.cancel_scope)
            group.start_soon(self._pump, there, writer, group.cancel_scope)
        for end in (writer, back):
            self._open.discard(end)
            end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, whole: anyio.CancelScope
    ) -> None:
        try:
            while data := await reader.read(1 << 16):
                while self.stalled:  # noqa: ASYNC110 - tests set it
                    await anyio.sleep(POLL_S)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        whole.cancel()


@asynccontextmanager
async def proxy_before(port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.stalled = False
        proxy.reset()
        await anyio.sleep(POLL_S)
