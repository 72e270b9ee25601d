"""RiskManager: every signal gets one verdict a broker, and only an approval becomes an order."""

import re

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
    signal,
    tick,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.calendar import Moment, Phase
from alphapanda.core.risk import RiskManager
from alphapanda.core.rules import (
    RULES,
    DuplicateSignal,
    MaximumOrderQuantity,
    MaximumPositionQuantity,
    OrdersPerDay,
)
from alphapanda.events import (
    Approved,
    Book,
    Halt,
    Instrument,
    Money,
    OrderStatus,
    OrderType,
    Refused,
    Resume,
    Snapshot,
    Timer,
    Voided,
)

S = OrderStatus
NAN, INF = float("nan"), float("inf")


def manager(*checks, products=None, price=100.0, **keywords):
    products = products or {"paper": "MIS"}
    defaults = {
        "tag_seed": "seed",
        "instruments": (INFY, TCS),
        "books": dict.fromkeys(products, book()),
    }
    risk = RiskManager(checks, products, **defaults | keywords)
    if price is not None:
        risk.on(batch(tick(price)))
    return risk


def decide(risk, *args, **keywords):
    (answer,) = risk.on(signal(*args, **keywords))
    return answer


def quantity_closed(held, asked=10, side=SELL, **keywords):
    """What a CLOSE would do with this book: the ordered quantity, or the verdict."""
    risk = manager(books={"paper": held}, **keywords)
    answer = decide(risk, side, asked, position_effect=CLOSE)
    return answer.order.quantity if isinstance(answer, Approved) else answer.verdict


def test_a_signal_becomes_one_decision_a_broker():
    risk = manager(products={"paper": "MIS", "zerodha": "CNC"})
    asked = signal(SELL, 7, brokers=("zerodha", "paper"), signal_id="S000042", row=9, received_ns=5)
    first, second = risk.on(asked)
    assert [answer.order.broker for answer in (first, second)] == ["zerodha", "paper"]
    assert [answer.order.product for answer in (first, second)] == ["CNC", "MIS"]
    assert first.signal is asked
    made = second.order
    assert (made.signal_id, made.strategy_id, made.instrument) == ("S000042", "momentum_1", INFY)
    assert (made.transaction_type, made.quantity, made.status) == (SELL, 7, S.PREPARED)
    assert (made.created_ns, made.row, made.received_ns) == (TEN_NS, 9, 5)
    assert (made.reference_price, made.price, made.filled_quantity) == (Money(100), None, 0)


def test_brokers_are_judged_apart():
    risk = manager(
        MaximumPositionQuantity(10),
        products={"paper": "MIS", "zerodha": "MIS"},
        books={"paper": book(10**6, momentum_1=10), "zerodha": book()},
    )
    first, second = risk.on(signal(brokers=("paper", "zerodha")))
    assert (first.verdict, first.broker, first.rule) == ("refused", "paper", "max_position_quantity")
    assert isinstance(second, Approved)


def test_a_refusal_carries_the_signal_the_rule_and_the_figures():
    asked = signal(BUY, 11)
    refused = decide(manager(MaximumOrderQuantity(10)), BUY, 11)
    assert refused == Refused(
        signal=asked,
        broker="paper",
        verdict="refused",
        rule="max_order_quantity",
        why="quantity 11 is over the limit of 10",
        quantity=11,
        instrument=INFY,
    )


@given(st.lists(st.sampled_from([("paper",), ("zerodha",), ("paper", "zerodha")]), max_size=30))
def test_ids_and_tags_rise_and_never_repeat(fan_outs):
    risk = manager(products={"paper": "MIS", "zerodha": "MIS"}, tag_seed="a1B2c3D4e5F6")
    orders = [
        answer.order
        for number, brokers in enumerate(fan_outs)
        for answer in risk.on(signal(brokers=brokers, time_ns=TEN_NS + number * SECOND))
    ]
    assert [one.sequence for one in orders] == list(range(1, len(orders) + 1))
    assert sorted({one.order_id for one in orders}) == [one.order_id for one in orders]
    assert len({one.tag for one in orders}) == len(orders)
    assert all(re.fullmatch("[A-Za-z0-9]{1,20}", one.tag) for one in orders)


