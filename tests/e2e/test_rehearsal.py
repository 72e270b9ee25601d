"""Rehearsals as a user has them: whole sessions, and afterwards the daemon's rows beside the exchange's.

The clocks of the exchanges are turned at the admin door: slow while there is something to see, fast after.
"""

import json
import os
import re
import signal
import socket
import subprocess
from collections import Counter
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from exchange_server import ExchangeServer, exchange_server
from kite_trader import Trader
from rehearsing import judge, positions_of, seen_by
from running import (
    COMMAND,
    FINISH_S,
    answer,
    daemon,
    environment,
    eventually,
    run,
    select,
    status,
    strategy,
    write_config,
)

STEPS = '''
"""Each way an order may go, once: what momentum alone would not show."""

from decimal import Decimal

from alphapanda.core.strategy import Strategy

TICK = Decimal("0.01")


class StepsStrategy(Strategy):
    def prepare(self):
        self.ticks = 0

    def on_market_data(self, tick):
        self.ticks += 1

        def near(part):
            return Decimal(str(tick.last_price)) * Decimal(part) // TICK * TICK

        steps = {
            1: {"quantity": 11, "price": near("0.985"), "validity": "TTL", "validity_ttl": 1},
            2: {"quantity": 12, "price": near("0.98")},
            3: {"quantity": 13, "trigger_price": near("1.03")},
            4: {"quantity": 400, "price": near("1.004"), "validity": "IOC"},
            5: {"quantity": 40, "price": near("1.005")},
            6: {"quantity": 14},
        }
        return [self.buy(tick, **steps[self.ticks])] if self.ticks in steps else []
'''
FAULTS = """
[[fault]]  # the IOC order has a part of it
on = "order.place"
do = "partial_fills"
symbol = "NSE:TATASTEEL"
pieces = 4
nth = 4

[[fault]]
on = "order.place"
do = "partial_fills"
symbol = "NSE:INFY"
pieces = 5
nth = [1, 2, 3]

[[fault]]
on = "order.place"
do = "reject"
message = "RMS: not today."
symbol = "NSE:SBIN"
nth = 2
"""
LIVELY = {"lookback_period": 3, "buy_threshold": 1.0002, "sell_threshold": 0.9998, "quantity": 10}
INTERIM = {
    "PUT ORDER REQ RECEIVED",
    "VALIDATION PENDING",
    "OPEN PENDING",
    "OPEN",
    "TRIGGER PENDING",
    "MODIFY VALIDATION PENDING",
    "MODIFY PENDING",
    "CANCEL PENDING",
}
"""All of Kite's but that of orders for the next day, which are never sent."""


def configured(folder, brokers, **sections):
    """Momentum, and a strategy that walks every way, at these brokers."""
    (folder / "strategies").mkdir()
    (folder / "strategies" / "steps.py").write_text(STEPS)
    walker = {"class": "strategies.steps:StepsStrategy", "instruments": ["NSE:TATASTEEL"], "params": {}}
    hosted = [strategy(instruments=["NSE:INFY", "NSE:SBIN"], params=LIVELY), strategy("steps_1", **walker)]
    write_config(
        folder,
        active_brokers=brokers,
        zerodha={"enabled": "zerodha" in brokers, "product": "CNC"},
        feed={"source": "zerodha"},
        strategies=[each | {"brokers": brokers} for each in hosted],
        **sections,
    )


def in_the_book(server, quantity, *statuses):
    """The newest line of the order for so many TATASTEEL, once it stands there in one of these statuses."""
    rows = {row["order_id"]: row for row in server.history("order") if row["tradingsymbol"] == "TATASTEEL"}
    found = [row for row in rows.values() if row["quantity"] == quantity and row["status"] in statuses]
    return found[0] if found else None


def changed_by_hand(server, folder, order_id, price):
    """In Kite's app: an order of ours has another price."""
    token = json.loads((folder / "var" / "zerodha-rehearsal.token").read_text())["access_token"]
    with closing(Trader(server.url, token)) as trader:
        trader.kite.modify_order("regular", order_id, price=price)


def of_momentum(server):
    """How its orders stand now."""
    rows = {row["order_id"]: row for row in server.history("order") if row["tradingsymbol"] != "TATASTEEL"}
    return [row["status"] for row in rows.values()]


