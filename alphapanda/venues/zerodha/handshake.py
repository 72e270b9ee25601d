"""The way into Kite's ticker: the address with the token, TLS, and the WebSocket's handshake.

The token is in the address. So no debug line of the library is written, no redirect is followed, no proxy is
asked, and what is said of a failure is searched for the token first.
"""

import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from alphapanda.venues.zerodha.reaching import reach
from alphapanda.venues.zerodha.roots import Roots, tls
from alphapanda.venues.zerodha.session import Session

MOST_BYTES = 2 + 3_000 * 186 + 1_024
"""Of a message: 3,000 packets of full mode behind their lengths, and something over."""
MOST_WAITING = 64
"""Messages that wait for us before we stop reading."""
TURN_S = 1.0
"""How long a handshake waits for another one. They go one by one, so that a dead token is tried once; but one
that hangs does not keep the others.
"""
CLOSING_S = 0.5
LONGEST_REASON = 200

_DATA = (Opcode.CONT, Opcode.TEXT, Opcode.BINARY)
_library = logging.getLogger("alphapanda.websockets")
_library.setLevel(logging.WARNING)  # at debug it would write the address


class Refused(Exception):  # noqa: N818 - a state of the world, not a mistake
    """The handshake was answered with an HTTP code. `epoch` is that of the token it was tried with."""

    def __init__(self, status: int, epoch: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.epoch = epoch


class Unreachable(Exception):  # noqa: N818 - as above
    """No handshake came about; the words are for people, without the token."""


class Socket(ClientConnection):
    """Notes when each message came (perf_counter_ns): it may wait while an earlier one is handed on."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.arrivals: deque[int] = deque()

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.fin and event.opcode in _DATA:
            self.arrivals.append(time.perf_counter_ns())
        super().process_event(event)


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """Nobody else gets the token."""
        return exc


class Door:
    """Where all connections of a feed connect. Certificates and host names are always checked."""

    def __init__(self, roots: Roots, session: Session, open_s: float) -> None:
        self.session = session
        self._root = roots.ticker
        where = urlsplit(roots.ticker)
        self._host = where.hostname or ""
        self._port = where.port or (443 if where.scheme == "wss" else 80)
        self._tls = tls(roots.ticker)
        self._open_s = open_s
        self._turn = anyio.Lock()

    async def open(self) -> tuple[Socket, int] | None:
        """A connection, and the epoch of its token; None when the session has died while we waited.

        Raises Refused or Unreachable.
        """
        async with self._my_turn():
            session = self.session
            if not session.alive:
                return None
            epoch = session.epoch
            try:
                return await self._connect(), epoch
            except InvalidStatus as refusal:
                raise Refused(refusal.response.status_code, epoch) from None
            except (OSError, ValueError, WebSocketException) as error:
                raise Unreachable(self.without_token(error)) from None

    def without_token(self, error: object) -> str:
        """What is said of a failure: a few words, the token struck out."""
        words = str(error) or type(error).__name__
        for secret in {self.session.access_token, quote_plus(self.session.access_token)} - {""}:
            words = words.replace(secret, "***")
        return words[:LONGEST_REASON]

    async def _connect(self) -> Socket:
        query = urlencode({"api_key": self.session.api_key, "access_token": self.session.access_token})
        began_s = time.monotonic()
        made = await reach(self._host, self._port, self._open_s)
        connection = await _Connect(
            f"{self._root}?{query}",
            additional_headers={"X-Kite-Version": "3"},
            user_agent_header="alphapanda",
            compression=None,
            proxy=None,
            open_timeout=max(0.0, self._open_s - (time.monotonic() - began_s)),
            ping_interval=None,
            close_timeout=CLOSING_S,
            max_size=MOST_BYTES,
            max_queue=MOST_WAITING,
            logger=_library,
            create_connection=Socket,
            sock=made,
            ssl=self._tls,
        )
        if not isinstance(connection, Socket):
            raise TypeError(f"websockets made a {type(connection).__name__}")
        return connection

    @asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        held = False
        with anyio.move_on_after(TURN_S):
            await self._turn.acquire()
            held = True
        try:
            yield
        finally:
            if held:
                self._turn.release()
