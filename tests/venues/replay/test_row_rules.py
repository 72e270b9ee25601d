"""Older, twice, before 2000, odd: which rows of a file are taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.times import IST, to_ist
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay import Counts, DataSet
from alphapanda.venues.replay.rules import taker

rows = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from([100.0, 100.5]), st.integers(0, 2)), min_size=1, max_size=30
)


def walk(path, **options):
    data = DataSet([path], InstrumentBook(), **options)
    return data, [batch.ticks[0] for batch in data.batches()]


def csv(folder, text, name="INFY.csv"):
    path = folder / name
    path.write_text(text)
    return path


def take_all(take, several):
    return [
        take(second * 10**9, to_ist(second * 10**9), (price, volume)) for second, price, volume in several
    ]


@given(rows)
def test_a_file_after_itself_adds_no_row(several):
    once, twice = Counts(), Counts()
    first = [row for row in take_all(taker(1, once), several) if row]
    second = [row for row in take_all(taker(1, twice), several + several) if row]
    assert first == second
    assert twice.rows_read == 2 * len(several)
    assert twice.taken == once.taken
    assert twice.duplicates + twice.older == once.duplicates + once.older + len(several)


@given(rows)
def test_taken_rows_are_those_that_the_contract_names(several):
    newest, met, expected = -1, set(), []
    for second, price, volume in several:
        expected.append(second >= newest and (second, price, volume) not in met)
        if expected[-1]:
            newest = second
            met.add((second, price, volume))
    assert [row is not None for row in take_all(taker(1, Counts()), several)] == expected


def test_each_dirty_row_is_counted_in_one_place(tmp_path):
    path = csv(
        tmp_path,
        "timestamp,ltp,volume\n"
        "1970-01-01 05:30:00,0,0\n"
        "2021-04-16 09:15:05,100,1\n"
        "2021-04-16 09:15:05,100,1\n"
        "2021-04-16 09:15:05,100,2\n"
        "2021-04-16 09:15:05,100.0,1.0\n"
        "2021-04-16 09:15:04,100,3\n"
        "2021-04-16 09:15:06,nan,3\n"
        "2021-04-16 09:15:06,101,\n",
    )
    data, ticks = walk(path, skip_bad_rows=True)
    assert data.counts == Counts(taken=3, duplicates=2, older=1, before_2000=1, bad=1)
    assert (data.counts.rows_read, data.counts.dropped) == (8, 2)
    assert data.file_counts[path] == data.counts
    assert [(tick.last_price, tick.volume) for tick in ticks] == [(100.0, 1), (100.0, 2), (101.0, 0)]
    assert data.warnings() == [
        f"{path}: 2 of 8 rows dropped: 1 older than an earlier row, 1 before the year 2000",
        f"{path}: 1 of 8 rows bad and skipped",
    ]


def test_age_and_twins_are_judged_for_each_instrument(tmp_path):
    path = csv(
        tmp_path,
        "timestamp,symbol,ltp\n2021-04-16 09:15:05,INFY,100\n2021-04-16 09:15:04,TCS,100\n"
        "2021-04-16 09:15:04, nse:infy ,99\n2021-04-16 09:15:05,NSE:INFY,100\n",
    )
    data, ticks = walk(path)
    assert data.counts == Counts(taken=2, duplicates=1, older=1)
    assert len({tick.instrument_token for tick in ticks}) == 2


def test_a_bar_carries_its_prices_and_its_own_label(tmp_path):
    path = csv(tmp_path, "Date, Open ,HIGH,low,Close,Volume\n2018-03-01 09:15:00, 10, 12, 9, 11, 500.0\n")
    _, (bar,) = walk(path)
    assert bar.bar
    assert (bar.open, bar.high, bar.low, bar.close, bar.last_price, bar.volume) == (10, 12, 9, 11, 11, 500)
    assert bar.timestamp.astimezone(IST).isoformat() == "2018-03-01T09:15:00+05:30"


@pytest.mark.parametrize("bar", ["13,12,9,11", "10,12,9,8", "10,9,12,11", "10,12,11,13"])
def test_a_bar_out_of_shape_is_kept_and_counted(tmp_path, bar):
    path = csv(tmp_path, f"date,open,high,low,close\n2018-03-01 09:15:00,{bar}\n")
    data, ticks = walk(path)
    assert (len(ticks), data.counts.odd_bars) == (1, 1)
    assert data.warnings() == [f"{path}: 1 of 1 bars break low <= open, close <= high; kept"]


def test_the_last_moment_of_1999_is_dropped_and_the_first_of_2000_taken(tmp_path):
    path = csv(tmp_path, "timestamp,ltp\n1999-12-31 23:59:59,1\n2000-01-01 00:00:00,1\n")
    assert walk(path)[0].counts == Counts(taken=1, before_2000=1)
