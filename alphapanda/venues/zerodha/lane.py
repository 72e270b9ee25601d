"""The waiting room before the wire: order requests leave by rank, when limits, session and connections allow.

A request that need not wait leaves within `put`. One that waited leaves in a later step of the loop, and the
gate is asked again in that step: nothing awaits between the gate's yes and the write of all bytes.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import anyio
from msgspec import Struct

from alphapanda.events import Order
from alphapanda.fail_points import FailPoint, reach
from alphapanda.times import SECOND_NS, day_of
from alphapanda.venues.contract import Lets
from alphapanda.venues.zerodha.answers import Lost, Response
from alphapanda.venues.zerodha.governor import Governor, Kind
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.wire import NoConnection

OLD_NS = 3 * SECOND_NS
"""An entry or a change that waited longer is withheld: its price is of another moment."""
LOOK_S = 0.25
"""So often the gate is asked about what waits: a kill switch leaves only cancels at the latest then."""
CONNECTION_S = 0.02
"""So often a connection is looked for while there is none."""


class Sender(Protocol):
    """What the lane needs of the wire."""

    def idle(self) -> bool:
        """Could a request be written now?"""

    def send(self, request: bytes, answered: Callable[[Response | Lost], None]) -> None:
        """Write all of it now, or raise NoConnection. `answered` is called once, later."""


class _Waiting(Struct, frozen=True, eq=False):
    order: Order
    kind: Kind
    request: Callable[[], bytes]
    answered: Callable[[Response | Lost], None]
    withheld: Callable[[str], None]
    since_ns: int


class Lane:
    """`run` is its task. Every request that is put hears once: `answered` with what came of it, or `withheld`
    with why no byte of it left, which may be within `put`. Both may put again; neither may raise.

    `shared`: with so many requests under way only cancels and exits may join them, so that peers that hang do
    not hold every connection while something must be got rid of.
    """

    def __init__(
        self,
        governor: Governor,
        wire: Sender,
        session: Session,
        lets: Lets,
        *,
        shared: int = 3,
        wall_ns: Callable[[], int] = time.time_ns,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._governor, self._wire, self._session = governor, wire, session
        self._lets = lets
        self._shared = shared
        self._wall_ns, self._clock_ns = wall_ns, clock_ns
        self._queues: dict[Kind, deque[_Waiting]] = {kind: deque() for kind in Kind}
        self._wake = anyio.Event()
        self.under_way = 0
        """Written, and not answered yet."""
        session.on_death.append(self._on_death)
        session.on_renewal.append(self.wake)

    @property
    def waiting(self) -> int:
        return sum(map(len, self._queues.values()))

    def summary(self) -> dict[str, Any]:
        """For status: the budgets, and how many wait for them."""
        return self._governor.budgets(self._wall_ns(), self.waiting)

    def put(
        self,
        order: Order,
        kind: Kind,
        request: Callable[[], bytes],
        answered: Callable[[Response | Lost], None],
        withheld: Callable[[str], None],
    ) -> None:
        """Let it leave now, or wait. `request` is made in the step of the write, with the token of then.

        Cancels wait as long as it takes, a dead session included; `drop_cancel` takes them back. Exits wait
        for anything but a new day or a new login. A second cancel of an order waits for nothing new.
        """
        asked = _Waiting(order, kind, request, answered, withheld, self._clock_ns())
        if kind is Kind.CANCEL and self._waits(order.order_id, Kind.CANCEL):
            withheld("a cancel of this order waits already")
        elif not self._session.alive and kind is not Kind.CANCEL:
            withheld(self._dead(self._session.why))
        elif any(self._queues[rank] for rank in Kind if rank <= kind) or self._later(asked) is not None:
            self._queues[kind].append(asked)
            self.wake()

    def drop(self, order_id: str) -> bool:
        """Take back the order if it still waits to be placed: it is withheld. Changes and cancels stay."""
        return self._drop(order_id, Kind.ENTRY, Kind.EXIT)

    def drop_cancel(self, order_id: str) -> bool:
        """Take back a cancel that waits: its order has ended."""
        return self._drop(order_id, Kind.CANCEL)

    def empty(self, why: str) -> None:
        """Nothing that waits leaves: all of it is withheld. No request is under way any more."""
        for asked in self._all():
            if self._leaves(asked):
                asked.withheld(why)
        self.under_way = 0

    def wake(self) -> None:
        """Something changed: see who may leave."""
        self._wake.set()

    async def run(self) -> None:
        """Let out what waits, until cancelled."""
        while True:
            self._wake = anyio.Event()
            with anyio.move_on_after(self.release()):
                await self._wake.wait()

    def release(self) -> float | None:
        """Let out whoever may leave now; seconds after which to ask again, None: when something changes."""
        self._sort_out()
        soonest: float | None = None
        for kind in Kind:
            queue = self._queues[kind]
            while queue:
                asked = queue.popleft()
                later = self._later(asked)
                if later is None:
                    continue
                queue.appendleft(asked)
                soonest = later if soonest is None else min(soonest, later)
                break
        if soonest is None or (not self._session.alive and self.waiting == len(self._queues[Kind.CANCEL])):
            return None
        return min(soonest, LOOK_S)

    # one of them

    def _later(self, asked: _Waiting) -> float | None:
        """None: it left, or was withheld. Else in how many seconds to ask again. Never awaits."""
        if not self._session.alive or not self._wire.idle():
            return CONNECTION_S
        if not asked.kind.reduces and self.under_way >= self._shared:
            return CONNECTION_S
        if self._stopped(asked):
            return None
        wall = self._wall_ns()
        at = self._governor.take(asked.kind, wall)
        if at:
            return None if self._never(asked, at, wall) else (at - wall) / SECOND_NS
        try:
            self._wire.send(asked.request(), self._told(asked))
        except NoConnection:  # the peer closed it since we looked; no byte left
            return CONNECTION_S
        self.under_way += 1
        return None

    def _told(self, asked: _Waiting) -> Callable[[Response | Lost], None]:
        def told(answer: Response | Lost) -> None:
            self.under_way -= 1
            reach(FailPoint.ANSWER_RECEIVED)
            if isinstance(answer, Response) and answer.status == 429:
                self._governor.limited(asked.kind, self._wall_ns())
            self.wake()
            asked.answered(answer)
            reach(FailPoint.ANSWER_BOOKED)

        return told

    def _stopped(self, asked: _Waiting) -> bool:
        """The gate has closed, and it is told so."""
        if asked.kind is Kind.CANCEL or self._lets(asked.order):
            return False
        asked.withheld("the gate was closed before it left")
        return True

    def _never(self, asked: _Waiting, at_ns: int, wall_ns: int) -> bool:
        """The budget comes too late for it, and it is told so."""
        if day_of(at_ns) != day_of(wall_ns) and asked.kind.places:
            asked.withheld("Zerodha's orders of this day are used up")
            return True
        wait_ns = at_ns - wall_ns + self._clock_ns() - asked.since_ns
        if asked.kind.reduces or wait_ns <= OLD_NS:
            return False
        room_s = (at_ns - wall_ns) / SECOND_NS
        asked.withheld(f"Zerodha's limits have room for it only in {room_s:.1f} s: its price would be old")
        return True

    # all of them

    def _sort_out(self) -> None:
        """Withhold what is too old, or may not leave any more."""
        if not self.waiting:
            return
        oldest = self._clock_ns() - OLD_NS
        for asked in self._all():
            if not asked.kind.reduces and asked.since_ns < oldest:
                if self._leaves(asked):
                    asked.withheld(f"it waited over {OLD_NS // SECOND_NS} s to be sent: its price is old")
            elif asked.kind is not Kind.CANCEL and not self._lets(asked.order) and self._leaves(asked):
                asked.withheld("the gate was closed before it left")

    def _on_death(self, why: str) -> None:
        for asked in self._all():
            if asked.kind is not Kind.CANCEL and self._leaves(asked):
                asked.withheld(self._dead(why))

    def _drop(self, order_id: str, *kinds: Kind) -> bool:
        mine = [asked for asked in self._all() if asked.order.order_id == order_id and asked.kind in kinds]
        for asked in mine:
            if self._leaves(asked):
                asked.withheld("it was taken back before it left")
        return bool(mine)

    def _waits(self, order_id: str, kind: Kind) -> bool:
        return any(asked.order.order_id == order_id for asked in self._queues[kind])

    def _all(self) -> list[_Waiting]:
        """As they are now: whoever is told may put and drop others."""
        return [asked for queue in self._queues.values() for asked in queue]

    def _leaves(self, asked: _Waiting) -> bool:
        """Out of its queue; False when somebody took it meanwhile."""
        queue = self._queues[asked.kind]
        if asked not in queue:
            return False
        queue.remove(asked)
        return True

    @staticmethod
    def _dead(why: str) -> str:
        return f"session dead: {why}"
