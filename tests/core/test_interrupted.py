"""A row that was walked by half is walked again: each signal of it has its orders once."""

import pytest
from builders import INFY, SECOND, TCS, TEN_NS, batch, order, tick

from alphapanda.core.runner import StrategyRunner
from alphapanda.core.strategy import Strategy
from alphapanda.events import (
    Approved,
    Halt,
    OrderStatus,
    OrderUpdated,
    RowTaken,
    StrategyPaused,
    TradingSignal,
)
from alphapanda.live.opening import interrupted
from alphapanda.store.recovery import fold

ROW = batch(tick(), tick(102.0, TCS.instrument_token), at=3, row=7)
BOTH = (INFY.instrument_token, TCS.instrument_token)
WANTED = (1, 2, 2, 5)
"""Of each instrument; a pair of them is the same."""


class Heedless(Strategy):
    """Asks again and again, whatever it has."""

    def on_market_data(self, tick):
        return [self.buy(tick, quantity) for quantity in WANTED]


def runner(brokers=("paper", "zerodha")):
    return StrategyRunner([Heedless("a", BOTH, brokers), Heedless("b", BOTH, brokers[:1])])


def approvals(made, status=OrderStatus.OPEN):
    """What risk and execution make of signals, in the order of the journal."""
    events = []
    for signal in made:
        for broker in signal.brokers:
            number = len(events) // 2 + 1
            placed = order(
                sequence=number,
                order_id=f"O{number:06d}",
                signal_id=signal.signal_id,
                strategy_id=signal.strategy_id,
                broker=broker,
                row=signal.row,
            )
            events += [Approved(placed, signal), OrderUpdated(order(**{**fields(placed), "status": status}))]
    return events


def fields(of):
    return {name: getattr(of, name) for name in of.__struct_fields__}


def asked(events):
    """(strategy, instrument, quantity, broker) of each signal."""
    return sorted(
        (each.strategy_id, each.instrument_token, each.quantity, broker)
        for each in events
        if isinstance(each, TradingSignal)
        for broker in each.brokers
    )


def again(journal, row=ROW):
    """What is asked for in the row after a start from this journal."""
    recovered = fold(journal)
    walked = runner()
    walked.interrupted = interrupted(recovered.asked, recovered.saved.orders)
    return walked.on(row)


UNDISTURBED = runner().on(ROW)
JOURNAL = [RowTaken("rows", 6, TEN_NS), *approvals(UNDISTURBED)]


@pytest.mark.parametrize("cut", range(1, len(JOURNAL) + 1, 2))
def test_wherever_a_row_was_cut_each_of_its_signals_is_asked_for_once(cut):
    first = [event.signal for event in JOURNAL[1:cut:2]]
    brokers = [event.order.broker for event in JOURNAL[1:cut:2]]
    before = sorted(
        (each.strategy_id, each.instrument_token, each.quantity, broker)
        for each, broker in zip(first, brokers, strict=True)
    )
    assert sorted(before + asked(again(JOURNAL[:cut]))) == asked(UNDISTURBED)


@pytest.mark.parametrize("status", [OrderStatus.NOT_FOUND, OrderStatus.WITHHELD])
def test_what_never_reached_its_broker_is_asked_for_again(status):
    journal = [RowTaken("rows", 6, TEN_NS), *approvals(UNDISTURBED, status)]
    assert asked(again(journal)) == asked(UNDISTURBED)


@pytest.mark.parametrize("status", [OrderStatus.REJECTED, OrderStatus.UNKNOWN, OrderStatus.FILLED])
def test_what_reached_it_or_may_have_is_not(status):
    assert again([RowTaken("rows", 6, TEN_NS), *approvals(UNDISTURBED, status)]) == []


def test_a_row_that_was_marked_is_over():
    journal = [*JOURNAL, RowTaken("rows", 7, TEN_NS + 3 * SECOND)]
    assert not fold(journal).asked
    assert asked(again(journal)) == asked(UNDISTURBED)


def test_another_row_ends_it():
    recovered = fold(JOURNAL)
    walked = runner()
    walked.interrupted = interrupted(recovered.asked, recovered.saved.orders)
    later = batch(tick(), tick(102.0, TCS.instrument_token), at=3, row=8)
    assert len(walked.on(later)) == len(UNDISTURBED)
    assert not walked.interrupted


def test_a_live_journal_without_rows_keeps_no_more_than_the_signals_of_one_moment():
    made = []
    for at in range(20):
        made += runner().on(batch(tick(), at=at))
    kept = fold(approvals(made)).asked
    assert {each.signal.time_ns for each in kept.values()} == {made[-1].time_ns}


def test_what_lies_between_its_signals_changes_nothing():
    between = [StrategyPaused("b", "operator", TEN_NS, "")]
    assert again([*JOURNAL[:3], *between, *JOURNAL[3:]]) == []
    assert fold([*JOURNAL, Halt("stop", "operator", TEN_NS)]).asked
