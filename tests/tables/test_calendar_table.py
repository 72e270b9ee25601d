"""The table of sessions: the holidays that the exchanges announced, and days on which people did trade."""

import csv
import gzip
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from alphapanda.core.calendar import Calendar
from alphapanda.core.sessions import Market, Phase
from alphapanda.events import Instrument
from alphapanda.tables import calendar_table
from alphapanda.times import IST, to_ns

CANDLES = Path(__file__).resolve().parents[3] / "shared/data/candles"
CLOSED_2026 = "1-15 1-26 3-3 3-26 3-31 4-3 4-14 5-1 5-28 6-26 9-14 10-2 10-20 11-10 11-24 12-25"
OPEN_ON_WEEKENDS = {
    date(2024, 1, 20),
    date(2024, 3, 2),
    date(2024, 5, 18),
    date(2025, 2, 1),
    date(2026, 2, 1),
}

INFY = Instrument(1, "NSE", "INFY")
NIFTY = Instrument(2, "NFO", "NIFTY26OCTFUT")


def every_day() -> Iterator[date]:
    table = calendar_table()
    for number in range((table.valid_until - table.valid_from).days + 1):
        yield table.valid_from + timedelta(days=number)


def noon_phase(day: date, instrument: Instrument = INFY) -> Phase:
    return Calendar(calendar_table()).at(to_ns(datetime(day.year, day.month, day.day, 12)), instrument).phase


def closes_of(day: date, instrument: Instrument = INFY) -> int | None:
    return Calendar(calendar_table()).closes_ns(to_ns(datetime(day.year, day.month, day.day)), instrument)


def test_the_closed_weekdays_of_2026_are_those_that_were_announced():
    announced = {date(2026, *map(int, each.split("-"))) for each in CLOSED_2026.split()}
    days = [day for day in every_day() if day.year == 2026 and day.weekday() < 5]
    assert {day for day in days if closes_of(day) is None} == announced
    assert {day for day in days if closes_of(day, NIFTY) is None and day < date(2026, 10, 27)} == {
        day for day in announced if day < date(2026, 10, 27)
    }


@pytest.mark.parametrize(("year", "count"), [(2024, 16), (2025, 13), (2026, 16)])
def test_each_year_has_its_number_of_closed_weekdays(year, count):
    """16 besides Muhurat in 2024, 13 in 2025: a special session is not a closed day."""
    days = [day for day in every_day() if day.year == year and day.weekday() < 5]
    assert sum(1 for day in days if closes_of(day) is None) == count


def test_the_weekends_that_were_traded():
    traded = {day for day in every_day() if day.weekday() >= 5 and closes_of(day) is not None}
    assert traded == OPEN_ON_WEEKENDS


def test_the_hours_of_muhurat_2026_are_not_known():
    assert noon_phase(date(2026, 11, 8)) is Phase.UNKNOWN


def test_every_market_has_hours_on_every_day_and_a_source_for_them():
    table = calendar_table()
    for market in Market:
        for day in (table.valid_from, table.valid_until):
            hours = table.hours_of(market, day)
            assert hours is not None
            assert hours.source
            assert table.square_off_of(market, day) is not None


def test_the_parts_of_a_day_do_not_overlap():
    for hours in calendar_table().hours:
        for one, other in zip(hours.steps, hours.steps[1:], strict=False):
            assert one.closes <= other.opens, hours
        assert all(step.opens < step.closes for step in hours.steps), hours


def test_no_day_is_both_a_holiday_and_a_special_day_and_all_are_in_the_table():
    table = calendar_table()
    special = [each.day for each in table.special]
    closed = [each.day for row in table.holidays for each in row.days if "equity" in row.closed]
    assert len({*special, *closed}) == len([*special, *closed])
    assert all(table.valid_from <= day <= table.valid_until for day in [*special, *closed])
    assert all(day.weekday() < 5 for day in closed)


def candle_times(pattern: str) -> Iterator[datetime]:
    """The start of every candle; skips where the files are not on this machine."""
    paths = sorted(CANDLES.glob(pattern))
    if not paths:
        pytest.skip("the recorded candles are not on this machine")
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                fields = {name.lower(): value for name, value in row.items()}
                if "time" in fields:
                    yield datetime.strptime(fields["date"] + fields["time"], "%Y%m%d%H:%M").replace(
                        tzinfo=IST
                    )
                else:
                    yield datetime.fromisoformat(fields["date"])


def outside(times: Iterator[datetime], instrument: Instrument) -> list[str]:
    days = Calendar(calendar_table())
    return [str(at) for at in times if days.at(to_ns(at), instrument).phase is not Phase.CONTINUOUS]


def test_recorded_candles_of_shares_lie_inside_the_sessions():
    times = [at for at in candle_times("stock_5min_kite/INFY*") if at.year >= 2024]
    assert {date(2024, 1, 20), date(2024, 3, 2)} <= {at.date() for at in times}
    assert outside(iter(times), INFY) == []


def test_recorded_minutes_of_the_index_lie_inside_the_sessions_and_fill_the_special_days():
    times = list(candle_times("index_1min/NIFTY_2024-01_to_2024-05.csv.gz"))
    stray = {at for at in times if at.date() == date(2024, 1, 20) and at.hour * 60 + at.minute >= 930}
    assert outside(iter([at for at in times if at not in stray]), NIFTY) == []
    for day in (date(2024, 3, 2), date(2024, 5, 18)):
        assert sum(1 for at in times if at.date() == day) == 105


def test_a_recorded_day_of_a_future_ends_when_its_session_does():
    paths = sorted(CANDLES.glob("nifty_fut_2026-10/*2026-10-05.json"))
    if not paths:
        pytest.skip("the recorded candles are not on this machine")
    candles = json.loads(paths[0].read_text(encoding="utf-8"))["data"]["candles"]
    times = [datetime.fromisoformat(candle[0]) for candle in candles]
    assert outside(iter(times), NIFTY) == []
    assert closes_of(date(2026, 10, 5), NIFTY) == to_ns(times[-1] + timedelta(minutes=5))
