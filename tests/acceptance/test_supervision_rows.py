"""What the operator and systemd do for a daemon that cannot help itself: a feed that fails again and again is
held until it is started by hand, and a loop that is stuck is ended from outside. The real daemon, live.
"""

import json
import re
import signal
import sys
from textwrap import dedent

import pytest
from exchange_server import exchange_server
from oracle.evidence import Evidence
from oracle.judge import judge
from running import daemon, run, select
from service_manager import systemd_at
from zerodha_live import at_work, calls, newest, tell, told, until_ticking

OF_ORDERS = ("I2", "I3", "I4", "I12", "I14")
STUCK = "after_write=stall:600"
PLACE = re.compile(r'  File "[^"]+", line \d+ in \S+|  \.\.\.|(Current t|T)hread 0x[0-9a-f]+.*:')
"""A line of a faulthandler's stack."""

FAILING = """
    import signal
    from alphapanda.fail_points import _POINTS, Armed, FailPoint
    from alphapanda.live.policies import POLICIES
    from alphapanda.pipeline import Stage
    from msgspec.structs import replace

    FEED = FailPoint.TASK_FEED


    def other(*_):
        if not _POINTS.pop(FEED, None):
            _POINTS[FEED] = Armed(0, "raise")


    signal.signal(signal.SIGUSR2, other)
    POLICIES[Stage.FEED] = replace(POLICIES[Stage.FEED], pause_s=0.001, longest_pause_s=0.001)
    from alphapanda.__main__ import main

    main()
"""
"""The command. Its feed is in order until SIGUSR2, and after the next; its budget has shorter pauses."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with exchange_server(tmp_path_factory.mktemp("exchange")) as running:
        yield running


def filled(one, times):
    one.until(lambda: select(one.folder, "SELECT status FROM orders") == [("FILLED",)] * times)


def test_a_feed_that_failed_too_often_holds_entries_until_it_is_started_by_hand(server, tmp_path):
    told(tmp_path, server)
    command = (sys.executable, "-c", dedent(FAILING))
    with daemon(tmp_path, "--rehearsal-url", server.url, command=command) as one:
        until_ticking(one)
        tell(tmp_path, side="BUY", quantity=3)
        filled(one, 1)
        one.send(signal.SIGUSR2)
        assert run(tmp_path, "stages", "restart", "feed").code == 0
        one.until(lambda: one.status()["stages"]["feed"]["state"] == "failed")
        one.until(lambda: "feed" in one.status()["health"]["entries_held"])
        said = one.status()
        assert (said["state"], said["kill_switch"]["on"]) == ("running", False)
        assert "feed failed 11 times in 600 s" in said["health"]["entries_held"]["feed"]
        assert said["stages"]["feed"]["restarts"] == 1 + 10, "one by hand, and all that its budget has"
        after = newest(server)
        assert run(tmp_path, "close", "INFY", "--yes").code == 0
        filled(one, 2)
        assert calls(server, "order.place", after=after) == ["order.place"]
        one.send(signal.SIGUSR2)
        assert run(tmp_path, "stages", "restart", "feed").code == 0
        one.until(lambda: not one.status()["health"]["entries_held"])
        tell(tmp_path, side="BUY")
        filled(one, 3)


def test_M41_systemd_ends_a_loop_that_is_stuck_for_long_and_the_next_start_recovers(server, tmp_path):  # noqa: N802 - the fault's name
    """Its order has left, and nobody hears the answer. No ping comes; SIGABRT is what systemd sends then."""
    token = json.loads(told(tmp_path, server).read_text())["access_token"]
    begun = newest(server)
    with systemd_at(tmp_path / "notify") as systemd:
        env = systemd.variables(ALPHAPANDA_FAIL_AT=STUCK)
        with daemon(tmp_path, "--rehearsal-url", server.url, env=env) as one:
            until_ticking(one)
            one.until(lambda: systemd.times("WATCHDOG=1") >= 2)
            tell(tmp_path, side="BUY", quantity=3)
            one.until(lambda: calls(server, "order.place", after=begun))
            one.until(lambda: "the event loop is stuck for" in one.stderr)
            one.until(systemd.is_out_of_patience)
            one.send(signal.SIGABRT)
            assert one.ended() == -signal.SIGABRT
            *_, stacks = one.stderr.partition("Fatal Python error: Aborted\n")
    lines = [line for line in stacks.splitlines() if line and not line.startswith("Extension modules:")]
    assert [line for line in lines if not PLACE.match(line)] == []
    assert any(line.endswith(" in reach") for line in lines), "where it was stuck"
    assert token not in one.stderr
    with at_work(tmp_path, server) as one:
        filled(one, 1)
        until_ticking(one)
        tell(tmp_path, side="SELL", quantity=3, close=True)
        filled(one, 2)
    assert len(calls(server, "order.place", after=begun)) == 2
    evidence = Evidence(stores=[tmp_path / "var/alphapanda.db"], history=server.history(), settled=True)
    assert judge(evidence, decided=OF_ORDERS) == []
