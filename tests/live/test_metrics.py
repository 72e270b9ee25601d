"""What goes to a real Redis and what its key does: the flush, the expiry, the kill, and every way to fail."""

import asyncio
import re
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from builders import TEN_NS, batch, fill, order, tick
from builders import signal as signal_
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loguru import logger
from redis_server import redis_server, shared_redis
from sessions import laid, plan, refused, until

from alphapanda.errors import CannotStart
from alphapanda.events import Approved, Halt, OrderFilled, OrderStatus, OrderUpdated
from alphapanda.live.counters import Counters
from alphapanda.live.metrics import KEY, KILL_WORDS, STATUS, Door, Metrics, flat, mirror
from alphapanda.live.switch import KillSwitch
from alphapanda.store import Store
from alphapanda.times import to_ist

SECRET = "hunter2secret"


@pytest.fixture
def patient(monkeypatch):
    """A stall of this machine is not a stall of Redis: 250 ms would be too strict a judge here."""
    monkeypatch.setattr("alphapanda.live.metrics.TIMEOUT_S", 1.5)
    monkeypatch.setattr("alphapanda.live.metrics.DEADLINE_S", 3.0)


@pytest.fixture
def server(tmp_path, patient):
    with shared_redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def own(tmp_path, patient):
    with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def logged():
    lines = []
    sink = logger.add(lines.append, format="{message}")
    yield lines
    logger.remove(sink)


class Desk:
    """Metrics beside a line at work, with its journal and kill switch. `shown` is what `status` says."""

    def __init__(self, url, one, switch):
        self.shown = {"state": "running", "brokers": {"paper": {"cash": 1.5}}}
        self.gate, self.switch, self.line = one.gate, switch, one.line
        self.turns = one.turns([])
        self.counters = Counters()
        self.flushed = 0
        self.metrics = Metrics(
            url,
            status=lambda: self.shown,
            counters=self.counters,
            brokers=["paper", "zerodha"],
            switch=switch,
            flushed=self.count,
        )

    def count(self):
        self.flushed += 1

    async def off(self):
        await self.switch.off("checked", "uid 7", self.turns)


@asynccontextmanager
async def desk(url, path, *, obeys=True, halt=None):
    path.mkdir(exist_ok=True)
    store = path / "alphapanda.db"
    async with Store(store) as store, laid(plan(rules=()), store=store) as one:
        switch = KillSwitch(one.gate, one.line, path / "KILL")
        await switch.restore(store, halt)
        made = Desk(url, one, switch)
        if obeys:
            made.metrics.looked.set()
            await made.metrics.obey()
        try:
            yield made
        finally:
            await made.metrics._door.close()


def run(main):
    return asyncio.run(main(), debug=True)


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
names = st.text("abcdefgh_", min_size=1, max_size=5)
documents = st.dictionaries(
    names, st.recursive(leaves, lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=8)
)


def at(document, dotted):
    for name in dotted.split("."):
        document = document[name]
    return document


def count_leaves(value):
    return sum(map(count_leaves, value.values())) if isinstance(value, dict) else 1


@settings(deadline=None)
@given(documents)
def test_every_leaf_has_one_dotted_name_and_a_value_that_redis_takes(document):
    fields = flat(document)
    assert len(fields) == count_leaves(document)
    for name, value in fields.items():
        leaf = at(document, name)
        assert type(value) in (str, int, float)
        assert value == ("" if leaf is None else leaf)


def test_lists_are_flattened_by_place_and_truth_is_a_number():
    document = {"a": [{"b": True}, {"b": False}], "c": {"d": None}, "e": OrderStatus.OPEN, "f": {}, "g": []}
    assert flat(document) == {"a.0.b": 1, "a.1.b": 0, "c.d": "", "e": "OPEN"}


