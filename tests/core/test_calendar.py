"""The calendar: awkward moments of real days, days that are covered without a gap, what is not known."""

from datetime import date, datetime, time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.calendar import Calendar
from alphapanda.core.sessions import Added, AddedSession, Market, Phase
from alphapanda.events import Instrument
from alphapanda.tables import calendar_table
from alphapanda.times import IST, to_ist, to_ns

FNO, SMALL, FUTURE = "NSE:INFY", "NSE:TINY-BE", "NFO:NIFTY26DECFUT"
EXPIRING = "NFO:NIFTY26D0824000CE"
CONTINUOUS, AUCTION, CLOSED = Phase.CONTINUOUS, Phase.CLOSING_AUCTION, Phase.CLOSED
UNKNOWN, PRE_OPEN, POST_CLOSE = Phase.UNKNOWN, Phase.PRE_OPEN, Phase.POST_CLOSE

MOMENTS = [
    # moment, symbol, phase, may enter and exit, next session
    ("2026-01-15 11:00", FNO, CLOSED, False, "2026-01-16 09:15"),
    ("2026-01-15 11:00", FUTURE, CLOSED, False, "2026-01-16 09:15"),
    ("2026-02-01 11:00", FNO, CONTINUOUS, True, "2026-02-02 09:15"),
    ("2026-01-31 11:00", FNO, CLOSED, False, "2026-02-01 09:15"),
    ("2026-11-08 18:30", FNO, UNKNOWN, False, "2026-11-09 09:15"),
    ("2026-11-24 11:00", FNO, CLOSED, False, "2026-11-25 09:15"),
    ("2026-11-24 11:00", "MCX:GOLD26DECFUT", UNKNOWN, False, "2026-11-25 09:00"),
    ("2026-07-31 15:15", FNO, CONTINUOUS, True, "2026-08-03 09:15"),
    ("2026-07-31 15:20", SMALL, CONTINUOUS, True, "2026-08-03 09:15"),
    ("2026-07-31 15:30", FUTURE, CLOSED, False, "2026-08-03 09:15"),
    ("2026-07-31 15:45", FNO, POST_CLOSE, False, "2026-08-03 09:15"),
    ("2026-08-03 15:15", FNO, AUCTION, False, "2026-08-04 09:15"),
    ("2026-08-03 15:20", FNO, AUCTION, False, "2026-08-04 09:15"),
    ("2026-08-03 15:15", SMALL, CONTINUOUS, True, "2026-08-04 09:15"),
    ("2026-08-03 15:20", FUTURE, CONTINUOUS, True, "2026-08-04 09:15"),
    ("2026-08-03 15:45", FNO, CLOSED, False, "2026-08-04 09:15"),
    ("2026-11-23 15:15", FNO, AUCTION, False, "2026-11-25 09:15"),
    ("2026-11-23 15:20", FNO, AUCTION, False, "2026-11-25 09:15"),
    ("2026-11-23 15:20", SMALL, CONTINUOUS, True, "2026-11-25 09:15"),
    ("2026-11-23 15:15", FUTURE, CONTINUOUS, True, "2026-11-25 09:15"),
    ("2026-11-23 15:39", FUTURE, CONTINUOUS, True, "2026-11-25 09:15"),
    ("2026-11-23 15:40", FUTURE, CLOSED, False, "2026-11-25 09:15"),
    ("2026-12-07 15:15", FNO, CONTINUOUS, True, "2026-12-08 09:15"),
    ("2026-12-07 15:20", FNO, CONTINUOUS, True, "2026-12-08 09:15"),
    ("2026-12-07 15:30", FNO, AUCTION, False, "2026-12-08 09:15"),
    ("2026-12-07 15:40", FNO, CLOSED, False, "2026-12-08 09:15"),
    ("2026-12-07 15:20", SMALL, CONTINUOUS, True, "2026-12-08 09:15"),
    ("2026-12-07 15:44", FUTURE, CONTINUOUS, True, "2026-12-08 09:15"),
    ("2026-12-07 15:44", EXPIRING, CONTINUOUS, True, "2026-12-08 09:15"),
    ("2026-12-08 15:29", EXPIRING, CONTINUOUS, True, None),
    ("2026-12-08 15:30", EXPIRING, CLOSED, False, None),
    ("2026-12-08 15:44", FUTURE, CONTINUOUS, True, "2026-12-09 09:15"),
    ("2026-12-09 11:00", EXPIRING, CLOSED, False, None),
    ("2026-12-29 15:44", "NFO:INFY26DEC1500CE", CONTINUOUS, True, None),
    ("2026-12-31 11:00", FNO, CONTINUOUS, True, None),
    ("2027-01-01 11:00", FNO, UNKNOWN, False, None),
    ("2027-01-01 11:00", FUTURE, UNKNOWN, False, None),
    ("2027-01-02 11:00", FNO, UNKNOWN, False, None),
    ("2024-01-20 15:29", FNO, CONTINUOUS, True, "2024-01-23 09:15"),
    ("2024-05-18 10:00", FNO, CLOSED, False, "2024-05-18 11:30"),
    ("2024-05-18 12:00", FUTURE, CONTINUOUS, True, "2024-05-21 09:15"),
    ("2024-11-01 11:00", FNO, CLOSED, False, "2024-11-01 18:00"),
    ("2024-11-01 18:00", FNO, CONTINUOUS, True, "2024-11-04 09:15"),
    ("2025-10-21 14:44", FUTURE, CONTINUOUS, True, "2025-10-23 09:15"),
    ("2026-11-23 23:54", "MCX:GOLD26DECFUT", CONTINUOUS, True, "2026-11-25 09:00"),
    ("2026-11-23 17:00", "MCX:MENTHAOIL26DECFUT", CLOSED, False, "2026-11-25 09:00"),
    ("2026-08-26 11:00", "CDS:USDINR26SEPFUT", CLOSED, False, "2026-08-27 09:00"),
    ("2026-08-26 11:00", FNO, CONTINUOUS, True, "2026-08-27 09:15"),
    ("2026-08-04 09:05", FNO, PRE_OPEN, False, "2026-08-04 09:15"),
    ("2026-08-04 09:05", "NFO:NIFTY26D0824000CE", CLOSED, False, "2026-08-04 09:15"),
    ("2015-01-26 11:00", FNO, CONTINUOUS, True, "2015-01-27 09:15"),
    ("2023-12-29 15:30", FNO, CLOSED, False, "2024-01-01 09:15"),
    ("9999-12-31 23:59", FNO, UNKNOWN, False, None),
    ("2026-11-23 11:00", "LSE:VOD", UNKNOWN, False, None),
    ("2015-01-26 11:00", "NYSE:IBM", UNKNOWN, False, None),
]


