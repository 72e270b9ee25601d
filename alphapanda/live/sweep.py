"""What the kill switch does after the flag: what rests is cancelled, and what cannot be is named.

`Sweep` decides, with time as an argument; `Sweeper` is the task that looks, asks and says. An order that
shows up later, because nobody knew of it or its broker was out of reach, is cancelled as well: it goes on
looking until the operator switches off.
"""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import NamedTuple

import anyio
from loguru import logger
from msgspec import Struct

from alphapanda.events import Approved, Order, OrderStatus, Refused
from alphapanda.fail_points import FailPoint, reach
from alphapanda.live.flatten import Ask, Flatten, Leftover, closing_of
from alphapanda.live.gate import EVERYTHING, Gate
from alphapanda.live.line import Line
from alphapanda.live.opening import Opened
from alphapanda.live.switch import KillSwitch
from alphapanda.live.walk import Walk
from alphapanda.venues.contract import Broker

audit = logger.bind(channel="audit")

ORDERS_PER_S = 10
"""So many order requests a second a broker takes."""
GRACE_S = 5.0
"""Beyond that an order is named when it is still open."""
AGAIN_S = 5.0
"""A cancel is asked for again so often: a broker that had given it up begins anew."""
LOOK_S, WATCH_S = 0.05, 0.5
"""Between two looks: until all is swept or named, and from then on."""
REPEAT_S = 60.0
"""What stays is said aloud again so often."""


class Seen(Struct):
    """One order under the kill switch. Times are monotonic seconds."""

    due_s: float
    asked_s: float


class Look(NamedTuple):
    cancels: Sequence[Order]
    """To be asked for now."""
    left: Sequence[Leftover]
    """Open, and named: no broker will hear of it, or it had its time."""
    swept: bool
    """Nothing is open that is not named."""


class Sweep:
    """One kill, until it is switched off."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}

    def look(self, orders: Sequence[Order], now_s: float, away: Mapping[str, str]) -> Look:
        """`orders` are all that may still trade; `away` says by broker why it cannot be asked.

        The operator's own closes are spared.
        """
        resting = [order for order in orders if not order.closed_by_hand]
        due_s = now_s + len(resting) / ORDERS_PER_S + GRACE_S
        seen = self._seen = {
            order.order_id: self._seen.get(order.order_id) or Seen(due_s, float("-inf")) for order in resting
        }
        cancels, left = [], []
        for order in resting:
            known = seen[order.order_id]
            if now_s - known.asked_s >= AGAIN_S:
                known.asked_s = now_s
                cancels.append(order)
            why = away.get(order.broker) or (_late(order) if now_s >= known.due_s else "")
            if why:
                left.append(_left(order, why))
        return Look(cancels, left, swept=len(left) == len(resting))


def _late(order: Order) -> str:
    if order.status is OrderStatus.UNKNOWN:
        return "nobody knows whether it is at the broker; it is cancelled when it is found"
    if order.broker_order_id is None:
        return f"it is {order.status}, and the broker has not given it a number to cancel it by"
    return "its cancel was not done in time; cancel it in the broker's own application"


def _left(order: Order, why: str) -> Leftover:
    return Leftover(
        what="order",
        order_id=order.order_id,
        broker_order_id=order.broker_order_id,
        broker=order.broker,
        strategy_id=order.strategy_id,
        symbol=order.instrument.key,
        quantity=order.signed_pending,
        status=order.status.value,
        why=why,
    )


class Sweeper:
    """One life's."""

    def __init__(self, switch: KillSwitch, gate: Gate, line: Line, opened: Opened, walk: Walk) -> None:
        self._switch = switch
        self._gate = gate
        self._line = line
        self._opened = opened
        self._walk = walk
        self._sweep = Sweep()
        self._flatten = Flatten()
        self._told: dict[Leftover, float] = {}
        self._rearmed = switch.rearmed
        switch.join(self)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._run()
        finally:
            self._switch.leave(self)

    async def _run(self) -> None:
        while True:
            turned = self._switch.turned
            pause_s = None
            if self._rearmed != self._switch.rearmed:  # it may be on once more
                self._rearmed = self._switch.rearmed
                self._sweep, self._flatten = Sweep(), Flatten()
                self._told.clear()
            if self._gate.killed:
                pause_s = LOOK_S if not await self._look() else WATCH_S
            else:
                self._switch.say([], self._switch.kills)
            with anyio.move_on_after(pause_s):
                await turned.wait()

    def hear(self, verdict: Approved | Refused) -> None:
        self._flatten.hear(verdict)

    async def _look(self) -> bool:
        """One look; whether nothing is left to be waited for."""
        kills, now_s, away = self._switch.kills, monotonic(), self._away()
        orders, execution = self._opened.cores.execution.open_orders(), self._opened.cores.execution
        found = self._sweep.look(orders, now_s, away)
        for order in found.cancels:
            self._opened.brokers[order.broker].cancel(order)
        reach(FailPoint.KILL_SWEPT)
        left, done = [*found.left], found.swept
        if self._switch.flatten:
            positions = [
                each
                for each in self._opened.cores.portfolio.positions()
                if each.quantity and self._opened.reaches(each.broker)
            ]
            closing = self._flatten.look(
                positions, orders, execution.order, now_s, self._unfilled() | away, found
            )
            for order in closing.cancels:
                self._opened.brokers[order.broker].cancel(order)
            left += closing.left
            done = done and closing.settled
            if closing.asks and self._may_ask():
                await self._close(closing.asks)
        self._alarm(left, now_s)
        self._switch.say(left, kills if done else kills - 1)
        return done

    def _may_ask(self) -> bool:
        return self._gate.ready and not self._walk.stopping

    async def _close(self, asks: Sequence[Ask]) -> None:
        """Between two turns, as every word of the operator."""
        account, risk = self._opened.account, self._opened.cores.risk
        listed = {} if account is None else {each.instrument_token: each for each in account.listing.listed}
        async with self._walk.lock:
            if not self._gate.killed or not self._may_ask():
                return
            for ask in asks:
                token = ask.position.instrument.instrument_token
                instrument = listed.get(token, ask.position.instrument)
                most = risk.most_in_one_order(instrument)
                self._flatten.asked(ask, monotonic())
                self._line.route(closing_of(ask, instrument, most, self._walk.time_ns, self._walk.row))
                await self._line.quiet.wait()

    def _away(self) -> dict[str, str]:
        """By broker, why nothing can be asked of it now."""
        found = {}
        for name, broker in self._opened.brokers.items():
            why = self._gate.holds.get((name, EVERYTHING)) or _trouble(broker)
            if why:
                found[name] = why
        return found

    def _unfilled(self) -> dict[str, str]:
        """By broker, why no order will trade any more."""
        if self._opened.rows is None or not self._walk.ended.is_set():
            return {}
        return dict.fromkeys(self._opened.brokers, "the data has ended: no price will come to close it at")

    def _alarm(self, left: Sequence[Leftover], now_s: float) -> None:
        """Each once, and again while it stays."""
        self._told = {each: self._told[each] for each in left if each in self._told}
        for each in left:
            if now_s - self._told.get(each, float("-inf")) >= REPEAT_S:
                self._told[each] = now_s
                audit.error("the kill switch is on, and {} is left: {}", each.name(), each.why)


def _trouble(broker: Broker) -> str:
    """A live broker says so itself."""
    summary = getattr(broker, "summary", None)
    return str(summary()["trouble"]) if summary is not None else ""
