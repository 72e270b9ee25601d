"""The feed of Kite's ticker: up to three connections, whatever becomes of them one stream of ticks.

Order updates are wake-ups only: Kite doubles, loses and reorders them, and replays none, so that each connect
is one too. Instruments that do not tick after a connect are asked for by REST, as are those of a connection
that has gone quiet: where REST knows of trades that it has not brought, it is deaf, and is opened anew. What
has not ticked on its connection is named as lost, whatever REST says: nothing is entered on it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import anyio
import msgspec
from loguru import logger
from msgspec import Struct

from alphapanda.errors import Transient
from alphapanda.events import Instrument, MarketTick, TickBatch
from alphapanda.kite.decode import Decoder
from alphapanda.kite.ticks import Tick
from alphapanda.times import SECOND_NS
from alphapanda.venues.zerodha.book_rows import Quote
from alphapanda.venues.zerodha.clock import MarketClock
from alphapanda.venues.zerodha.connection import Connection
from alphapanda.venues.zerodha.handshake import Door
from alphapanda.venues.zerodha.patience import USUAL, Askings, Patience
from alphapanda.venues.zerodha.roots import Roots
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.shards import EACH, shards
from alphapanda.venues.zerodha.ticks import Converter, tick_of_quote, time_of

SLICE = 128
"""Ticks in one batch at most: an order that the first of them cause need not wait for the last of 3,000."""
AT_ONCE = 500
"""Instruments in one question to REST."""
QUIET = 3
"""A connection without ticks for so many times the patience with one instrument is asked about."""
LATER_S = 2
"""A trade that REST knows, so much later than all that a connection has brought, shows that it is deaf."""

market_data = logger.bind(channel="market_data")

Quotes = Callable[[Sequence[str]], Awaitable[Mapping[str, Quote]]]


class _Said(Struct):
    """A text message: `order`, `error`, `message`, and kinds that nobody has documented."""

    type: str = ""
    data: Any = None


def _nothing(*_: object) -> None:
    """Who is told until somebody wants to know."""


class KiteFeed:
    """A live feed (see `venues.contract`). `quotes` is REST's `/quote` by EXCHANGE:SYMBOL.

    `on_lost` is told why a connection was lost; `on_ticking` that from now on all that is wanted ticks
    again; `each` is how many a connection takes. Raises CannotStart when there are too many for Kite.
    """

    def __init__(
        self,
        roots: Roots,
        session: Session,
        instruments: Sequence[Instrument],
        clock: MarketClock,
        *,
        quotes: Quotes,
        on_order_update: Callable[[], None],
        on_lost: Callable[[str], None] = _nothing,
        on_ticking: Callable[[], None] = _nothing,
        patience: Patience = USUAL,
        each: int = EACH,
    ) -> None:
        self._keys = {instrument.instrument_token: instrument.key for instrument in instruments}
        self._door = Door(roots, session, patience.open_s)
        self._connections = [
            Connection(number, tokens, self._door, patience, self)
            for number, tokens in enumerate(shards(self._keys, each=each), 1)
        ]
        self._session = session
        self._clock = clock
        self._quotes = quotes
        self._told_of_orders = on_order_update
        self._told_of_loss = on_lost
        self._told_of_ticking = on_ticking
        self._patience = patience
        self._decoder = Decoder(brief=True)
        self._converter = Converter()
        self._askings = Askings(patience)
        self._publish: Callable[[TickBatch], None] = _nothing
        self.settled: Callable[[], Awaitable[None]] = partial(asyncio.sleep, 0)
        """Awaited before a slice is handed on: what the one before has caused goes first."""
        self._turn = asyncio.Lock()  # connections take turns, slice by slice
        self._dropped = 0
        self._unreadable = 0
        self._lost = set(self._keys)
        """Without a tick of their connection; whoever takes the batches has not been told yet."""
        session.on_renewal.append(self._renewed)

    async def run(self, publish: Callable[[TickBatch], None]) -> None:
        """Until cancelled. Raised and run again, it has lost all that it knew."""
        self._publish = publish
        self._lost.update(self._keys)
        async with anyio.create_task_group() as group:
            for connection in self._connections:
                group.start_soon(connection.run)
            await self._ask_for_the_silent()

    def now_ns(self) -> int:
        return self._clock.now_ns()

    @property
    def connected(self) -> bool:
        """All connections are open and have brought ticks; an instrument may still be missing."""
        return all(connection.open and connection.brings for connection in self._connections)

    def summary(self) -> dict[str, Any]:
        """`last_frame_age_s` is that of the connection that has been quiet longest; None before the first."""
        connections, now_s = self._connections, time.monotonic()
        frames = [connection.frame_s for connection in connections if connection.frame_s is not None]
        return {
            "connections": len(connections),
            "connected": sum(connection.open for connection in connections),
            "wanted": len(self._keys),
            "ticking": sum(len(each.tokens) - len(each.waiting) for each in connections),
            "reconnects": sum(connection.reconnects for connection in connections),
            "last_frame_age_s": round(now_s - min(frames), 3) if frames else None,
            "dropped": self._dropped,
            "malformed": self._decoder.counts.malformed + self._unreadable,
        }

    # what the connections say

    def on_open(self, connection: Connection) -> None:
        connection.newest_s = max(connection.newest_s, self._clock.now_ns() // SECOND_NS)
        self._told_of_orders()

    def on_lost(self, connection: Connection, why: str) -> None:
        self._lost |= connection.tokens
        if self._clock.started:
            self._hand_out((), 0)
        self._told_of_loss(why)

    def on_text(self, text: str) -> None:
        try:
            said = msgspec.json.decode(text, type=_Said)
        except (msgspec.DecodeError, RecursionError):
            self._unreadable += 1
            return
        if said.type == "order":
            self._told_of_orders()
        elif said.type == "error":
            market_data.warning("the ticker says: {}", self._door.without_token(said.data))

    async def on_frame(self, connection: Connection, data: bytes, received_ns: int) -> None:
        for ticks in self._decoder.decode_slices(data, SLICE):
            async with self._turn:
                await self.settled()
                self._hand_on(connection, ticks, received_ns)

    def _hand_on(self, connection: Connection, ticks: Sequence[Tick], received_ns: int) -> None:
        clock = self._clock
        converted = self._converter.convert(ticks, connection.tokens, clock.now_ns())
        self._dropped += converted.dropped
        clock.saw(converted.newest_s)
        if not converted.ticks or not clock.started:
            return
        self._hand_out(converted.ticks, received_ns)
        tokens = [tick.instrument_token for tick in converted.ticks] if connection.waiting else ()
        if connection.ticked(tokens, converted.newest_s) and not any(
            other.waiting or not other.open for other in self._connections
        ):
            self._told_of_ticking()

    def _hand_out(self, ticks: tuple[MarketTick, ...], received_ns: int, asked: Sequence[int] = ()) -> None:
        """With what has no tick of its connection. `asked`: REST gave these, the ticker has not."""
        lost = self._lost
        if lost:
            lost.difference_update([tick.instrument_token for tick in ticks])
        lost.update(asked)
        self._publish(
            TickBatch(time_ns=self._clock.now_ns(), ticks=ticks, received_ns=received_ns, lost=tuple(lost))
        )
        lost.clear()

    def _renewed(self) -> None:
        for connection in self._connections:
            connection.renewed()

    # what REST says of those that are silent

    async def _ask_for_the_silent(self) -> None:
        while True:
            await anyio.sleep(self._patience.tick_s / 5)
            if not self._session.alive:
                continue
            tokens = self._askings.due(self._silent(), time.monotonic(), AT_ONCE)
            if tokens:
                await self._ask(tokens)

    def _silent(self) -> set[int]:
        """What has not ticked for longer than it may."""
        silent: set[int] = set()
        now_s, tick_s = time.monotonic(), self._patience.tick_s
        for connection in self._connections:
            if self._quiet(connection):
                silent |= connection.tokens
            elif connection.waiting and now_s - connection.changed_s >= tick_s:
                silent |= connection.waiting
        return silent

    def _quiet(self, connection: Connection) -> bool:
        """Nothing has ticked on it for so long that one wonders: a quiet market, or a deaf connection."""
        return connection.open and time.monotonic() - connection.ticks_s >= QUIET * self._patience.tick_s

    async def _ask(self, tokens: Sequence[int]) -> None:
        try:
            quotes = await self._quotes([self._keys[token] for token in tokens])
        except Transient as failure:
            market_data.warning(
                "{} instruments do not tick, and REST does not help: {}", len(tokens), failure
            )
            return
        received_ns, made = time.perf_counter_ns(), list[MarketTick]()
        waiting = set[int]().union(*(connection.waiting for connection in self._connections))
        for connection in self._connections:
            deaf = False
            for token in connection.tokens.intersection(tokens):
                quote = quotes.get(self._keys[token])
                if quote is None or quote.instrument_token != token:
                    continue
                self._clock.saw(time_of(quote.timestamp))
                missed = time_of(quote.last_trade_time) > connection.newest_s + LATER_S
                deaf = deaf or (missed and self._quiet(connection))
                if token in connection.waiting or missed:  # else its newest price has come
                    made.append(tick_of_quote(quote, token, self._clock.now_ns()))
            if deaf:
                connection.end("it brings no ticks, and REST knows of trades")
        for start in range(0, len(made) if self._clock.started else 0, SLICE):
            ticks = tuple(made[start : start + SLICE])
            asked = [tick.instrument_token for tick in ticks if tick.instrument_token in waiting]
            self._hand_out(ticks, received_ns, asked)
