"""Rows of the fault table on the broker's books, with the real daemon: what is not ours, and what differs."""

from exchange_server import exchange_server
from running import Daemon, answer, count, run, select
from zerodha_live import (
    FREE,
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

INFY = {"exchange": "NSE", "tradingsymbol": "INFY", "product": "MIS"}
BY_HAND = INFY | {
    "variety": "regular",
    "transaction_type": "BUY",
    "quantity": 7,
    "order_type": "MARKET",
    "market_protection": -1,
}
MOST = 15
BROKEN = [
    {"on": "orders", "do": "down", "nth": [1, 2]},
    {"on": "orders", "do": "partial_book", "part": 0, "nth": 3},
    {"on": "orders", "do": "stale_book", "seconds": 3600, "nth": 4},
    {"on": "trades", "do": "html", "nth": 1},
]


def reconciled(folder):
    return answer(folder, "reconcile", "show")["zerodha"]


def external(folder):
    """Units of the one symbol that is traded here."""
    rows = reconciled(folder)["external"]
    return sum(row["quantity"] for row in rows if row["tradingsymbol"] == "INFY")


def by_status(folder):
    """Units of the orders that are not ours."""
    return {row["status"]: row["quantity"] for row in reconciled(folder)["external_orders"]}


def rule_of_newest(one: Daemon, number: int) -> tuple[str, str]:
    """The verdict on the signal of that number."""
    one.until(lambda: count(one.folder, "signals") >= number)
    row = answer(one.folder, "signals")[number - 1]
    return row["rule"] or row["verdict"], row["reason"]


def settle(folder, *words):
    done = run(folder, "reconcile", *words, "--json")
    assert done.code == 0, done
    return done.document


def fired(server):
    return [row["count"] for row in server.admin("faults")["faults"]]


def held(folder):
    rows = answer(folder, "positions")
    return {row["strategy_id"]: row["quantity"] for row in rows if row["tradingsymbol"] == "INFY"}


def bought_and_crashed(folder, server):
    """Six of ours; seven by hand, and an order by hand that rests; then it dies."""
    with at_work(folder, server) as one:
        until_ticking(one)
        tell(folder, side="BUY", quantity=2)
        until_orders(one, "FILLED")
        server.admin("orders", BY_HAND)
        price = 0.95 * answer(folder, "positions")[0]["average_price"]
        rests = {"quantity": 2, "order_type": "LIMIT", "price": round(price, 0)}
        server.admin("orders", BY_HAND | rests)
        tell(folder, side="BUY", quantity=3)  # for it the books are read, and not in half a minute
        one.until(lambda: by_status(folder) == {"COMPLETE": 7, "OPEN": 2})
        assert external(folder) == 7
        until_orders(one, "FILLED", "FILLED")
        tell(folder, side="BUY", quantity=4)
        rule, why = rule_of_newest(one, 3)
        assert rule == "max_position_quantity"
        assert why == f"the position could reach 18 (9 of it not ours), over the limit of {MOST}"
        tell(folder, side="BUY", quantity=1)
        until_orders(one, "FILLED", "FILLED", "FILLED")
        assert held(folder) == {"told": 6}
        one.kill()


def test_M29_M30_M31_broken_books_hand_orders_and_a_difference_that_the_operator_settles(tmp_path):  # noqa: N802 - the faults' names
    with exchange_server(tmp_path) as server:
        told(tmp_path, server, risk=FREE | {"max_position_quantity": MOST})
        bought_and_crashed(tmp_path, server)
        log_in(tmp_path, server)
        begun = newest(server)
        server.admin("faults", {"clear": True, "fault": [*BROKEN, {"on": "positions", "do": "disagree"}]})
        with at_work(tmp_path, server) as one:
            found = one.until_state("halted")
            assert found["kill_switch"]["by"] == "reconciliation"
            assert "the broker has 14, our book 6 and 7 not ours" in found["kill_switch"]["reason"]
            assert not found["trading_enabled"]
            assert all(fired(server))
            (row,) = reconciled(tmp_path)["differences"]
            assert (row["ours"], row["external"], row["theirs"]) == (6, 7, 14)
            said = ("--reason", "rehearsed")
            assert settle(tmp_path, "ignore", "NSE:INFY", *said)["external"] == 8
            refused = run(tmp_path, "reconcile", "ignore", "NSE:INFY", *said)
            assert refused.code == 1
            assert "nothing of NSE:INFY differs" in refused.line
            server.admin("faults", {"clear": True, "fault": []})
            back = settle(tmp_path, "ignore", "NSE:INFY", *said)
            assert (back["change"], back["external"], back["differences"]) == (-1, 7, [])
            said_so = select(tmp_path, "SELECT body FROM journal WHERE kind = 'ExternalSeen'")[-2:]
            assert all("rehearsed" in body for (body,) in said_so), "the operator's words outlive a crash"
            given = settle(tmp_path, "adopt", "NSE:INFY", "--strategy", "told", *said)
            assert (given["change"], given["differences"]) == (7, [])
            assert held(tmp_path) == {"told": 13}
            assert external(tmp_path) == 0
            assert calls(server, "order.place", after=begun) == []
            assert run(tmp_path, "kill-switch", "off", "--reason", "settled").code == 0
            one.until(lambda: not zerodha(tmp_path)["held"])
            tell(tmp_path, side="SELL", quantity=13, close=True)
            one.until(lambda: held(tmp_path) == {"told": 0})
        assert calls(server, "order.place", after=begun) == ["order.place"]
        sides = {row["order_id"]: row["transaction_type"] for row in server.history("order")}
        traded = server.history("trade")
        assert sum((1 if sides[row["order_id"]] == "BUY" else -1) * row["quantity"] for row in traded) == 0
        words = {row["order_id"][:2]: row["reason"] for row in answer(tmp_path, "orders")}
        assert words["XR"] == "rehearsed"
