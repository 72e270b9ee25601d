"""The kill switch by all its doors: running, stopped, killed and stuck daemons."""

import signal
import sqlite3
from contextlib import closing

import pytest
from running import answer, count, daemon, run, select, status, strategy, write_config, write_ticks
from running import zigzag as waves

PACE = ("--speed", "250")
# SLOW rises on its second row, and its order then rests for the rest of the file.
SLOW = [(0.5, "SLOW", 100.0), (5.5, "SLOW", 102.0)]


@pytest.fixture
def folder(tmp_path):
    """A minute and a half of replay at PACE in which every second makes a trade, and one order that rests."""
    write_config(tmp_path, strategies=[strategy(), strategy("patient", instruments=["NSE:SLOW"])])
    write_ticks(tmp_path, sorted([*waves(22_000), *SLOW]))
    return tmp_path


def trading(running, more=5):
    """Until `more` trades were made from now on."""
    before = count(running.folder, "trades")
    running.until(lambda: count(running.folder, "trades") >= before + more)


def rows_taken(folder):
    return status(folder)["stages"]["feed"]["processed"]


def rows_go_on(running):
    """The feed is walked further, whatever the switch says."""
    before = rows_taken(running.folder)
    running.until(lambda: rows_taken(running.folder) > before + 100)


def seq_of_last(folder, kind):
    ((seq,),) = select(folder, f"SELECT max(seq) FROM journal WHERE kind = '{kind}'")
    return seq


def opened_after(folder, seq):
    ((opened,),) = select(folder, f"SELECT count(*) FROM journal WHERE kind = 'OrderOpened' AND seq > {seq}")
    return opened


def opened_between(folder, first, last):
    between = f"kind = 'OrderOpened' AND seq > {first} AND seq < {last}"
    ((opened,),) = select(folder, f"SELECT count(*) FROM journal WHERE {between}")
    return opened


def assert_halted(folder, reason):
    found = status(folder)
    assert (found["state"], found["trading_enabled"]) == ("halted", False)
    assert found["kill_switch"]["on"] is True
    assert reason in found["kill_switch"]["reason"]
    return found


def unfinished(folder):
    """Orders that may still trade. One that the switch met on its way to the broker is WITHHELD: it ended."""
    return select(folder, "SELECT * FROM orders WHERE status NOT IN ('FILLED', 'CANCELLED', 'WITHHELD')")


def test_no_order_is_made_after_the_halt_though_rows_go_on_and_what_rests_is_cancelled(folder):
    with daemon(folder, *PACE) as running:
        running.until(lambda: select(folder, "SELECT 1 FROM orders WHERE tradingsymbol = 'SLOW'"))
        trading(running)
        done = run(folder, "kill-switch", "on", "--reason", "test", "--json")
        assert (done.code, done.stderr) == (0, "")
        switch = done.document["kill_switch"]
        assert (switch["on"], switch["reason"]) == (True, "test")
        assert switch["by"]
        assert switch["since"].endswith("+05:30")
        halted_at = seq_of_last(folder, "Halt")
        trades = count(folder, "trades")

        rows_go_on(running)
        assert_halted(folder, "test")
        assert opened_after(folder, halted_at) == 0
        assert count(folder, "trades") == trades
        slow = [order for order in answer(folder, "orders") if order["tradingsymbol"] == "SLOW"]
        assert [order["status"] for order in slow] == ["CANCELLED"]
        assert not unfinished(folder)
        assert status(folder)["brokers"]["paper"]["orders_open"] == 0


