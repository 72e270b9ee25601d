"""One connection of Kite's ticker: it connects, subscribes, listens, notices its death, and connects again.

What is wanted is state: after every connect all of it is subscribed anew, in full mode, because Kite
remembers nothing. No pings are sent: those of clients break Kite's feed. (Kite Connect documentation,
"WebSocket streaming"; marketcalls/openalgo issue 1101.)
"""

import time
from collections.abc import Sequence
from itertools import islice
from typing import Any, Protocol

import anyio
import msgspec
from loguru import logger
from websockets.exceptions import ConnectionClosed

from alphapanda.venues.zerodha.handshake import CLOSING_S, Door, Refused, Socket, Unreachable
from alphapanda.venues.zerodha.patience import BackOff, Patience

A_MESSAGE = 500
"""Tokens in one message to Kite."""
LOOKS = 20
"""How often it is looked whether frames came, in the time after which silence is death. Looks are counted,
not seconds: a stalled loop or a suspended machine is not taken for a silent peer.
"""
REFUSED, TOO_MANY = 403, 429
SAID_AGAIN = 10
"""A failure that repeats itself is logged every so many times."""

market_data = logger.bind(channel="market_data")


class Hears(Protocol):
    """Who is told what comes."""

    def on_open(self, connection: "Connection") -> None: ...

    async def on_frame(self, connection: "Connection", data: bytes, received_ns: int) -> None:
        """A binary message that is no heartbeat, and when it came (perf_counter_ns)."""

    def on_text(self, text: str) -> None: ...

    def on_lost(self, connection: "Connection", why: str) -> None:
        """It was open, and is not any more."""


