"""Intraday and SquareOff: the times of a day, who may still order what, and what a square-off asks for."""

from datetime import datetime, timedelta

import pytest
from builders import BUY, CLOSE, INFY, OPEN, SELL, TCS, TEN, book, fill, order, signal, tick
from msgspec import Struct

from alphapanda.core.portfolio import PortfolioManager
from alphapanda.core.risk import RiskManager
from alphapanda.core.rules import OrdersPerDay
from alphapanda.core.square_off import RETRY_NS, Intraday, SquareOff
from alphapanda.events import (
    SQUARE_OFF,
    CancelResting,
    ClosePosition,
    Halt,
    Instrument,
    Money,
    OrderFilled,
    OrderOpened,
    OrderStatus,
    Refused,
    TickBatch,
)
from alphapanda.live.gate import Gate
from alphapanda.times import to_ist, to_ns

SECOND = 1_000_000_000


def at(clock, days=0):
    """Nanoseconds of a time of the Monday of the builders."""
    hour, minute, second = (int(part) for part in f"{clock}:00".split(":")[:3])
    return to_ns(TEN.replace(hour=hour, minute=minute, second=second) + timedelta(days=days))


class Table:
    """A broker that squares off at 15:20 in a session that ends at 15:30; TCS stops earlier, at 15:15."""

    def __init__(self, closed=()):
        self.closed = closed

    def broker_square_off_ns(self, time_ns, instrument):
        return self._on(time_ns, 15, 20)

    def closes_ns(self, time_ns, instrument):
        return self._on(time_ns, 15, 15 if instrument == TCS else 30)

    def _on(self, time_ns, hour, minute):
        day = to_ist(time_ns)
        closed = day.weekday() > 4 or day.date() in self.closed
        return None if closed else to_ns(day.replace(hour=hour, minute=minute, second=0, microsecond=0))


class Holding(Struct):
    quantity: int = 10
    broker: str = "paper"
    strategy_id: str = "momentum_1"
    instrument: Instrument = INFY
    product: str = "MIS"


def intraday(*brokers, **changes):
    return Intraday(Table(), brokers, **({"minutes_before": 10, "entries_stop_minutes": 5} | changes))


def row(clock, number=7):
    return TickBatch(time_ns=at(clock), ticks=(tick(),), row=number)


def asked(square_off, clock, positions=(), orders=()):
    """(cancelled order ids, (strategy, side, quantity) of the closes)"""
    outputs = square_off.due(row(clock), positions, orders)
    cancels = [made.order.order_id for made in outputs if isinstance(made, CancelResting)]
    closes = [made for made in outputs if isinstance(made, ClosePosition)]
    assert len(cancels) + len(closes) == len(outputs)
    return cancels, [(made.strategy_id, made.transaction_type, made.quantity) for made in closes]


NOTHING = ([], [])


def test_what_comes_first_the_brokers_time_or_the_end_of_the_session_is_what_ours_comes_before():
    hours = intraday().hours(at("10:00"), INFY)
    assert hours == (at("15:05"), at("15:10"), at("15:20"), at("15:30"))
    assert intraday().hours(at("10:00"), TCS) == (at("15:00"), at("15:05"), at("15:20"), at("15:15"))


def test_each_day_has_its_own_times_and_a_day_without_a_session_has_none():
    times = intraday()
    assert times.hours(at("09:15", days=1), INFY).own_ns == at("15:10", days=1)
    assert times.hours(at("23:59:59"), INFY).own_ns == at("15:10")
    assert times.hours(at("00:00:00", days=1), INFY).own_ns == at("15:10", days=1)
    assert times.hours(at("10:00", days=5), INFY) is None
    assert times.hours(at("10:00"), INFY).own_ns == at("15:10")


@pytest.mark.parametrize(
    ("clock", "rule"),
    [("15:04:59", None), ("15:05:00", "square_off"), ("15:19:59", "square_off"), ("15:29:59", "square_off")],
)
def test_entries_stop_some_minutes_before_the_square_off(clock, rule):
    refused = intraday().refuse(order(BUY), at(clock))
    assert (refused and refused[0]) == rule
    assert intraday().refuse(order(SELL, position_effect=CLOSE), at(clock)) is None
    assert intraday().refuse(order(BUY, product="CNC"), at(clock)) is None
    assert intraday(minutes_before=0).refuse(order(BUY), at(clock)) is None


def test_the_refusal_says_from_when_on_and_why():
    assert intraday().refuse(order(BUY), at("15:06")) == (
        "square_off",
        "no MIS entry from 15:05: positions are closed at 15:10",
    )


@pytest.mark.parametrize("effect", [OPEN, CLOSE])
def test_nothing_of_ours_meets_a_broker_that_closes_positions_itself(effect):
    late = order(SELL, position_effect=effect)
    for times in (intraday("paper"), intraday("paper", minutes_before=0)):
        assert times.refuse(late, at("15:20")) == (
            "broker_square_off",
            "paper closes MIS positions itself since 15:20",
        )
    assert intraday("paper", minutes_before=0).refuse(late, at("15:19:59")) is None
    assert intraday("zerodha", minutes_before=0).refuse(late, at("15:25")) is None