def in_the_mode(log):
    """Every line of a daemon's log says whose money it is; those before its log begins are the command's."""
    lines = [line for line in log.splitlines() if not line.startswith(("rehearsal: ", "exchange: "))]
    return lines and all(" REHEARSAL " in line for line in lines if line[:2] == "20")


@pytest.mark.parametrize("brokers", [["zerodha"], ["paper", "zerodha"]], ids=["alone", "with paper"])
def test_at_the_end_of_the_day_our_book_is_the_exchanges_row_by_row(tmp_path, brokers):
    configured(tmp_path, brokers)
    (tmp_path / "faults.toml").write_text(FAULTS)
    with exchange_server(tmp_path, "--paused", "--script", "faults.toml") as server:
        server.admin("clock", {"to": "15:15:00"})
        assert run(tmp_path, "login", "--rehearsal-url", server.url).code == 0
        with daemon(tmp_path, "--rehearsal-url", server.url, "--until-end") as trading:
            server.admin("clock", {"speed": 60})
            server.admin("clock", {"resume": True})
            resting = eventually(lambda: in_the_book(server, 12, "OPEN"))
            changed_by_hand(server, tmp_path, resting["order_id"], resting["price"] - 0.05)
            eventually(lambda: in_the_book(server, 13, "TRIGGER PENDING"))
            eventually(lambda: in_the_book(server, 11, "CANCELLED"))
            assert run(tmp_path, "cancel-all").code == 0
            eventually(lambda: {"COMPLETE", "REJECTED"} <= {*of_momentum(server)})
            server.admin("clock", {"speed": 1200})
            assert trading.ended() == 0
        told = seen_by(server, tmp_path)
        history = server.history("order")
        assert {row["status"] for row in history} >= INTERIM | {"COMPLETE", "CANCELLED", "REJECTED"}
        assert all(fault["count"] for fault in server.admin("faults")["faults"])
    parts = Counter(row["order_id"] for row in told.trades)
    assert max(parts.values()) >= 3
    assert {"FILLED", "CANCELLED", "REJECTED"} <= {row["status"] for row in told.orders}
    assert any(row["status"] == "CANCELLED" and row["filled_quantity"] for row in told.orders)
    assert any(row["quantity"] for row in told.positions)
    assert in_the_mode(trading.stderr)
    shown = answer(tmp_path, "reconcile", "show")["zerodha"]
    assert (shown["comparison"]["occasion"], shown["differences"]) == ("end_of_day", [])
    if "paper" in brokers:
        papers = answer(tmp_path, "orders", "--broker", "paper")
        assert {row["status"] for row in papers} >= {"FILLED", "CANCELLED"}
        assert not {row["tag"] for row in papers} & {row["tag"] for row in history}


def test_the_one_command_is_the_same_day_with_an_exchange_of_its_own(tmp_path):
    """A configuration of paper and simulated prices, as it stands: zerodha is in the place of paper."""
    rising = LIVELY | {"buy_threshold": 1.0005, "sell_threshold": 0.9995}
    write_config(tmp_path, feed={"source": "simulated"}, strategies=[strategy(params=rising)])
    with daemon(tmp_path, "--rehearsal", "--speed", "5000") as trading:
        (url,) = re.findall(r"^rehearsal: the exchange is at (\S+)$", trading.stderr, re.MULTILINE)
        server = there(url)
        said = run(tmp_path, "status").stdout
        assert said.startswith("REHEARSAL · running · kill switch off · feed age ")
        _tells_of_zerodha(status(tmp_path))
        trading.until(lambda: "the day's sessions are over" in trading.stderr)
        trading.until(lambda: select(tmp_path, "SELECT 1 FROM comparisons WHERE occasion = 'end_of_day'"))
        server.admin("clock", {"pause": True})
        history, net = server.history("order", "trade"), positions_of(url)
        trading.send(signal.SIGTERM)
        assert trading.ended() == 0
    with pytest.raises(OSError, match="refused"):
        server.get("/admin/clock")
    told = judge(tmp_path, history, net)
    assert {row["strategy_id"] for row in told.trades} == {"momentum_1"}
    assert answer(tmp_path, "orders", "--broker", "paper") == []
    assert in_the_mode(trading.stderr)
    for screen in ("orders", "portfolio", "status"):
        assert run(tmp_path, screen).stdout.startswith("REHEARSAL · "), screen
    for words in ((), ("--rehearsal",)):  # a book of an exchange that is gone
        done = run(tmp_path, "run", "--until-end", *words)
        assert done.code == 3
        assert "rehearsal" in done.stderr.splitlines()[-1]


