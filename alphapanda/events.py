"""The vocabulary: every message that crosses from one stage to another.

Facts are in the past tense, commands in the imperative, all are frozen. Ticks carry float rupees, which is
what strategies compute with; orders, fills and cash are exact (`Money`). Times inside are integer
nanoseconds since 1970 (UTC); people see IST. msgspec does not check constructors: data from outside enters
only through `msgspec.convert` or a decoder.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import force_setattr

from alphapanda.times import IST

Money = Decimal
"""Rupees, exact. Never a float; rounded only where a rule says so (charges, and what people are shown)."""


class TransactionType(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is TransactionType.BUY else -1


class PositionEffect(StrEnum):
    """FIX's word: does the order open exposure, or only reduce it?"""

    OPEN = "OPEN"
    CLOSE = "CLOSE"


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"


class OrderStatus(StrEnum):
    """The states of an order's life; `core.execution` holds the table of what leads where."""

    PREPARED = "PREPARED"
    SENT = "SENT"
    OPEN = "OPEN"
    PARTIAL = "PARTIAL"
    UNKNOWN = "UNKNOWN"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    NOT_FOUND = "NOT_FOUND"
    WITHHELD = "WITHHELD"

    @property
    def ended(self) -> bool:
        """Nothing more is expected of it; only NOT_FOUND may still be adopted."""
        return self in _ENDED


_ENDED = frozenset({"FILLED", "CANCELLED", "REJECTED", "NOT_FOUND", "WITHHELD"})


class Verdict(StrEnum):
    """What became of a signal at one broker, before any order left."""

    APPROVED = "approved"
    REFUSED = "refused"
    NOTHING_TO_CLOSE = "nothing_to_close"
    DROPPED = "dropped"


class ReportKind(StrEnum):
    """What a broker says of an order, or what its silence means. The gate says `SENT` and `WITHHELD`."""

    SENT = "sent"
    WITHHELD = "withheld"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FILL = "fill"
    CANCELLED = "cancelled"
    NO_ANSWER = "no_answer"
    ABSENT = "absent"


class Instrument(Struct, frozen=True):
    """What is traded. `tick_size` in rupees; quantities are in units (lots x `lot_size`)."""

    instrument_token: int
    exchange: str
    tradingsymbol: str
    tick_size: Money = Money("0.05")
    lot_size: int = 1

    @property
    def key(self) -> str:
        return f"{self.exchange}:{self.tradingsymbol}"


class MarketTick(Struct, frozen=True, kw_only=True, gc=False):
    """One price of one instrument, in rupees. `timestamp` is aware; a naive one is taken as IST.

    `bar` is True when the tick is one bar of a file, seen at its end: then `open` is the price at which an
    order made on the bar before trades. Otherwise open, high, low and close are the day's, 0.0 when unknown.
    """

    instrument_token: int
    timestamp: datetime
    last_price: float
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: int = 0
    bar: bool = False

    def __post_init__(self) -> None:
        if self.timestamp.tzinfo is None:
            force_setattr(self, "timestamp", self.timestamp.replace(tzinfo=IST))


class TickBatch(Struct, frozen=True, kw_only=True):
    """The ticks of one frame, or the one row of a turn: what queues carry.

    `time_ns` is the clock that every core sees. `row` counts the accepted rows of a finite feed from 1; 0 is
    a live feed. `received_ns` (monotonic) is for latency only. `listed` names instruments that are new.
    """

    time_ns: int
    ticks: tuple[MarketTick, ...]
    row: int = 0
    received_ns: int = 0
    listed: tuple[Instrument, ...] = ()


class Timer(Struct, frozen=True):
    """Time passed. Runs between turns, at most once a second of the cores' clock."""

    time_ns: int


class TradingSignal(Struct, frozen=True, kw_only=True):
    """A strategy wants a trade. The runner adds `signal_id`, `brokers` and the times.

    `last_price` is the price the strategy decided upon; `price` is the limit of a LIMIT order.
    """

    strategy_id: str
    instrument_token: int
    transaction_type: TransactionType
    quantity: int
    position_effect: PositionEffect = PositionEffect.OPEN
    order_type: OrderType = OrderType.MARKET
    price: Money | None = None
    last_price: float = 0.0
    reason: str = ""
    signal_id: str = ""
    brokers: tuple[str, ...] = ()
    time_ns: int = 0
    row: int = 0
    received_ns: int = 0


