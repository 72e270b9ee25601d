"""`kill-switch on --flatten`: every position is closed after the sweep, and watched until it is flat.

Pure: time comes in. One closing order at a time for each position: the next is asked for only when the one
before has ended, so that what is in doubt never sells twice. One that the broker refused is asked for again
on the next rung of a ladder, at market, then at limits inside the band, with longer and longer pauses; after
`TRIES` a person must look. What never left, since our own rules or the gate refused it, costs no try.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import NamedTuple, Protocol

from msgspec import Struct

from alphapanda.events import (
    Approved,
    ClosePosition,
    Instrument,
    Money,
    Order,
    OrderStatus,
    Position,
    Refused,
    TransactionType,
)

FLATTEN = "flatten"
"""Who asks."""
LADDER = (None, Money("0.01"), Money("0.03"))
"""At market; then at a limit so far through the last price, which trades at once and no further."""
TRIES = 9
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
REST_S = 10.0
"""A closing order that has not traded so long is taken back, for the next rung."""
SETTLES_S = 5.0
"""So long a closing order may take before the operator is told that it is still open."""

Key = tuple[str, str, int, str]
"""(broker, strategy id, instrument token, product)"""


class Leftover(Struct, frozen=True, kw_only=True):
    """What the kill switch could not end: an order that may trade, or a position that is still held.

    `quantity` is signed: bought is positive. `status` is the order's; "" of a position.
    """

    what: str
    order_id: str | None = None
    broker_order_id: str | None = None
    broker: str
    strategy_id: str
    symbol: str
    quantity: int
    status: str = ""
    why: str

    def name(self) -> str:
        number = f" {self.order_id} ({self.broker_order_id or 'no number'})" if self.order_id else ""
        return f"{self.what}{number} of {self.quantity:+d} {self.symbol} at {self.broker}"


class Swept(Protocol):
    """What the sweep has found: the orders that are named, and whether there are others."""

    @property
    def left(self) -> Sequence[Leftover]: ...

    @property
    def swept(self) -> bool: ...


class Ask(NamedTuple):
    """A position to be closed now; `through` is how far through the last price, None at market."""

    position: Position
    through: Money | None


class Closing(NamedTuple):
    asks: Sequence[Ask]
    cancels: Sequence[Order]
    """Closing orders that have rested too long."""
    left: Sequence[Leftover]
    settled: bool
    """All is flat, or was named after its time."""


class _Try(Struct):
    """One position. Times are monotonic seconds."""

    due_s: float
    tries: int = 0
    waits: int = 0
    """Refusals of our own since the last try."""
    next_s: float = float("-inf")
    asked_s: float | None = None
    """None: nothing was asked for whose end is not known."""
    order_ids: tuple[str, ...] = ()
    refused: str = ""
    why: str = ""


class Flatten:
    """One kill, until it is switched off."""

    def __init__(self) -> None:
        self._tries: dict[Key, _Try] = {}
        self._cancelled: dict[str, float] = {}

    def asked(self, ask: Ask, now_s: float) -> None:
        one = self._tries[_key(ask.position)]
        one.asked_s, one.order_ids, one.refused = now_s, (), ""

    def hear(self, verdict: Approved | Refused) -> None:
        """What became of what was asked for."""
        signal = verdict.signal
        broker = verdict.order.broker if isinstance(verdict, Approved) else verdict.broker
        for key, one in self._tries.items():
            if key[:3] == (broker, signal.strategy_id, signal.instrument_token) and one.asked_s is not None:
                if isinstance(verdict, Approved):
                    one.order_ids += (verdict.order.order_id,)
                else:
                    one.refused = f"{verdict.rule}: {verdict.why}"

    def look(
        self,
        positions: Sequence[Position],
        orders: Sequence[Order],
        order: Callable[[str], Order],
        now_s: float,
        away: Mapping[str, str],
        found: Swept,
    ) -> Closing:
        """`positions` are held, `orders` may still trade; `order` knows every order of ours."""
        asks: list[Ask] = []
        cancels: list[Order] = []
        left: list[Leftover] = []
        self._tries = {
            _key(each): self._tries.get(_key(each)) or _Try(now_s + SETTLES_S) for each in positions
        }
        named = {each.order_id for each in found.left}
        for position in positions:
            one = self._tries[_key(position)]
            mine = [each for each in orders if _key(each) == _key(position)]
            if any(not each.closed_by_hand and each.order_id not in named for each in mine):
                one.due_s = now_s + SETTLES_S  # the sweep comes first
                one.why = "orders of it still rest"
                continue
            closing = [each for each in mine if each.closed_by_hand]
            if closing:
                cancels += self._old(closing, one, now_s)
            else:
                self._judge(one, order, now_s)
                asks += self._again(position, one, now_s, away)
            if now_s >= one.due_s or away.get(position.broker) or one.tries or one.waits:
                left.append(_left(position, one.why))
        settled = found.swept and len(left) == len(positions)
        return Closing(asks, cancels, left, settled)

    def _old(self, closing: Sequence[Order], one: _Try, now_s: float) -> list[Order]:
        """Of ours those that rest for too long; somebody else's closes are theirs."""
        first = closing[0]
        one.why = f"its closing order {first.order_id} is {first.status}"
        if one.asked_s is None or now_s - one.asked_s < REST_S:
            return []
        old = [
            each
            for each in closing
            if each.by == FLATTEN
            and each.status in (OrderStatus.OPEN, OrderStatus.PARTIAL)
            and now_s - self._cancelled.get(each.order_id, float("-inf")) >= SETTLES_S
        ]
        self._cancelled |= {each.order_id: now_s for each in old}
        return old

    def _judge(self, one: _Try, order: Callable[[str], Order], now_s: float) -> None:
        """Nothing of what was asked for is open any more, and the position is still held."""
        if one.asked_s is None:
            return
        ended = [order(each) for each in one.order_ids]
        one.asked_s = None
        refused = next((each for each in ended if each.status is not OrderStatus.FILLED), None)
        if refused is None and not one.refused:
            one.next_s = now_s if ended else now_s + FIRST_PAUSE_S  # a slice of it has traded
            return
        if refused is None or refused.status is OrderStatus.WITHHELD:
            one.why = f"no closing order left: {one.refused or (refused.reason if refused else '')}"
            one.waits += 1
            one.next_s = now_s + _pause(one.waits)
            return
        one.tries, one.waits = one.tries + 1, 0
        one.next_s = now_s + _pause(one.tries)
        reason = refused.reason or "no reason given"
        one.why = f"closing order {refused.order_id} was {refused.status}: {reason}"
        if one.tries >= TRIES:
            one.why += f"; given up after {TRIES} tries: close it in the broker's own application"

    def _again(self, position: Position, one: _Try, now_s: float, away: Mapping[str, str]) -> list[Ask]:
        if why := away.get(position.broker):
            one.why = why
            return []
        if one.tries >= TRIES or now_s < one.next_s or one.asked_s is not None:
            return []
        return [Ask(position, LADDER[one.tries % len(LADDER)])]


