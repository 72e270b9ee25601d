"""The instrument list of the day: asked of Kite, checked and kept; and what a start makes of it.

A list that is not taken leaves the one before in its place: entries wait for a good one, exits do not.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import anyio
from anyio import to_thread
from loguru import logger
from msgspec import Struct
from msgspec.structs import replace

from alphapanda.config import Loaded, Settings
from alphapanda.errors import Transient
from alphapanda.events import Dump, Instrument, KnownDump
from alphapanda.live.identity import session_of
from alphapanda.pipeline import Saved
from alphapanda.store import Store, instruments, lock
from alphapanda.times import MINUTE_NS, day_of, start_of, to_ist
from alphapanda.venues.instruments import free_token
from alphapanda.venues.zerodha.books import Books
from alphapanda.venues.zerodha.calls import Calls
from alphapanda.venues.zerodha.dump import LEAST_ROWS, BadDump, changes, read_dump
from alphapanda.venues.zerodha.governor import Governor
from alphapanda.venues.zerodha.roots import roots_of
from alphapanda.venues.zerodha.tokens import Tokens

prices = logger.bind(channel="market_data")

OUT_NS = (8 * 60 + 30) * MINUTE_NS
"""Of the day, IST. Kite makes its list once a day, to be fetched at about 08:30 (documentation, market
quotes): what is read before may be yesterday's.
"""
NAMED = 5
"""So many are named one by one."""


class Lists(Protocol):
    async def instruments(self) -> bytes:
        """The day's list of all exchanges, as it came. Raises Transient."""


class Synced(Struct, frozen=True, kw_only=True):
    """`last` is the list before, None where there was none. `moved` are symbols with a new token, `reused`
    tokens that were another symbol's, `set_aside` rows that were not taken: a sentence each.
    """

    dump: KnownDump
    last: KnownDump | None
    moved: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()

    def remarks(self) -> list[str]:
        """What somebody should know of it."""
        found = [
            _counted("rows not taken, which cannot be traded", self.set_aside),
            _counted("symbols with a new token", self.moved),
            _counted("tokens that are another symbol's now", self.reused),
        ]
        if self.last is not None and self.last.day != self.dump.day and self.last.sha256 == self.dump.sha256:
            found.append(f"it is word for word that of {self.last.day}: today's may not be out yet")
        return [each for each in found if each]

    def told(self) -> dict[str, Any]:
        """As a command shows it."""
        dump = self.dump
        return {
            "day": dump.day.isoformat(),
            "rehearsal": dump.rehearsal,
            "instruments": dump.rows,
            "size": dump.size,
            "sha256": dump.sha256,
            "segments": dump.segments,
            "synced_at": to_ist(dump.synced_ns).isoformat(),
            "moved": list(self.moved),
            "reused": list(self.reused),
            "set_aside": list(self.set_aside),
            "remarks": self.remarks(),
        }