class Connection:
    """`number` counts from 1. `waiting` are the tokens that have not ticked since it was opened last."""

    def __init__(
        self, number: int, tokens: Sequence[int], door: Door, patience: Patience, hears: Hears
    ) -> None:
        self.number = number
        self.tokens = frozenset(tokens)
        self.waiting = set(tokens)
        self.open = False
        self.reconnects = 0
        self.changed_s = time.monotonic()
        """When it was opened or lost."""
        self.frame_s: float | None = None
        """When the last frame came, of any kind."""
        self.ticks_s = self.changed_s
        """When the last ticks came, or it was opened."""
        self.newest_s = 0
        """The market's time when it was opened, or the latest that its ticks have had; seconds since 1970."""
        self._in_order = tuple(tokens)
        self._door = door
        self._patience = patience
        self._hears = hears
        self._frames = 0
        self._epoch = 0
        self._renewed_s = self.changed_s
        self._first_ticks_s: float | None = None
        self._why = ""
        self._life: anyio.CancelScope | None = None
        self._pause: anyio.CancelScope | None = None
        self._said, self._times_said = "", 0

    async def run(self) -> None:
        """Until cancelled. A token that Kite refuses is not tried again; there is a next one, or none."""
        back_off = BackOff(self._patience)
        while True:
            await self._door.session.living()
            self._first_ticks_s = None
            await self._one_life()
            ticked_s = None if self._first_ticks_s is None else time.monotonic() - self._first_ticks_s
            with anyio.CancelScope() as self._pause:
                await anyio.sleep(back_off.pause(ticked_s))
            self._pause = None

    @property
    def brings(self) -> bool:
        """Some of its instruments have ticked since it was opened, if it has any."""
        return not self.tokens or len(self.waiting) < len(self.tokens)

    def renewed(self) -> None:
        """There is a new token: what waits to try again need not."""
        self._renewed_s = time.monotonic()
        if self._pause is not None:
            self._pause.cancel()

    def ticked(self, tokens: Sequence[int], newest_s: int) -> bool:
        """These came. True when with them all of its tokens have ticked since it was opened."""
        now_s = time.monotonic()
        self.ticks_s = now_s
        if self._first_ticks_s is None:
            self._first_ticks_s = now_s
        self.newest_s = max(self.newest_s, newest_s)
        if not self.waiting:
            return False
        self.waiting.difference_update(tokens)
        return not self.waiting

    def end(self, why: str) -> None:
        """Give it up and connect again."""
        self._why = self._why or why
        if self._life is not None:
            self._life.cancel()

    async def _one_life(self) -> None:
        try:
            opened = await self._door.open()
        except Refused as refusal:
            self._refused(refusal)
            return
        except Unreachable as error:
            self._cannot_connect(str(error))
            return
        if opened is None:
            return
        socket, self._epoch = opened
        try:
            self._opened()
            async with anyio.create_task_group() as group:
                self._life = group.cancel_scope
                group.start_soon(self._subscribe, socket)
                group.start_soon(self._watch)
                await self._listen(socket)
                group.cancel_scope.cancel()
        finally:
            self._life = None
            self._lost()
            await _leave(socket, politely=not self._why)

    def _opened(self) -> None:
        self.open, self._why, self._said = True, "", ""
        now_s = time.monotonic()
        self.changed_s = self.frame_s = self.ticks_s = now_s
        if not self.tokens:
            self._first_ticks_s = now_s
        market_data.info("ticker connection {} is open, {} instruments", self.number, len(self.tokens))
        self._hears.on_open(self)

    def _lost(self) -> None:
        self.open = False
        self.waiting = set(self.tokens)
        self.changed_s = time.monotonic()
        if self._why:
            self.reconnects += 1
            market_data.warning("ticker connection {} is lost: {}", self.number, self._why)
            self._hears.on_lost(self, self._why)

    async def _subscribe(self, socket: Socket) -> None:
        tokens = iter(self._in_order)
        try:
            while chunk := list(islice(tokens, A_MESSAGE)):
                await socket.send(_message("subscribe", chunk))
                await socket.send(_message("mode", ["full", chunk]))
        except ConnectionClosed:
            return  # who listens says so

    async def _listen(self, socket: Socket) -> None:
        """Until it is closed."""
        hears = self._hears
        try:
            while True:
                message = await socket.recv()
                received_ns = socket.arrivals.popleft()
                self._frames += 1
                self.frame_s = time.monotonic()
                if isinstance(message, str):
                    hears.on_text(message)
                elif len(message) > 1:
                    await hears.on_frame(self, message, received_ns)
        except ConnectionClosed as closed:
            self._why = self._why or self._door.without_token(closed)

    async def _watch(self) -> None:
        """Until it is dead."""
        session, silence_s = self._door.session, self._patience.silence_s
        seen, empty = self._frames, 0
        while empty < LOOKS - 1:
            await anyio.sleep(silence_s / LOOKS)
            empty = 0 if self._frames != seen else empty + 1
            seen = self._frames
            # Kite leaves the connections of a token that has died open, and silent: a second shows it.
            if session.alive and session.epoch != self._epoch:
                quiet_s = time.monotonic() - max(self.ticks_s, self._renewed_s)
                if quiet_s > silence_s / 5:
                    self.end("it has the token of an earlier login, and no ticks")
                    return
        self.end(f"nothing came for {silence_s:g} s")

    def _refused(self, refusal: Refused) -> None:
        if refusal.status == REFUSED:
            self._door.session.died(refusal.epoch, "the ticker refused the access token (HTTP 403)")
        elif refusal.status == TOO_MANY:
            self._cannot_connect("HTTP 429: three connections of this API key are open elsewhere; close one")
        else:
            self._cannot_connect(str(refusal))

    def _cannot_connect(self, why: str) -> None:
        self._times_said = self._times_said + 1 if why == self._said else 0
        self._said = why
        if self._times_said % SAID_AGAIN == 0:
            market_data.warning("ticker connection {} cannot be opened: {}", self.number, why)


def _message(action: str, value: Any) -> str:
    return msgspec.json.encode({"a": action, "v": value}).decode()


async def _leave(socket: Socket, *, politely: bool) -> None:
    """A peer that is dead is not waited for: Kite counts the connections that are open."""
    with anyio.CancelScope(shield=True):
        if politely:
            with anyio.move_on_after(CLOSING_S):
                await socket.close()
        socket.transport.abort()
        await socket.wait_closed()
