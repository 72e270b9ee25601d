"""Price files as the world delivers them: each mistake ends in one line that names the file and the place."""

import gzip
import json

import pyarrow as pa
import pytest
from pyarrow import parquet
from running import answer, count, run, select, write_config

HEADER = "timestamp,ltp\n"
GOOD = "2024-01-31 09:15:00,100\n2024-01-31 09:15:01,102\n"
AFTER = "2024-01-31 09:15:03,103\n2024-01-31 09:15:04,103\n"
BAD = "2024-01-31 09:15:02,abc\n"


def table(last_price):
    times = [f"2024-01-31 09:15:0{number}" for number in range(len(last_price))]
    return pa.table({"timestamp": times, "ltp": last_price})


def write_bad(path, name):
    """A file called `name` that cannot be read to its end."""
    file = path / name
    match name:
        case "INFY_bad.csv":
            file.write_text(HEADER + GOOD + BAD + AFTER)
        case "INFY_bad.csv.gz":
            file.write_bytes(gzip.compress((HEADER + GOOD + BAD + AFTER).encode()))
        case "INFY_cut.csv.gz":
            file.write_bytes(gzip.compress((HEADER + GOOD + AFTER).encode())[:-12])
        case "INFY_bad.parquet":
            parquet.write_table(table([100.0, 102.0, -1.0]), file)
        case "INFY_not.parquet":
            file.write_text(HEADER + GOOD)
        case "INFY_headerless.csv":
            file.write_text(GOOD)
        case "INFY_empty.csv":
            file.touch()
        case "INFY_not.csv.gz":
            file.write_text(HEADER + GOOD)
        case "INFY_latin.csv":
            file.write_bytes((HEADER + GOOD).encode() + b"2024-01-31 09:15:02,\xff\n")
        case "INFY_time.csv":
            file.write_text(HEADER + GOOD + "yesterday,100\n")
        case "INFY_short.csv":
            file.write_text(HEADER + GOOD + "2024-01-31 09:15:02\n")
        case "INFY_zero.csv":
            file.write_text(HEADER + "2024-01-31 09:15:00,0\n")
        case "INFY_columns.csv":
            file.write_text("when,how much\n" + GOOD)
        case "INFY_folder":
            file.mkdir()
    return file


MISTAKES = {
    "INFY_bad.csv": ["line 4", "ltp 'abc' is not a number"],
    "INFY_bad.csv.gz": ["line 4", "ltp 'abc' is not a number"],
    "INFY_cut.csv.gz": ["gzip data ends too early"],
    "INFY_bad.parquet": ["row 3", "ltp '-1.0' is not a price above 0"],
    "INFY_not.parquet": ["not a readable Parquet file"],
    "INFY_headerless.csv": ["line 1", "--columns"],
    "INFY_empty.csv": ["the file is empty"],
    "INFY_not.csv.gz": ["not gzip"],
    "INFY_latin.csv": ["line 4", "not UTF-8"],
    "INFY_time.csv": ["line 4", "'yesterday'"],
    "INFY_short.csv": ["line 4", "1 fields where 2 columns are named"],
    "INFY_zero.csv": ["line 2", "'0' is not a price above 0"],
    "INFY_columns.csv": ["line 1", "no time column", "'when'"],
    "INFY_folder": ["the folder holds no"],
    "INFY_gone.csv": ["no such file"],
    "INFY_*.nothing": ["no such file"],
}


@pytest.mark.parametrize("name", MISTAKES)
def test_bad_data_ends_a_backtest_with_one_line_that_names_the_file_and_the_place(tmp_path, name):
    write_config(tmp_path)
    file = write_bad(tmp_path, name)
    done = run(tmp_path, "backtest", "--data", name, "--json")
    assert done.code in (1, 3)
    assert done.stdout == ""
    for word in ("alphapanda: ", str(file), *MISTAKES[name]):
        assert word in done.line


