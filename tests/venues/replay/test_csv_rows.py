"""CSV files as they come: every defect is a message with the file, the line and what to do."""

import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alphapanda.errors import DataError
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay import DataSet

HEAD = b"timestamp,ltp,volume\n"
ROW = b"2021-04-16 09:15:05,100,1\n"
BARS = b"date,time,open,high,low,close\n"
MANY = b"".join(
    b"2021-04-16 09:%02d:%02d,%d,%d\n" % (n // 60, n % 60, 100 + n * 7919 % 97, n) for n in range(3000)
)
PACKED = gzip.compress(HEAD + MANY * 4)


def walk(path, **options):
    data = DataSet([path], InstrumentBook(), **options)
    return [batch.ticks[0] for batch in data.batches()]


MALFORMED = {
    "empty": ("X.csv", b"", "the file is empty: remove it"),
    "only blank lines": ("X.csv", b"\n \n", "the file is empty"),
    "only a mark": ("X.csv", b"\xef\xbb\xbf", "the file is empty"),
    "empty gzip name": ("X.csv.gz", b"", "the file is empty"),
    "empty gzip": ("X.csv.gz", gzip.compress(b""), "the file is empty"),
    "no time": (
        "X.csv",
        b"when,ltp\n1,2\n",
        "line 1: no time column. Found: 'when', 'ltp'. Needed: a time (timestamp",
    ),
    "no price": (
        "X.csv",
        b"\ndate,open,high,low\n",
        "line 2: no price columns. Found: 'date', 'open', 'high', 'low'",
    ),
    "headerless": ("X.csv", ROW, "no time column. Found: '2021-04-16 09:15:05', '100', '1'."),
    "headerless hint": (
        "X.csv",
        ROW,
        "A file without a header needs --columns, such as --columns timestamp,ltp",
    ),
    "headerless twins": ("X.csv", b"NIFTY,20200101,09:15,1,1,1,1,0,0\n", "no time column. Found: 'NIFTY'"),
    "semicolons": ("X.csv", b"timestamp;ltp\n", "no time column. Found: 'timestamp;ltp'"),
    "twin columns": (
        "X.csv",
        b"timestamp,ltp, LTP\n",
        "line 1: the column 'ltp' occurs twice: rename or remove",
    ),
    "cut gzip": ("X.csv.gz", PACKED[: len(PACKED) * 2 // 3], "the gzip data ends too early after line "),
    "cut gzip at once": (
        "X.csv.gz",
        PACKED[:15],
        "the gzip data ends too early: copy or download the file again",
    ),
    "not gzip": ("X.csv.gz", HEAD + ROW, "not gzip, or damaged (Not a gzipped file"),
    "damaged gzip": ("X.csv.gz", PACKED[:500] + bytes(40) + PACKED[540:], "not gzip, or damaged"),
    "wrong sum": (
        "X.csv.gz",
        PACKED[:-8] + bytes(8),
        "(CRC check failed",
    ),
    "latin-1": (
        "X.csv",
        HEAD + ROW + b"2021-04-16 09:15:06,1\xe9,1\n",
        "line 3: not UTF-8: save the file as UTF-8",
    ),
    "latin-1 header": ("X.csv", b"timestamp,ltp,caf\xe9\n", "line 1: not UTF-8"),
    "utf-16": ("X.csv", (HEAD + ROW).decode().encode("utf-16"), "line 1: not UTF-8"),
    "utf-16 unmarked": (
        "X.csv",
        (HEAD + ROW).decode().encode("utf-16-le"),
        "line 1: NUL bytes: not a CSV file",
    ),
    "NUL in a row": (
        "X.csv",
        HEAD + b"2021-04-16 09:15:05,1\x000,1\n",
        "line 2: ltp '1\\x000' is not a number",
    ),
    "NUL rows": ("X.csv", HEAD + ROW + bytes(300), "line 3: 1 fields where 3 columns are named"),
    "few fields": (
        "X.csv",
        HEAD + ROW + b"2021-04-16 09:15:06,1\n",
        "line 3: 2 fields where 3 columns are named",
    ),
    "many fields": (
        "X.csv",
        HEAD + b"\n2021-04-16 09:15:06,1,2,3\n",
        "line 3: 4 fields where 3 columns are named",
    ),
    "cut line": ("X.csv", HEAD + ROW + b"2021-04-1", "line 3: 1 fields where 3 columns are named"),
    "open quote": ("X.csv", HEAD + b'"2021-04-16 09:15:06,1,2\n' + ROW, "line 2: 1 fields where 3"),
    "open quote hint": ("X.csv", HEAD + b'"2021-04-16,1,2\n' + ROW, "(a quotation mark is left open)"),
    "long open quote": ("X.csv", HEAD + ROW + b'"' + MANY * 3, "is a quotation mark left open?"),
    "time": (
        "X.csv",
        HEAD + b"\n\nnoon,1,2\n",
        "line 4: cannot read time 'noon': write it like 2024-01-31 09:15:00",
    ),
    "epoch": ("X.csv", HEAD + b"1617181920,1,2\n", "line 2: time '1617181920' is a bare number, not a date"),
    "no time text": ("X.csv", HEAD + b",1,2\n", "line 2: the time is blank"),
    "no clock": ("X.csv", BARS + b"2020-01-01,x,1,1,1,1\n", "line 2: cannot read time '2020-01-01 x'"),
    "word price": ("X.csv", HEAD + b"2021-04-16 09:15:05,abc,1\n", "line 2: ltp 'abc' is not a number"),
    "blank price": ("X.csv", HEAD + b"2021-04-16 09:15:05,,1\n", "line 2: ltp is blank"),
    "zero price": ("X.csv", HEAD + b"2021-04-16 09:15:05,0,1\n", "line 2: ltp '0' is not a price above 0"),
    "minus price": ("X.csv", HEAD + b"2021-04-16 09:15:05,-5,1\n", "line 2: ltp '-5' is not a price above 0"),
    "nan price": ("X.csv", HEAD + b"2021-04-16 09:15:05,nan,1\n", "line 2: ltp 'nan' is not a price above 0"),
    "inf price": ("X.csv", HEAD + b"2021-04-16 09:15:05,inf,1\n", "line 2: ltp 'inf' is not a price above 0"),
    "bar price": ("X.csv", BARS + b"20200101,09:15,1,1,0,1\n", "line 2: low '0' is not a price above 0"),
    "word volume": (
        "X.csv",
        HEAD + b"2021-04-16 09:15:05,1,lots\n",
        "line 2: volume 'lots' is not a whole number",
    ),
    "nan volume": (
        "X.csv",
        HEAD + b"2021-04-16 09:15:05,1,nan\n",
        "line 2: volume 'nan' is not a whole number",
    ),
    "inf volume": (
        "X.csv",
        HEAD + b"2021-04-16 09:15:05,1,inf\n",
        "line 2: volume 'inf' is not a whole number",
    ),
    "blank symbol": ("X.csv", b"timestamp,ltp,code\n2021-04-16,1, \n", "line 2: the symbol is blank"),
    "odd symbol": (
        "X.csv",
        b"timestamp,ltp,code\n2021-04-16,1,:A\n",
        "line 2: the symbol ':A' is not EXCHANGE:SYMBOL",
    ),
    "blank token": (
        "X.csv",
        b"timestamp,ltp,instrument_token\n2021-04-16,1,\n",
        "line 2: the instrument_token is blank",
    ),
    "bad token": (
        "X.csv",
        b"timestamp,ltp,instrument_token\n2021-04-16,1,-4\n",
        "instrument_token '-4' is not a whole",
    ),
    "nameless": (
        "_X.csv",
        HEAD + ROW,
        "no symbol column, and no symbol in the file's name: rename it like INFY_2016",
    ),
    "two tokens": (
        "X.csv",
        b"timestamp,ltp,symbol,instrument_token\n2021-04-16,1,A,1\n2021-04-16,1,A,2\n",
        "line 3: NSE:A has two instrument tokens, 1 and 2",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_with_its_name_and_the_reason(tmp_path, case):
    name, content, message = MALFORMED[case]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        walk(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200),
    head=st.sampled_from([b"", HEAD, HEAD + ROW, b"\x1f\x8b"]),
    skip=st.booleans(),
)
def test_any_bytes_are_read_or_refused(tmp_path, content, head, skip):
    path = tmp_path / "X.csv"
    path.write_bytes(head + content)
    try:
        walk(path, skip_bad_rows=skip)
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right


def test_bad_rows_are_skipped_and_counted_when_asked_for(tmp_path):
    path = tmp_path / "X.csv"
    path.write_bytes(HEAD + b"noon,1,2\n\n" + ROW + b"2021-04-16 09:15:06,1\n2021-04-16 09:15:07,0,1\n")
    data = DataSet([path], InstrumentBook(), skip_bad_rows=True)
    assert len(list(data.batches())) == 1
    assert (data.counts.bad, data.counts.rows_read) == (3, 4)


def test_an_open_quote_is_never_skipped_because_it_hides_rows(tmp_path):
    path = tmp_path / "X.csv"
    path.write_bytes(HEAD + ROW + b'"' + ROW + ROW)
    with pytest.raises(DataError, match=r"line 3: .*quotation mark"):
        walk(path, skip_bad_rows=True)


@pytest.mark.parametrize(
    "content",
    [
        HEAD + ROW,
        b"\xef\xbb\xbf" + HEAD + ROW,
        b"\n" + HEAD + b"\n" + ROW + b"  \n",
        (HEAD + ROW).replace(b"\n", b"\r\n"),
        (HEAD + ROW).replace(b"\n", b"\r"),
        b'Volume,"LTP",Timestamp,note\n 1.0 ,100.00,2021-04-16 09:15:05,"a,\nb"\n',
        b"price,date,time,volume\n100,2021-04-16,09:15:05,1\n",
        b"last_price,date,volume,\n1e2,16/04/2021 09:15:05,1,\n",
        # Named, because gzip writes the time into them, and tests that run side by side compare their names.
        pytest.param(gzip.compress(HEAD + ROW), id="gzip"),
        pytest.param(gzip.compress(HEAD) + gzip.compress(ROW), id="two gzip members"),
    ],
)
def test_the_same_row_in_many_dresses(tmp_path, content):
    path = tmp_path / "X_2021.csv"
    path.write_bytes(content)
    (tick,) = walk(path)
    assert (tick.last_price, tick.volume, tick.bar) == (100.0, 1, False)
    assert tick.timestamp.isoformat() == "2021-04-16T09:15:05+05:30"


def test_columns_name_a_headerless_file_and_leave_a_header_alone(tmp_path):
    (tmp_path / "A.csv").write_bytes(ROW)
    (tmp_path / "B.csv").write_bytes(b"ltp,timestamp\n100,2021-04-16 09:15:05\n")
    data = DataSet([tmp_path], InstrumentBook(), columns=["Timestamp", "ltp", "volume"])
    assert [batch.ticks[0].volume for batch in data.batches()] == [1, 0]


def test_columns_without_a_time_are_refused(tmp_path):
    (tmp_path / "A.csv").write_bytes(ROW)
    with pytest.raises(DataError, match=r"A\.csv: --columns: no time column\. Found: 'a', 'b'"):
        DataSet([tmp_path], InstrumentBook(), columns=["a", "b"])


def test_the_instrument_comes_from_columns_else_from_the_name(tmp_path):
    cases = {
        "infy_2016.csv": (b"date,ltp\n2021-04-16,1\n", "NSE:INFY"),
        "1.csv": (b"date,ltp,Symbol\n2021-04-16,1, tcs\n", "NSE:TCS"),
        "2.csv": (b"date,ltp,Symbol,exchange\n2021-04-16,1,TCS,BSE\n", "BSE:TCS"),
        "3.csv": (b"date,ltp,Symbol,exchange\n2021-04-16,1,NFO:SBIN,\n", "NFO:SBIN"),
        "4.csv": (b"date,ltp,code\n2021-04-16,1,NIFTY 50\n", "NSE:NIFTY 50"),
        "5.csv": (b"date,ltp,instrument_token\n2021-04-16,1,77.0\n", "NSE:77"),
    }
    for name, (content, key) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        (batch,) = DataSet([path], InstrumentBook()).batches()
        assert [instrument.key for instrument in batch.listed] == [key]
        assert batch.ticks[0].instrument_token == batch.listed[0].instrument_token


def test_tokens_are_known_before_the_first_row(tmp_path):
    (tmp_path / "A.csv").write_bytes(
        b"date,ltp,symbol,instrument_token\nbad,1,INFY,408065\n2021-04-16,1,TCS,5\n"
    )
    (tmp_path / "B.csv").write_bytes(b"date,ltp,instrument_token\n2021-04-16,1,408065\n")
    book = InstrumentBook()
    data = DataSet([tmp_path], book, skip_bad_rows=True)
    assert book.by_key("INFY").instrument_token == 408065
    assert data.fraction_read() == 0.0
    assert [batch.listed[0].key for batch in data.batches()] == ["NSE:TCS", "NSE:INFY"]
