"""Finding and opening price files: folders, globs, gzip, and what the world gets wrong about them.

Every failure of a disk, an archive or an encoding becomes a `DataError` that names the file and what to do.
"""

import csv
import errno
import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from glob import glob
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from alphapanda.errors import DataError

ENDINGS = (".csv", ".csv.gz", ".parquet")
HEAD = 64 * 1024
_GZIP, _PARQUET, _BOM = b"\x1f\x8b", b"PAR1", b"\xef\xbb\xbf"


def find_files(paths: Iterable[str | Path]) -> tuple[Path, ...]:
    """Every file once, in the order given; the files of a folder or a glob are sorted."""
    found: dict[Path, Path] = {}
    for path in paths:
        try:
            for file in _matching(Path(path).expanduser()):
                found.setdefault(file.resolve(), file)
        except (OSError, RuntimeError, ValueError) as error:
            raise DataError(
                f"{path}: cannot be read ({_said(error)}): check the path and its permissions"
            ) from error
    if not found:
        raise DataError("no data files were given: name a CSV or Parquet file, or a folder of them")
    return tuple(found.values())


def _matching(path: Path) -> list[Path]:
    if not path.exists():
        files = [file for hit in sorted(glob(str(path), recursive=True)) for file in _inside(Path(hit))]  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not files:
            raise DataError(f"{path}: no such file, folder or glob with data files: check the path")
        return files
    files = _inside(path)
    if not files:
        raise DataError(
            f"{path}: the folder holds no {', '.join(ENDINGS)} file: name the file itself, or another folder"
        )
    return files


def _inside(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path}: not a regular file or folder: write the data to a file first")
    return sorted(
        Path(folder, name)
        for folder, _, names in os.walk(path, onerror=_give_up)
        for name in names
        if name.lower().endswith(ENDINGS) and not name.startswith(".")
    )


def _give_up(error: OSError) -> NoReturn:
    raise error


def is_parquet(path: Path) -> bool:
    return path.name.lower().endswith(".parquet") or _starts_with(path, _PARQUET)


def _starts_with(path: Path, magic: bytes) -> bool:
    with reading(path), path.open("rb") as raw:
        return raw.read(len(magic)) == magic


@contextmanager
def open_bytes(path: Path) -> Iterator[tuple[io.BufferedReader, "io.BufferedReader[Any]"]]:
    """The file as it lies on the disk, and unpacked when it is gzip by its name or its first bytes."""
    packed = path.name.lower().endswith(".gz") or _starts_with(path, _GZIP)
    with path.open("rb") as raw:
        if packed and path.stat().st_size:
            with gzip.open(raw) as unpacked, io.BufferedReader(unpacked, HEAD) as buffered:
                yield raw, buffered
        else:
            yield raw, raw


@contextmanager
def open_text(path: Path) -> Iterator[tuple[io.BufferedReader, io.TextIOWrapper]]:
    """The raw file, whose position tells the progress, and its text without a byte order mark."""
    with open_bytes(path) as (raw, unpacked):
        if unpacked.peek(len(_BOM)).startswith(_BOM):
            unpacked.read(len(_BOM))
        with io.TextIOWrapper(unpacked, encoding="utf-8", newline="") as text:
            yield raw, text


@contextmanager
def reading(path: Path, line: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Turns what goes wrong underneath into a `DataError`; `line` is asked for the last line read."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(_wrong_encoding(path)) from error
    except csv.Error as error:
        raise DataError(f"{path}: line {line()}: {error}: is a quotation mark left open?") from error
    except EOFError as error:
        raise DataError(
            f"{path}: the gzip data ends too early{_after(line())}: copy or download the file again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: not gzip, or damaged{_after(line())} ({_said(error)}): "
            "fetch it again, or take .gz off the name of a plain file"
        ) from error
    except OSError as error:
        # All files are open at once while they are merged.
        many = error.errno == errno.EMFILE
        cure = "raise the limit with ulimit -n" if many else "check the file and its permissions"
        raise DataError(f"{path}: cannot be read ({_said(error)}): {cure}") from error


def _after(line: int) -> str:
    return f" after line {line}" if line else ""


def _said(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _wrong_encoding(path: Path) -> str:
    number = 0
    with open_bytes(path) as (_, unpacked):
        for number, line in enumerate(unpacked, 1):  # noqa: B007 - the number outlives the loop
            try:
                line.decode()
            except UnicodeDecodeError:
                break
    return f"{path}: line {number}: not UTF-8: save the file as UTF-8, for instance with iconv -t UTF-8"


def head_digest(path: Path, length: int = HEAD) -> tuple[str, int]:
    """The digest of the first `length` bytes of content, unpacked, and how many there were."""
    with reading(path), open_bytes(path) as (_, unpacked):
        head = unpacked.read(length)
    return sha256(head).hexdigest(), len(head)