def _counted(what: str, sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    more = f"; and {len(sentences) - NAMED:,} more" if len(sentences) > NAMED else ""
    return f"{what}: {'; '.join(sentences[:NAMED])}{more}"


def came_out(read_ns: int, now_ns: int) -> bool:
    """Has the day's list come out since one was read?"""
    return read_ns < start_of(day_of(now_ns)) + OUT_NS <= now_ns


async def sync(books: Lists, store: Store, day: date, *, rehearsal: bool) -> Synced:
    """The list of `day`, which is the market's day, taken and kept.

    Raises Transient in one line where it cannot be had or is not good; what was kept before is kept still.
    """
    last = await _last(store, rehearsal)
    try:
        body = await books.instruments()
    except Transient as error:
        raise _left(error, last) from error
    return await _take(body, store, day, last, rehearsal=rehearsal)


async def sync_alone(settings: Settings, store: Store) -> Synced:
    """`sync` with a door of its own, where no account is open. Raises CannotStart without a login."""
    zerodha = settings.zerodha
    roots = roots_of(zerodha.api_root, zerodha.ws_root, zerodha.login_root)
    rehearsal = roots.rehearsal
    last = await _last(store, rehearsal)
    tokens = Tokens(Path(settings.storage.path).parent, roots)
    books = Books(roots, session_of(settings, tokens), Calls(Governor()))
    try:
        body = await books.instruments()
        day = (await books.rehearsed()).now.date() if rehearsal else to_ist(time.time_ns()).date()
    except Transient as error:
        raise _left(error, last) from error
    finally:
        await books.close()
    return await _take(body, store, day, last, rehearsal=rehearsal)


def sync_at_rest(loaded: Loaded) -> Synced:
    """For a daemon that is not running. Raises CannotStart when one is."""
    return anyio.run(_sync_at_rest, loaded.settings)


async def _sync_at_rest(settings: Settings) -> Synced:
    path = Path(settings.storage.path)
    with lock.hold(path, as_daemon=False):
        async with Store(path) as store:
            return await sync_alone(settings, store)


async def _last(store: Store, rehearsal: bool) -> KnownDump | None:
    return await to_thread.run_sync(lambda: instruments.last(store.path, rehearsal=rehearsal))


def _left(error: Transient, last: KnownDump | None) -> Transient:
    return Transient(f"{error}; {f'that of {last.day} stays' if last is not None else 'there is none yet'}")


async def _take(body: bytes, store: Store, day: date, last: KnownDump | None, *, rehearsal: bool) -> Synced:
    least = 1 if rehearsal else LEAST_ROWS
    try:
        dump = await to_thread.run_sync(lambda: read_dump(body, day, last, least=least))
    except BadDump as error:
        raise _left(error, last) from error
    synced = await _kept(store, dump, last, rehearsal=rehearsal)
    prices.info("instrument list of {}: {:,} rows, sha256 {}", day, synced.dump.rows, synced.dump.sha256[:12])
    for remark in synced.remarks():
        prices.warning("instrument list of {}: {}", day, remark)
    return synced


async def _kept(store: Store, dump: Dump, last: KnownDump | None, *, rehearsal: bool) -> Synced:
    before = await to_thread.run_sync(lambda: instruments.tokens(store.path, rehearsal=rehearsal))
    moved, reused = await to_thread.run_sync(lambda: changes(before, dump))
    known = await instruments.keep(store, dump, rehearsal=rehearsal)
    return Synced(dump=known, last=last, moved=moved, reused=reused, set_aside=dump.set_aside)


def follow(saved: Saved, listed: Iterable[Instrument]) -> Saved:
    """The past under the tokens of today: what is `listed` has its token there, the rest that of its newest
    order. So what is held goes on trading though its token is new, and a token that is now another symbol's
    does not bring that symbol an old position. Prices of a token that two symbols had are forgotten.
    """
    today = _today(saved, {each.key: each for each in listed})
    had: dict[int, set[str]] = {}
    for instrument in _traded(saved):
        had.setdefault(instrument.instrument_token, set()).add(instrument.key)
    marks = {}
    for token, price in saved.marks.items():
        keys = had.get(token, set())
        if len(keys) <= 1:
            marks[next((today[key].instrument_token for key in keys), token)] = price
    return replace(
        saved,
        orders=tuple(replace(order, instrument=today[order.instrument.key]) for order in saved.orders),
        fills=tuple(replace(fill, instrument=today[fill.instrument.key]) for fill in saved.fills),
        marks=marks,
    )


def _traded(saved: Saved) -> list[Instrument]:
    """Those of the orders, oldest first, after those of the fills."""
    return [fill.instrument for fill in saved.fills] + [order.instrument for order in saved.orders]


def _today(saved: Saved, listed: Mapping[str, Instrument]) -> dict[str, Instrument]:
    """By key, all that was ever traded."""
    newest = {each.key: each for each in _traded(saved)}
    taken = {each.instrument_token for each in listed.values()}
    today: dict[str, Instrument] = {}
    for key, known in reversed(newest.items()):
        if key in listed:
            today[key] = listed[key]
            continue
        token = known.instrument_token
        if token in taken:
            token = free_token(key, taken)
        taken.add(token)
        today[key] = replace(known, instrument_token=token)
    return today
