"""The file that kills: written where nothing else can be, obeyed whoever wrote it, removed by off alone."""

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from builders import TEN_NS
from journals import busy, read
from sessions import laid, plan, run, until
from switching import kill_file, starting, switched, words

from alphapanda.errors import Fatal
from alphapanda.events import Halt, Resume
from alphapanda.live.gate import Gate
from alphapanda.live.kill_file import KillFile
from alphapanda.live.line import Line
from alphapanda.live.switch import KillSwitch
from alphapanda.store import StoreFailed


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alphapanda.db"


def test_a_commit_that_fails_leaves_the_flag_and_a_kill_file(path):
    async def main():
        async with switched(path) as (one, switch):
            with closing(sqlite3.connect(path)) as other:
                other.execute("DROP TABLE kill_switch")
            try:
                await switch.on("news", "uid 7")
            finally:
                assert one.gate.killed
                assert kill_file(path).read_text() == "news\n"

    with pytest.raises(ExceptionGroup) as caught:
        run(main)
    assert caught.group_contains(StoreFailed)


def test_a_kill_before_the_store_is_open_sets_the_gate_and_writes_the_kill_file(path):
    async def main():
        async with starting(path) as (one, switch, store):
            said = await switch.on("news", "uid 7")
            assert (said["on"], said["reason"], said["by"]) == (True, "news", "uid 7")
            assert one.gate.killed
            assert one.said == []
            assert kill_file(path).read_text() == "news\n"
            assert (await switch.on("more", "uid 8"))["reason"] == "news"
            assert kill_file(path).read_text() == "news\n"
            assert (await switch.off("over", "uid 7", one.turns([])))["on"] is True
            assert kill_file(path).exists()
            before = one.gate.since_ns
            await switch.restore(store, None)
            assert words(path) == [(Halt, "news", "uid 7")]
            (halt,) = read(path)
            assert halt.time_ns == before
            assert one.gate.killed
            await one.line.quiet.wait()
            assert one.cores.risk.halted
            assert (await switch.off("over", "uid 7", one.turns([])))["on"] is False
            assert not kill_file(path).exists()

    run(main)
    assert words(path) == [(Halt, "news", "uid 7"), (Resume, "over", "uid 7")]


def test_a_kill_before_the_store_is_open_adds_nothing_to_a_journal_that_ends_halted(path):
    async def main():
        async with starting(path) as (_, switch, store):
            await switch.on("more news", "uid 8")
            await switch.restore(store, Halt("news", "uid 7", TEN_NS))
            assert switch.state()["reason"] == "news"

    run(main)
    assert read(path) == []


def test_a_kill_file_found_at_the_start_is_obeyed_and_journaled(path):
    kill_file(path).write_text("the  desk\nis on fire\n")

    async def main():
        async with starting(path) as (one, switch, store):
            assert not one.gate.killed
            await switch.restore(store, None)
            assert one.gate.killed
            assert words(path) == [(Halt, "the desk is on fire", "kill file")]
            await switch.obey_file()

    run(main)
    assert words(path) == [(Halt, "the desk is on fire", "kill file")]


def test_the_folder_of_the_kill_file_is_made(path, tmp_path):
    async def main():
        async with laid(plan(rules=())) as one:
            switch = KillSwitch(one.gate, one.line, tmp_path / "var" / "run" / "KILL")
            await switch.on("news", "uid 7")
            assert (tmp_path / "var" / "run" / "KILL").read_text() == "news\n"

    run(main)


def test_a_kill_file_that_cannot_be_written_is_logged_and_the_failure_of_the_store_is_said(path, logged):
    kill_file(path).mkdir()

    async def main():
        async with starting(path) as (one, switch, store):
            switch._store = store  # joined, without the kill file that is in the way being obeyed
            with closing(sqlite3.connect(path)) as other:
                other.execute("DROP TABLE kill_switch")
            try:
                await switch.on("news", "uid 7")
            finally:
                assert one.gate.killed

    with pytest.raises(ExceptionGroup) as caught:
        run(main)
    assert caught.group_contains(StoreFailed)
    assert not caught.group_contains(OSError)
    (line,) = (line for line in logged if "cannot be written" in line)
    assert str(kill_file(path)) in line


def test_a_kill_before_the_store_is_open_holds_without_its_file(path, logged):
    kill_file(path).mkdir()

    async def main():
        async with starting(path) as (_, switch, store):
            assert (await switch.on("news", "uid 7"))["on"]
            assert [line for line in logged if "cannot be written" in line]
            await switch.restore(store, None)

    run(main)
    assert words(path) == [(Halt, "news", "uid 7")]


def test_off_is_refused_while_the_kill_file_cannot_be_removed(path):
    """The next start would be killed, although the operator was told that trading is on."""

    async def main():
        async with switched(path) as (one, switch):
            await switch.on("news", "uid 7")
            kill_file(path).mkdir()
            with pytest.raises(ValueError, match=f"kill file {kill_file(path)} cannot be removed: "):
                await switch.off("over", "uid 7", one.turns([]))
            assert one.gate.killed
            assert words(path) == [(Halt, "news", "uid 7")]
            await switch.on("still", "uid 8")
            assert words(path) == [(Halt, "news", "uid 7")]
            kill_file(path).rmdir()
            assert (await switch.off("over", "uid 7", one.turns([])))["on"] is False
            assert one.gate.is_open

    run(main)
    assert words(path)[-1] == (Resume, "over", "uid 7")