def test_a_flush_writes_the_keys_of_the_contract(server, tmp_path):
    async def main():
        async with desk(server.url, tmp_path / "desk") as at_desk:
            counters = at_desk.counters
            counters.tick(batch(tick(1), tick(2)))
            counters.tap(signal_(brokers=("paper", "zerodha")))
            counters.tap(Approved(order(), signal_()))
            counters.tap(refused(broker="zerodha"))
            counters.tap(OrderUpdated(order(status=OrderStatus.SENT)))
            counters.tap(OrderFilled(order(status=OrderStatus.FILLED), fill()))
            await at_desk.metrics.flush()
            assert at_desk.metrics.summary() == {"enabled": True, "connected": True, "dropped": 0}
            return counters

    counters = run(main)
    passed = {
        "signals": {"paper": 1, "zerodha": 1},
        "signals_validated": {"paper": 1, "zerodha": 0},
        "signals_rejected": {"paper": 0, "zerodha": 1},
        "orders": {"paper": 1, "zerodha": 0},
        "fills": {"paper": 1, "zerodha": 0},
    }
    for stage, by_broker in passed.items():
        for broker, number in by_broker.items():
            assert server.ask("GET", f"pipeline:{stage}:{broker}:count") == str(number)
            last = server.ask("GET", f"pipeline:{stage}:{broker}:last_time")
            assert last == (to_ist(counters.passed[stage][broker].last_ns).isoformat() if number else None), (
                stage,
                broker,
            )
    assert server.ask("GET", "pipeline:market_ticks:market:count") == "2"
    assert server.ask("GET", "pipeline:market_ticks:market:per_second") == "0.0"
    assert server.ask("GET", "pipeline:market_ticks:market:last_time").endswith("+05:30")
    assert server.ask("HGETALL", STATUS) == {"state": "running", "brokers.paper.cash": "1.5"}
    assert 0 < server.ask("TTL", STATUS) <= 30
    assert server.ask("TTL", "pipeline:fills:paper:count") == -1


def test_what_has_gone_leaves_nothing_behind(server, tmp_path):
    """A strategy that is no more, the last fill of an earlier run, a key of another type."""
    server.ask("SET", STATUS, "of something else")
    server.ask("SET", "pipeline:fills:paper:last_time", "2020-01-01T00:00:00+05:30")

    async def main():
        async with desk(server.url, tmp_path / "desk") as at_desk:
            at_desk.shown = {"strategies": {"gone": {"state": "running"}, "stays": {"state": "running"}}}
            await at_desk.metrics.flush()
            assert server.ask("HLEN", STATUS) == 2
            at_desk.shown = {"strategies": {"stays": {"state": "paused"}}}
            await at_desk.metrics.flush()

    run(main)
    assert server.ask("HGETALL", STATUS) == {"strategies.stays.state": "paused"}
    assert server.ask("EXISTS", "pipeline:fills:paper:last_time") == 0


def test_text_that_is_no_unicode_is_written_all_the_same(server, tmp_path):
    async def main():
        async with desk(server.url, tmp_path / "desk") as at_desk:
            at_desk.shown = {"environment": "half \udc80 a character"}
            await at_desk.metrics.flush()
            assert at_desk.metrics.connected

    run(main)
    assert server.ask("HGET", STATUS, "environment") == "half ? a character"


@pytest.mark.parametrize("word", [*sorted(KILL_WORDS), "FALSE", ' "Off"\n'])
def test_a_word_for_no_in_the_key_is_a_kill(server, tmp_path, word):
    async def main():
        async with desk(server.url, tmp_path / "desk") as at_desk:
            await at_desk.metrics.flush()
            assert at_desk.gate.is_open
            server.ask("SET", KEY, word)
            await at_desk.metrics.flush()
            assert at_desk.gate.killed
            assert at_desk.gate.by == "redis"
            assert KEY in at_desk.gate.reason
            await at_desk.metrics.flush()

    run(main)
    assert server.ask("GET", KEY) == "0"


