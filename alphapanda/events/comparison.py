"""What was found when our book was held against the broker's: positions, charges, and what is not ours."""

from msgspec import Struct

from alphapanda.events.market import Money


class Difference(Struct, frozen=True, kw_only=True):
    """`theirs` is not `ours` and `external` together, in signed units of one symbol and product.

    `exchange` is empty for delivery shares (CNC): the broker shows them on either.
    """

    exchange: str
    tradingsymbol: str
    product: str
    ours: int
    external: int
    theirs: int

    @property
    def missing(self) -> int:
        """What the broker has beyond what we know of."""
        return self.theirs - self.ours - self.external

    def __str__(self) -> str:
        beside = f" and {self.external} not ours" if self.external else ""
        name = f"{self.exchange}:{self.tradingsymbol}" if self.exchange else self.tradingsymbol
        return f"{name} {self.product}: the broker has {self.theirs}, our book {self.ours}{beside}"


class Compared(Struct, frozen=True, kw_only=True):
    """Positions were compared: `count` of them, without those that moved meanwhile (`left_out`).

    `occasion` is start, running or end_of_day. `time_ns` is the market's clock. `frozen` are the symbols
    that are held back from then on.
    """

    broker: str
    occasion: str
    time_ns: int
    count: int
    left_out: int = 0
    differences: tuple[Difference, ...] = ()
    frozen: tuple[str, ...] = ()


class ChargesCompared(Struct, frozen=True, kw_only=True):
    """One order of the broker's, ended: what our fills were charged, and what the broker says it costs.

    `theirs` is exact as it came. `beside` is what of `ours` no such answer has: the depository's charge and
    the fee for a square-off.
    """

    broker: str
    broker_order_id: str
    exchange: str
    tradingsymbol: str
    ours: Money
    theirs: Money
    time_ns: int
    beside: Money = Money(0)

    @property
    def difference(self) -> Money:
        """What we charged too much; below 0 too little."""
        return self.ours - self.beside - self.theirs


class ExternalSeen(Struct, frozen=True, kw_only=True):
    """What an account holds beside ours has changed by `change` signed units, to `quantity`.

    `why` is a trade (of `broker_order_id`, which is not ours), the opening of the account here, a night in
    which nobody looked, or the operator's word: then `by` and `reason` say whose and why. `exchange` is as
    in Difference.
    """

    broker: str
    exchange: str
    tradingsymbol: str
    product: str
    change: int
    quantity: int
    why: str
    time_ns: int
    broker_order_id: str = ""
    trade_id: str = ""
    by: str = ""
    reason: str = ""


class ExternalOrder(Struct, frozen=True, kw_only=True):
    """An order of the account that is not ours, as the broker's book has it now: `status` is the broker's
    word, `ended` says that nothing more is expected of it. It is shown and counted, and left alone.
    """

    broker: str
    broker_order_id: str
    exchange: str
    tradingsymbol: str
    product: str
    transaction_type: str
    order_type: str
    quantity: int
    filled_quantity: int
    status: str
    ended: bool
    time_ns: int
    price: Money = Money(0)
    average_price: Money = Money(0)
    placed_by: str = ""
    reason: str = ""


class ExternalPosition(Struct, frozen=True, kw_only=True):
    """What of one instrument is not ours: `longest` and `shortest` are the units that it may come to on
    either side, with the orders that rest. `last_price` is the broker's; 0 where it named none.
    """

    exchange: str
    tradingsymbol: str
    product: str
    instrument_token: int
    longest: int
    shortest: int
    last_price: Money = Money(0)


class ExternalHeld(Struct, frozen=True):
    """All that an account holds beside ours: limits of the whole account count it."""

    broker: str
    positions: tuple[ExternalPosition, ...]


class OrderFound(Struct, frozen=True, kw_only=True):
    """An order that had ended (`was`) is at the broker after all. Its symbol is held, over restarts too,
    until the operator has looked at it.
    """

    broker: str
    order_id: str
    broker_order_id: str
    exchange: str
    tradingsymbol: str
    was: str
    time_ns: int


class OrderAccepted(Struct, frozen=True, kw_only=True):
    """The operator has looked at an order that was found, and lets its symbol trade again."""

    broker: str
    order_id: str
    by: str
    reason: str
    time_ns: int
