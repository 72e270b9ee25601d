"""TradingEngine: the life of an order is the table, the whole table, and nothing but the table."""

from itertools import product

import pytest
from builders import BUY, CLOSE, SELL, TEN_NS, batch, order, report, signal
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.execution import KEPT_DAYS, LIFE, STALE, ImpossibleReport, TradingEngine
from alphapanda.events import (
    Approved,
    CancelOrder,
    CancelResting,
    Halt,
    Money,
    OrderAdopted,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderStatus,
    OrderUpdated,
    PlaceOrder,
    ReportKind,
    Resume,
)
from alphapanda.times import DAY_NS

S, K = OrderStatus, ReportKind
EVERY_PAIR = list(product(S, K))


def engine_with(status=S.OPEN, quantity=10, filled=0, **fields):
    """An engine that recovered one order, of which `filled` have traded in one trade."""
    return TradingEngine(
        [
            order(
                quantity=quantity,
                status=status,
                filled_quantity=filled,
                filled_value=Money(100) * filled,
                **fields,
            )
        ],
        [("paper", "T000001")] if filled else [],
    )


def filled_in(status):
    """How much must have traded for an order of ten to be in this state."""
    return {S.PARTIAL: 4, S.FILLED: 10}.get(status, 0)


@pytest.mark.parametrize(("status", "kind"), EVERY_PAIR)
def test_every_report_in_every_state_moves_the_order_or_is_stale_or_is_impossible(status, kind):
    engine = engine_with(status, filled=filled_in(status))
    before = engine.order("O000001")
    news = report(kind, trade_id="T000002", quantity=1)
    if (status, kind) in LIFE:
        assert len(engine.on(news)) == 1
        assert engine.order("O000001").status == LIFE[status, kind]
        return
    if (status, kind) in STALE:
        assert engine.on(news) == []
    else:
        with pytest.raises(ImpossibleReport, match="O000001"):
            engine.on(news)
    assert engine.order("O000001") is before


def test_no_pair_is_both_in_the_table_and_stale():
    assert not LIFE.keys() & STALE
    assert LIFE.keys() | STALE <= set(EVERY_PAIR)


def test_the_whole_table_as_a_reviewer_reads_it():
    """One line a state, one column a report: what it leads to, `-` for stale, `!` for impossible."""
    marks = dict.fromkeys(STALE, "-") | {pair: status.value for pair, status in LIFE.items()}
    table = {status.value: [marks.get((status, kind), "!") for kind in K] for status in S}
    assert [kind.value for kind in K] == [
        *("sent", "withheld", "accepted", "rejected", "fill", "cancelled", "no_answer", "absent"),
        *("triggered", "found"),
    ]
    assert table == {
        "PREPARED": [
            *("SENT", "WITHHELD", "OPEN", "REJECTED"),
            *("PARTIAL", "CANCELLED", "UNKNOWN", "NOT_FOUND", "OPEN", "!"),
        ],
        "SENT": [
            *("!", "WITHHELD", "OPEN", "REJECTED"),
            *("PARTIAL", "CANCELLED", "UNKNOWN", "NOT_FOUND", "OPEN", "!"),
        ],
        "OPEN": ["!", "!", "-", "REJECTED", "PARTIAL", "CANCELLED", "-", "!", "OPEN", "-"],
        "PARTIAL": ["!", "!", "-", "!", "PARTIAL", "CANCELLED", "-", "!", "-", "-"],
        "UNKNOWN": ["!", "!", "OPEN", "REJECTED", "PARTIAL", "CANCELLED", "-", "NOT_FOUND", "OPEN", "!"],
        "FILLED": ["!", "!", "-", "!", "!", "-", "-", "!", "-", "-"],
        "CANCELLED": ["!", "!", "-", "!", "CANCELLED", "-", "-", "!", "-", "-"],
        "REJECTED": ["!", "!", "-", "-", "!", "-", "-", "!", "-", "OPEN"],
        "NOT_FOUND": ["!", "!", "OPEN", "REJECTED", "PARTIAL", "CANCELLED", "!", "-", "!", "OPEN"],
        "WITHHELD": ["!", "!", "!", "!", "!", "!", "!", "!", "!", "OPEN"],
    }