def test_a_missing_key_is_written_and_never_expires(server, tmp_path):
    async def main():
        async with desk(server.url, tmp_path / "desk") as at_desk:
            await at_desk.metrics.flush()

    run(main)
    assert server.ask("GET", KEY) == "1"
    assert server.ask("TTL", KEY) == -1


@pytest.mark.parametrize("odd", ["banana", "", "2"])
def test_any_other_value_is_put_right_and_logged_once(server, tmp_path, logged, odd):
    async def main():
        async with desk(server.url, tmp_path / "desk") as at_desk:
            for _ in range(2):
                server.ask("SET", KEY, odd)
                await at_desk.metrics.flush()
                assert server.ask("GET", KEY) == "1"
            assert at_desk.gate.is_open

    run(main)
    assert len([line for line in logged if "neither 0 nor 1" in line]) == 1


def test_a_key_of_another_type_changes_nothing_but_is_said(server, tmp_path, logged):
    server.ask("LPUSH", KEY, "0")

    async def main():
        async with desk(server.url, tmp_path / "desk") as at_desk:
            await at_desk.metrics.flush()
            assert at_desk.gate.is_open
            assert not at_desk.metrics.connected
            server.ask("DEL", KEY)
            await at_desk.metrics.flush()
            assert at_desk.metrics.connected

    run(main)
    assert [line for line in logged if "WRONGTYPE" in line]


def test_while_it_is_killed_the_key_is_0_whatever_others_write(server, tmp_path):
    async def main():
        async with desk(server.url, tmp_path / "desk") as at_desk:
            await at_desk.switch.on("news", "uid 7")
            for theirs in ("1", "banana"):
                server.ask("SET", KEY, theirs, "EX", 100)
                await at_desk.metrics.flush()
                assert server.ask("GET", KEY) == "0"
                assert server.ask("TTL", KEY) == -1
            assert at_desk.gate.killed
            assert at_desk.gate.by == "uid 7"

    run(main)


def test_off_writes_1_until_redis_has_taken_it_and_only_then_is_the_key_obeyed(own, tmp_path):
    async def main():
        async with desk(own.url, tmp_path / "desk") as at_desk:
            await at_desk.switch.on("news", "uid 7")
            await at_desk.metrics.flush()
            assert own.ask("GET", KEY) == "0"
            own.ask("SAVE")
            own.stop()
            await at_desk.off()
            for _ in range(2):
                await at_desk.metrics.flush()
            own.start()
            assert own.ask("GET", KEY) == "0"
            await at_desk.metrics.flush()
            assert at_desk.gate.is_open
            assert own.ask("GET", KEY) == "1"
            own.ask("SET", KEY, "0")
            await at_desk.metrics.flush()
            assert at_desk.gate.by == "redis"

    run(main)


def test_a_kill_while_redis_was_away_is_mirrored_when_it_is_back(own, tmp_path):
    async def main():
        async with desk(own.url, tmp_path / "desk") as at_desk:
            await at_desk.metrics.flush()
            own.ask("SAVE")
            own.stop()
            await at_desk.switch.on("news", "uid 7")
            await at_desk.metrics.flush()
            own.start()
            assert own.ask("GET", KEY) == "1"
            await at_desk.metrics.flush()
            assert own.ask("GET", KEY) == "0"

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
def test_whatever_people_and_outages_do_the_key_and_the_switch_follow_the_rules(server, acts):
    """Somebody writes the key, the operator kills and resumes, Redis cannot be reached for a while."""

    async def main(folder):
        server.ask("DEL", KEY)
        async with desk(server.url, folder) as at_desk:
            expected, metrics = Expected(), at_desk.metrics
            there, away = metrics._door, Door("redis://127.0.0.1:1/0")
            for act in acts:
                expected.after(act)
                if act == "kill":
                    await at_desk.switch.on("news", "uid 7")
                elif act == "off":
                    await at_desk.off()
                elif act in WRITTEN:
                    server.ask("SET", KEY, WRITTEN[act])
                elif act == "deletes":
                    server.ask("DEL", KEY)
                elif act in ("down", "up"):
                    metrics._door = away if act == "down" else there
                else:
                    await metrics.flush()
                assert (at_desk.gate.killed, server.ask("GET", KEY)) == (expected.killed, expected.key)
            await there.close()

    with TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