def test_it_holds_over_a_kill_and_only_off_with_a_reason_starts_trading_again(folder):
    with daemon(folder, *PACE) as running:
        trading(running)
        assert run(folder, "kill-switch", "on", "--reason", "test").code == 0
        running.kill()
    halted_at = seq_of_last(folder, "Halt")
    stopped = status(folder)
    assert (stopped["state"], stopped["trading_enabled"]) == ("stopped", False)

    trades = count(folder, "trades")
    with daemon(folder, *PACE) as running:
        assert_halted(folder, "test")
        rows_go_on(running)
        assert opened_after(folder, halted_at) == 0
        assert count(folder, "trades") == trades
        assert not unfinished(folder)

        without = run(folder, "kill-switch", "off")
        assert (without.code, without.stdout) == (2, "")
        assert "--reason" in without.stderr
        assert_halted(folder, "test")

        done = run(folder, "kill-switch", "off", "--reason", "looked at it", "--json")
        assert (done.code, done.stderr) == (0, "")
        switch = done.document["kill_switch"]
        assert (switch["on"], switch["reason"]) == (False, "looked at it")
        trading(running)
        found = status(folder)
        assert (found["state"], found["trading_enabled"]) == ("running", True)
        resumed_at = seq_of_last(folder, "Resume")
        assert opened_after(folder, resumed_at) > 0
        assert opened_between(folder, halted_at, resumed_at) == 0


def test_it_works_while_the_daemon_is_stopped(folder):
    with daemon(folder, *PACE) as running:
        trading(running)
        assert run(folder, "stop").code == 0
    done = run(folder, "kill-switch", "on", "--reason", "night")
    assert done.code == 0
    assert "night" in done.stdout
    assert "no daemon" in done.stdout
    assert str(folder / "var/alphapanda.db") in done.stdout
    halted_at = seq_of_last(folder, "Halt")
    trades = count(folder, "trades")

    with daemon(folder, *PACE) as running:
        assert_halted(folder, "night")
        rows_go_on(running)
        assert opened_after(folder, halted_at) == 0
        # What rested at the stop is cancelled by the start, before a row can fill it.
        assert count(folder, "trades") == trades
        assert not unfinished(folder)
        assert run(folder, "stop").code == 0

    without = run(folder, "kill-switch", "off")
    assert without.code == 2
    assert run(folder, "kill-switch", "off", "--reason", "morning").code == 0
    with daemon(folder, *PACE) as running:
        assert status(folder)["state"] == "running"
        trading(running)


def test_an_off_that_ends_nothing_leaves_the_journal_alone(folder):
    write_ticks(folder, waves(10))
    assert run(folder, "run", "--until-end").code == 0
    events = count(folder, "journal")
    done = run(folder, "kill-switch", "off", "--reason", "to be sure")
    assert (done.code, done.stderr) == (0, "")
    assert "trading is enabled" in done.stdout
    assert count(folder, "journal") == events


def test_it_works_before_the_first_start_ever(folder):
    assert run(folder, "kill-switch", "on", "--reason", "not yet").code == 0
    shown = run(folder, "kill-switch", "status", "--json")
    assert shown.document["kill_switch"]["reason"] == "not yet"
    with daemon(folder, *PACE) as running:
        assert_halted(folder, "not yet")
        rows_go_on(running)
    assert count(folder, "orders") == 0


def test_status_of_the_switch_says_why_and_which_store_and_daemon_it_reached(folder):
    with daemon(folder, *PACE) as running:
        assert run(folder, "kill-switch", "on", "--reason", "prices look wrong").code == 0
        done = run(folder, "kill-switch", "status")
        assert done.code == 0
        for word in ("ON", "prices look wrong", str(folder / "var/alphapanda.db"), str(running.pid)):
            assert word in done.stdout
        mode = run(folder, "status").stdout.splitlines()[0]
        assert mode.startswith("PAPER · halted · kill switch on (prices look wrong, by ")


def test_the_kill_file_halts_and_off_removes_it(folder):
    kill_file = folder / "var/KILL"
    with daemon(folder, *PACE) as running:
        trading(running)
        kill_file.touch()
        running.until_state("halted")
        assert status(folder)["kill_switch"]["by"] == "kill file"
        halted_at = running.until(lambda: seq_of_last(folder, "Halt"))  # after the flag
        rows_go_on(running)
        assert opened_after(folder, halted_at) == 0
        assert run(folder, "kill-switch", "off", "--reason", "removed").code == 0
        assert not kill_file.exists()
        trading(running)


