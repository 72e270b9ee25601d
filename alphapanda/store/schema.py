"""The tables, by version. Migrations only go forward; an older program refuses a newer store.

`journal` is append-only and each row's hash covers the row before, so a lost or changed row is noticed. All
other tables are projections of it, but for `meta` and the lists of instruments. Money is decimal text, times
are nanoseconds since 1970 (UTC).
"""

import sqlite3
from collections.abc import Callable

from alphapanda.errors import CannotStart

APPLICATION_ID = 0x41_50_4E_44  # "APND"
SQLITE_VERSION = sqlite3.sqlite_version

VERSION_1 = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    at_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE TABLE orders (
    order_id TEXT PRIMARY KEY,
    tag TEXT NOT NULL UNIQUE,
    broker TEXT NOT NULL,
    broker_order_id TEXT,
    strategy_id TEXT NOT NULL,
    instrument_token INTEGER NOT NULL,
    tradingsymbol TEXT NOT NULL,
    exchange TEXT NOT NULL,
    transaction_type TEXT NOT NULL,
    order_type TEXT NOT NULL,
    product TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    filled_quantity INTEGER NOT NULL,
    price TEXT,
    average_price TEXT,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    updated_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE trades (
    trade_id TEXT NOT NULL,
    order_id TEXT NOT NULL REFERENCES orders (order_id),
    broker TEXT NOT NULL,
    strategy_id TEXT NOT NULL,
    tradingsymbol TEXT NOT NULL,
    transaction_type TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    price TEXT NOT NULL,
    charges TEXT NOT NULL,
    traded_ns INTEGER NOT NULL,
    PRIMARY KEY (broker, trade_id)
) STRICT;
CREATE TABLE positions (
    broker TEXT NOT NULL,
    strategy_id TEXT NOT NULL,
    tradingsymbol TEXT NOT NULL,
    exchange TEXT NOT NULL,
    product TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    average_price TEXT NOT NULL,
    last_price TEXT NOT NULL,
    realized_pnl TEXT NOT NULL,
    unrealized_pnl TEXT NOT NULL,
    PRIMARY KEY (broker, strategy_id, exchange, tradingsymbol, product)
) STRICT;
CREATE TABLE balances (
    broker TEXT PRIMARY KEY,
    starting_cash TEXT NOT NULL,
    cash TEXT NOT NULL,
    realized_pnl TEXT NOT NULL,
    charges TEXT NOT NULL
) STRICT;
CREATE TABLE ledger (
    entry INTEGER PRIMARY KEY,
    broker TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    reason TEXT NOT NULL,
    trade_id TEXT,
    amount TEXT NOT NULL
) STRICT;
CREATE TABLE signals (
    signal_id TEXT NOT NULL,
    strategy_id TEXT NOT NULL,
    broker TEXT NOT NULL,
    tradingsymbol TEXT NOT NULL,
    transaction_type TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    rule TEXT,
    reason TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    PRIMARY KEY (signal_id, broker)
) STRICT;
CREATE TABLE kill_switch (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    is_on INTEGER NOT NULL,
    reason TEXT NOT NULL,
    by_whom TEXT NOT NULL,
    since_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE progress (
    feed TEXT PRIMARY KEY,
    taken INTEGER NOT NULL,
    time_ns INTEGER NOT NULL
) STRICT;
"""

VERSION_2 = """
CREATE TABLE strategies (
    strategy_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    since_ns INTEGER NOT NULL
) STRICT;
"""

VERSION_3 = """
CREATE TABLE limits (
    key TEXT NOT NULL,
    broker TEXT NOT NULL,
    strategy TEXT NOT NULL,
    instrument TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (key, broker, strategy, instrument)
) STRICT;
CREATE TABLE limit_changes (
    entry INTEGER PRIMARY KEY,
    at_ns INTEGER NOT NULL,
    by_whom TEXT NOT NULL,
    key TEXT NOT NULL,
    broker TEXT NOT NULL,
    strategy TEXT NOT NULL,
    instrument TEXT NOT NULL,
    old TEXT NOT NULL,
    new TEXT,
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE equity (
    broker TEXT NOT NULL,
    strategy_id TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    cash TEXT,
    equity TEXT,
    realized_pnl TEXT NOT NULL,
    unrealized_pnl TEXT NOT NULL,
    charges TEXT NOT NULL,
    gross_exposure TEXT NOT NULL,
    net_exposure TEXT NOT NULL,
    PRIMARY KEY (broker, strategy_id, at_ns)
) STRICT;
ALTER TABLE ledger ADD COLUMN source_seq INTEGER;
UPDATE ledger SET source_seq = found.seq FROM (
    SELECT seq, json_extract(body, '$.fill.broker') AS broker,
        json_extract(body, '$.fill.trade_id') AS trade_id FROM journal WHERE kind = 'Booked'
) AS found WHERE found.broker = ledger.broker AND found.trade_id = ledger.trade_id;
UPDATE ledger SET source_seq = found.seq FROM (
    SELECT seq, json_extract(body, '$.broker') AS broker FROM journal WHERE kind = 'AccountOpened'
) AS found WHERE found.broker = ledger.broker AND ledger.reason = 'opening';
ALTER TABLE positions ADD COLUMN overnight_quantity INTEGER NOT NULL DEFAULT 0;
ALTER TABLE positions ADD COLUMN t1_quantity INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN trigger_price TEXT;
ALTER TABLE orders ADD COLUMN validity TEXT NOT NULL DEFAULT 'DAY';
"""

VERSION_4 = """
ALTER TABLE balances ADD COLUMN account TEXT NOT NULL DEFAULT '';
CREATE TABLE instrument_dumps (
    dump INTEGER PRIMARY KEY,
    day TEXT NOT NULL,
    rehearsal INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    synced_ns INTEGER NOT NULL,
    segments TEXT NOT NULL,
    whole INTEGER NOT NULL
) STRICT;
CREATE TABLE instruments (
    dump INTEGER NOT NULL REFERENCES instrument_dumps (dump),
    exchange TEXT NOT NULL,
    tradingsymbol TEXT NOT NULL,
    instrument_token INTEGER NOT NULL,
    exchange_token INTEGER NOT NULL,
    name TEXT NOT NULL,
    expiry TEXT,
    strike TEXT NOT NULL,
    tick_size TEXT NOT NULL,
    lot_size INTEGER NOT NULL,
    instrument_type TEXT NOT NULL,
    segment TEXT NOT NULL,
    derivatives INTEGER,
    PRIMARY KEY (dump, exchange, tradingsymbol)
) STRICT, WITHOUT ROWID;
CREATE TABLE comparisons (
    entry INTEGER PRIMARY KEY,
    broker TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    occasion TEXT NOT NULL,
    compared INTEGER NOT NULL,
    left_out INTEGER NOT NULL,
    differences TEXT NOT NULL,
    frozen TEXT NOT NULL
) STRICT;
CREATE TABLE charge_differences (
    broker TEXT NOT NULL,
    broker_order_id TEXT NOT NULL,
    exchange TEXT NOT NULL,
    tradingsymbol TEXT NOT NULL,
    ours TEXT NOT NULL,
    beside TEXT NOT NULL,
    theirs TEXT NOT NULL,
    difference TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    PRIMARY KEY (broker, broker_order_id)
) STRICT;
CREATE TABLE external_positions (
    broker TEXT NOT NULL,
    exchange TEXT NOT NULL,
    tradingsymbol TEXT NOT NULL,
    product TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    changed_ns INTEGER NOT NULL,
    PRIMARY KEY (broker, exchange, tradingsymbol, product)
) STRICT;
"""

VERSION_5 = """
CREATE TABLE external_orders (
    broker TEXT NOT NULL,
    broker_order_id TEXT NOT NULL,
    exchange TEXT NOT NULL,
    tradingsymbol TEXT NOT NULL,
    product TEXT NOT NULL,
    transaction_type TEXT NOT NULL,
    order_type TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    filled_quantity INTEGER NOT NULL,
    price TEXT,
    average_price TEXT,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    placed_by TEXT NOT NULL,
    changed_ns INTEGER NOT NULL,
    PRIMARY KEY (broker, broker_order_id)
) STRICT;
CREATE TABLE found_orders (
    broker TEXT NOT NULL,
    order_id TEXT NOT NULL,
    broker_order_id TEXT NOT NULL,
    exchange TEXT NOT NULL,
    tradingsymbol TEXT NOT NULL,
    was TEXT NOT NULL,
    found_ns INTEGER NOT NULL,
    PRIMARY KEY (broker, order_id)
) STRICT;
"""

MIGRATIONS = (VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5)
PROJECTIONS = (
    "trades",
    "orders",
    "positions",
    "balances",
    "ledger",
    "signals",
    "kill_switch",
    "progress",
    "strategies",
    "limits",
    "limit_changes",
    "equity",
    "comparisons",
    "charge_differences",
    "external_positions",
    "external_orders",
    "found_orders",
)


BUSY_MS = 2_000
"""How long a lock of another program is waited for. With one writer there is none."""
CHECKED_STEPS = 100_000
"""Of SQLite's machine: a few milliseconds."""
LOG_KEPT_BYTES = 16 << 20
"""What a log that grew while somebody read for long is cut back to."""

FIXED_SQLITE = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""First releases without the WAL-reset fault, a line of releases each."""


def sqlite_is_fixed(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> bool:
    """Harmless here, with one writer that is also the only checkpointer, but worth saying."""
    line = [fixed for fixed in FIXED_SQLITE if fixed[:2] == version[:2]]
    return version >= line[0] if line else version > FIXED_SQLITE[-1]


def prepare(connection: sqlite3.Connection, path: str, checking: Callable[[], None] = lambda: None) -> None:
    """Pragmas, identity, integrity and migrations of the one writing connection. `checking` is called again
    and again while the file is checked.
    """
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    version = check_version(connection, path)
    connection.set_progress_handler(checking, CHECKED_STEPS)
    try:
        _check(connection, path)
    finally:
        connection.set_progress_handler(None, 0)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_KEPT_BYTES}")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        _migrate(connection, script, number)


def copy_log(connection: sqlite3.Connection, *_: object) -> None:
    """What the log (`-wal`) holds into the file, as far as no reader needs it."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def is_empty(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0)


def check_version(connection: sqlite3.Connection, path: str) -> int:
    """The schema version. A database of another program, or of a newer one of ours, is refused."""
    application_id = int(connection.execute("PRAGMA application_id").fetchone()[0])
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if not is_empty(connection) and application_id != APPLICATION_ID:
        raise CannotStart(f"{path} is a database of another program; set storage.path to another file")
    if version > len(MIGRATIONS):
        raise CannotStart(
            f"{path} has schema version {version}, this program knows {len(MIGRATIONS)}; upgrade alphapanda"
        )
    return version


def _check(connection: sqlite3.Connection, path: str) -> None:
    check = " ".join(connection.execute("PRAGMA quick_check(1)").fetchone()[0].split())
    if check != "ok":
        raise CannotStart(f"{path} is damaged ({check}); restore a backup, the file is left as it is")


def _migrate(connection: sqlite3.Connection, script: str, number: int) -> None:
    connection.executescript(
        f"BEGIN IMMEDIATE; {script} PRAGMA application_id = {APPLICATION_ID};"
        f" PRAGMA user_version = {number}; COMMIT;"
    )
