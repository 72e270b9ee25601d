"""The token dies, at any call: nothing more leaves until somebody has logged in and the books agree."""

import json
import signal

import pytest
from exchange_server import exchange_server
from running import answer, run, status
from zerodha_live import RESTS, at_work, calls, log_in, newest, tell, told, until_orders, until_ticking

WHILE_RUNNING = ("orders", "order.place", "order.cancel")
BY_A_LOGIN = ("positions", "instruments", "ws.connect")
"""Asked when the session is renewed: each of these logins dies at once."""
AT_A_START = ("margins", "positions")


def dies_at(server, kind):
    """Of the next such call."""
    death = {"do": "ws_refuse", "code": 403} if kind == "ws.connect" else {"do": "token_death"}
    server.admin("faults", {"fault": [death | {"on": kind, "nth": 1}], "clear": True})


def alarms(one):
    return sum(" ERROR " in line and "session is dead" in line for line in one.stderr.splitlines())


def dead(one, number):
    """Once it is told that it is dead, so many times in all."""
    one.until(lambda: alarms(one) >= number)
    assert alarms(one) == number
    found = status(one.folder)
    assert not found["feed"]["session"]["alive"]
    broker = found["brokers"]["zerodha"]
    assert (found["state"], broker["connected"]) == ("running", False)
    assert broker["held"]["all"].startswith("the session is dead: ")


def lives(one):
    """Once nothing is held, and prices come."""

    def again():
        found = status(one.folder)
        return not found["brokers"]["zerodha"]["held"] and found["feed"]["ticking"]

    one.until(again)


def refusals(folder):
    return [row["rule"] for row in answer(folder, "signals") if row["verdict"] == "refused"]


def test_M21_a_token_that_dies_at_any_call_is_the_end_of_orders_until_a_login(tmp_path):  # noqa: N802 - the fault
    with exchange_server(tmp_path, "--no-rate-limits") as server:
        path = told(tmp_path, server)
        tokens = [json.loads(path.read_text())["access_token"]]
        with at_work(tmp_path, server) as one:
            until_ticking(one)
            tell(tmp_path, side="BUY", quantity=3)
            tell(tmp_path, side="BUY", part=RESTS, times=2)
            until_orders(one, "FILLED", "OPEN", "OPEN")
            for number, kind in enumerate(WHILE_RUNNING + BY_A_LOGIN, 1):
                dies_at(server, kind)
                if kind == "order.place":
                    tell(tmp_path, side="BUY")
                elif kind == "order.cancel":
                    assert run(tmp_path, "cancel-all").code == 1
                elif kind in BY_A_LOGIN:
                    log_in(tmp_path, server)
                dead(one, number)
                died_at = newest(server)
                (fault,) = server.admin("faults")["faults"]
                assert fault["count"] == 1, fault
                if kind in ("order.place", BY_A_LOGIN[-1]):
                    before = len(refusals(tmp_path))
                    tell(tmp_path, side="BUY")
                    tell(tmp_path, side="SELL", close=True)
                    one.until(lambda before=before: len(refusals(tmp_path)) == before + 2)
                assert calls(server, after=died_at) == []
                if kind in WHILE_RUNNING[:-1]:
                    log_in(tmp_path, server)
                    tokens.append(json.loads(path.read_text())["access_token"])
                    lives(one)
            asked = newest(server)
            log_in(tmp_path, server)
            lives(one)
            # The cancel of the operator has waited for this; then the books, and only then the next order.
            tell(tmp_path, side="BUY")
            until_orders(one, "FILLED", "FILLED", "CANCELLED", "CANCELLED", "REJECTED")
            order = [name for name in calls(server, after=asked) if name not in ("quote", "instruments")]
            first = order.index("order.place")
            assert {"orders", "trades", "positions", "holdings"} <= set(order[:first])
            # Once the ticker is gone as well, no price is believed: risk says so before the gate is asked.
            assert {"broker_held"} <= set(refusals(tmp_path)) <= {"broker_held", "price_not_trusted"}
            assert status(tmp_path)["strategies"]["told"]["state"] == "running"
            assert alarms(one) == len(WHILE_RUNNING + BY_A_LOGIN)
            tokens.append(json.loads(path.read_text())["access_token"])
            one.send(signal.SIGTERM)
            assert one.ended() == 0
        tags = [row["tag"] for row in server.history("order") if row["status"] == "PUT ORDER REQ RECEIVED"]
        assert len(tags) == len(set(tags)) == 4
        assert [token for token in tokens if token in one.stderr] == []


@pytest.mark.parametrize("kind", AT_A_START)
def test_M21_a_token_that_is_dead_at_a_start_is_a_matter_for_somebody(tmp_path, kind):  # noqa: N802 - the fault
    with exchange_server(tmp_path) as server:
        told(tmp_path, server)
        dies_at(server, kind)
        done = run(tmp_path, "run", "--rehearsal-url", server.url)
        assert (done.code, done.stdout) == (3, "")
        assert done.stderr.splitlines()[-1].endswith("run `alphapanda login`")
        assert "Unclosed" not in done.stderr
        assert not calls(server, "order.place", "order.cancel")
