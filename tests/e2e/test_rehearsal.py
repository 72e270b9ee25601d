"""Rehearsals as a user has them: whole sessions, and afterwards the daemon's rows beside the exchange's.

The clocks of the exchanges are turned at the admin door: slow while there is something to see, fast after.
"""

import json
from contextlib import closing
from decimal import Decimal
from types import SimpleNamespace

import pytest
from exchange_server import ExchangeServer, exchange_server
from kite_trader import Trader
from rehearsing import judge, positions_of, seen_by
from running import answer, daemon, eventually, run, select, status, strategy, write_config

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
LIVELY = {"lookback_period": 3, "buy_threshold": 1.00003, "sell_threshold": 0.99997, "quantity": 10}
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


def ended(server):
    """Market orders of momentum that have traded whole, and the one that was turned down."""
    rows = {row["order_id"]: row for row in server.history("order") if row["tradingsymbol"] != "TATASTEEL"}
    return [row["status"] for row in rows.values()]


@pytest.mark.parametrize("brokers", [["zerodha"], ["paper", "zerodha"]], ids=["alone", "with paper"])
def test_at_the_end_of_the_day_our_book_is_the_exchanges_row_by_row(tmp_path, brokers):
    configured(tmp_path, brokers)
    (tmp_path / "faults.toml").write_text(FAULTS)
    with exchange_server(tmp_path, "--paused", "--script", "faults.toml") as server:
        server.admin("clock", {"to": "15:18:00"})
        assert run(tmp_path, "login", "--rehearsal-url", server.url).code == 0
        with daemon(tmp_path, "--rehearsal-url", server.url, "--until-end") as trading:
            server.admin("clock", {"speed": 60})
            server.admin("clock", {"resume": True})
            resting = eventually(lambda: in_the_book(server, 12, "OPEN"))
            changed_by_hand(server, tmp_path, resting["order_id"], resting["price"] - 0.05)
            eventually(lambda: in_the_book(server, 13, "TRIGGER PENDING"))
            eventually(lambda: in_the_book(server, 11, "CANCELLED"))
            assert run(tmp_path, "cancel-all").code == 0
            eventually(lambda: ended(server).count("COMPLETE") > 5 and "REJECTED" in ended(server))
            assert run(tmp_path, "status").stdout.startswith("REHEARSAL · running · ")
            server.admin("clock", {"speed": 600})
            assert trading.ended() == 0
        told = seen_by(server, tmp_path)
        passed = {row["status"] for row in server.history("order")}
        assert passed >= INTERIM | {"COMPLETE", "CANCELLED", "REJECTED"}
        assert all(fault["count"] for fault in server.admin("faults")["faults"])
    print([(r["quantity"], r["status"], r["filled_quantity"]) for r in told.orders])
    print(trading.stderr)
