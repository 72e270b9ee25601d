"""From a wish to a trade: signals, verdicts, orders, brokers' reports, fills. Prices are exact (`Money`)."""

from enum import StrEnum

from msgspec import Struct

from alphapanda.events.market import Instrument, Money


class TransactionType(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is _BUY else -1


_BUY = TransactionType.BUY  # one that is looked up in its class takes five times as long


class PositionEffect(StrEnum):
    """FIX's word: does the order open exposure, or only reduce it?"""

    OPEN = "OPEN"
    CLOSE = "CLOSE"


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    SL = "SL"
    SL_M = "SL-M"


PRICED = (OrderType.LIMIT, OrderType.SL)
"""They carry a price, and do not trade beyond it."""
STOPS = (OrderType.SL, OrderType.SL_M)
"""They sleep until a price reaches their trigger."""


class Validity(StrEnum):
    """DAY rests until the session's end, IOC trades at once or not, TTL rests for some minutes."""

    DAY = "DAY"
    IOC = "IOC"
    TTL = "TTL"


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
        """Nothing more is expected of it; what never traded may still be found at the broker."""
        return self in _ENDED


_ENDED = frozenset({"FILLED", "CANCELLED", "REJECTED", "NOT_FOUND", "WITHHELD"})


class Verdict(StrEnum):
    """What became of a signal at one broker, before any order left."""

    APPROVED = "approved"
    REFUSED = "refused"
    NOTHING_TO_CLOSE = "nothing_to_close"
    DROPPED = "dropped"


class ReportKind(StrEnum):
    """What a broker says of an order, or what its silence means. The gate says `SENT` and `WITHHELD`; a
    broker that waited before its first byte may also say `WITHHELD`. `FOUND`: it ended without a trade, as
    far as anybody knew, and the broker has it after all.
    """

    SENT = "sent"
    WITHHELD = "withheld"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FILL = "fill"
    CANCELLED = "cancelled"
    NO_ANSWER = "no_answer"
    ABSENT = "absent"
    TRIGGERED = "triggered"
    FOUND = "found"


MIS = "MIS"
"""The product that brokers square off themselves."""
CNC = "CNC"
"""The product of shares that are delivered to the demat account."""
SQUARE_OFF = "square-off"
"""Who asks when the house itself closes intraday positions before the broker would."""


class TradingSignal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A strategy wants a trade. The runner adds `signal_id`, `brokers` and the times.

    `last_price` is the price the strategy decided upon; `price` is the limit of a LIMIT or SL order,
    `trigger_price` what wakes an SL or SL-M order, `validity_ttl` the minutes that a TTL order rests. `by`
    names the operator who asked for a close, or is SQUARE_OFF; it is empty when the strategy itself decided.
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
    by: str = ""
    trigger_price: Money | None = None
    validity: Validity = Validity.DAY
    validity_ttl: int = 0

    @property
    def of_operator(self) -> bool:
        """The operator may always reduce a position: past the kill switch, and past every limit."""
        return self.by not in ("", SQUARE_OFF) and self.position_effect is PositionEffect.CLOSE


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order as it stands now. Each change of state is a new value with the same `order_id`.

    `sequence` is the number of the approval that made it. `reference_price` is what risk valued it at.
    `filled_value` is the sum of price x quantity over its fills. `row` is the row that caused it. `by` names
    the operator who asked for it: such an order only reduces a position, and the kill switch lets it through.
    `triggered`: the price has reached the trigger of an SL or SL-M order, which rests like any other since.
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
    by: str = ""
    trigger_price: Money | None = None
    validity: Validity = Validity.DAY
    validity_ttl: int = 0
    triggered: bool = False

    @property
    def closed_by_hand(self) -> bool:
        """The operator's close, or the broker's own: the kill switch stops what adds risk, and spares it."""
        return self.by not in ("", SQUARE_OFF) and self.position_effect is PositionEffect.CLOSE

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


class Approved(Struct, frozen=True, omit_defaults=True):
    """Risk said yes: the only way to an order. Made by `RiskManager` alone.

    An order over the exchange's freeze quantity is sent in `parts` orders, of which this is number `part`.
    """

    order: Order
    signal: TradingSignal
    part: int = 1
    parts: int = 1


class Low(Struct, frozen=True):
    """The net result on which a limit on loss was passed; `strategy` "" is the whole account."""

    strategy: str
    net: Money
    time_ns: int


class Refused(Struct, frozen=True, kw_only=True):
    """No order was made of a signal at one broker, and why, with the figures."""

    signal: TradingSignal
    broker: str
    verdict: Verdict
    rule: str
    why: str
    quantity: int
    instrument: Instrument | None = None
    low: Low | None = None
    """Where a limit on loss was passed: it stays so, also over a restart."""


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


class CancelResting(Struct, frozen=True):
    """The house wants an order that rests at its broker taken back, and why."""

    order: Order
    reason: str


class OrderAdopted(Struct, frozen=True):
    """The broker has an order that we did not place: its own square-off, or one made by hand in its app."""

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


def fill_of(order: Order, report: Report) -> Fill:
    """What a report of kind FILL means for the book."""
    return Fill(
        trade_id=report.trade_id,
        order_id=order.order_id,
        broker=order.broker,
        strategy_id=order.strategy_id,
        instrument=order.instrument,
        product=order.product,
        transaction_type=order.transaction_type,
        quantity=report.quantity,
        price=report.price,
        charges=report.charges,
        traded_ns=report.time_ns,
    )
