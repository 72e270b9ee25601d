"""Starts and ends of a daemon with orders at the broker's, judged by the exchange's own history."""

import signal
import subprocess
from collections import Counter
from contextlib import contextmanager

from exchange_server import exchange_server
from running import COMMAND, FINISH_S, answer, environment, eventually, run, status
from zerodha_live import (
    RESTS,
    at_work,
    calls,
    log_in,
    newest,
    tell,
    told,
    until_orders,
    until_ticking,
    zerodha,
)

BY_HAND = {
    "variety": "regular",
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "quantity": 7,
    "order_type": "MARKET",
    "product": "MIS",
    "market_protection": -1,
}


@contextmanager
def starting(folder, url):
    """A daemon that may never be ready; its log is in start.log."""
    with (folder / "start.log").open("wb") as log:
        words = [COMMAND, "run", "--rehearsal-url", url]
        process = subprocess.Popen(
            words, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(FINISH_S)


def signed(rows, price):
    """Of each order at the broker's: what it bought less what it sold, and at what."""
    found = Counter()
    for row in rows:
        sign = 1 if row["transaction_type"] == "BUY" else -1
        found[row["tradingsymbol"], row[price]] += sign * row["quantity"]
    return {key: quantity for key, quantity in found.items() if quantity}


def agrees(folder, server, by_hand=0):
    """Each order and each trade is there once, here and there."""
    book = {row["order_id"]: row for row in server.history("order")}
    placed = Counter(row["tag"] for row in book.values() if row["by"] == "api")
    assert set(placed.values()) <= {1}, placed
    rows = answer(folder, "orders")
    ours = {row["broker_order_id"]: row["tag"] for row in rows if row["broker_order_id"]}
    assert ours == {order_id: row["tag"] for order_id, row in book.items() if row["by"] == "api"}
    executed = [row for row in server.history("trade") if row["order_id"] in ours]
    assert signed(answer(folder, "trades"), "price") == signed(executed, "average_price")
    assert len(server.history("trade")) == len(executed) + by_hand


def settled(one):
    """Once nothing is in doubt any more, and nothing is held."""
    one.until(lambda: not (found := zerodha(one.folder))["held"] and not found["unknown"])


def test_an_exchange_that_cannot_be_reached_is_tried_again_and_left_at_once_when_asked(tmp_path):
    with exchange_server(tmp_path) as server:
        told(tmp_path, server)
        server.admin("faults", {"fault": [{"on": "orders", "do": "down"}]})
        with starting(tmp_path, server.url) as process:
            eventually(lambda: len(calls(server, "orders")) > 1, process=process)
            found = status(tmp_path)
            assert (found["state"], found["trading_enabled"]) == ("starting", False)
            assert not found["brokers"]["zerodha"]["connected"]
            assert "HTTP 503" in found["brokers"]["zerodha"]["trouble"]
            assert "still starting" in run(tmp_path, "cancel-all").line
            asked = newest(server)
            process.terminate()
            assert process.wait(FINISH_S) == 0
            assert len(calls(server, after=asked)) <= 1
    done = run(tmp_path, "run", "--rehearsal-url", server.url)
    assert done.code == 1  # systemd starts it again
    assert done.stderr.splitlines()[-1].startswith("alphapanda: Zerodha cannot be reached: ")
    assert "Unclosed" not in done.stderr


def test_M04_a_stop_in_a_burst_of_orders_waits_for_their_answers(tmp_path):  # noqa: N802 - the fault's name
    with exchange_server(tmp_path) as server:
        told(tmp_path, server)
        server.admin("faults", {"fault": [{"on": "order.place", "do": "delay_after", "seconds": 1.0}]})
        with at_work(tmp_path, server) as one:
            until_ticking(one)
            tell(tmp_path, side="BUY", times=5)
            one.until(lambda: calls(server, "order.place"))
            one.send(signal.SIGTERM)
            assert one.ended() == 0
        assert {row["status"] for row in answer(tmp_path, "orders")} <= {
            *("OPEN", "PARTIAL", "FILLED", "WITHHELD")
        }
        ended = newest(server)
        with at_work(tmp_path, server) as one:
            settled(one)
            until_orders(one, *["FILLED"] * len(calls(server, "order.place")))
            assert not calls(server, "order.place", after=ended)
        agrees(tmp_path, server)


def test_a_daemon_that_was_killed_finds_its_orders_and_what_was_traded_meanwhile(tmp_path):
    faults = [
        {"on": "order.place", "do": "partial_fills", "pieces": 6, "nth": 1},
        {"on": "order.place", "do": "drop_after", "nth": 2},
        {"on": "order.place", "do": "late", "seconds": 1, "reply": "lost", "nth": 3},
        {"on": "order.place", "do": "drop_before", "nth": 4},
    ]
    with exchange_server(tmp_path) as server:
        told(tmp_path, server)
        with at_work(tmp_path, server) as one:
            until_ticking(one)
            tell(tmp_path, side="BUY", part=RESTS)
            until_orders(one, "OPEN")
            server.admin("faults", {"fault": faults})
            tell(tmp_path, side="BUY", quantity=60, part=1.01)
            # Three entries may be under way, and doubt about one holds the next: these three go together.
            one.until(lambda: len(calls(server, "order.place")) == 2)
            tell(tmp_path, side="BUY", times=3)
            one.until(lambda: len(calls(server, "order.place")) == 5)
            one.kill()
        assert [row["count"] for row in server.admin("faults")["faults"]] == [1, 1, 1, 1]
        server.admin("orders", BY_HAND)
        eventually(lambda: any(row["quantity"] == 7 for row in server.history("trade")))
        asked = newest(server)
        with at_work(tmp_path, server) as one:
            settled(one)
            rows = until_orders(one, "OPEN", "FILLED", "FILLED", "FILLED", "NOT_FOUND")
            assert len(rows) == 5
            assert not calls(server, "order.place", "order.cancel", after=asked)
            assert not status(tmp_path)["kill_switch"]["on"]
            agrees(tmp_path, server, by_hand=1)
            shown = run(tmp_path, "reconcile", "show").stdout  # the hand's are nobody's of ours
            assert any(line.split()[:3] == ["NSE:INFY", "MIS", "7"] for line in shown.splitlines()), shown
            one.send(signal.SIGTERM)
            assert one.ended() == 0


def test_the_next_morning_waits_for_a_login_the_days_list_and_the_books(tmp_path):
    with exchange_server(tmp_path) as server:
        told(tmp_path, server)
        with at_work(tmp_path, server) as one:
            until_ticking(one)
            tell(tmp_path, side="BUY", quantity=5)
            until_orders(one, "FILLED")
            for moment in ("15:19:00", "15:26:00", "16:00:00"):  # Zerodha closes MIS by itself
                server.admin("clock", {"to": moment})
            one.until(lambda: "the day's sessions are over" in one.stderr)
            server.admin("clock", {"to": "06:00:30"})
            server.admin("clock", {"to": "09:20:00"})
            for symbol in ("SBIN", "TCS", "RELIANCE"):  # three that differ would halt, at any other time
                server.admin("orders", BY_HAND | {"tradingsymbol": symbol, "product": "CNC"})
            asked = newest(server)
            log_in(tmp_path, server)
            one.until(lambda: "instrument list of 2026-04-16: " in one.stderr)
            one.until(lambda: calls(server, "quote", after=asked))  # its circuit limits come last
            settled(one)
            tell(tmp_path, side="BUY", quantity=2)
            until_orders(one, "FILLED", "FILLED", "FILLED")
            order = calls(server, after=asked)
            assert {"trades", "positions", "holdings"} <= set(order[: order.index("order.place")])
            assert not status(tmp_path)["kill_switch"]["on"]
            held = [row for row in answer(tmp_path, "positions") if row["quantity"]]
            assert [(row["tradingsymbol"], row["quantity"]) for row in held] == [("INFY", 2)]
            one.send(signal.SIGTERM)
            assert one.ended() == 0
