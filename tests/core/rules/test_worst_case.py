"""No sequence of signals, reports and late snapshots brings the worst case over a limit."""

from builders import BUY, CLOSE, INFY, OPEN, SELL, TEN_NS, batch, report, signal, tick
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from alphapanda.core import rules
from alphapanda.core.execution import TradingEngine
from alphapanda.core.portfolio import PortfolioManager
from alphapanda.core.risk import RiskManager
from alphapanda.events import Approved, Halt, Money, OrderStatus, ReportKind, Resume, Snapshot, Voided

S, K = OrderStatus, ReportKind

LIMIT_QUANTITY = 10
CASH = Money(1500)
STRATEGIES = ("one", "two")


class Exposure(RuleBasedStateMachine):
    """Risk, execution and portfolio, joined by hand, so that every message may be late.

    Prices stand still and charges are nil: what is asked is whether anything is ever claimed twice.
    """

    def __init__(self):
        super().__init__()
        checks = (rules.MaximumPositionQuantity(LIMIT_QUANTITY), rules.AvailableCash())
        self.risk = RiskManager(checks, {"paper": "MIS"}, tag_seed="test", instruments=(INFY,))
        self.engine = TradingEngine()
        self.portfolio = PortfolioManager({"paper": CASH})
        self.risk.on(Snapshot(self.portfolio.books()))
        self.risk.on(batch(tick()))
        self.approved, self.to_portfolio, self.snapshot = [], [], None
        self.held = dict.fromkeys(STRATEGIES, 0)
        self.trades = 0
        self.ended = set()

    @rule(
        side=st.sampled_from([BUY, SELL]),
        effect=st.sampled_from([OPEN, CLOSE]),
        quantity=st.integers(1, 12),
        owner=st.sampled_from(STRATEGIES),
    )
    def signalled(self, side, effect, quantity, owner):
        asked = signal(side, quantity, position_effect=effect, strategy_id=owner)
        self.approved += [answer for answer in self.risk.on(asked) if isinstance(answer, Approved)]
        if effect is CLOSE and self.approved and self.approved[-1].signal is asked:
            self.the_exit_does_not_turn_the_position(side, owner)

    def the_exit_does_not_turn_the_position(self, side, owner):
        mine = [one for one in self.pending() if one.strategy_id == owner and one.transaction_type is side]
        assert side.sign * self.held[owner] + sum(one.pending_quantity for one in mine) <= 0

    @precondition(lambda self: self.approved)
    @rule()
    def approval_arrives(self):
        opened, _ = self.engine.on(self.approved.pop(0))
        self.to_portfolio.append(opened)

    def report(self, data, kind, statuses, **trade):
        orders = [one for one in self.engine.open_orders() if one.status in statuses]
        if not orders:
            return
        chosen = data.draw(st.sampled_from(orders))
        if kind is K.FILL:
            self.trades += 1
            quantity = data.draw(st.integers(1, chosen.pending_quantity))
            trade = {"trade_id": f"T{self.trades}", "quantity": quantity}
            self.held[chosen.strategy_id] += chosen.transaction_type.sign * quantity
        self.to_portfolio += self.engine.on(report(kind, chosen.order_id, **trade))

    @rule(data=st.data(), kind=st.sampled_from([K.SENT, K.ACCEPTED, K.NO_ANSWER]))
    def moved(self, data, kind):
        self.report(data, kind, {S.PREPARED} if kind is K.SENT else {S.PREPARED, S.SENT})

    @rule(data=st.data())
    def filled(self, data):
        self.report(data, K.FILL, {S.PREPARED, S.SENT, S.OPEN, S.PARTIAL, S.UNKNOWN})

    @rule(data=st.data(), kind=st.sampled_from([K.CANCELLED, K.REJECTED, K.ABSENT, K.WITHHELD]))
    def ended_early(self, data, kind):
        statuses = {
            K.CANCELLED: {S.SENT, S.OPEN, S.PARTIAL, S.UNKNOWN},
            K.REJECTED: {S.SENT, S.OPEN, S.UNKNOWN},
            K.ABSENT: {S.SENT, S.UNKNOWN},
            K.WITHHELD: {S.PREPARED},
        }
        self.report(data, kind, statuses[kind])

    @precondition(lambda self: self.to_portfolio)
    @rule(count=st.integers(1, 5))
    def portfolio_hears(self, count):
        for _ in range(min(count, len(self.to_portfolio))):
            for output in self.portfolio.on(self.to_portfolio.pop(0)):
                if isinstance(output, Snapshot):
                    self.snapshot = output

    @precondition(lambda self: self.snapshot is not None)
    @rule()
    def snapshot_arrives(self):
        self.risk.on(self.snapshot)
        self.snapshot = None

    @rule()
    def kill_switch_goes_on_and_off(self):
        """Approvals that meet the closed gate are voided there."""
        self.risk.on(Halt("test", "test", TEN_NS))
        for approved in self.approved:
            self.risk.on(Voided(approved.order))
        self.approved.clear()
        self.portfolio_hears(len(self.to_portfolio))
        if self.snapshot is not None:
            self.snapshot_arrives()
        self.risk.on(Resume("test", "test", TEN_NS))

    def pending(self):
        """Everything that may still trade, seen from outside, however late the cores' own news is."""
        return self.engine.open_orders() + [answer.order for answer in self.approved]

    @invariant()
    def the_worst_position_is_within_the_limit(self):
        held, pending = sum(self.held.values()), self.pending()
        bought = sum(one.pending_quantity for one in pending if one.transaction_type is BUY)
        sold = sum(one.pending_quantity for one in pending if one.transaction_type is SELL)
        assert held + bought <= LIMIT_QUANTITY
        assert held - sold >= -LIMIT_QUANTITY

    @invariant()
    def what_is_held_and_claimed_never_passes_the_cash(self):
        entries = sum(one.pending_quantity for one in self.pending() if one.position_effect is OPEN)
        assert 100 * (sum(map(abs, self.held.values())) + entries) <= CASH

    @invariant()
    def free_cash_is_never_negative(self):
        assert self.portfolio.books()["paper"].free_cash >= 0


def test_no_sequence_brings_the_worst_case_over_a_limit():
    run_state_machine_as_test(
        Exposure, settings=settings(max_examples=200, stateful_step_count=60, deadline=None)
    )
