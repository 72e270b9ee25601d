"""The control socket: how the command reaches a running daemon.

Unix socket, mode 0600; the caller's uid is read from the kernel. One request and one reply a connection,
each four bytes of length and a JSON document, requests of at most 64 KiB within two seconds.
"""

import errno
import grp
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.abc import SocketAttribute, SocketListener, SocketStream
from loguru import logger

from alphapanda.config.redaction import redact
from alphapanda.errors import CannotStart, Fatal, Transient

audit = logger.bind(channel="audit")

LENGTH = struct.Struct(">I")
CREDENTIALS = struct.Struct("3i")
LONGEST_REQUEST = 65_536
LONGEST_PATH = 100
READ_S = 2.0
PROBE_S = 1.0
CONNECTIONS = 16
NO_DESCRIPTOR_S = 0.1

Handler = Callable[[dict[str, Any]], Awaitable[Any]]


class Unreachable(Transient):
    """No daemon answers at the socket."""


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A socket address may have 107 bytes; a longer path is reached through its folder's descriptor."""
    if len(os.fsencode(path)) <= LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def ask(path: Path, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Send a request and return the reply. Raises Unreachable when nobody answers in time."""
    try:
        with socket.socket(socket.AF_UNIX) as connection, _short(path) as address:
            connection.settimeout(timeout_s)
            connection.connect(address)
            body = msgspec.json.encode(request)
            connection.sendall(LENGTH.pack(len(body)) + body)
            reply: dict[str, Any] = msgspec.json.decode(_receive(connection))
    except (OSError, msgspec.DecodeError) as error:
        raise Unreachable(f"no daemon answers at {path}: {error}") from error
    return reply


def _receive(connection: socket.socket) -> bytes:
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts, left = [], size
    while left:
        part = connection.recv(left)
        if not part:
            raise ConnectionError("the daemon closed the connection")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


async def serve(path: Path, handle: Handler, group: str, *, started: Callable[[], None]) -> None:
    """Answer requests until cancelled. `handle` gets the request and returns what is JSON-encodable."""
    allowed = {0, os.geteuid()}

    async def answer(stream: SocketStream) -> None:
        async with stream:
            try:
                await _answer(stream, handle, allowed, group)
            except (TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.IncompleteRead):
                audit.warning("control: a request was not complete within {} s", READ_S)

    if _answered(path):
        raise CannotStart(f"control.socket {path} is in use by another daemon; set another path")
    gid = _gid(group) if group else -1
    try:
        os.makedirs(path.parent, exist_ok=True)  # noqa: PTH103 - local, at start, before anything runs
        with _short(path) as address:
            listener = await anyio.create_unix_listener(address, mode=0o660 if group else 0o600)
        os.chown(path, -1, gid)
    except OSError as error:
        raise CannotStart(f"control.socket {path} cannot be opened: {_why(path, error)}") from error
    async with listener:
        started()
        try:
            await _accept(listener, answer)
        finally:
            _remove(path)


async def _accept(listener: SocketListener, answer: Callable[[SocketStream], Awaitable[None]]) -> None:
    """So many at a time; the kernel keeps the others waiting, and they take no descriptors. Where there are
    none left it goes on as soon as there are: the door must not fall shut for good.
    """
    room = anyio.Semaphore(CONNECTIONS)

    async def one(stream: SocketStream) -> None:
        try:
            await answer(stream)
        finally:
            room.release()

    async with anyio.create_task_group() as group:
        while True:
            await room.acquire()
            try:
                stream = await listener.accept()
            except anyio.BrokenResourceError as error:
                room.release()
                if getattr(error.__cause__, "errno", None) not in (errno.EMFILE, errno.ENFILE):
                    raise
                await anyio.sleep(NO_DESCRIPTOR_S)
            else:
                group.start_soon(one, stream)


def _why(path: Path, error: OSError) -> str:
    """And what to do."""
    if error.errno == errno.EADDRINUSE:  # a socket would have been replaced
        return f"{path.name} is there and is no socket; remove it or set another path"
    # Of an address that is too long Python itself says so, without a number and so without `strerror`.
    reason = error.strerror or str(error)
    return f"{reason}; set a shorter path" if "too long" in reason else f"{reason}; set another path"


def _answered(path: Path) -> bool:
    """Does somebody listen there already? A socket left by a dead daemon refuses, a busy one does not."""
    try:
        with socket.socket(socket.AF_UNIX) as probe, _short(path) as address:
            probe.settimeout(PROBE_S)
            probe.connect(address)
    except (BlockingIOError, TimeoutError):
        return True
    except OSError:
        return False
    return True


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise CannotStart(f"control.group: there is no group {group!r} on this machine") from error


async def _answer(stream: SocketStream, handle: Handler, allowed: set[int], group: str) -> None:
    with anyio.fail_after(READ_S):
        request = await _read(stream)
    uid, gid = _peer(stream)
    if uid not in allowed and not (group and _gid(group) in _groups(uid, gid)):
        audit.warning("control: uid {} was refused", uid)
        await _send(stream, {"ok": False, "error": f"uid {uid} may not control this daemon"})
        return
    if request is None:
        await _send(stream, {"ok": False, "error": "not a request: send one JSON object of at most 64 KiB"})
        return
    try:
        reply = {"ok": True, "result": await handle(request | {"uid": uid})}
    except ValueError as error:
        reply = {"ok": False, "error": redact(str(error))}
    except Fatal:
        raise
    except Exception as error:  # noqa: BLE001 - one request must not close the door for the others
        audit.error("control: {} failed: {!r}", request.get("command"), error)
        reply = {"ok": False, "error": redact(f"{type(error).__name__}: {error}")}
    await _send(stream, reply)


def _peer(stream: SocketStream) -> tuple[int, int]:
    """The caller's uid and gid as the kernel saw them when it connected."""
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - a stream, not a query
    _, uid, gid = CREDENTIALS.unpack(raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    return uid, gid


def _groups(uid: int, gid: int) -> list[int]:
    """All groups of a user, not only the one its process runs in."""
    try:
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        return [gid]


async def _read(stream: SocketStream) -> dict[str, Any] | None:
    buffered = b""
    while len(buffered) < LENGTH.size:
        buffered += await stream.receive()
    (length,) = LENGTH.unpack(buffered[: LENGTH.size])
    if length > LONGEST_REQUEST:
        return None
    while len(buffered) < LENGTH.size + length:
        buffered += await stream.receive()
    try:
        return msgspec.json.decode(buffered[LENGTH.size :], type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None


async def _send(stream: SocketStream, reply: dict[str, Any]) -> None:
    body = msgspec.json.encode(reply)
    await stream.send(LENGTH.pack(len(body)) + body)
