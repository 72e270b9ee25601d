"""Files and folders as one data set: which files, their identity, a second walk, progress."""

import gzip
import shutil
from pathlib import Path

import pytest

from alphapanda.errors import DataError
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay import DataSet

ROWS = [
    f"2021-04-16 {9 + n // 3600:02}:{n // 60 % 60:02}:{n % 60:02},{100 + n % 7},{n}\n" for n in range(8000)
]
TEXT = "timestamp,ltp,volume\n" + "".join(ROWS)


def opened(*paths, **options):
    return DataSet(paths, InstrumentBook(), **options)


def filled(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(TEXT[:200].encode()) if name.endswith(".gz") else TEXT[:200].encode())
    return folder


def names_of(data):
    return [path.name for path in data.files]


def test_a_folder_gives_its_data_files_sorted_and_each_once(tmp_path):
    filled(tmp_path, "b/C.csv", "B.CSV", "A.csv.gz", "notes.txt", ".hidden.csv")
    assert names_of(opened(tmp_path)) == ["A.csv.gz", "B.CSV", "C.csv"]
    assert names_of(opened(tmp_path / "b" / "C.csv", tmp_path, str(tmp_path / "[AB]*"))) == [
        "C.csv",
        "A.csv.gz",
        "B.CSV",
    ]


def test_a_glob_gives_its_files_sorted(tmp_path):
    filled(tmp_path, "x/B.csv", "x/A.csv", "y/C.csv")
    assert names_of(opened(f"{tmp_path}/x/*.csv")) == ["A.csv", "B.csv"]
    assert names_of(opened(f"{tmp_path}/**/*.csv")) == ["A.csv", "B.csv", "C.csv"]


def test_a_link_to_the_same_file_is_the_same_file(tmp_path):
    filled(tmp_path, "A.csv")
    (tmp_path / "B.csv").symlink_to(tmp_path / "A.csv")
    assert names_of(opened(tmp_path)) == ["A.csv"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent.csv", "absent.csv: no such file, folder or glob with data files: check the path"),
        ("*.csv", "*.csv: no such file, folder or glob"),
        (".", "the folder holds no .csv, .csv.gz, .parquet file: name the file itself"),
        ("x" * 300, "cannot be read (File name too long)"),
    ],
)
def test_a_path_that_matches_nothing_is_named(tmp_path, path, message):
    with pytest.raises(DataError) as error:
        opened(tmp_path / path)
    assert message in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_a_device_is_not_a_data_file():
    with pytest.raises(DataError, match="/dev/null: not a regular file or folder"):
        opened("/dev/null")


def test_no_path_at_all_is_refused():
    with pytest.raises(DataError, match="no data files were given"):
        opened()


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    filled(tmp_path, "A.csv")

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"A\.csv: cannot be read \(Permission denied\): check the file"):
        opened(tmp_path)


def test_a_file_that_vanishes_before_the_walk_is_named(tmp_path):
    data = opened(filled(tmp_path, "A.csv"))
    (tmp_path / "A.csv").unlink()
    with pytest.raises(DataError, match=r"A\.csv: cannot be read \(No such file"):
        list(data.batches())


def test_a_second_walk_starts_over_with_fresh_counts(tmp_path):
    (tmp_path / "A.csv").write_text(TEXT)
    data = opened(tmp_path)
    first = list(data.batches())
    assert list(data.batches()) == first
    assert data.counts.taken == len(first) == 8000
    assert first[0].row == 1
    assert first[0].listed


def test_progress_and_counts_are_live(tmp_path):
    (tmp_path / "A.csv").write_text(TEXT)
    data = opened(tmp_path)
    assert data.fraction_read() == 0.0
    seen = [(data.counts.taken, data.fraction_read()) for _ in data.batches()]
    assert [taken for taken, _ in seen] == list(range(1, 8001))
    assert seen == sorted(seen)
    assert 0.0 < seen[0][1] < 0.1
    assert data.fraction_read() == 1.0


def test_a_walk_may_be_left_early(tmp_path):
    (tmp_path / "A.csv").write_text(TEXT)
    batches = opened(tmp_path).batches()
    assert next(batches).row == 1
    batches.close()
    assert list(batches) == []


def test_a_file_without_rows_is_a_warning(tmp_path):
    (tmp_path / "A.csv").write_text("timestamp,ltp\n")
    data = opened(tmp_path)
    assert list(data.batches()) == []
    assert data.warnings() == [f"{tmp_path / 'A.csv'}: no rows"]


@pytest.mark.parametrize(("rows", "warned"), [(98, True), (99, False)])
def test_only_more_than_1_percent_dropped_is_a_warning(tmp_path, rows, warned):
    good = "".join(f"2021-04-16 {10 + n // 60}:{n % 60:02}:00,1\n" for n in range(rows))
    (tmp_path / "A.csv").write_text("timestamp,ltp\n1999-01-01,1\n" + good)
    data = opened(tmp_path)
    assert len(list(data.batches())) == rows
    assert bool(data.warnings()) is warned


def test_too_many_files_at_once_say_what_to_do(tmp_path, monkeypatch):
    data = opened(filled(tmp_path, "A.csv"))

    def refuse(*_args, **_options):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"Too many open files.*: raise the limit with ulimit -n"):
        list(data.batches())


def test_identity_survives_a_move_and_more_rows(tmp_path):
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "A.csv"
    file.write_text(TEXT)
    before = opened(file).identity
    assert int(before, 16)
    shutil.move(tmp_path / "a", tmp_path / "b")
    file = tmp_path / "b" / "A.csv"
    assert opened(file).identity == before
    file.write_text(TEXT + "2021-04-17 09:15:00,1,1\n")
    assert opened(file).identity == before
    assert opened(file, columns=["timestamp", "ltp"]).identity != before
    file.write_text(TEXT.replace("09:00:00,100", "09:00:00,101"))
    assert opened(file).identity != before
    assert not opened(file).continues(before)


def test_a_small_file_with_more_rows_still_continues_the_old_one(tmp_path):
    file = tmp_path / "A.csv.gz"
    file.write_bytes(gzip.compress(TEXT[:2000].encode()))
    before = opened(file).identity
    for longer in (TEXT[:3000], TEXT):
        file.write_bytes(gzip.compress(longer.encode()))
        assert opened(file).identity != before
        assert opened(file).continues(before)
    file.write_bytes(gzip.compress(TEXT[:1000].encode()))
    assert not opened(file).continues(before)
