"""The judge of a rehearsal: what the daemon tells beside the exchange's own history, row by row.

Every order that the exchange knows and no other, every trade, and the positions of its own call.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from exchange_server import ExchangeServer
from kite_trader import Trader
from kiteconnect.exceptions import NetworkException
from oracle import judge as oracle
from oracle.evidence import Evidence
from running import answer, eventually

PAISA = Decimal("0.01")
ENDED = {"COMPLETE": "FILLED", "CANCELLED": "CANCELLED", "REJECTED": "REJECTED"}
"""How an order has ended, in Kite's words and in ours."""
OF_RMS = {"COMPLETE": "squared off by the broker"}

Row = dict[str, Any]


class Told:
    """What `orders`, `trades` and `positions` say of zerodha."""

    def __init__(self, folder: Path) -> None:
        self.orders: list[Row] = answer(folder, "orders", "--broker", "zerodha")
        self.trades: list[Row] = answer(folder, "trades", "--broker", "zerodha")
        self.positions: list[Row] = answer(folder, "positions", "--broker", "zerodha")

    @property
    def sent(self) -> list[Row]:
        """Without orders that never left."""
        return [row for row in self.orders if row["broker_order_id"]]


def judge(folder: Path, history: Sequence[Row], net: Sequence[Row]) -> Told:
    """`history` is the exchange's, `net` its positions."""
    told = Told(folder)
    book = {row["order_id"]: row for row in history if row["kind"] == "order"}
    ours = {row["broker_order_id"]: _order(row) for row in told.sent}
    assert len(told.sent) == len(ours)
    theirs = {order_id: _booked(row) for order_id, row in book.items()}
    for order_id in (row["order_id"] for row in book.values() if row["modified"]):
        # Somebody has changed it at the broker's: our row keeps the price that we asked for.
        theirs[order_id]["price"] = ours[order_id]["price"]
    _same(ours, theirs)
    _never_left(told, book)
    names = {row["order_id"]: row["broker_order_id"] for row in told.orders}
    executed = [row for row in history if row["kind"] == "trade"]
    _same(
        dict(enumerate(_trade(row, names) for row in told.trades)), dict(enumerate(map(_executed, executed)))
    )
    _same(_sums(told.positions), {_key(row): (row["quantity"], money(row["pnl"])) for row in net})
    _same(*({_key(row): row["last_price"] for row in rows} for rows in (told.positions, net)))
    return told


def _same(ours: Mapping[Any, Any], theirs: Mapping[Any, Any]) -> None:
    differing = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    assert not differing, [(key, ours.get(key), theirs.get(key)) for key in differing]


def _never_left(told: Told, book: Mapping[str, Row]) -> None:
    """What has no order id of Kite's was not sent, and the exchange has never seen its tag."""
    tags = {row["tag"] for row in book.values()}
    for row in told.orders:
        if not row["broker_order_id"]:
            assert row["status"] == "WITHHELD", row
            assert row["tag"] not in tags, row


def money(number: float) -> Decimal:
    """JSON's number as it was written, to the paisa."""
    return Decimal(str(number)).quantize(PAISA, ROUND_HALF_UP)


def _order(row: Row) -> Row:
    names = ("tradingsymbol", "exchange", "transaction_type", "product", "quantity", "filled_quantity")
    kept = {name: row[name] for name in (*names, "status", "reason", "validity", "instrument_token")}
    adopted = row["order_id"].startswith("X")
    average = row["average_price"]
    return kept | {
        "tag": None if adopted else row["tag"],
        "average_price": None if average is None else money(average),
        "trigger_price": money(row["trigger_price"] or 0),
        "price": row["order_type"] in ("LIMIT", "SL") and money(row["price"]),
    }


def _booked(row: Row) -> Row:
    """The same of an order's last line in the history. A market order's price is what protection made it."""
    names = ("tradingsymbol", "exchange", "transaction_type", "product", "quantity", "filled_quantity")
    kept = {name: row[name] for name in (*names, "tag", "validity", "instrument_token")}
    words = OF_RMS.get(row["status"], "") if row["by"] == "rms" else row["status_message"] or ""
    protected = "mktp" in row.get("tags", ()) or row["order_type"] in ("MARKET", "SL-M")
    return kept | {
        "status": ENDED[row["status"]],
        "reason": words,
        "average_price": money(row["average_price"]) if row["filled_quantity"] else None,
        "trigger_price": money(row["trigger_price"]),
        "price": not protected and money(row["price"]),
    }


def _trade(row: Row, names: Mapping[str, str]) -> Row:
    return {
        "trade_id": row["trade_id"].partition("/")[0],  # beside the order's, where that is not ours
        "order_id": names[row["order_id"]],
        "tradingsymbol": row["tradingsymbol"],
        "transaction_type": row["transaction_type"],
        "quantity": row["quantity"],
        "price": money(row["price"]),
        "at": row["traded_at"],
    }


def _executed(row: Row) -> Row:
    return {name: row[name] for name in ("trade_id", "order_id", "tradingsymbol", "transaction_type")} | {
        "quantity": row["quantity"],
        "price": money(row["average_price"]),
        "at": f"{row['exchange_timestamp'].replace(' ', 'T')}+05:30",
    }


def _key(row: Row) -> tuple[str, str, str]:
    return row["exchange"], row["tradingsymbol"], row["product"]


def _sums(positions: Sequence[Row]) -> dict[tuple[str, str, str], tuple[int, Decimal]]:
    """Over all strategies: quantity, and profit before charges."""
    found: dict[tuple[str, str, str], tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for row in positions:
        quantity, profit = found[_key(row)]
        profit += money(row["realized_pnl"]) + money(row["unrealized_pnl"])
        found[_key(row)] = quantity + row["quantity"], profit
    return dict(found)


def positions_of(url: str) -> list[Row]:
    """The net positions, of somebody who logs in for them: the session before dies."""

    def asked() -> list[list[Row]]:
        with suppress(NetworkException):  # ten calls a second, and the daemon's count too
            trader.log_in()
            return [trader.kite.positions()["net"]]
        return []

    with closing(Trader(url)) as trader:
        (net,) = eventually(asked)
    return net


def seen_by(server: ExchangeServer, folder: Path) -> Told:
    """The judge's word on a day that is over at an exchange that still runs."""
    server.admin("clock", {"pause": True})
    run = Evidence(stores=[folder / "var/alphapanda.db"], history=server.history(), settled=True)
    broken = oracle.judge(run, decided=("I2", "I3", "I12", "I14"))
    assert not broken, broken
    return judge(folder, server.history("order", "trade"), positions_of(server.url))
