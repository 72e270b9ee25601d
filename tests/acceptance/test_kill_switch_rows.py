"""Rows of the fault table that the kill switch answers: real daemons, judged by the exchange's history."""

import shutil
import signal
from collections import Counter

import pytest
from exchange_server import exchange_server
from running import (
    FINISH_S,
    answer,
    count,
    daemon,
    eventually,
    run,
    select,
    status,
    strategy,
    write_config,
    write_ticks,
)
from running import zigzag as waves
from zerodha_live import at_work, calls, log_in, newest, told

from alphapanda.live.control import ask

RESTING = (
    "OPEN",
    "TRIGGER PENDING",
    "OPEN PENDING",
    "VALIDATION PENDING",
    "PUT ORDER REQ RECEIVED",
    "CANCEL PENDING",
)
ASKING = '''
from alphapanda.core.strategy import Strategy
from msgspec import Struct


class Asking(Strategy):
    """A buy at each tick: first at market, so many shares, then single ones that rest; or for ever."""

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        market: int = 0
        resting: int = 0
        busy: bool = False

    def prepare(self):
        self.asked = 0

    def on_refused(self, signal, rule, why):
        self.asked -= 1

    def on_market_data(self, tick):
        if self.params.busy:
            return [self.buy(tick, 1)]
        if self.asked == self.params.resting + bool(self.params.market):
            return []
        self.asked += 1
        if self.params.market and self.asked == 1:
            return [self.buy(tick, self.params.market)]
        return [self.buy(tick, 1, price=round(int(tick.last_price * 9.7) / 10, 1))]
'''


def asking(folder, server, quiet_s=0.5, **params):
    """The strategy and its configuration, and a login."""
    one = {"id": "asking", "class": "strategies.asking:Asking", "instruments": ["NSE:INFY"]}
    told(
        folder,
        server,
        strategies=[one | {"brokers": ["zerodha"], "params": params}],
        zerodha={"enabled": True, "quiet_period_s": quiet_s},
    )
    (folder / "strategies" / "asking.py").write_text(ASKING)


def now(folder):
    """`status`, without the command's own second."""
    return ask(folder / "var/control.sock", {"command": "status"}, FINISH_S)["result"]


def left_of(folder):
    return now(folder)["kill_switch"]["leftovers"]


def tag_of(folder, left):
    ((tag,),) = select(folder, f"SELECT tag FROM orders WHERE order_id = '{left['order_id']}'")
    return tag


def until_states(one, *wanted):
    """Once our book has orders in these states, each so often, and no others."""
    sql = "SELECT status, count(*) FROM orders GROUP BY status"
    one.until(lambda: dict(select(one.folder, sql)) == Counter(wanted))


def book(server):
    """The newest state of each order, as the exchange has it."""
    return {row["order_id"]: row for row in server.history("order")}


def open_there(server):
    return {each for each, row in book(server).items() if row["status"] in RESTING}


def faults(server, *found, clear=True):
    server.admin("faults", {"fault": list(found), "clear": clear})


def struck(server):
    """How often each fault has struck."""
    return [fault["count"] for fault in server.admin("faults")["faults"]]


def kill(folder, *words, code=0):
    """What `kill-switch on --json` says."""
    done = run(folder, "kill-switch", "on", "--reason", "a look", *words, "--json")
    assert done.code == code, done
    return done.document["kill_switch"]


def nothing_was_sent_under_the_kill(folder):
    """By the journal's order of facts: nothing was prepared or sent while it was on."""
    rows = select(
        folder,
        "SELECT json_extract(o.body, '$.order.order_id') FROM journal AS o WHERE kind LIKE 'Order%'"
        " AND json_extract(o.body, '$.order.by') IS NULL"
        " AND (kind = 'OrderOpened' OR json_extract(o.body, '$.order.status') = 'SENT')"
        " AND (SELECT kind FROM journal WHERE seq < o.seq AND kind IN ('Halt', 'Resume')"
        " ORDER BY seq DESC LIMIT 1) = 'Halt'",
    )
    assert rows == []


def test_M51_M20_of_thirty_orders_none_is_open_or_it_is_named(tmp_path):  # noqa: N802 - the faults
    """Some of their cancels meet a 429, some a fill, one is lost, one order is in doubt."""
    with exchange_server(tmp_path, "--no-rate-limits", "--ticks-per-second", 20) as server:
        asking(tmp_path, server, quiet_s=60.0, resting=30)
        faults(
            server,
            {"on": "order.place", "do": "late", "seconds": 300, "reply": "lost", "nth": 30},
            {"on": "order.cancel", "do": "too_many", "nth": [1, 4, 5]},
            {"on": "order.cancel", "do": "fill_on_cancel", "nth": [2, 7]},
            {"on": "order.cancel", "do": "drop_before", "nth": [9]},
        )
        with at_work(tmp_path, server) as one:
            until_states(one, *["OPEN"] * 29, "UNKNOWN")
            left = kill(tmp_path, code=1)["leftovers"]
            (doubted,) = (row for row in left if row["status"] == "UNKNOWN")
            late = {each for each, row in book(server).items() if row["tag"] == tag_of(tmp_path, doubted)}
            assert open_there(server) <= late | {row["broker_order_id"] for row in left}
            assert "nobody knows" in doubted["why"]
            assert all(struck(server)), struck(server)
            one.until(lambda: open_there(server) <= late)
            ends = Counter(row["status"] for each, row in book(server).items() if each not in late)
            assert ends == {"CANCELLED": 27, "COMPLETE": 2}
            # The named one is all that stays, and it is said aloud.
            one.until(lambda: [row["order_id"] for row in left_of(tmp_path)] == [doubted["order_id"]])
            assert f"order {doubted['order_id']}" in one.stderr
        nothing_was_sent_under_the_kill(tmp_path)


