"""A witness between the daemon and an exchange: it forwards every byte, and writes down what passes.

    python scripts/wire_witness.py http://127.0.0.1:PORT STORE LOG

The first line on stdout is its own port. It ends when its stdin does. LOG gets a JSON object a line, of order
requests (POST, PUT and DELETE under /orders) alone. When the last byte of one has come, before the first is
passed on, it looks into the daemon's store by a short reader of its own; so what is committed then was
committed before the exchange could know of the request.

    {"n": 1, "kind": "request", "monotonic_ns", "wall_ns", "method": "POST", "path": "/orders/regular",
     "tag": "AP…", "fields": {…}, "committed": true, "killed": false, "seq": 41, "hash": "…", "peer": 50312}
    {"n": 1, "kind": "reply", "monotonic_ns", "wall_ns", "status": 200}
    {"n": 2, "kind": "lost", "monotonic_ns", "wall_ns"}

`monotonic_ns` and `wall_ns` of a request are those at which the kernel had its last bytes from the sender,
however late we came to read them. `committed`: the store has an order with this tag (None without a tag or
where the store could not be read, then `unread` says why). `killed`: its kill switch is on. `seq` and `hash`
are those of the newest row of its journal. A reply is told when its first bytes have come from the exchange;
`lost`: the connection ended before. A request that the daemon did not finish is not passed on, and has no
line.
"""

import json
import re
import socket
import sqlite3
import struct
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

CHUNK = 65_536
STAMPED = 35
"""SO_TIMESTAMPNS of Linux: when the kernel had the bytes."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: on, for no time. Closing then resets."""
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
UPGRADE = re.compile(rb"\r\nupgrade: *websocket", re.IGNORECASE)
WATCHED = ("POST", "PUT", "DELETE")
LOOK = """\
SELECT (SELECT count(*) FROM orders WHERE tag = :tag),
    (SELECT is_on FROM kill_switch WHERE id = 1), seq, hash
FROM journal ORDER BY seq DESC LIMIT 1"""


class Log:
    """Lines from all connections, each whole and at once."""

    def __init__(self, path: Path, store: Path) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self._store = store
        self._lock = threading.Lock()
        self._number = 0

    def request(self, head: bytes, body: bytes, wall_ns: int, peer: int) -> int:
        """The number of the request. Looks into the store before anything else."""
        fields = dict(parse_qsl(body.decode("ascii", "replace")))
        tag = fields.get("tag")
        seen = self._look(tag)
        method, path, _ = head.split(b"\r\n", 1)[0].decode("ascii", "replace").split(" ", 2)
        with self._lock:
            self._number += 1
            number = self._number
            self._write(
                {"n": number, "kind": "request"}
                | _times(wall_ns)
                | {"method": method, "path": path, "tag": tag, "fields": fields, **seen, "peer": peer}
            )
        return number

    def ended(self, number: int, status: int | None) -> None:
        """Its answer has begun; None: there will be none."""
        line = {"n": number, "kind": "lost"} if status is None else {"n": number, "kind": "reply"}
        told = {} if status is None else {"status": status}
        with self._lock:
            self._write(line | _times(time.time_ns()) | told)

    def _look(self, tag: str | None) -> dict[str, Any]:
        nothing: dict[str, Any] = {"committed": None, "killed": None, "seq": None, "hash": None}
        try:
            with closing(sqlite3.connect(f"file:{self._store}?mode=ro", uri=True, timeout=2.0)) as reader:
                row = reader.execute(LOOK, {"tag": tag or ""}).fetchone()
        except sqlite3.Error as error:
            return nothing | {"unread": str(error)}
        if row is None:
            return nothing | {"unread": "the journal is empty"}
        known, killed, seq, digest = row
        committed = None if tag is None else known > 0
        return {"committed": committed, "killed": bool(killed), "seq": seq, "hash": digest.hex()}

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")


def _times(wall_ns: int) -> dict[str, int]:
    return {"monotonic_ns": wall_ns - time.time_ns() + time.monotonic_ns(), "wall_ns": wall_ns}


class Passage:
    """One connection of the daemon, and ours to the exchange for it."""

    def __init__(self, near: socket.socket, far: socket.socket, log: Log) -> None:
        self._near, self._far, self._log = near, far, log
        self._waiting: list[int] = []
        """Numbers of order requests that have no answer yet."""
        self._lock = threading.Lock()
        self._peer = near.getpeername()[1]

    def start(self) -> None:
        for way in (self._upward, self._downward):
            threading.Thread(target=self._run, args=(way,), daemon=True).start()

    def _run(self, way: Any) -> None:
        try:
            way()
        except OSError:
            for each in (self._near, self._far):
                with suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RD)  # wakes the other thread, and says nothing to the peer
                each.close()
        finally:
            if way == self._downward:
                for number in self._taken():
                    self._log.ended(number, None)

    def _upward(self) -> None:
        held = b""
        while True:
            data, wall_ns = _read(self._near)
            if not data:
                self._far.shutdown(socket.SHUT_WR)
                return
            held += data
            while (end := held.find(b"\r\n\r\n") + 4) >= 4:
                head = held[:end]
                if UPGRADE.search(head):
                    self._far.sendall(held)
                    self._stream()
                    return
                length = LENGTH.search(head)
                whole = end + (int(length[1]) if length else 0)
                if len(held) < whole:
                    break
                self._meet(head, held[end:whole], wall_ns)
                self._far.sendall(held[:whole])
                held = held[whole:]

    def _stream(self) -> None:
        while data := self._near.recv(CHUNK):
            self._far.sendall(data)
        self._far.shutdown(socket.SHUT_WR)

    def _meet(self, head: bytes, body: bytes, wall_ns: int) -> None:
        method, _, rest = head.partition(b" ")
        if method.decode("ascii", "replace") in WATCHED and rest.startswith(b"/orders"):
            number = self._log.request(head, body, wall_ns, self._peer)
            with self._lock:
                self._waiting.append(number)

    def _downward(self) -> None:
        while data := self._far.recv(CHUNK):
            for number in self._taken():
                status = data[9:12]
                self._log.ended(number, int(status) if status.isdigit() else 0)
            self._near.sendall(data)
        self._near.shutdown(socket.SHUT_WR)

    def _taken(self) -> list[int]:
        with self._lock:
            taken, self._waiting = self._waiting, []
        return taken


def _read(near: socket.socket) -> tuple[bytes, int]:
    """What has come, and when the kernel had the last of it: CLOCK_REALTIME in nanoseconds."""
    data, ancillary, _, _ = near.recvmsg(CHUNK, 256)
    for level, _, stamp in ancillary:
        if level == socket.SOL_SOCKET and len(stamp) >= 16:
            seconds, nanoseconds = struct.unpack("qq", stamp[:16])
            return data, seconds * 10**9 + nanoseconds
    return data, time.time_ns()


def serve(listener: socket.socket, upstream: tuple[str, int], log: Log) -> None:
    while True:
        near, _ = listener.accept()
        near.setsockopt(socket.SOL_SOCKET, STAMPED, 1)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            far = socket.create_connection(upstream, timeout=10)
        except OSError:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            near.close()
            continue
        far.settimeout(None)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Passage(near, far, log).start()


def main(upstream: str, store: str, path: str) -> None:
    where = urlsplit(upstream)
    log = Log(Path(path), Path(store).absolute())
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    arguments = (listener, (where.hostname, where.port), log)
    threading.Thread(target=serve, args=arguments, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