def test_an_ended_order_never_lives_again_but_by_adoption():
    """What ended without a trade is adopted when the broker shows it; a fill may cross a cancel."""
    alive = {(before, kind) for (before, kind), after in LIFE.items() if before.ended and not after.ended}
    assert alive == {
        *((S.NOT_FOUND, K.ACCEPTED), (S.NOT_FOUND, K.FILL)),
        *((S.NOT_FOUND, K.FOUND), (S.REJECTED, K.FOUND), (S.WITHHELD, K.FOUND)),
    }
    moved = {(before, kind) for before, kind in LIFE if before.ended}
    assert moved - alive == {
        *((S.CANCELLED, K.FILL), (S.NOT_FOUND, K.REJECTED), (S.NOT_FOUND, K.CANCELLED)),
    }


@pytest.mark.parametrize("status", [S.NOT_FOUND, S.REJECTED, S.WITHHELD])
def test_an_order_that_is_found_after_all_is_open_again_and_trades(status):
    engine = engine_with(status)
    (found,) = engine.on(report(K.FOUND, broker_order_id="B1"))
    assert (type(found), found.order.status, found.order.broker_order_id) == (OrderUpdated, S.OPEN, "B1")
    assert engine.open_orders() == [found.order]
    assert engine.on(report(K.FOUND)) == []
    (filled,) = engine.on(report(K.FILL, quantity=10))
    assert (type(filled), filled.order.status) == (OrderFilled, S.FILLED)


def test_no_answer_is_never_a_rejection():
    outcomes = {after for (_, kind), after in LIFE.items() if kind is K.NO_ANSWER}
    assert outcomes == {S.UNKNOWN}
    assert {kind for (before, kind) in LIFE if before is S.UNKNOWN} == {
        *(K.ACCEPTED, K.REJECTED, K.CANCELLED, K.ABSENT, K.TRIGGERED, K.FILL)
    }


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        (K.SENT, OrderUpdated),
        (K.ACCEPTED, OrderUpdated),
        (K.TRIGGERED, OrderUpdated),
        (K.NO_ANSWER, OrderUpdated),
        (K.FILL, OrderFilled),
        (K.REJECTED, OrderClosed),
        (K.CANCELLED, OrderClosed),
        (K.ABSENT, OrderClosed),
        (K.WITHHELD, OrderClosed),
    ],
)
def test_a_move_is_told_as_updated_filled_or_closed(kind, event):
    (output,) = engine_with(S.PREPARED).on(report(kind, quantity=1))
    assert type(output) is event


def test_an_approval_is_first_opened_and_then_placed():
    made = order()
    engine = TradingEngine()
    assert engine.on(Approved(made, signal())) == [OrderOpened(made), PlaceOrder(made)]
    assert engine.open_orders() == [made]
    assert engine.order("O000001") is made
    assert (engine.total("paper"), engine.total("zerodha")) == (1, 0)


def test_a_report_brings_its_broker_id_its_reason_and_its_time():
    engine = engine_with(S.SENT)
    engine.on(report(K.ACCEPTED, broker_order_id="B1", time_ns=TEN_NS + 5))
    (closed,) = engine.on(report(K.CANCELLED, reason="by the operator", time_ns=TEN_NS + 9))
    assert (closed.order.broker_order_id, closed.order.reason) == ("B1", "by the operator")
    assert (closed.order.created_ns, closed.order.updated_ns) == (TEN_NS, TEN_NS + 9)


def test_a_fill_carries_everything_of_its_order_and_its_trade():
    engine = engine_with(S.OPEN, quantity=10)
    fill_report = report(
        K.FILL,
        quantity=4,
        price=Money("100.05"),
        charges=Money("0.40"),
        time_ns=TEN_NS + 7,
        broker_order_id="B",
    )
    (filled,) = engine.on(fill_report)
    assert (filled.order.status, filled.order.filled_quantity) == (S.PARTIAL, 4)
    assert (filled.order.filled_value, filled.order.broker_order_id) == (Money("400.20"), "B")
    trade = filled.fill
    assert (trade.trade_id, trade.order_id, trade.broker) == ("T000001", "O000001", "paper")
    assert (trade.strategy_id, trade.product) == ("momentum_1", "MIS")
    assert (trade.quantity, trade.price, trade.charges) == (4, Money("100.05"), Money("0.40"))
    assert (trade.transaction_type, trade.traded_ns) == (BUY, TEN_NS + 7)