def test_a_kill_file_that_is_there_at_the_start_is_a_kill(folder):
    (folder / "var").mkdir()
    (folder / "var/KILL").touch()
    with daemon(folder, *PACE) as running:
        assert_halted(folder, "KILL")
        rows_go_on(running)
        assert count(folder, "orders") == 0


def test_sigusr1_halts(folder):
    with daemon(folder, *PACE) as running:
        trading(running)
        running.send(signal.SIGUSR1)
        running.until_state("halted")
        assert status(folder)["kill_switch"]["reason"] == "SIGUSR1"
        halted_at = running.until(lambda: seq_of_last(folder, "Halt"))  # after the flag
        rows_go_on(running)
        assert opened_after(folder, halted_at) == 0
        running.kill()
    with daemon(folder, *PACE):
        assert_halted(folder, "SIGUSR1")


def test_a_stuck_daemon_is_killed_by_file_and_signal_and_obeys_when_it_wakes(folder):
    with daemon(folder, *PACE) as running:
        trading(running)
        running.send(signal.SIGSTOP)
        done = run(folder, "kill-switch", "on", "--reason", "stuck")
        assert done.code == 0
        assert str(running.pid) in done.stdout
        assert "stuck" in (folder / "var/KILL").read_text()
        trades = count(folder, "trades")
        running.send(signal.SIGCONT)
        running.until_state("halted")
        halted_at = running.until(lambda: seq_of_last(folder, "Halt"))  # after the flag
        rows_go_on(running)
        assert opened_after(folder, halted_at) == 0
        assert count(folder, "trades") <= trades + 2  # the turn that was under way
        assert run(folder, "kill-switch", "off", "--reason", "awake").code == 0
        assert not (folder / "var/KILL").exists()
        trading(running)


def test_on_twice_keeps_the_first_reason_and_off_twice_is_harmless(folder):
    with daemon(folder, *PACE) as running:
        assert run(folder, "kill-switch", "on", "--reason", "first").code == 0
        again = run(folder, "kill-switch", "on", "--reason", "second", "--json")
        assert again.code == 0
        assert again.document["kill_switch"]["reason"] == "first"
        for _ in range(2):
            assert run(folder, "kill-switch", "off", "--reason", "fine").code == 0
        trading(running)
    assert select(folder, "SELECT count(*) FROM journal WHERE kind IN ('Halt', 'Resume')") == [(2,)]


def test_strategies_start_with_empty_windows_after_off(folder):
    """With a look-back of 40 rows the first signal comes on the 41st row after the resume, not sooner."""
    # Every row is 1.0 times the one 40 rows before, so every row makes a signal, which its size refuses.
    params = {"lookback_period": 40, "buy_threshold": 1.0, "sell_threshold": 0.5, "quantity": 2000}
    write_config(folder, strategies=[strategy(params=params)])
    refused = "SELECT count(*) FROM journal WHERE kind = 'Refused'"
    with daemon(folder, *PACE) as running:
        running.until(lambda: select(folder, refused) > [(5,)])
        assert run(folder, "kill-switch", "on", "--reason", "test").code == 0
        rows_go_on(running)
        assert run(folder, "kill-switch", "off", "--reason", "test").code == 0
        resumed_at = seq_of_last(folder, "Resume")
        first = running.until(
            lambda: select(
                folder,
                "SELECT json_extract(body, '$.signal.row') FROM journal"
                f" WHERE kind = 'Refused' AND seq > {resumed_at} ORDER BY seq LIMIT 1",
            )
        )
    ((resumed_row,),) = select(
        folder,
        "SELECT json_extract(body, '$.row') FROM journal"
        f" WHERE kind = 'RowTaken' AND seq < {resumed_at} ORDER BY seq DESC LIMIT 1",
    )
    assert first == [(resumed_row + 41,)]