@pytest.mark.parametrize("earlier", [None, Halt("news", "uid 7", TEN_NS)], ids=["was open", "was killed"])
def test_a_0_found_at_the_start_waits_for_the_journal(server, tmp_path, earlier):
    """Nothing is killed or written before the switch knows what the journal says."""
    server.ask("SET", KEY, "0")

    async def main():
        async with desk(server.url, tmp_path / "desk", obeys=False, halt=earlier) as at_desk:
            await at_desk.metrics.flush()
            assert at_desk.gate.killed is bool(earlier)
            at_desk.metrics.looked.set()
            await at_desk.metrics.obey()
            assert at_desk.gate.by == ("uid 7" if earlier else "redis")

    run(main)
    assert not (tmp_path / "desk" / "KILL").exists()


def test_a_0_found_at_the_start_is_no_kill_for_a_line_that_begins_anew_after_an_off(server, tmp_path):
    server.ask("SET", KEY, "0")

    async def main():
        async with desk(server.url, tmp_path / "desk", obeys=False) as at_desk:
            await at_desk.metrics.flush()
            at_desk.metrics.looked.set()
            await at_desk.metrics.obey()
            await at_desk.off()
            await at_desk.metrics.flush()
            await at_desk.metrics.obey()
            assert not at_desk.gate.killed

    run(main)


def test_where_writing_is_refused_the_key_is_still_obeyed(own, tmp_path, logged):
    async def main():
        async with desk(own.url, tmp_path / "desk") as at_desk:
            await at_desk.metrics.flush()
            own.ask("SET", KEY, "0")
            own.ask("CONFIG", "SET", "maxmemory", "1")
            for _ in range(3):
                await at_desk.metrics.flush()
            assert at_desk.gate.by == "redis"
            assert at_desk.metrics.summary() == {"enabled": True, "connected": False, "dropped": 3}
            await at_desk.off()
            await at_desk.metrics.flush()
            assert at_desk.gate.is_open
            own.ask("CONFIG", "SET", "maxmemory", "0")
            await at_desk.metrics.flush()
            assert at_desk.gate.is_open
            assert at_desk.metrics.connected

    run(main)
    assert own.ask("GET", KEY) == "1"
    assert len([line for line in logged if "OutOfMemory" in line]) == 1


def test_the_log_says_once_that_it_is_away_and_once_that_it_is_back(own, tmp_path, logged):
    async def main():
        async with desk(own.url, tmp_path / "desk") as at_desk:
            metrics = at_desk.metrics
            await metrics.flush()
            own.stop()
            for _ in range(4):
                await metrics.flush()
            assert metrics.summary() == {"enabled": True, "connected": False, "dropped": 4}
            assert 4 <= metrics._pause() <= 8
            own.start()
            await metrics.flush()
            assert metrics.connected
            assert metrics._pause() == 1

    run(main)
    assert len([line for line in logged if "they are dropped until it does" in line]) <= 2
    assert len([line for line in logged if "redis is back" in line]) == 1


def test_a_stopped_server_costs_a_flush_and_a_late_answer_is_nobody_elses(own, tmp_path):
    async def main():
        async with desk(own.url, tmp_path / "desk") as at_desk:
            await at_desk.metrics.flush()
            own.send(signal.SIGSTOP)
            await at_desk.metrics.flush()
            assert at_desk.metrics.dropped == 1
            own.send(signal.SIGCONT)
            at_desk.shown = {"state": "after"}
            await at_desk.metrics.flush()
            assert at_desk.metrics.connected
            assert at_desk.gate.is_open

    run(main)
    assert own.ask("HGETALL", STATUS) == {"state": "after"}


