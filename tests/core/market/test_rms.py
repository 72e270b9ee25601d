"""SquaringMarket: at the broker's time MIS orders are cancelled and MIS positions are closed, for a fee."""

from builders import BUY, CLOSE, INFY, LIMIT, SELL, TCS, TEN, fill, order, tick

from alphapanda.core.charges import flat
from alphapanda.core.margins import FULL
from alphapanda.core.market import RMS, MarketSimulator, SimulatedAccount, SquaringMarket, with_fee
from alphapanda.core.square_off import Intraday
from alphapanda.events import (
    Money,
    OrderAdopted,
    OrderStatus,
    PlaceOrder,
    ReportKind,
    TickBatch,
)
from alphapanda.times import to_ist, to_ns

TOKENS = {INFY: INFY.instrument_token, TCS: TCS.instrument_token}
CHARGES = with_fee(flat(Money("0.1")))


class Hours:
    """The broker closes TCS five minutes later than everything else."""

    def broker_square_off_ns(self, time_ns, instrument):
        return at("15:25" if instrument == TCS else "15:20")

    def closes_ns(self, time_ns, instrument):
        return at("15:30")


def at(clock):
    hour, minute, second = (int(part) for part in f"{clock}:00".split(":")[:3])
    return to_ns(TEN.replace(hour=hour, minute=minute, second=second))


def row(number, clock, instrument=INFY, price=100.0):
    one = tick(price, TOKENS[instrument], timestamp=to_ist(at(clock)))
    return TickBatch(time_ns=at(clock), ticks=(one,), row=number)


def market(fills=(), orders=(), made=0):
    account = SimulatedAccount(Money(1_000_000), FULL, fills)
    inner = MarketSimulator(Money(0), CHARGES, account=account, orders=orders, fills=fills)
    return SquaringMarket(inner, account, Intraday(Hours(), ("paper",)), "paper", made=made)


def said(outputs):
    """(order id, what)"""
    return [
        (one.order.order_id, "adopted") if isinstance(one, OrderAdopted) else (one.order_id, one.kind.value)
        for one in outputs
    ]


def test_before_the_brokers_time_the_market_is_as_any_other():
    plain = MarketSimulator(Money(0), CHARGES)
    squaring = market()
    for one in (plain, squaring):
        assert said(one.on(PlaceOrder(order()))) == [("O000001", "accepted")]
    assert squaring.resting() == plain.resting()
    for number, clock in ((1, "15:19:58"), (2, "15:19:59")):
        assert squaring.on(row(number, clock)) == plain.on(row(number, clock))
    assert squaring.resting() == []


def test_at_its_time_it_cancels_first_and_closes_at_the_next_price():
    squaring = market([fill(BUY, 10)])
    squaring.on(PlaceOrder(order(SELL, 10, 2, position_effect=CLOSE, row=1)))
    first = squaring.on_ticks(row(2, "15:20:00"))
    assert said(first) == [("O000002", "cancelled"), ("RP00001", "adopted")]
    cancelled, adopted = first
    assert (cancelled.reason, cancelled.time_ns) == (
        "cancelled by the broker, which squares off MIS from 15:20",
        at("15:20"),
    )
    made = adopted.order
    assert (made.transaction_type, made.quantity, made.position_effect) == (SELL, 10, CLOSE)
    assert (made.strategy_id, made.by, made.status, made.sequence) == ("momentum_1", RMS, OrderStatus.OPEN, 0)
    assert (made.broker_order_id, made.row, made.created_ns) == ("PAPER-RMS-1", 2, at("15:20"))
    assert squaring.resting() == [made]
    (filled,) = squaring.on_ticks(row(3, "15:20:01", price=99.0))
    assert (filled.kind, filled.order_id, filled.price) == (ReportKind.FILL, "RP00001", Money("99.0"))
    assert filled.charges == Money("0.99") + 59
    assert squaring.on_ticks(row(4, "15:20:02")) == []


def test_each_owner_and_each_instrument_has_an_order_of_its_own():
    held = [
        fill(BUY, 10, trade=1),
        fill(SELL, 4, trade=2, strategy_id="dip_1"),
        fill(BUY, 3, trade=3, instrument=TCS),
        fill(BUY, 5, trade=4, product="CNC", strategy_id="holder"),
    ]
    squaring = market(held)
    first = [one.order for one in squaring.on_ticks(row(1, "15:20"))]
    assert [(one.strategy_id, one.transaction_type, one.quantity) for one in first] == [
        ("momentum_1", SELL, 10),
        ("dip_1", BUY, 4),
    ]
    assert said(squaring.on_ticks(row(2, "15:24:59", TCS))) == []
    assert said(squaring.on_ticks(row(3, "15:25", TCS))) == [("RP00003", "adopted")]


def test_what_is_not_intraday_rests_on():
    squaring = market()
    squaring.on(PlaceOrder(order(order_type=LIMIT, price=Money(90), product="CNC")))
    assert squaring.on_ticks(row(1, "15:21")) == []
    assert [one.order_id for one in squaring.resting()] == ["O000001"]


def test_a_restart_in_the_middle_neither_repeats_nor_forgets():
    before = market([fill(BUY, 10)])
    (adopted,) = before.on_ticks(row(2, "15:20"))
    after = market([fill(BUY, 10)], [adopted.order], made=1)
    assert after.on_ticks(row(2, "15:20")) == []  # the row is walked again
    assert said(after.on_ticks(row(3, "15:20:01"))) == [("RP00001", "fill")]
    forgotten = market([fill(BUY, 10)], made=1)
    assert said(forgotten.on_ticks(row(2, "15:20"))) == [("RP00002", "adopted")]


def test_the_fee_is_of_the_order_and_not_of_each_of_its_fills():
    own = order(SELL, 10, by=RMS, position_effect=CLOSE)
    assert CHARGES(own, Money(100), 4, 0) == Money("0.40") + 59
    part = order(SELL, 10, by=RMS, position_effect=CLOSE, filled_quantity=4)
    assert CHARGES(part, Money(100), 6, 0) == Money("0.60")
    assert CHARGES(order(), Money(100), 10, 0) == Money("1.00")
