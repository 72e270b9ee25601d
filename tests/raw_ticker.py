"""A ticker client of bare bytes: it sees how a connection ends, and what never came before what did."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
HEARTBEAT = (BINARY, b"\x00")
PATIENCE_S = 60
KEY = "rehearsal"


class Broken(Exception):  # noqa: N818 - a fact that tests look for
    """The connection was closed. `promised` bytes of a message were announced, `came` of them came."""

    def __init__(self, promised: int, came: int) -> None:
        super().__init__(f"{came} of {promised} bytes")
        self.promised = promised
        self.came = came


class RawTicker:
    def __init__(self, tcp: socket.socket) -> None:
        self._tcp = tcp

    def say(self, action: str, value: object) -> None:
        self.send(TEXT, json.dumps({"a": action, "v": value}).encode())

    def send(self, opcode: int, payload: bytes) -> None:
        """One masked frame of at most 125 bytes (RFC 6455, 5.2)."""
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self._tcp.sendall(bytes((0x80 | opcode, 0x80 | len(payload))) + mask + masked)

    def frame(self) -> tuple[int, bytes]:
        """The next frame: its opcode and payload. Broken or ConnectionResetError when there is none."""
        first, length = self._exactly(2)
        if length == 126:
            length = int.from_bytes(self._exactly(2), "big")
        elif length == 127:
            length = int.from_bytes(self._exactly(8), "big")
        return first & 0x0F, self._exactly(length)

    def so_far(self) -> list[tuple[int, bytes]]:
        """All frames that the exchange had to send until now, without heartbeats: the answer to a question
        stands in line behind them.
        """
        self.send(TEXT, b"?")
        return self._until(lambda opcode, payload: opcode == TEXT and b'"error"' in payload)

    def until_pong(self, word: bytes) -> list[tuple[int, bytes]]:
        """All frames before the answer to a ping with this word, which does not stand in line."""
        self.send(PING, word)
        return self._until(lambda opcode, payload: (opcode, payload) == (PONG, word))

    def until_heartbeat(self) -> list[tuple[int, bytes]]:
        """All frames until the exchange has nothing more to send."""
        frames = self.until_pong(b"old heartbeats are before this")
        return frames + self._until(lambda opcode, payload: (opcode, payload) == HEARTBEAT)

    def _until(self, last: Callable[[int, bytes], bool]) -> list[tuple[int, bytes]]:
        frames = []
        while not last(*(frame := self.frame())):
            if frame != HEARTBEAT:
                frames.append(frame)
        return frames

    def ticks(self) -> bytes:
        """The next binary message that is no heartbeat."""
        while True:
            opcode, payload = self.frame()
            if opcode == BINARY and (opcode, payload) != HEARTBEAT:
                return payload

    def _exactly(self, count: int) -> bytes:
        came = b""
        while len(came) < count:
            more = self._tcp.recv(count - len(came))
            if not more:
                raise Broken(count, len(came))
            came += more
        return came


@contextmanager
def raw_ticker(url: str, token: str) -> Iterator[RawTicker]:
    """Connected to the ticker of the exchange whose REST root is `url`."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=PATIENCE_S) as tcp:
        tcp.sendall(
            f"GET /ws?api_key={KEY}&access_token={token} HTTP/1.1\r\nHost: {place.netloc}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += tcp.recv(1)
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield RawTicker(tcp)
