"""A paced replay seen from outside, and every way to stop it and go on."""

import re
import signal

import pytest
from running import answer, count, daemon, run, select, status, strategy, write_config, write_ticks, zigzag

STAGES = ("feed", "strategy", "risk", "execution", "portfolio")
TOP = (
    "mode state trading_enabled kill_switch pid started_at uptime_s version environment stages brokers "
    "strategies ticks latency_us redis health"
)
OF_A_BROKER = (
    "connected orders_open orders_total positions_open cash equity realized_pnl unrealized_pnl charges"
)
ROWS = 700
PACE = ("--speed", "20")
"""Half a minute: time enough for what is done while it trades, on a machine that is busy too."""
# SLOW rises on its second row, and its order then rests until its third row, ten minutes later.
SLOW = [(0.5, "SLOW", 100.0), (5.5, "SLOW", 102.0), (605.5, "SLOW", 103.0)]
STRATEGIES = [strategy(), strategy("patient", instruments=["NSE:SLOW"])]


def prepared(folder):
    write_config(folder, strategies=STRATEGIES)
    write_ticks(folder, sorted([*zigzag(ROWS), *SLOW]))
    return folder


def final(folder):
    """What must not depend on how often a run was interrupted."""
    trades = [{k: v for k, v in trade.items() if k != "order_id"} for trade in answer(folder, "trades")]
    return trades, answer(folder, "positions"), answer(folder, "portfolio")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = prepared(tmp_path_factory.mktemp("undisturbed"))
    assert run(folder, "run", "--until-end").code == 0
    # Every row from the second on makes an order that the next row fills; SLOW makes one trade.
    assert count(folder, "trades") == ROWS - 2 + 1
    return final(folder)


def test_status_in_json_has_every_key_of_the_contract(tmp_path):
    prepared(tmp_path)
    with daemon(tmp_path, *PACE) as running:
        running.until(lambda: count(tmp_path, "trades") > 5)
        found = status(tmp_path)
    assert set(found) == set(TOP.split())
    assert (found["state"], found["trading_enabled"], found["environment"]) == (
        "running",
        True,
        "development",
    )
    off = {"on": False, "reason": "", "by": "", "since": None, "leftovers": []}
    assert found["kill_switch"] == off
    assert found["pid"] == running.pid
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+05:30", found["started_at"])
    assert f"alphapanda {found['version']}" == run(tmp_path, "--version").stdout.strip()
    assert set(STAGES) <= set(found["stages"])
    for stage in found["stages"].values():
        assert set(stage) == {"state", "restarts", "processed", "last_progress_s", "queue"}
        assert set(stage["queue"]) == {"depth", "capacity", "folded"}
        assert (stage["state"], stage["restarts"]) == ("running", 0)
    (broker,) = found["brokers"].values()
    assert set(found["brokers"]) == {"paper"}
    assert set(broker) == set(OF_A_BROKER.split())
    assert broker["connected"] is True
    assert broker["orders_open"] >= 1  # SLOW's rests
    assert broker["orders_total"] > 5
    assert found["strategies"]["patient"] == {"state": "running", "signals": 1, "errors": 0}
    assert set(found["ticks"]) == {"received", "per_second", "last_age_s", "instruments"}
    assert found["ticks"]["instruments"] == 2
    assert set(found["latency_us"]) == {"tick_to_signal", "tick_to_order"}
    for latency in found["latency_us"].values():
        assert set(latency) == {"p50", "p99", "max", "count"}
        assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]
        assert latency["count"] > 5
    assert found["redis"] == {"enabled": False, "connected": False, "dropped": 0}


def test_all_five_stages_go_on_and_are_never_long_without_progress(tmp_path):
    prepared(tmp_path)
    with daemon(tmp_path, *PACE) as running:
        before = running.until(lambda: found if (found := running.status())["ticks"]["received"] else None)

        def grown():
            stages = running.status()["stages"]
            more = [stages[name]["processed"] - before["stages"][name]["processed"] for name in STAGES]
            # Every stage gives a sign of life twice a second, also where it has nothing to do.
            return min(more) > 50 and max(stages[name]["last_progress_s"] for name in STAGES) < 2.0

        running.until(grown)


def test_without_a_daemon_status_is_stopped_and_exits_4(tmp_path):
    write_config(tmp_path)
    done = run(tmp_path, "status", "--json")
    assert (done.code, done.stderr) == (4, "")
    assert done.document["state"] == "stopped"
    human = run(tmp_path, "status")
    assert human.code == 4
    assert human.stdout.startswith("PAPER · stopped · kill switch off")
    stop = run(tmp_path, "stop")
    assert stop.code == 4
    assert "no daemon runs" in stop.line


def test_the_first_line_of_status_is_the_mode_line(tmp_path):
    prepared(tmp_path)
    with daemon(tmp_path, *PACE) as running:
        running.until(lambda: count(tmp_path, "trades") > 5)
        done = run(tmp_path, "status")
    assert done.code == 0
    first = done.stdout.splitlines()[0]
    assert re.fullmatch(r"PAPER · running · kill switch off · feed age \d+\.\d s · token -", first)
    assert max(map(len, done.stdout.splitlines())) <= 100
    for word in (*STAGES, "paper", "patient", "tick_to_order"):
        assert word in done.stdout


