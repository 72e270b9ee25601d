"""Rows of the fault table that the watchdogs answer: prices that cannot be believed, a loop that is stuck, a
clock that jumps, descriptors that run out. Real daemons at a real exchange; judged by what reached it.
"""

import re
import resource
import signal
import stat
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest
import running
from exchange_server import exchange_server
from running import answer, eventually, run, select
from zerodha_live import FREE, calls, newest, tell, told, until_orders, until_ticking

from alphapanda.live.control import ask
from alphapanda.live.watchman import LONG_S

AGE_S, ANSWER_S = 2.0, 10.0
LIMITS = {"risk": FREE | {"max_price_age_s": AGE_S}}


class Desk:
    """A daemon at work at an exchange."""

    def __init__(self, server, one):
        self.server, self.one, self.folder = server, one, one.folder

    def arm(self, do, on="", **fault):
        """From now on, and nothing else. Returns once it has struck, in the exchange's own history."""
        after = newest(self.server)
        where = {"on": on} if on else {}
        self.server.admin("faults", {"clear": True, "fault": [{"do": do, **where, **fault}]})
        self.until(lambda: self.server.history("fault", after=after))

    def clear(self):
        self.server.admin("faults", {"clear": True})

    def until(self, fact):
        return self.one.until(fact)

    def status(self):
        """Without a process for each look."""
        return ask(self.folder / "var" / "control.sock", {"command": "status"}, ANSWER_S)["result"]

    def ticks(self):
        return self.status()["ticks"]["received"]

    def after_more_ticks(self):
        """What the feed brought since is what the line has."""
        before = self.ticks()
        self.until(lambda: self.ticks() > before + 1)

    def verdicts(self):
        rows = select(self.folder, "SELECT rule, verdict FROM signals ORDER BY rowid")
        return [rule or verdict for rule, verdict in rows]

    def asks(self, times=1, **words):
        """The verdicts on so many more orders that the strategy asks for."""
        before = len(self.verdicts())
        tell(self.folder, **{"side": "BUY", "times": times} | words)
        return self.until(lambda: len(self.verdicts()) >= before + times and self.verdicts()[before:])

    def until_it_says(self, rule):
        self.until(lambda: self.asks() == [rule])

    def refuses(self, rule):
        """It is said of each order, and nothing reaches the exchange."""
        after = newest(self.server)
        assert self.asks(times=3) == [rule] * 3
        assert calls(self.server, "order.place", after=after) == []

    def trades(self):
        """Entries leave again."""
        after = newest(self.server)
        self.until_it_says("approved")
        self.until(lambda: calls(self.server, "order.place", after=after))


@contextmanager
def desk(folder, **how):
    """`how` as of `running.daemon`."""
    folder.mkdir()
    with exchange_server(folder) as server:
        told(folder, server, **LIMITS)
        with running.daemon(folder, "--rehearsal-url", server.url, **how) as one:
            until_ticking(one)
            yield Desk(server, one)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with desk(tmp_path_factory.mktemp("watchdogs") / "desk") as made:
        yield made


@pytest.fixture
def well(shared):
    """The shared desk, with nothing wrong."""
    shared.clear()
    return shared


@pytest.mark.parametrize("fault", ["zero", "negative", "absurd", "crossed"])
def test_M37_nothing_is_entered_on_a_price_that_cannot_be(well, fault):  # noqa: N802 - the fault's name
    well.arm(fault, "tick")
    well.after_more_ticks()
    well.refuses("price_not_trusted")
    well.clear()
    well.trades()


def test_M37_nothing_is_entered_on_a_price_that_is_frozen(well):  # noqa: N802 - the fault's name
    """Ticks go on coming, and each says what the first of them said, its time too."""
    well.arm("frozen", "tick")
    well.until_it_says("max_price_age_s")
    before = well.ticks()
    well.refuses("max_price_age_s")
    well.until(lambda: well.ticks() > before)
    well.clear()
    well.trades()


def test_M36_nothing_is_entered_while_heartbeats_come_and_no_ticks(well):  # noqa: N802 - the fault's name
    well.arm("heartbeats_only", "frame", nth=1)
    well.until_it_says("max_price_age_s")
    assert well.status()["feed"]["connected"] == 1
    well.refuses("max_price_age_s")
    well.arm("ws_close", after_s=0.1)
    well.trades()


def test_M35_a_mute_feed_is_left_and_nothing_is_entered_before_the_next_one_ticks(well):  # noqa: N802 - the fault's name
    """It is silent, TCP stays open; those that are opened after it bring heartbeats only."""
    before = well.status()["feed"]["reconnects"]
    well.arm("ws_mute", "frame", nth=1)
    after = newest(well.server)
    later = {"do": "heartbeats_only", "on": "ws.connect"}
    well.server.admin("faults", {"clear": True, "fault": [later]})
    well.until(lambda: well.status()["feed"]["reconnects"] > before)
    well.until(lambda: well.server.history("fault", after=after))
    well.refuses("price_not_trusted")
    prices = well.status()["health"]["prices"]
    assert (prices["untrusted"], prices["untrusted_first"]) == (1, ["NSE:INFY"])
    shown = run(well.folder, "status").stdout
    assert "no entries in 1 instrument whose price is not trusted: NSE:INFY" in shown
    well.arm("ws_close", after_s=0.1)
    well.trades()