def test_M51_an_order_that_is_found_after_the_sweep_is_cancelled_as_well(tmp_path):  # noqa: N802 - the fault
    """It came to the exchange late, after it had been given up; and after a kill -9 and a restart."""
    with exchange_server(tmp_path, "--no-rate-limits", "--ticks-per-second", 20) as server:
        asking(tmp_path, server, resting=1)
        faults(server, {"on": "order.place", "do": "late", "seconds": 4, "reply": "lost", "nth": 1})
        with at_work(tmp_path, server) as one:
            one.until(lambda: "is in doubt" in one.stderr)
            assert kill(tmp_path)["leftovers"] == []  # after the quiet period it is gone, as all must think
            until_states(one, "NOT_FOUND")
            one.kill()
        eventually(lambda: [row["status"] for row in book(server).values()] == ["OPEN"])
        with at_work(tmp_path, server) as one:
            until_states(one, "CANCELLED")
            assert [row["status"] for row in book(server).values()] == ["CANCELLED"]
            assert left_of(tmp_path) == []
        assert len(calls(server, "order.place")) == 1


def test_M49_what_rests_is_named_at_once_and_swept_when_the_broker_is_back(tmp_path):  # noqa: N802 - the fault
    """First the session is dead, and the feed with it; then the broker is down, over a kill -9 as well."""
    with exchange_server(tmp_path, "--no-rate-limits", "--ticks-per-second", 20) as server:
        asking(tmp_path, server, resting=2)
        with at_work(tmp_path, server) as one:
            until_states(one, "OPEN", "OPEN")
            faults(server, {"on": "orders", "do": "token_death", "nth": 1})
            one.until(lambda: not now(tmp_path)["feed"]["session"]["alive"])
            left = named_all(tmp_path, server)
            assert all("session is dead" in row["why"] for row in left)
            assert not calls(server, "order.cancel")
            log_in(tmp_path, server)
            one.until(lambda: not open_there(server) and not left_of(tmp_path))
            assert run(tmp_path, "kill-switch", "off", "--reason", "logged in").code == 0
            until_states(one, "OPEN", "OPEN", "CANCELLED", "CANCELLED")
            faults(server, *({"on": kind, "do": "down"} for kind in ("orders", "trades", "order.cancel")))
            one.until(lambda: now(tmp_path)["brokers"]["zerodha"]["trouble"])
            named_all(tmp_path, server)
            one.kill()
        stopped = status(tmp_path)["kill_switch"]
        assert stopped["on"]
        assert {row["broker_order_id"] for row in stopped["leftovers"]} == open_there(server)
        faults(server)
        with at_work(tmp_path, server) as one:
            one.until(lambda: not open_there(server) and not left_of(tmp_path))
            assert now(tmp_path)["state"] == "halted"
    nothing_was_sent_under_the_kill(tmp_path)


def named_all(folder, server):
    """Killed now: both orders rest, and are named."""
    left = kill(folder, code=1)["leftovers"]
    assert {row["broker_order_id"] for row in left} == open_there(server)
    assert len(left) == 2
    return left


def test_M48_M52_in_a_burst_nothing_is_sent_after_the_answer_by_any_door(tmp_path):  # noqa: N802 - the faults
    """The command, the kill file and SIGUSR1, one after the other, each in mid burst."""
    with exchange_server(tmp_path, "--no-rate-limits", "--ticks-per-second", 20) as server:
        asking(tmp_path, server, busy=True)
        with at_work(tmp_path, server) as one:
            for door in ("command", "file", "signal"):
                last = newest(server)
                one.until(lambda last=last: len(calls(server, "order.place", after=last)) > 5)
                if door == "command":
                    kill(tmp_path)
                elif door == "file":
                    (tmp_path / "var/KILL").touch()
                else:
                    one.send(signal.SIGUSR1)
                halted = one.until_state("halted")
                # What was on its way when the flag went up has its answer.
                one.until(
                    lambda: not select(tmp_path, "SELECT 1 FROM orders WHERE status IN ('PREPARED', 'SENT')")
                )
                last = newest(server)
                one.until(
                    lambda before=halted: (
                        now(tmp_path)["ticks"]["received"] > before["ticks"]["received"] + 20
                    )
                )
                assert not calls(server, "order.place", after=last)
                assert run(tmp_path, "kill-switch", "off", "--reason", "next").code == 0
        nothing_was_sent_under_the_kill(tmp_path)


