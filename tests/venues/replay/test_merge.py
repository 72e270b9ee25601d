"""Many files as one stream."""

from heapq import merge as standard_merge

from hypothesis import given
from hypothesis import strategies as st

from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay import DataSet
from alphapanda.venues.replay.merge import merged

files = st.lists(st.lists(st.integers(0, 9)), max_size=5)


def named(times, index):
    return [(time_ns, f"{index}.{number}") for number, time_ns in enumerate(times)]


@given(files)
def test_sorted_files_merge_by_time_then_file_and_keep_their_order(several):
    streams = [named(sorted(times), index) for index, times in enumerate(several)]
    everything = [
        (row[0], index, number, row) for index, rows in enumerate(streams) for number, row in enumerate(rows)
    ]
    assert list(merged(map(iter, streams))) == [row for *_, row in sorted(everything)]


@given(files)
def test_unsorted_files_merge_as_heapq_does(several):
    streams = [named(times, index) for index, times in enumerate(several)]
    assert list(merged(map(iter, streams))) == list(standard_merge(*streams, key=lambda row: row[0]))


def test_ties_follow_the_order_in_which_the_files_were_given(tmp_path):
    for name in ("A", "B"):
        (tmp_path / f"{name}.csv").write_text("timestamp,ltp\n2021-04-16 09:15:00,1\n2021-04-16 09:15:01,2\n")
    paths = [tmp_path / "B.csv", tmp_path / "A.csv"]
    book = InstrumentBook()
    batches = list(DataSet(paths, book).batches())
    names = [book.by_token(batch.ticks[0].instrument_token).tradingsymbol for batch in batches]
    assert names == ["B", "A", "B", "A"]
    assert [batch.row for batch in batches] == [1, 2, 3, 4]
    assert [[item.key for item in batch.listed] for batch in batches] == [["NSE:B"], ["NSE:A"], [], []]
    assert batches[0].time_ns == 1618544700 * 10**9