def test_the_operators_own_close_passes_and_a_square_off_does_not():
    times = intraday("paper")
    for clock in ("15:06", "15:25"):
        assert times.refuse(order(SELL, position_effect=CLOSE, by="uid 7"), at(clock)) is None
    late = order(SELL, position_effect=CLOSE, by=SQUARE_OFF)
    assert times.refuse(late, at("15:10")) is None
    assert times.refuse(late, at("15:20"))[0] == "broker_square_off"


def test_until_it_is_due_it_sleeps_up_to_the_earliest_of_what_is_held_or_rests():
    square_off = SquareOff(intraday())
    assert asked(square_off, "10:00") == NOTHING
    assert square_off.wakes_ns == at("00:00", days=1)
    square_off.look_again()
    assert square_off.wakes_ns == 0
    assert asked(square_off, "10:01", [Holding()]) == NOTHING
    assert square_off.wakes_ns == at("15:10")
    assert asked(square_off, "10:02", [Holding()], [order(instrument=TCS)]) == NOTHING
    assert square_off.wakes_ns == at("15:05")


def test_what_rests_goes_first_and_then_what_is_held_is_closed():
    square_off = SquareOff(intraday())
    resting = order(BUY, 4, status=OrderStatus.OPEN)
    assert asked(square_off, "15:10", [Holding()], [resting]) == (["O000001"], [])
    assert asked(square_off, "15:10:01", [Holding()], [resting]) == NOTHING
    square_off.look_again()
    assert asked(square_off, "15:10:02", [Holding()]) == ([], [("momentum_1", SELL, 10)])


def test_a_resting_order_without_a_position_is_taken_back_too():
    assert asked(SquareOff(intraday()), "15:12", [Holding(0)], [order()]) == (["O000001"], [])


def test_the_close_is_asked_in_the_strategys_name_by_the_square_off_at_its_row():
    (made,) = SquareOff(intraday()).due(row("15:10", 42), [Holding(-3, strategy_id="dip_1")], [])
    assert (made.broker, made.strategy_id, made.instrument_token) == ("paper", "dip_1", INFY.instrument_token)
    assert (made.transaction_type, made.quantity, made.by) == (BUY, 3, SQUARE_OFF)
    assert (made.time_ns, made.row) == (at("15:10"), 42)


def test_each_position_has_its_own_time():
    square_off = SquareOff(intraday())
    held = [Holding(), Holding(2, instrument=TCS), Holding(5, product="CNC")]
    assert asked(square_off, "15:05", held) == ([], [("momentum_1", SELL, 2)])
    assert asked(square_off, "15:10", held[:1]) == ([], [("momentum_1", SELL, 10)])


@pytest.mark.parametrize(
    "pending",
    [
        order(SELL, 10, position_effect=CLOSE, by=SQUARE_OFF, status=OrderStatus.OPEN),
        order(SELL, 10, position_effect=CLOSE, by="uid 7", status=OrderStatus.OPEN),
        order(SELL, 10, position_effect=CLOSE, by="rms", status=OrderStatus.OPEN),
        order(SELL, 10, position_effect=CLOSE, status=OrderStatus.UNKNOWN),
    ],
    ids=("ours", "the operator's", "the broker's", "of which nothing is known"),
)
def test_what_is_being_closed_is_not_closed_twice(pending):
    assert asked(SquareOff(intraday()), "15:10", [Holding()], [pending]) == NOTHING


def test_only_the_rest_is_closed_where_something_closes_a_part():
    part = order(SELL, 6, position_effect=CLOSE, by="uid 7", filled_quantity=2, status=OrderStatus.PARTIAL)
    closing = asked(SquareOff(intraday()), "15:10", [Holding(8)], [part])
    assert closing == ([], [("momentum_1", SELL, 4)])


def test_an_entry_of_which_nothing_is_known_does_not_keep_a_position_open():
    lost = order(BUY, 10, status=OrderStatus.UNKNOWN)
    assert asked(SquareOff(intraday()), "15:10", [Holding()], [lost]) == ([], [("momentum_1", SELL, 10)])


def test_a_close_that_came_to_nothing_is_asked_again_after_some_seconds():
    square_off = SquareOff(intraday())
    closing = ([], [("momentum_1", SELL, 10)])
    assert asked(square_off, "15:10:00", [Holding()]) == closing
    assert square_off.wakes_ns == at("15:10:00") + RETRY_NS == at("15:10:05")
    square_off.look_again()  # something of another position
    assert asked(square_off, "15:10:04", [Holding()]) == NOTHING
    assert asked(square_off, "15:10:05", [Holding()]) == closing


def test_what_a_part_left_over_is_closed_without_waiting():
    square_off = SquareOff(intraday())
    assert asked(square_off, "15:10:00", [Holding()])[1] == [("momentum_1", SELL, 10)]
    assert asked(square_off, "15:10:01", [Holding(7)])[1] == [("momentum_1", SELL, 7)]


