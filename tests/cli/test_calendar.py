"""calendar show and check, as they are called."""

import json
from datetime import datetime

import pytest
from running import answer, run, write_config, write_ticks

from alphapanda.core.calendar import Calendar
from alphapanda.plan import calendar_remarks
from alphapanda.tables import calendar_table
from alphapanda.times import to_ns


@pytest.fixture
def folder(tmp_path):
    write_config(tmp_path, strategies=[])
    return tmp_path


@pytest.mark.parametrize(
    ("moment", "symbol", "document"),
    [
        (
            "2026-11-23T15:20",
            "NSE:INFY",
            {
                "phase": "closing_auction",
                "may_enter": False,
                "may_exit": False,
                "next_session": "2026-11-25T09:15:00+05:30",
            },
        ),
        (
            "2026-12-07T09:45:00Z",
            "infy",
            {
                "phase": "continuous",
                "may_enter": True,
                "may_exit": True,
                "next_session": "2026-12-08T09:15:00+05:30",
            },
        ),
        (
            "2027-01-01 10:00",
            "NFO:NIFTY27JANFUT",
            {"phase": "unknown", "may_enter": False, "may_exit": False, "next_session": None},
        ),
    ],
)
def test_check_says_four_things_of_a_moment(folder, moment, symbol, document):
    assert answer(folder, "calendar", "check", moment, symbol) == document


def test_check_says_why_not_and_what_comes_next(folder):
    done = run(folder, "calendar", "check", "2026-11-24T11:00", "NSE:INFY")
    assert (done.code, done.stderr) == (0, "")
    assert "may enter: no" in done.stdout
    assert "Guru Nanak Jayanti" in done.stdout
    assert "2026-11-25 09:15" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("soon", "NSE:INFY"),
        ("9999-12-31T23:59-12:00", "NSE:INFY"),
        ("2026-11-24T11:00", "NSE:"),
        ("2026-11-24T11:00", ":X"),
    ],
)
def test_what_cannot_be_read_is_wrong_usage(folder, words):
    done = run(folder, "calendar", "check", *words)
    assert (done.code, done.stdout) == (2, "")
    assert "is not" in done.line


def test_show_lists_every_market_of_a_day(folder):
    document = answer(folder, "calendar", "show", "2026-12-07")
    assert (document["date"], document["weekday"]) == ("2026-12-07", "Monday")
    assert (document["valid_from"], document["valid_until"]) == ("2024-01-01", "2026-12-31")
    assert document["index_expiry_closes"] == "15:30"
    by_market = {each["market"]: each for each in document["markets"]}
    assert by_market["derivative_shares"]["exchanges"] == ["NSE", "BSE"]
    continuous = {
        name: (step["from"], step["to"])
        for name, each in by_market.items()
        for step in each["sessions"]
        if step["phase"] == "continuous"
    }
    assert continuous["derivative_shares"] == ("09:15", "15:30")
    assert continuous["futures"] == ("09:15", "15:45")
    assert all(each["source"] for each in document["markets"])


def test_show_names_the_holiday_its_source_and_what_is_not_known(folder):
    done = run(folder, "calendar", "show", "2026-11-24")
    assert (done.code, done.stderr) == (0, "")
    assert "Guru Nanak Jayanti" in done.stdout
    assert "NSE/CMTR/71775" in done.stdout
    assert "set them in [calendar] sessions" in done.stdout


@pytest.mark.parametrize(
    "words",
    [("show", "2026-12-08"), ("show", "2027-01-01"), ("check", "2026-11-23T15:20", "NSE:INFY"),
     ("check", "2027-01-01T10:00", "XYZ:INFY"), ("check", "2016-08-15T10:00", "NSE:INFY")],
    ids=" ".join,
)  # fmt: skip
def test_no_line_is_wider_than_a_hundred_columns(folder, words):
    done = run(folder, "calendar", *words)
    assert done.code == 0
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_hours_of_before_the_table_are_called_assumed(folder):
    done = run(folder, "calendar", "show", "2016-08-15")
    assert done.stdout.count("assumed, the calendar begins on 2024-01-01") == 7
    done = run(folder, "calendar", "check", "2016-08-15T10:00", "NSE:INFY")
    assert "days before are taken for regular weekdays" in done.stdout
    assert "assumed" not in run(folder, "calendar", "show", "2024-01-01").stdout
    assert "taken for" not in run(folder, "calendar", "check", "2024-01-01T10:00", "NSE:INFY").stdout


