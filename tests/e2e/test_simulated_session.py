"""`run --feed simulated` as a user has it: the whole day, again, and interrupted."""

import pytest
from running import answer, count, daemon, run, select, strategy, write_config

NAMES = ["NSE:INFY", "NSE:ITC", "NSE:SBIN"]
TRADER = strategy(
    instruments=NAMES,
    params={"lookback_period": 4, "buy_threshold": 1.0004, "sell_threshold": 0.9996, "quantity": 2},
)
FEED = {"source": "simulated", "simulated": {"seed": 3, "instruments": NAMES, "speed": "max"}}


def final(folder):
    """What must not depend on how often a run was interrupted."""
    trades = [{k: v for k, v in trade.items() if k != "order_id"} for trade in answer(folder, "trades")]
    return trades, answer(folder, "positions"), answer(folder, "portfolio")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    write_config(folder, feed=FEED, strategies=[TRADER])
    done = run(folder, "run", "--until-end")
    assert (done.code, done.stdout) == (0, "")
    assert count(folder, "trades") > 300
    return final(folder)


def test_the_configuration_that_init_writes_trades_a_session_once(tmp_path):
    assert run(tmp_path, "config", "init").code == 0
    # Its own speed is that of the clock: six hours for the session.
    words = ("run", "--feed", "simulated", "--speed", "max", "--until-end")
    done = run(tmp_path, *words)
    assert (done.code, done.stdout) == (0, "")
    ((taken,),) = select(tmp_path, "SELECT max(taken) FROM progress")
    assert 22_000 < taken <= 22_500
    assert f"the data has ended after row {taken}" in done.stderr
    trades = answer(tmp_path, "trades")
    assert trades
    assert {trade["traded_at"][:10] for trade in trades} == {"2026-04-15"}
    assert min(trade["traded_at"][11:19] for trade in trades) >= "09:15:00"
    assert max(trade["traded_at"][11:19] for trade in trades) < "15:30:00"

    again = run(tmp_path, *words)
    assert (again.code, again.stdout) == (0, "")
    assert f"{taken} rows were taken before" in again.stderr
    assert f"the data has ended after row {taken}" in again.stderr
    assert answer(tmp_path, "trades") == trades


def test_a_run_that_is_killed_in_the_middle_ends_with_the_trades_of_one_that_is_not(tmp_path, undisturbed):
    write_config(tmp_path, feed=FEED, strategies=[TRADER])
    for share in (0.1, 0.3):
        wanted = share * len(undisturbed[0])
        with daemon(tmp_path, "--until-end", log=" ready: ") as running:
            running.until(lambda wanted=wanted: count(tmp_path, "trades") > wanted)
            running.kill()
        assert count(tmp_path, "trades") < len(undisturbed[0])
    done = run(tmp_path, "run", "--until-end")
    assert done.code == 0
    assert "rows were taken before" in done.stderr
    assert final(tmp_path) == undisturbed
