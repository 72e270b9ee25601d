"""The key in Redis: what a word in it does to the kill switch, and how the switch is mirrored there."""

import asyncio
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from builders import TEN_NS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mirroring import desk
from redis_server import redis_server
from sessions import run

from alphapanda.events import Halt
from alphapanda.live.metrics import KEY, KILL_WORDS, STATUS, Door, mirror


@pytest.mark.parametrize("word", [*sorted(KILL_WORDS), "FALSE", ' "Off"\n'])
def test_a_word_for_no_in_the_key_is_a_kill(redis, tmp_path, word):
    async def main():
        async with desk(redis.url, tmp_path / "desk") as at_desk:
            await at_desk.metrics.flush()
            assert at_desk.gate.is_open
            redis.ask("SET", KEY, word)
            await at_desk.metrics.flush()
            assert at_desk.gate.killed
            assert at_desk.gate.by == "redis"
            assert KEY in at_desk.gate.reason
            await at_desk.metrics.flush()

    run(main)
    assert redis.ask("GET", KEY) == "0"


def test_a_missing_key_is_written_and_never_expires(redis, tmp_path):
    async def main():
        async with desk(redis.url, tmp_path / "desk") as at_desk:
            await at_desk.metrics.flush()

    run(main)
    assert redis.ask("GET", KEY) == "1"
    assert redis.ask("TTL", KEY) == -1


@pytest.mark.parametrize("odd", ["banana", "", "2"])
def test_any_other_value_is_put_right_and_logged_once(redis, tmp_path, logged, odd):
    async def main():
        async with desk(redis.url, tmp_path / "desk") as at_desk:
            for _ in range(2):
                redis.ask("SET", KEY, odd)
                await at_desk.metrics.flush()
                assert redis.ask("GET", KEY) == "1"
            assert at_desk.gate.is_open

    run(main)
    assert len([line for line in logged if "neither 0 nor 1" in line]) == 1


def test_a_key_of_another_type_changes_nothing_but_is_said(redis, tmp_path, logged):
    redis.ask("LPUSH", KEY, "0")

    async def main():
        async with desk(redis.url, tmp_path / "desk") as at_desk:
            await at_desk.metrics.flush()
            assert at_desk.gate.is_open
            assert not at_desk.metrics.connected
            redis.ask("DEL", KEY)
            await at_desk.metrics.flush()
            assert at_desk.metrics.connected

    run(main)
    assert [line for line in logged if "WRONGTYPE" in line]


def test_while_it_is_killed_the_key_is_0_whatever_others_write(redis, tmp_path):
    async def main():
        async with desk(redis.url, tmp_path / "desk") as at_desk:
            await at_desk.switch.on("news", "uid 7")
            for theirs in ("1", "banana"):
                redis.ask("SET", KEY, theirs, "EX", 100)
                await at_desk.metrics.flush()
                assert redis.ask("GET", KEY) == "0"
                assert redis.ask("TTL", KEY) == -1
            assert at_desk.gate.killed
            assert at_desk.gate.by == "uid 7"

    run(main)


def test_off_writes_1_until_redis_has_taken_it_and_only_then_is_the_key_obeyed(own_redis, tmp_path):
    async def main():
        async with desk(own_redis.url, tmp_path / "desk") as at_desk:
            await at_desk.switch.on("news", "uid 7")
            await at_desk.metrics.flush()
            assert own_redis.ask("GET", KEY) == "0"
            own_redis.ask("SAVE")
            own_redis.stop()
            await at_desk.off()
            for _ in range(2):
                await at_desk.metrics.flush()
            own_redis.start()
            assert own_redis.ask("GET", KEY) == "0"
            await at_desk.metrics.flush()
            assert at_desk.gate.is_open
            assert own_redis.ask("GET", KEY) == "1"
            own_redis.ask("SET", KEY, "0")
            await at_desk.metrics.flush()
            assert at_desk.gate.by == "redis"

    run(main)


def test_a_kill_while_redis_was_away_is_mirrored_when_it_is_back(own_redis, tmp_path):
    async def main():
        async with desk(own_redis.url, tmp_path / "desk") as at_desk:
            await at_desk.metrics.flush()
            own_redis.ask("SAVE")
            own_redis.stop()
            await at_desk.switch.on("news", "uid 7")
            await at_desk.metrics.flush()
            own_redis.start()
            assert own_redis.ask("GET", KEY) == "1"
            await at_desk.metrics.flush()
            assert own_redis.ask("GET", KEY) == "0"

    run(main)


WRITTEN = {"writes 0": "0", "writes 1": "1", "writes nonsense": "banana"}
acts = st.lists(
    st.sampled_from(["kill", "off", *WRITTEN, "deletes", "down", "up", "flush", "flush", "flush"]),
    max_size=25,
)


class Expected:
    """The rules of the key in a few lines: what every act leads to."""

    def __init__(self):
        self.killed = self.owed = self.down = False
        self.key = None

    def after(self, act):
        if act == "kill":
            self.killed, self.owed = True, False
        elif act == "off":
            self.owed = self.owed or self.killed
            self.killed = False
        elif act in WRITTEN:
            self.key = WRITTEN[act]
        elif act == "deletes":
            self.key = None
        elif act in ("down", "up"):
            self.down = act == "down"
        elif not self.down:
            self.killed = self.killed or (self.key == "0" and not self.owed)
            self.owed = False
            self.key = "0" if self.killed else "1"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(acts)