def test_a_switch_of_another_store_names_the_daemon_it_did_not_reach(folder):
    """The overlay was forgotten: the daemon of production goes on trading, and nobody may think otherwise."""
    write_config(folder, storage={"path": "var/production.db"}, control={"socket": "var/production.sock"})
    (folder / "config.toml").rename(folder / "config.production.toml")
    write_config(folder, strategies=[strategy()])
    with daemon(folder, *PACE, env={"ALPHAPANDA_ENV": "production"}, log=" ready: ") as production:
        named = f"the daemon with pid {production.pid} with store {folder}/var/production.db was not reached;"
        way = " use --env production, or set ALPHAPANDA_ENV=production; it is: "

        done = run(folder, "kill-switch", "on", "--reason", "forgot", "--json")
        assert done.code == 1
        assert named + way in done.line
        assert done.document["kill_switch"]["reason"] == "forgot"
        assert status(folder)["kill_switch"]["on"] is True
        for words, code in (
            ("kill-switch status", 0),
            ("kill-switch off --reason x", 0),
            ("status --json", 4),
            ("stop", 4),
            ("close-all --yes", 4),
            ("cancel-all", 4),
            ("strategies pause momentum_1", 0),
            ("start --until-end --speed max", 0),
        ):
            done = run(folder, *words.split())
            assert done.code == code, done
            assert named in done.stderr

        for words in ("status", "kill-switch on"):
            done = run(folder, "--env", "production", *words.split())
            assert (done.code, done.stderr) == (0, "")


@pytest.mark.parametrize("hurt", ["damaged", "locked"])
def test_a_store_that_cannot_be_written_leaves_a_kill_file_which_is_said_and_stops_the_next_start(
    folder, hurt
):
    write_ticks(folder, waves(10))
    assert run(folder, "run", "--until-end").code == 0
    store, kill_file = folder / "var/alphapanda.db", folder / "var/KILL"
    kept = store.read_bytes()
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        if hurt == "locked":
            other.execute("BEGIN IMMEDIATE")
        else:
            store.write_bytes(b"no database" * 1000)
        done = run(folder, "kill-switch", "on", "--reason", "disk", "--flatten", "--json")
    assert done.code == 0
    assert (done.document["kill_switch"]["on"], kill_file.read_text()) == (True, "disk\n--flatten\n")
    assert f"kill file {kill_file} was written instead: the next start is killed" in done.line
    store.write_bytes(kept)
    shown = run(folder, "kill-switch", "status", "--json").document["kill_switch"]
    assert (shown["on"], shown["by"]) == (True, "kill file")
    assert status(folder)["trading_enabled"] is False
    with daemon(folder, *PACE):
        assert_halted(folder, "disk")
    assert select(folder, "SELECT json_extract(body, '$.flatten') FROM journal WHERE kind = 'Halt'") == [(1,)]


def test_flatten_closes_what_is_held_on_paper_and_a_dry_run_changes_nothing(folder):
    with daemon(folder, *PACE) as running:
        running.until(lambda: select(folder, "SELECT 1 FROM orders WHERE tradingsymbol = 'SLOW'"))
        trading(running)
        before = run(folder, "kill-switch", "on", "--flatten", "--dry-run")
        assert "would cancel " in before.stdout
        assert "SLOW" in before.stdout
        assert not select(folder, "SELECT 1 FROM journal WHERE kind = 'Halt'")
        done = run(folder, "kill-switch", "on", "--flatten")
        assert done.code == 0
        running.until(lambda: not unfinished(folder))
        assert not select(folder, "SELECT 1 FROM positions WHERE quantity")
        closed = [order for order in answer(folder, "orders") if order["status"] == "FILLED"][-1]
        assert closed["quantity"]
        rows_go_on(running)
        assert status(folder)["kill_switch"]["leftovers"] == []
