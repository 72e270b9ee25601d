"""What Kite's books say: orders, trades, positions, holdings, quotes and the instrument list.

Only reads. Whatever is odd about an answer (a time-out, a code, a page of a gateway, half a body) is
Transient: asking again is the caller's business, with a pause. HTTP 403 TokenException ends the session for
all doors, and no request is made with a dead one. (Kite Connect documentation, orders, portfolio, market
quotes.)
"""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import aiohttp
import msgspec
from msgspec import Struct

from alphapanda.errors import Transient
from alphapanda.venues.zerodha.book_rows import (
    BookRead,
    HoldingRow,
    OrderRow,
    PositionRow,
    Quote,
    Row,
    TradeRow,
)
from alphapanda.venues.zerodha.pages import Page
from alphapanda.venues.zerodha.roots import TIMEOUT_S, Roots, tls
from alphapanda.venues.zerodha.session import Session, SessionDead

LIST_TIMEOUT_S = 60.0
"""The whole instrument list is several megabytes."""
MOST_QUOTES = 500
QUOTE, OTHER = "quote", "other"
"""Kite's limits on calls: 1 a second for all quotes together, 10 for what has none of its own."""
CSV = "csv"
UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What its decoder raises: ValueError for what is no UTF-8, RecursionError for what is nested without end."""
Data = TypeVar("Data")


class Turns(Protocol):
    """Whose turn it is: Kite's limits, shared by everything of the account."""

    async def turn(self, bucket: str) -> None: ...

    def limited(self, bucket: str) -> None:
        """Kite said HTTP 429."""


class Rehearsed(Struct):
    """What `alphapanda exchange` says of itself. `exchange` is another one each time it is started."""

    now: datetime
    exchange: str


class _Envelope(Struct, Generic[Data]):
    status: str = ""
    message: str = ""
    error_type: str = ""
    data: Data | None = None


class _Positions(Struct):
    net: list[msgspec.Raw]


_Rows = list[msgspec.Raw]


class Books:
    """The reading door. `calls` lets each request wait for its turn. `close` ends the connections."""

    def __init__(self, roots: Roots, session: Session, calls: Turns) -> None:
        self._roots = roots
        self._session = session
        self._calls = calls
        self._client: aiohttp.ClientSession | None = None
        self._orders, self._trades = Page(OrderRow, UNREADABLE), Page(TradeRow, UNREADABLE)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def orders(self) -> BookRead[OrderRow]:
        """All orders of the day, whoever made them."""
        return await self._book("/orders", self._orders)

    async def trades(self) -> BookRead[TradeRow]:
        return await self._book("/trades", self._trades)

    async def positions(self) -> BookRead[PositionRow]:
        """The net positions, day and overnight together."""
        asked_s = time.monotonic()
        data = await self._data("/portfolio/positions", _Positions)
        return await _read(data.net, Page(PositionRow, UNREADABLE), asked_s)

    async def holdings(self) -> BookRead[HoldingRow]:
        return await self._book("/portfolio/holdings", Page(HoldingRow, UNREADABLE))

    async def quote(self, keys: Iterable[str]) -> dict[str, Quote]:
        """By `EXCHANGE:SYMBOL`; what Kite does not know is left out."""
        wanted, found = list(keys), dict[str, Quote]()
        for start in range(0, len(wanted), MOST_QUOTES):
            query = [("i", key) for key in wanted[start : start + MOST_QUOTES]]
            found |= await self._data("/quote", dict[str, Quote], bucket=QUOTE, query=query)
        return found

    async def instruments(self) -> bytes:
        """The day's list of all exchanges as it came, CSV with a header."""
        return await self._get("/instruments", OTHER, kind=CSV, timeout_s=LIST_TIMEOUT_S)

    async def rehearsed(self) -> Rehearsed:
        """Of an exchange on this machine: which one it is, and what time it is there."""
        try:
            return msgspec.json.decode(await self._get("/admin/clock", OTHER), type=Rehearsed)
        except UNREADABLE as error:
            raise Transient(f"the exchange's answer to /admin/clock makes no sense: {error}") from error

    async def _book(self, path: str, page: Page[Row]) -> BookRead[Row]:
        asked_s = time.monotonic()
        return await _read(await self._data(path, _Rows), page, asked_s)

    async def _data(
        self, path: str, kind: type[Data], bucket: str = OTHER, query: list[tuple[str, str]] | None = None
    ) -> Data:
        body = await self._get(path, bucket, query=query)
        try:
            # The kind is known when it is called; mypy wants to know it before.
            envelope = msgspec.json.decode(body, type=_Envelope[kind])  # type: ignore[valid-type]  # made here
        except UNREADABLE as error:
            raise Transient(f"Kite's answer to {path} makes no sense: {error}") from error
        if envelope.status != "success" or envelope.error_type or envelope.data is None:
            raise Transient(f"Kite's answer to {path} has no data: {envelope.message or envelope.status}")
        data: Data = envelope.data
        return data

    async def _get(
        self,
        path: str,
        bucket: str,
        *,
        query: list[tuple[str, str]] | None = None,
        kind: str = "json",
        timeout_s: float = TIMEOUT_S,
    ) -> bytes:
        await self._calls.turn(bucket)
        session = self._session
        if not session.alive:
            raise SessionDead(f"{path} is not asked: the Zerodha session is dead: {session.why}")
        epoch = session.epoch
        headers = {"X-Kite-Version": "3", "Authorization": session.authorization}
        limit = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._connected().get(
                f"{self._roots.api}{path}",
                params=query,
                headers=headers,
                timeout=limit,
                allow_redirects=False,
            ) as reply:
                status, body = reply.status, await reply.read()
                content_type = reply.headers.get("Content-Type", "")
        except TimeoutError as error:
            raise Transient(f"Kite did not answer {path} in {timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Transient(f"Kite cannot be asked {path}: {type(error).__name__}: {error}") from error
        if status != 200:
            raise self._refused(path, bucket, status, body, epoch)
        if kind not in content_type:
            raise Transient(f"Kite's answer to {path} is {content_type or 'of no type'}, not {kind}")
        return body

    def _refused(self, path: str, bucket: str, status: int, body: bytes, epoch: int) -> Transient:
        try:
            said = msgspec.json.decode(body, type=_Envelope[Any])
        except UNREADABLE:
            said = _Envelope[Any]()
        if status == 403 and said.error_type == "TokenException":
            self._session.died(epoch, said.message or "HTTP 403 TokenException")
        if status == 429:
            self._calls.limited(bucket)
        return Transient(f"Kite answered {path} with HTTP {status}: {said.message or 'without a word'}")

    def _connected(self) -> aiohttp.ClientSession:
        """Made where it is first needed: it belongs to the running loop."""
        if self._client is None:
            connector = aiohttp.TCPConnector(ssl=tls(self._roots.api) or True)
            self._client = aiohttp.ClientSession(connector=connector)
        return self._client


async def _read(raws: list[msgspec.Raw], page: Page[Row], asked_s: float) -> BookRead[Row]:
    rows, unreadable = await page.read(raws)
    return BookRead(rows=rows, asked_s=asked_s, answered_s=time.monotonic(), unreadable=unreadable)