def test_whatever_people_and_outages_do_the_key_and_the_switch_follow_the_rules(redis, acts):
    """Somebody writes the key, the operator kills and resumes, Redis cannot be reached for a while."""

    async def main(folder):
        redis.ask("DEL", KEY)
        async with desk(redis.url, folder) as at_desk:
            expected, metrics = Expected(), at_desk.metrics
            there, away = metrics._door, Door("redis://127.0.0.1:1/0")
            for act in acts:
                expected.after(act)
                if act == "kill":
                    await at_desk.switch.on("news", "uid 7")
                elif act == "off":
                    await at_desk.off()
                elif act in WRITTEN:
                    redis.ask("SET", KEY, WRITTEN[act])
                elif act == "deletes":
                    redis.ask("DEL", KEY)
                elif act in ("down", "up"):
                    metrics._door = away if act == "down" else there
                else:
                    await metrics.flush()
                assert (at_desk.gate.killed, redis.ask("GET", KEY)) == (expected.killed, expected.key)
            await there.close()

    with TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


@pytest.mark.parametrize("earlier", [None, Halt("news", "uid 7", TEN_NS)], ids=["was open", "was killed"])
def test_a_0_found_at_the_start_waits_for_the_journal(redis, tmp_path, earlier):
    """Nothing is killed or written before the switch knows what the journal says."""
    redis.ask("SET", KEY, "0")

    async def main():
        async with desk(redis.url, tmp_path / "desk", obeys=False, halt=earlier) as at_desk:
            await at_desk.metrics.flush()
            assert at_desk.gate.killed is bool(earlier)
            at_desk.metrics.looked.set()
            await at_desk.metrics.obey()
            assert at_desk.gate.by == ("uid 7" if earlier else "redis")

    run(main)
    assert not (tmp_path / "desk" / "KILL").exists()


def test_a_0_found_at_the_start_is_no_kill_for_a_line_that_begins_anew_after_an_off(redis, tmp_path):
    redis.ask("SET", KEY, "0")

    async def main():
        async with desk(redis.url, tmp_path / "desk", obeys=False) as at_desk:
            await at_desk.metrics.flush()
            at_desk.metrics.looked.set()
            await at_desk.metrics.obey()
            await at_desk.off()
            await at_desk.metrics.flush()
            await at_desk.metrics.obey()
            assert not at_desk.gate.killed

    run(main)


def test_where_writing_is_refused_the_key_is_still_obeyed(own_redis, tmp_path, logged):
    async def main():
        async with desk(own_redis.url, tmp_path / "desk") as at_desk:
            await at_desk.metrics.flush()
            own_redis.ask("SET", KEY, "0")
            own_redis.ask("CONFIG", "SET", "maxmemory", "1")
            for _ in range(3):
                await at_desk.metrics.flush()
            assert at_desk.gate.by == "redis"
            assert at_desk.metrics.summary() == {"enabled": True, "connected": False, "dropped": 3}
            await at_desk.off()
            await at_desk.metrics.flush()
            assert at_desk.gate.is_open
            own_redis.ask("CONFIG", "SET", "maxmemory", "0")
            await at_desk.metrics.flush()
            assert at_desk.gate.is_open
            assert at_desk.metrics.connected

    run(main)
    assert own_redis.ask("GET", KEY) == "1"
    assert len([line for line in logged if "OutOfMemory" in line]) == 1


def test_a_0_that_is_found_on_the_way_out_is_left_for_the_next_start(redis, tmp_path):
    async def main():
        async with desk(redis.url, tmp_path / "desk", obeys=False) as at_desk:
            at_desk.metrics._pause = lambda: 3600
            task = asyncio.create_task(at_desk.metrics.run())
            await at_desk.metrics.obey()
            redis.ask("SET", KEY, "0")
            at_desk.shown = {"state": "stopping"}
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert at_desk.gate.is_open

    run(main)
    assert (redis.ask("GET", KEY), redis.ask("HGET", STATUS, "state")) == ("0", "stopping")


def test_leaving_with_an_off_that_redis_has_not_taken_is_said(tmp_path, logged):
    async def main():
        async with desk("redis://127.0.0.1:1/0", tmp_path / "desk", obeys=False) as at_desk:
            task = asyncio.create_task(at_desk.metrics.run())
            await at_desk.metrics.obey()
            await at_desk.switch.on("news", "uid 7")
            await at_desk.off()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main)
    assert [line for line in logged if "halts the next start" in line]


def test_a_socket_file_works_as_well(tmp_path):
    with TemporaryDirectory() as short, redis_server(tmp_path, "", "--unixsocket", f"{short}/s") as redis:
        assert mirror(f"unix://{short}/s", enabled=False) == ""
        assert redis.ask("GET", KEY) == "0"


def test_a_stopped_daemons_switch_is_mirrored_or_says_why_not(own_redis):
    assert mirror(own_redis.url, enabled=False) == ""
    assert own_redis.ask("GET", KEY) == "0"
    assert mirror(own_redis.url, enabled=True) == ""
    assert own_redis.ask("GET", KEY) == "1"
    own_redis.ask("CONFIG", "SET", "maxmemory", "1")
    assert "OutOfMemory" in mirror(own_redis.url, enabled=False)
    own_redis.send(signal.SIGSTOP)
    assert "Timeout" in mirror(own_redis.url, enabled=False)
    own_redis.send(signal.SIGCONT)
    own_redis.stop()
    assert "Connect" in mirror(own_redis.url, enabled=False)
