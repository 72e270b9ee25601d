"""The broker's own square-off: at its hour RMS cancels an instrument's MIS orders and closes what is open.

What it cannot close, because nothing stands in the book within the protection, stays and is carried.
"""

from collections.abc import Callable

from msgspec.structs import replace

from alphapanda.events import MIS, OrderType, TransactionType
from alphapanda.exchange.account import Account
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.market import Market
from alphapanda.exchange.order import Order
from alphapanda.exchange.orders import refusals
from alphapanda.exchange.orders.asked import AUTOMATIC, Variety
from alphapanda.exchange.orders.lives import Lives
from alphapanda.exchange.orders.rejections import RMS, most_of
from alphapanda.exchange.orders.slices import largest, pieces
from alphapanda.exchange.schedule import Schedule

PLACED_BY = "RMS"
Enter = Callable[[Order, int], None]


class SquareOff:
    """`enter` places an order of the broker's."""

    def __init__(
        self, market: Market, account: Account, lives: Lives, schedule: Schedule, enter: Enter
    ) -> None:
        self._market = market
        self._account = account
        self._lives = lives
        self._schedule = schedule
        self._enter = enter
        self._set: set[tuple[int, int]] = set()
        """(token, when): instruments that have a square-off before them"""

    def expect(self, listed: Listed, now_ns: int) -> None:
        """Somebody trades this instrument today: at its hour it will be looked at."""
        at_ns = self._market.hours.square_off_ns(listed, now_ns)
        if at_ns is None or at_ns <= now_ns or (listed.token, at_ns) in self._set:
            return
        self._set.add((listed.token, at_ns))
        self._schedule.at(at_ns, lambda then_ns: self._close(listed, then_ns))

    def all(self, now_ns: int) -> None:
        """Every instrument with an MIS order or position, now."""
        listed = {order.listed.token: order.listed for order in self._lives.book.open_orders()}
        listed |= {each.token: each for each, _, _ in self._account.open_positions()}
        for token in sorted(listed):
            self._close(listed[token], now_ns)

    def _close(self, listed: Listed, now_ns: int) -> None:
        self._set.discard((listed.token, now_ns))
        cancelled = [
            order
            for order in self._lives.book.open_orders()
            if order.listed.token == listed.token and order.product == MIS and not self._lives.stuck(order)
        ]
        for order in cancelled:
            self._lives.end(order, now_ns, refusals.SQUARED_OFF)
        placed = [
            order
            for each, product, quantity in self._account.open_positions()
            if each.token == listed.token and product == MIS and quantity
            for order in self._orders(listed, quantity, now_ns)
        ]
        for order in placed:
            self._enter(order, now_ns)
        if cancelled or placed:
            self._lives.noted(
                "square_off",
                now_ns,
                instrument=listed.key,
                cancelled=[order.order_id for order in cancelled],
                placed=[order.order_id for order in placed],
            )

    def _orders(self, listed: Listed, signed: int, now_ns: int) -> list[Order]:
        """Market orders for the whole position, none over the freeze quantity."""
        whole = Order(
            order_id="",
            listed=listed,
            variety=Variety.REGULAR.value,
            transaction_type=TransactionType.SELL if signed > 0 else TransactionType.BUY,
            order_type=OrderType.MARKET,
            product=MIS,
            quantity=abs(signed),
            order_ns=now_ns,
            market_protection=AUTOMATIC,
            by=RMS,
            placed_by=PLACED_BY,
        )
        most = largest(whole, most_of(whole, now_ns))
        return [
            replace(whole, quantity=quantity, tags=[], meta={}) for quantity in pieces(whole.quantity, most)
        ]
