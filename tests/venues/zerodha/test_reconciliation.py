"""The journal beside the broker's books, as a state machine: whatever happens at Kite, whatever its books
leave out or repeat, wherever we crash, no order is lost or doubled, no fill is, and nothing differs.
"""

import asyncio
from itertools import pairwise

import pytest
from builders import BUY, INFY, SELL
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from kite_model import BROKER, OURS, QUIET_S, SHARES, Kite, Ours, begun, read

from alphapanda.core.comparison import Reconciled
from alphapanda.errors import Fatal
from alphapanda.events import Booked, OrderClosed, OrderOpened, OrderStatus, OrderUpdated, ReportKind
from alphapanda.store.recovery import fold

S, K = OrderStatus, ReportKind
TAKEN, REFUSED_BY_ROW, LOST, REFUSED, WITHHELD, TOO_LATE = (
    *("taken", "rejected", "lost", "refused", "withheld", "too late"),
)
THERE = (TAKEN, REFUSED_BY_ROW, TOO_LATE)
NO_TRADE = (S.NOT_FOUND, S.REJECTED, S.WITHHELD)
sides, units = st.sampled_from([BUY, SELL]), st.integers(1, 4)


class Reconciliation(RuleBasedStateMachine):
    """One account: two strategies of ours, its owner, and the broker's own desk, all in one symbol."""

    @initialize()
    def begin(self):
        self.loop = asyncio.new_event_loop()
        self.kite, self.journal = Kite(), []
        self.fates, self.ids, self.tags = {}, {}, []
        """Of today's orders: what became of the request, and Kite's id; tags of all requests."""
        self.replies = []
        self.kept, self.shown, self.blind = [], {}, True
        self.signals = 0
        self.ours = Ours(self.kite, self.journal, self.loop)
        self.ours.start()

    # we

    @rule(
        strategy_id=st.sampled_from("ab"),
        side=sides,
        quantity=units,
        fate=st.sampled_from([TAKEN] * 4 + [REFUSED_BY_ROW, LOST, REFUSED, WITHHELD, TOO_LATE]),
        replied=st.booleans(),
        lag_s=st.sampled_from([0.0, 0.0, 0.5, 3.0, 8.0]),
    )
    def place(self, strategy_id, side, quantity, fate, replied, lag_s):
        self.signals += 1
        order = self.ours.ask(strategy_id, side, quantity, self.signals)
        self.tags += self.ours.requests
        self.ours.requests.clear()
        self.fates[order.order_id] = fate
        if fate in THERE:
            status = "REJECTED" if fate == REFUSED_BY_ROW else "PUT ORDER REQ RECEIVED"
            lag_s = 12 * QUIET_S if fate == TOO_LATE else lag_s
            self.ids[order.order_id] = self.kite.take(order, lag_s, status)
        silent = fate in (LOST, TOO_LATE) or not replied
        self.replies.append((order.order_id, "none" if silent else fate))

    @precondition(lambda self: self.replies)
    @rule(which=st.integers(0, 30))
    def answer(self, which):
        order_id, what = self.replies.pop(which % len(self.replies))
        follower, now_ns = self.ours.follower, self.kite.time_ns
        if what in THERE:
            followed = follower.acked(order_id, self.ids[order_id], now_ns)
        elif what == REFUSED:
            followed = follower.rejected(order_id, "no", now_ns)
        elif what == WITHHELD:
            followed = follower.withheld(order_id, "the gate", now_ns)
        else:
            followed = follower.in_doubt(order_id, self.kite.now_s, now_ns)
        self.ours.take(followed)
        self.ours.carry()

    @rule()
    def commit(self):
        self.ours.commit()

    @rule(kept=st.integers(0, 12))
    def crash(self, kept):
        """Only so much of what was tapped last is in the file."""
        pending = self.ours.pending
        self.journal += pending[: max(0, len(pending) - kept)]
        self.restart()

    def restart(self):
        self.replies.clear()
        self.shown.clear()
        self.blind = True
        self.ours = Ours(self.kite, self.journal, self.loop)
        assert not self.ours.requests, "nothing is sent again"
        self.ours.start()
        assert not self.ours.halts

    # Kite, its owner, and its desk

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, QUIET_S, 13 * QUIET_S]))
    def wait(self, seconds):
        self.kite.now_s += seconds

    @precondition(lambda self: self.kite.living())
    @rule(which=st.integers(0, 30), quantity=units)
    def fill(self, which, quantity):
        living = self.kite.living()
        self.kite.fill(living[which % len(living)], quantity)

    @precondition(lambda self: self.kite.living())
    @rule(which=st.integers(0, 30), status=st.sampled_from(["CANCELLED", "OPEN", "CANCEL PENDING"]))
    def change(self, which, status):
        living = self.kite.living()
        self.kite.change(living[which % len(living)], status)

    @rule(side=sides, quantity=units, shares=st.booleans(), traded=st.integers(0, 4))
    def by_hand(self, side, quantity, shares, traded):
        order_id = self.kite.by_hand(side.value, quantity, shares=shares)
        if traded:
            self.kite.fill(order_id, traded)

    @rule()
    def square_off(self):
        self.kite.square_off()

    # the books

    @rule(how=st.sampled_from(["good", "good", "stale", "behind", "partial", "no trades yet", "unreadable"]),
          age_s=st.sampled_from([0.5, 4.0, 30.0]), cut=st.integers(0, 255))  # fmt: skip
    def look(self, how, age_s, cut):
        """A bad one that nobody could tell from a good one never comes twice in a row."""
        self.kite.now_s += 0.25
        now_s = self.kite.now_s
        whole = self.kite.books(now_s)
        rows, trades = whole
        if how == "stale":
            rows, trades = self.kite.books(now_s - age_s)
        elif how == "behind":  # a cache of Kite's that has not the newest orders
            rows = [each for each in rows if each.order_id in self.shown]
        elif how == "partial":
            rows = [each for number, each in enumerate(rows) if (cut >> number % 8) & 1]
        elif how == "no trades yet":
            trades = self.kite.books(now_s - age_s)[1]
        told = {each.order_id: each for each in rows}
        noticed = any(
            each.order_id not in told or told[each.order_id].says_less_than(each)
            for each in self.shown.values()
        )
        lacks = len(told) < len(whole[0])
        if lacks and not noticed and self.blind:
            rows, trades, lacks = *whole, False
        self.blind = lacks and not noticed
        self.kept.append((rows, trades))
        self.apply(rows, trades, int(how == "unreadable"))

    @precondition(lambda self: not self.blind)
    @rule(strategy_id=st.sampled_from("ab"), side=sides, quantity=units)
    def one_book_lacks_what_nobody_answered(self, strategy_id, side, quantity):
        """Kite took it, and long after the quiet period one book, which looks whole, has it not."""
        self.place(strategy_id, side, quantity, TAKEN, replied=False, lag_s=0.0)
        self.answer(len(self.replies) - 1)
        self.kite.now_s += 2 * QUIET_S
        self.look("behind", 0.5, 0)

    @precondition(lambda self: self.kept)
    @rule(which=st.integers(0, 30))
    def again(self, which):
        """An answer of earlier comes late: nothing is new in it."""
        follower, asked_s = self.ours.follower, self.kite.now_s
        self.kite.now_s = -1.0
        self.apply(*self.kept[which % len(self.kept)])
        self.kite.now_s = asked_s
        assert follower is self.ours.follower

    def apply(self, rows, trades, unreadable=0):
        for each in rows:
            known = self.shown.get(each.order_id)
            if known is None or not each.says_less_than(known):
                self.shown[each.order_id] = each
        self.ours.apply(rows, trades, unreadable)

    @rule(which=st.integers(0, 30), quantity=units)
    def compare(self, which, quantity):
        """While it is asked something trades: that is no difference."""
        living = self.kite.living()
        trades = (lambda: self.kite.fill(living[which % len(living)], quantity)) if living else None
        self.ours.compare(trades)
        self.remember()
        assert not self.ours.comparer.differences
        assert self.sums() == {key: net for key, net in self.kite.net.items() if net}

    def remember(self):
        """A good book was read."""
        self.shown = {each.order_id: each for each in self.kite.books(self.kite.now_s)[0]}
        self.blind = False

    @rule()
    def begin_from_the_journal_with_the_same_books(self):
        """Journal and books decide, and nothing else: who knows both already learns nothing."""
        self.look("good", 0.0, 0)
        books = read(*self.kite.books(self.kite.now_s), self.kite.now_s)
        again = begun(fold([*self.journal, *self.ours.pending])).reconcile(*books, self.kite.time_ns)
        learnt = again.followed
        assert (learnt.reports, learnt.alarms, learnt.found) == ([], [], [])
        assert (again.over, again.trades, again.orders) == ([], [], [])

    def sums(self):
        ours, external = self.ours.book(), self.ours.external.units
        net = {key: ours.get(key, 0) + external.get(key, 0) for key in {*ours, *external}}
        return {key: units for key, units in net.items() if units}

    # the operator, and the night

    @rule(moved=st.integers(-3, 3).filter(bool), adopts=st.booleans(), strategy_id=st.sampled_from("ab"))
    def settle(self, moved, adopts, strategy_id):
        """A position changes and no trade says why: the operator decides whose it is."""
        self.ours.compare()
        self.kite.net[OURS] = self.kite.net.get(OURS, 0) + moved
        look = self.ours.look()
        while OURS in look.touched:  # what moves is left out
            look = self.ours.look()
        (difference,) = look.differences
        assert difference.missing == moved
        said = {"by": "uid 7", "reason": "test"}
        owed = self.kite.net[OURS] - self.ours.book().get(OURS, 0)
        if adopts and owed:
            given = {"product": None, "price": None} | said
            outputs = self.ours.settling.adopted(look, INFY, strategy_id, **given)
        else:
            outputs = [self.ours.settling.ignored(look, INFY.key, None, **said)]
        self.ours.carry(*outputs)
        self.ours.commit()
        self.ours.compare()
        self.remember()
        assert not self.ours.comparer.differences

    @precondition(lambda self: self.found())
    @rule()
    def accept(self):
        order_id = next(iter(self.found()))
        self.ours.settling.accept(order_id, "uid 7", "test")
        self.ours.commit()

    def found(self):
        known = fold([*self.journal, *self.ours.pending]).reconciled.get(BROKER, Reconciled())
        return known.found

    @rule(given_=st.integers(-2, 5))
    def sleep(self, given_):
        """The broker closes what is intraday, the books forget, and the owner is given shares."""
        self.kite.now_s += 20 * QUIET_S
        self.kite.square_off()
        for order_id in self.kite.living():
            self.kite.change(order_id, "CANCELLED")
        self.quieten()
        self.ours.end_of_day()
        assert not self.ours.halts
        self.judge()
        self.ours.commit()
        self.kite.next_day(given_)
        self.fates.clear()
        self.ids.clear()
        self.kept.clear()
        self.restart()
        assert self.ours.external.units.get(SHARES, 0) == self.kite.net[SHARES]

    # what is always so

    @invariant()
    def every_fill_is_the_brokers_and_booked_once(self):
        """I4."""
        trades = [fill.trade_id for fill in self.all_fills()]
        assert len(trades) == len(set(trades))

    @invariant()
    def what_is_in_doubt_counts_in_full(self):
        """I8: the book that limits are held against has every order that may trade."""
        book = self.ours.cores.portfolio.books()[BROKER]
        living = {order.order_id: order for order in self.ours.cores.execution.open_orders()}
        assert book.orders == living
        for order in self.ours.follower.doubted():
            assert living[order.order_id].status in (S.UNKNOWN, S.PREPARED, S.SENT)

    @invariant()
    def no_order_is_given_up_that_the_broker_has(self):
        """I5: not before the quiet period, and not because of a book that was not whole."""
        absent = {report.order_id for report in self.ours.reports if report.kind is K.ABSENT}
        assert not {order_id for order_id in absent if self.fates.get(order_id) in (TAKEN, REFUSED_BY_ROW)}

    @invariant()
    def no_request_is_made_twice(self):
        """I2."""
        assert len(self.tags) == len(set(self.tags))

    @invariant()
    def nothing_halts_and_only_what_was_found_is_held(self):
        assert not self.ours.halts
        wanted = {INFY.key} if self.found() else set()
        assert set(self.ours.held) == wanted

    @invariant()
    def the_journal_folds_to_what_is_there(self):
        """I14."""
        if not hasattr(self, "ours"):
            return
        told = fold([*self.journal, *self.ours.pending])
        orders = {order.order_id: order for order in told.saved.orders}
        assert {o.order_id: o for o in orders.values() if not o.status.ended} == {
            order.order_id: order for order in self.ours.cores.execution.open_orders()
        }
        known = told.reconciled.get(BROKER, Reconciled())
        assert {k: n for k, n in known.external.items() if n} == dict(self.ours.external.units)

    def all_fills(self):
        return fold([*self.journal, *self.ours.pending]).saved.fills

    # the end

    def quieten(self):
        """Every answer is there, and good books, until nothing is in doubt."""
        while self.replies:
            self.answer(0)
        for _ in range(4):
            self.kite.now_s += 3 * QUIET_S
            self.look("good", 0.0, 0)

    def judge(self):
        """Today's orders and trades are Kite's, all of them."""
        self.ours.compare()
        self.remember()
        assert not self.ours.comparer.differences
        engine = self.ours.cores.execution
        for order_id, fate in self.fates.items():
            order = engine.order(order_id)
            if order_id not in self.ids:
                assert order.status in NO_TRADE, fate
                continue
            row = self.kite.newest(self.ids[order_id])
            ended = {"COMPLETE": S.FILLED, "CANCELLED": S.CANCELLED, "REJECTED": S.REJECTED}
            lives = S.PARTIAL if row.filled_quantity else S.OPEN
            assert order.status is ended.get(row.status, lives), fate
            assert order.filled_quantity == row.filled_quantity
        mine = {id_: order_id for order_id, id_ in self.ids.items()}
        traded = {row.trade_id: row for _, row in self.kite.trades if row.order_id in mine}
        booked = {fill.trade_id: fill for fill in self.all_fills() if fill.order_id in self.fates}
        assert {key: (mine[row.order_id], row.quantity, row.price) for key, row in traded.items()} == {
            key: (fill.order_id, fill.quantity, fill.price) for key, fill in booked.items()
        }

    def teardown(self):
        if not hasattr(self, "ours"):
            return
        try:
            self.kite.now_s += 20 * QUIET_S
            self.quieten()
            self.judge()
            self.ours.commit()
            monotone(self.journal)
            self.restart()
            self.judge()
        finally:
            self.loop.close()