def test_an_end_of_the_configuration_before_the_tables_is_kept(tmp_path):
    write_config(tmp_path, strategies=[], calendar={"valid_until": "2026-12-04"})
    assert answer(tmp_path, "calendar", "check", "2026-12-04T10:00", "NSE:INFY")["may_enter"]
    after = answer(tmp_path, "calendar", "check", "2026-12-07T10:00", "NSE:INFY")
    assert (after["phase"], after["may_enter"]) == ("unknown", False)
    assert answer(tmp_path, "calendar", "show", "2026-12-07")["valid_until"] == "2026-12-04"


def test_what_the_configuration_knows_better_is_shown(tmp_path):
    calendar = {
        "holidays": [datetime(2026, 11, 25).date()],
        "sessions": [{"date": datetime(2026, 11, 8).date(), "open": "18:15", "close": "19:15"}],
        "no_derivatives": ["NSE:TINY"],
    }
    write_config(tmp_path, strategies=[], calendar=calendar)
    muhurat = answer(tmp_path, "calendar", "check", "2026-11-08T18:30", "NSE:INFY")
    assert (muhurat["phase"], muhurat["may_enter"]) == ("continuous", True)
    small = answer(tmp_path, "calendar", "check", "2026-11-23T15:25", "NSE:TINY")
    assert (small["phase"], small["next_session"]) == ("continuous", "2026-11-26T09:15:00+05:30")
    shown = answer(tmp_path, "config", "show")
    assert "2026-11-25" in json.dumps(shown)


def test_without_a_configuration_it_does_not_start(tmp_path):
    done = run(tmp_path, "calendar", "show", "2026-11-24")
    assert (done.code, done.stdout) == (3, "")


def test_a_run_says_once_what_the_calendar_does_not_know():
    days = Calendar(calendar_table())

    def remarks(moment: str) -> list[str]:
        return calendar_remarks(days, to_ns(datetime.fromisoformat(moment)))

    assert "begins on 2024-01-01" in remarks("2023-06-01")[0]
    assert remarks("2026-12-01") == []
    assert "ends on 2026-12-31, in 29 days" in remarks("2026-12-02")[0]
    assert "no row after it may trade" in remarks("2027-01-01")[0]
    assert calendar_remarks(None, 0) == []


@pytest.mark.parametrize("words", [("backtest",), ("run", "--until-end")])
def test_prices_of_a_time_before_the_table_are_traded_on_weekdays_and_it_is_said(tmp_path, words):
    write_config(tmp_path)
    write_ticks(tmp_path, [(0, "INFY", 100.0), (1, "INFY", 102.0), (2, "INFY", 102.0)])
    path = tmp_path / "prices/day.csv"
    path.write_text(path.read_text().replace("2024-01-31", "2016-08-16"))
    done = run(tmp_path, *words)
    assert done.code == 0
    assert done.stderr.count("the calendar begins on 2024-01-01") == 1
    if words[0] == "run":
        assert "calendar 2024-01-01 to 2026-12-31" in done.stderr
        assert len(answer(tmp_path, "trades")) == 1


def test_a_row_of_a_holiday_is_refused_with_the_reason(tmp_path):
    write_config(tmp_path)
    write_ticks(tmp_path, [(0, "INFY", 100.0), (1, "INFY", 102.0), (2, "INFY", 102.0)])
    path = tmp_path / "prices/day.csv"
    path.write_text(path.read_text().replace("2024-01-31", "2026-11-24"))
    assert run(tmp_path, "run", "--until-end").code == 0
    (signal,) = answer(tmp_path, "signals")
    assert (signal["verdict"], signal["rule"]) == ("refused", "market_closed")
    assert "Guru Nanak Jayanti" in signal["reason"]
    assert "2026-11-25 09:15" in signal["reason"]
    assert answer(tmp_path, "backtest", "--no-calendar", "--data", "prices")["summary"]["trades"] == 1