def interrupted(folder, how):
    """Replay some of the rows, stop in that way, and give back the daemon once it has ended."""
    with daemon(folder, *PACE) as running:
        running.until(lambda: count(folder, "trades") > 20)
        if how == "stop":
            done = run(folder, "stop")
            assert (done.code, done.stdout) == (0, f"stopped (pid {running.pid})\n")
        else:
            running.send(how)
        assert running.ended() == 0
    return running


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, "stop"], ids=["SIGINT", "SIGTERM", "stop"])
def test_a_stop_drains_and_the_next_start_goes_on_as_if_nothing_had_been(tmp_path, undisturbed, how):
    folder = prepared(tmp_path)
    stopped = interrupted(folder, how)
    assert "Traceback" not in stopped.stderr
    assert status(folder)["state"] == "stopped"
    made = count(folder, "trades")
    assert made < ROWS - 100
    # SLOW's order rests, and so does the one that the last row taken made: neither is cancelled.
    orders = answer(folder, "orders")
    resting = [(order["tradingsymbol"], order["status"]) for order in orders if not order["filled_quantity"]]
    assert sorted(resting) == [("INFY", "OPEN"), ("SLOW", "OPEN")]

    ((taken,),) = select(folder, "SELECT taken FROM progress")
    done = run(folder, "run", "--speed", "max", "--until-end")
    assert done.code == 0
    assert f"from row {taken + 1}" in done.stderr
    assert "going on after row" in done.stderr
    assert final(folder) == undisturbed


def test_a_second_signal_leaves_at_once_and_the_store_is_whole(tmp_path, undisturbed):
    folder = prepared(tmp_path)
    with daemon(folder, *PACE) as running:
        running.until(lambda: count(folder, "trades") > 20)
        running.send(signal.SIGSTOP)  # so that both signals wait for it
        running.send(signal.SIGTERM)
        running.send(signal.SIGINT)
        running.send(signal.SIGCONT)
        assert running.ended() in (0, 1)
    assert select(folder, "PRAGMA integrity_check") == [("ok",)]
    assert run(folder, "run", "--speed", "max", "--until-end").code == 0
    assert final(folder) == undisturbed


def test_stopping_a_daemon_that_is_at_the_end_of_its_data_ends_it_with_0(tmp_path, undisturbed):
    folder = prepared(tmp_path)
    with daemon(folder, "--speed", "max") as running:
        running.until(lambda: "the data has ended" in running.stderr)
        assert status(folder)["state"] == "running"
        assert run(folder, "stop").code == 0
        assert running.ended() == 0
    assert final(folder) == undisturbed


def test_a_second_daemon_on_the_same_store_leaves_at_once_with_3(tmp_path):
    prepared(tmp_path)
    with daemon(tmp_path, *PACE) as running:
        done = run(tmp_path, "run")
        assert (done.code, done.stdout) == (3, "")
        assert f"pid {running.pid}" in done.line
        assert "var/alphapanda.db" in done.line
        assert status(tmp_path)["pid"] == running.pid  # the first one did not notice
        before = count(tmp_path, "trades")
        running.until(lambda: count(tmp_path, "trades") > before)


def test_from_start_needs_an_empty_store(tmp_path):
    folder = tmp_path
    write_config(folder)
    write_ticks(folder, zigzag(20))
    assert run(folder, "run", "--from-start", "--until-end").code == 0
    before = count(folder, "journal")
    done = run(folder, "run", "--from-start", "--until-end")
    assert (done.code, done.stdout) == (3, "")
    assert "--from-start" in done.line
    assert "var/alphapanda.db" in done.line
    assert count(folder, "journal") == before


def test_a_finished_replay_that_is_started_again_ends_at_once_with_nothing_new(tmp_path, undisturbed):
    folder = prepared(tmp_path)
    assert run(folder, "run", "--until-end").code == 0
    tables = ("orders", "trades", "signals", "ledger", "positions", "balances", "progress")
    before = [select(folder, f"SELECT * FROM {table}") for table in tables]
    done = run(folder, "run", "--until-end")
    assert (done.code, done.stdout) == (0, "")
    assert [select(folder, f"SELECT * FROM {table}") for table in tables] == before
    assert final(folder) == undisturbed


def test_rows_that_are_appended_to_the_file_are_taken_at_the_next_start(tmp_path):
    write_config(tmp_path)
    write_ticks(tmp_path, zigzag(20))
    assert run(tmp_path, "run", "--until-end").code == 0
    assert count(tmp_path, "trades") == 18
    write_ticks(tmp_path, zigzag(30))
    done = run(tmp_path, "run", "--until-end")
    assert done.code == 0
    assert "from row 21" in done.stderr
    assert select(tmp_path, "SELECT taken FROM progress WHERE taken = 30") == [(30,)]
