"""The daemon beside a real Redis: its numbers, the kill key, and trades that do not care how Redis fares."""

import signal
from contextlib import ExitStack

import pytest
from redis_server import redis_server, shared_redis
from running import (
    FINISH_S,
    answer,
    count,
    daemon,
    run,
    select,
    status,
    write_config,
    write_ticks,
    zigzag,
)

from alphapanda.live.control import ask

PACE = ("--speed", "250")
TO_THE_END = ("--speed", "max", "--until-end")
KEY = "alpha_panda:ops:trading_enabled"
SECRET = "hunter2secret"
NOBODY = "redis://127.0.0.1:1/0"
ROWS = 800


def prepare(folder, url, rows=22_000):
    folder.mkdir(exist_ok=True)
    write_config(folder, redis={"enabled": bool(url), "url": url or NOBODY})
    write_ticks(folder, zigzag(rows))


def trades(folder):
    return select(
        folder, "SELECT transaction_type, quantity, price, charges, traded_ns FROM trades ORDER BY rowid"
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The trades of a daemon that knows nothing of Redis."""
    folder = tmp_path_factory.mktemp("undisturbed")
    prepare(folder, None, ROWS)
    assert run(folder, "run", *TO_THE_END).code == 0
    made = trades(folder)
    assert len(made) > ROWS / 2
    return made


@pytest.fixture
def server(tmp_path):
    with redis_server(tmp_path / "redis") as server:
        yield server


def halted_by_redis(folder):
    found = status(folder)
    switch = found["kill_switch"]
    return found["state"] == "halted" and (switch["by"], KEY in switch["reason"]) == ("redis", True)


def test_the_keys_of_the_contract_are_there_and_expire(tmp_path):
    prepare(tmp_path, None)
    with shared_redis(tmp_path / "redis") as server:
        write_config(tmp_path, redis={"enabled": True, "url": server.url})
        with daemon(tmp_path, *PACE) as running:
            running.until(lambda: int(server.ask("GET", "pipeline:fills:paper:count") or 0) > 5)
            said = status(tmp_path)
            assert (said["redis"]["enabled"], said["redis"]["connected"]) == (True, True)
            assert said["stages"]["redis"]["state"] == "running"
            running.until(lambda: server.ask("HGET", "alpha_panda:status", "state") == "running")
            assert server.ask("HGET", "alpha_panda:status", "pid") == str(running.pid)
            assert server.ask("HGET", "alpha_panda:status", "trading_enabled") == "1"
            assert server.ask("HGET", "alpha_panda:status", "stages.feed.state") == "running"
            for stage in ("signals", "signals_validated", "orders", "fills"):
                assert int(server.ask("GET", f"pipeline:{stage}:paper:count")) > 0
                assert server.ask("GET", f"pipeline:{stage}:paper:last_time").endswith("+05:30")
            assert server.ask("GET", "pipeline:signals_rejected:paper:count") == "0"
            for name in ("count", "last_time", "per_second"):
                assert server.ask("GET", f"pipeline:market_ticks:market:{name}")
            assert (server.ask("GET", KEY), server.ask("TTL", KEY)) == ("1", -1)
            assert run(tmp_path, "stop").code == 0
            assert running.ended() == 0
        assert 0 < server.ask("TTL", "alpha_panda:status") <= 30
        assert server.ask("HGET", "alpha_panda:status", "state") == "stopping"
        assert server.ask("GET", "pipeline:fills:paper:count") == str(count(tmp_path, "trades"))


@pytest.mark.parametrize("state", ["never there", "stopped", "password right", "password wrong"])
def test_the_trades_are_the_same_however_redis_is_at_the_start(tmp_path, undisturbed, state):
    with ExitStack() as stack:
        url, password = NOBODY, SECRET if "password" in state else ""
        if state != "never there":
            server = stack.enter_context(redis_server(tmp_path / "redis", password))
            url = server.url_with(password + "x" if state == "password wrong" else password)
        if state == "stopped":
            server.send(signal.SIGSTOP)
        prepare(tmp_path / "run", None, ROWS)
        enabled = {"ALPHAPANDA__REDIS__ENABLED": "true", "ALPHAPANDA__REDIS__URL": url}
        done = run(tmp_path / "run", "run", *TO_THE_END, env=enabled)
    assert done.code == 0, done.stderr
    assert trades(tmp_path / "run") == undisturbed
    assert SECRET not in done.stderr
    assert done.stderr.count("redis does not take metrics") == (0 if state == "password right" else 1)


@pytest.mark.parametrize("act", ["stopped", "killed", "started again"])
def test_the_trades_are_the_same_whatever_happens_to_redis_on_the_way(tmp_path, undisturbed, server, act):
    prepare(tmp_path, server.url, ROWS)
    with daemon(tmp_path, *PACE, "--until-end", log="redis takes metrics") as running:
        running.until(lambda: count(tmp_path, "trades") > 50)
        if act == "stopped":
            server.send(signal.SIGSTOP)
        else:
            server.stop()
        if act == "started again":
            server.start()
        assert running.ended() == 0
        if act != "started again":
            assert "redis does not take metrics" in running.stderr
    assert trades(tmp_path) == undisturbed


def test_a_0_in_the_key_halts_a_1_does_not_resume_and_off_does(tmp_path, server):
    prepare(tmp_path, server.url)
    with daemon(tmp_path, *PACE) as running:
        running.until(lambda: count(tmp_path, "trades") > 5)
        server.ask("SET", KEY, "0")
        running.until(lambda: halted_by_redis(tmp_path))
        made = count(tmp_path, "trades")

        server.ask("SET", KEY, "1")
        running.until(lambda: server.ask("GET", KEY) == "0")
        assert halted_by_redis(tmp_path)
        assert count(tmp_path, "trades") == made

        assert run(tmp_path, "kill-switch", "off", "--reason", "looked").code == 0
        running.until(lambda: server.ask("GET", KEY) == "1")
        running.until(lambda: count(tmp_path, "trades") > made + 5)
        assert status(tmp_path)["state"] == "running"
    halts = "SELECT json_extract(body, '$.by') FROM journal WHERE kind = 'Halt'"
    assert select(tmp_path, halts) == [("redis",)]


def test_the_switch_reaches_a_redis_that_was_away_and_an_old_0_does_not_halt_again(tmp_path, server):
    prepare(tmp_path, server.url)
    with daemon(tmp_path, *PACE) as running:
        running.until(lambda: server.ask("GET", KEY) == "1")
        server.ask("SAVE")  # what it holds when it comes back
        server.stop()
        assert run(tmp_path, "kill-switch", "on", "--reason", "away").code == 0
        server.start()
        running.until(lambda: server.ask("GET", KEY) == "0")

        server.ask("SAVE")
        server.stop()
        made = count(tmp_path, "trades")
        assert run(tmp_path, "kill-switch", "off", "--reason", "still away").code == 0
        running.until(lambda: count(tmp_path, "trades") > made + 5)
        server.start()
        running.until(lambda: server.ask("GET", KEY) == "1")
        made = count(tmp_path, "trades")
        running.until(lambda: count(tmp_path, "trades") > made + 5)
        assert status(tmp_path)["state"] == "running"
    assert select(tmp_path, "SELECT count(*) FROM journal WHERE kind IN ('Halt', 'Resume')") == [(2,)]


def test_a_0_at_the_start_halts_before_the_first_order(tmp_path, server):
    prepare(tmp_path, server.url, 200)
    server.ask("SET", KEY, "0")
    assert run(tmp_path, "run", *TO_THE_END).code == 0
    assert count(tmp_path, "orders") == 0
    switch = answer(tmp_path, "kill-switch", "status")["kill_switch"]
    assert (switch["on"], switch["by"]) == (True, "redis")
    assert not (tmp_path / "var/KILL").exists()


def test_the_switch_of_a_stopped_daemon_is_mirrored_and_says_where_it_could_not(tmp_path, server):
    prepare(tmp_path, server.url, 200)
    done = run(tmp_path, "kill-switch", "on", "--reason", "night")
    assert (done.code, done.stderr) == (0, "")
    assert server.ask("GET", KEY) == "0"
    server.ask("SAVE")
    server.stop()

    done = run(tmp_path, "kill-switch", "off", "--reason", "morning", "--json")
    assert done.code == 0
    assert done.document["kill_switch"]["on"] is False
    assert "a 0 in it halts the next start" in done.line
    assert f"redis-cli set {KEY} 1" in done.line
    again = run(tmp_path, "kill-switch", "on", "--reason", "no")
    assert again.code == 0
    assert "the store has" in again.line

    server.start()
    assert run(tmp_path, "kill-switch", "off", "--reason", "morning").code == 0
    assert server.ask("GET", KEY) == "1"
    assert run(tmp_path, "run", *TO_THE_END).code == 0
    assert count(tmp_path, "trades") > 0


def test_a_url_that_cannot_be_used_stops_the_start(tmp_path):
    prepare(tmp_path, None, 20)
    wrong = {"ALPHAPANDA__REDIS__ENABLED": "true", "ALPHAPANDA__REDIS__URL": f"rediss://:{SECRET}@host:port"}
    done = run(tmp_path, "run", *TO_THE_END, env=wrong)
    assert (done.code, done.stdout) == (3, "")
    assert "redis.url cannot be used" in done.stderr
    assert SECRET not in done.stderr
    off = run(tmp_path, "kill-switch", "on", "--reason", "all the same", env=wrong)
    assert off.code == 0
    assert "redis.url cannot be used" in off.line


def test_the_task_is_restarted_by_hand_without_touching_an_order(tmp_path, server):
    prepare(tmp_path, server.url)
    with daemon(tmp_path, *PACE) as running:
        running.until(lambda: count(tmp_path, "trades") > 5)
        before = answer(tmp_path, "trades")
        ask(tmp_path / "var/control.sock", {"command": "stage_restart", "stage": "redis"}, FINISH_S)
        running.until(lambda: running.status()["stages"]["redis"]["restarts"] == 1)
        running.until(lambda: running.status()["redis"]["connected"])
        running.until(lambda: count(tmp_path, "trades") > len(before))
        stages = status(tmp_path)["stages"]
        assert answer(tmp_path, "trades")[: len(before)] == before
        assert [name for name, stage in stages.items() if stage["restarts"]] == ["redis"]
        server.ask("SET", KEY, "0")
        running.until(lambda: halted_by_redis(tmp_path))
