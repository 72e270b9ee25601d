"""What is owned: positions, cash, and the picture of both that risk decides on. All exact (`Money`)."""

from msgspec import Struct

from alphapanda.events.market import Instrument, Money
from alphapanda.events.orders import Fill, Order


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