def instrument(key: str, **fields) -> Instrument:
    exchange, _, symbol = key.partition(":")
    return Instrument(1, exchange, symbol, **fields)


def ns(moment: str) -> int:
    return to_ns(datetime.fromisoformat(moment))


def calendar(**added) -> Calendar:
    return Calendar(calendar_table(), Added(**added))


@pytest.mark.parametrize(("moment", "symbol", "phase", "may", "following"), MOMENTS)
def test_an_awkward_moment_is_judged_right(moment, symbol, phase, may, following):
    found = calendar().at(ns(moment), instrument(symbol))
    assert (found.phase, found.may_enter, found.may_exit) == (phase, may, may)
    expected = datetime.fromisoformat(following).replace(tzinfo=IST).isoformat() if following else None
    assert found.next_session == expected
    assert bool(found.why) is not may


def test_a_session_is_open_from_its_first_nanosecond_up_to_but_not_at_its_last():
    days, share = calendar(), instrument(FNO)
    opens, closes = ns("2026-11-23 09:15"), ns("2026-11-23 15:15")
    asked = [opens - 1, opens, closes - 1, closes]
    assert [days.at(each, share).may_enter for each in asked] == [False, True, True, False]
    assert days.at(opens - 1, share).next_session == "2026-11-23T09:15:00+05:30"
    assert days.at(opens, share).next_session == "2026-11-25T09:15:00+05:30"


