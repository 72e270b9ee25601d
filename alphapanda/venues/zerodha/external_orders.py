"""What of the account is not ours, as others are told of it: orders for the journal, positions for risk.

Pure: rows of the broker's books come in. Nothing here is done about any of it.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from alphapanda.core.comparison import Key, Net, Reconciled, key_of
from alphapanda.events import CNC, ExternalHeld, ExternalOrder, ExternalPosition, Money, TransactionType
from alphapanda.times import day_of
from alphapanda.venues.zerodha.book_rows import MOST, HoldingRow, OrderRow, PositionRow, stamp_ns

ZERO = Money(0)
NSE = "NSE"


class Worth(Struct, frozen=True):
    """What the broker says of a position beside its quantity. Prices are 0 where it names none."""

    exchange: str = ""
    instrument_token: int = 0
    average_price: Money = ZERO
    last_price: Money = ZERO


NOTHING = Worth()


def net_of(positions: Iterable[PositionRow], holdings: Iterable[HoldingRow]) -> dict[Key, int]:
    """What the account holds, in signed units: shares as the day began, and the day's positions.

    A sale of delivery shares is a position below zero, and the holding shows it too: as it began, a holding
    is what is left, T1 and used of it together.
    """
    net: dict[Key, int] = {}
    for held in holdings:
        began = held.quantity + held.t1_quantity + held.used_quantity
        key = key_of(held.exchange, held.tradingsymbol, CNC)
        net[key] = net.get(key, 0) + began
    for row in positions:
        key = key_of(row.exchange, row.tradingsymbol, row.product)
        net[key] = net.get(key, 0) + row.quantity
    return {key: quantity for key, quantity in net.items() if quantity}


def worths_of(positions: Iterable[PositionRow], holdings: Iterable[HoldingRow]) -> dict[Key, Worth]:
    """A day's position counts before the holding, and the NSE before the BSE where shares are on both."""
    found: dict[Key, Worth] = {}
    rows: list[PositionRow | HoldingRow] = [*positions, *holdings]
    for row in rows:
        key = key_of(row.exchange, row.tradingsymbol, row.product if isinstance(row, PositionRow) else CNC)
        known = found.get(key, NOTHING)
        worth = Worth(
            row.exchange,
            row.instrument_token,
            known.average_price or _price(row.average_price),
            _price(row.last_price) or known.last_price,
        )
        if known is NOTHING or row.exchange == NSE:
            found[key] = worth
        else:
            found[key] = replace(known, average_price=worth.average_price)
    return found


class ExternalOrders:
    """`known` is what the journal says. Orders are those of the day: none outlives its own."""

    def __init__(self, broker: str, known: Reconciled | None = None) -> None:
        known = known or Reconciled()
        self._broker = broker
        self._orders = dict(known.orders)
        self._day = known.orders_day
        self._worths: Mapping[Key, Worth] = {}
        self._tokens: dict[Key, int] = {}
        """Of what was ordered: positions are read more seldom, and until then say nothing of it."""

    def on_book(self, rows: Iterable[OrderRow], now_ns: int) -> list[ExternalOrder]:
        """Orders that are new, or not what they were. `rows` are none of ours."""
        if day_of(now_ns) > self._day:
            self._day = day_of(now_ns)
            self._orders = {}
        news = []
        for row in rows:
            order = external_order(self._broker, row, now_ns)
            self._tokens[key_of(row.exchange, row.tradingsymbol, row.product)] = row.instrument_token
            known = self._orders.get(order.broker_order_id)
            if known is None or replace(order, time_ns=known.time_ns) != known:
                self._orders[order.broker_order_id] = order
                news.append(order)
        return news

    def take(self, worths: Mapping[Key, Worth]) -> None:
        self._worths = worths

    def exposure(self, external: Net, ours: Net) -> ExternalHeld:
        """What it may come to with the orders that rest. Such an order first closes what is there on the
        other side: what is not ours, then ours.
        """
        resting: dict[Key, dict[str, int]] = {}
        for order in self._orders.values():
            if not order.ended:
                key = key_of(order.exchange, order.tradingsymbol, order.product)
                sides = resting.setdefault(key, {})
                left = order.quantity - order.filled_quantity
                sides[order.transaction_type] = sides.get(order.transaction_type, 0) + max(0, left)
        found = []
        for number, key in enumerate(sorted({*resting, *(key for key, units in external.items() if units)})):
            there, mine, sides = external.get(key, 0), ours.get(key, 0), resting.get(key, {})
            bought, sold = sides.get(TransactionType.BUY, 0), sides.get(TransactionType.SELL, 0)
            longest = max(0, there) + max(0, bought - max(0, -there) - max(0, -mine))
            shortest = max(0, -there) + max(0, sold - max(0, there) - max(0, mine))
            if longest or shortest:
                found.append(self._position(key, longest, shortest, -1 - number))
        return ExternalHeld(self._broker, tuple(found))

    def _position(self, key: Key, longest: int, shortest: int, nameless: int) -> ExternalPosition:
        """`nameless` stands for a token that the broker has not told."""
        worth = self._worths.get(key, NOTHING)
        price = worth.last_price or max(
            (
                order.price or order.average_price
                for order in self._orders.values()
                if key_of(order.exchange, order.tradingsymbol, order.product) == key
            ),
            default=ZERO,
        )
        return ExternalPosition(
            exchange=key[0],
            tradingsymbol=key[1],
            product=key[2],
            instrument_token=worth.instrument_token or self._tokens.get(key) or nameless,
            longest=longest,
            shortest=shortest,
            last_price=price,
        )


def external_order(broker: str, row: OrderRow, now_ns: int) -> ExternalOrder:
    return ExternalOrder(
        broker=broker,
        broker_order_id=row.order_id,
        exchange=row.exchange,
        tradingsymbol=row.tradingsymbol,
        product=row.product,
        transaction_type=row.transaction_type,
        order_type=row.order_type,
        quantity=row.quantity,
        filled_quantity=row.filled_quantity,
        status=row.status,
        ended=row.ended,
        time_ns=stamp_ns(row.exchange_update_timestamp or row.order_timestamp, now_ns),
        price=_price(row.price),
        average_price=_price(row.average_price),
        placed_by=row.placed_by or "",
        reason=row.status_message or "",
    )


def _price(said: Decimal | None) -> Money:
    """Without the noise of a float; 0 for what is no price."""
    if said is None or not said.is_finite() or not 0 < said <= MOST:
        return ZERO
    return Money(f"{said:.4f}".rstrip("0").rstrip("."))
