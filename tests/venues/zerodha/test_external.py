"""Trades that are not ours: whatever comes between, ours and external are the broker's net, to the unit."""

from decimal import Decimal

import pytest
from builders import BUY, INFY, SELL, TEN_NS, fill, order
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.charges import ZerodhaCharges
from alphapanda.core.comparison import OVERNIGHT, Reconciled, compare, held_by, key_of
from alphapanda.core.execution import TradingEngine
from alphapanda.core.market import FEE, RMS, with_fee
from alphapanda.events import (
    ExternalSeen,
    Instrument,
    Money,
    OrderAdopted,
    OrderFilled,
    OrderStatus,
    Report,
    ReportKind,
    TransactionType,
)
from alphapanda.tables import tariff
from alphapanda.times import day_of
from alphapanda.venues.zerodha.book_rows import OrderRow, TradeRow
from alphapanda.venues.zerodha.external import External
from alphapanda.venues.zerodha.external_trade import EXTERNAL, ExternalTrade

BROKER = "zerodha"
BSE_INFY = Instrument(500209, "BSE", "INFY")
INSTRUMENTS = (INFY, BSE_INFY)


def no_charges(_order, _price, _quantity, _time_ns):
    return Money(0)


def trade(side=SELL, quantity=10, number=1, order_id="26041500001", instrument=INFY, **fields):
    defaults = {
        "order_id": order_id,
        "trade_id": f"{number}",
        "exchange": instrument.exchange,
        "tradingsymbol": instrument.tradingsymbol,
        "product": "MIS",
        "transaction_type": side,
        "quantity": quantity,
        "price": Money(100),
        "time_ns": TEN_NS,
    }
    return ExternalTrade(**defaults | fields)


def ours(side=BUY, quantity=10, number=1, **fields):
    return fill(side, quantity, trade=number, **{"broker": BROKER} | fields)


class Books:
    """Ours as the journal and the line have it, beside the broker's own net."""

    def __init__(self):
        self.known = Reconciled()
        self.orders = {}
        self.fills = []
        self.told = []
        self.net = {}
        self.start()

    def start(self):
        """A daemon, from what is written down."""
        self.engine = TradingEngine(
            self.orders.values(), [(each.broker, each.trade_id) for each in self.fills]
        )
        self.external = External(BROKER, no_charges, self.orders.values(), self.fills, self.known)

    def trade_ours(self, each):
        self._move(each.instrument, each.product, each.signed_quantity)
        self.fills.append(each)
        self.external.ours(each)

    def trade_theirs(self, each, written=None):
        self.told.append(each)
        self._move_key(each.key, each.transaction_type.sign * each.quantity)
        self.tell(each, written)

    def tell(self, each, written=None):
        """Only so many of the outputs come to the journal before a crash."""
        for output in self.external.theirs(each)[:written]:
            if isinstance(output, ExternalSeen):
                self.known.on(output)
                continue
            for event in self.engine.on(output):
                self.orders[event.order.order_id] = event.order
                if isinstance(event, OrderFilled):
                    self.fills.append(event.fill)

    def _move(self, instrument, product, quantity):
        self._move_key(key_of(instrument.exchange, instrument.tradingsymbol, product), quantity)

    def _move_key(self, key, quantity):
        self.net[key] = self.net.get(key, 0) + quantity

    def differences(self):
        return compare(held_by(self.fills), self.net, self.known.external)


sides, products = st.sampled_from([BUY, SELL]), st.sampled_from(["MIS", "CNC"])
quantities = st.integers(1, 4)
our_trades = st.tuples(
    st.just("ours"), sides, quantities, products, st.sampled_from(INSTRUMENTS), st.sampled_from("ab")
)
their_trades = st.tuples(
    st.just("theirs"), sides, quantities, products, st.sampled_from(INSTRUMENTS), st.integers(1, 3)
)
restarts = st.tuples(st.just("restart"))
crashes = st.tuples(st.just("crash"), their_trades, st.integers(0, 3))
courses = st.lists(st.one_of(our_trades, their_trades, restarts, crashes), max_size=25)


def ours_of(words, number):
    _, side, quantity, product, instrument, owner = words
    where = {"product": product, "instrument": instrument, "strategy_id": owner}
    return ours(side, quantity, number, traded_ns=TEN_NS + number, **where)


def theirs_of(words, number):
    _, side, quantity, product, instrument, order_number = words
    order_id = f"{order_number}{side.value}{product}{instrument.key}"
    return trade(side, quantity, number, order_id, instrument, product=product, time_ns=TEN_NS + number)