def test_a_refused_signal_uses_no_number():
    risk = manager(MaximumOrderQuantity(10))
    assert decide(risk).order.sequence == 1
    assert decide(risk, BUY, 11).verdict == "refused"
    assert decide(risk).order.sequence == 2


def test_numbers_go_on_after_a_restart():
    past = [order(sequence=3, status=S.FILLED), order(sequence=7, status=S.NOT_FOUND)]
    again = decide(manager(past=past)).order
    assert (again.sequence, again.order_id) == (8, "O000008")
    assert again.tag not in {one.tag for one in past}


def test_nothing_is_approved_twice_after_a_restart():
    past = [order(BUY, 1, status=S.OPEN)]
    held = {"paper": Book(accounted=1, free_cash=Money(1000), orders={"O000001": past[0]})}
    risk = manager(DuplicateSignal(), MaximumPositionQuantity(1), past=past, books=held)
    assert decide(risk, time_ns=TEN_NS + SECOND // 2).rule == "duplicate_window_s"
    assert decide(risk, time_ns=TEN_NS + 2 * SECOND).rule == "max_position_quantity"


def test_a_halt_refuses_exits_too_and_resume_ends_it():
    risk = manager(books={"paper": book(10**6, momentum_1=5)})
    risk.on(Halt("test", "operator", TEN_NS))
    for effect in (OPEN, CLOSE):
        refused = decide(risk, SELL, position_effect=effect)
        assert (refused.verdict, refused.rule) == ("refused", "kill_switch")
        assert "kill-switch off" in refused.why
    risk.on(Resume("test", "operator", TEN_NS))
    assert isinstance(decide(risk), Approved)


def test_a_restart_under_the_kill_switch_stays_halted():
    assert decide(manager(halted=True)).rule == "kill_switch"


def test_an_approval_that_met_the_closed_gate_holds_nothing_back():
    risk = manager(MaximumPositionQuantity(10), books={"paper": book(10**6, momentum_1=10)})
    approved = decide(risk, SELL, 10, position_effect=CLOSE)
    assert decide(risk, SELL, 10, position_effect=CLOSE).verdict == "nothing_to_close"
    risk.on(Voided(approved.order))
    assert decide(risk, SELL, 10, position_effect=CLOSE).order.quantity == 10


def test_an_unknown_instrument_is_refused_until_it_is_listed():
    newcomer = Instrument(99, "NSE", "NEW")
    risk = manager()
    refused = decide(risk, instrument_token=99)
    assert (refused.rule, refused.instrument) == ("unknown_instrument", None)
    assert "99" in refused.why
    risk.on(batch(tick(50.0, 99), listed=(newcomer,)))
    assert decide(risk, instrument_token=99).order.instrument == newcomer


@pytest.mark.parametrize(
    ("fields", "rule", "figure"),
    [
        ({"quantity": 0}, "invalid_signal", "0"),
        ({"quantity": -5}, "invalid_signal", "-5"),
        ({"order_type": LIMIT}, "invalid_signal", "None"),
        ({"order_type": LIMIT, "price": Money(0)}, "invalid_signal", "0"),
        ({"order_type": LIMIT, "price": Money(-1)}, "invalid_signal", "-1"),
        ({"order_type": LIMIT, "price": Money("NaN")}, "invalid_signal", "NaN"),
        ({"order_type": LIMIT, "price": Money("Infinity")}, "invalid_signal", "Infinity"),
        ({"order_type": LIMIT, "price": Money("0.04")}, "invalid_signal", "0.04"),
        ({"last_price": NAN}, "invalid_signal", "nan"),
        ({"last_price": INF}, "invalid_signal", "inf"),
    ],
)
def test_an_impossible_signal_is_refused_with_what_is_wrong(fields, rule, figure):
    refused = decide(manager(), **fields)
    assert (refused.verdict, refused.rule) == ("refused", rule)
    assert figure in refused.why


def test_a_signal_without_any_price_is_refused():
    assert decide(manager(price=None), last_price=0.0).rule == "no_price"
    assert decide(manager(price=None), last_price=-1.0).rule == "no_price"
    assert decide(manager(price=None), last_price=99.0).order.reference_price == Money(99)


@pytest.mark.parametrize("price", [NAN, INF, -INF, 0.0, -5.0])
def test_a_price_that_cannot_be_is_not_taken_for_the_last_price(price):
    risk = manager(price=100.0)
    risk.on(batch(tick(price), at=1))
    assert decide(risk).order.reference_price == Money(100)


def test_the_newest_price_of_a_batch_is_the_one_that_counts():
    risk = manager()
    risk.on(batch(tick(101.0), tick(102.0), at=1))
    assert decide(risk).order.reference_price == Money(102)


class Hours:
    """A calendar of one answer."""

    def __init__(self, *, may_enter=False, may_exit=False):
        self.moment = Moment(Phase.CLOSED, may_enter, may_exit, None, "INFY is closed at 16:00")

    def at(self, time_ns, instrument):
        assert (time_ns, instrument) == (TEN_NS, INFY)
        return self.moment


@pytest.mark.parametrize("enters", [True, False])
@pytest.mark.parametrize("exits", [True, False])
def test_entries_and_exits_wait_for_what_the_calendar_allows_them(enters, exits):
    hours = Hours(may_enter=enters, may_exit=exits)
    risk = manager(calendar=hours, books={"paper": book(momentum_1=10)})
    for effect, allowed in ((OPEN, enters), (CLOSE, exits)):
        answer = decide(risk, SELL, position_effect=effect)
        assert isinstance(answer, Approved) is allowed
        if not allowed:
            assert (answer.rule, answer.why) == ("market_closed", "INFY is closed at 16:00")


@pytest.mark.parametrize(
    ("side", "asked", "rounded"),
    [
        (BUY, "100.04", "100.00"),
        (BUY, "100.05", "100.05"),
        (SELL, "100.01", "100.05"),
        (SELL, "100.05", "100.05"),
    ],
)
def test_a_limit_is_rounded_to_the_tick_so_that_it_is_never_worse_than_asked(side, asked, rounded):
    made = decide(manager(), side, order_type=LIMIT, price=Money(asked)).order
    assert (made.order_type, made.price, made.reference_price) == (
        OrderType.LIMIT,
        Money(rounded),
        made.price,
    )


@given(
    st.sampled_from([BUY, SELL]),
    st.decimals("0.05", "100000", places=4),
    st.sampled_from(["0.01", "0.05", "0.0025", "0.1"]),
)
def test_no_limit_is_ever_worse_than_asked_nor_a_tick_away(side, asked, tick_size):
    listed = Instrument(408065, "NSE", "INFY", Money(tick_size))
    answer = decide(manager(instruments=(listed,)), side, order_type=LIMIT, price=asked)
    if isinstance(answer, Refused):
        assert asked < Money(tick_size)
        return
    better = (asked - answer.order.price) * side.sign
    assert 0 <= better < Money(tick_size)
    assert answer.order.price % Money(tick_size) == 0


@pytest.mark.parametrize(
    ("held", "quantity"),
    [
        (book(0, momentum_1=25), 10),
        (book(0, momentum_1=10), 10),
        (book(0, momentum_1=4), 4),
        (book(0, momentum_1=0), "nothing_to_close"),
        (book(0, momentum_1=-4), "nothing_to_close"),
        (book(0, other=10), "nothing_to_close"),
        (book(0, order(SELL, 4, position_effect=CLOSE), momentum_1=10), 6),
        (book(0, order(SELL, 4, position_effect=CLOSE, status=S.UNKNOWN), momentum_1=10), 6),
        (book(0, order(SELL, 10, position_effect=CLOSE), momentum_1=10), "nothing_to_close"),
        (book(0, order(SELL, 10, position_effect=CLOSE, filled_quantity=7), momentum_1=10), 7),
        (book(0, order(SELL, 4, position_effect=CLOSE, strategy_id="other"), momentum_1=10), 10),
        (book(0, order(SELL, 4, position_effect=CLOSE, instrument=TCS), momentum_1=10), 10),
        (book(0, order(BUY, 4), momentum_1=10), 10),
        (book(0, order(SELL, 4), momentum_1=10), 6),
    ],
)
def test_an_exit_is_cut_to_the_position_less_what_may_still_trade_against_it(held, quantity):
    assert quantity_closed(held) == quantity


def test_a_buy_closes_a_short_position():
    assert quantity_closed(book(0, momentum_1=-4), side=BUY) == 4
    assert quantity_closed(book(0, momentum_1=4), side=BUY) == "nothing_to_close"


def test_an_exit_on_its_way_counts_as_resting():
    risk = manager(books={"paper": book(0, momentum_1=10)})
    assert decide(risk, SELL, 7, position_effect=CLOSE).order.quantity == 7
    assert decide(risk, SELL, 7, position_effect=CLOSE).order.quantity == 3
    nothing = decide(risk, SELL, 7, position_effect=CLOSE)
    assert (nothing.verdict, nothing.rule, nothing.quantity) == ("nothing_to_close", "nothing_to_close", 7)
    assert "momentum_1 holds nothing at paper" in nothing.why


def test_an_exit_is_cut_at_each_broker_apart():
    risk = manager(
        products={"paper": "MIS", "zerodha": "MIS"},
        books={"paper": book(0, momentum_1=3), "zerodha": book(0, momentum_1=8)},
    )
    answers = risk.on(signal(SELL, 5, position_effect=CLOSE, brokers=("paper", "zerodha")))
    assert [answer.order.quantity for answer in answers] == [3, 5]


def test_an_approval_is_counted_until_a_snapshot_accounts_for_it():
    risk = manager(MaximumPositionQuantity(10))
    first, second = decide(risk, BUY, 4).order, decide(risk, BUY, 4).order
    assert decide(risk, BUY, 4).rule == "max_position_quantity"
    risk.on(Snapshot({"paper": Book(accounted=0, free_cash=Money(10**6))}))
    assert decide(risk, BUY, 3).rule == "max_position_quantity"
    risk.on(Snapshot({"paper": Book(accounted=1, free_cash=Money(10**6), orders={"O000001": first})}))
    assert decide(risk, BUY, 3).rule == "max_position_quantity"
    risk.on(Snapshot({"paper": Book(accounted=1, free_cash=Money(10**6))}))
    assert decide(risk, BUY, 7).rule == "max_position_quantity"
    risk.on(Snapshot({"paper": Book(accounted=2, free_cash=Money(10**6), orders={"O000002": second})}))
    assert decide(risk, BUY, 7).rule == "max_position_quantity"
    assert isinstance(decide(risk, BUY, 6), Approved)


def test_a_snapshot_accounts_for_its_own_broker_only():
    risk = manager(
        MaximumPositionQuantity(4),
        products={"paper": "MIS", "zerodha": "MIS"},
    )
    risk.on(signal(BUY, 4, brokers=("paper", "zerodha")))
    risk.on(Snapshot({"paper": Book(accounted=1, free_cash=Money(10**6)), "zerodha": book()}))
    first, second = risk.on(signal(BUY, 4, brokers=("paper", "zerodha")))
    assert isinstance(first, Approved)
    assert isinstance(second, Refused)


def test_an_event_that_is_not_for_risk_raises():
    with pytest.raises(TypeError, match="Timer"):
        manager().on(Timer(1))


asked = st.builds(
    signal,
    st.sampled_from([BUY, SELL]),
    st.integers(-1, 20),
    position_effect=st.sampled_from([OPEN, CLOSE]),
    order_type=st.sampled_from(list(OrderType)),
    price=st.none() | st.decimals("-1", "200", places=3),
    last_price=st.floats(),
    instrument_token=st.sampled_from([INFY.instrument_token, TCS.instrument_token, 99]),
    brokers=st.sampled_from([("paper",), ("paper", "zerodha")]),
    time_ns=st.integers(TEN_NS, TEN_NS + 3 * SECOND),
)
inbox = st.lists(
    asked
    | st.builds(batch, st.builds(tick, st.floats()), at=st.floats(0, 3))
    | st.builds(
        lambda held, accounted: Snapshot(
            {"paper": book(5000, accounted=accounted, momentum_1=held), "zerodha": book()}
        ),
        st.integers(-9, 9),
        st.integers(0, 5),
    )
    | st.sampled_from([Halt("", "", 0), Resume("", "", 0)]),
    max_size=30,
)


@settings(deadline=None)
@given(inbox)
def test_any_inbox_is_answered_and_the_same_inbox_gives_the_same_outbox(events):
    def outbox():
        checks = [kind() for kind in RULES]
        risk = manager(*checks, products={"paper": "MIS", "zerodha": "CNC"})
        return [risk.on(event) for event in events]

    first, second = outbox(), outbox()
    assert repr(first) == repr(second)
    for event, answers in zip(events, first, strict=True):
        expected = len(getattr(event, "brokers", ()))
        assert len(answers) == expected
        for answer in answers:
            if isinstance(answer, Approved):
                assert 0 < answer.order.quantity <= event.quantity
                assert answer.order.reference_price > 0


def by_hand(side=SELL, quantity=10, **fields):
    """The operator's close, as the runner sends it: without a price decided upon."""
    return {
        "position_effect": CLOSE,
        "by": "uid 7",
        "last_price": 0.0,
        "quantity": quantity,
        "side": side,
    } | fields


def close_by_hand(risk, **fields):
    wanted = by_hand(**fields)
    return decide(risk, wanted.pop("side"), wanted.pop("quantity"), **wanted)


def strict(**found):
    """Every rule at its narrowest."""
    narrow = [MaximumOrderQuantity(1), MaximumPositionQuantity(1), OrdersPerDay(1), DuplicateSignal(1000)]
    return manager(*narrow, books={"paper": book(momentum_1=10)}, **found)


def test_the_operators_close_passes_the_kill_switch_and_every_limit():
    risk = strict(halted=True)
    assert decide(risk, SELL, 10, position_effect=CLOSE).rule == "kill_switch"
    made = close_by_hand(risk)
    assert isinstance(made, Approved)
    assert (made.order.quantity, made.order.by, made.order.position_effect) == (10, "uid 7", CLOSE)
    assert made.order.reference_price == 100
    assert close_by_hand(risk, signal_id="S000002").verdict == "nothing_to_close"


def test_the_operators_close_passes_where_the_strategys_own_is_throttled():
    risk = strict()
    assert isinstance(decide(risk, SELL, 3, position_effect=CLOSE), Approved)
    assert decide(risk, SELL, 3, position_effect=CLOSE).rule == OrdersPerDay.code
    made = close_by_hand(risk)
    assert (type(made), made.order.quantity) == (Approved, 7)


def test_a_signature_opens_nothing():
    risk = strict(halted=True)
    assert close_by_hand(risk, position_effect=OPEN).rule == "kill_switch"
    risk.on(Resume("", "", 0))
    assert close_by_hand(risk, position_effect=OPEN).rule == MaximumOrderQuantity.code


def test_the_operators_close_waits_for_the_market_and_for_a_price():
    held = {"paper": book(momentum_1=10)}
    closed = manager(books=held, calendar=Hours())
    assert close_by_hand(closed).rule == "market_closed"
    assert close_by_hand(manager(books=held, price=None)).rule == "no_price"


@given(
    st.integers(-20, 20),
    st.lists(st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 30)), max_size=8),
    st.booleans(),
)
def test_the_operators_closes_never_reach_beyond_the_position(held, asked, halted):
    risk = manager(books={"paper": book(momentum_1=held)}, halted=halted)
    answers = [
        close_by_hand(risk, side=side, quantity=quantity, signal_id=f"S{number:06d}")
        for number, (side, quantity) in enumerate(asked)
    ]
    left = held
    for answer in answers:
        if isinstance(answer, Approved):
            left += answer.order.signed_pending
    assert abs(left) <= abs(held)
    assert left * held >= 0
