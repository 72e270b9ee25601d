"""M33: on a new day the books are empty, and what was bought for delivery is in the holdings. The real daemon
at an exchange whose clock is walked through the night, while it runs and while it is stopped.
"""

import json
import signal
from contextlib import closing
from datetime import datetime

from exchange_server import exchange_server
from kite_trader import Trader
from oracle.evidence import Evidence
from oracle.judge import judge
from running import select
from zerodha_live import (
    RESTS,
    at_work,
    calls,
    log_in,
    newest,
    tell,
    told,
    until_ticking,
)

from alphapanda.times import to_ns

DECIDED = ("I2", "I3", "I4", "I12", "I14")


def held(folder):
    return select(folder, "SELECT tradingsymbol, quantity FROM positions")


def until(one, *statuses):
    """The orders, in their order."""
    wanted = [(status,) for status in statuses]
    one.until(lambda: select(one.folder, "SELECT status FROM orders ORDER BY order_id") == wanted)


def compared(folder, since):
    """Comparisons with the account since then: what they found, how much they compared, and when."""
    rows = [
        json.loads(body) for (body,) in select(folder, "SELECT body FROM journal WHERE kind = 'Compared'")
    ]
    return [row for row in rows if row["time_ns"] >= to_ns(datetime.fromisoformat(f"{since}+05:30"))]


def night(folder, server, until):
    """Walked through; on the new day somebody logs in. The exchange's book is empty then."""
    server.admin("clock", {"to": until})
    with closing(Trader(server.url)) as trader:
        trader.log_in()
        assert trader.kite.orders() == trader.kite.trades() == []
    log_in(folder, server)


def account_at_end(server):
    """The day's positions, and the shares that there were in the morning."""
    with closing(Trader(server.url)) as trader:
        trader.log_in()
        net, shares = trader.kite.positions()["net"], trader.kite.holdings()
    quantities = ("quantity", "t1_quantity", "used_quantity")
    return [
        *net,
        *(
            {"tradingsymbol": row["tradingsymbol"], "product": "CNC"}
            | {"quantity": sum(row[name] for name in quantities)}
            for row in shares
        ),
    ]


def first_day_and_night(folder, server):
    """One order trades, one rests over the close. The next day trades on the shares of the one before."""
    with at_work(folder, server) as one:
        until_ticking(one)
        tell(folder, side="BUY", quantity=9)
        tell(folder, side="BUY", quantity=5, part=RESTS)
        until(one, "FILLED", "OPEN")
        night(folder, server, "2026-04-16T09:20:00")
        one.until(lambda: compared(folder, "2026-04-16T09:20:00"))
        until(one, "FILLED", "CANCELLED")
        assert held(folder) == [("INFY", 9)]
        after = newest(server)
        tell(folder, side="SELL", quantity=4, close=True)
        tell(folder, side="BUY", quantity=2)
        until(one, "FILLED", "CANCELLED", "FILLED", "FILLED")
        assert len(calls(server, "order.place", after=after)) == 2
        assert one.status()["brokers"]["zerodha"]["held"] == {}
        one.send(signal.SIGTERM)
        assert one.ended() == 0


def test_M33_shares_are_carried_through_a_night_at_work_and_a_night_at_rest(tmp_path):  # noqa: N802 - the fault's name
    with exchange_server(tmp_path, "--no-rate-limits") as server:  # we ask beside the daemon
        told(tmp_path, server, zerodha={"enabled": True, "product": "CNC"})
        first_day_and_night(tmp_path, server)
        night(tmp_path, server, "2026-04-17T09:20:00")
        with at_work(tmp_path, server) as one:
            assert held(tmp_path) == [("INFY", 7)]
            one.until(lambda: compared(tmp_path, "2026-04-17T09:20:00"))
            until_ticking(one)
            tell(tmp_path, side="SELL", quantity=7, close=True)
            until(one, "FILLED", "CANCELLED", "FILLED", "FILLED", "FILLED")
            one.send(signal.SIGTERM)
            assert one.ended() == 0
        found = compared(tmp_path, "2026-04-15T09:15:00")
        assert not [row for row in found if row.get("differences") or row.get("frozen")], found
        assert not select(tmp_path, "SELECT 1 FROM journal WHERE kind = 'Halt'")
        evidence = Evidence(
            stores=[tmp_path / "var/alphapanda.db"],
            positions=account_at_end(server),
            history=server.history(),
            settled=True,
        )
        assert judge(evidence, decided=DECIDED) == []
