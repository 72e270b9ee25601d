"""A position: what was traded of one instrument and product today, and what was carried into the day.

The row of Kite's position book is made of sums alone, so that these hold to the paisa:
    quantity = overnight_quantity + day_buy_quantity - day_sell_quantity
    value    = sell_value - buy_value
    pnl      = value + quantity x last_price x multiplier
    m2m      = sell_m2m - buy_m2m + quantity x last_price x multiplier
where what was carried counts as bought (or sold) at its cost in the values and at the previous close in the
m2m sums. All values have the multiplier in them, prices have not. `unrealised` is all of pnl and `realised`
is 0, as Kite has it. The average price is that of all buys of a long position, of all sells of a short one.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct, field

from alphapanda.core.lots import Lot, closed_by
from alphapanda.events import Money
from alphapanda.exchange.listing import Listed

ZERO = Money(0)
Claims = Callable[[Listed, str, int, Money], Money]
"""(listed, product, signed quantity, price) -> rupees that this position claims of the cash."""


class Position(Struct, kw_only=True):
    """`overnight_value` is what was carried at its cost, never negative. `lots` are what is open, oldest
    first, at cost; `cost` is the sum of signed lots and `claimed` what they claim, both kept as they change.
    """

    listed: Listed
    product: str
    claims: Claims
    overnight_quantity: int = 0
    overnight_value: Money = ZERO
    day_buy_quantity: int = 0
    day_buy_value: Money = ZERO
    day_sell_quantity: int = 0
    day_sell_value: Money = ZERO
    lots: deque[Lot] = field(default_factory=deque)
    cost: Money = ZERO
    claimed: Money = ZERO
    realised: Money = ZERO
    """Booked today, first in, first out."""

    @property
    def quantity(self) -> int:
        return self.overnight_quantity + self.day_buy_quantity - self.day_sell_quantity

    @property
    def traded_today(self) -> bool:
        return bool(self.day_buy_quantity or self.day_sell_quantity)

    @property
    def shown(self) -> bool:
        """A row that is flat stays for the day; one whose trades were all converted away does not."""
        return self.traded_today or self.overnight_quantity != 0

    def add(self, quantity: int, price: Money, traded_ns: int) -> None:
        """A trade of a signed quantity."""
        self._count(quantity, price, 1, carried=False)
        self._hold(Lot(quantity, price, traded_ns))

    def carry(self, lots: Iterable[Lot]) -> None:
        """Lots of an earlier day: they are part of what was carried into this one."""
        for lot in lots:
            self._hold(lot)
        self.overnight_quantity = sum(lot.quantity for lot in self.lots)
        self.overnight_value = abs(self.cost)
        self.realised = ZERO

    def _hold(self, new: Lot) -> None:
        """It closes what is open on the other side, and what is left of it is open."""
        left = new.quantity
        for lot, units in closed_by(left, self.lots):
            self.realised += units * (new.price - lot.price) * self.listed.multiplier
            self._weigh(-units, lot.price, -1)
            left += units
        if left:
            self.lots.append(new._replace(quantity=left))
            self._weigh(left, new.price, 1)

    def let_go(self, quantity: int, since_ns: int, until_ns: int, *, carried: bool) -> list[Lot]:
        """Take `quantity` units of the lots traded in [since_ns, until_ns) out of the row, oldest first;
        `carried` when they came into the day with it.
        """
        taken, kept, left = [], deque[Lot](), quantity
        for lot in self.lots:
            units = min(left, abs(lot.quantity)) if since_ns <= lot.traded_ns < until_ns else 0
            sign = 1 if lot.quantity > 0 else -1
            if units:
                taken.append(lot._replace(quantity=sign * units))
                self._weigh(-sign * units, lot.price, -1)
                left -= units
            if units < abs(lot.quantity):
                kept.append(lot._replace(quantity=lot.quantity - sign * units))
        self.lots = kept
        for lot in taken:
            self._count(lot.quantity, lot.price, -1, carried=carried)
        return taken

    def take_in(self, lots: Iterable[Lot], *, carried: bool) -> None:
        """Lots that another row let go."""
        for lot in lots:
            self._count(lot.quantity, lot.price, 1, carried=carried)
            self._hold(lot)

    def open_between(self, since_ns: int, until_ns: int) -> int:
        """Units, unsigned, of the open lots traded then."""
        return sum(abs(lot.quantity) for lot in self.lots if since_ns <= lot.traded_ns < until_ns)

    def net_row(self, last: Money, close: Money) -> dict[str, Any]:
        """The day with what was carried into it."""
        return self._row(last, close, self.overnight_quantity, self.overnight_value)

    def day_row(self, last: Money, close: Money) -> dict[str, Any]:
        """The day alone, as if it had begun flat."""
        return self._row(last, close, 0, ZERO)

    def _count(self, quantity: int, price: Money, way: int, *, carried: bool) -> None:
        """Into the sums of the row, or with `way` -1 out of them."""
        units, value = way * abs(quantity), way * abs(quantity) * price * self.listed.multiplier
        if carried:
            self.overnight_quantity += way * quantity
            self.overnight_value += value
        elif quantity > 0:
            self.day_buy_quantity += units
            self.day_buy_value += value
        else:
            self.day_sell_quantity += units
            self.day_sell_value += value

    def _weigh(self, quantity: int, price: Money, way: int) -> None:
        """Keep the sums. `quantity` is what `cost` changes by; the claim is that of the lot it is of."""
        self.cost += quantity * price * self.listed.multiplier
        self.claimed += way * self.claims(self.listed, self.product, way * quantity, price)

    def _row(self, last: Money, close: Money, carried: int, carried_value: Money) -> dict[str, Any]:
        multiplier = self.listed.multiplier
        long, short = max(carried, 0), max(-carried, 0)
        bought, sold = long + self.day_buy_quantity, short + self.day_sell_quantity
        buy_value = (carried_value if long else ZERO) + self.day_buy_value
        sell_value = (carried_value if short else ZERO) + self.day_sell_value
        buy_m2m = long * close * multiplier + self.day_buy_value
        sell_m2m = short * close * multiplier + self.day_sell_value
        quantity = bought - sold
        worth = quantity * last * multiplier
        pnl = sell_value - buy_value + worth

        def price(value: Money, units: int) -> Money:
            return value / (units * multiplier) if units else ZERO

        side = (buy_value, bought) if quantity > 0 else (sell_value, sold)
        return {
            "tradingsymbol": self.listed.instrument.tradingsymbol,
            "exchange": self.listed.instrument.exchange,
            "instrument_token": self.listed.token,
            "product": self.product,
            "quantity": quantity,
            "overnight_quantity": carried,
            "multiplier": multiplier,
            "average_price": price(*side) if quantity else ZERO,
            "close_price": close,
            "last_price": last,
            "value": sell_value - buy_value,
            "pnl": pnl,
            "m2m": sell_m2m - buy_m2m + worth,
            "unrealised": pnl,
            "realised": ZERO,
            "buy_quantity": bought,
            "buy_price": price(buy_value, bought),
            "buy_value": buy_value,
            "buy_m2m": buy_m2m,
            "sell_quantity": sold,
            "sell_price": price(sell_value, sold),
            "sell_value": sell_value,
            "sell_m2m": sell_m2m,
            "day_buy_quantity": self.day_buy_quantity,
            "day_buy_price": price(self.day_buy_value, self.day_buy_quantity),
            "day_buy_value": self.day_buy_value,
            "day_sell_quantity": self.day_sell_quantity,
            "day_sell_price": price(self.day_sell_value, self.day_sell_quantity),
            "day_sell_value": self.day_sell_value,
        }
