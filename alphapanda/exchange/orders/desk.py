"""The order desk: where orders are placed, changed, cancelled and asked about.

An order that can be one gets its number and its first row at once; everything else happens to it later, on
the schedule. RMS judges it when it comes in, so that margin is bound in the order of arrival, and says so
after its checks would have taken their time.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from alphapanda.events import OrderType
from alphapanda.exchange.account import Account
from alphapanda.exchange.calls import Effects, invalid
from alphapanda.exchange.clock import Clock
from alphapanda.exchange.history import History
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.market import Market
from alphapanda.exchange.market.hours import NEVER
from alphapanda.exchange.options import USER_ID
from alphapanda.exchange.order import Order, Status
from alphapanda.exchange.orders import asked, refusals, rejections, slices
from alphapanda.exchange.orders.asked import Variety
from alphapanda.exchange.orders.binding import Key
from alphapanda.exchange.orders.changes import Changes
from alphapanda.exchange.orders.floor import Floor
from alphapanda.exchange.orders.life import Event
from alphapanda.exchange.orders.lives import Lives
from alphapanda.exchange.orders.matching import piece_of
from alphapanda.exchange.orders.refusals import Rejection
from alphapanda.exchange.orders.rows import Row
from alphapanda.exchange.orders.square_off import SquareOff
from alphapanda.exchange.schedule import Schedule

AT_THE_BOOK = " Check the orderbook for open orders."
"""Closes the words of a row; the answer to a sliced order has them without it (mock autoslice_response)."""


class Desk:
    def __init__(
        self, market: Market, account: Account, schedule: Schedule, history: History, clock: Clock, seed: int
    ) -> None:
        self._market = market
        self._account = account
        self._schedule = schedule
        self._lives = Lives(schedule, history, clock, seed)
        self._floor = Floor(market, account, self._lives, self._completed)
        self._changes = Changes(market, account, self._lives, self._floor)
        self._square_off = SquareOff(market, account, self._lives, schedule, self._enter_for_rms)

    @property
    def on_update(self) -> list[Callable[[Order, int], None]]:
        """Told of each change that Kite sends as an order update."""
        return self._lives.on_update

    def place(
        self,
        variety: str,
        fields: Mapping[str, str],
        now_ns: int,
        *,
        by: str = "api",
        effects: Effects = Effects(),  # noqa: B008 - frozen
    ) -> dict[str, Any]:
        """The `data` of the answer; raises Refusal. `by` "owner" is a manual order in the broker's app."""
        wanted = asked.read(variety, fields, self._market.listing.by_key, by=by)
        whole = wanted.order(now_ns, by, USER_ID)
        if wanted.variety is Variety.AMO:
            return self._wait_for_open(whole, now_ns, effects)
        self._check_authorised(whole)
        if wanted.autoslice:
            return self._sliced(whole, now_ns, effects)
        if wanted.legs:
            whole = replace(whole, quantity=wanted.leg_quantity, meta=slices.first_leg(wanted))
        rejections.check_freeze(whole, now_ns)
        self._enter(whole, now_ns, effects)
        return {"order_id": whole.order_id}

    def modify(
        self,
        variety: str,
        order_id: str,
        fields: Mapping[str, str],
        now_ns: int,
        effects: Effects = Effects(),  # noqa: B008 - frozen
    ) -> dict[str, str]:
        """Raises Refusal. Accepted is not done: the order's status says what became of it."""
        self._changes.modify(self._found(variety, order_id, now_ns), fields, now_ns, effects)
        return {"order_id": order_id}

    def cancel(
        self,
        variety: str,
        order_id: str,
        now_ns: int,
        effects: Effects = Effects(),  # noqa: B008 - frozen
    ) -> dict[str, str]:
        """Raises Refusal. Accepted is not done: the order's status says what became of it."""
        self._changes.cancel(self._found(variety, order_id, now_ns), now_ns, effects)
        return {"order_id": order_id}

    def book(self, then_ns: int) -> list[Row]:
        """The orders of the day as they were at that time."""
        return self._lives.book.rows(then_ns)

    def order_history(self, order_id: str, now_ns: int) -> list[Row]:
        """Raises Refusal."""
        life = self._lives.book.life(order_id, now_ns)
        if life is None:
            raise refusals.not_found()
        return life

    def trades(self, now_ns: int, order_id: str | None = None) -> list[Row]:
        """All of the day, or those of one order; raises Refusal where there is no such order."""
        if order_id is not None and self._lives.book.life(order_id, now_ns) is None:
            raise refusals.not_found()
        return self._lives.book.trades(now_ns, order_id)

    def order(self, order_id: str) -> Order | None:
        return self._lives.book.get(order_id)

    def square_off(self, now_ns: int) -> None:
        """RMS closes all MIS positions now, whatever the hour."""
        self._square_off.all(now_ns)

    def expect_square_off(self, listed: Listed, now_ns: int) -> None:
        """A position in it has become MIS: RMS looks at it at its hour, though nobody has ordered today."""
        self._square_off.expect(listed, now_ns)

    def open_orders(self) -> Iterable[Order]:
        """Orders that bind margin or holdings: of what may still trade, all but those that only wait."""
        return self._lives.binding

    def open_groups(self) -> Mapping[Key, tuple[Order, ...]]:
        """The same by instrument and product; a group whose orders have changed is a new tuple."""
        return self._lives.binding.groups()

    def tokens(self) -> set[int]:
        """Instruments in which orders rest."""
        return self._floor.tokens()

    def on_quotes(self, tokens: Collection[int], now_ns: int) -> None:
        """These instruments ticked."""
        self._floor.on_quotes(tokens, now_ns)

    def new_day(self) -> None:
        """The book is empty but for orders that wait for the open. Nothing happens to the others any more."""
        waiting = [order for order in self._lives.book.open_orders() if order.status is Status.AMO_RECEIVED]
        self._lives.clear(waiting)
        self._floor.forget()

    def _found(self, variety: str, order_id: str, now_ns: int) -> Order:
        if variety not in {member.value for member in Variety}:
            raise refusals.unknown("variety", variety)
        order = self._lives.book.get(order_id, now_ns)
        if order is None:
            raise refusals.not_found()
        return order

    def _check_authorised(self, order: Order) -> None:
        message = self._account.needs_authorisation(order)
        if message is not None:
            raise refusals.unauthorised(message)

    def _enter(self, order: Order, now_ns: int, effects: Effects) -> None:
        """The order is taken: from here on it has a row."""
        if effects.pieces:
            order.piece = piece_of(order, effects.pieces)
        self._lives.begin(order, Status.RECEIVED, now_ns, effects)
        self._square_off.expect(order.listed, now_ns)
        self._go(order, now_ns, effects)

    def _enter_for_rms(self, order: Order, now_ns: int) -> None:
        self._enter(order, now_ns, Effects())

    def _go(self, order: Order, now_ns: int, effects: Effects) -> None:
        """RMS judges it now and says so after its checks."""
        if order.order_type is OrderType.MARKET:
            self._floor.protect(order, now_ns)
        why = rejections.by_rms(order, self._market, now_ns)
        if effects.rejected:
            why = refusals.said(effects.rejected)
        if why is None and order.by != rejections.RMS:
            lacks = self._account.refuse(order, now_ns)
            why = Rejection(*lacks) if lacks is not None else None
        if why is not None:
            self._lives.binding.doom(order)
        else:
            self._lives.binding.changed(order)  # it has its protection price

        def validated(each: Order, then_ns: int, then: Effects) -> None:
            self._lives.move(each, Event.VALIDATE, then_ns)
            self._lives.later(each, judged, then_ns, then)

        def judged(each: Order, then_ns: int, then: Effects) -> None:
            if why is not None:
                self._lives.reject(each, why, then_ns)
                return
            self._lives.move(each, Event.SEND, then_ns)
            self._lives.later(each, self._floor.arrive, then_ns, then)

        self._lives.later(order, validated, now_ns, effects)

    def _sliced(self, whole: Order, now_ns: int, effects: Effects) -> dict[str, Any]:
        """One order a slice; what the account cannot carry is an error in its place, without a row."""
        quantities = slices.cut(whole, rejections.most_of(whole, now_ns))
        parent = self._lives.book.order_id()
        children: list[dict[str, Any]] = []
        for quantity in quantities:
            child = replace(whole, quantity=quantity, meta={}, tags=slices.slice_tags(whole.tag, parent))
            lacks = self._lacks(child, now_ns)
            if lacks is not None:
                children.append({"error": lacks})
                continue
            self._enter(child, now_ns, effects)
            children.append({"order_id": child.order_id})
        return {"order_id": parent, "children": children}

    def _lacks(self, order: Order, now_ns: int) -> dict[str, Any] | None:
        """The error of a slice that the account cannot carry."""
        if order.order_type is OrderType.MARKET:
            self._floor.protect(order, now_ns)
        lacks = self._account.refuse(order, now_ns)
        if lacks is None:
            return None
        message = lacks[0].removesuffix(AT_THE_BOOK)
        return {"code": 400, "error_type": refusals.MARGIN, "message": message, "data": None}

    def _completed(self, order: Order, now_ns: int) -> None:
        """The next leg of an iceberg goes out when one has traded whole."""
        following = slices.next_leg(order)
        if following is None:
            return
        quantity, meta = following
        leg = Order(
            order_id="",
            listed=order.listed,
            variety=order.variety,
            transaction_type=order.transaction_type,
            order_type=order.order_type,
            product=order.product,
            quantity=quantity,
            order_ns=now_ns,
            validity=order.validity,
            validity_ttl=order.validity_ttl,
            price=order.price,
            trigger_price=order.trigger_price,
            market_protection=order.market_protection,
            tag=order.tag,
            tags=list(order.tags),
            meta=meta,
            placed_by=order.placed_by,
            by=order.by,
            limit=order.limit,
            triggered=order.triggered,
        )
        self._enter(leg, now_ns, Effects())

    def _wait_for_open(self, order: Order, now_ns: int, effects: Effects) -> dict[str, str]:
        """An after market order: taken only while the market is closed, and let go at the next open."""
        if self._market.hours.may_enter(order.listed, now_ns):
            raise invalid(refusals.AMO_IN_SESSION)
        opens = self._market.hours.next_open_ns(order.listed, now_ns)
        if opens >= NEVER:
            raise invalid(refusals.NO_SUCH_INSTRUMENT)
        self._check_authorised(order)
        self._lives.begin(order, Status.AMO_RECEIVED, now_ns, effects)
        self._lives.at(opens, order, lambda each, then_ns: self._released(each, then_ns, effects))
        return {"order_id": order.order_id}

    def _released(self, order: Order, now_ns: int, effects: Effects) -> None:
        self._square_off.expect(order.listed, now_ns)
        self._go(order, now_ns, effects)
