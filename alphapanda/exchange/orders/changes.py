"""Changes and cancels: what is refused at once, and how the rest travels to the exchange and back."""

from collections.abc import Mapping

from alphapanda.events import OrderType
from alphapanda.exchange.account import Account
from alphapanda.exchange.calls import Effects, invalid
from alphapanda.exchange.market import Market
from alphapanda.exchange.order import Order, Status
from alphapanda.exchange.orders import asked, refusals, rejections
from alphapanda.exchange.orders.floor import Floor
from alphapanda.exchange.orders.life import SETTLED, Event
from alphapanda.exchange.orders.lives import Lives
from alphapanda.exchange.orders.refusals import Rejection

MOST_MODIFICATIONS = 25


class Changes:
    def __init__(self, market: Market, account: Account, lives: Lives, floor: Floor) -> None:
        self._market = market
        self._account = account
        self._lives = lives
        self._floor = floor

    def modify(self, order: Order, fields: Mapping[str, str], now_ns: int, effects: Effects) -> None:
        """Raises Refusal. An order that waits for the open is changed on the spot, without an update."""
        waiting = order.status is Status.AMO_RECEIVED
        if order.ended:
            raise refusals.ended("modified", order.status)
        if not self._settled(order) and not waiting:
            raise invalid(refusals.MODIFY_LATER)
        if order.modifications >= MOST_MODIFICATIONS:
            raise refusals.too_many_changes()
        wanted = asked.changed(order, fields)
        order.modifications += 1
        order.order_ns = now_ns
        if waiting:
            _take_over(order, wanted)
            self._lives.move(order, Event.ACCEPT, now_ns)
            return
        self._lives.move(order, Event.MODIFY, now_ns)

        def validated(each: Order, then_ns: int, then: Effects) -> None:
            self._validated(each, wanted, then_ns, then)

        self._lives.later(order, validated, now_ns, effects)

    def cancel(self, order: Order, now_ns: int, effects: Effects) -> None:
        """Raises Refusal."""
        if order.ended:
            raise refusals.ended("cancelled", order.status)
        if order.status is Status.AMO_RECEIVED:
            order.order_ns = now_ns
            self._lives.end(order, now_ns, tell=False)
            return
        if not self._settled(order):
            raise invalid(refusals.CANCEL_LATER)
        order.order_ns = now_ns
        self._lives.move(order, Event.CANCEL, now_ns)
        self._lives.later(order, self._cancelled, now_ns, effects)

    def _settled(self, order: Order) -> bool:
        return order.status in SETTLED and not self._lives.stuck(order)

    def _cancelled(self, order: Order, now_ns: int, effects: Effects) -> None:
        if effects.raced:
            self._floor.fill(order, now_ns)
        else:
            self._lives.end(order, now_ns)

    def _validated(self, order: Order, wanted: Order, now_ns: int, effects: Effects) -> None:
        """RMS looks at the order as it would be, with what it has traded since."""
        _meanwhile(order, wanted)
        if wanted.order_type is OrderType.MARKET:
            self._floor.protect(wanted, now_ns)
        why = rejections.by_rms(wanted, self._market, now_ns)
        if effects.rejected:
            why = refusals.said(effects.rejected)
        why = why or self._lacks(wanted, now_ns)
        if why is not None:
            self._refused(order, why, now_ns)
            return
        self._lives.move(order, Event.SEND, now_ns)

        def arrived(each: Order, then_ns: int, _: Effects) -> None:
            self._arrived(each, wanted, then_ns)

        self._lives.later(order, arrived, now_ns, effects)

    def _lacks(self, wanted: Order, now_ns: int) -> Rejection | None:
        """What the account cannot carry of it. Less than has traded is not RMS's to refuse."""
        if wanted.pending_quantity <= 0:
            return None
        lacks = self._account.refuse(wanted, now_ns)
        return Rejection(*lacks) if lacks is not None else None

    def _arrived(self, order: Order, wanted: Order, now_ns: int) -> None:
        """The account is asked once more: what a change claims is not bound while it is on its way."""
        _meanwhile(order, wanted)
        why = rejections.by_exchange(wanted, self._market, now_ns)
        if wanted.quantity <= order.filled_quantity:
            why = refusals.not_modified()
        why = why or self._lacks(wanted, now_ns)
        if why is not None:
            self._refused(order, why, now_ns)
            return
        order.exchange_ns = order.exchange_update_ns = now_ns
        order.status_message = order.status_message_raw = None
        self._lives.move(order, Event.ACCEPT, now_ns)
        _take_over(order, wanted)
        self._floor.expire_with(order)
        self._floor.resume(order, now_ns)

    def _refused(self, order: Order, why: Rejection, now_ns: int) -> None:
        order.status_message, order.status_message_raw = why
        self._lives.move(order, Event.REFUSE, now_ns)
        self._floor.resume(order, now_ns)


def _meanwhile(order: Order, wanted: Order) -> None:
    """Trades that came while the change was on its way."""
    wanted.status = order.status
    wanted.filled_quantity, wanted.filled_value = order.filled_quantity, order.filled_value


def _take_over(order: Order, wanted: Order) -> None:
    order.modified = True
    order.order_type, order.limit = wanted.order_type, wanted.limit
    order.quantity, order.disclosed_quantity = wanted.quantity, wanted.disclosed_quantity
    order.price, order.trigger_price = wanted.price, wanted.trigger_price
    order.validity, order.validity_ttl = wanted.validity, wanted.validity_ttl
    order.market_protection, order.tags = wanted.market_protection, wanted.tags
    order.triggered = wanted.triggered
