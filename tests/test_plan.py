"""From settings to objects: what a run is told of its days and rates, and what an entry sets aside."""

from datetime import datetime

import pytest
from builders import BUY, CLOSE, INFY, LIMIT, SELL, fill, order
from msgspec.structs import replace

from alphapanda.config.settings import CalendarSettings, PaperTrading, Settings, SquareOffSettings
from alphapanda.events import Money
from alphapanda.plan import calendar_of, calendar_remarks, intraday_of, margins_of, old_rates, reserve_of
from alphapanda.times import DAY_NS, MINUTE_NS, to_ns

ZERODHA = Settings(paper_trading=PaperTrading(charges="zerodha"))


def at(text):
    return to_ns(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("moment", "remark"),
    [
        ("2023-12-31T23:59", "the calendar begins on 2024-01-01"),
        ("2024-01-01T00:00", None),
        ("2026-12-01T10:00", None),
        ("2026-12-02T10:00", "the calendar ends on 2026-12-31, in 29 days: update Alpha Panda"),
        ("2026-12-31T10:00", "the calendar ends on 2026-12-31, in 0 days"),
        ("2027-01-01T00:00", "the calendar ended on 2026-12-31, no row after it may trade"),
    ],
)
def test_a_run_is_told_where_the_calendar_begins_and_ends(moment, remark):
    remarks = calendar_remarks(calendar_of(Settings()), at(moment))
    assert len(remarks) == (remark is not None)
    assert not remarks or remarks[0].startswith(remark)
    assert calendar_remarks(None, at(moment)) == []


def test_the_configuration_adds_days_and_phases_to_the_table():
    own = CalendarSettings(valid_until="2027-01-31", also_trade_in=("pre_open",))
    calendar = calendar_of(Settings(calendar=own))
    assert calendar.at(at("2027-01-29T10:00"), INFY).may_enter
    assert calendar.at(at("2026-06-01T09:05"), INFY).may_enter
    assert not calendar_of(Settings()).at(at("2026-06-01T09:05"), INFY).may_enter


def test_a_run_after_an_end_that_the_configuration_set_is_told_to_set_a_later_one():
    calendar = calendar_of(Settings(calendar=CalendarSettings(valid_until="2026-12-04")))
    (remark,) = calendar_remarks(calendar, at("2026-12-07T10:00"))
    assert remark.startswith("the calendar ended on 2026-12-04")
    assert "valid_until to a later day" in remark
    assert "update Alpha Panda" not in remark


def test_segments_that_were_charged_at_later_rates_are_named_once_each():
    early, late = at("2022-06-01T10:00"), at("2024-06-03T10:00")
    fills = [fill(traded_ns=early), fill(trade=2, traded_ns=early + DAY_NS), fill(trade=3, traded_ns=late)]
    (sentence,) = old_rates(ZERODHA, fills)
    assert sentence.startswith("NSE equity: not all charges before 2023-")
    assert old_rates(ZERODHA, fills[2:]) == old_rates(Settings(), fills) == []


def test_an_entry_sets_aside_slippage_where_it_pays_it_and_charges_always():
    paper = PaperTrading(slippage_percent=Money(1), commission_percent=Money("0.1"))
    reserve = reserve_of(Settings(paper_trading=paper))
    assert reserve(order(BUY, 10, reference_price=Money(100))) == 10 + Money("1.01")
    assert reserve(order(SELL, 10, reference_price=Money(100))) == 1
    limit = order(BUY, 10, reference_price=Money(100), order_type=LIMIT, price=Money(100))
    assert reserve(limit) == 1


def test_margins_are_whole_values_unless_they_are_declared():
    asked = (INFY, "MIS", BUY, 10, Money(100))
    assert margins_of(Settings())(*asked) == 1000
    assert margins_of(Settings(paper_trading=PaperTrading(margins="declared")))(*asked) == 200


def test_paper_squares_off_only_where_it_is_told_to_and_we_only_where_we_want_to():
    settings = Settings()
    calm = intraday_of(settings, calendar_of(settings))
    assert (calm.squares_off, calm.closes("zerodha"), calm.closes("paper")) == (False, True, False)
    settings = replace(
        settings,
        square_off=SquareOffSettings(enabled=True, minutes_before=7),
        paper_trading=PaperTrading(rms_square_off=True),
    )
    both = intraday_of(settings, calendar_of(settings))
    assert (both.squares_off, both.closes("paper")) == (True, True)
    hours = both.hours(at("2026-06-01T10:00"), INFY)
    assert hours.broker_ns - hours.own_ns == 7 * MINUTE_NS
    assert both.refuse(order(SELL, position_effect=CLOSE), hours.own_ns) is None