def test_the_pauses_grow_to_ten_seconds_and_are_one_second_again():
    metrics = Metrics(
        "redis://127.0.0.1:1/0",
        status=dict,
        counters=Counters(),
        brokers=[],
        switch=KillSwitch(None, None, None),
        flushed=lambda: None,
    )
    longest = []
    for failures in range(1, 2000):
        metrics._failures = failures
        pause = metrics._pause()
        assert 0.5 <= pause <= 10
        longest.append(pause)
    assert max(longest[:2]) <= 2
    assert max(longest) > 5
    metrics._failures = 0
    assert metrics._pause() == 1.0


def test_the_task_looks_first_flushes_and_sends_its_last_figures_on_the_way_out(server, tmp_path):
    async def main():
        async with desk(server.url, tmp_path / "desk", obeys=False) as at_desk:
            task = asyncio.create_task(at_desk.metrics.run())
            await at_desk.metrics.obey()
            await until(lambda: at_desk.flushed)
            at_desk.shown = {"state": "stopping"}
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert at_desk.metrics.connected is False

    run(main)
    assert server.ask("HGETALL", STATUS) == {"state": "stopping"}


def test_a_0_that_is_found_on_the_way_out_is_left_for_the_next_start(server, tmp_path):
    async def main():
        async with desk(server.url, tmp_path / "desk", obeys=False) as at_desk:
            at_desk.metrics._pause = lambda: 3600
            task = asyncio.create_task(at_desk.metrics.run())
            await at_desk.metrics.obey()
            server.ask("SET", KEY, "0")
            at_desk.shown = {"state": "stopping"}
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert at_desk.gate.is_open

    run(main)
    assert (server.ask("GET", KEY), server.ask("HGET", STATUS, "state")) == ("0", "stopping")


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


@pytest.mark.parametrize("theirs", [SECRET, "", "wrong" + SECRET])
def test_a_password_is_used_and_never_shown(tmp_path, logged, theirs):
    async def main():
        with redis_server(tmp_path / "redis", SECRET) as server:
            async with desk(server.url_with(theirs), tmp_path / "desk") as at_desk:
                for _ in range(2):
                    await at_desk.metrics.flush()
                assert at_desk.metrics.connected is (theirs == SECRET)
                assert at_desk.gate.is_open

    run(main)
    said = [line for line in logged if "redis" in line]
    assert len(said) == 1
    assert not [line for line in logged if SECRET in line]


NONSENSE = {
    "closes at once": b"",
    "not Redis": b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20,
    "OK to everything": b"+OK\r\n" * 40,
    "too few": b"+OK\r\n",
    "bad number": b":one\r\n" * 40,
    "bad length": b"$-7\r\n$x\r\n" * 40,
    "not text": b"$4\r\n\xff\xfe\x00\x80\r\n" * 40,
    "deep": b"*1\r\n" * 3000,
    "huge": b"$999999999999\r\nx",
    "errors": b"-ERR you sent AUTH " + SECRET.encode() + b"\r\n" * 40,
    "nulls": b"$-1\r\n*-1\r\n" * 40,
    "silence": None,
}


@asynccontextmanager
async def talker(said):
    """Answers whatever it is asked with the same bytes."""

    async def answer(reader, writer):
        try:
            while await reader.read(65536) and said != b"":
                if said is not None:
                    writer.write(said)
        except ConnectionError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


@pytest.mark.parametrize("kind", NONSENSE)
@pytest.mark.parametrize("login", ["", f":{SECRET}@"], ids=["no password", "password"])
def test_a_server_that_is_no_redis_is_dropped_and_never_a_kill(tmp_path, logged, kind, login):
    async def main():
        async with (
            talker(NONSENSE[kind]) as port,
            desk(f"redis://{login}127.0.0.1:{port}/0", tmp_path / "desk") as at_desk,
        ):
            for _ in range(2):
                await at_desk.metrics.flush()
            assert at_desk.metrics.summary() == {"enabled": True, "connected": False, "dropped": 2}
            assert at_desk.gate.is_open

    run(main)
    assert [line for line in logged if "redis does not take metrics" in line]
    if login:
        assert not [line for line in logged if SECRET in line]


