"""The Zerodha broker: order requests by the lane, what became of them by Kite's books (`follow`, `reading`).

An order request is written once. Its answer proves something or nothing; from then on only the books are
asked, and `reconciliation` decides what they prove. Updates of the ticker, and answers, only say that it is
time to read them.

Where its tasks have failed and are run again, that is a restart: what was under way is in doubt, and nothing
new leaves before the books are read and compared.
"""

import time
from collections.abc import Callable
from typing import Any

import anyio
from anyio.abc import TaskStatus
from loguru import logger

from alphapanda.events import Money, Order, PositionEffect, Report, ReportKind, TickBatch
from alphapanda.fail_points import FailPoint, reach
from alphapanda.times import SECOND_NS
from alphapanda.venues.contract import Lets, Reporter
from alphapanda.venues.zerodha.answers import Lost, Outcome, Proof, Response, outcome_of
from alphapanda.venues.zerodha.book_rows import BookRead, OrderRow, TradeRow, stamp_ns
from alphapanda.venues.zerodha.books import Books
from alphapanda.venues.zerodha.cancels import RESTS, Cancels
from alphapanda.venues.zerodha.clock import MarketClock
from alphapanda.venues.zerodha.follow import UNANSWERED, Follower
from alphapanda.venues.zerodha.followed import Followed
from alphapanda.venues.zerodha.governor import Governor, Kind
from alphapanda.venues.zerodha.holds import EVERYTHING, Holds
from alphapanda.venues.zerodha.lane import Lane
from alphapanda.venues.zerodha.lingering import PATIENCE_S, Lingering
from alphapanda.venues.zerodha.reading import START_S, Need, Reading
from alphapanda.venues.zerodha.reconciliation import Reconciliation, Resolutions
from alphapanda.venues.zerodha.requests import AUTOMATIC, Requests
from alphapanda.venues.zerodha.roots import TIMEOUT_S, Roots
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.wire import Wire

trading = logger.bind(channel="trading")

ANSWER_S = 3.0
"""What `answered` waits beyond the time-out of the wire."""
DOUBT, FOUND = "doubt", "found"
"""Who holds a symbol."""
STOPPED = "stopped"
"""Who holds everything."""
UNTRADED = (ReportKind.REJECTED, ReportKind.ABSENT)


def _on_report(_order: Order, _report: Report) -> None:
    """Nobody else listens."""


def _on_book(_resolutions: Resolutions) -> None:
    """Nobody tells the rest."""


def _touched(_order: Order) -> None:
    """Nobody compares."""


def _on_found(_order: Order, _was: str) -> None:
    """Nobody writes it down."""


