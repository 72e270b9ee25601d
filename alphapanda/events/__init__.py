"""The vocabulary: every message that crosses from one stage to another.

Facts are in the past tense, commands in the imperative, all are frozen. Ticks carry float rupees, which is
what strategies compute with; orders, fills and cash are exact (`Money`). Times inside are integer
nanoseconds since 1970 (UTC); people see IST. msgspec does not check constructors: data from outside enters
only through `msgspec.convert` or a decoder. The order of the files is that of the flow: `market`, `orders`,
`book`, and `control` beside it.
"""

from alphapanda.events.book import AccountOpened, Balance, Book, Booked, Marked, Position, Snapshot
from alphapanda.events.control import (
    ClosePosition,
    Halt,
    Resume,
    RowTaken,
    StrategyFailed,
    StrategyPaused,
    StrategyResumed,
)
from alphapanda.events.market import Depth, DepthLevel, Instrument, MarketTick, Money, TickBatch, Timer
from alphapanda.events.orders import (
    Approved,
    CancelOrder,
    Fill,
    Order,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderStatus,
    OrderType,
    OrderUpdated,
    PlaceOrder,
    PositionEffect,
    Refused,
    Report,
    ReportKind,
    TradingSignal,
    TransactionType,
    Verdict,
    Voided,
)

__all__ = [
    "AccountOpened",
    "Approved",
    "Balance",
    "Book",
    "Booked",
    "CancelOrder",
    "ClosePosition",
    "Depth",
    "DepthLevel",
    "Fill",
    "Halt",
    "Instrument",
    "Marked",
    "MarketTick",
    "Money",
    "Order",
    "OrderClosed",
    "OrderFilled",
    "OrderOpened",
    "OrderStatus",
    "OrderType",
    "OrderUpdated",
    "PlaceOrder",
    "Position",
    "PositionEffect",
    "Refused",
    "Report",
    "ReportKind",
    "Resume",
    "RowTaken",
    "Snapshot",
    "StrategyFailed",
    "StrategyPaused",
    "StrategyResumed",
    "TickBatch",
    "Timer",
    "TradingSignal",
    "TransactionType",
    "Verdict",
    "Voided",
]