@pytest.fixture
def ours():
    loop = asyncio.new_event_loop()
    started = Ours(Kite(), [], loop)
    started.start()
    yield started
    loop.close()


def test_a_step_that_was_not_told_to_its_end_lets_nothing_trade_before_a_start(ours):
    order_id = ours.kite.by_hand("SELL", 1)
    ours.kite.fill(order_id, 1)

    def breaks(_event):
        raise ValueError("the disk")

    ours.comparer._publish = breaks
    with pytest.raises(ValueError, match="the disk"):
        ours.apply(*ours.kite.books(ours.kite.now_s))
    assert ours.reconciliation.by_half
    with pytest.raises(Fatal, match="may be booked by half: only a start helps"):
        ours.compare_at_start()
    restarted = Ours(ours.kite, ours.journal, ours._loop)
    restarted.start()
    assert restarted.external.units[OURS] == -1
    assert not restarted.reconciliation.by_half


def monotone(journal):
    """I12: an end is final, but for the ways back of what never traded, and for fills that cross a cancel."""
    states = {}
    for event in journal:
        if isinstance(event, OrderOpened | OrderUpdated | OrderClosed | Booked):
            states.setdefault(event.order.order_id, []).append(event.order)
    for orders in states.values():
        for before, after in pairwise(orders):
            assert after.filled_quantity >= before.filled_quantity
            if before.status is S.FILLED:
                raise AssertionError(after)
            if before.status is S.CANCELLED:
                assert after.filled_quantity > before.filled_quantity
            elif before.status in NO_TRADE:
                assert after.status in (S.OPEN, S.REJECTED, S.CANCELLED)


TestReconciliation = Reconciliation.TestCase
TestReconciliation.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
