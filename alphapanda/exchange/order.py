"""An order and a trade as the exchange keeps them. Prices are exact rupees; times are nanoseconds."""

from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from alphapanda.events import Money, OrderType, TransactionType, Validity
from alphapanda.exchange.listing import Listed


class Status(StrEnum):
    """Kite's words for where an order stands (Kite Connect documentation, orders)."""

    RECEIVED = "PUT ORDER REQ RECEIVED"
    VALIDATION_PENDING = "VALIDATION PENDING"
    OPEN_PENDING = "OPEN PENDING"
    OPEN = "OPEN"
    TRIGGER_PENDING = "TRIGGER PENDING"
    MODIFY_VALIDATION_PENDING = "MODIFY VALIDATION PENDING"
    MODIFY_PENDING = "MODIFY PENDING"
    MODIFIED = "MODIFIED"
    NOT_MODIFIED = "NOT MODIFIED"
    CANCEL_PENDING = "CANCEL PENDING"
    NOT_CANCELLED = "NOT CANCELLED"
    AMO_RECEIVED = "AMO REQ RECEIVED"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"

    @property
    def ended(self) -> bool:
        return self in (Status.COMPLETE, Status.CANCELLED, Status.REJECTED)


class Order(Struct, kw_only=True):
    """One order of the account. It changes as it lives; each status it passes leaves a row behind.

    `limit` is the worst price it may trade at: its own, or the one that market protection gave it. `order_ns`
    is when it was placed, or when its last change was asked for.
    `visible_ns` is when the order book shows it: later than `order_ns` under a fault.
    """

    order_id: str
    listed: Listed
    variety: str
    transaction_type: TransactionType
    order_type: OrderType
    product: str
    quantity: int
    order_ns: int
    validity: Validity = Validity.DAY
    validity_ttl: int = 0
    price: Money = Money(0)
    trigger_price: Money = Money(0)
    disclosed_quantity: int = 0
    market_protection: Money = Money(0)
    tag: str | None = None
    tags: list[str] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    placed_by: str = ""
    by: str = "api"
    """Who asked: "api", "owner" (by hand, in the broker's app), "gtt" (a trigger), "rms" (its square-off)."""
    parent_order_id: str | None = None
    exchange_order_id: str | None = None
    status: Status = Status.RECEIVED
    status_message: str | None = None
    status_message_raw: str | None = None
    exchange_ns: int | None = None
    exchange_update_ns: int | None = None
    modified: bool = False
    modifications: int = 0
    limit: Money | None = None
    triggered: bool = False
    filled_quantity: int = 0
    filled_value: Money = Money(0)
    cancelled_quantity: int = 0
    visible_ns: int = 0
    piece: int = 0
    """What it trades at a tick at most, under a fault; 0 has no limit."""

    @property
    def pending_quantity(self) -> int:
        """What may still trade."""
        return 0 if self.ended else self.quantity - self.filled_quantity

    @property
    def position_key(self) -> tuple[str, str]:
        """exchange:tradingsymbol and product: the position that its trades go into."""
        return self.listed.key, self.product

    @property
    def ended(self) -> bool:
        return self.status in (Status.COMPLETE, Status.CANCELLED, Status.REJECTED)

    @property
    def average_price(self) -> Money:
        return self.filled_value / self.filled_quantity if self.filled_quantity else Money(0)


class Trade(Struct, frozen=True, kw_only=True):
    """One execution of one order."""

    trade_id: str
    order_id: str
    exchange_order_id: str
    listed: Listed
    transaction_type: TransactionType
    product: str
    quantity: int
    price: Money
    traded_ns: int
    order_ns: int
    by: str = "api"
    """Who asked for the order."""

    @property
    def signed_quantity(self) -> int:
        return self.transaction_type.sign * self.quantity