class Order(Struct, frozen=True, kw_only=True):
    """An order as it stands now. Each change of state is a new value with the same `order_id`.

    `sequence` is the number of the approval that made it. `reference_price` is what risk valued it at.
    `filled_value` is the sum of price x quantity over its fills. `row` is the row that caused it.
    """

    order_id: str
    tag: str
    sequence: int
    signal_id: str
    strategy_id: str
    broker: str
    instrument: Instrument
    transaction_type: TransactionType
    quantity: int
    position_effect: PositionEffect
    order_type: OrderType
    product: str
    reference_price: Money
    created_ns: int
    updated_ns: int
    status: OrderStatus = OrderStatus.PREPARED
    price: Money | None = None
    broker_order_id: str | None = None
    filled_quantity: int = 0
    filled_value: Money = Money(0)
    reason: str = ""
    row: int = 0
    received_ns: int = 0

    @property
    def pending_quantity(self) -> int:
        return self.quantity - self.filled_quantity

    @property
    def signed_pending(self) -> int:
        return self.transaction_type.sign * self.pending_quantity

    @property
    def pending_value(self) -> Money:
        return self.reference_price * self.pending_quantity

    @property
    def average_price(self) -> Money | None:
        return self.filled_value / self.filled_quantity if self.filled_quantity else None


class Fill(Struct, frozen=True, kw_only=True):
    """One execution. `trade_id` is the broker's; each is booked exactly once. `charges` in whole paise."""

    trade_id: str
    order_id: str
    broker: str
    strategy_id: str
    instrument: Instrument
    product: str
    transaction_type: TransactionType
    quantity: int
    price: Money
    charges: Money
    traded_ns: int

    @property
    def signed_quantity(self) -> int:
        return self.transaction_type.sign * self.quantity


class Approved(Struct, frozen=True):
    """Risk said yes: the only way to an order. Made by `RiskManager` alone."""

    order: Order
    signal: TradingSignal


class Refused(Struct, frozen=True, kw_only=True):
    """No order was made of a signal at one broker, and why, with the figures."""

    signal: TradingSignal
    broker: str
    verdict: Verdict
    rule: str
    why: str
    quantity: int
    instrument: Instrument | None = None


class Voided(Struct, frozen=True):
    """An approval met the closed gate: it becomes no order, and risk need not count it."""

    order: Order


class OrderOpened(Struct, frozen=True):
    """The intent: it counts as exposure from here on, and is committed before the broker sees it."""

    order: Order


class OrderUpdated(Struct, frozen=True):
    """The order lives on in another state (SENT, OPEN, UNKNOWN)."""

    order: Order


class OrderFilled(Struct, frozen=True):
    """A fill, with the order as it stands after it (PARTIAL or FILLED)."""

    order: Order
    fill: Fill


class OrderClosed(Struct, frozen=True):
    """The order ended unfilled or in part: CANCELLED, REJECTED, NOT_FOUND or WITHHELD."""

    order: Order


class PlaceOrder(Struct, frozen=True):
    order: Order


class CancelOrder(Struct, frozen=True):
    order: Order


class Report(Struct, frozen=True, kw_only=True):
    """What is known of an order at its broker. A FILL carries its trade; quantities are not cumulative."""

    order_id: str
    kind: ReportKind
    time_ns: int
    broker_order_id: str | None = None
    reason: str = ""
    trade_id: str = ""
    quantity: int = 0
    price: Money = Money(0)
    charges: Money = Money(0)


class Position(Struct, frozen=True, kw_only=True):
    """A strategy's holding at a broker. `average_price` is that of the open lots (FIFO), 0 when flat."""

    broker: str
    strategy_id: str
    instrument: Instrument
    product: str
    quantity: int
    average_price: Money
    last_price: Money
    realized_pnl: Money
    unrealized_pnl: Money


class Balance(Struct, frozen=True, kw_only=True):
    """A broker's cash side: what fills have moved so far. `realized_pnl` is FIFO and gross."""

    broker: str
    starting_cash: Money
    cash: Money
    realized_pnl: Money = Money(0)
    charges: Money = Money(0)


class Booked(Struct, frozen=True):
    """A fill has entered the book: with the order, the position and the balance after it."""

    order: Order
    fill: Fill
    position: Position
    balance: Balance


class Marked(Struct, frozen=True):
    """Last prices of what is held, written down now and then so that a stopped daemon can show its equity."""

    positions: tuple[Position, ...]
    time_ns: int


class Book(Struct, frozen=True):
    """What risk needs of one broker: `accounted` is the last approval that these figures include."""

    accounted: int = 0
    free_cash: Money = Money(0)
    positions: dict[tuple[str, int], int] = {}
    """(strategy_id, instrument_token) -> signed quantity, flat ones left out."""
    orders: dict[str, Order] = {}
    """order_id -> orders whose pending quantity may still trade: open, in doubt or on the way."""


class Snapshot(Struct, frozen=True):
    """Portfolio to risk, one cell, overwritten: every broker's book as it stands."""

    books: dict[str, Book]


class AccountOpened(Struct, frozen=True):
    """The first entry of a broker's ledger."""

    broker: str
    starting_cash: Money


class RowTaken(Struct, frozen=True):
    """A finite feed was walked up to and including `row`; a restart goes on with the next."""

    feed: str
    row: int
    time_ns: int


class Halt(Struct, frozen=True):
    """The kill switch is on: no order that adds risk leaves, resting orders are cancelled."""

    reason: str
    by: str
    time_ns: int


class Resume(Struct, frozen=True):
    """The operator's `kill-switch off`: the only way back."""

    reason: str
    by: str
    time_ns: int