@pytest.mark.parametrize(("brokers", "last"), [((), "15:29:59"), (("paper",), "15:19:59")])
def test_it_ends_when_the_session_does_or_the_broker_takes_over(brokers, last):
    square_off = SquareOff(intraday(*brokers))
    assert asked(square_off, last, [Holding()]) == ([], [("momentum_1", SELL, 10)])
    after = row(last).time_ns + SECOND
    for time_ns in (after, after + 3600 * SECOND):
        assert square_off.due(TickBatch(time_ns=time_ns, ticks=()), [Holding()], []) == []
        assert square_off.wakes_ns == at("00:00", days=1)


def test_a_position_that_was_carried_over_is_closed_on_the_next_day():
    square_off = SquareOff(intraday())
    assert asked(square_off, "15:30", [Holding()]) == NOTHING
    next_day = TickBatch(time_ns=at("09:15", days=1), ticks=())
    assert square_off.due(next_day, [Holding()], []) == []
    assert square_off.wakes_ns == at("15:10", days=1)


def test_a_day_without_a_session_has_nothing_to_do():
    square_off = SquareOff(Intraday(Table(closed=(datetime(2024, 6, 3).date(),)), minutes_before=10))
    assert asked(square_off, "15:15", [Holding()], [order()]) == NOTHING


def portfolio_with(fills=(), orders=(), **changes):
    return PortfolioManager(
        {"paper": Money(1_000_000)}, fills=fills, orders=orders, square_off=SquareOff(intraday(**changes))
    )


def house_words(outputs):
    return [made for made in outputs if isinstance(made, CancelResting | ClosePosition)]


def test_portfolio_asks_once_it_is_due_and_looks_again_after_every_order():
    portfolio = portfolio_with()
    assert house_words(portfolio.on(row("15:11"))) == []
    portfolio.on(OrderOpened(order(BUY, 10, status=OrderStatus.OPEN)))
    (cancel,) = house_words(portfolio.on(row("15:11:01", 8)))
    assert (cancel.order.order_id, cancel.reason) == ("O000001", SQUARE_OFF)
    filled = order(BUY, 10, status=OrderStatus.FILLED, filled_quantity=10)
    portfolio.on(OrderFilled(filled, fill(BUY, 10)))  # the cancel came too late
    (close,) = house_words(portfolio.on(row("15:11:02", 9)))
    assert (close.quantity, close.row) == (10, 9)


def test_rows_of_before_a_restart_ask_for_nothing_and_the_first_one_after_it_does():
    portfolio = portfolio_with([fill(BUY, 10)])
    assert portfolio.warm_up(row("15:10")) is None
    assert len(house_words(portfolio.on(row("15:10:01", 8)))) == 1


def risk_with(times, held=10):
    books = {"paper": book(1_000_000, momentum_1=held)}
    manager = RiskManager(
        (), {"paper": "MIS"}, tag_seed="test", instruments=(INFY,), books=books, intraday=times
    )
    manager.on(row("15:21"))
    return manager


def verdict(manager, side, **changes):
    (made,) = manager.on(signal(side, 5, time_ns=at("15:21"), **changes))
    return made.rule if isinstance(made, Refused) else "approved"


def test_risk_refuses_late_entries_and_whatever_the_broker_does_itself():
    own, both = risk_with(intraday()), risk_with(intraday("paper"))
    assert verdict(own, BUY) == "square_off"
    assert verdict(own, SELL, position_effect=CLOSE) == "approved"
    assert verdict(both, BUY) == "broker_square_off"
    assert verdict(both, SELL, position_effect=CLOSE) == "broker_square_off"
    assert verdict(both, SELL, position_effect=CLOSE, by=SQUARE_OFF) == "broker_square_off"
    assert verdict(both, SELL, position_effect=CLOSE, by="uid 7") == "approved"
    flat = risk_with(intraday("paper"), held=0)
    assert verdict(flat, SELL, position_effect=CLOSE) == "nothing_to_close"


def test_throttles_do_not_count_what_the_broker_ordered_by_itself():
    theirs = order(SELL, 5, 0, order_id="RP00001", by="rms", position_effect=CLOSE, created_ns=at("15:20"))
    for past, rule in ([theirs], "approved"), ([order(created_ns=at("15:20"))], "max_orders_per_day"):
        manager = RiskManager(
            (OrdersPerDay(max_orders_per_day=1),),
            {"paper": "MIS"},
            tag_seed="test",
            instruments=(INFY,),
            past=past,
        )
        manager.on(row("15:21"))
        assert verdict(manager, BUY) == rule


def test_a_square_off_is_no_order_of_the_operator_to_the_kill_switch():
    manager = risk_with(intraday())
    manager.on(Halt("test", "uid 7", at("15:21")))
    assert verdict(manager, SELL, position_effect=CLOSE, by=SQUARE_OFF) == "kill_switch"
    closing = order(SELL, position_effect=CLOSE, by=SQUARE_OFF)
    gate = Gate()
    gate.ready = gate.killed = True
    assert not gate.lets(closing)
