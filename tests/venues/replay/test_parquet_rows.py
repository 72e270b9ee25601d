"""Parquet files: typed and text times, nulls, and files that only say they are Parquet."""

from datetime import UTC, date, datetime, time

import pyarrow as pa
import pytest
from pyarrow import parquet

from alphapanda.errors import DataError
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay import DataSet

NAIVE = datetime(2021, 4, 16, 9, 15, 5)
AWARE = datetime(2021, 4, 16, 3, 45, 5, tzinfo=UTC)
WRITTEN = "2021-04-16T09:15:05+05:30"


def write(folder, name="INFY.parquet", **columns):
    path = folder / name
    parquet.write_table(pa.table(columns), path)
    return path


def walk(path, **options):
    data = DataSet([path], InstrumentBook(), **options)
    return data, [batch.ticks[0] for batch in data.batches()]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([NAIVE], pa.timestamp("us")),
        pa.array([NAIVE], pa.timestamp("ns")),
        pa.array([NAIVE], pa.timestamp("s")),
        pa.array([AWARE], pa.timestamp("us", tz="UTC")),
        pa.array([AWARE], pa.timestamp("ms", tz="Asia/Kolkata")),
        pa.array(["2021-04-16 09:15:05"]),
        pa.array(["16/04/2021 09:15:05"]).dictionary_encode(),
    ],
)
def test_times_are_typed_or_text(tmp_path, column):
    _, (tick,) = walk(write(tmp_path, Timestamp=column, LTP=[100.0], volume=[7]))
    assert (tick.timestamp.isoformat(), tick.last_price, tick.volume) == (WRITTEN, 100.0, 7)


@pytest.mark.parametrize(
    ("day", "clock"),
    [
        ([date(2021, 4, 16)], [time(9, 15, 5)]),
        ([datetime(2021, 4, 16)], ["09:15:05"]),
        (["2021-04-16"], ["09:15:05"]),
    ],
)
def test_a_date_and_a_time_column_join(tmp_path, day, clock):
    _, (tick,) = walk(write(tmp_path, date=day, time=clock, ltp=["100"]))
    assert tick.timestamp.isoformat() == WRITTEN


def test_a_date_alone_is_its_midnight(tmp_path):
    columns = {name: [10.0] for name in ("close", "low", "high", "open")}
    _, (bar,) = walk(write(tmp_path, **columns, date=[date(2021, 4, 16)], other=[1]))
    assert (bar.bar, bar.timestamp.isoformat()) == (True, "2021-04-16T00:00:00+05:30")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"timestamp": [NAIVE, None]}, "the time is blank"),
        ({"timestamp": ["2021-04-16", None]}, "the time is blank"),
        ({"ltp": [1.0, None]}, "ltp is blank"),
        ({"ltp": [1.0, float("nan")]}, "ltp 'nan' is not a price above 0"),
        ({"ltp": [1.0, 0.0]}, "ltp '0.0' is not a price above 0"),
        ({"volume": [1.0, float("inf")]}, "volume 'inf' is not a whole number"),
        ({"symbol": ["A", None]}, "the symbol is blank"),
        ({"instrument_token": [5, None]}, "the instrument_token is blank"),
    ],
)
def test_a_bad_row_is_named_or_skipped(tmp_path, changed, reason):
    path = write(tmp_path, **{"timestamp": [NAIVE, NAIVE], "ltp": [1.0, 2.0], **changed})
    with pytest.raises(DataError) as error:
        walk(path)
    assert str(error.value).startswith(f"{path}: row 2: {reason}; correct the row")
    data, ticks = walk(path, skip_bad_rows=True)
    assert (len(ticks), data.counts.bad) == (1, 1)


def test_seconds_since_1970_are_not_a_time(tmp_path):
    with pytest.raises(DataError, match=r"row 1: time '1617181920' is a bare number, not a date"):
        walk(write(tmp_path, timestamp=[1617181920], ltp=[1.0]))


def test_a_null_volume_is_0(tmp_path):
    path = write(tmp_path, timestamp=[NAIVE], ltp=[1.0], volume=pa.array([None], pa.int64()))
    assert walk(path)[1][0].volume == 0


def test_symbols_and_tokens_are_learnt_before_the_first_row(tmp_path):
    book = InstrumentBook()
    columns = {"timestamp": [NAIVE, NAIVE], "ltp": [1.0, 2.0], "tradingsymbol": ["INFY", "TCS"]}
    DataSet([write(tmp_path, **columns, instrument_token=[408065, 2953217])], book)
    assert book.by_key("TCS").instrument_token == 2953217
    with pytest.raises(
        DataError, match=r"INFY\.parquet: NSE:INFY and NSE:TCS have the same instrument token"
    ):
        DataSet([write(tmp_path, **columns, instrument_token=[5, 5])], InstrumentBook())


def test_a_broken_parquet_file_is_refused(tmp_path):
    good = write(tmp_path, timestamp=[NAIVE] * 5000, ltp=[float(n) + 1 for n in range(5000)]).read_bytes()
    for content, reason in {
        b"": "the file is empty",
        b"timestamp,ltp\n": "not a readable Parquet file",
        good[:-100]: "not a readable Parquet file",
        good[:50] + bytes(2000) + good[2050:]: "not a readable Parquet file",
    }.items():
        path = tmp_path / "broken.parquet"
        path.write_bytes(content)
        with pytest.raises(DataError, match=reason) as error:
            walk(path)
        assert str(path) in str(error.value)


def test_missing_and_twin_columns_are_named(tmp_path):
    with pytest.raises(DataError, match=r"INFY\.parquet: no price columns\. Found: 'timestamp', 'open'"):
        walk(write(tmp_path, timestamp=[NAIVE], open=[1.0]))
    path = write(tmp_path, timestamp=[NAIVE], ltp=[1.0], LTP=[1.0])
    with pytest.raises(DataError, match=r"the column 'ltp' occurs twice"):
        walk(path)


def test_progress_reaches_the_end(tmp_path):
    path = write(tmp_path, timestamp=[NAIVE], ltp=[1.0])
    data = DataSet([path], InstrumentBook())
    assert data.fraction_read() == 0.0
    assert len(list(data.batches())) == 1
    assert data.fraction_read() == 1.0
