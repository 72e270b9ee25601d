"""The ticker's connections below their messages: peers that speak no WebSocket, and addresses that lead
nowhere.
"""

import asyncio
import base64
import re
import socket
from hashlib import sha1

import anyio
import pytest
from feeding import HASTE, TOKEN, feeding, log_lines, until
from kite_packets import INFY_FULL
from msgspec.structs import replace
from raw_peer import dead_end
from websockets.asyncio.server import serve

from alphapanda.events import Instrument
from alphapanda.kite.encode import frame
from alphapanda.venues.zerodha.roots import Roots, roots_at

INFY = Instrument(408065, "NSE", "INFY")
GOOD = b"\x82\x7e" + len(frame([INFY_FULL])).to_bytes(2, "big") + frame([INFY_FULL])
GREETING = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def welcome(key: bytes) -> bytes:
    accept = base64.b64encode(sha1(key + GREETING).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def half(key: bytes) -> bytes:
    return welcome(key)[:40]


HANDSHAKES = {
    "nothing": lambda _: b"",
    "noise": lambda _: b"\x16\x03\x01\x00\xff\xfe\r\n\r\n",
    "half": half,
    "another key": lambda _: welcome(b"x"),
    "no headers": lambda _: b"HTTP/1.1 101 X\r\n\r\n",
    "HTTP/1.0": lambda key: welcome(key).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a page": lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
    "a page without an end": lambda _: b"HTTP/1.1 502 Bad Gateway\r\n\r\n" + TOKEN.encode(),
    "a length that is none": lambda _: b"HTTP/1.1 503 X\r\nContent-Length: many\r\n\r\n",
    "endless headers": lambda _: b"HTTP/1.1 101 X\r\n" + b"X: y\r\n" * 50_000,
    "an extension": lambda key: welcome(key)[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    "a protocol": lambda key: welcome(key)[:-2] + b"Sec-WebSocket-Protocol: chat\r\n\r\n",
}
FRAMES = {
    "text that is none": b"\x81\x02\xff\xfe",
    "text that is none in pieces": b"\x01\x01\xe2\x80\x01\x28",
    "an unknown kind": b"\x83\x01x",
    "a reserved bit": b"\xf2\x01x",
    "masked": b"\x82\x81abcd\x00",
    "longer than anything": b"\x82\x7f" + (1 << 40).to_bytes(8, "big"),
    "longer than there is": b"\x82\x7f" + (1 << 63).to_bytes(8, "big"),
    "the end of nothing": b"\x80\x01x",
    "two beginnings": b"\x02\x01x\x02\x01x",
    "a goodbye of one byte": b"\x88\x01x",
    "a goodbye of no code": b"\x88\x02\x00\x01",
    "a goodbye in bad text": b"\x88\x04\x03\xe8\xff\xfe",
    "a long ping": b"\x89\x7e\x01\x00" + bytes(256),
    "half of one": GOOD[:50],
}


class Rude:
    """Says its pieces one connection after the other; then it is polite."""

    def __init__(self, *says):
        self.says = list(says)
        self.asked = 0

    async def serve(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            key = re.search(rb"(?i)sec-websocket-key: (\S+)", head)[1]
            self.asked += 1
            if self.says:
                writer.write(self.says.pop(0)(key))
            else:
                writer.write(welcome(key) + GOOD)
                await reader.read()
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.mark.parametrize(
    "says",
    [
        list(HANDSHAKES.values()),
        [lambda key, frames=each: welcome(key) + frames for each in FRAMES.values()],
        [lambda key, frames=each: welcome(key) + GOOD + frames for each in FRAMES.values()],
    ],
    ids=["handshakes", "frames", "frames after ticks"],
)
def test_whatever_a_peer_says_the_feed_tries_again_and_the_session_lives(says):
    async def main():
        rude = Rude(*says)
        server = await asyncio.start_server(rude.serve, "127.0.0.1", 0)
        roots = roots_at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        patience = replace(HASTE, longest_s=0.02, first_s=0.01, open_s=1.0)
        try:
            async with log_lines() as lines, feeding(roots, [INFY], patience=patience) as watched:
                await until(lambda: rude.asked == len(says) + 1 and watched.feed.connected)
                assert watched.session.alive
                assert watched.ticks[408065].last_price == 1573.7
        finally:
            server.close()
        assert not any(TOKEN in line for line in lines)
        assert not any("Traceback" in line for line in lines)

    anyio.run(main)


def test_an_address_that_leads_nowhere_does_not_keep_the_feed_from_the_next(monkeypatch):
    """As IPv6 does on many a line: the name has two addresses, and nothing answers at the first."""

    async def main():
        async def talk(connection):
            await connection.send(frame([INFY_FULL]))
            await connection.wait_closed()

        async with serve(talk, "127.0.0.1", 0, compression=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            with dead_end(port) as first:
                both = [first, ("127.0.0.1", port)]
                known = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in both]
                monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: known)
                patience = replace(HASTE, open_s=1.0)
                roots = Roots(ticker=f"ws://localhost:{port}")
                async with feeding(roots, [INFY], patience=patience) as watched:
                    assert await until(lambda: watched.feed.connected)

    anyio.run(main)