SLEEPER = """
import time
from pathlib import Path

from alphapanda.core.strategy import Strategy


class Sleeper(Strategy):
    def on_market_data(self, tick):
        open("asleep", "w").close()
        while not Path("go").exists():
            HOW
        with open("awake", "a") as file:
            print(time.time_ns(), file=file)
        return [self.buy(tick, 1)]
"""


@pytest.mark.parametrize("how", ["time.sleep(0.01)", "pass"], ids=["sleeps", "is busy"])
def test_M52_a_signal_is_obeyed_while_a_strategy_holds_the_loop(tmp_path, how):  # noqa: N802 - the fault's name
    """The flag is there before it lets go, and so before the order that it then asks for."""
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "sleeper.py").write_text(SLEEPER.replace("HOW", how))
    one = {"id": "one", "class": "strategies.sleeper:Sleeper", "instruments": ["NSE:INFY"]}
    write_config(tmp_path, strategies=[one])
    write_ticks(tmp_path, [(second, "INFY", 102.0) for second in range(900)])
    with daemon(tmp_path, "--speed", "10", log=" ready: ") as running:
        running.until((tmp_path / "asleep").exists)
        running.send(signal.SIGUSR1)
        (tmp_path / "go").touch()
        running.until(lambda: select(tmp_path, "SELECT 1 FROM journal WHERE kind = 'Halt'"))
        assert now(tmp_path)["kill_switch"]["by"] == "signal"
        ((flagged_ns,),) = select(tmp_path, "SELECT since_ns FROM kill_switch")
        assert flagged_ns < int((tmp_path / "awake").read_text().split()[0])
        assert count(tmp_path, "orders") == 0


def test_M50_it_holds_over_a_kill_and_a_restart_until_somebody_says_why(tmp_path):  # noqa: N802 - the fault
    """Also where the store is all that was saved, as after a reboot: /run is empty, the kill file is gone."""
    write_config(tmp_path, strategies=[strategy()])
    write_ticks(tmp_path, waves(9000))
    with daemon(tmp_path, "--speed", "250") as one:
        one.until(lambda: count(tmp_path, "trades") > 5)
        kill(tmp_path)
        one.kill()
    saved = tmp_path / "saved"
    saved.mkdir()
    for path in (tmp_path / "var").glob("alphapanda.db*"):
        shutil.copy(path, saved)
    shutil.rmtree(tmp_path / "var")
    (tmp_path / "var").mkdir()
    for path in saved.glob("alphapanda.db*"):
        if path.suffix != ".lock":
            shutil.copy(path, tmp_path / "var")
    before = count(tmp_path, "orders")
    with daemon(tmp_path, "--speed", "250") as one:
        assert status(tmp_path)["state"] == "halted"
        assert run(tmp_path, "kill-switch", "off").code == 2
        walked = now(tmp_path)["stages"]["feed"]["processed"]
        one.until(lambda: now(tmp_path)["stages"]["feed"]["processed"] > walked + 50)
        assert count(tmp_path, "orders") == before
        assert run(tmp_path, "kill-switch", "off", "--reason", "looked").code == 0
        one.until(lambda: count(tmp_path, "orders") > before)


def test_flatten_closes_all_once_nothing_rests_and_goes_on_where_the_broker_refuses(tmp_path):
    """The first tries are rejected: the exit stays under watch, is said aloud, survives a kill -9."""
    refused = "RMS: not like this"
    with exchange_server(tmp_path, "--no-rate-limits", "--ticks-per-second", 20) as server:
        asking(tmp_path, server, market=6, resting=2)
        with at_work(tmp_path, server) as one:
            until_states(one, "FILLED", "OPEN", "OPEN")
            faults(server, {"on": "order.place", "do": "reject", "message": refused, "nth": [1, 2, 3]})
            shown = run(tmp_path, "kill-switch", "on", "--flatten", "--dry-run", "--json").document
            assert [row["quantity"] for row in shown["close"]] == [6]
            assert len(shown["cancel"]) == 2
            assert now(tmp_path)["kill_switch"]["on"] is False
            done = run(tmp_path, "kill-switch", "on", "--flatten", "--json")
            left = done.document["kill_switch"]["leftovers"]
            assert (done.code, len(left)) in ((1, 1), (0, 0))
            one.until(lambda: refused in one.stderr)
            one.kill()
        with at_work(tmp_path, server) as one:
            one.until(lambda: not select(tmp_path, "SELECT 1 FROM positions WHERE quantity"))
            one.until(lambda: not left_of(tmp_path))
            assert now(tmp_path)["state"] == "halted"
        assert struck(server) == [3]
        sold = [row for row in answer(tmp_path, "orders") if row["transaction_type"] == "SELL"]
        assert sum(row["filled_quantity"] for row in sold) == 6
        assert {row["order_type"] for row in sold} == {"MARKET", "LIMIT"}
        assert Counter(row["status"] for row in sold) == {"REJECTED": 3, "FILLED": 1}
        assert not open_there(server)