@pytest.mark.parametrize(
    ("moment", "symbol", "said"),
    [
        ("2026-11-24 11:00", FNO, ("closed on 2026-11-24 (Guru Nanak Jayanti)", "2026-11-25 09:15")),
        ("2026-11-21 11:00", FNO, ("closed on 2026-11-21 (Saturday)", "2026-11-23 09:15")),
        ("2026-11-23 15:16", FNO, ("closing auction (reference price) on 2026-11-23", "2026-11-25 09:15")),
        ("2026-11-08 18:30", FNO, ("2026-11-08", "Muhurat", "set them in [calendar] sessions")),
        ("2027-01-01 11:00", FNO, ("ends on 2026-12-31", "update Alpha Panda", "[calendar] valid_until")),
        ("2026-12-09 11:00", EXPIRING, ("it expired on 2026-12-08",)),
    ],
)
def test_a_refusal_says_which_phase_it_is_and_what_comes_next(moment, symbol, said):
    why = calendar().at(ns(moment), instrument(symbol)).why
    assert [words for words in said if words not in why] == []


SHARES_OF_ONE_CLASS = ["NSE:TINY-BE", "NSE:TINY-SM", "NSE:TINY-ST", "NSE:NIFTYBEES", "BSE:GOLDETF"]


@pytest.mark.parametrize("symbol", SHARES_OF_ONE_CLASS)
def test_what_has_no_derivatives_trades_until_half_past_three(symbol):
    assert calendar().at(ns("2026-11-23 15:29"), instrument(symbol)).may_enter


@pytest.mark.parametrize("symbol", ["NSE:INFY", "NSE:BAJAJ-AUTO", "NSE:M&M", "BSE:500325", "NSE:TINY"])
def test_a_share_of_which_nothing_is_known_has_the_shorter_day(symbol):
    assert calendar().at(ns("2026-11-23 15:29"), instrument(symbol)).phase is AUCTION


def test_the_configuration_may_say_that_a_share_has_no_derivatives():
    told = calendar(no_derivatives=frozenset(["NSE:TINY"]))
    assert told.at(ns("2026-11-23 15:29"), instrument("NSE:TINY")).may_enter
    assert not told.at(ns("2026-11-23 15:29"), instrument("BSE:TINY")).may_enter


def test_the_instrument_list_says_whether_a_share_has_derivatives():
    at, told = ns("2026-11-23 15:29"), calendar(no_derivatives=frozenset(["NSE:SMALL"]))
    assert not told.at(at, instrument("NSE:TINY")).may_enter
    assert told.at(at, instrument("NSE:TINY", derivatives=False)).may_enter
    assert not told.at(at, instrument("NSE:TINYETF", derivatives=True)).may_enter
    assert told.at(at, instrument("NSE:SMALL", derivatives=True)).may_enter


def test_what_the_instrument_list_says_wins_over_the_symbol():
    moved = instrument("NFO:NIFTY26D0824000CE", expiry=date(2026, 12, 9), name="NIFTY")
    assert calendar().at(ns("2026-12-08 15:44"), moved).may_enter
    assert not calendar().at(ns("2026-12-09 15:44"), moved).may_enter
    share = instrument("NFO:NIFTY26D0824000CE", name="RELIANCE")
    assert calendar().at(ns("2026-12-08 15:44"), share).may_enter


def test_the_configuration_may_close_a_day_and_open_one():
    opened = AddedSession(date(2026, 11, 8), time(18, 15), time(19, 15), ("NSE",))
    told = calendar(holidays=frozenset([date(2026, 11, 25)]), sessions=(opened,))
    assert told.at(ns("2026-11-23 16:30"), instrument(FNO)).next_session == "2026-11-26T09:15:00+05:30"
    assert told.at(ns("2026-11-25 11:00"), instrument(FNO)).phase is CLOSED
    assert told.at(ns("2026-11-08 18:15"), instrument(FNO)).may_enter
    assert told.at(ns("2026-11-08 19:15"), instrument(FNO)).phase is CLOSED
    assert told.at(ns("2026-11-08 18:15"), instrument(FUTURE)).phase is UNKNOWN
    assert told.at(ns("2026-11-06 18:15"), instrument(FNO)).next_session == "2026-11-08T18:15:00+05:30"


def test_vouching_for_more_days_makes_them_regular_but_for_holidays():
    told = calendar(valid_until=date(2027, 1, 31), holidays=frozenset([date(2027, 1, 26)]))
    assert told.at(ns("2027-01-04 15:29"), instrument(FNO)).may_enter
    assert told.at(ns("2027-01-25 16:30"), instrument(FNO)).next_session == "2027-01-27T09:15:00+05:30"
    assert told.at(ns("2027-02-01 11:00"), instrument(FNO)).phase is UNKNOWN