class ZerodhaBroker:
    """`reconciliation` has what the journal says of it. `hold` and `release` are the gate's, by symbol.

    Whoever compares sets, before `run`: `reading.compare`, awaited at the start and after a renewal of the
    session, before anything trades; `on_report`, told of every report on an order of ours, with the order as
    it is then; `on_book`, who tells what else a good reading has brought, after those reports; `touched`,
    told when something may happen to an order; `on_found`, of an order that had ended and is there after all.
    `holds` is there for them too.
    """

    name = "zerodha"
    matches = False

    def __init__(
        self,
        *,
        reconciliation: Reconciliation,
        roots: Roots,
        session: Session,
        books: Books,
        governor: Governor,
        clock: MarketClock,
        hold: Callable[[str, str], None],
        release: Callable[[str], None],
        market_protection: Money = AUTOMATIC,
        timeout_s: float = TIMEOUT_S,
        start_s: float = START_S,
    ) -> None:
        self.holds = Holds(hold, release)
        self.on_report: Callable[[Order, Report], None] = _on_report
        self.on_book: Callable[[Resolutions], None] = _on_book
        self.touched: Callable[[Order], None] = _touched
        self.on_found: Callable[[Order, str], None] = _on_found
        self._session = session
        self._clock = clock
        self._protection = market_protection
        self._governor = governor
        self._wire = Wire(roots, timeout_s=timeout_s)
        self._requests = Requests(roots, session)
        self._report: Reporter
        self._lets: Lets = lambda _order: False
        self._lane = Lane(governor, self._wire, session, self._may_leave)
        self._reconciliation = reconciliation
        self._cancels = Cancels()
        self._lingering = Lingering(max(PATIENCE_S, 2 * reconciliation.quiet_period_s))
        self._heard = anyio.Event()
        self._ran = False
        session.on_death.append(self._on_death)
        self.reading = Reading(books, session, self.holds, self._read, self._need, start_s=start_s)

    @property
    def _follower(self) -> Follower:
        """Another one after a restart of the tasks."""
        return self._reconciliation.follower

    # the contract

    def attach(self, report: Reporter, lets: Lets) -> None:
        self._report = report
        self._lets = lets

    def on_ticks(self, batch: TickBatch) -> None:
        """Kite matches."""

    def place(self, order: Order) -> None:
        self._reconciliation.placed(order)
        self.touched(order)
        sent = _Sent(self._session)
        reduces = order.position_effect is PositionEffect.CLOSE
        self._lane.put(
            order,
            Kind.EXIT if reduces else Kind.ENTRY,
            lambda: sent.by(self._requests.place(order, market_protection=self._protection)),
            lambda answer: self._placed(order, answer, sent),
            lambda why: self._withheld(order, why),
        )

    def cancel(self, order: Order) -> None:
        """What waits is taken back; what is at Zerodha, or may be, is cancelled once its id is known."""
        if order.order_id not in self._follower:
            return  # not ours: adopted, and traded at the broker already
        known = self._follower.order(order.order_id)
        if known.status.ended or self._lane.drop(order.order_id):
            return
        if order.order_id in self._cancels and self._cancels.given_up(order.order_id):
            self._cancels.forget(order.order_id)
        self._cancels.want(order.order_id)
        self._press(order.order_id)

    def modify(self, order: Order, told: Callable[[str], None], **changes: Any) -> None:
        """Ask for a change; the keywords are those of `Requests.modify`. What became of it the book says;
        `told` hears why it did not leave or was refused, "" when Kite took it or nobody knows.
        """
        known = self._follower.order(order.order_id)
        if known.broker_order_id is None or known.status.ended:
            told(f"order {order.order_id} is {known.status} and cannot be changed")
            return
        if not self._governor.modified(known.broker_order_id):
            told(f"order {order.order_id} has had all its changes: cancel it, and place a new one")
            return
        self.touched(known)
        sent = _Sent(self._session)

        def answered(answer: Response | Lost) -> None:
            outcome = self._outcome(answer, sent)
            told(outcome.reason or "refused" if outcome.proof is Proof.REJECTED else "")

        def withheld(why: str) -> None:
            self._hear()
            told(why)

        def request() -> bytes:
            return sent.by(self._requests.modify(known, **changes))

        self._lane.put(known, Kind.MODIFY, request, answered, withheld)

    async def answered(self) -> None:
        """Bounded: a request is lost after its time-out. What waits for the next login is not waited for."""
        with anyio.move_on_after(self._wire.timeout_s + ANSWER_S):
            while self._lane.under_way or (self._lane.waiting and self._session.alive):
                await self._heard.wait()

    def wake(self) -> None:
        """Something happened to an order: read the books."""
        self.reading.wake()

    async def refresh(self) -> None:
        """Read the books once, and take what they say. Raises Transient."""
        await self.reading.refresh()

    def summary(self) -> dict[str, Any]:
        wire = self._wire.summary()
        ready = wire["connections"]["ready"] > 0
        return {
            "connected": self._session.alive and not self.reading.trouble and ready,
            "trouble": self.reading.trouble,
            "books_age_s": self.reading.age_s(),
            "unknown": len(self._follower.doubted()),
            "wire": wire,
            "budgets": self._lane.summary(),
        }

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        again, self._ran = self._ran, True
        if again:
            self._begin_anew()
        try:
            async with anyio.create_task_group() as group:
                await group.start(self._wire.run)
                group.start_soon(self._lane.run)
                self._doubt()
                reach(FailPoint.DOUBTED_AT_START)
                await self.reading.open(again=again)
                self.holds.release(STOPPED, EVERYTHING)
                group.start_soon(self.reading.watch)
                task_status.started()
        finally:
            self._stop()

    def _stop(self) -> None:
        """Nothing can leave any more: what waited is withheld, and nothing new is taken."""
        self.holds.hold(STOPPED, EVERYTHING, "it has stopped, and its books are not read again yet")
        self._lane.empty("the broker was stopped before it left")

    def _begin_anew(self) -> None:
        self._stop()
        self._reconciliation.begin_anew()
        wanted, self._cancels = self._cancels.wanted(), Cancels()
        for order_id in wanted:
            self._cancels.want(order_id)

    # answers

    def _placed(self, order: Order, answer: Response | Lost, sent: "_Sent") -> None:
        outcome = self._outcome(answer, sent)
        order_id, now_ns, follower = order.order_id, self._clock.now_ns(), self._follower
        if outcome.ip_refused:
            trading.error("Zerodha refuses orders of this machine: {}", outcome.reason)
        if outcome.proof is Proof.ACKED and follower.is_anothers(outcome.broker_order_id, order_id):
            why = f"the answer names order {outcome.broker_order_id}, which is another of ours"
            trading.error("order {} is in doubt: {}; the order book decides", order_id, why)
            followed = follower.in_doubt(order_id, time.monotonic(), now_ns, why)
        elif outcome.proof is Proof.ACKED:
            followed = follower.acked(order_id, outcome.broker_order_id, now_ns)
        elif outcome.proof is Proof.UNKNOWN:
            trading.warning("order {} is in doubt: {}; the order book decides", order_id, outcome.reason)
            followed = follower.in_doubt(order_id, time.monotonic(), now_ns, outcome.reason)
        elif isinstance(answer, Lost):
            followed = follower.withheld(order_id, outcome.reason, now_ns)
        else:
            followed = follower.rejected(order_id, outcome.reason, now_ns)
        self._take(followed)

    def _withheld(self, order: Order, why: str) -> None:
        self._hear()
        self._take(self._follower.withheld(order.order_id, why, self._clock.now_ns()))

    def _press(self, order_id: str) -> None:
        """Ask for the cancel of an order that is wanted back, if it is time."""
        order, now_s = self._follower.order(order_id), time.monotonic()
        if order.status.ended:
            self._cancels.forget(order_id)
            self._lane.drop_cancel(order_id)
            return
        if not self._cancels.ask(order, self._follower.row(order_id), now_s, self.reading.asked_s):
            return
        self.touched(order)
        reach(FailPoint.CANCEL_ASKED)
        sent = _Sent(self._session)
        self._lane.put(
            order,
            Kind.CANCEL,
            lambda: sent.by(self._requests.cancel(order)),
            lambda answer: self._cancelled(order_id, answer, sent),
            lambda _why: self._cancel_withheld(order_id),
        )

    def _cancel_withheld(self, order_id: str) -> None:
        self._hear()
        self._cancels.answered(order_id, time.monotonic(), again=True)

    def _cancelled(self, order_id: str, answer: Response | Lost, sent: "_Sent") -> None:
        """Kite takes cancels; only the book knows them done."""
        outcome = self._outcome(answer, sent)
        again = outcome.limited or outcome.token_dead
        self._cancels.answered(order_id, time.monotonic(), again=again)
        if outcome.proof is not Proof.ACKED:
            taken = "was not taken" if outcome.proof is Proof.REJECTED else "may not have been taken"
            trading.warning("the cancel of order {} {}: {}", order_id, taken, outcome.reason)
        if order_id in self._cancels and self._cancels.given_up(order_id):
            trading.error("order {} cannot be cancelled: {}; cancel it in Kite", order_id, outcome.reason)
        elif again and order_id in self._cancels:
            self._press(order_id)

    def _outcome(self, answer: Response | Lost, sent: "_Sent") -> Outcome:
        self._hear()
        outcome = outcome_of(answer)
        if outcome.token_dead:
            self._session.died(sent.epoch, outcome.reason)
        self.wake()
        return outcome

    def _hear(self) -> None:
        """A request waits no more."""
        self._heard.set()
        self._heard = anyio.Event()

    def _take(self, followed: Followed) -> None:
        """Tell what was learnt, and do what follows from it."""
        for order, report in zip(followed.after, followed.reports, strict=True):
            self._report(report)
            self._reconciliation.told(order, report)
            self.on_report(order, report)
            if report.kind in UNTRADED:
                name = f"{order.order_id} ({order.transaction_type} {order.quantity} {order.instrument.key})"
                trading.warning("order {} is {}: {}", name, order.status, report.reason or "no reason given")
        for alarm in followed.alarms:
            trading.error("{}", alarm)
        for order, was in followed.found:
            why = f"order {order.order_id} was {was}, and Zerodha has it as {order.broker_order_id}"
            trading.error("{}; it is followed again", why)
            self.holds.hold(FOUND, order.instrument.key, why)
            self.on_found(order, was)
        doubted = {
            each.instrument.key: f"order {each.order_id} is in doubt" for each in self._follower.doubted()
        }
        self.holds.only(DOUBT, doubted)
        for order_id in self._cancels.wanted():
            self._press(order_id)

    # books

    def _doubt(self) -> None:
        """What was under way when we last stopped is in doubt until the books say."""
        now_s, now_ns, why = time.monotonic(), self._clock.now_ns(), "not known after a restart"
        for order in self._follower.living():
            if order.status in UNANSWERED:
                self._take(self._follower.in_doubt(order.order_id, now_s, now_ns, why))

    def _read(self, orders: BookRead[OrderRow], trades: BookRead[TradeRow]) -> None:
        """A good reading. The newest of Kite's own stamps moves the market's clock; as text they sort."""
        stamps = [row.exchange_update_timestamp or row.order_timestamp or "" for row in orders.rows]
        stamps += [row.fill_timestamp or "" for row in trades.rows]
        self._clock.saw(stamp_ns(max(stamps, default=""), 0) // SECOND_NS)
        now_ns = self._clock.now_ns()
        resolutions = self._reconciliation.reconcile(orders, trades, now_ns)
        self._take(resolutions.followed)
        self.on_book(resolutions)
        self._reconciliation.all_told(now_ns)
        living = [(order, self._follower.row(order.order_id)) for order in self._follower.living()]
        for alarm in self._lingering.look(living, time.monotonic()):
            trading.error("{}", alarm)

    def _need(self) -> Need:
        """How soon the books are to be read again."""
        follower = self._follower
        living = follower.living()
        if follower.unsettled or self._cancels.wanted() or any(map(self._moves, living)):
            return Need.SOON
        return Need.OPEN if living else Need.NONE

    def _moves(self, order: Order) -> bool:
        """On its way at Zerodha: no update tells where it comes to rest."""
        row = self._follower.row(order.order_id)
        return order.broker_order_id is not None and (row is None or row.status not in RESTS)

    # the session

    def _may_leave(self, order: Order) -> bool:
        return self._lets(order)

    def _on_death(self, _why: str) -> None:
        resting = [f"{order.order_id} ({order.instrument.key})" for order in self._follower.living()]
        trading.error("orders that stay at Zerodha meanwhile: {}", ", ".join(resting) or "none")


class _Sent:
    """With which token a request left."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.epoch = session.epoch

    def by(self, request: bytes) -> bytes:
        self.epoch = self._session.epoch
        return request