pieces = st.lists(st.integers(1, 20), min_size=1, max_size=8)


@settings(deadline=None)
@given(pieces, st.data())
def test_a_fill_in_any_pieces_in_any_order_with_repeats_ends_the_same(sizes, data):
    quantity = sum(sizes)
    reports = [
        report(K.FILL, quantity=size, trade_id=f"T{number}", price=Money(100 + number))
        for number, size in enumerate(sizes)
    ]
    repeats = data.draw(st.lists(st.sampled_from(reports), max_size=8))
    late = data.draw(st.lists(st.sampled_from([report(K.ACCEPTED), report(K.NO_ANSWER)]), max_size=3))
    engine = engine_with(S.OPEN, quantity=quantity)
    outputs = [
        output for news in data.draw(st.permutations(reports + repeats + late)) for output in engine.on(news)
    ]
    assert [type(output) for output in outputs] == [OrderFilled] * len(sizes)
    assert sum(output.fill.quantity for output in outputs) == quantity
    assert {output.fill.trade_id for output in outputs} == {news.trade_id for news in reports}
    final = engine.order("O000001")
    assert (final.status, final.filled_quantity, final.pending_quantity) == (S.FILLED, quantity, 0)
    assert final.filled_value == sum(news.price * news.quantity for news in reports)
    assert engine.open_orders() == []


@given(st.integers(1, 20), st.integers(0, 20), st.integers(-2, 50))
def test_more_than_was_ordered_never_fills(quantity, already, size):
    already = min(already, quantity - 1)
    engine = engine_with(S.PARTIAL if already else S.OPEN, quantity=quantity, filled=already)
    news = report(K.FILL, trade_id="T2", quantity=size)
    if 0 < size <= quantity - already:
        (filled,) = engine.on(news)
        assert filled.order.filled_quantity == already + size
        return
    before = engine.order("O000001")
    with pytest.raises(ImpossibleReport, match=f"to {already + size} of {quantity}"):
        engine.on(news)
    assert engine.order("O000001") is before


def test_a_trade_id_that_was_refused_as_too_much_is_not_remembered():
    engine = engine_with(S.OPEN, quantity=5)
    with pytest.raises(ImpossibleReport):
        engine.on(report(K.FILL, quantity=6))
    assert len(engine.on(report(K.FILL, quantity=5))) == 1


def test_a_trade_booked_before_a_restart_is_not_booked_again():
    engine = engine_with(S.PARTIAL, filled=4)
    assert engine.on(report(K.FILL, quantity=4)) == []
    assert engine.order("O000001").filled_quantity == 4


def test_the_same_trade_id_at_two_brokers_is_two_trades():
    engine = TradingEngine([order(status=S.OPEN), order(sequence=2, status=S.OPEN, broker="zerodha")])
    assert len(engine.on(report(K.FILL, "O000001", quantity=1))) == 1
    assert len(engine.on(report(K.FILL, "O000002", quantity=1))) == 1
    assert engine.on(report(K.FILL, "O000002", quantity=1)) == []


def test_a_fill_that_crosses_a_cancel_is_real_and_may_complete_the_order():
    engine = engine_with(S.CANCELLED, quantity=10, filled=4)
    (part,) = engine.on(report(K.FILL, trade_id="T2", quantity=5))
    assert (part.order.status, part.order.filled_quantity) == (S.CANCELLED, 9)
    (rest,) = engine.on(report(K.FILL, trade_id="T3", quantity=1))
    assert (rest.order.status, rest.order.filled_quantity) == (S.FILLED, 10)


