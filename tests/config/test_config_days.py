"""[calendar]: what may stand there, and what is wrong with what may not."""

from datetime import date, time

import pytest

from alphapanda.config import ConfigError, load
from alphapanda.core.sessions import AddedSession, Phase
from alphapanda.plan import calendar_of

MISTAKES = {
    "day": ("holidays = [20261224]", "calendar.holidays[0]", "a date such as 2027-01-26"),
    "no such day": ('holidays = ["2026-02-30"]', "calendar.holidays[0]", "is not a date such as 2027-01-26"),
    "a moment": ("holidays = [2026-12-24T09:15:00]", "calendar.holidays[0]", "got a date with a time"),
    "digits": (
        'sessions = [{date = 2026-11-08, open = "1\u096e:00", close = "1\u096f:00"}]',
        "calendar.sessions[0].open",
        "is not a time such as",
    ),
    "no clock": (
        'sessions = [{date = 2026-11-08, open = 18:00:00, close = "19:00"}]',
        "calendar.sessions[0].open",
        "expected text in quotes, got a time of day",
    ),
    "clock": (
        'sessions = [{date = 2026-11-08, open = "6pm", close = "19:00"}]',
        "calendar.sessions[0].open",
        "'6pm' is not a time",
    ),
    "order": (
        'sessions = [{date = 2026-11-08, open = "19:00", close = "18:00"}]',
        "calendar.sessions[0]",
        "set the close after the open",
    ),
    "exchange": (
        'sessions = [{date = 2026-11-08, open = "18:00", close = "19:00", exchanges = ["NYSE"]}]',
        "calendar.sessions[0].exchanges",
        "'NYSE' is not one of NSE",
    ),
    "no exchange": (
        'sessions = [{date = 2026-11-08, open = "18:00", close = "19:00", exchanges = []}]',
        "calendar.sessions[0].exchanges",
        "is empty",
    ),
    "overlap": (
        (
            "sessions = [{date = 2026-11-08, open = '18:00', close = '19:00'},"
            " {date = 2026-11-08, open = '18:30', close = '19:30', exchanges = ['NFO']}]"
        ),
        "calendar.sessions[1]",
        "overlaps another session of NFO on 2026-11-08",
    ),
    "end": ('valid_until = "soon"', "calendar.valid_until", "is not a date such as"),
    "share": ('no_derivatives = ["tiny"]', "calendar.no_derivatives", 'must look like "EXCHANGE:SYMBOL"'),
    "phase": ('also_trade_in = ["lunch"]', "calendar.also_trade_in", "'lunch' is not one of pre_open"),
    "unknown": ("holyday = 1", "calendar.holyday", "unknown key"),
    "misspelt": (
        'sessions = [{date = 2026-11-08, opn = "18:00", close = "19:00"}]',
        "calendar.sessions[0]",
        "did you mean open?",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_key(tmp_path, name):
    text, key, words = MISTAKES[name]
    path = tmp_path / "config.toml"
    path.write_text(f"[calendar]\n{text}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load(path, environ={})
    assert key in str(error.value)
    assert words in str(error.value)
    assert "config.toml" in str(error.value)


def test_what_stands_there_reaches_the_calendar(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(
        '[calendar]\nholidays = [2026-12-24, "2026-12-28"]\n'
        'sessions = [{date = 2026-11-08, open = "18:00", close = "19:00"}]\n'
        'valid_until = "2027-03-31"\nno_derivatives = ["NSE:TINY"]\nalso_trade_in = ["closing_auction"]\n',
        encoding="utf-8",
    )
    calendar = calendar_of(load(path, environ={}).settings)
    added = calendar._added
    assert calendar.valid_until == date(2027, 3, 31)
    assert added.holidays == {date(2026, 12, 24), date(2026, 12, 28)}
    exchanges = ("NSE", "BSE", "NFO", "BFO")
    assert added.sessions == (AddedSession(date(2026, 11, 8), time(18), time(19), exchanges),)
    assert added.no_derivatives == {"NSE:TINY"}
    assert added.phases == {Phase.CONTINUOUS, Phase.CLOSING_AUCTION}


def test_nothing_is_added_by_default(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("", encoding="utf-8")
    added = calendar_of(load(path, environ={}).settings)._added
    assert not added.holidays
    assert not added.sessions
    assert added.phases == {Phase.CONTINUOUS}


def test_the_environment_may_name_a_day_too(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("", encoding="utf-8")
    environ = {
        "ALPHAPANDA__CALENDAR__HOLIDAYS": "[2026-12-24]",
        "ALPHAPANDA__CALENDAR__VALID_UNTIL": "2027-03-31",
    }
    calendar = calendar_of(load(path, environ=environ).settings)
    assert calendar._added.holidays == {date(2026, 12, 24)}
    assert calendar.valid_until == date(2027, 3, 31)
