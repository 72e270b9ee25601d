"""What the process uses, and what of it is an alarm."""

import os
import resource
import threading

import anyio
import pytest
from msgspec.structs import replace

from alphapanda.live.census import (
    CENSUS_ALARMS,
    FREE_MIB,
    FULL,
    LEAK_MIB_PER_HOUR,
    SEEN_S,
    SETTLES_S,
    WAL_MIB,
    Census,
    Slope,
    census,
    descriptors,
    troubles,
)

WELL = Census(
    rss_mib=100.0,
    descriptors=30,
    descriptor_limit=1024,
    threads=4,
    tasks=9,
    wal_mib=1.0,
    disk_free_mib=10_000.0,
)
STEP_S = 30.0


def test_a_process_counts_itself(tmp_path):
    store = tmp_path / "a.db"
    store.with_name("a.db-wal").write_bytes(b"\0" * (3 << 20))

    async def counted():
        return census(store)

    before = descriptors().used
    kept = bytearray(os.urandom(1 << 20) * 40)
    found = anyio.run(counted)
    assert found.wal_mib == 3.0
    assert found.rss_mib > len(kept) / (1 << 20)
    assert found.descriptors > before, "the loop of anyio.run has some"
    assert found.descriptor_limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert found.threads == threading.active_count()
    assert found.tasks >= 1
    assert found.disk_free_mib > 0


def test_the_count_of_descriptors_follows_what_is_opened():
    before = descriptors()
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(10)]
    try:
        after = descriptors()
    finally:
        for each in opened:
            os.close(each)
    assert after.used - before.used == 10
    assert before.free - after.free == 10
    assert descriptors() == before


def test_where_no_descriptor_is_left_none_is_free():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
        found = descriptors()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert (found.free, found.limit) == (0, lowest)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("open_files", {"descriptors": int(1024 * FULL) + 1}),
        ("wal", {"wal_mib": WAL_MIB + 1}),
        ("disk", {"disk_free_mib": FREE_MIB - 1}),
    ],
)
def test_each_figure_has_its_alarm_and_no_other(name, figures):
    assert troubles(WELL, None) == {}
    assert list(troubles(replace(WELL, **figures), None)) == [name]
    assert name in CENSUS_ALARMS


def test_memory_that_grows_is_an_alarm_and_memory_that_is_used_is_none():
    assert troubles(replace(WELL, rss_mib=9_000.0), LEAK_MIB_PER_HOUR) == {}
    assert list(troubles(WELL, LEAK_MIB_PER_HOUR + 1)) == ["memory"]


@pytest.mark.parametrize("per_hour", [0.0, 40.0, -8.0])
def test_a_slope_is_told_once_enough_was_seen(per_hour):
    slope, at_s = Slope(), 0.0
    while at_s < SETTLES_S + SEEN_S:
        assert slope.per_hour() is None
        slope.add(at_s, 50.0 if at_s < SETTLES_S else 100.0 + per_hour * at_s / 3600)
        at_s += STEP_S
    for _ in range(1_000):
        slope.add(at_s, 100.0 + per_hour * at_s / 3600)
        at_s += STEP_S
    assert slope.per_hour() == pytest.approx(per_hour, abs=1e-6)