DIRTY = {
    " news \n\tof\r\nthe  day ": "news of the day",
    "half \udc80 a character": "half ? a character",
    "x" * 500: "x" * 200,
    "पांडा": "पांडा",
}


@pytest.mark.parametrize("reason", DIRTY, ids=["lines", "surrogate", "long", "marathi"])
@pytest.mark.parametrize("door", ["on", "before the store", "file", "signal"])
def test_a_reason_is_one_line_that_every_file_and_journal_can_hold(path, reason, door):
    async def main():
        async with starting(path) as (one, switch, store):
            if door == "before the store":
                await switch.on(reason, "uid 7")
                assert kill_file(path).read_text() == f"{DIRTY[reason]}\n"
            await switch.restore(store, None)
            if door == "on":
                await switch.on(reason, "uid 7")
            elif door in ("file", "signal"):
                kill_file(path).write_bytes(reason.encode(errors="replace"))
                if door == "file":
                    await switch.obey_file()
                else:
                    switch.on_signal()
                    assert one.gate.killed
                    await until(lambda: any(isinstance(event, Halt) for event in one.said))
            assert one.gate.reason == DIRTY[reason]
            await switch.off(reason, "uid 7", one.turns([]))
            assert one.gate.reason == DIRTY[reason]

    run(main)
    assert [reason for _, reason, _ in words(path)] == [DIRTY[reason]] * 2


def test_a_commit_that_does_not_come_leaves_the_flag_and_the_kill_file_and_is_fatal(path, monkeypatch):
    monkeypatch.setattr("alphapanda.live.switch.COMMIT_S", 0.05)

    async def main():
        async with switched(path) as (one, switch):
            with busy(path):
                with pytest.raises(Fatal, match=r"could not be written in 0\.05 s; it stays on"):
                    await switch.on("news", "uid 7", flatten=True)
                assert one.gate.killed
                assert kill_file(path).read_text() == "news\n--flatten\n"

    run(main)


def test_a_full_disk_is_given_back_its_reserve_for_the_kill_file(logged):
    freed = []

    async def main():
        async with laid(plan(rules=())) as one:
            switch = KillSwitch(one.gate, one.line, Path("/dev/full"), lambda: freed.append(True))
            await switch.on("news", "uid 7")
            assert one.gate.killed

    run(main)
    assert freed == [True]
    assert [line for line in logged if "/dev/full cannot be written" in line]


@pytest.mark.parametrize(("first", "second"), [("short", "a longer one"), ("a longer one", "short")])
@pytest.mark.parametrize("flatten", [True, False])
def test_new_words_take_the_place_of_the_old_ones(path, first, second, flatten):
    file = KillFile(kill_file(path))
    file.put(first, flatten=not flatten)
    before = file.path.stat().st_ino
    file.put(second, flatten=flatten)
    assert file.path.read_text() == f"{second}\n" + "--flatten\n" * flatten
    assert file.words() == (second, flatten)
    assert file.path.stat().st_ino == before


def test_words_that_stand_there_stay_until_the_new_ones_are_written(path, monkeypatch):
    file = KillFile(kill_file(path))
    file.put("first", flatten=True)
    monkeypatch.setattr("alphapanda.live.kill_file.os", SimpleNamespace(**vars(os) | {"write": full}))
    with pytest.raises(OSError, match="No space left"):
        file.put("second", flatten=False)
    assert file.words() == ("first", True)


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("halted", [False, True])
def test_a_store_that_failed_is_a_kill_for_the_next_start_before_anybody_else_runs(path, halted):
    """The process may end before the switch has its turn. A journal that says so needs no file."""
    gate = Gate()
    switch = KillSwitch(gate, Line(lambda _: None), kill_file(path))
    failure = StoreFailed("commit failed")
    failure.why, failure.halted = "disk I/O error", halted
    switch.store_failed(failure)
    assert (gate.killed, gate.reason, gate.by) == (True, "disk I/O error", "store")
    assert kill_file(path).exists() is not halted


def test_a_fifo_in_the_place_of_the_kill_file_is_a_kill_and_blocks_nobody(path):
    async def main():
        os.mkfifo(kill_file(path))
        async with switched(path) as (one, _):
            assert one.gate.by == "kill file"

    run(main)
    assert words(path) == [(Halt, f"kill file {kill_file(path)}", "kill file")]


def test_a_kill_file_that_nobody_can_look_at_counts_as_there(path):
    """Its name is too long for the disk: nobody knows what the operator meant to put there."""
    switch = KillSwitch(gate := Gate(), None, path.with_name("K" * 300))
    switch.flag_file()
    switch.flag_file()
    assert (gate.killed, gate.by) == (True, "kill file")


def test_a_flag_that_nobody_could_write_down_any_more_is_kept_for_the_next_start(path):
    switch = KillSwitch(Gate(), None, kill_file(path))
    switch.end()
    assert not kill_file(path).exists()
    switch.on_signal()
    switch.end()
    assert kill_file(path).read_text() == "SIGUSR1\n"
