"""M07: a store whose file or log was torn, cut or overwritten is refused, or is a prefix of what was."""

import asyncio
import shutil
import sqlite3
from contextlib import closing

import pytest
from builders import TEN_NS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alphapanda.errors import CannotStart
from alphapanda.events import RowTaken
from alphapanda.store import Store, journal
from alphapanda.store.tail import tail_path

ROWS = 30
FRAME = 4096 + 24


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The file and its log of a store that somebody had open: nothing of it is in the file alone."""
    folder = tmp_path_factory.mktemp("whole")
    path = folder / "of_a_daemon.db"

    async def main():
        async with Store(path) as store:
            writer = asyncio.create_task(store.run())
            for row in range(1, ROWS + 1):
                store.tap(RowTaken("x" * 40, row, TEN_NS))
                await store.commit()
            for ending in ("", "-wal", ".tail"):
                shutil.copyfile(f"{path}{ending}", folder / f"alphapanda.db{ending}")
            writer.cancel()
            await asyncio.wait([writer])

    asyncio.run(main())
    return folder / "alphapanda.db"


def copied(whole, folder, *, tail):
    path = folder / whole.name
    for ending in ("", "-wal", *([".tail"] if tail else [])):
        shutil.copyfile(f"{whole}{ending}", f"{path}{ending}")
    return path


def outcome(path):
    """The rows that a start finds; None where it is refused in one line that names the store."""

    async def main():
        async with Store(path):
            pass

    try:
        asyncio.run(main())
    except CannotStart as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert str(path) in refusal
        assert "\n" not in refusal
        return None
    with closing(sqlite3.connect(path)) as connection:
        return [event.row for _, event in journal.read(connection)]


def test_M07_an_undamaged_copy_has_every_row(whole, tmp_path):  # noqa: N802 - the fault's name
    assert outcome(copied(whole, tmp_path, tail=True)) == [*range(1, ROWS + 1)]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1), torn=st.booleans(), tail=st.booleans())
def test_M07_a_log_that_was_cut_or_torn_gives_a_prefix_or_is_refused(  # noqa: N802 - the fault's name
    whole, tmp_path_factory, share, torn, tail
):
    """Torn: bytes of one frame are others. Without the noted end a prefix, as after a loss of power."""
    path = copied(whole, tmp_path_factory.mktemp("copy"), tail=tail)
    log = path.with_name(path.name + "-wal")
    body = bytearray(log.read_bytes())
    at = int(share * (len(body) - 1))
    if torn:
        body[at] ^= 0xA5
    else:
        del body[at:]
    log.write_bytes(body)
    found = outcome(path)
    if tail:
        assert found in (None, [*range(1, ROWS + 1)])
    else:
        assert found is None or found == [*range(1, len(found) + 1)]


def test_M07_a_last_frame_that_was_torn_costs_the_last_row_alone(whole, tmp_path):  # noqa: N802 - as above
    path = copied(whole, tmp_path, tail=False)
    log = path.with_name(path.name + "-wal")
    body = log.read_bytes()
    log.write_bytes(body[: -FRAME // 2])
    assert outcome(path) == [*range(1, ROWS)]


def test_M07_a_page_that_was_zeroed_is_refused_or_was_not_needed(whole, tmp_path):  # noqa: N802 - as above
    """Each page of a store that was closed in good order."""
    path = copied(whole, tmp_path, tail=True)
    assert outcome(path)
    body = path.read_bytes()
    size = int.from_bytes(body[16:18], "big")
    outcomes = []
    for start in range(0, len(body), size):
        path.write_bytes(body[:start] + bytes(size) + body[start + size :])
        outcomes.append(outcome(path))
        for ending in ("-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
    assert all(found in (None, [*range(1, ROWS + 1)]) for found in outcomes)
    assert outcomes.count(None) > len(outcomes) // 2
    assert tail_path(path).exists()
