"""What goes to a real Redis: the figures of a flush, their expiry, and every way to fail."""

import asyncio
import re
import signal
from contextlib import asynccontextmanager

import pytest
from builders import batch, fill, order, tick
from builders import signal as signal_
from hypothesis import given, settings
from hypothesis import strategies as st
from mirroring import desk
from redis_server import redis_server
from sessions import refused, run, until

from alphapanda.errors import CannotStart
from alphapanda.events import Approved, OrderFilled, OrderStatus, OrderUpdated
from alphapanda.live.counters import Counters
from alphapanda.live.metrics import STATUS, Metrics, flat, mirror
from alphapanda.live.switch import KillSwitch
from alphapanda.times import to_ist

SECRET = "hunter2secret"


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


def test_a_flush_writes_the_keys_of_the_contract(redis, tmp_path):
    async def main():
        async with desk(redis.url, tmp_path / "desk") as at_desk:
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
            assert redis.ask("GET", f"pipeline:{stage}:{broker}:count") == str(number)
            last = redis.ask("GET", f"pipeline:{stage}:{broker}:last_time")
            assert last == (to_ist(counters.passed[stage][broker].last_ns).isoformat() if number else None), (
                stage,
                broker,
            )
    assert redis.ask("GET", "pipeline:market_ticks:market:count") == "2"
    assert redis.ask("GET", "pipeline:market_ticks:market:per_second") == "0.0"
    assert redis.ask("GET", "pipeline:market_ticks:market:last_time").endswith("+05:30")
    assert redis.ask("HGETALL", STATUS) == {"state": "running", "brokers.paper.cash": "1.5"}
    assert 0 < redis.ask("TTL", STATUS) <= 30
    assert redis.ask("TTL", "pipeline:fills:paper:count") == -1


def test_what_has_gone_leaves_nothing_behind(redis, tmp_path):
    """A strategy that is no more, the last fill of an earlier run, a key of another type."""
    redis.ask("SET", STATUS, "of something else")
    redis.ask("SET", "pipeline:fills:paper:last_time", "2020-01-01T00:00:00+05:30")

    async def main():
        async with desk(redis.url, tmp_path / "desk") as at_desk:
            at_desk.shown = {"strategies": {"gone": {"state": "running"}, "stays": {"state": "running"}}}
            await at_desk.metrics.flush()
            assert redis.ask("HLEN", STATUS) == 2
            at_desk.shown = {"strategies": {"stays": {"state": "paused"}}}
            await at_desk.metrics.flush()

    run(main)
    assert redis.ask("HGETALL", STATUS) == {"strategies.stays.state": "paused"}
    assert redis.ask("EXISTS", "pipeline:fills:paper:last_time") == 0


def test_text_that_is_no_unicode_is_written_all_the_same(redis, tmp_path):
    async def main():
        async with desk(redis.url, tmp_path / "desk") as at_desk:
            at_desk.shown = {"environment": "half \udc80 a character"}
            await at_desk.metrics.flush()
            assert at_desk.metrics.connected

    run(main)
    assert redis.ask("HGET", STATUS, "environment") == "half ? a character"


def test_the_log_says_once_that_it_is_away_and_once_that_it_is_back(own_redis, tmp_path, logged):
    async def main():
        async with desk(own_redis.url, tmp_path / "desk") as at_desk:
            metrics = at_desk.metrics
            await metrics.flush()
            own_redis.stop()
            for _ in range(4):
                await metrics.flush()
            assert metrics.summary() == {"enabled": True, "connected": False, "dropped": 4}
            assert 4 <= metrics._pause() <= 8
            own_redis.start()
            await metrics.flush()
            assert metrics.connected
            assert metrics._pause() == 1

    run(main)
    assert len([line for line in logged if "they are dropped until it does" in line]) <= 2
    assert len([line for line in logged if "redis is back" in line]) == 1


def test_a_stopped_server_costs_a_flush_and_a_late_answer_is_nobody_elses(own_redis, tmp_path):
    async def main():
        async with desk(own_redis.url, tmp_path / "desk") as at_desk:
            await at_desk.metrics.flush()
            own_redis.send(signal.SIGSTOP)
            await at_desk.metrics.flush()
            assert at_desk.metrics.dropped == 1
            own_redis.send(signal.SIGCONT)
            at_desk.shown = {"state": "after"}
            await at_desk.metrics.flush()
            assert at_desk.metrics.connected
            assert at_desk.gate.is_open

    run(main)
    assert own_redis.ask("HGETALL", STATUS) == {"state": "after"}


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


def test_the_task_looks_first_flushes_and_sends_its_last_figures_on_the_way_out(redis, tmp_path):
    async def main():
        async with desk(redis.url, tmp_path / "desk", obeys=False) as at_desk:
            task = asyncio.create_task(at_desk.metrics.run())
            await at_desk.metrics.obey()
            await until(lambda: at_desk.flushed)
            at_desk.shown = {"state": "stopping"}
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert at_desk.metrics.connected is False

    run(main)
    assert redis.ask("HGETALL", STATUS) == {"state": "stopping"}


@pytest.mark.parametrize("theirs", [SECRET, "", "wrong" + SECRET])
def test_a_password_is_used_and_never_shown(tmp_path, logged, theirs):
    async def main():
        with redis_server(tmp_path / "redis", SECRET) as redis:
            async with desk(redis.url_with(theirs), tmp_path / "desk") as at_desk:
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