def test_a_report_on_an_order_that_was_never_opened_is_impossible():
    with pytest.raises(ImpossibleReport, match="O000009"):
        engine_with().on(report(K.ACCEPTED, "O000009"))


def test_a_halt_cancels_every_order_that_may_still_trade():
    engine = TradingEngine([order(sequence=n, status=status) for n, status in enumerate(S, start=1)])
    cancels = engine.on(Halt("test", "operator", TEN_NS))
    assert all(type(cancel) is CancelOrder for cancel in cancels)
    alive = {S.PREPARED, S.SENT, S.OPEN, S.PARTIAL, S.UNKNOWN}
    assert {cancel.order.status for cancel in cancels} == alive
    assert len(cancels) == len(alive)
    assert [cancel.order for cancel in cancels] == engine.open_orders()
    assert engine.on(Resume("test", "operator", TEN_NS)) == []


def test_a_halt_leaves_the_closes_of_the_operator_alone():
    assert engine_with(position_effect=CLOSE, by="uid 7").on(Halt("test", "operator", TEN_NS)) == []
    for other in ({"position_effect": CLOSE}, {"by": "uid 7"}):
        assert len(engine_with(**other).on(Halt("test", "operator", TEN_NS))) == 1


@pytest.mark.parametrize("status", S)
def test_an_order_is_taken_back_once_and_only_while_it_may_trade(status):
    engine = engine_with(status, filled=filled_in(status))
    wanted = CancelResting(order(quantity=99), "the house wants it")  # what it is now is the engine's to know
    cancels = engine.on(wanted)
    assert cancels == ([] if status.ended else [CancelOrder(engine.order("O000001"))])
    assert engine.on(wanted) == []


def test_an_order_that_is_not_known_is_not_taken_back():
    assert TradingEngine().on(CancelResting(order(), "why")) == []


@pytest.mark.parametrize(("said", "told"), [("", "square-off"), ("expired", "expired")])
def test_an_order_that_was_taken_back_says_why_unless_its_broker_does(said, told):
    engine = engine_with(S.OPEN)
    engine.on(CancelResting(order(), "square-off"))
    (closed,) = engine.on(report(K.CANCELLED, reason=said))
    assert (closed.order.status, closed.order.reason) == (S.CANCELLED, told)


@pytest.mark.parametrize("status", [S.UNKNOWN, S.NOT_FOUND, S.REJECTED, S.WITHHELD])
def test_why_an_order_was_in_doubt_is_over_once_it_is_there(status):
    """A reader of `orders` would take a time-out for the reason of an order that has filled."""
    back = K.ACCEPTED if status is S.UNKNOWN else K.FOUND
    engine = engine_with(status, reason="no answer came")
    (moved,) = engine.on(report(back))
    assert (moved.order.status, moved.order.reason) == (S.OPEN, "")
    (filled,) = engine_with(S.UNKNOWN, reason="no answer came").on(report(K.FILL, quantity=10))
    assert (filled.order.status, filled.order.reason) == (S.FILLED, "")
    (absent,) = engine_with(S.UNKNOWN, reason="no answer came").on(report(K.ABSENT))
    assert (absent.order.status, absent.order.reason) == (S.NOT_FOUND, "no answer came")


def test_an_order_that_filled_while_it_was_taken_back_keeps_its_own_reason():
    engine = engine_with(S.OPEN, reason="its own")
    engine.on(CancelResting(order(), "square-off"))
    (filled,) = engine.on(report(K.FILL, quantity=10))
    assert (filled.order.status, filled.order.reason) == (S.FILLED, "its own")
    assert engine.on(report(K.CANCELLED)) == []


def adopted(order_id="RP00001", tag=""):
    """As the broker's own square-off comes: open, and with no approval behind it."""
    return order(
        SELL,
        order_id=order_id,
        tag=tag,
        sequence=0,
        signal_id="",
        position_effect=CLOSE,
        status=S.OPEN,
        broker_order_id="PAPER-RMS-1",
        by="rms",
    )


