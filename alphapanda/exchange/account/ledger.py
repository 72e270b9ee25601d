"""The ledger: cash, positions and holdings as the day's trades have made them, and what orders may claim."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from alphapanda.events import CNC, Money, TransactionType
from alphapanda.exchange.account.funds import SEGMENTS, Claimed, Wish, bound, purse_of
from alphapanda.exchange.account.holdings import Holding, held_at_first, share_of
from alphapanda.exchange.account.positions import Position
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.market import Market
from alphapanda.exchange.order import Order, Trade
from alphapanda.tables import declared_margins

ZERO = Money(0)
Key = tuple[str, str]
"""exchange:tradingsymbol and product: what positions are told apart by."""
Resting = Mapping[Key, Sequence[Wish]]
"""Open orders by what they are in, in the order of their arrival."""
Groups = Mapping[Key, Sequence[Order]]
"""The same as orders, none of them empty; a group whose orders have changed is another object."""


class Known(NamedTuple):
    """What a group of orders claims, and what that was reckoned from."""

    orders: Sequence[Order]
    last: Money | None
    """The last price; None where it does not matter."""
    held: int
    claimed: Money
    """What its position is and claims."""
    claims: Money


class Turnover(Struct):
    """What an order has traded for today: its charges are reckoned on it at night."""

    listed: Listed
    product: str
    side: TransactionType
    by: str
    value: Money


class Ledger:
    """Both segments of funds begin with the same cash, as two accounts would."""

    def __init__(self, cash: Money, market: Market) -> None:
        self.market = market
        self.claims = Claimed(declared_margins())
        self.opening = dict.fromkeys(SEGMENTS, cash)
        """What each segment of funds began the day with."""
        self.cash = dict(self.opening)
        """The same after what was paid and received for trades."""
        self.book: dict[Key, Position] = {}
        self.stock = held_at_first(market.listing)
        self.turnovers: dict[str, Turnover] = {}
        self.open_groups: Callable[[], Groups] = dict
        self._known: dict[Key, Known] = {}

    def on_trade(self, trade: Trade) -> None:
        self.position(trade.listed, trade.product).add(trade.signed_quantity, trade.price, trade.traded_ns)
        value = trade.quantity * trade.price * trade.listed.multiplier
        self.cash[purse_of(trade.listed)] -= trade.transaction_type.sign * value
        done = self.turnovers.get(trade.order_id)
        if done is None:
            order = trade.listed, trade.product, trade.transaction_type, trade.by
            self.turnovers[trade.order_id] = Turnover(*order, value)
        else:
            done.value += value

    def position(self, listed: Listed, product: str) -> Position:
        """The position in it, made where there is none."""
        key = listed.key, product
        if key not in self.book:
            self.book[key] = Position(listed=listed, product=product, claims=self.claims.of)
        return self.book[key]

    def last_and_close(self, listed: Listed, now_ns: int) -> tuple[Money, Money]:
        """The last price and the previous close."""
        quote = self.market.quote(listed.token, now_ns)
        return quote.money(quote.last), quote.money(quote.close)

    # Shares.

    def sold(self, holding: Holding) -> int:
        """Shares of a holding that left it today: what the day sold beyond what it bought."""
        return max(0, -self.delivered(holding.listed))

    def delivered(self, listed: Listed) -> int:
        """What the day bought of a share less what it sold, for delivery, on both exchanges."""
        share = share_of(listed)
        return sum(
            position.quantity
            for position in self.book.values()
            if position.product == CNC and share_of(position.listed) == share
        )

    def deliverable(self, listed: Listed, product: str = CNC, *, without: str = "") -> int:
        """Shares that may be sold: holdings and the day's buys, less what rests to be sold. Of MTF only the
        day's: what it bought is an ordinary holding the next day.
        """
        if product == CNC:
            holding = self.stock.of(listed)
            owned = (holding.opening if holding else 0) + self.delivered(listed)
        else:
            owned = self.position(listed, product).quantity
        return owned - self.resting_sales(listed, product, without)

    def resting_sales(self, listed: Listed, product: str, without: str) -> int:
        return sum(
            order.pending_quantity
            for orders in self.open_groups().values()
            if orders[0].product == product and share_of(orders[0].listed) == share_of(listed)
            for order in orders
            if order.transaction_type is TransactionType.SELL and order.order_id != without
        )

    def withheld(self, position: Position) -> Money:
        """The money of T1 shares sold today, which comes tomorrow: of the sale's last shares."""
        if position.product != CNC or position.quantity >= 0:
            return ZERO
        holding = self.stock.of(position.listed)
        left = -self.delivered(position.listed) - (holding.settled if holding else 0)
        value = ZERO
        for lot in reversed(position.lots):
            units = min(max(0, left), -lot.quantity)
            value += units * lot.price
            left -= units
        return value

    # Money.

    def available(self, segment: str, now_ns: int, without: Order | None = None) -> Money:
        """What is left of the money of "equity" or "commodity" beside the open orders, or all but one."""
        free = self.cash[segment]
        for position in self.book.values():
            if purse_of(position.listed) == segment:
                free += bound(position) - self.withheld(position)
        own = without.position_key if without is not None else None
        for key, orders in self.open_groups().items():
            if purse_of(orders[0].listed) != segment:
                continue
            if without is not None and key == own:
                free -= self.claims.of_orders(self.book.get(key), self._wishes(orders, now_ns, without))
            else:
                free -= self._claims_of(key, orders, now_ns)
        return free

    def _claims_of(self, key: Key, orders: Sequence[Order], now_ns: int) -> Money:
        """What a group of open orders claims, reckoned anew where anything that it comes from has changed."""
        position, known = self.book.get(key), self._known.get(key)
        held, claimed = (position.quantity, position.claimed) if position is not None else (0, ZERO)
        if known is not None and (known.orders is orders) and (known.held, known.claimed) == (held, claimed):
            token = orders[0].listed.token
            if known.last is None or known.last == self.market.last_price(token, now_ns):
                return known.claims
        claims = self.claims.of_orders(position, self._wishes(orders, now_ns))
        moves = any(_moves(order) for order in orders)
        last = self.market.last_price(orders[0].listed.token, now_ns) if moves else None
        self._known[key] = Known(orders, last, held, claimed, claims)
        return claims

    def increase_by(self, order: Order, now_ns: int) -> Money:
        """What this order would bind beside what is bound; it may be among the open ones or not."""
        key = order.position_key
        others = self._wishes(self.open_groups().get(key, ()), now_ns, order)
        return self.increase((self.wish_of(order, now_ns),), {key: others})

    def increase(self, wishes: Iterable[Wish], resting: Resting, *, held: bool = True) -> Money:
        """What these orders would bind beside what is bound: less than each alone where they reduce.

        `held` False leaves positions out of it.
        """
        groups: dict[Key, list[Wish]] = {}
        for wish in wishes:
            groups.setdefault((wish.listed.key, wish.product), []).append(wish)
        added = ZERO
        for key, new in groups.items():
            position, before = (self.book.get(key) if held else None), resting.get(key, ())
            added += self.claims.of_orders(position, [*before, *new])
            added -= self.claims.of_orders(position, before)
        return added

    def resting(self, now_ns: int) -> Resting:
        """The open orders as funds see them."""
        return {key: self._wishes(orders, now_ns) for key, orders in self.open_groups().items()}

    def _wishes(self, orders: Iterable[Order], now_ns: int, without: Order | None = None) -> list[Wish]:
        """Of one group. `without` may be a copy of one of them, as a change would have it."""
        left_out = without.order_id if without is not None else None
        return [self.wish_of(order, now_ns) for order in orders if order.order_id != left_out]

    def wish_of(self, order: Order, now_ns: int) -> Wish:
        """One order. A sale is reckoned at what it would fetch if that is more than it asks."""
        price = _asked(order)
        if _moves(order):
            price = max(price, self.market.last_price(order.listed.token, now_ns))
        quantity = order.transaction_type.sign * order.pending_quantity
        return Wish(order.listed, order.product, quantity, price)


def _asked(order: Order) -> Money:
    return order.limit or order.price or order.trigger_price


def _moves(order: Order) -> bool:
    """Whether what it is reckoned at moves with the market."""
    return order.transaction_type is TransactionType.SELL or _asked(order) <= ZERO
