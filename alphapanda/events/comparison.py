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

    `why` is a trade (of `broker_order_id`, which is not ours), the opening of the account here, or a night
    in which nobody looked. `exchange` is as in Difference.
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