def _pause(count: int) -> float:
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * (1 << min(count - 1, 10)))


def closing_of(ask: Ask, instrument: Instrument, most: int | None, time_ns: int, row: int) -> ClosePosition:
    """The word that closes it, at most `most` units of it. `instrument` has the day's circuit limits."""
    position = ask.position
    quantity = abs(position.quantity)
    if most is not None:
        quantity = min(quantity, most // instrument.lot_size * instrument.lot_size or quantity)
    side = TransactionType.SELL if position.quantity > 0 else TransactionType.BUY
    return ClosePosition(
        broker=position.broker,
        strategy_id=position.strategy_id,
        instrument_token=position.instrument.instrument_token,
        transaction_type=side,
        quantity=quantity,
        by=FLATTEN,
        time_ns=time_ns,
        row=row,
        price=None if ask.through is None else _limit(position.last_price, side, ask.through, instrument),
    )


def _limit(last: Money, side: TransactionType, through: Money, instrument: Instrument) -> Money | None:
    """So far through the last price, on a tick and inside the circuit limits; None without a price."""
    if last <= 0:
        return None
    sells = side is TransactionType.SELL
    price = last * (1 - through if sells else 1 + through)
    tick = instrument.tick_size
    if tick > 0:
        price = (price / tick).to_integral_value(ROUND_CEILING if sells else ROUND_FLOOR) * tick
    lower, upper = instrument.lower_circuit_limit, instrument.upper_circuit_limit
    if lower is not None:
        price = max(price, lower)
    if upper is not None:
        price = min(price, upper)
    return price if price > 0 else None


def _key(one: Position | Order) -> Key:
    return one.broker, one.strategy_id, one.instrument.instrument_token, one.product


def _left(position: Position, why: str) -> Leftover:
    return Leftover(
        what="position",
        broker=position.broker,
        strategy_id=position.strategy_id,
        symbol=position.instrument.key,
        quantity=position.quantity,
        why=why or "no closing order was asked for yet",
    )
