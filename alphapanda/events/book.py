"""What is owned: positions, cash, and the picture of both that risk decides on. All exact (`Money`)."""

from msgspec import Struct

from alphapanda.events.market import Instrument, Money
from alphapanda.events.orders import Fill, Order


class Position(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A strategy's holding at a broker. `average_price` is that of the open lots (FIFO), 0 when flat.

    `overnight_quantity` was carried over from earlier days; of it `t1_quantity` are delivery shares bought on
    the trading day before.
    """

    broker: str
    strategy_id: str
    instrument: Instrument
    product: str
    quantity: int
    average_price: Money
    last_price: Money
    realized_pnl: Money
    unrealized_pnl: Money
    overnight_quantity: int = 0
    t1_quantity: int = 0


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


class Figures(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a strategy, or the whole account, has made at a broker up to a moment. In rupees.

    `realized_pnl` is FIFO and gross, both it and `charges` count from the account's opening.
    """

    realized_pnl: Money = Money(0)
    unrealized_pnl: Money = Money(0)
    charges: Money = Money(0)
    gross_exposure: Money = Money(0)
    net_exposure: Money = Money(0)

    @property
    def net_pnl(self) -> Money:
        """After charges: what limits on loss judge."""
        return self.realized_pnl + self.unrealized_pnl - self.charges


class Valued(Struct, frozen=True, kw_only=True):
    """A point of a broker's equity curve: each minute in which something is held, at each fill, and at the
    first row of a day. `strategies` has the same figures by strategy id.
    """

    broker: str
    time_ns: int
    cash: Money
    equity: Money
    figures: Figures
    strategies: dict[str, Figures] = {}


class DayRolled(Struct, frozen=True):
    """The first row of a new IST day: flat positions of earlier days leave the book. `day` is ISO 8601."""

    day: str
    time_ns: int


class Performance(Struct, frozen=True, kw_only=True):
    """How a strategy, or the whole account, stands against its own past; net of charges, in rupees.

    `booked` is realised less charges since the opening. `day_start` and `week_start` are the net result at
    the last point before the day or week, `day_low` and `week_low` the lowest points since, `top` the highest
    ever. `losses_in_a_row` counts round trips that lost, the last at `last_loss_ns`; `rejected_in_a_row`
    orders that the broker rejected since the last fill.
    """

    booked: Money = Money(0)
    day_start: Money = Money(0)
    day_low: Money = Money(0)
    week_start: Money = Money(0)
    week_low: Money = Money(0)
    top: Money = Money(0)
    losses_in_a_row: int = 0
    last_loss_ns: int = 0
    rejected_in_a_row: int = 0


class Book(Struct, frozen=True):
    """What risk needs of one broker: `accounted` is the last approval that these figures include."""

    accounted: int = 0
    free_cash: Money = Money(0)
    positions: dict[tuple[str, int], int] = {}
    """(strategy_id, instrument_token) -> signed quantity, flat ones left out."""
    orders: dict[str, Order] = {}
    """order_id -> orders whose pending quantity may still trade: open, in doubt or on the way."""
    costs: dict[tuple[str, int], Money] = {}
    """(strategy_id, instrument_token) -> signed quantity x price over the open lots."""
    instruments: dict[int, Instrument] = {}
    """instrument_token -> what is held."""
    performance: dict[str, Performance] = {}
    """strategy_id -> how it stands; "" is the whole account."""
    starting_cash: Money = Money(0)


class Snapshot(Struct, frozen=True):
    """Portfolio to risk, one cell, overwritten: every broker's book as it stands."""

    books: dict[str, Book]


REHEARSAL = "rehearsal"
"""How the account of a book begins that was made at an exchange on this machine."""


class AccountOpened(Struct, frozen=True, omit_defaults=True):
    """The first entry of a broker's ledger. `account` says whose it is: no other may go on with the book."""

    broker: str
    starting_cash: Money
    account: str = ""
