"""A proxy before the exchange whose connections can be broken in the ways that networks have."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import perf_counter

CHUNK = 65_536
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: on, for no time. Closing then resets."""


class Link:
    """One connection through the proxy. Times are of perf_counter; `lost_s` when it came to its end: by the
    proxy, by the exchange, or, where it only fell silent, by the client.
    """

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._from_client, self._to_client = client
        self._from_server, self._to_server = server
        self.opened_s = perf_counter()
        self.lost_s: float | None = None
        self._cut = False
        self._goes_on = asyncio.Event()
        self._goes_on.set()

    async def run(self) -> None:
        upward = asyncio.ensure_future(self._upward())
        try:
            await self._downward()
            await upward
        except OSError:
            pass
        finally:
            self._lost()
            upward.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await upward
            for writer in (self._to_client, self._to_server):
                writer.close()

    @property
    def whole(self) -> bool:
        return self.lost_s is None

    def _lost(self) -> None:
        self.lost_s = self.lost_s or perf_counter()

    async def _upward(self) -> None:
        with suppress(OSError):
            while data := await self._from_client.read(CHUNK):
                self._to_server.write(data)
                await self._to_server.drain()
        self._lost()
        self._goes_on.set()
        self._to_server.close()

    async def _downward(self) -> None:
        while data := await self._from_server.read(CHUNK):
            await self._goes_on.wait()
            if self._cut:
                self._lost()
                self._to_client.write(data[: len(data) // 2])
                await self._to_client.drain()
                break
            self._to_client.write(data)
            await self._to_client.drain()
        self._lost()
        self._to_client.close()

    def finish(self) -> None:
        """FIN, between two chunks."""
        self._lost()
        self._to_client.write_eof()
        self._to_client.close()

    def reset(self) -> None:
        """RST, and what was not read yet is lost."""
        self._lost()
        connection: socket.socket = self._to_client.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._to_client.transport.abort()

    def cut(self) -> None:
        """Of what comes next, half; then FIN."""
        self._cut = True

    def stall(self) -> None:
        """TCP stays open, and nothing comes any more."""
        self._goes_on.clear()


class Proxy:
    def __init__(self, host: str, port: int) -> None:
        self._upstream = host, port
        self.port = 0
        self.links: list[Link] = []
        self.away = False
        """Connections are reset as soon as they come."""
        self.refused = 0

    @property
    def whole(self) -> list[Link]:
        return [link for link in self.links if link.whole]

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.away:
            self.refused += 1
            writer.transport.abort()
            return
        try:
            server = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.transport.abort()
            return
        link = Link((reader, writer), server)
        self.links.append(link)
        await link.run()


@asynccontextmanager
async def proxied(host: str, port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for link in proxy.whole:
            link.reset()