@settings(max_examples=400, deadline=None)
@given(courses)
def test_ours_and_external_are_the_brokers_net_at_every_point(course):
    books = Books()
    for number, words in enumerate(course):
        match words:
            case ("ours", *_):
                books.trade_ours(ours_of(words, number))
            case ("theirs", *_):
                books.trade_theirs(theirs_of(words, number))
            case ("restart",):
                books.start()
            case ("crash", their, written):
                books.trade_theirs(theirs_of(their, number), written)
                books.start()
        for each in books.told:  # every book says every trade of the day again
            books.tell(each)
        assert not books.differences()
        assert books.external.held() == held_by(books.fills)
        assert dict(books.external.units) == {k: n for k, n in books.known.external.items() if n}
        assert not books.engine.open_orders()
    for each in books.told:
        assert not books.external.theirs(each)


@given(courses)
def test_a_restart_at_any_point_changes_nothing(course):
    def walked(*, restarting):
        books = Books()
        for number, words in enumerate(course):
            if words[0] == "ours":
                books.trade_ours(ours_of(words, number))
            elif words[0] == "theirs":
                books.trade_theirs(theirs_of(words, number))
            if restarting:
                books.start()
        return books.known, books.orders, books.fills

    assert walked(restarting=True) == walked(restarting=False)


def test_what_is_not_ours_is_reduced_before_what_strategies_hold():
    known = Reconciled(external={key_of("NSE", "INFY", "MIS"): 4})
    external = External(BROKER, no_charges, fills=[ours(BUY, 10)], known=known)
    seen, adopted, filled = external.theirs(trade(SELL, 6))
    assert (seen.change, seen.quantity) == (-4, 0)
    assert (adopted.order.quantity, filled.quantity) == (2, 2)
    assert adopted.order.strategy_id == "momentum_1"


def test_the_strategy_with_the_oldest_lot_goes_first_and_goes_whole():
    fills = [
        ours(BUY, 5, 1, strategy_id="late", traded_ns=TEN_NS + 9),
        ours(BUY, 5, 2, strategy_id="early", traded_ns=TEN_NS),
        ours(BUY, 5, 3, strategy_id="early", traded_ns=TEN_NS + 20),
    ]
    adopted = [
        (output.order.strategy_id, output.order.quantity, output.order.order_id)
        for output in External(BROKER, no_charges, fills=fills).theirs(trade(SELL, 17))
        if isinstance(output, OrderAdopted)
    ]
    assert adopted == [("early", 10, "X26041500001"), ("late", 5, "X26041500001-2")]


def test_the_rest_of_a_trade_is_not_ours():
    external = External(BROKER, no_charges, fills=[ours(BUY, 10)])
    seen, *_ = external.theirs(trade(SELL, 25))
    assert (seen.change, seen.quantity) == (-15, -15)
    assert external.units == {key_of("NSE", "INFY", "MIS"): -15}
    assert external.held() == {}


def test_a_trade_on_our_own_side_leaves_strategies_alone():
    external = External(BROKER, no_charges, fills=[ours(BUY, 10)])
    (seen,) = external.theirs(trade(BUY, 5))
    assert isinstance(seen, ExternalSeen)
    assert external.held() == {key_of("NSE", "INFY", "MIS"): 10}


def test_another_product_of_the_same_share_is_another_position():
    external = External(BROKER, no_charges, fills=[ours(BUY, 10, product="CNC")])
    (seen,) = external.theirs(trade(SELL, 5, product="MIS"))
    assert seen.quantity == -5


def test_delivery_shares_sold_on_the_other_exchange_close_those_that_are_held():
    external = External(BROKER, no_charges, fills=[ours(BUY, 10, product="CNC")])
    adopted, _ = external.theirs(trade(SELL, 10, product="CNC", instrument=BSE_INFY))
    assert adopted.order.instrument == INFY
    assert external.held() == {}


def test_an_adopted_order_is_a_close_of_whoever_made_it_and_fills_at_once():
    external = External(BROKER, no_charges, fills=[ours(BUY, 10)])
    adopted, filled = external.theirs(trade(SELL, 10, by=RMS))
    engine = TradingEngine()
    (opened,) = engine.on(adopted)
    assert opened.order.closed_by_hand
    assert (opened.order.by, opened.order.tag) == (RMS, "X26041500001")
    (done,) = engine.on(filled)
    assert done.order.status is OrderStatus.FILLED
    assert done.fill.trade_id == "1", "the broker's own"
    assert done.order.broker_order_id == "26041500001"


def test_a_trade_that_several_share_or_whose_id_is_in_the_book_gets_ids_of_its_own():
    shared = External(
        BROKER, no_charges, fills=[ours(BUY, 4, 1, strategy_id="a"), ours(BUY, 6, 2, strategy_id="b")]
    )
    parts = [each.trade_id for each in shared.theirs(trade(SELL, 10, by=RMS)) if isinstance(each, Report)]
    assert parts == ["1/X26041500001", "1/X26041500001-2"]
    taken = External(BROKER, no_charges, fills=[ours(BUY, 10)], labels={"1"})
    _, filled = taken.theirs(trade(SELL, 10, by=RMS))
    assert filled.trade_id == "1/X26041500001"