def test_a_server_that_trickles_right_answers_is_given_up(tmp_path):
    """Each comes within the time-out of one answer; all of them would take a second and a half."""
    answers = [b"+OK\r\n", b"+OK\r\n", b"$1\r\n1\r\n", *[b"+QUEUED\r\n"] * 5, b"*0\r\n"]

    async def trickle(reader, writer):
        try:
            for answer in answers:
                await asyncio.sleep(0.16)
                writer.write(answer)
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def main():
        async with await asyncio.start_server(trickle, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            async with desk(f"redis://127.0.0.1:{port}/0", tmp_path / "desk") as at_desk:
                await at_desk.metrics.flush()
                assert not at_desk.metrics.connected

    run(main)


def test_nothing_is_tried_twice(tmp_path):
    connected = []

    def hang_up(_, writer):
        connected.append(writer)
        writer.close()

    async def main():
        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            async with desk(f"redis://127.0.0.1:{port}/0", tmp_path / "desk") as at_desk:
                for number in (1, 2):
                    await at_desk.metrics.flush()
                    assert len(connected) == number

    run(main)


def test_one_that_says_ok_to_every_command_is_no_redis(tmp_path):
    async def agree(reader, writer):
        try:
            while asked := await reader.read(65536):
                writer.write(b"+OK\r\n" * len(re.findall(rb"\*\d+\r\n", asked)))
        finally:
            writer.close()

    async def main():
        async with await asyncio.start_server(agree, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            async with desk(f"redis://127.0.0.1:{port}/0", tmp_path / "desk") as at_desk:
                await at_desk.metrics.flush()
                assert not at_desk.metrics.connected
                assert at_desk.metrics._problem == "it does not answer like Redis"

    run(main)


def test_the_start_does_not_wait_for_a_task_that_raised(tmp_path):
    async def main():
        async with desk("redis://127.0.0.1:1/0", tmp_path / "desk", obeys=False) as at_desk:
            at_desk.metrics._status = lambda: 1 / 0
            with pytest.raises(ZeroDivisionError):
                await at_desk.metrics.run()
            await at_desk.metrics.obey()

    run(main)


URLS = [
    "http://localhost", "redis//x", "", f"redis://u:{SECRET}#x@localhost", "redis://localhost:99999",
    f"redis://localhost?pass={SECRET}", "redis://localhost?socket_timeout=soon",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_a_url_that_cannot_be_used_stops_the_start_and_is_not_repeated(url):
    with pytest.raises(CannotStart, match=r"redis\.url cannot be used: it must look like") as caught:
        Metrics(
            url,
            status=dict,
            counters=Counters(),
            brokers=[],
            switch=KillSwitch(None, None, None),
            flushed=lambda: None,
        )
    assert SECRET not in str(caught.value)
    assert "redis.url" in mirror(url, enabled=True)


def test_a_socket_file_works_as_well(tmp_path):
    with TemporaryDirectory() as short, redis_server(tmp_path, "", "--unixsocket", f"{short}/s") as server:
        assert mirror(f"unix://{short}/s", enabled=False) == ""
        assert server.ask("GET", KEY) == "0"


def test_a_stopped_daemons_switch_is_mirrored_or_says_why_not(own):
    assert mirror(own.url, enabled=False) == ""
    assert own.ask("GET", KEY) == "0"
    assert mirror(own.url, enabled=True) == ""
    assert own.ask("GET", KEY) == "1"
    own.ask("CONFIG", "SET", "maxmemory", "1")
    assert "OutOfMemory" in mirror(own.url, enabled=False)
    own.send(signal.SIGSTOP)
    assert "Timeout" in mirror(own.url, enabled=False)
    own.send(signal.SIGCONT)
    own.stop()
    assert "Connect" in mirror(own.url, enabled=False)