def test_an_end_that_is_set_before_the_tables_is_the_end():
    told = calendar(valid_until=date(2026, 12, 4), holidays=frozenset([date(2026, 11, 25)]))
    assert told.at(ns("2026-12-04 11:00"), instrument(FNO)).may_enter
    assert told.at(ns("2026-12-04 11:00"), instrument(FNO)).next_session is None
    after = told.at(ns("2026-12-07 11:00"), instrument(FNO))
    assert (after.phase, after.may_enter, after.may_exit) == (UNKNOWN, False, False)
    assert "ends on 2026-12-04" in after.why
    assert "set [calendar] valid_until to a later day" in after.why
    assert told.closes_ns(ns("2026-12-07 11:00"), instrument(FNO)) is None
    assert told.index_expiry(date(2026, 12, 8)) is None
    assert told.days_left(ns("2026-12-07 11:00")) == -3


def test_an_end_before_the_table_leaves_only_the_days_up_to_it_to_be_assumed():
    told = calendar(valid_until=date(2020, 1, 1))
    assert told.at(ns("2019-12-31 11:00"), instrument(FNO)).may_enter
    assert told.before_table(ns("2019-12-31 11:00"))
    assert told.at(ns("2021-12-31 11:00"), instrument(FNO)).phase is UNKNOWN
    assert not told.before_table(ns("2021-12-31 11:00"))


def test_in_days_that_are_vouched_for_commodities_end_earlier_once_new_york_has_summer_time():
    told, gold = calendar(valid_until=date(2027, 6, 30)), instrument("MCX:GOLD27JUNFUT")
    asked = ["2027-03-12 23:54", "2027-03-15 23:29", "2027-03-15 23:30"]
    assert [told.at(ns(each), gold).may_enter for each in asked] == [True, True, False]


def test_a_session_that_is_told_after_the_end_of_the_table_is_known():
    told = calendar(sessions=(AddedSession(date(2027, 1, 4), time(9, 15), time(15, 30), ("NSE",)),))
    assert told.at(ns("2027-01-01 11:00"), instrument(FNO)).next_session == "2027-01-04T09:15:00+05:30"
    assert told.at(ns("2027-01-04 11:00"), instrument(FNO)).may_enter
    assert told.at(ns("2027-01-05 11:00"), instrument(FNO)).phase is UNKNOWN


def test_more_phases_may_be_asked_for_and_still_only_where_orders_are_taken():
    told = calendar(phases=frozenset([CONTINUOUS, AUCTION]))
    asked = ["2026-11-23 15:14", "2026-11-23 15:19", "2026-11-23 15:20", "2026-11-23 15:30"]
    assert [told.at(ns(each), instrument(FNO)).may_enter for each in asked] == [True, False, True, False]


@pytest.mark.parametrize(
    ("moment", "symbol", "closes", "square_off"),
    [
        ("2026-07-31 10:00", FNO, "15:30", "15:20"),
        ("2026-11-23 10:00", FNO, "15:15", "15:15"),
        ("2026-11-23 10:00", SMALL, "15:30", "15:20"),
        ("2026-11-23 10:00", FUTURE, "15:40", "15:25"),
        ("2026-12-07 16:30", FNO, "15:30", "15:20"),
        ("2026-12-08 10:00", EXPIRING, "15:30", "15:25"),
        ("2026-11-23 10:00", "MCX:GOLD26DECFUT", "23:55", "23:30"),
        ("2026-11-23 10:00", "CDS:USDINR26DECFUT", "17:00", "16:45"),
        ("2024-03-02 09:30", FNO, "12:30", "12:20"),
        ("2024-11-01 09:30", FUTURE, "19:00", "18:55"),
        ("2015-01-26 10:00", FNO, "15:30", "15:20"),
        ("2026-11-24 10:00", FNO, None, None),
        ("2026-11-08 10:00", FNO, None, None),
        ("2027-01-01 10:00", FNO, None, None),
    ],
)
def test_the_end_of_a_day_and_the_brokers_square_off(moment, symbol, closes, square_off):
    def clock(found: int | None) -> str | None:
        return None if found is None else f"{to_ist(found):%H:%M}"

    days, time_ns = calendar(), ns(moment)
    assert clock(days.closes_ns(time_ns, instrument(symbol))) == closes
    assert clock(days.broker_square_off_ns(time_ns, instrument(symbol))) == square_off


