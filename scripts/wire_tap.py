"""Stands between a program and the exchange, and stamps what passes: outside of what is measured.

`python wire_tap.py ticks HOST:PORT FILE` forwards the ticker and writes the time at which the frame with a
deciding tick went on to the program; `orders` forwards REST and writes the time at which the last byte of an
order request had come. Times are CLOCK_MONOTONIC in ns, which all processes of a machine share. It says its
port on stdout. Lines of the file: `["tick", token, ns]`, `["order", symbol, ns]`, at its end
`["packets", count]`.
"""

import asyncio
import json
import os
import re
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path
from time import perf_counter_ns
from typing import TextIO
from urllib.parse import parse_qs

MOST_BUFFERED = 1 << 20
PACKET = struct.Struct(">2xI12xI164x")
"""Of a tick in full mode with its length before it: the token and the day's volume."""
FULL_LENGTH = (184).to_bytes(2, "big")
ONE_IN = int(os.environ.get("WIRE_ONE_IN", "1800"))
"""Of so many ticks one decides."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def deciding(token: int, volume: int) -> bool:
    """Is this one of the few ticks on which the programs order? All processes agree without a word."""
    return (token * 2_654_435_761 + volume * 40_503) % 4_294_967_291 % ONE_IN == 0


class Side(asyncio.Protocol):
    """One end of a forwarded connection; what comes here goes out at the other."""

    def __init__(self) -> None:
        self.other: Side | None = None
        self.transport: asyncio.Transport | None = None
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] - TCP
        self.transport.set_write_buffer_limits(MOST_BUFFERED)  # type: ignore[union-attr] - as above

    def data_received(self, data: bytes) -> None:
        now = perf_counter_ns()
        self.send_on(data)
        self.saw(data, now)

    def send_on(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
        else:
            self.early.append(data)

    def saw(self, data: bytes, now_ns: int) -> None:
        """For who looks at what passes."""

    def pause_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.resume_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        if self.other and self.other.transport:
            self.other.transport.close()


class Ticks(Side):
    """What the exchange's ticker sends: WebSocket frames behind an HTTP head, unmasked (RFC 6455, 5.1)."""

    def __init__(self, record: "Record") -> None:
        super().__init__()
        self._record = record
        self._held = bytearray()
        self._begun = False

    def saw(self, data: bytes, now_ns: int) -> None:
        held = self._held
        held += data
        if not self._begun:
            end = held.find(b"\r\n\r\n")
            if end < 0:
                return
            del held[: end + 4]
            self._begun = True
        at = 0
        while (body := _frame(held, at)) is not None:
            start, at = body
            self._count(held, start, at, now_ns)
        del held[:at]

    def _count(self, held: bytearray, start: int, end: int, now_ns: int) -> None:
        if held[start + 2 : start + 4] != FULL_LENGTH or (end - start - 2) % PACKET.size:
            return
        self._record.packets += (end - start - 2) // PACKET.size
        for token, volume in PACKET.iter_unpack(memoryview(held)[start + 2 : end]):
            if (token * 2_654_435_761 + volume * 40_503) % 4_294_967_291 % ONE_IN == 0:  # as `deciding`
                self._record.write("tick", token, now_ns)


def _frame(held: bytearray, at: int) -> tuple[int, int] | None:
    """Where the payload of the frame at `at` begins and ends; None while it is not all there."""
    if len(held) < at + 2:
        return None
    size, start = held[at + 1] & 0x7F, at + 2
    if size >= 126:
        start += 2 if size == 126 else 8
        if len(held) < start:
            return None
        size = int.from_bytes(held[at + 2 : start], "big")
    return (start, start + size) if len(held) >= start + size else None


class Orders(Side):
    """What a program asks of REST."""

    def __init__(self, record: "Record") -> None:
        super().__init__()
        self._record = record
        self._held = b""

    def saw(self, data: bytes, now_ns: int) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._held, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._held) < whole:
                return
            head, body = self._held[:end], self._held[end + 4 : whole]
            self._held = self._held[whole:]
            if head.startswith(b"POST ") and b"/orders/regular" in head.split(b"\r\n", 1)[0]:
                (symbol,) = parse_qs(body.decode())["tradingsymbol"]
                self._record.write("order", symbol, now_ns)


class Record:
    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.packets = 0

    def write(self, *facts: object) -> None:
        self._file.write(json.dumps(facts) + "\n")
        self._file.flush()


async def tap(what: str, upstream: str, record: Record) -> None:
    """Until SIGTERM."""
    host, _, port = upstream.partition(":")
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    connecting = set()

    async def join(near: Side, far: Side) -> None:
        with suppress(OSError):
            await loop.create_connection(lambda: far, host, int(port))
        if far.transport is None or near.transport is None:
            return
        near.other, far.other = far, near
        for data in near.early:
            far.transport.write(data)

    def accepted() -> Side:
        near = Side() if what == "ticks" else Orders(record)
        far = Ticks(record) if what == "ticks" else Side()
        task = loop.create_task(join(near, far))
        connecting.add(task)
        task.add_done_callback(connecting.discard)
        return near

    server = await loop.create_server(accepted, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stopped.wait()
    server.close()


def main(what: str, upstream: str, path: str) -> None:
    with Path(path).open("w", encoding="utf-8") as file:
        record = Record(file)
        asyncio.run(tap(what, upstream, record))
        record.write("packets", record.packets)


if __name__ == "__main__":
    main(*sys.argv[1:])