def test_an_order_that_the_broker_made_is_opened_and_fills_as_any_other():
    engine = TradingEngine()
    (opened,) = engine.on(OrderAdopted(adopted()))
    assert (type(opened), opened.order.tag, opened.order.status) == (OrderOpened, "RP00001", S.OPEN)
    assert engine.open_orders() == [opened.order]
    assert engine.total("paper") == 1
    (filled,) = engine.on(report(K.FILL, "RP00001", quantity=10))
    assert (type(filled), filled.order.status, filled.fill.strategy_id) == (
        OrderFilled,
        S.FILLED,
        "momentum_1",
    )


def test_an_order_is_adopted_once_and_keeps_the_tag_that_it_has():
    engine = TradingEngine()
    (opened,) = engine.on(OrderAdopted(adopted(tag="theirs")))
    assert opened.order.tag == "theirs"
    engine.on(report(K.FILL, "RP00001", quantity=4))
    assert engine.on(OrderAdopted(adopted())) == []
    assert engine.order("RP00001").filled_quantity == 4


def test_a_halt_leaves_the_brokers_own_orders_alone():
    engine = TradingEngine([adopted()])
    assert engine.on(Halt("test", "operator", TEN_NS)) == []


def test_an_event_that_is_not_for_execution_raises():
    with pytest.raises(TypeError, match="TickBatch"):
        TradingEngine().on(batch())


news = st.builds(
    report,
    st.sampled_from(list(K)),
    st.sampled_from(["O000001", "O000002"]),
    quantity=st.integers(1, 6),
    trade_id=st.sampled_from("ABCDEF"),
    price=st.integers(90, 110).map(Money),
)
inbox = st.lists(
    news
    | st.integers(1, 2).map(lambda n: Approved(order((BUY, SELL)[n - 1], sequence=n), signal()))
    | st.sampled_from([Halt("", "", 0), Resume("", "", 0)]),
    max_size=30,
)


@given(inbox)
def test_the_same_inbox_gives_the_same_outbox(events):
    def outbox():
        engine, answers = TradingEngine(), []
        for event in events:
            try:
                answers.append(engine.on(event))
            except ImpossibleReport as refusal:
                answers.append(str(refusal))
        return answers

    assert outbox() == outbox()


def of_day(day, sequence=1, **fields):
    at_ns = TEN_NS + day * DAY_NS
    return order(sequence=sequence, created_ns=at_ns, updated_ns=at_ns, **fields)


def approve(engine, one):
    return engine.on(Approved(one, signal()))


def test_what_ended_days_ago_is_let_go_with_the_first_order_of_a_day():
    ended, resting, late = of_day(0, 1, status=S.NOT_FOUND), of_day(0, 2, status=S.OPEN), of_day(1, 3)
    engine = TradingEngine([ended, resting], [("paper", "T000001")])
    approve(engine, late)
    approve(engine, of_day(KEPT_DAYS, 4))
    assert engine.on(report(K.FOUND))[0].order.status is S.OPEN, "what is late may come for days"
    engine.on(report(K.CANCELLED, time_ns=TEN_NS + KEPT_DAYS * DAY_NS))
    approve(engine, of_day(KEPT_DAYS + KEPT_DAYS, 5))
    assert engine.order("O000001").status is S.CANCELLED, "its end is what counts"
    approve(engine, of_day(KEPT_DAYS + KEPT_DAYS + 1, 6))
    with pytest.raises(ImpossibleReport, match="never opened"):
        engine.on(report(K.FOUND))
    assert [each.order_id for each in engine.open_orders()] == [f"O00000{n}" for n in (2, 3, 4, 5, 6)]
    assert engine.total("paper") == 6
    repeated = report(K.FILL, "O000002", quantity=1)
    assert engine.on(repeated) == [], "a trade is known for ever"


def test_a_feed_that_walks_earlier_days_again_lets_nothing_go():
    engine = TradingEngine([of_day(10, status=S.FILLED, filled_quantity=10)])
    approve(engine, of_day(11, 2))
    approve(engine, of_day(0, 3))
    engine.on(report(K.REJECTED, "O000003"))
    approve(engine, of_day(11, 4))
    assert {engine.order(f"O00000{n}").status for n in (1, 3)} == {S.FILLED, S.REJECTED}