def used_of(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_M14_a_daemon_without_descriptors_halts_and_stays(tmp_path):  # noqa: N802 - the fault's name
    with desk(tmp_path / "desk") as made:
        one, folder = made.one, made.folder
        _, most = resource.prlimit(one.pid, resource.RLIMIT_NOFILE)

        def limit(number):
            resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (number, most))

        limit(64)
        made.trades()
        assert not made.status()["kill_switch"]["on"], "64 are enough"
        limit(used_of(one.pid) + 3)
        made.until(lambda: "alarm descriptors" in one.stderr)
        made.until(lambda: select(folder, "SELECT 1 FROM journal WHERE kind = 'Halt'"))
        limit(4)
        after = newest(made.server)
        made.server.admin("faults", {"clear": True, "fault": [{"do": "ws_close", "on": "frame", "nth": 1}]})
        made.until(lambda: made.server.history("fault", after=after))
        silent = run(folder, "status")
        assert silent.code != 0, "nobody can be let in"
        limit(1024)
        said = one.until_state("halted")
        assert said["kill_switch"]["by"] == "supervisor"
        assert "descriptors are free" in said["kill_switch"]["reason"]
        assert said["stages"]["control"]["restarts"] == 0
        assert said["pid"] == one.pid
        made.until(lambda: not made.status()["health"]["alarms"])
        assert calls(made.server, "order.place", after=after) == []
        assert run(folder, "kill-switch", "off", "--reason", "there is room").code == 0
        made.trades()


def test_M41_entries_wait_while_the_loop_is_stuck_and_leave_again_by_themselves(tmp_path):  # noqa: N802 - the fault's name
    """Stuck for a second and a half between the decision and the commit of the first order."""
    armed = {"ALPHAPANDA_FAIL_AT": "intent_decided=stall:1.5"}
    with desk(tmp_path / "desk", env=armed) as made:
        assert made.asks() == ["approved"], "it was, before the loop was stuck"
        (row,) = until_orders(made.one, "WITHHELD")
        assert re.search("the event loop (was|has been) stuck", row["reason"])
        assert calls(made.server, "order.place") == []
        made.until(lambda: "the event loop is stuck for" in made.one.stderr)
        made.trades()
        health = made.status()["health"]
        assert health["entries_held"] == {}
        assert health["loop_us"]["stalls"] >= 1
        assert health["loop_us"]["max"] > 1e6


def test_M05_a_process_that_stood_still_reads_the_books_before_it_orders(well):  # noqa: N802 - the fault's name
    """An order is asked for while it is stopped; when it runs again the account is looked at first."""
    well.trades()
    well.until(lambda: well.status()["brokers"]["zerodha"]["orders_open"] == 0)
    well.one.process.send_signal(signal.SIGSTOP)
    try:
        after, stopped_s = newest(well.server), time.monotonic()
        tell(well.folder, side="BUY")
        eventually(lambda: time.monotonic() - stopped_s > LONG_S + 1)
    finally:
        well.one.process.send_signal(signal.SIGCONT)
    well.trades()
    asked = calls(well.server, after=after)
    before = asked[: asked.index("order.place")]
    assert {"orders", "trades", "positions", "holdings"} <= set(before), asked


SET = """
    #!{python}
    import time
    from pathlib import Path

    by, now, now_ns = Path({by!r}), time.time, time.time_ns


    def shift():
        return int(by.read_text()) if by.exists() else 0


    time.time, time.time_ns = lambda: now() + shift(), lambda: now_ns() + shift() * 10**9
    from alphapanda.__main__ import main

    main()
"""
"""The command on a machine whose clock can be set."""


def command(folder):
    path = folder / "alphapanda"
    path.write_text(dedent(SET).lstrip().format(python=sys.executable, by=str(folder / "by")))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize("by_s", [-3600, 86_400])
def test_M53_a_clock_that_is_set_holds_entries_and_moves_nothing(tmp_path, by_s):  # noqa: N802 - the fault's name
    with desk(tmp_path / "desk", command=[command(tmp_path)]) as made:
        made.trades()
        before = until_orders(made.one, "FILLED")
        asked = tmp_path / "by-new"
        asked.write_text(str(by_s))
        asked.rename(tmp_path / "by")
        made.until(lambda: "clock" in made.status()["health"]["entries_held"])
        made.refuses("entries_held")
        said = made.status()
        assert (said["state"], said["kill_switch"]["on"]) == ("running", False)
        assert "wall clock went" in said["health"]["alarms"]["clock"]["why"]
        assert [row["status"] for row in answer(made.folder, "orders")] == [row["status"] for row in before]
        after = newest(made.server)
        assert made.asks(side="SELL", close=True) == ["approved"], "what is held may be closed"
        eventually(lambda: calls(made.server, "order.place", after=after))