def _tells_of_zerodha(found):
    """Only what the README names is relied on."""
    feed, broker = found["feed"], found["brokers"]["zerodha"]
    assert (found["mode"], feed["connected"], feed["wanted"]) == ("REHEARSAL", 1, 1)
    assert {"ticking", "reconnects", "last_frame_age_s", "dropped", "malformed", "clock_skew_s"} <= set(feed)
    assert (
        feed["session"] == broker["session"] == {"alive": True, "why": "", "user_id": "RH0001", "age_s": None}
    )
    assert set(broker["budgets"]) == {"orders_second", "orders_minute", "orders_day", "waiting"}
    assert set(broker["budgets"]["orders_day"]) == {"used", "limit"}
    assert broker["held"] == {}
    assert {"connected", "unknown", "trouble", "books_age_s", "wire"} <= set(broker)


def there(url):
    """The exchange that somebody else has started."""
    found = ExchangeServer(None, Path(), Path(), Path())
    found.url = url
    return found


README = Path(__file__).resolve().parents[2] / "README.md"


def chapter():
    """The fences of the README's chapter, in their order: the language, and the text."""
    text = README.read_text(encoding="utf-8").partition("\n## Rehearsing\n")[2].partition("\n## ")[0]
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@contextmanager
def terminal(folder, home, text):
    """A shell in which somebody has pasted these lines; its output is in folder/terminal-N."""
    path = home / f"terminal-{sum(1 for _ in home.glob('terminal-*'))}"
    env = environment({"HOME": str(home), "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"})
    with path.open("wb") as output:
        shell = subprocess.Popen(
            ["bash", "-e", "-c", text],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield shell, lambda: path.read_text(encoding="utf-8")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait(FINISH_S)


def pasted(folder, home, text):
    """What these lines print, once they have ended well."""
    with terminal(folder, home, text) as (shell, said):
        assert shell.wait(FINISH_S) == 0, said()
        return said()


def test_the_readmes_chapter_is_a_rehearsal_when_it_is_pasted(tmp_path):
    """Its commands as they stand, but for the port; the clock is turned once the daemon runs."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    fences = [(kind, text.replace(":8686", f":{port}")) for kind, text in chapter()]
    assert [kind for kind, _ in fences] == ["sh", "toml", "sh", "sh", "sh", "sh"]
    begin, script, exchange, trade, look, _one_command = (text for _, text in fences)
    pasted(tmp_path, tmp_path, begin)
    (folder,) = (each for each in tmp_path.iterdir() if each.is_dir())
    (folder / "faults.toml").write_text(script)
    server = there(f"http://127.0.0.1:{port}")
    with terminal(folder, tmp_path, exchange.replace(" exchange ", f" exchange --port {port} ")) as (_, out):
        eventually(lambda: f"ready {server.url}" in out())
        with terminal(folder, tmp_path, trade) as (shell, said):
            eventually(lambda: " ready: " in said(), process=shell)
            os.killpg(shell.pid, signal.SIGINT)
            assert shell.wait(FINISH_S) in (0, -signal.SIGINT)
            assert "stopped; the store is complete" in said()
        with terminal(folder, tmp_path, trade.splitlines()[-1]) as (shell, said):
            eventually(lambda: " ready: " in said(), process=shell)
            server.admin("clock", {"speed": 3000})
            assert shell.wait(FINISH_S) == 0, said()
        server.admin("clock", {"pause": True})
        seen = pasted(folder, tmp_path, look)
        told = seen_by(server, folder)
        assert all(fault["count"] for fault in server.admin("faults")["faults"])
    assert "zerodha: nothing differs in " in seen
    assert re.search(rf"^{len(told.trades)}\n{len(told.trades)}\n", seen, re.MULTILINE)
    assert len(told.trades) > 20
    assert {"FILLED", "REJECTED"} <= {row["status"] for row in told.orders}
    assert Counter(row["order_id"] for row in told.trades)["O000001"] >= 3
