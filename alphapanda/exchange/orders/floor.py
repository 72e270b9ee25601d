"""The exchange's side of an order: it arrives, rests, triggers, trades, and ends with its validity or day.

Every order has a worst price here: a market order came as a limit order at its protection price.
"""

from collections.abc import Callable, Collection

from alphapanda.core.sessions import Phase
from alphapanda.events import STOPS, OrderType, TransactionType, Validity
from alphapanda.exchange.account import Account
from alphapanda.exchange.calls import Effects
from alphapanda.exchange.market import Market, Quote
from alphapanda.exchange.order import Order, Status, Trade
from alphapanda.exchange.orders import protection, refusals, rejections
from alphapanda.exchange.orders.life import STANDING, Event
from alphapanda.exchange.orders.lives import Lives
from alphapanda.exchange.orders.matching import Taken, out_of_reach, triggers, walk
from alphapanda.times import MINUTE_NS


class Floor:
    """`on_complete` is told of each order that has traded whole."""

    def __init__(
        self, market: Market, account: Account, lives: Lives, on_complete: Callable[[Order, int], None]
    ) -> None:
        self._market = market
        self._account = account
        self._lives = lives
        self._on_complete = on_complete
        self._taken = Taken()
        self._resting: dict[int, dict[str, Order]] = {}
        """By token and order id, none of them empty."""
        lives.on_end = self._leave

    def tokens(self) -> set[int]:
        return set(self._resting)

    def resting(self, token: int) -> list[Order]:
        """Orders in an instrument that have arrived and not ended, in the order of their arrival."""
        return list(self._resting.get(token, {}).values())

    def forget(self) -> None:
        """A new day: nothing rests any more."""
        self._resting.clear()

    def arrive(self, order: Order, now_ns: int, effects: Effects) -> None:
        """The order reaches the exchange: it is registered, or rejected."""
        why = rejections.by_exchange(order, self._market, now_ns)
        if why is not None:
            self._lives.reject(order, why, now_ns)
            return
        order.exchange_order_id = self._lives.book.exchange_order_id()
        order.exchange_ns = order.exchange_update_ns = now_ns
        self._lives.move(order, Event.WAIT if _waits(order) else Event.OPEN, now_ns)
        self._resting.setdefault(order.listed.token, {})[order.order_id] = order
        self._limit_life(order, now_ns)
        if not self._lives.holds(order, self.match, now_ns, effects):
            self.match(order, now_ns, effects)

    def resume(self, order: Order, now_ns: int) -> None:
        """After a change, made or refused, the order stands again, as what it now is."""
        self._lives.move(order, Event.WAIT if _waits(order) else Event.OPEN, now_ns)
        self._lives.tell(order, now_ns)
        self.match(order, now_ns, Effects())

    def expire_with(self, order: Order) -> None:
        """A TTL order ends so many minutes after the exchange registered it, or its last change."""
        if order.validity is Validity.TTL and order.exchange_ns is not None:
            until_ns = order.exchange_ns + order.validity_ttl * MINUTE_NS
            self._lives.at(until_ns, order, self._expired)

    def on_quotes(self, tokens: Collection[int], now_ns: int) -> None:
        for token in tokens:
            self._taken.forget(token)
            if token not in self._resting:
                continue
            for order in self._concerned(token, now_ns):
                self.match(order, now_ns, Effects())

    def _concerned(self, token: int, now_ns: int) -> list[Order]:
        """Of what rests there all but the many that the book and the last price leave as they are."""
        resting = self.resting(token)
        if self._market.hours.phase(resting[0].listed, now_ns) is not Phase.CONTINUOUS:
            return resting
        quote = self._market.quote(token, now_ns)
        last = quote.money(quote.last)
        bid, ask = (quote.money(side[0][1]) if side else None for side in (quote.bids, quote.asks))
        return [order for order in resting if not out_of_reach(order, bid, ask, last)]

    def match(self, order: Order, now_ns: int, _: Effects) -> None:
        """Trigger it where its price is there, then trade what the book gives; IOC takes no more."""
        if not self._lives.book.living(order) or self._lives.stuck(order):
            return
        if self._market.hours.phase(order.listed, now_ns) is Phase.CONTINUOUS:
            self._trade_with(self._market.quote(order.listed.token, now_ns), order, now_ns)
        elif self._is_over(order, now_ns):
            self._session_ended(order, now_ns)
        if order.validity is Validity.IOC and order.status is Status.OPEN:
            self._lives.end(order, now_ns, refusals.UNMATCHED)

    def _trade_with(self, quote: Quote, order: Order, now_ns: int) -> None:
        if order.status is Status.TRIGGER_PENDING and triggers(order, quote.money(quote.last)):
            self._trigger(order, quote, now_ns)
        if order.status not in STANDING or _waits(order):
            return
        levels = quote.asks if order.transaction_type is TransactionType.BUY else quote.bids
        taken = self._taken.of(order.listed.token, order.transaction_type, levels)
        for price, quantity in walk(order, levels, quote.divisor, taken):
            self._trade(order, quote, price, quantity, now_ns)

    def _is_over(self, order: Order, now_ns: int) -> bool:
        """Whether the day's session has been: before it, in the pre-open, orders rest."""
        closes = self._market.hours.closes_ns(order.listed, now_ns)
        return closes is None or now_ns >= closes

    def _trigger(self, order: Order, quote: Quote, now_ns: int) -> None:
        order.triggered = True
        order.exchange_update_ns = now_ns
        if order.order_type is OrderType.SL_M:
            self.protect(order, now_ns, quote)
        self._lives.move(order, Event.OPEN, now_ns)
        self._lives.tell(order, now_ns)

    def protect(self, order: Order, now_ns: int, quote: Quote | None = None) -> None:
        """A market order becomes a limit order at its protection price."""
        quote = quote or self._market.quote(order.listed.token, now_ns)
        last, circuit = quote.money(quote.last), self._market.circuit(order.listed.token, now_ns)
        share = protection.percent(order.listed, last, order.market_protection)
        order.limit = protection.limit(order.listed, order.transaction_type, last, share, circuit)
        order.order_type, order.price = OrderType.LIMIT, order.limit
        kept = [tag for tag in order.tags if not tag.startswith("mktp")]
        order.tags = [*kept, *protection.tags(share)]

    def fill(self, order: Order, now_ns: int) -> None:
        """The whole rest trades at the order's own price, whatever the book shows (a fault)."""
        quote = self._market.quote(order.listed.token, now_ns)
        units = quote.last if order.limit is None else int(order.limit * quote.divisor)
        self._trade(order, quote, units, order.pending_quantity, now_ns)

    def _trade(self, order: Order, quote: Quote, units: int, quantity: int, now_ns: int) -> None:
        price = quote.money(units)
        trade = Trade(
            trade_id=self._lives.book.trade_id(),
            order_id=order.order_id,
            exchange_order_id=order.exchange_order_id or "",
            listed=order.listed,
            transaction_type=order.transaction_type,
            product=order.product,
            quantity=quantity,
            price=price,
            traded_ns=now_ns,
            order_ns=order.order_ns,
            by=order.by,
        )
        order.filled_quantity += quantity
        order.filled_value += price * quantity
        order.exchange_update_ns = now_ns
        self._account.on_trade(trade)
        self._lives.traded(trade, order.by)
        if order.filled_quantity < order.quantity:
            self._lives.write(order, now_ns)
            self._lives.tell(order, now_ns)
            return
        order.status_message = order.status_message_raw = None
        self._lives.move(order, Event.FILL, now_ns)
        self._lives.tell(order, now_ns)
        self._on_complete(order, now_ns)

    def _limit_life(self, order: Order, now_ns: int) -> None:
        """When it ends by itself: with the session, or with its own minutes."""
        closes = self._market.hours.closes_ns(order.listed, now_ns)
        if closes is not None:
            self._lives.at(closes, order, self._session_ended)
        self.expire_with(order)

    def _expired(self, order: Order, now_ns: int) -> None:
        """Only if that is still when it ends: a change may have given it another validity."""
        registered = order.exchange_ns
        if order.validity is not Validity.TTL or registered is None:
            return
        if now_ns >= registered + order.validity_ttl * MINUTE_NS:
            self._lives.end(order, now_ns, refusals.EXPIRED)

    def _session_ended(self, order: Order, now_ns: int) -> None:
        self._lives.end(order, now_ns, refusals.SESSION_ENDED)

    def _leave(self, order: Order) -> None:
        """It has ended. Instruments in which nothing rests are not watched."""
        token = order.listed.token
        resting = self._resting.get(token, {})
        resting.pop(order.order_id, None)
        if not resting:
            self._resting.pop(token, None)


def _waits(order: Order) -> bool:
    return order.order_type in STOPS and not order.triggered
