"""M54: each supervised task raises or returns, once and again and again; what follows is as its policy says.

`task_NAME` of the fail points: the task does it in the place of its work, as soon as it is started.
"""

import re

import pytest
from exchange_server import exchange_server
from oracle.evidence import Evidence
from oracle.judge import judge
from running import answer, count, daemon, run, select, status, strategy, write_config, write_ticks, zigzag
from zerodha_live import RESTS, at_work, tell, told, until_orders, until_ticking

from alphapanda.fail_points import VARIABLE
from alphapanda.live.task_faults import TASKS

STAGES = ("strategy", "risk", "execution", "portfolio")
ALONE = sorted(TASKS.keys() - {*STAGES, "store"})
"""Tasks that are started again while all others go on."""
NOWHERE = {"enabled": True, "url": "redis://127.0.0.1:1/0"}
"""A Redis that nobody serves: its task runs all the same."""
DOUBTED = {"PREPARED", "SENT", "UNKNOWN"}
ENDED = {"FILLED", "CANCELLED", "NOT_FOUND", "WITHHELD"}
OF_ORDERS = ("I2", "I3", "I4", "I12", "I14")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with exchange_server(tmp_path_factory.mktemp("exchange"), "--speed", "4") as running:
        yield running


@pytest.fixture
def live(server, tmp_path):
    told(tmp_path, server, redis=NOWHERE)
    return tmp_path


def armed(*words):
    return {VARIABLE: ",".join(words)}


@pytest.mark.parametrize(
    ("action", "stage"), [("raise", "execution"), ("return", "portfolio")], ids=["raise", "return"]
)
def test_M54_each_task_fails_once_and_the_daemon_trades(server, live, action, stage):  # noqa: N802 - the fault's name
    words = armed(*(f"task_{name}={action}" for name in (*ALONE, stage)))
    with daemon(live, "--rehearsal-url", server.url, env=words) as one:
        until_ticking(one)
        stages = one.until(lambda: healthy(live))
        assert stages[stage]["restarts"] == 1
        assert all(stages[name]["restarts"] for name in ALONE), "a new life forgets no restart"
        tell(live, side="BUY", quantity=3)
        until_orders(one, "FILLED")
        for name in ALONE:
            assert f"{name} failed ({'it returned' if action == 'return' else 'Injected'}" in one.stderr


def statuses(folder):
    """Those that our orders have."""
    return {each for (each,) in select(folder, "SELECT DISTINCT status FROM orders")}


def healthy(folder):
    """The stages, once each of them runs."""
    stages = status(folder)["stages"]
    return stages if all(each["state"] == "running" for each in stages.values()) else None


def test_M54_a_broker_that_fails_again_and_again_halts_and_the_operator_can_start_it(server, live):  # noqa: N802 - the fault's name
    words = ("--rehearsal-url", server.url)
    with daemon(live, *words, env=armed("task_zerodha:*=raise"), log="starts it again") as one:
        found = status(live)
        assert found["trading_enabled"] is False
        assert found["kill_switch"]["on"] is True
        assert found["kill_switch"]["by"] == "supervisor"
        assert "zerodha failed 4 times in 60 s" in found["kill_switch"]["reason"]
        assert found["stages"]["zerodha"]["state"] == "failed"
        assert run(live, "stages", "restart", "zerodha").code == 0
        assert one.process.poll() is None
    with at_work(live, server) as one:
        assert status(live)["kill_switch"]["by"] == "supervisor", "it holds across the restart"
        assert run(live, "kill-switch", "off", "--reason", "looked at it").code == 0
        until_ticking(one)
        tell(live, side="BUY", quantity=3)
        until_orders(one, "FILLED")


def to_replay(folder):
    write_ticks(folder, zigzag(60))
    write_config(folder, strategies=[strategy()])
    return folder


