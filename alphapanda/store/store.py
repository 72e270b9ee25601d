"""The store of a running daemon: one connection, one writer task, one lock file.

Stages tap events synchronously; the writer commits whatever is pending, in the order tapped, in one
transaction. So the file always holds a prefix of what happened. `commit` returns when everything tapped so
far is durable: the order path awaits it before a byte leaves. A failed commit is ambiguous, so it is not
tried again: the store raises for ever after, and the daemon leaves to recover. On a full disk what did not
fit is undone: it is written once more, with the word that trading is halted, where the reserve was; and that
is a failure all the same.
"""

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import aiosqlite
import anyio

from alphapanda.errors import CannotStart, Fatal
from alphapanda.events import AccountOpened, Halt, Money, Resume, RowTaken
from alphapanda.fail_points import FailPoint, reach
from alphapanda.store import journal, schema
from alphapanda.store.projections import PROJECTION
from alphapanda.store.recovery import Recovered, fold
from alphapanda.store.reserve import Reserve
from alphapanda.store.sqlite_errors import in_words, no_room
from alphapanda.store.tail import Tail

LINGER_S = 0.01
"""How long an event that nobody waits for may wait for company before it is committed."""
PROGRESS_S = 1.0
"""How often the last row walked is written down when nothing else is."""
FOLDED_ROWS = 1_000
"""How often a long recovery says that it gets on."""
IDLE_S = 1.0
WORTH_COPYING = 50
"""After so many commits a store that is idle copies its log into the file, so that no order waits for it."""
BY = "store"
Result = TypeVar("Result")
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
OF_STORE = 6
"""So many characters of a tag are the same for all orders of a store."""


class StoreFailed(Fatal):
    """A commit failed: what it held may or may not be there."""

    why = ""
    halted = False
    """The journal says that trading is halted."""