def test_the_parts_of_one_order_are_charged_as_one_and_squaring_off_costs_its_fee_once():
    charges = ZerodhaCharges(tariff())
    fills = [ours(BUY, 400, 1, strategy_id="a"), ours(BUY, 600, 2, strategy_id="b", traded_ns=TEN_NS + 1)]
    external = External(BROKER, charges, fills=fills)
    parts = [
        output
        for number, quantity in enumerate((300, 300, 400))
        for output in external.theirs(trade(SELL, quantity, number, by=RMS))
        if isinstance(output, Report)
    ]
    assert [part.quantity for part in parts] == [300, 100, 200, 400]
    assert len({part.trade_id for part in parts}) == 4
    whole = order(SELL, 1000, by=RMS, broker=BROKER)
    alone = with_fee(ZerodhaCharges(tariff()))(whole, Money(100), 1000, TEN_NS)
    assert sum(part.charges for part in parts) == alone
    assert alone > FEE


def test_rows_of_the_book_become_trades_of_whoever_the_broker_names():
    rows = [
        OrderRow(order_id="1", status="COMPLETE", placed_by="RH0001"),
        OrderRow(
            order_id="2",
            status="COMPLETE",
            placed_by="RMS",
            exchange="NSE",
            tradingsymbol="INFY",
            product="MIS",
        ),
    ]
    bare = {"quantity": 2, "average_price": Decimal(100), "transaction_type": "SELL"}
    whole = {"exchange": "NSE", "tradingsymbol": "INFY", "product": "CNC"}
    bought = {"transaction_type": "BUY", "fill_timestamp": "2024-06-03 10:00:00"}
    trades = [
        TradeRow(trade_id="7", order_id="1", **bare | whole | bought),
        TradeRow(trade_id="8", order_id="2", **bare),
        TradeRow(trade_id="9", order_id="ours", **bare),
        TradeRow(trade_id="10", order_id="2", **bare | {"transaction_type": ""}),
    ]
    external = External(BROKER, no_charges)
    by_hand, squared = (told for told, _ in external.on_book(rows, trades, TEN_NS + 5))
    assert (by_hand.by, by_hand.price, by_hand.time_ns) == (EXTERNAL, Money(100), TEN_NS)
    assert by_hand.transaction_type is TransactionType.BUY
    assert (squared.by, squared.tradingsymbol, squared.time_ns) == (RMS, "INFY", TEN_NS + 5)
    assert external.on_book([], trades, TEN_NS) == []


def test_our_own_fills_are_followed_by_their_reports():
    external = External(BROKER, no_charges)
    placed = order(BUY, 10, broker=BROKER)
    report = Report(
        order_id=placed.order_id,
        kind=ReportKind.FILL,
        time_ns=TEN_NS,
        trade_id="1",
        quantity=4,
        price=Money(100),
    )
    external.on_report(placed, report)
    assert external.held() == {key_of("NSE", "INFY", placed.product): 4}


def test_a_difference_that_nobody_could_see_come_about_is_external_from_then_on():
    key = key_of("NSE", "INFY", "CNC")
    external = External(BROKER, no_charges, known=Reconciled(external={key: 3}))
    (seen,) = external.found(compare({}, {key: 10}, external.units), OVERNIGHT, TEN_NS)
    assert (seen.change, seen.quantity, seen.why) == (7, 10, OVERNIGHT)
    assert external.units == {key: 10}


@pytest.mark.parametrize("broker", ["paper"])
def test_fills_at_another_broker_are_none_of_this_account(broker):
    external = External(BROKER, no_charges, fills=[ours(BUY, 10, broker=broker)])
    assert external.held() == {}


def test_an_adopted_order_whose_fill_a_crash_has_swallowed_ends_with_its_day():
    opened = order(
        SELL, 4, 0, broker=BROKER, order_id="X26041500001", broker_order_id="26041500001", by=EXTERNAL,
        status=OrderStatus.OPEN, created_ns=TEN_NS,
    )  # fmt: skip
    external = External(BROKER, no_charges, [opened], [ours(BUY, 10)])
    assert external.over(day_of(TEN_NS)) == []
    (report,) = external.over(day_of(TEN_NS) + 1)
    (closed,) = TradingEngine([opened]).on(report)
    assert closed.order.status is OrderStatus.CANCELLED
    assert external.over(day_of(TEN_NS) + 2) == []
    assert external.held() == {key_of("NSE", "INFY", "MIS"): 10}