@pytest.fixture
def replay(tmp_path):
    return to_replay(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = to_replay(tmp_path_factory.mktemp("undisturbed"))
    assert run(folder, "run", "--until-end").code == 0
    return traded(folder)


def traded(folder):
    """Whatever the numbers of the orders: one that did not reach paper is asked for again."""
    return [{**row, "order_id": "", "trade_id": ""} for row in answer(folder, "trades")]


@pytest.mark.parametrize("task", ["strategy=raise", "risk=return", "execution=raise", "portfolio=return"])
def test_M54_of_a_stage_the_second_failure_ends_the_process(replay, task):  # noqa: N802 - the fault's name
    stage, _, action = task.partition("=")
    ended = run(replay, "run", "--until-end", env=armed(f"task_{stage}:*={action}"))
    assert ended.code == 1
    assert f"the line failed 2 times in 300 s, last: {stage} failed" in ended.stderr.splitlines()[-1]
    assert count(replay, "orders") == 0


@pytest.mark.parametrize("place", ["intent_committed", "after_paper", "report_booked", "before_order_told"])
def test_M54_a_core_that_raises_in_the_midst_of_orders_changes_no_trade(replay, undisturbed, place):  # noqa: N802
    """New cores go on in the same process, from what the journal says."""
    ended = run(replay, "run", "--until-end", env=armed(f"{place}:10=raise"))
    assert ended.code == 0, ended.stderr
    assert f"Injected: fail point {place}" in ended.stderr
    assert traded(replay) == undisturbed
    assert len(undisturbed) > 50


def test_M54_a_finite_feed_that_raises_ends_the_process_and_the_next_goes_on(replay, undisturbed):  # noqa: N802
    assert run(replay, "run", "--until-end", env=armed("turn_filled:20=raise")).code == 1
    assert run(replay, "run", "--until-end").code == 0
    assert traded(replay) == undisturbed


@pytest.mark.parametrize("action", ["raise", "return"])
def test_M54_without_its_writer_the_daemon_is_gone(replay, action):  # noqa: N802 - the fault's name
    ended = run(replay, "run", "--until-end", env=armed(f"task_store={action}"))
    assert ended.code == 1
    assert "store" in ended.stderr.splitlines()[-1]


def test_M54_without_its_socket_no_daemon_trades_for_long(replay):  # noqa: N802 - the fault's name
    ended = run(replay, "run", "--until-end", env=armed("task_control:*=raise"))
    assert ended.code == 1
    assert "control failed 6 times in 60 s" in ended.stderr.splitlines()[-1]
    assert not (replay / "var/alphapanda.db").exists(), "it was not even opened"


@pytest.mark.parametrize(
    ("lingers", "fails", "where"),
    [("pulse", "execution=raise", "the line"), ("health", "store=raise", "the writer")],
)
def test_M54_a_task_that_hangs_in_its_cleanup_does_not_keep_the_process(replay, lingers, fails, where):  # noqa: N802
    """From the failure to the exit there is a deadline (I11)."""
    ended = run(replay, "run", "--until-end", env=armed(f"task_{lingers}=linger", f"task_{fails}"))
    assert ended.code == 1
    # Groups that end together are cancelled in no order that is promised: the first of them is named.
    named = re.search(r"a task of (.+) has not ended in 10 s: leaving at once", ended.stderr.splitlines()[-1])
    assert named, ended.stderr
    assert named[1] in {where, "the line"}


@pytest.mark.parametrize("place", ["intent_committed", "after_write:2", "report_booked:4"])
def test_M54_a_core_that_raises_with_requests_under_way_loses_and_doubles_no_order(server, live, place):  # noqa: N802
    """What has left is in doubt for the cores that follow, and Zerodha's book says what became of it."""
    late = {"on": "order.place", "do": "delay_after", "seconds": 1, "times": 2}
    with daemon(live, "--rehearsal-url", server.url, env=armed(f"{place}=raise")) as one:
        until_ticking(one)
        server.admin("faults", {"clear": True, "fault": [late]})
        tell(live, side="BUY", quantity=3, times=2)
        tell(live, side="BUY", quantity=2, part=RESTS, times=2)
        one.until(lambda: "begins anew" in one.stderr)
        one.until_state("running")
        one.until(lambda: not statuses(live) & DOUBTED)
        before = [row["status"] for row in answer(live, "orders")].count("FILLED")
        tell(live, side="BUY")
        until_orders(one, *["FILLED"] * (before + 1))
        assert run(live, "cancel-all").code == 0
        one.until(lambda: statuses(live) <= ENDED)
        told_of = {"stores": [live / "var/alphapanda.db"], "history": server.history()}
        assert not judge(Evidence(**told_of, settled=True, quiet_period_s=0.5), decided=OF_ORDERS)
