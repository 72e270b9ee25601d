"""The rows of Kite's books as it writes them, and what one row alone says. Pure: `books` reads them.

Kite Connect documentation, orders, portfolio, market quotes.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Struct

from alphapanda.events import Money
from alphapanda.times import to_ns

ENDS = frozenset({"COMPLETE", "REJECTED", "CANCELLED", "CANCEL", "CANCELLED AMO"})
"""Every other status, known to us or not, is of an order that lives (documentation, postbacks)."""
MOST = 10**12
"""No quantity is larger, and no price."""
Count = Annotated[int, Meta(ge=0, le=MOST)]
Signed = Annotated[int, Meta(ge=-MOST, le=MOST)]
LATEST_NS = 2**62
"""In the year 2116. A later stamp is nonsense, and more than the journal can hold."""
Row = TypeVar("Row")


class OrderRow(Struct, frozen=True, kw_only=True):
    """An order of the day. Quantities in units; times are IST, `yyyy-mm-dd HH:MM:SS`, or None."""

    order_id: str
    status: str
    exchange: str = ""
    tradingsymbol: str = ""
    instrument_token: int = 0
    transaction_type: str = ""
    order_type: str = ""
    product: str = ""
    variety: str = ""
    quantity: Count = 0
    filled_quantity: Count = 0
    price: Decimal | None = None
    average_price: Decimal | None = None
    tag: str | None = None
    tags: tuple[str, ...] | None = None
    status_message: str | None = None
    parent_order_id: str | None = None
    placed_by: str | None = None
    order_timestamp: str | None = None
    exchange_timestamp: str | None = None
    exchange_update_timestamp: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDS

    @property
    def refused(self) -> bool:
        """Rejected before anything of it traded."""
        return self.status == "REJECTED" and not self.filled_quantity

    def says_less_than(self, known: "OrderRow") -> bool:
        """An older state of the same order: an end is final, and what has traded has traded."""
        if self.filled_quantity != known.filled_quantity:
            return self.filled_quantity < known.filled_quantity
        if known.ended:
            return not self.ended
        return (self.exchange_update_timestamp or "") < (known.exchange_update_timestamp or "")


class TradeRow(Struct, frozen=True, kw_only=True):
    """An execution of the day. `average_price` is the trade's price; times as in `OrderRow`."""

    trade_id: str
    order_id: str
    quantity: Count
    average_price: Decimal
    exchange: str = ""
    tradingsymbol: str = ""
    transaction_type: str = ""
    product: str = ""
    fill_timestamp: str | None = None
    exchange_timestamp: str | None = None

    def __post_init__(self) -> None:
        if not (self.average_price.is_finite() and 0 <= self.average_price <= MOST):
            raise ValueError("its price is none")

    @property
    def price(self) -> Money:
        """Without the noise of a float: no exchange here has prices of more than four places."""
        return Money(f"{self.average_price:.4f}".rstrip("0").rstrip("."))


def stamp_ns(text: str | None, otherwise_ns: int) -> int:
    """The nanosecond of one of Kite's IST stamps; `otherwise_ns` where there is none, or nonsense."""
    try:
        stamp = to_ns(datetime.fromisoformat(text)) if text else otherwise_ns
    except ValueError:
        return otherwise_ns
    return stamp if 0 < stamp < LATEST_NS else otherwise_ns


class PositionRow(Struct, frozen=True, kw_only=True):
    """One product of one instrument; flat ones stay for the day. `multiplier` is of commodities and
    currencies.
    """

    exchange: str
    tradingsymbol: str
    product: str
    quantity: Signed
    instrument_token: int = 0
    overnight_quantity: int = 0
    multiplier: Decimal = Decimal(1)
    average_price: Decimal | None = None
    last_price: Decimal | None = None


class HoldingRow(Struct, frozen=True, kw_only=True):
    """Shares in the demat account; `t1_quantity` are bought and not delivered yet."""

    exchange: str
    tradingsymbol: str
    quantity: Signed
    instrument_token: int = 0
    isin: str = ""
    product: str = "CNC"
    t1_quantity: int = 0
    used_quantity: int = 0
    opening_quantity: int = 0
    collateral_quantity: int | None = 0
    average_price: Decimal | None = None
    last_price: Decimal | None = None


class Ohlc(Struct, frozen=True, kw_only=True):
    """The day's; `close` is yesterday's while the market is open."""

    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0


class Level(Struct, frozen=True, kw_only=True):
    price: float = 0.0
    quantity: int = 0
    orders: int = 0


class Levels(Struct, frozen=True, kw_only=True):
    buy: tuple[Level, ...] = ()
    sell: tuple[Level, ...] = ()


class Quote(Struct, frozen=True, kw_only=True):
    """What REST knows of an instrument now; circuit limits are nowhere else."""

    instrument_token: int = 0
    timestamp: str | None = None
    last_trade_time: str | None = None
    last_price: float = 0.0
    volume: int = 0
    lower_circuit_limit: Decimal | None = None
    upper_circuit_limit: Decimal | None = None
    ohlc: Ohlc = Ohlc()
    depth: Levels = Levels()


class BookRead(Struct, Generic[Row], frozen=True, kw_only=True):
    """A book as one answer had it. Asked and answered by the monotonic clock, in seconds.

    `unreadable` counts rows that make no sense to us: such a book proves no absence.
    """

    rows: tuple[Row, ...]
    asked_s: float
    answered_s: float
    unreadable: int = 0