class Store:
    """Use `async with Store(path)`, run `run` as a task, `tap` events, `commit` to be sure."""

    def __init__(
        self,
        path: Path,
        recovering: Callable[[], None] = lambda: None,
        *,
        reserve: Reserve | None = None,
        failed: Callable[[StoreFailed], None] = lambda _: None,
    ) -> None:
        """`recovering` is called from the connection's thread while the file is checked and the journal
        folded; `failed` once, in the loop, when a commit has failed, before anybody who waits is told.
        """
        self.path = path
        self._recovering = recovering
        self._failed = failed
        self._reserve = reserve
        self._tail = Tail(path)
        self.recovered: Recovered
        self.tag_seed = ""
        self.commits = 0
        self._database: aiosqlite.Connection | None = None
        self._journal: journal.Journal
        self._pending: list[journal.Record] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._served: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._not_copied = 0
        self._halted = False
        self._mark: RowTaken | None = None
        self._marked_after = 0
        """How many of `_pending` came before the mark: later ones are of the next row."""
        self._marked_at = 0.0
        self._writing = False
        self._failure: StoreFailed | None = None
        self.listing = asyncio.Lock()
        """Held while an instrument list is written, a piece at a time."""

    async def __aenter__(self) -> Self:
        try:
            self._database = await self._connect()
            await self._in_thread(self._prepare)
        except (OSError, sqlite3.Error) as error:
            await self._close()
            raise CannotStart(f"store {self.path} cannot be opened: {in_words(error)}") from error
        except BaseException:
            await self._close()
            raise
        return self

    async def _connect(self) -> aiosqlite.Connection:
        database = aiosqlite.connect(self.path, isolation_level=None)
        try:
            return await database
        except BaseException:
            database._thread.join()  # noqa: SLF001 - it would outlive the loop and fail there, aloud
            raise

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        if self._database is not None:
            try:
                with anyio.CancelScope(shield=True):  # its thread would outlive the loop, and fail there
                    await self._database.close()  # after what is still being written
            finally:
                self._database = None
                self._tail.close()
                if self._reserve is not None:
                    self._reserve.free()

    async def _in_thread(self, work: Any, *args: object) -> Any:
        """One hop to the connection's thread for a transaction; each public call would take one."""
        if self._database is None:
            raise StoreFailed(f"store {self.path} is closed")
        return await self._database._execute(work, *args)  # type: ignore[no-untyped-call]  # noqa: SLF001

    def _prepare(self) -> None:
        if self._reserve is not None:
            self._reserve.make()
        connection = self._connection()
        schema.prepare(connection, str(self.path), self._recovering)
        _prove_writable(connection)
        self._tail.check(connection)
        reach(FailPoint.STORE_OPENED)
        self._recover(connection)
        self._journal = journal.Journal(connection)
        self.tag_seed = _tag_seed(connection)
        self._tail.note(*self._journal.end)

    def _connection(self) -> sqlite3.Connection:
        """For its own thread alone."""
        connection: sqlite3.Connection = self._database._conn  # type: ignore[union-attr]  # noqa: SLF001
        return connection

    def _recover(self, connection: sqlite3.Connection) -> None:
        self.recovered = fold(self._folded(connection))
        reach(FailPoint.STORE_FOLDED)

    def let_go(self) -> None:
        """Of `recovered`, once a line is laid: a long past takes much memory. `refold` reads it again."""
        del self.recovered

    async def refold(self) -> None:
        """Read the journal again, after a commit: `recovered` is then what a start would find now."""
        await self._in_thread(lambda: self._recover(self._connection()))

    def _folded(self, connection: sqlite3.Connection) -> Iterator[object]:
        for number, (_, event) in enumerate(journal.read(connection)):
            if number % FOLDED_ROWS == 0:
                self._recovering()
            yield event

    @property
    def busy(self) -> bool:
        """Something waits to be written, or is being written."""
        return bool(self._pending or self._writing)

    def open_accounts(
        self, starting_cash: dict[str, Money], owners: Mapping[str, str] | None = None
    ) -> dict[str, Money]:
        """Give each new broker its opening entry; what the ledger already says wins over the settings.

        `owners` names whose account it is, by broker.
        """
        known = self.recovered.starting_cash
        for broker, cash in starting_cash.items():
            if broker not in known:
                self.tap(AccountOpened(broker, cash, (owners or {}).get(broker, "")))
        return starting_cash | known

    def tap(self, event: object) -> None:
        """Keep an event for the next commit. What the journal does not keep is ignored."""
        if type(event) in PROJECTION:
            self._pending.append((time.time_ns(), event))
            self._wake.set()

    def mark(self, feed: str, row: int, time_ns: int) -> None:
        """A turn has ended. Written with the next commit, after all that the turn caused."""
        self._mark, self._marked_after = RowTaken(feed, row, time_ns), len(self._pending)
        if self._pending or time.monotonic() - self._marked_at > PROGRESS_S:
            self._wake.set()

    async def work(self, do: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `do` does with the connection, in a transaction of its own between two commits of the journal.

        For tables that are no projections, in pieces short enough for an order to wait for. Raises what `do`
        raises, and then nothing of it is kept.
        """
        found: Result = await self._in_thread(self._worked, do)
        return found

    def _worked(self, do: Callable[[sqlite3.Connection], Result]) -> Result:
        connection = self._connection()
        connection.execute("PRAGMA busy_timeout = 0")  # an order may wait behind this, and then for itself
        try:
            connection.execute("BEGIN IMMEDIATE")
            result = do(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            connection.execute(f"PRAGMA busy_timeout = {schema.BUSY_MS}")
        return result

    async def commit(self) -> None:
        """Wait until everything tapped so far is durable."""
        if self._failure is not None:
            raise self._failure
        if not (self._pending or self._writing or self._mark is not None):
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._wake.set()
        self._urgent.set()
        await waiter

    async def run(self) -> None:
        """The writer task: commits what is pending until cancelled. After its end nothing more is durable."""
        try:
            while True:
                await self._woken()
                if not self._waiters:
                    await self._linger()
                await self._write()
        except asyncio.CancelledError:
            self._fail(StoreFailed(f"store {self.path}: the writer was stopped"))
            raise
        except Exception as error:
            why = in_words(error)
            failure = StoreFailed(
                f"store {self.path}: commit failed, nothing more is sent and trading is halted: {why}"
            )
            failure.why, failure.halted = why, self._halted
            self._failed(failure)
            self._fail(failure)
            raise failure from error

    async def _woken(self) -> None:
        """There is something to write. While there is not, the log is copied."""
        while self._not_copied >= WORTH_COPYING:
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await self._wake.wait()
                return
            self._not_copied = 0
            await self._in_thread(self._durably, schema.copy_log, [])
        await self._wake.wait()

    async def _linger(self) -> None:
        try:
            async with asyncio.timeout(LINGER_S):
                await self._urgent.wait()
        except TimeoutError:
            pass

    async def _write(self) -> None:
        self._wake.clear()
        self._urgent.clear()
        records, self._pending = self._pending, []
        self._served, self._waiters = self._waiters, []
        if self._mark is not None:
            records.insert(self._marked_after, (time.time_ns(), self._mark))
            self._mark, self._marked_at = None, time.monotonic()
        self._writing = True
        try:
            if records:
                await self._in_thread(self._durably, self._append, records)
                self.commits += 1
                self._not_copied += 1
        finally:
            self._writing = False
        for waiter in self._served:
            if not waiter.done():
                waiter.set_result(None)

    def _append(self, _: sqlite3.Connection, records: Sequence[journal.Record]) -> None:
        self._journal.append(records)
        self._tail.note(*self._journal.end)

    def _durably(
        self,
        do: Callable[[sqlite3.Connection, Sequence[journal.Record]], None],
        records: Sequence[journal.Record],
    ) -> None:
        """`do`, in the connection's thread; where the disk is full, `records` with a Halt, and the error."""
        connection = self._connection()
        try:
            do(connection, records)
        except sqlite3.Error as error:
            if no_room(error) and self._reserve is not None and self._reserve.free():
                with suppress(sqlite3.Error):
                    self._append(connection, _with_halt(connection, records, in_words(error)))
                    self._halted = True
            raise

    def _fail(self, failure: StoreFailed) -> None:
        """For all who wait, those of the commit under way and those who came since, and for ever after."""
        self._failure = failure
        for waiter in self._served + self._waiters:
            if not waiter.done():
                waiter.set_exception(failure)


def _prove_writable(connection: sqlite3.Connection) -> None:
    """SQLite opens a file that it may not write, and one on a full disk, and says so at the first commit."""
    connection.execute(
        "INSERT INTO meta (key, value) VALUES ('starts', '1')"
        " ON CONFLICT (key) DO UPDATE SET value = CAST(value + 1 AS TEXT)"
    )


def _with_halt(
    connection: sqlite3.Connection, records: Sequence[journal.Record], why: str
) -> list[journal.Record]:
    """The last word on the kill switch is that it is on; one that is on keeps its reason."""
    row = connection.execute("SELECT is_on FROM kill_switch").fetchone()
    is_on = row is not None and bool(row[0])
    for _, event in records:
        if isinstance(event, Halt | Resume):
            is_on = isinstance(event, Halt)
    now_ns = time.time_ns()
    return [*records, *([] if is_on else [(now_ns, Halt(why, BY, now_ns))])]


def _tag_seed(connection: sqlite3.Connection) -> str:
    """Ten characters that begin the tags of this start's orders: six name the store, four the start.

    Tags are counted. Where an older copy of the store was brought back, its next order would get the tag of
    one that it has forgotten and that the broker still has: so no two starts count alike.
    """
    row = connection.execute("SELECT value FROM meta WHERE key = 'tag_seed'").fetchone()
    ours = "AP" + _chance(4) if row is None else str(row[0])[:OF_STORE]
    seed = ours + _chance(4)
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('tag_seed', ?)", (seed,))
    return seed


def _chance(count: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(count))
