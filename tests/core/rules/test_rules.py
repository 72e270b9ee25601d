"""Every rule at its edge, asked through the RiskManager that will ask it; and what no sequence may break."""

from datetime import datetime, timedelta

import pytest
from builders import (
    BUY,
    CLOSE,
    INFY,
    LIMIT,
    OPEN,
    SECOND,
    SELL,
    TCS,
    TEN_NS,
    batch,
    book,
    order,
    report,
    signal,
    tick,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import fields

from alphapanda.core import rules
from alphapanda.core.execution import TradingEngine
from alphapanda.core.portfolio import PortfolioManager
from alphapanda.core.risk import RiskManager
from alphapanda.events import (
    Approved,
    Book,
    Halt,
    Money,
    OrderStatus,
    Refused,
    ReportKind,
    Resume,
    Snapshot,
    Voided,
)
from alphapanda.times import IST, to_ns

S, K = OrderStatus, ReportKind


def manager(*checks, held=None, past=(), price=100.0):
    """Risk with these rules, one broker whose book is `held`, and INFY seen at `price` at ten o'clock."""
    risk = RiskManager(
        checks,
        {"paper": "MIS"},
        tag_seed="test",
        instruments=(INFY, TCS),
        past=past,
        books={"paper": held or book()},
    )
    if price is not None:
        risk.on(batch(tick(price), tick(price, TCS.instrument_token)))
    return risk


def verdict(risk, *args, **keywords):
    """None when the signal is approved, else (rule, why)."""
    (answer,) = risk.on(signal(*args, **keywords))
    if isinstance(answer, Approved):
        return None
    assert answer.verdict == "refused"
    return answer.rule, answer.why


def limits(*cases):
    """One row a case: rule, book, what passes at its edge, what does not, the figures its sentence names."""
    return pytest.mark.parametrize(
        ("check", "held", "passes", "refused", "figures"), cases, ids=[case[0].code for case in cases]
    )


@limits(
    (
        rules.MaximumOrderQuantity(10),
        book(),
        [{"quantity": 9}, {"quantity": 10}],
        {"quantity": 11},
        ["11", "10"],
    ),
    (
        rules.MaximumOrderValue(Money(1000)),
        book(),
        [{"quantity": 9}, {"quantity": 10}],
        {"quantity": 11},
        ["1100", "1000"],
    ),
    (
        rules.MaximumPositionQuantity(10),
        book(momentum_1=6),
        [{"quantity": 3}, {"quantity": 4}],
        {"quantity": 5},
        ["11", "10"],
    ),
    (
        rules.MaximumPositionQuantity(10),
        book(momentum_1=-6),
        [{"side": SELL, "quantity": 3}, {"side": SELL, "quantity": 4}, {"side": BUY, "quantity": 16}],
        {"side": SELL, "quantity": 5},
        ["-11", "10"],
    ),
    (
        rules.MaximumPositionValue(Money(1000)),
        book(momentum_1=6),
        [{"quantity": 3}, {"quantity": 4}],
        {"quantity": 5},
        ["1100.00", "1000.00"],
    ),
    (
        rules.AvailableCash(),
        book(1000),
        [{"quantity": 9}, {"quantity": 10}, {"side": SELL, "quantity": 10}],
        {"quantity": 11},
        ["1100.00", "1000.00"],
    ),
    (
        rules.PriceDeviation(Money(5)),
        book(),
        [{"last_price": 95.01}, {"last_price": 95.0}, {"last_price": 105.0}],
        {"last_price": 105.01},
        ["105.01", "5.01 %", "100.0", "5 %"],
    ),
    (
        rules.PriceDeviation(Money(5)),
        book(),
        [{"order_type": LIMIT, "price": Money(105)}, {"order_type": LIMIT, "price": Money(95)}],
        {"order_type": LIMIT, "price": Money("94.95")},
        ["94.95", "5.05 %", "100.0", "5 %"],
    ),
)
def test_a_rule_passes_up_to_its_limit_and_refuses_one_more(check, held, passes, refused, figures):
    for asked in passes:
        assert verdict(manager(check, held=held), **asked) is None
    code, why = verdict(manager(check, held=held), **refused)
    assert code == check.code
    for figure in figures:
        assert figure in why


@pytest.mark.parametrize(
    ("check", "asked"),
    [
        (rules.MaximumOrderQuantity(0), {"quantity": 10**9}),
        (rules.MaximumOrderValue(Money(0)), {"quantity": 10**9}),
        (rules.MaximumPositionQuantity(0), {"quantity": 10**9}),
        (rules.MaximumPositionValue(Money(0)), {"quantity": 10**9}),
        (rules.MaximumOpenPositions(0), {}),
        (rules.StalePrice(Money(0)), {"time_ns": TEN_NS + 10**15}),
        (rules.PriceDeviation(Money(0)), {"last_price": 1.0}),
        (rules.OrdersPerSecond(0), {}),
        (rules.OrdersPerMinute(0), {}),
        (rules.OrdersPerDay(0), {}),
        (rules.DuplicateSignal(Money(0)), {}),
    ],
    ids=lambda value: getattr(value, "code", ""),
)
def test_a_limit_of_zero_is_off(check, asked):
    risk = manager(check, held=book(10**15, other=5))
    for _ in range(20):
        assert verdict(risk, **asked) is None


def test_every_rule_is_listed_once_with_a_code_that_is_its_key():
    assert len({kind.code for kind in rules.RULES}) == len(rules.RULES)
    assert set(rules.RULES) == {kind for kind in descendants(rules.Rule) if hasattr(kind, "code")}
    for kind in rules.RULES:
        assert [field.name for field in fields(kind)][:1] in ([kind.code], ["scope"])
        assert kind.__doc__


def descendants(kind):
    return {kind, *(heir for child in kind.__subclasses__() for heir in descendants(child))}


def test_the_first_rule_that_refuses_names_the_refusal():
    checks = (rules.MaximumOrderQuantity(5), rules.MaximumOrderValue(Money(100)))
    assert verdict(manager(*checks), quantity=6)[0] == "max_order_quantity"
    assert verdict(manager(*reversed(checks)), quantity=6)[0] == "max_order_value"


@pytest.mark.parametrize("status", [S.PREPARED, S.SENT, S.OPEN, S.UNKNOWN])
def test_orders_that_may_still_trade_count_as_position(status):
    held = book(10**6, order(BUY, 4, status=status), momentum_1=3)
    assert verdict(manager(rules.MaximumPositionQuantity(10), held=held), quantity=3) is None
    assert verdict(manager(rules.MaximumPositionQuantity(10), held=held), quantity=4) is not None


def test_only_the_unfilled_part_of_an_order_counts_beside_the_position():
    part = order(BUY, 10, status=S.PARTIAL, filled_quantity=6, filled_value=Money(600))
    held = book(10**6, part, momentum_1=6)
    assert verdict(manager(rules.MaximumPositionQuantity(10), held=held), quantity=1) == (
        "max_position_quantity",
        "the position could reach 11, over the limit of 10",
    )


def test_approvals_on_their_way_count_as_position_and_as_claimed_cash():
    risk = manager(rules.MaximumPositionQuantity(10), rules.AvailableCash(), held=book(800))
    assert verdict(risk, quantity=6) is None
    assert verdict(risk, quantity=5)[0] == "max_position_quantity"
    assert verdict(risk, quantity=3) == (
        "available_cash",
        "value 300.00 is more than the free cash of 200.00",
    )
    assert verdict(risk, quantity=2) is None


def test_open_orders_of_the_other_side_do_not_make_room():
    held = book(10**6, order(SELL, 8), momentum_1=8)
    assert verdict(manager(rules.MaximumPositionQuantity(10), held=held), quantity=3) is not None


def test_what_another_strategy_holds_on_the_other_side_does_not_make_room():
    """Its exit may come at any time and is never refused."""
    held = book(10**6, momentum_1=8, other=-8)
    risk = manager(rules.MaximumPositionQuantity(10), held=held)
    assert verdict(risk, quantity=3)[1] == "the position could reach 11, over the limit of 10"
    assert verdict(risk, SELL, 3, strategy_id="other")[1] == (
        "the position could reach -11, over the limit of 10"
    )
    assert verdict(risk, quantity=2) is None


def test_an_entry_that_only_brings_a_large_position_nearer_to_zero_passes():
    held = book(10**6, momentum_1=50)
    assert verdict(manager(rules.MaximumPositionQuantity(10), held=held), SELL, 30) is None


def test_positions_in_other_instruments_do_not_count_in_this_one():
    held = Book(free_cash=Money(10**6), positions={("momentum_1", TCS.instrument_token): 10})
    assert verdict(manager(rules.MaximumPositionQuantity(10), held=held), quantity=10) is None


def test_instruments_are_counted_whether_held_open_or_on_their_way():
    check = rules.MaximumOpenPositions(2)
    other = {"instrument_token": TCS.instrument_token}
    assert verdict(manager(check, held=book(10**6, momentum_1=1)), **other) is None
    assert verdict(manager(rules.MaximumOpenPositions(1), held=book(10**6, momentum_1=1))) is None
    assert verdict(manager(rules.MaximumOpenPositions(1), held=book(10**6, momentum_1=1)), **other) == (
        "max_open_positions",
        "1 instruments are open, the limit is 1",
    )
    resting = manager(rules.MaximumOpenPositions(1), held=book(10**6, order()))
    assert verdict(resting, **other)[0] == "max_open_positions"
    on_its_way = manager(rules.MaximumOpenPositions(1))
    assert verdict(on_its_way) is None
    assert verdict(on_its_way, **other)[0] == "max_open_positions"


def test_a_price_may_be_as_old_as_the_limit_and_no_older():
    risk = manager(rules.StalePrice(Money("5.0")))
    assert verdict(risk, time_ns=TEN_NS + 5 * SECOND) is None
    assert verdict(risk, time_ns=TEN_NS + 5 * SECOND + 1) == (
        "max_price_age_s",
        "the price is 5.0 s old, the limit is 5.0 s",
    )


def test_the_age_of_a_price_is_measured_on_the_clock_of_the_ticks():
    risk = manager(rules.StalePrice(Money("5.0")))
    risk.on(batch(tick(100.0, TCS.instrument_token), at=6))
    assert verdict(risk)[0] == "max_price_age_s"
    assert verdict(risk, instrument_token=TCS.instrument_token) is None


@pytest.mark.parametrize("check", [rules.StalePrice(Money(5)), rules.PriceDeviation(Money(5))])
def test_no_entry_without_a_price(check):
    assert verdict(manager(check, price=None)) == (check.code, "no price of NSE:INFY has been seen")


@pytest.mark.parametrize(
    ("check", "window_ns"),
    [(rules.OrdersPerSecond(3), SECOND), (rules.OrdersPerMinute(3), 60 * SECOND)],
    ids=["second", "minute"],
)
def test_a_throttle_counts_the_approvals_of_its_window(check, window_ns):
    risk = manager(check)
    for number in range(3):
        assert verdict(risk, time_ns=TEN_NS + number) is None
    code, why = verdict(risk, time_ns=TEN_NS + window_ns - 1)
    assert code == check.code
    assert "3 orders" in why
    assert "limit is 3" in why
    assert verdict(risk, time_ns=TEN_NS + window_ns) is None
    assert verdict(risk, time_ns=TEN_NS + window_ns)[0] == check.code


def test_refusals_are_not_counted_by_a_throttle():
    risk = manager(rules.MaximumOrderQuantity(5), rules.OrdersPerSecond(1))
    for _ in range(5):
        assert verdict(risk, quantity=6)[0] == "max_order_quantity"
    assert verdict(risk) is None


def test_the_day_of_a_throttle_begins_at_midnight_in_india():
    risk = manager(rules.OrdersPerDay(2))
    midnight = to_ns(datetime(2024, 6, 4, tzinfo=IST))
    assert verdict(risk, time_ns=midnight - 2) is None
    assert verdict(risk, time_ns=midnight - 1) is None
    assert verdict(risk, time_ns=midnight - 1)[0] == "max_orders_per_day"
    assert verdict(risk, time_ns=midnight) is None
    assert verdict(risk, time_ns=midnight + 86_399 * SECOND) is None
    assert verdict(risk, time_ns=midnight + 86_400 * SECOND - 1)[0] == "max_orders_per_day"
    assert verdict(risk, time_ns=midnight + 86_400 * SECOND) is None


def test_throttles_remember_the_orders_of_before_a_restart():
    past = [order(sequence=1), order(sequence=2)]
    assert verdict(manager(rules.OrdersPerSecond(3), past=past)) is None
    assert verdict(manager(rules.OrdersPerSecond(2), past=past))[0] == "max_orders_per_second"
    assert verdict(manager(rules.OrdersPerDay(2), past=past))[0] == "max_orders_per_day"


@pytest.mark.parametrize("status", [S.NOT_FOUND, S.WITHHELD])
def test_an_order_that_never_reached_its_broker_is_forgotten_by_throttles(status):
    past = [order(BUY, 1, status=status)]
    assert verdict(manager(rules.OrdersPerSecond(1), past=past)) is None
    assert verdict(manager(rules.DuplicateSignal(), past=past)) is None


@pytest.mark.parametrize(
    "check",
    [rules.OrdersPerSecond(1), rules.OrdersPerMinute(1), rules.OrdersPerDay(1), rules.DuplicateSignal()],
    ids=lambda check: check.code,
)
def test_orders_of_a_feed_that_walked_later_dates_hold_nothing_back(check):
    tomorrow = TEN_NS + 86_400 * SECOND
    past = [order(BUY, 1, sequence=n, created_ns=tomorrow) for n in range(1, 10)]
    risk = manager(check, past=past)
    assert verdict(risk) is None
    assert verdict(risk)[0] == check.code


def test_brokers_are_throttled_apart():
    risk = RiskManager(
        (rules.OrdersPerSecond(1),), {"paper": "MIS", "other": "CNC"}, tag_seed="test", instruments=(INFY,)
    )
    answers = risk.on(signal(brokers=("paper", "other")))
    assert [type(answer) for answer in answers] == [Approved, Approved]
    answers = risk.on(signal(brokers=("paper", "other")))
    assert [type(answer) for answer in answers] == [Refused, Refused]


def test_the_same_order_again_is_refused_until_the_window_has_passed():
    risk = manager(rules.DuplicateSignal(Money("1.0")))
    assert verdict(risk) is None
    assert verdict(risk, time_ns=TEN_NS + SECOND - 1) == (
        "duplicate_window_s",
        "the same order was approved 1.000 s before, the window is 1.0 s",
    )
    assert verdict(risk, time_ns=TEN_NS + SECOND) is None
    assert verdict(risk, time_ns=TEN_NS + SECOND)[0] == "duplicate_window_s"


@pytest.mark.parametrize(
    "other",
    [
        {"side": SELL},
        {"quantity": 2},
        {"strategy_id": "another"},
        {"instrument_token": TCS.instrument_token},
    ],
)
def test_an_order_that_differs_in_strategy_instrument_side_or_quantity_is_no_duplicate(other):
    risk = manager(rules.DuplicateSignal())
    assert verdict(risk) is None
    assert verdict(risk, **other) is None


def test_a_clock_that_steps_back_does_not_open_the_duplicate_window():
    risk = manager(rules.DuplicateSignal(), past=[order(BUY, 1, created_ns=TEN_NS + SECOND // 2)])
    assert verdict(risk)[0] == "duplicate_window_s"


EXPOSURE = (
    rules.MaximumOrderQuantity(1),
    rules.MaximumOrderValue(Money(1)),
    rules.MaximumPositionQuantity(1),
    rules.MaximumPositionValue(Money(1)),
    rules.MaximumOpenPositions(1),
    rules.AvailableCash(),
    rules.StalePrice(Money(1)),
    rules.PriceDeviation(Money(1)),
)
HELD = Book(
    free_cash=Money(-500),
    positions={("momentum_1", INFY.instrument_token): 50, ("momentum_1", TCS.instrument_token): 50},
)
LATE = {"quantity": 50, "time_ns": TEN_NS + 60 * SECOND, "last_price": 50.0}


@pytest.mark.parametrize("check", EXPOSURE, ids=lambda check: check.code)
def test_an_exit_is_not_held_back_by_a_limit_on_exposure(check):
    risk = manager(check, held=HELD)
    assert verdict(risk, SELL, position_effect=CLOSE, **LATE) is None


@pytest.mark.parametrize("check", EXPOSURE, ids=lambda check: check.code)
def test_an_entry_in_the_same_place_is_held_back(check):
    elsewhere = Book(free_cash=Money(-500), positions={("other", TCS.instrument_token): 50})
    risk = manager(check, held=elsewhere)
    assert verdict(risk, BUY, position_effect=OPEN, **LATE)[0] == check.code


@pytest.mark.parametrize(
    "check",
    [rules.OrdersPerSecond(1), rules.OrdersPerMinute(1), rules.OrdersPerDay(1), rules.DuplicateSignal()],
    ids=lambda check: check.code,
)
def test_an_exit_is_counted_and_held_back_by_throttles_and_as_a_duplicate(check):
    risk = manager(check, held=book(10**6, momentum_1=50))
    assert verdict(risk, SELL, position_effect=CLOSE) is None
    assert verdict(risk, SELL, position_effect=CLOSE)[0] == check.code
    assert check.entries_only is False


def test_a_market_order_is_valued_at_the_last_price_whatever_its_price_says():
    risk = manager(rules.MaximumOrderValue(Money(1000)))
    assert verdict(risk, quantity=11, price=Money(1))[0] == "max_order_value"


def test_a_limit_order_is_valued_at_its_limit():
    check = rules.MaximumOrderValue(Money(1000))
    assert verdict(manager(check), quantity=10, order_type=LIMIT, price=Money(99)) is None
    assert verdict(manager(check), quantity=10, order_type=LIMIT, price=Money(101)) is not None
    rounded_up = verdict(manager(check), SELL, quantity=10, order_type=LIMIT, price=Money("100.01"))
    assert rounded_up == ("max_order_value", "value 1000.50 is over the limit of 1000.00")


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


def test_an_hour_of_orders_stays_within_the_throttles():
    """Whatever the pace, no second has more than three approvals and no minute more than five."""
    risk = manager(rules.OrdersPerSecond(3), rules.OrdersPerMinute(5))
    times = []
    for number in range(1200):
        now = TEN_NS + number * int(timedelta(milliseconds=130) / timedelta(microseconds=1)) * 1000
        if verdict(risk, time_ns=now) is None:
            times.append(now)
    assert len(times) >= 10
    for start in times:
        assert sum(start <= time < start + SECOND for time in times) <= 3
        assert sum(start <= time < start + 60 * SECOND for time in times) <= 5


def test_throttles_hold_when_rows_step_back_between_instruments():
    """One file may hold a lagging instrument: its rows are older than those just approved."""
    approvals = rules.Approvals()
    for number, at in enumerate([10, 12, 9, 11, 10], 1):
        approvals.add(order(BUY, number, created_ns=TEN_NS + at * SECOND))
    for start, end, count in [(8, 13, 5), (9, 13, 4), (9, 12, 3), (12, 13, 0), (13, 8, 0)]:
        assert approvals.between(TEN_NS + start * SECOND, TEN_NS + end * SECOND) == count
