"""The real, dirty files: each is read without a traceback, and the counts are those its README measured."""

import re
from functools import cache
from pathlib import Path

import pytest

from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay import DataSet

DATA = Path(__file__).resolve().parents[3] / "../shared/data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data is not here: {DATA}")
INDEX_COLUMNS = ["symbol", "date", "time", "open", "high", "low", "close", "volume", "oi"]


@cache
def measured() -> dict[str, dict[str, int]]:
    """What the README's table says of each file: n=, dup=, bad=, epoch0= …"""
    table = re.findall(r"^\| (\S+) \| \d+ \| \w+ \| (.*) \|$", (DATA / "README.md").read_text(), re.MULTILINE)
    return {
        name: {key: int(value) for key, value in re.findall(r"\b(\w+)=(\d+)\b", said)} for name, said in table
    }


def walked(folder: str, **options):
    """Every file of the folder by itself: its README row and its data set, walked to the end."""
    found = []
    for path in sorted((DATA / folder).glob("*.csv.gz")):
        data = DataSet([path], InstrumentBook(), **options)
        last = 0
        for batch in data.batches():
            assert batch.time_ns >= last
            last = batch.time_ns
        counts = data.counts
        assert counts.rows_read == measured()[f"{folder}/{path.name}"]["n"]
        assert (
            counts.taken + counts.duplicates + counts.older + counts.before_2000 + counts.bad
            == counts.rows_read
        )
        found.append((measured()[f"{folder}/{path.name}"], data))
    assert found
    return found


@pytest.mark.parametrize("day", ["2021-04-06", "2021-04-16"])
def test_recorded_ticks_of_a_day(day):
    for said, data in walked(f"ticks/nse_eq_2021/{day}"):
        counts = data.counts
        assert counts.before_2000 == said["epoch0"]
        assert counts.older >= said["back"]
        # A repeat is a twin, or older than a row in between, or before 2000: it is never taken.
        assert counts.taken <= said["n"] - said["dup"]
        if not said["epoch0"] and not said["otherday"]:
            assert counts.older + counts.duplicates >= said["dup"]
        assert bool(data.warnings()) == (counts.dropped > 0.01 * said["n"])


def test_index_polled_each_second_needs_columns():
    for _, data in walked("ticks/nifty_1s_2022", columns=["timestamp", "ltp"]):
        assert data.counts.bad == 0
        assert data.counts.taken > 20_000


def test_minute_bars_of_2016_drop_the_swapped_neighbours():
    for said, data in walked("candles/stock_1min_2016"):
        assert data.counts.odd_bars == said["bad"] == 0
        assert 0 < data.counts.older < 40
        assert data.counts.taken == said["n"] - data.counts.older


def test_kite_5_minute_bars_lose_their_repeated_days():
    for said, data in walked("candles/stock_5min_kite"):
        assert data.counts.odd_bars == said["bad"]
        assert data.counts.taken == said["n"] - said["dup"]


def test_15_minute_bars_count_the_odd_ones():
    for said, data in walked("candles/stock_15min"):
        assert data.counts.odd_bars == said["bad"]
        assert data.counts.taken == said["n"]


def test_index_bars_with_and_without_a_header():
    for said, data in walked("candles/index_1min", columns=INDEX_COLUMNS):
        assert data.counts.bad == data.counts.odd_bars == said["bad"] == 0
        assert data.counts.duplicates == 0


@pytest.mark.parametrize("folder", ["daily/kite_adjusted", "daily/nse_raw_2000_2021"])
def test_daily_bars(folder):
    for said, data in walked(folder):
        assert (data.counts.taken, data.counts.odd_bars) == (said["n"], said["bad"])


def test_a_folder_of_files_is_one_stream_in_order_of_time():
    book = InstrumentBook()
    data = DataSet([DATA / "candles/stock_15min"], book)
    times, listed = [], []
    for batch in data.batches():
        times.append(batch.time_ns)
        listed += [instrument.tradingsymbol for instrument in batch.listed]
    assert times == sorted(times)
    assert listed == [path.name.split("_")[0] for path in data.files]
    assert data.fraction_read() == 1.0