days_around = st.dates(date(2019, 1, 1), date(2028, 12, 31))
symbols = st.sampled_from([FNO, SMALL, FUTURE, EXPIRING, "MCX:GOLD27FEBFUT", "CDS:USDINR27JANFUT", "BFO:X"])


@given(days_around, symbols)
def test_a_day_is_covered_without_gap_or_overlap(day, symbol):
    midnight = to_ns(datetime.combine(day, time.min, IST))
    plan = calendar()._plan_of(midnight, instrument(symbol))
    assert plan.starts[0] == midnight
    assert list(plan.starts) == sorted(set(plan.starts))
    assert plan.starts[-1] < midnight + 86_400 * 10**9
    assert len(plan.starts) == len(plan.moments)
    assert all(opens < closes for opens, closes in plan.sessions)
    continuous = [start for start, moment in zip(plan.starts, plan.moments, strict=True) if moment.may_enter]
    assert continuous == [opens for opens, _ in plan.sessions]


@given(days_around, st.integers(0, 86_400 * 10**9 - 1), symbols)
def test_the_next_session_starts_later_and_nothing_is_open_before_it(day, since_midnight, symbol):
    days, one = calendar(), instrument(symbol)
    time_ns = to_ns(datetime.combine(day, time.min, IST)) + since_midnight
    found = days.at(time_ns, one)
    if found.next_ns is None:
        return
    assert found.next_ns > time_ns
    assert days.at(found.next_ns, one).phase is CONTINUOUS
    before = days.at(found.next_ns - 1, one)
    assert before.phase is not CONTINUOUS or before.next_ns == found.next_ns
    between = range(time_ns, found.next_ns, 1800 * 10**9)
    later = {days.at(each, one).next_ns for each in between}
    assert later == {found.next_ns}


@given(days_around, symbols)
def test_outside_the_table_nothing_is_open_after_and_weekdays_are_before(day, symbol):
    found = calendar().at(to_ns(datetime.combine(day, time(11), IST)), instrument(symbol))
    if day > date(2026, 12, 31):
        assert (found.phase, found.may_enter, found.may_exit) == (UNKNOWN, False, False)
    elif day < date(2024, 1, 1):
        assert found.may_enter is (day.weekday() < 5)


def test_remembering_days_is_bounded_and_changes_nothing(monkeypatch):
    monkeypatch.setattr("alphapanda.core.calendar.MOST_PLANS", 3)
    small, large = calendar(), Calendar(calendar_table())
    for number in range(40):
        time_ns = ns("2026-11-01 11:00") + number * 86_400 * 10**9
        assert small.at(time_ns, instrument(FNO)) == large.at(time_ns, instrument(FNO))
        assert len(small._plans) <= 3


def test_days_before_the_table_and_days_that_are_left():
    days = calendar()
    assert days.before_table(ns("2023-12-31 23:59"))
    assert not days.before_table(ns("2024-01-01 00:00"))
    assert days.days_left(ns("2026-12-01 00:00")) == 30
    assert days.days_left(ns("2027-01-01 00:00")) == -1


def test_every_market_of_every_exchange_is_shown():
    shown = calendar().shown(date(2026, 11, 24))
    assert {one.market for one in shown} == set(Market)
    assert {one.exchange for one in shown} == {"NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCO"}
    assert {one.day.name for one in shown} == {"Guru Nanak Jayanti"}
    assert calendar().index_expiry(date(2026, 12, 7)) == time(15, 30)
    assert calendar().index_expiry(date(2026, 12, 6)) is None


def test_a_table_with_an_unknown_key_is_refused():
    raw = msgspec.to_builtins(calendar_table()) | {"valid_untill": "2030-01-01"}
    with pytest.raises(msgspec.ValidationError, match="valid_untill"):
        msgspec.convert(raw, type(calendar_table()))


def test_a_day_and_its_end_are_those_of_india():
    """Half past six in the evening of the day before, in UTC."""
    share = instrument(FNO)
    start = to_ns(datetime.combine(date(2026, 11, 25), time.min, IST))
    assert calendar().at(start - 1, share).why.startswith("closed on 2026-11-24")
    assert calendar().at(start, share).why.startswith("closed on 2026-11-25")