@pytest.mark.parametrize("name", ["INFY_bad.csv", "INFY_bad.csv.gz", "INFY_bad.parquet", "INFY_latin.csv"])
def test_bad_data_stops_the_daemon_with_the_same_line_and_what_came_before_is_kept(tmp_path, name):
    write_config(tmp_path)
    file = write_bad(tmp_path, name)
    done = run(tmp_path, "run", "--data", name, "--until-end")
    assert done.code in (1, 3)
    assert "Traceback" not in done.stderr
    *log, last = done.stderr.splitlines()
    for word in ("alphapanda: ", str(file), *MISTAKES[name]):
        assert word in last
    assert not [line for line in log if "ERROR" in line or line.startswith("alphapanda: ")]
    assert select(tmp_path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize(
    "name", ["INFY_gone.csv", "INFY_headerless.csv", "INFY_empty.csv", "INFY_not.csv.gz"]
)
def test_data_that_cannot_even_be_opened_does_not_let_the_daemon_start(tmp_path, name):
    write_config(tmp_path)
    file = write_bad(tmp_path, name)
    done = run(tmp_path, "run", "--data", name, "--until-end")
    assert (done.code, done.stdout) == (3, "")
    for word in (str(file), *MISTAKES[name]):
        assert word in done.line


def test_the_first_bad_row_stops_the_run_before_any_later_row_trades(tmp_path):
    write_config(tmp_path)
    write_bad(tmp_path, "INFY_bad.csv")
    assert run(tmp_path, "run", "--data", "INFY_bad.csv", "--until-end").code != 0
    # Row 2 buys; the row that would fill the order comes after the bad one.
    assert select(tmp_path, "SELECT status FROM orders") == [("OPEN",)]
    assert count(tmp_path, "trades") == 0


@pytest.mark.parametrize("name", ["INFY_bad.csv", "INFY_bad.csv.gz", "INFY_bad.parquet"])
def test_skip_bad_rows_goes_on_and_says_how_many(tmp_path, name):
    write_config(tmp_path)
    write_bad(tmp_path, name)
    done = run(tmp_path, "run", "--data", name, "--until-end", "--skip-bad-rows")
    assert (done.code, done.stdout) == (0, "")
    assert "rows bad and skipped" in done.stderr
    assert name in done.stderr
    again = run(tmp_path, "backtest", "--data", name, "--skip-bad-rows", "--json")
    assert again.code == 0
    assert "rows bad and skipped" in again.line
    assert json.loads(again.stdout)["trades"] == answer(tmp_path, "trades")
    assert count(tmp_path, "trades") == (0 if name.endswith("parquet") else 1)


def test_columns_name_those_of_a_headerless_file(tmp_path):
    write_config(tmp_path)
    (tmp_path / "INFY_headerless.csv").write_text(GOOD + AFTER)
    done = run(tmp_path, "run", "--data", "INFY_headerless.csv", "--columns", "timestamp, ltp", "--until-end")
    assert done.code == 0
    (trade,) = answer(tmp_path, "trades")
    assert (trade["transaction_type"], trade["traded_at"][11:19]) == ("BUY", "09:15:03")


def test_columns_that_do_not_fit_are_said(tmp_path):
    write_config(tmp_path)
    (tmp_path / "INFY_headerless.csv").write_text(GOOD)
    done = run(tmp_path, "backtest", "--data", "INFY_headerless.csv", "--columns", "timestamp,foo")
    assert done.code != 0
    assert "--columns" in done.line
    assert "'foo'" in done.line


def test_good_data_may_be_parquet_gzip_a_folder_or_a_glob(tmp_path):
    write_config(tmp_path)
    folder = tmp_path / "all kinds"
    folder.mkdir()
    (folder / "INFY_a.csv.gz").write_bytes(gzip.compress((HEADER + GOOD).encode()))
    later = pa.table({"Date": ["2024-01-31"] * 2, "Time": ["09:15:03", "09:15:04"], "LTP": [103.0, 103.0]})
    parquet.write_table(later, folder / "INFY_b.parquet")
    whole = run(tmp_path, "backtest", "--data", "all kinds", "--json").document
    glob = run(tmp_path, "backtest", "--data", "all kinds/INFY_*", "--json").document
    each = run(
        tmp_path,
        "backtest",
        *("--data", "all kinds/INFY_b.parquet", "--data", "all kinds/INFY_a.csv.gz", "--json"),
    ).document
    assert whole["trades"] == glob["trades"] == each["trades"]
    assert [trade["traded_at"][11:19] for trade in whole["trades"]] == ["09:15:03"]


def test_data_without_a_row_of_any_instrument_is_said(tmp_path):
    write_config(tmp_path)
    (tmp_path / "OTHER.csv").write_text(HEADER + GOOD)
    done = run(tmp_path, "backtest", "--data", "OTHER.csv", "--json")
    assert done.code == 0
    assert "momentum_1" in done.line
    assert done.document["trades"] == []
