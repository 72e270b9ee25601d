"""The paper broker keeps the broker contract."""

from builders import BUY, CLOSE, INFY, LIMIT, SECOND, SELL, TCS, TEN_NS, bar, batch, fill, order, signal, tick
from hypothesis import given
from hypothesis import strategies as st
from sessions import market

from alphapanda.core.execution import TradingEngine
from alphapanda.events import Approved, Money, OrderFilled, OrderStatus, Report, ReportKind
from alphapanda.venues.contract import Broker
from alphapanda.venues.paper import PaperBroker


class Desk:
    """A broker and what it reported."""

    def __init__(self, **found):
        self.reports: list[Report] = []
        self.broker: Broker = PaperBroker(market(**found))
        self.broker.attach(self.reports.append, lambda _: True)

    def kinds(self):
        return [(told.kind, told.order_id) for told in self.reports]


def test_an_order_is_accepted_at_once_under_the_brokers_own_number():
    desk = Desk()
    desk.broker.place(order(sequence=7, created_ns=TEN_NS + 5))
    (accepted,) = desk.reports
    assert accepted == Report(
        order_id="O000007", kind=ReportKind.ACCEPTED, time_ns=TEN_NS + 5, broker_order_id="PAPER-7"
    )
    assert [resting.order_id for resting in desk.broker.resting()] == ["O000007"]


def test_it_fills_on_the_next_tick_of_its_instrument_with_slippage_and_charges():
    desk = Desk()
    desk.broker.place(order(BUY, 10, row=1))
    desk.broker.on_ticks(batch(tick(100.0), row=1))
    desk.broker.on_ticks(batch(tick(200.0, TCS.instrument_token), row=2))
    assert desk.kinds() == [(ReportKind.ACCEPTED, "O000001")]
    desk.broker.on_ticks(batch(tick(101.0), row=3, at=3))
    fill = desk.reports[-1]
    assert (fill.kind, fill.quantity, fill.trade_id) == (ReportKind.FILL, 10, "T000001")
    assert fill.price == Money("101.10")  # 101 x 1.0005 = 101.0505, up to the tick of 0.05
    assert fill.charges == Money("1.01")
    assert fill.time_ns == TEN_NS + 3 * SECOND
    assert desk.broker.resting() == []


def test_a_sale_slips_down():
    desk = Desk()
    desk.broker.place(order(SELL, 10, position_effect=CLOSE))
    desk.broker.on_ticks(batch(tick(101.0)))
    assert desk.reports[-1].price == Money("100.90")


def test_a_bar_fills_at_its_open():
    desk = Desk()
    desk.broker.place(order(BUY, 1))
    desk.broker.on_ticks(batch(bar(100.0, 150.0)))
    assert desk.reports[-1].price == Money("100.05")


def test_a_limit_order_fills_at_its_price_or_better():
    desk = Desk()
    desk.broker.place(order(BUY, 1, order_type=LIMIT, price=Money("99.95")))
    desk.broker.on_ticks(batch(tick(100.0)))
    assert len(desk.reports) == 1
    desk.broker.on_ticks(batch(tick(99.5)))
    assert desk.reports[-1].price == Money("99.5")


def test_a_cancel_is_reported_once_and_nothing_fills_after_it():
    desk = Desk()
    placed = order()
    desk.broker.place(placed)
    desk.broker.cancel(placed)
    desk.broker.cancel(placed)
    desk.broker.on_ticks(batch(tick(100.0)))
    assert desk.kinds() == [(ReportKind.ACCEPTED, "O000001"), (ReportKind.CANCELLED, "O000001")]


def test_a_cancel_that_comes_too_late_or_out_of_nowhere_says_nothing():
    desk = Desk()
    placed = order()
    desk.broker.place(placed)
    desk.broker.on_ticks(batch(tick(100.0)))
    reported = list(desk.reports)
    desk.broker.cancel(placed)
    desk.broker.cancel(order(sequence=99))
    assert desk.reports == reported


def test_orders_of_one_instrument_fill_in_the_order_they_came():
    desk = Desk()
    for sequence in (3, 1, 2):
        desk.broker.place(order(sequence=sequence))
    desk.broker.on_ticks(batch(tick(100.0)))
    assert [told.order_id for told in desk.reports[3:]] == ["O000003", "O000001", "O000002"]


def test_what_recovery_found_rests_again_and_trade_numbers_go_on():
    desk = Desk(
        orders=[order(status=OrderStatus.OPEN, row=5)], fills=[fill(trade=number) for number in range(1, 42)]
    )
    assert desk.reports == []
    assert [resting.order_id for resting in desk.broker.resting()] == ["O000001"]
    desk.broker.on_ticks(batch(tick(100.0), row=5))
    assert desk.reports == []
    desk.broker.on_ticks(batch(tick(100.0), row=6))
    assert desk.reports[-1].trade_id == "T000042"


def test_reports_go_to_whom_attached_last():
    desk, later = Desk(), []
    desk.broker.attach(later.append, lambda _: True)
    desk.broker.place(order())
    assert desk.reports == []
    assert len(later) == 1


def test_its_name_is_the_one_of_the_configuration():
    assert PaperBroker.name == "paper"


acts = st.lists(
    st.one_of(
        st.tuples(st.just("place"), st.sampled_from([BUY, SELL]), st.sampled_from([None, 98, 102])),
        st.tuples(st.just("cancel"), st.integers(1, 6), st.none()),
        st.tuples(st.just("tick"), st.sampled_from([97.0, 100.0, 103.0]), st.integers(0, 1)),
    ),
    max_size=40,
)


@given(acts)
def test_whatever_it_is_asked_its_reports_follow_the_life_of_an_order(acts):
    """No report contradicts the engine's table, and every order is resting or has ended."""
    desk, engine, made, fed = Desk(), TradingEngine(), [], 0
    for row, (act, first, second) in enumerate(acts, 1):
        match act:
            case "place":
                limit = {} if second is None else {"order_type": LIMIT, "price": Money(second)}
                made.append(order(first, 5, len(made) + 1, row=row, **limit))
                engine.on(Approved(made[-1], signal()))
                desk.broker.place(made[-1])
            case "cancel":
                for placed in made[first - 1 : first]:
                    desk.broker.cancel(placed)
            case _:
                token = (INFY, TCS)[second].instrument_token
                desk.broker.on_ticks(batch(tick(first, token), row=row, at=row))
        for told in desk.reports[fed:]:
            for event in engine.on(told):
                if isinstance(event, OrderFilled) and event.order.price is not None:
                    side = event.order.transaction_type.sign
                    assert side * event.fill.price <= side * event.order.price
        fed = len(desk.reports)
    assert [one.order_id for one in engine.open_orders()] == [one.order_id for one in desk.broker.resting()]
    trades = [told.trade_id for told in desk.reports if told.kind is ReportKind.FILL]
    assert trades == [f"T{number:06d}" for number in range(1, len(trades) + 1)]
